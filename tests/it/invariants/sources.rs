//! Which sources there are, and which of their tokens are not tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::lexer::{Kind, Token, tokens};

pub(super) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All files with an extension below a folder, sorted.
pub(super) fn below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("readable").path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(below(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Tokens of all sources below `folder` but those that are compiled for tests only.
pub(super) fn outside_tests(folder: &Path) -> Vec<(PathBuf, Vec<Token>)> {
    let mut files = vec![];
    let mut tests = BTreeSet::new();
    for path in below(folder, "rs") {
        let code = code(&tokens(&text(&path)));
        tests.extend(code.test_modules.iter().flat_map(|m| m.places(&path)));
        files.push((path, code.tokens));
    }
    files.retain(|(path, _)| !tests.iter().any(|t| path.starts_with(t)));
    files
}

/// The tokens of a file that are not compiled for tests only.
pub(super) struct Code {
    pub(super) tokens: Vec<Token>,
    /// Modules in files of their own that are.
    pub(super) test_modules: Vec<TestModule>,
}

/// `#[cfg(test)] mod name;`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestModule {
    pub(super) name: String,
    /// `#[path = ".."]`.
    pub(super) path: Option<String>,
}

impl TestModule {
    /// The file or folder that it may stand in.
    fn places(&self, declared_in: &Path) -> Vec<PathBuf> {
        let folder = declared_in.parent().expect("a file is in a folder");
        if let Some(path) = &self.path {
            return vec![folder.join(path)];
        }
        let stem = declared_in.file_stem().expect("a file has a name");
        let own = ["mod", "lib", "main"].iter().any(|s| stem == *s);
        let folder = if own {
            folder.to_path_buf()
        } else {
            folder.join(stem)
        };
        vec![
            folder.join(format!("{}.rs", self.name)),
            folder.join(&self.name),
        ]
    }
}

pub(super) fn code(all: &[Token]) -> Code {
    let mut code = Code {
        tokens: vec![],
        test_modules: vec![],
    };
    let mut at = 0;
    while at < all.len() {
        let attribute = attribute(&all[at..]);
        if attribute.is_some_and(|len| only_for_tests(&all[at..at + len])) {
            let item = item(&all[at..]);
            code.test_modules
                .extend(module_in_a_file(&all[at..at + item]));
            at += item;
        } else {
            code.tokens.push(all[at].clone());
            at += 1;
        }
    }
    code
}

/// Tokens of the outer attribute that stands here.
fn attribute(rest: &[Token]) -> Option<usize> {
    (rest.len() > 1 && rest[0].is("#") && rest[1].is("[")).then(|| 1 + group(&rest[1..]))
}

/// Whether an attribute is `#[test]`, `#[cfg(test)]` or `#[cfg(all(.., test, ..))]`.
fn only_for_tests(attribute: &[Token]) -> bool {
    let words: Vec<_> = attribute
        .iter()
        .filter(|t| t.kind == Kind::Word)
        .map(|t| t.text.as_str())
        .collect();
    match words[..] {
        ["test"] | ["cfg", "test"] => true,
        ["cfg", "all", ref rest @ ..] => {
            rest.contains(&"test") && !rest.iter().any(|w| ["any", "not"].contains(w))
        }
        _ => false,
    }
}

/// Tokens up to the bracket that closes the first one.
fn group(rest: &[Token]) -> usize {
    let mut depth = 0;
    for (i, t) in rest.iter().enumerate() {
        if ["(", "[", "{"].iter().any(|m| t.is(m)) {
            depth += 1;
        } else if [")", "]", "}"].iter().any(|m| t.is(m)) {
            depth -= 1;
        }
        if depth == 0 {
            return i + 1;
        }
    }
    rest.len()
}

/// Tokens of an item, statement, field or match arm with its attributes.
fn item(rest: &[Token]) -> usize {
    let mut at = 0;
    while let Some(len) = attribute(&rest[at..]) {
        at += len;
    }
    while at < rest.len() {
        let t = &rest[at];
        if t.is(";") || t.is(",") {
            return at + 1;
        }
        if t.is("{") {
            return at + group(&rest[at..]);
        }
        if [")", "]", "}"].iter().any(|m| t.is(m)) {
            return at;
        }
        at += if t.is("(") || t.is("[") {
            group(&rest[at..])
        } else {
            1
        };
    }
    at
}

fn module_in_a_file(item: &[Token]) -> Option<TestModule> {
    let [.., word, name, end] = item else {
        return None;
    };
    let path = item
        .windows(3)
        .find(|w| w[0].is("path") && w[1].is("="))
        .map(|w| w[2].text.clone());
    (word.is("mod") && end.is(";")).then(|| TestModule {
        name: name.text.clone(),
        path,
    })
}

#[test]
fn what_is_for_tests_only_is_left_out() {
    let source = r#"
fn kept() { #[cfg(test)] if forced() { return hidden; } also_kept() }
#[cfg(test)] #[path = "far_tests.rs"] mod far;
#[cfg(test)]
mod tests;
#[cfg(all(test, unix))] mod hidden_too { fn f(hidden: [u8; 3]) {} }
#[cfg(not(test))] fn kept_too() {}
#[cfg(any(test, feature = "x"))] fn kept_as_well() {}
match x { #[cfg(test)] Kind::Hidden => hidden(), Kind::Kept => kept_arm() }
#[test] fn hidden_test() { hidden }
#[cfg(test)] use hidden::Hidden;
fn last_kept() {}
"#;
    let code = code(&tokens(source));
    let words: Vec<_> = code
        .tokens
        .iter()
        .filter(|t| t.kind == Kind::Word)
        .map(|t| t.text.as_str())
        .collect();
    assert!(
        words
            .iter()
            .all(|w| !w.to_lowercase().contains("hidden") && *w != "forced"),
        "{words:?}"
    );
    for kept in [
        "kept",
        "also_kept",
        "kept_too",
        "kept_as_well",
        "kept_arm",
        "last_kept",
    ] {
        assert!(words.contains(&kept), "{kept} in {words:?}");
    }
    let module = |name: &str, path: Option<&str>| TestModule {
        name: name.into(),
        path: path.map(Into::into),
    };
    assert_eq!(
        code.test_modules,
        [module("far", Some("far_tests.rs")), module("tests", None)]
    );
    let places = |m: &TestModule, file: &str| m.places(Path::new(file));
    assert_eq!(
        places(&code.test_modules[0], "src/a.rs"),
        [Path::new("src/far_tests.rs")]
    );
    assert_eq!(
        places(&code.test_modules[1], "src/a.rs"),
        [Path::new("src/a/tests.rs"), Path::new("src/a/tests")]
    );
    assert_eq!(
        places(&code.test_modules[1], "src/a/mod.rs")[0],
        Path::new("src/a/tests.rs")
    );
}
