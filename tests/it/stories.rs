//! `tests/stories`: what readers of the docs' first pages do, which `.ci/run` does after them. The scripts take their commands from
//! the pages; here is held that pages, scripts and the gate know of each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Name of the story and lines of the code block below each mark of a page.
fn blocks(page: &str) -> Vec<(String, Vec<String>)> {
    let mut found = vec![];
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("<!-- story: ") else {
            continue;
        };
        let name = name.strip_suffix(" -->").expect("a mark ends").to_owned();
        assert_eq!(lines.next(), Some("```sh"), "below the mark of {name}");
        let block = lines.by_ref().take_while(|line| *line != "```");
        found.push((name, block.map(str::to_owned).collect()));
    }
    found
}

/// Story and page of each `follow` of a script.
fn follows(script: &str) -> Vec<(String, String)> {
    let words = script.lines().filter_map(|l| l.strip_prefix("follow "));
    let pairs = words.filter_map(|l| l.split_once(' '));
    pairs
        .map(|(story, page)| (story.to_owned(), page.to_owned()))
        .collect()
}

fn scripts() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("tests/stories")).unwrap();
    let paths = entries.map(|e| e.unwrap().path());
    paths.filter(|p| !p.ends_with("follow.sh")).collect()
}

#[test]
fn every_story_of_a_page_is_followed_by_a_script_and_each_script_by_the_gate() {
    let gate = text(".ci/run");
    let gate = gate
        .lines()
        .find_map(|l| l.strip_prefix("for story in ")?.strip_suffix("; do"));
    let gate: BTreeSet<&str> = gate.expect("a step of stories").split(' ').collect();
    let mut followed = BTreeSet::new();
    let mut names = BTreeSet::new();
    for script in scripts() {
        let all = follows(&text(&script));
        assert!(!all.is_empty(), "{} follows no page", script.display());
        followed.extend(all);
        names.insert(script.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    assert_eq!(
        names.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        gate
    );

    let mut told = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "md") {
            continue;
        }
        let page = format!("docs/{}", path.file_name().unwrap().to_str().unwrap());
        for (story, lines) in blocks(&text(&page)) {
            assert!(!lines.is_empty(), "{page}: {story} has no command");
            for line in lines {
                assert!(
                    line.starts_with("minrnn "),
                    "{page}: a reader needs more than minrnn for `{line}`"
                );
            }
            told.insert((story, page.clone()));
        }
    }
    assert_eq!(told, followed);
    assert!(told.len() >= 4, "{told:?}");
}

/// Who has a text, sensor data, PyTorch weights or ONNX files finds the page within ten lines.
#[test]
fn the_readme_leads_to_each_story_within_ten_lines() {
    let readme = text("README.md");
    let begin: Vec<&str> = readme.lines().take(10).collect();
    for page in [
        "docs/text.md",
        "docs/sensors.md",
        "docs/import.md",
        "docs/verify.md",
    ] {
        let link = format!("]({page})");
        assert!(
            begin.iter().any(|l| l.contains(&link)),
            "{page}: {begin:#?}"
        );
        assert!(!blocks(&text(page)).is_empty(), "{page} has no story");
    }
}
