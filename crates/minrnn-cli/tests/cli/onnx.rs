//! ONNX files and exports that cannot be used.

use std::fs;
use std::path::Path;

use minrnn_onnx::builder::Builder;
use minrnn_onnx::ir::{DType, Dim, Model};

use crate::harness::{minrnn, snapshot, trained};

/// A file that is good ONNX and nothing of minrnn's: y = x + x.
fn foreign() -> Vec<u8> {
    let mut b = Builder::new("double");
    let dims = vec![Dim::symbol("batch"), Dim::Fixed(3)];
    let x = b.input("x", DType::F32, dims.clone());
    let y = b.add(x, x);
    b.output("y", y, DType::F32, dims);
    let graph = b.finish().unwrap();
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph,
        ..Model::default()
    }
    .encode()
}

/// Puts bytes in the place of an exported file, with a manifest that knows them or not.
fn replace(dir: &Path, bytes: &[u8], known: bool) {
    let path = dir.join("export/model.step.onnx");
    let hash = |bytes: &[u8]| -> String {
        use sha2::{Digest, Sha256};
        Sha256::digest(bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    };
    let old = hash(&fs::read(&path).unwrap());
    fs::write(&path, bytes).unwrap();
    if known {
        let manifest = dir.join("export/manifest.json");
        let text = fs::read_to_string(&manifest).unwrap();
        assert!(text.contains(&old));
        fs::write(&manifest, text.replace(&old, &hash(bytes))).unwrap();
    }
}

/// Every command that reads an export says the same.
fn refused(name: &str, dir: &Path) {
    let ran = minrnn(dir, &["verify", "export"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    for args in [
        &["generate", "export"][..],
        &["run", "export", "--input", "-"],
    ] {
        let other = minrnn(dir, args);
        assert_eq!((other.code, other.err), (Some(2), ran.err.clone()));
    }
    snapshot(name, &ran);
}

#[test]
fn inspect_reads_foreign_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("double.onnx"), foreign()).unwrap();
    snapshot(
        "inspect_foreign",
        &minrnn(dir.path(), &["inspect", "double.onnx"]),
    );
    snapshot(
        "inspect_foreign_json",
        &minrnn(dir.path(), &["inspect", "double.onnx", "--json"]),
    );
}

#[test]
fn inspect_refuses_what_is_no_onnx() {
    let dir = tempfile::tempdir().unwrap();
    let bad = |name: &str, bytes: &[u8]| {
        fs::write(dir.path().join("model.onnx"), bytes).unwrap();
        let ran = minrnn(dir.path(), &["inspect", "model.onnx"]);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        snapshot(name, &ran);
    };
    bad("inspect_text", b"no ONNX at all");
    bad("inspect_empty", b"");
    let whole = foreign();
    bad("inspect_truncated", &whole[..whole.len() - 9]);
    let ran = minrnn(dir.path(), &["inspect", "other.onnx"]);
    assert_eq!(ran.code, Some(2));
    snapshot("inspect_no_file", &ran);
}

#[test]
fn a_changed_file_is_refused() {
    let dir = trained();
    let mut bytes = fs::read(dir.path().join("export/model.step.onnx")).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    replace(dir.path(), &bytes, false);
    refused("export_changed", dir.path());
}

#[test]
fn a_truncated_file_is_refused() {
    let dir = trained();
    let bytes = fs::read(dir.path().join("export/model.step.onnx")).unwrap();
    replace(dir.path(), &bytes[..bytes.len() / 2], true);
    refused("export_truncated", dir.path());
}

#[test]
fn a_foreign_file_is_refused() {
    let dir = trained();
    replace(dir.path(), &foreign(), true);
    refused("export_foreign_file", dir.path());
}

#[test]
fn a_file_that_is_no_onnx_is_refused() {
    let dir = trained();
    replace(dir.path(), b"no ONNX at all", true);
    refused("export_no_onnx", dir.path());
}

#[test]
fn a_missing_file_is_refused() {
    let dir = trained();
    fs::remove_file(dir.path().join("export/model.step.onnx")).unwrap();
    refused("export_missing_file", dir.path());
}

#[test]
fn a_folder_that_is_no_export_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("export")).unwrap();
    let ran = minrnn(dir.path(), &["verify", "export"]);
    assert_eq!(ran.code, Some(2));
    snapshot("export_is_none", &ran);
    let ran = minrnn(dir.path(), &["verify", "nowhere"]);
    assert_eq!(ran.code, Some(2));
    snapshot("export_no_folder", &ran);
    let ran = minrnn(dir.path(), &["generate", "export"]);
    assert_eq!(ran.code, Some(2));
    snapshot("generate_neither", &ran);
}
