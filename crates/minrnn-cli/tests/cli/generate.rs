//! What `generate` writes of an export: where a text is over, and by which forms.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::harness::{Ran, folder, minrnn, minrnn_with, trained};

const PROMPT: &str = "the ";

fn generate(dir: &Path, folder: &str, flags: &[&str]) -> Ran {
    let all = ["generate", folder, "--prompt", PROMPT, "--length", "40"];
    minrnn(dir, &[&all[..], &["--temperature", "0"], flags].concat())
}

/// The text behind the prompt.
fn written(ran: Ran) -> String {
    let text = ran.good();
    let text = text.strip_prefix(PROMPT).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

#[test]
fn a_text_is_over_at_the_end_of_stream_that_an_export_names() {
    let dir = trained();
    let whole = written(generate(dir.path(), "export", &[]));
    assert_eq!(whole.chars().count(), 40);
    // One that comes later than at once, and not behind all.
    let first = whole.chars().next();
    let (at, end) = whole
        .char_indices()
        .find(|(_, c)| Some(*c) != first && c.is_alphanumeric())
        .unwrap();
    let before = &whole[..at];
    let flag = format!("--end-of-stream={end}");
    minrnn(dir.path(), &["export", "run", "--out", "export", &flag]).good();
    for engine in ["step", "parallel"] {
        let ran = generate(dir.path(), "export", &["--engine", engine]);
        let count = before.chars().count();
        let note = format!(
            "note: the text is over after {count} of 40 characters: the model chose \"{end}\", which export names as its end of stream"
        );
        assert!(ran.err.contains(&note), "{}", ran.shown());
        assert_eq!(written(ran), before, "{engine}");
    }
    // Nobody names one for a checkpoint, and nothing ends where the model does not choose it.
    assert_eq!(written(generate(dir.path(), "run", &[])), whole);
    let short = before.chars().count().to_string();
    let ran = minrnn(
        dir.path(),
        &[
            "generate",
            "export",
            "--prompt",
            PROMPT,
            "--length",
            &short,
            "--temperature",
            "0",
        ],
    );
    assert!(!ran.err.contains("end of stream"), "{}", ran.shown());
    assert_eq!(written(ran), before);
    // In a prompt it ends nothing.
    let prompt = format!("{PROMPT}{before}{end}");
    let ran = minrnn(
        dir.path(),
        &[
            "generate", "export", "--prompt", &prompt, "--length", "1", "--seed", "3",
        ],
    );
    assert!(ran.good().starts_with(&prompt));
}

/// Takes a form out of the export.
fn lose(dir: &Path, form: &str) {
    let path = dir.join("export/manifest.json");
    let mut manifest: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["forms"].as_object_mut().unwrap().remove(form);
    fs::write(&path, manifest.to_string()).unwrap();
    fs::remove_file(dir.join(format!("export/model.{form}.onnx"))).unwrap();
}

/// The form with LinearAttention is for other engines: what runs is another, and said.
#[test]
fn forms_that_run_are_taken_in_the_place_of_linear_attention() {
    let dir = trained();
    let whole = written(generate(dir.path(), "export", &[]));
    let run = |flags: &[&str]| {
        let all = [&["run", "export", "--input", "-"][..], flags].concat();
        minrnn_with(dir.path(), &all, "1 2 3 4\n")
    };
    let export = [
        "export",
        "run",
        "--out",
        "export",
        "--target",
        "onnxruntime",
        "--lowering",
        "linear-attention",
    ];
    let ran = minrnn(dir.path(), &export);
    let warning = "`minrnn verify export`, `minrnn run export --form parallel` and `minrnn generate export --engine parallel` cannot run it; without these flags, run takes the form scan, and generate the forms scan and step";
    assert!(ran.err.contains(warning), "{}", ran.shown());
    ran.good();
    for used in ["scan", "step"] {
        if used == "step" {
            lose(dir.path(), "scan");
        }
        let note = |form: &str| {
            format!(
                "note: the form parallel has the operator LinearAttention, which minrnn-runtime does not have: the form {form} runs in its place"
            )
        };
        let ran = generate(dir.path(), "export", &[]);
        assert!(ran.err.contains(&note(used)), "{}", ran.shown());
        assert_eq!(written(ran), whole);
        let ran = run(&[]);
        assert!(ran.err.contains(&note(used)), "{}", ran.shown());
        assert_eq!(ran.good(), run(&["--form", used]).good());
        // Asked for by name it is refused, by what it is.
        for ran in [
            run(&["--form", "parallel"]),
            generate(dir.path(), "export", &["--engine", "parallel"]),
            minrnn(dir.path(), &["verify", "export", "--max-len", "8"]),
        ] {
            assert_eq!(ran.code, Some(2), "{}", ran.shown());
            let words = "export/model.parallel.onnx: has the operator LinearAttention, which neither minrnn-runtime nor tract has; `minrnn verify --sequence export/model.parallel.onnx --step export/model.step.onnx` holds it";
            assert!(ran.err.contains(words), "{}", ran.shown());
            for untrue in ["<bytes>", "exporter writes"] {
                assert!(!ran.err.contains(untrue), "{}", ran.shown());
            }
        }
    }
}

/// A digit that is a character of the text is that character, and may be meant as the number of another token: the export says which.
#[test]
fn a_digit_as_end_of_stream_says_which_token_it_is() {
    let dir = folder();
    let text = dir.path().join("harbour.txt");
    let digits = fs::read_to_string(&text).unwrap() + &"0123456789".repeat(20);
    fs::write(&text, digits).unwrap();
    minrnn(dir.path(), &["train", "tiny.toml", "--out", "run"]).good();
    let export = |end: &str| {
        let flag = format!("--end-of-stream={end}");
        let ran = minrnn(dir.path(), &["export", "run", "--out", "export", &flag]);
        assert_eq!(ran.code, Some(0), "{}", ran.shown());
        let manifest = fs::read(dir.path().join("export/manifest.json")).unwrap();
        let manifest: Json = serde_json::from_slice(&manifest).unwrap();
        (ran, manifest)
    };
    let (ran, manifest) = export("3");
    let words = manifest["vocabulary"].as_array().unwrap();
    let token = words.iter().position(|w| w == "3").unwrap();
    assert_ne!(token, 3);
    assert_eq!(manifest["end_of_stream"]["token"], token);
    let note = format!(
        "note: --end-of-stream 3 is taken for the text of a token, which is token {token}; token 3 is {}",
        words[3]
    );
    assert!(ran.err.contains(&note), "{}", ran.shown());
    // The text of the other one leaves no doubt, nor does a number that is no text.
    for (end, wanted) in [(words[3].as_str().unwrap(), 3), ("11", 11)] {
        let (ran, manifest) = export(end);
        assert_eq!(manifest["end_of_stream"]["token"], wanted);
        assert!(!ran.err.contains("is taken for"), "{}", ran.shown());
    }
}

/// The text behind the prompt of a run that chooses by chance.
fn chosen(dir: &Path, folder: &str, flags: &[&str]) -> Ran {
    let all = ["generate", folder, "--prompt", PROMPT, "--length", "60"];
    minrnn(dir, &[&all[..], flags].concat())
}

#[test]
fn a_seed_writes_one_text_among_fewer_characters_by_every_engine() {
    let dir = trained();
    let flags: [&[&str]; 5] = [
        &["--top-k", "3"],
        &["--top-p", "0.6"],
        &["--top-k", "5", "--top-p", "0.5", "--temperature", "1.5"],
        &["--temperature", "1.5"],
        &["--top-k", "1"],
    ];
    let mut texts = vec![];
    for flags in flags {
        let seed: &[&str] = if flags[1] == "1" {
            &[]
        } else {
            &["--seed", "7"]
        };
        let flags = [flags, seed].concat();
        let text = written(chosen(dir.path(), "run", &flags));
        for engine in ["step", "parallel"] {
            let other = [&flags[..], &["--engine", engine]].concat();
            assert_eq!(
                written(chosen(dir.path(), "export", &other)),
                text,
                "{other:?}"
            );
        }
        texts.push(text);
    }
    assert_eq!(
        texts[4],
        written(chosen(dir.path(), "run", &["--temperature", "0"]))
    );
    let count = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), count, "{texts:?}");
}

#[test]
fn a_text_is_over_at_the_text_of_stop() {
    let dir = trained();
    let flags = ["--temperature", "0"];
    let whole = written(chosen(dir.path(), "run", &flags));
    // Two characters that do not stand at the beginning.
    let at = whole.char_indices().nth(9).unwrap().0;
    let stop: String = whole[at..].chars().take(2).collect();
    let at = whole.find(&stop).unwrap();
    for (folder, engine) in [
        ("run", "candle"),
        ("export", "step"),
        ("export", "parallel"),
    ] {
        let more = ["--engine", engine, "--stop", "@@", "--stop", &stop];
        let ran = chosen(dir.path(), folder, &[&flags[..], &more].concat());
        assert!(
            ran.err.contains(
                "--stop \"@@\" would change nothing: the model does not know the character '@'"
            ),
            "{}",
            ran.shown()
        );
        let ran = chosen(
            dir.path(),
            folder,
            &[&flags[..], &more[..2], &more[4..]].concat(),
        );
        let note = format!(
            "note: the text is over after {} of 60 characters: the model wrote {stop:?}, which --stop names",
            whole[..at].chars().count()
        );
        assert!(ran.err.contains(&note), "{}", ran.shown());
        assert_eq!(written(ran), whole[..at]);
    }
    // What was held back as the beginning of a text that does not come is shown at the end.
    let last: String = whole.chars().rev().take(1).collect();
    let stranger = whole.chars().find(|c| !whole.ends_with(*c)).unwrap();
    let never = format!("{last}{stranger}{last}{stranger}{last}{last}{stranger}");
    assert!(!whole.contains(&never));
    let ran = chosen(
        dir.path(),
        "run",
        &[&flags[..], &["--stop", &never]].concat(),
    );
    assert_eq!(written(ran), whole);
}

#[test]
fn flags_of_generate_that_change_nothing_are_refused_by_name() {
    let dir = trained();
    let said = |flags: &[&str]| {
        let ran = chosen(dir.path(), "run", flags);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        ran.err
    };
    for (flags, words) in [
        (
            &["--temperature", "0", "--top-k", "3"][..],
            "--top-k would change nothing: at --temperature 0",
        ),
        (
            &["--temperature", "0", "--top-p", "0.5"],
            "--top-p would change nothing: at --temperature 0",
        ),
        (
            &["--top-k", "1", "--top-p", "0.5"],
            "--top-p would change nothing: with --top-k 1",
        ),
        (
            &["--top-k", "1", "--temperature", "0.8"],
            "--temperature would change nothing: with --top-k 1",
        ),
        (
            &["--top-k", "1", "--seed", "0"],
            "--seed would change nothing: with --top-k 1",
        ),
        (
            &["--top-k", "1000"],
            "--top-k 1000 would change nothing: the model knows",
        ),
        (&["--top-k", "0"], "expected a whole number of at least 1"),
        (&["--top-p", "1"], "--top-p 1 would change nothing"),
        (
            &["--top-p", "-0.5"],
            "--top-p is -0.5, expected more than 0 and less than 1",
        ),
        (&["--top-p", "nan"], "--top-p is NaN, expected more than 0"),
        (&["--stop", ""], "--stop \"\": the text is empty"),
        (
            &["--stop", "a", "--stop", "a"],
            "--stop \"a\" is given twice",
        ),
        (
            &["--stop", "a", "--stop", "bac"],
            "--stop \"bac\" would change nothing: --stop \"a\" is in it, and comes first",
        ),
        (
            &["--stop", &"a".repeat(61)],
            "it has 61 characters, and --length 60 ends the text before",
        ),
    ] {
        let err = said(flags);
        assert!(err.contains(words), "{flags:?}: {err}");
    }
}
