//! The invariants of `crates/README.md`, most of them absences.

mod lexer;
mod rules;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use minrnn_model::model::Model;
use minrnn_onnx::export::{DirOptions, write_export};
use rules::{Dependency, Finding};

/// Crates that are libraries; the other one is the binary.
const LIBRARIES: [&str; 5] = [
    "minrnn-model",
    "minrnn-kernels",
    "minrnn-train",
    "minrnn-onnx",
    "minrnn-runtime",
];
/// The one that may be unsafe.
const UNSAFE: &str = "minrnn-kernels";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the repository")
        .into()
}

/// Dependencies of all packages of the workspace, as cargo understands them.
fn dependencies() -> Vec<Dependency> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = [
        "metadata",
        "--offline",
        "--no-deps",
        "--format-version",
        "1",
    ];
    let output = Command::new(cargo)
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |v: &serde_json::Value| v.as_str().expect("a string").to_owned();
    let list = |v: &serde_json::Value| v.as_array().expect("a list").clone();
    let mut found = vec![];
    for package in list(&json["packages"]) {
        for d in list(&package["dependencies"]) {
            let dev = d["kind"].as_str() == Some("dev");
            found.push(Dependency {
                of: text(&package["name"]),
                on: text(&d["name"]),
                dev,
            });
        }
    }
    found
}

/// Crates that a program builds for exact execution alone: minrnn-runtime without its feature `tract`, and this itself.
fn lean() -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = "tree --offline -p minrnn-runtime --no-default-features -e normal --prefix none";
    let output = Command::new(cargo)
        .args(args.split(' '))
        // Features of one package, not of all that the workspace has.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let names = text.lines().filter_map(|l| l.split(' ').next());
    names.filter(|n| !n.is_empty()).map(String::from).collect()
}

/// The most that [`lean`] may be.
const LEAN: usize = 28;

#[test]
fn exact_execution_alone_needs_few_crates() {
    let crates = lean();
    assert!(crates.contains("minrnn-runtime"), "{crates:?}");
    assert!(
        crates.len() <= LEAN,
        "{} crates, at most {LEAN}: {crates:?}",
        crates.len()
    );
    // What makes a small build a long one.
    let heavy = ["tract", "prost", "candle", "syn", "rayon"];
    let family = |name: &String| name.split('-').next().map(String::from);
    let found = crates.iter().filter_map(family);
    let found: Vec<String> = found.filter(|n| heavy.contains(&n.as_str())).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[track_caller]
fn none(findings: impl IntoIterator<Item = Finding>) {
    let lines: Vec<_> = findings.into_iter().map(|f| f.to_string()).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn each_framework_is_seen_by_its_crates_only() {
    let all = dependencies();
    for library in LIBRARIES {
        assert!(
            all.iter().any(|d| d.of == library),
            "{library} is in the workspace"
        );
    }
    none(rules::frameworks(&all));
}

#[test]
fn arrows_point_down() {
    none(rules::arrows(&dependencies()));
}

#[test]
fn only_the_kernels_are_unsafe() {
    let folders = [root().join("crates"), root().join("tests")];
    let all: Vec<_> = folders
        .iter()
        .flat_map(|f| sources::below(f, "rs"))
        .collect();
    let inside = |p: &Path| p.starts_with(root().join("crates").join(UNSAFE));
    assert!(
        all.iter().any(|p| inside(p)) && all.iter().any(|p| !inside(p)),
        "the sources were found"
    );
    for path in all.iter().filter(|p| !inside(p)) {
        none(rules::in_file(
            path,
            &lexer::tokens(&sources::text(path)),
            rules::unsafe_words,
        ));
    }
    let device = folders
        .iter()
        .flat_map(|f| ["cu", "cuh", "ptx"].map(|e| sources::below(f, e)))
        .flatten();
    let strays: Vec<_> = device.filter(|p| !inside(p)).collect();
    assert!(
        strays.is_empty(),
        "device code outside of {UNSAFE}: {strays:?}"
    );
}

#[test]
fn every_crate_takes_the_workspaces_lints() {
    let manifest = |p: PathBuf| -> toml::Table { sources::text(&p).parse().expect("TOML") };
    let workspace = manifest(root().join("Cargo.toml"));
    let level = workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str();
    assert!(
        matches!(level, Some("deny" | "forbid")),
        "unsafe_code is {level:?} in the workspace"
    );
    let mut manifests = sources::below(&root().join("crates"), "toml");
    manifests.retain(|p| p.ends_with("Cargo.toml"));
    assert!(
        manifests.len() > LIBRARIES.len(),
        "the manifests were found"
    );
    for path in manifests
        .into_iter()
        .chain([root().join("tests/Cargo.toml")])
    {
        let lints = manifest(path.clone())
            .get("lints")
            .and_then(|l| l.get("workspace"))
            .and_then(toml::Value::as_bool);
        assert_eq!(
            lints,
            Some(true),
            "{}: wants [lints] workspace = true",
            path.display()
        );
    }
}

#[test]
fn libraries_do_not_print_nor_read_the_environment_nor_choose_a_device() {
    for library in LIBRARIES {
        let folder = root().join("crates").join(library).join("src");
        let files = sources::outside_tests(&folder);
        assert!(!files.is_empty(), "{} has sources", folder.display());
        for (path, tokens) in files {
            none(rules::in_file(&path, &tokens, rules::outside_world));
        }
    }
}

/// Names and bytes of an export's files.
/// A step that waits for its device in a second place would be slow on a GPU without a word.
#[test]
fn a_training_reads_from_its_device_in_one_place() {
    let src = root().join("crates/minrnn-train/src");
    let mut looked = 0;
    for part in ["run", "trainer", "optim", "tape/op"] {
        for file in sources::below(&src.join(part), "rs") {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let tests = file.to_str().unwrap().contains("test");
            looked += 1;
            for (n, line) in code.lines().enumerate() {
                let reads = ["to_scalar", "to_vec0", "to_vec1", "to_vec2", "to_vec3"];
                let reads = reads.iter().any(|word| line.contains(word));
                // Weights that are saved are copied; a step does not.
                let saved =
                    text.contains("pub fn to_params") && line.contains("to_vec1::<f32>()?;");
                assert!(
                    !reads || tests || saved,
                    "{}:{}: {line}",
                    file.display(),
                    n + 1
                );
            }
        }
    }
    assert!(looked > 20, "{looked} files");
}

fn export(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let golden = crate::golden::read::Golden::read(bytes).expect("golden data");
    let model = Model::from_config(&golden.config).expect("a model");
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_export(
        dir.path(),
        &model,
        &golden.params(&model),
        &DirOptions::default(),
    )
    .expect("exports");
    let entries = std::fs::read_dir(dir.path())
        .expect("readable")
        .map(|e| e.expect("readable").path());
    entries
        .map(|p| {
            (
                p.file_name()
                    .map_or(String::new(), |n| n.to_string_lossy().into_owned()),
                std::fs::read(&p).expect("readable"),
            )
        })
        .collect()
}

/// One function, as young as any, in every place that had to hear of it: its line in the table of functions, the oracle, candle, the
/// tape's table of kernels, and the checker's table of operators. Lowerings take the operator's name from the first.
#[test]
fn a_function_of_one_argument_costs_five_files() {
    let places = ["Unary::Sin", "        Sin,", "\"Sin\" 7"];
    let mut found = vec![];
    for library in [
        "minrnn-model",
        "minrnn-kernels",
        "minrnn-train",
        "minrnn-onnx",
    ] {
        let folder = root().join("crates").join(library).join("src");
        let outside = sources::outside_tests(&folder)
            .into_iter()
            .map(|(path, _)| path);
        // The judge knows the standard's operators, whether a model has them or not; a layer that uses a function is no cost of it.
        let other = ["eval", "layers"];
        let own = outside.filter(|p| {
            !p.components()
                .any(|c| other.iter().any(|o| c.as_os_str() == *o))
        });
        found.extend(own.filter(|p| {
            let text = sources::text(p);
            places.iter().any(|place| text.contains(place))
        }));
    }
    let has = |end: &str| found.iter().any(|p| p.ends_with(end));
    assert!(
        has("graph/functions.rs") && has("oracle/functions.rs") && has("run/ops.rs"),
        "the places were found: {found:?}"
    );
    assert!(found.len() <= 5, "{} files: {found:?}", found.len());
}

/// A kernel for a fused layer on the tape is one file and one line: no other file names its launches.
#[test]
fn a_fused_kernel_costs_one_file_and_one_line() {
    let train = root().join("crates/minrnn-train/src");
    let files = sources::outside_tests(&train);
    let text = |end: &str| {
        let found = files.iter().find(|(path, _)| path.ends_with(end));
        sources::text(&found.unwrap_or_else(|| panic!("no {end}")).0)
    };
    let table = text("tape/op/mod.rs");
    let mut looked = 0;
    for (path, _) in &files {
        let own = sources::text(path);
        let table_itself = path.ends_with("op/mod.rs");
        let is_layer = own.contains("pub(super) fn layer(") && !table_itself;
        if !path.starts_with(train.join("tape/op")) || !is_layer {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let lines = table
            .lines()
            .filter(|l| l.contains(&format!("{name}::layer")));
        assert_eq!(lines.count(), 1, "lines of {name} in the table");
        for launch in own
            .lines()
            .filter_map(|l| l.strip_prefix("impl Kernel for "))
        {
            let launch = launch.trim_end_matches(" {");
            let word = |text: &str| text.contains(&format!("{name}::{launch}"));
            // The table hands some to tests.
            let others = files.iter().map(|(p, _)| p).filter(|p| *p != path);
            let others =
                others.filter(|p| p.starts_with(train.join("tape")) && !p.ends_with("op/mod.rs"));
            let strangers: Vec<_> = others.filter(|p| word(&sources::text(p))).collect();
            assert!(
                strangers.is_empty(),
                "{launch} of {name} is named in {strangers:?}"
            );
            looked += 1;
        }
    }
    assert!(looked >= 8, "{looked} launches looked at");
}

#[test]
fn the_same_model_gives_the_same_bytes_twice() {
    for (name, bytes) in crate::golden::read::files() {
        let (once, again) = (export(&bytes), export(&bytes));
        assert!(once.len() >= 5, "{name}: {:?}", once.keys());
        assert_eq!(
            once.keys().collect::<Vec<_>>(),
            again.keys().collect::<Vec<_>>(),
            "{name}"
        );
        for (file, bytes) in once {
            assert!(
                again[&file] == bytes,
                "{name}: {file} differs from one export to the next"
            );
        }
    }
}
