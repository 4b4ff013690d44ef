//! The rules, on plain data: each gives what breaks it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::lexer::{Kind, Token};

/// A dependency of a package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) of: String,
    pub(super) on: String,
    /// For tests and examples only.
    pub(super) dev: bool,
}

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    Dependency(Dependency, &'static str),
    Word {
        path: PathBuf,
        line: usize,
        word: String,
        why: &'static str,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency(d, why) => write!(f, "{} depends on {}: {why}", d.of, d.on),
            Self::Word {
                path,
                line,
                word,
                why,
            } => write!(f, "{}:{line}: `{word}`: {why}", path.display()),
        }
    }
}

/// First words of package names, and who may depend on them.
const FRAMEWORKS: [(&str, &[&str], &str); 8] = [
    ("prost", &["minrnn-onnx"], "only minrnn-onnx sees protobuf"),
    ("protox", &["minrnn-onnx"], "only minrnn-onnx sees protobuf"),
    (
        "tract",
        &["minrnn-runtime"],
        "only minrnn-runtime sees tract",
    ),
    (
        "candle",
        &["minrnn-kernels", "minrnn-train", "minrnn-cli"],
        "candle is for kernels, training and the binary",
    ),
    (
        "cudarc",
        &["minrnn-kernels"],
        "only minrnn-kernels sees CUDA",
    ),
    (
        "clap",
        &["minrnn-cli"],
        "only the binary has a command line",
    ),
    (
        "anyhow",
        &["minrnn-cli"],
        "libraries have errors with names",
    ),
    ("indicatif", &["minrnn-cli"], "only the binary prints"),
];

/// Each framework is seen by its crates only, tests aside.
pub(super) fn frameworks(all: &[Dependency]) -> Vec<Finding> {
    let mut found = vec![];
    for d in all.iter().filter(|d| !d.dev && d.of != "minrnn-tests") {
        for (family, allowed, why) in FRAMEWORKS {
            if d.on.split(['-', '_']).next() == Some(family) && !allowed.contains(&d.of.as_str()) {
                found.push(Finding::Dependency(d.clone(), why));
            }
        }
    }
    found
}

fn floor(name: &str) -> Option<u32> {
    match name {
        "minrnn-model" => Some(0),
        "minrnn-kernels" => Some(1),
        "minrnn-train" | "minrnn-onnx" | "minrnn-runtime" => Some(2),
        "minrnn-cli" => Some(3),
        "minrnn-tests" => Some(4),
        _ => None,
    }
}

/// A crate depends on lower floors only, in tests too; the runtime on no sibling.
pub(super) fn arrows(all: &[Dependency]) -> Vec<Finding> {
    let ours = all.iter().filter(|d| d.on.starts_with("minrnn"));
    let wrong = ours.filter_map(|d| {
        let why = match (floor(&d.of), floor(&d.on)) {
            (None, _) | (_, None) => "has no floor; give it one in crates/README.md and here",
            (Some(of), Some(on)) if of <= on => "arrows point down",
            _ if d.of == "minrnn-runtime" => {
                "the file is the contract of the runtime, it knows no sibling"
            }
            _ => return None,
        };
        Some(Finding::Dependency(d.clone(), why))
    });
    wrong.collect()
}

/// A rule on words: for the word at an index, why it must not stand there.
pub(super) type Rule = fn(&[Token], usize) -> Option<&'static str>;

pub(super) fn in_file(path: &Path, tokens: &[Token], rule: Rule) -> Vec<Finding> {
    let words = (0..tokens.len()).filter(|i| tokens[*i].kind == Kind::Word);
    let wrong = words.filter_map(|i| {
        let why = rule(tokens, i)?;
        Some(Finding::Word {
            path: path.into(),
            line: tokens[i].line,
            word: tokens[i].text.clone(),
            why,
        })
    });
    wrong.collect()
}

pub(super) fn unsafe_words(tokens: &[Token], i: usize) -> Option<&'static str> {
    match tokens[i].text.as_str() {
        "unsafe" => Some("only minrnn-kernels is unsafe"),
        "unsafe_code" => Some("only minrnn-kernels may lift this lint"),
        _ => None,
    }
}

pub(super) fn outside_world(tokens: &[Token], i: usize) -> Option<&'static str> {
    let called_as_macro = tokens.get(i + 1).is_some_and(|t| t.is("!"));
    match tokens[i].text.as_str() {
        "print" | "println" | "eprint" | "eprintln" | "dbg" if called_as_macro => {
            Some("libraries do not print")
        }
        "stdout" | "stderr" => Some("libraries do not print"),
        // `env!` is read when the crate is built.
        "env" if !called_as_macro => Some("libraries do not read the environment"),
        "new_cuda" | "new_cuda_with_stream" | "cuda_if_available" | "new_metal" => {
            Some("libraries do not choose a device")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::super::sources::code;
    use super::*;

    fn dependency(of: &str, on: &str) -> Dependency {
        Dependency {
            of: of.into(),
            on: on.into(),
            dev: false,
        }
    }

    fn words(rule: Rule, source: &str) -> Vec<String> {
        let found = in_file(Path::new("x.rs"), &code(&tokens(source)).tokens, rule);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_framework_in_the_wrong_crate_is_found() {
        for (of, on) in [
            ("minrnn-cli", "prost"),
            ("minrnn-model", "prost-types"),
            ("minrnn-onnx", "tract-onnx"),
            ("minrnn-onnx", "candle-core"),
            ("minrnn-model", "candle-nn"),
            ("minrnn-train", "anyhow"),
            ("minrnn-runtime", "clap"),
            ("minrnn-train", "cudarc"),
        ] {
            let wrong = dependency(of, on);
            assert_eq!(
                frameworks(std::slice::from_ref(&wrong)).len(),
                1,
                "{of} on {on}"
            );
            assert!(
                frameworks(&[Dependency { dev: true, ..wrong }]).is_empty(),
                "tests may"
            );
        }
        assert!(
            frameworks(&[
                dependency("minrnn-onnx", "prost"),
                dependency("minrnn-model", "prosthesis")
            ])
            .is_empty()
        );
    }

    #[test]
    fn an_arrow_that_points_up_or_aside_is_found() {
        for (of, on) in [
            ("minrnn-model", "minrnn-kernels"),
            ("minrnn-onnx", "minrnn-train"),
            ("minrnn-model", "minrnn-cli"),
            ("minrnn-runtime", "minrnn-model"),
            ("minrnn-cli", "minrnn-new"),
        ] {
            assert_eq!(arrows(&[dependency(of, on)]).len(), 1, "{of} on {on}");
        }
        assert!(
            arrows(&[
                dependency("minrnn-cli", "minrnn-onnx"),
                dependency("minrnn-model", "serde")
            ])
            .is_empty()
        );
    }

    #[test]
    fn unsafe_code_is_found() {
        let found = words(
            unsafe_words,
            "#![allow(unsafe_code)]\n// unsafe\nfn f() { unsafe { g(\"unsafe\") } }",
        );
        let wanted = [
            "x.rs:1: `unsafe_code`: only minrnn-kernels may lift this lint",
            "x.rs:3: `unsafe`: only minrnn-kernels is unsafe",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn prints_environment_and_devices_are_found() {
        for wrong in [
            "fn f() { println!(\"x\") }",
            "fn f() { std::eprint!(\"x\") }",
            "fn f() { dbg!(1); }",
            "fn f() { write!(std::io::stdout(), \"x\") }",
            "use std::{env, fs};",
            "fn f() { std::env::var(\"X\") }",
            "fn f() { Device::new_cuda(0) }",
            "fn f() { candle_core::Device::cuda_if_available(0) }",
        ] {
            assert_eq!(words(outside_world, wrong).len(), 1, "{wrong}");
        }
        let fine = "// println!\nconst V: &str = env!(\"CARGO_PKG_VERSION\");\nfn print(x: u8) {}\n#[cfg(test)] mod tests { fn f() { println!() } }";
        assert_eq!(words(outside_world, fine), Vec::<String>::new());
    }
}
