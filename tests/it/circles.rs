//! No two files of a crate lean on each other: what a file names with `use`, or by a path, never leads back to it. A folder's `mod.rs`
//! and what is below it belong together and are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Module = Vec<String>;

/// The modules of a crate, by their place.
fn modules(src: &Path) -> BTreeMap<Module, String> {
    fn walk(dir: &Path, at: &[String], found: &mut BTreeMap<Module, String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let below = [at, std::slice::from_ref(&stem)].concat();
            if path.is_dir() {
                walk(&path, &below, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let own = ["mod", "lib", "main"].contains(&stem.as_str());
                let module = if own { at.to_vec() } else { below };
                found.insert(module, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(src, &[], &mut found);
    found.retain(|module, _| !module.iter().any(|part| part.contains("test")));
    found
}

/// The code without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let line = |line: &str| line.split("//").next().unwrap_or("").to_owned();
    text.lines().map(line).collect::<Vec<_>>().join(" ")
}

/// Paths of a `use`, its braces multiplied out.
fn expanded(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or("").trim().to_owned()];
    };
    let (mut parts, mut depth, mut from) = (vec![], 0, 0);
    for (i, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&rest[from..i]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&rest[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(expanded)
        .map(|path| format!("{before}{path}"))
        .collect()
}

/// All paths that begin with `crate`, `super` or `self` and stand in the code.
fn paths(code: &str) -> Vec<String> {
    let mut all = vec![];
    for part in code.split("use ").skip(1) {
        let tree = part.split(';').next().unwrap_or("");
        if ["crate", "super", "self"]
            .iter()
            .any(|w| tree.trim_start().starts_with(w))
        {
            all.extend(expanded(tree));
        }
    }
    for word in ["crate::", "super::"] {
        for (at, _) in code.match_indices(word) {
            let path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let end = code[at..].find(|c| !path(c)).unwrap_or(code.len() - at);
            all.push(code[at..at + end].to_owned());
        }
    }
    all
}

/// The file that a path leads to.
fn target(path: &str, from: &Module, modules: &BTreeMap<Module, String>) -> Module {
    let parts: Vec<&str> = path.split("::").map(str::trim).collect();
    let mut at = match parts.first() {
        Some(&"crate") => vec![],
        _ => from.clone(),
    };
    for part in parts {
        match part {
            "crate" | "self" => {}
            "super" => drop(at.pop()),
            name => {
                at.push(name.to_owned());
                if !modules.contains_key(&at) {
                    at.pop();
                    break;
                }
            }
        }
    }
    at
}

/// From each file to the files that it leans on, of other branches of the tree.
fn edges(modules: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let related = |a: &Module, b: &Module| a.starts_with(b) || b.starts_with(a);
    let of = |(module, text): (&Module, &String)| {
        let found = paths(&code(text)).into_iter();
        let found = found.map(|path| target(&path, module, modules));
        let found = found.filter(|to| modules.contains_key(to) && !related(to, module));
        (module.clone(), found.collect())
    };
    modules.iter().map(of).collect()
}

/// Everything that is reached from a file.
fn reached(from: &Module, edges: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in edges.get(module).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen
}

fn circles(modules: &BTreeMap<Module, String>) -> Vec<String> {
    let edges = edges(modules);
    let reach: BTreeMap<&Module, BTreeSet<Module>> =
        edges.keys().map(|m| (m, reached(m, &edges))).collect();
    let mut found = vec![];
    for (module, next) in &edges {
        let back = |to: &&Module| reach.get(*to).is_some_and(|all| all.contains(module));
        for to in next.iter().filter(back) {
            found.push(format!("{} -> {}", module.join("/"), to.join("/")));
        }
    }
    found
}

#[test]
fn no_two_files_of_a_crate_lean_on_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = vec![];
    let mut files = 0;
    for entry in std::fs::read_dir(root.join("crates")).unwrap() {
        let path = entry.unwrap().path();
        let src = path.join("src");
        if src.is_dir() {
            let modules = modules(&src);
            files += modules.len();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            found.extend(
                circles(&modules)
                    .into_iter()
                    .map(|c| format!("{name}: {c}")),
            );
        }
    }
    found.sort();
    assert!(files > 300, "{files} files looked at");
    assert!(found.is_empty(), "circles:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_found_through_braces_paths_and_other_files() {
    let text = |all: &[(&str, &str)]| -> BTreeMap<Module, String> {
        let module = |path: &str| path.split('/').map(str::to_owned).collect();
        all.iter()
            .map(|(m, t)| (module(m), (*t).to_owned()))
            .collect()
    };
    let circle = text(&[
        ("a", "use crate::{b::{self, X}, c};\n"),
        ("b", "use super::c::Y;"),
        ("c", "fn f() { super::a::g() } // crate::b"),
    ]);
    let found = circles(&circle);
    assert_eq!(found, ["a -> b", "a -> c", "b -> c", "c -> a"]);
    let none = text(&[
        ("a", "use crate::b::X;"),
        ("b", "// use crate::a::Y;"),
        ("a/d", "use super::super::a;"),
    ]);
    assert_eq!(circles(&none), Vec::<String>::new());
}
