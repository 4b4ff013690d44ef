//! Weights beside the graph: only plain files of the graph's own folder, and each published way around that refused by name.
//!
//! What is published against readers of ONNX files and concerns none here (downloads, archives, saving): docs/safety.md.

use std::path::Path;

#[cfg(feature = "tract")]
use minrnn_runtime::AnyModel;
use minrnn_runtime::{Error, ErrorKind, Model, Options};

use crate::support::build::{Form, Spec};
use crate::support::features;
use crate::support::proto::File;

const NAME: &str = "z.weight";
const BESIDE: &str = "model.weights.bin";

/// A folder with the file of a weight, and the model whose weight it is; `entries` say where.
fn folder(entries: &[(&str, &str)]) -> (tempfile::TempDir, File) {
    let dir = tempfile::tempdir().unwrap();
    let mut file = Spec::gated(Form::Scan).file();
    let weight = file
        .graph
        .weights
        .iter_mut()
        .find(|w| w.name == NAME)
        .unwrap();
    std::fs::write(dir.path().join(BESIDE), &weight.raw).unwrap();
    weight.raw.clear();
    let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    weight.entries = entries.iter().map(own).collect();
    (dir, file)
}

fn open(dir: &Path, file: &File) -> Result<Model, Error> {
    Model::from_bytes_in(dir, &file.to_bytes(), &Options::default())
}

#[track_caller]
fn refused_in(dir: &Path, file: &File, words: &str) {
    let error = open(dir, file).expect_err("must be refused");
    assert_eq!(error.kind(), ErrorKind::Contract, "{error}");
    assert_eq!(error.place(), Some("initializer `z.weight`"), "{error}");
    assert!(error.to_string().contains(words), "{error}");
    // The reader of other programs' files holds to the same.
    let path = dir.join("model.onnx");
    std::fs::write(&path, file.to_bytes()).unwrap();
    #[cfg(feature = "tract")]
    {
        let error = AnyModel::open(&path).expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Contract, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // Bytes that have a file's name are called by it.
    let error = Model::from_bytes_of(&path, &file.to_bytes(), &Options::default());
    let error = error.expect_err("must be refused").to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    assert!(error.contains(words), "{error}");
}

#[track_caller]
fn refused(entries: &[(&str, &str)], words: &str) {
    let (dir, file) = folder(entries);
    refused_in(dir.path(), &file, words);
}

#[test]
fn a_plain_file_of_the_folder_is_read() {
    let (dir, file) = folder(&[("location", BESIDE)]);
    let model = open(dir.path(), &file).unwrap();
    let inline = Spec::gated(Form::Scan).model();
    let run = |m: &Model| {
        let state = m.initial_state(2).unwrap();
        m.run(features(&[0.5; 2 * 3 * 5], 2, 3, 5), &state)
            .unwrap()
            .0
    };
    assert_eq!(run(&model), run(&inline));
    let (dir, file) = folder(&[("location", BESIDE), ("offset", "0"), ("length", "120")]);
    open(dir.path(), &file).expect("the same, in words");
    // The folder is the caller's choice.
    #[cfg(unix)]
    {
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        open(&link, &file).expect("a folder by another name");
    }
}

#[test]
fn cve_2022_25882_and_2024_27318_paths_out_of_the_folder() {
    let outside = "which is no file of the graph's own folder";
    for location in [
        "../model.weights.bin",
        "sub/../../model.weights.bin",
        "./../model.weights.bin",
        "..",
        ".",
        "",
        "/etc/passwd",
        "//etc/passwd",
        "sub/model.weights.bin",
        "./model.weights.bin",
        "..\\model.weights.bin",
        "sub\\..\\..\\x",
        "C:\\windows\\win.ini",
        "C:model.weights.bin",
        "\\\\host\\share\\x",
        "model.weights.bin\0.png",
        "model.weights.bin:stream",
        "model.weights.bin.",
        "model.weights.bin ",
        "file:///etc/passwd",
        "%2e%2e/x*",
    ] {
        refused(&[("location", location)], outside);
    }
    refused(&[("offset", "0")], outside);
}

#[test]
fn names_of_devices() {
    for location in [
        "NUL",
        "nul",
        "CON",
        "aux.bin",
        "COM1",
        "com9.weights",
        "LPT1",
        "CONIN$",
    ] {
        refused(&[("location", location)], "which is a device");
    }
    // A name that only begins like one.
    refused(&[("location", "console.bin")], "needs `console.bin`");
}

#[test]
fn cve_2024_27319_data_beyond_the_end() {
    for (offset, words) in [
        (
            "4",
            "is at 4, 120 bytes, of `model.weights.bin`, which has 120",
        ),
        ("121", "which has 120"),
        ("18446744073709551615", "which has 120"),
        ("18446744073709551616", "has the offset"),
        ("-1", "has the offset `-1`"),
        ("+1", "has the offset `+1`"),
        (" 1", "has the offset"),
        ("0x1", "has the offset"),
        ("", "has the offset"),
    ] {
        refused(&[("location", BESIDE), ("offset", offset)], words);
    }
    for (length, words) in [
        ("119", "another length"),
        ("0", "another length"),
        ("18446744073709551615", "another length"),
        ("1e3", "has the length `1e3`"),
    ] {
        refused(&[("location", BESIDE), ("length", length)], words);
    }
}

/// A tensor of terabytes in a file of bytes: seen before anything is allocated.
#[test]
fn a_huge_tensor_of_a_small_file() {
    for (dims, words) in [
        (vec![1 << 20, 1 << 20], "which has 120"),
        (vec![i64::MAX, i64::MAX], "dimensions or a type"),
        (vec![-5, 6], "dimensions or a type"),
    ] {
        let (dir, mut file) = folder(&[("location", BESIDE)]);
        let weight = file
            .graph
            .weights
            .iter_mut()
            .find(|w| w.name == NAME)
            .unwrap();
        weight.dims = dims;
        refused_in(dir.path(), &file, words);
    }
}

/// The reference reader took any key as an attribute of an object of its own.
#[test]
fn cve_2026_34445_keys_that_are_none() {
    for key in ["__class__", "basepath", "info", "Location", "", "checksum"] {
        refused(
            &[("location", BESIDE), (key, "1")],
            "in its external_data, which is none",
        );
    }
    refused(
        &[("location", BESIDE), ("location", "x")],
        "`location` twice",
    );
    refused(
        &[("location", BESIDE), ("length", "120"), ("length", "120")],
        "`length` twice",
    );
}

#[cfg(unix)]
#[test]
fn cve_2026_27489_symlinks() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, [0; 120]).unwrap();
    let (dir, file) = folder(&[("location", "link.bin")]);
    symlink(&secret, dir.path().join("link.bin")).unwrap();
    refused_in(dir.path(), &file, "which is no plain file");
    // Also to a file of the folder itself, and to one that is not there.
    for target in [BESIDE, "nowhere"] {
        let (dir, file) = folder(&[("location", "link.bin")]);
        symlink(target, dir.path().join("link.bin")).unwrap();
        refused_in(dir.path(), &file, "which is no plain file");
    }
    // A folder on the way: locations have none.
    let (dir, file) = folder(&[("location", "sub/secret")]);
    symlink(outside.path(), dir.path().join("sub")).unwrap();
    refused_in(dir.path(), &file, "no file of the graph's own folder");
}

#[cfg(unix)]
#[test]
fn cve_2026_34446_hard_links() {
    let (dir, file) = folder(&[("location", "other.bin")]);
    std::fs::hard_link(dir.path().join(BESIDE), dir.path().join("other.bin")).unwrap();
    refused_in(dir.path(), &file, "a hard link");
    std::fs::remove_file(dir.path().join(BESIDE)).unwrap();
    open(dir.path(), &file).expect("its only name again");
}

/// A pipe would be waited for; a folder has no bytes.
#[cfg(unix)]
#[test]
fn pipes_devices_and_folders() {
    let (dir, file) = folder(&[("location", "beside")]);
    let path = dir.path().join("beside");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if made.is_ok_and(|s| s.success()) {
        refused_in(dir.path(), &file, "which is no plain file");
        let error = Model::open(&path).expect_err("a pipe is no model either");
        assert_eq!(error.kind(), ErrorKind::Read, "{error}");
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::create_dir(&path).unwrap();
    refused_in(dir.path(), &file, "which is no plain file");
    assert_eq!(Model::open(&path).unwrap_err().kind(), ErrorKind::Read);
    assert_eq!(
        Model::open("/dev/zero").unwrap_err().kind(),
        ErrorKind::Read
    );
    std::fs::remove_dir(&path).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    refused_in(dir.path(), &file, "which is no plain file");
}

#[test]
fn a_file_in_memory_has_no_folder() {
    let (_dir, file) = folder(&[("location", BESIDE)]);
    let error = Model::from_bytes(&file.to_bytes()).unwrap_err();
    assert!(
        error.to_string().contains("open the file by its path"),
        "{error}"
    );
    #[cfg(feature = "tract")]
    {
        let error = AnyModel::from_bytes(&file.to_bytes()).unwrap_err();
        assert!(
            error.to_string().contains("open the file by its path"),
            "{error}"
        );
    }
}

/// Data in the file and beside it: two readers would read two weights.
#[test]
fn data_at_both_places() {
    let (dir, mut file) = folder(&[("location", BESIDE)]);
    let weight = file
        .graph
        .weights
        .iter_mut()
        .find(|w| w.name == NAME)
        .unwrap();
    weight.raw = vec![0; 120];
    refused_in(dir.path(), &file, "as well as beside it");
    weight_of(&mut file).raw.clear();
    weight_of(&mut file).floats = vec![0.0; 30];
    let error = open(dir.path(), &file).unwrap_err();
    assert!(
        error.to_string().contains("twice, in different fields"),
        "{error}"
    );
}

fn weight_of(file: &mut File) -> &mut crate::support::proto::Tensor {
    file.graph
        .weights
        .iter_mut()
        .find(|w| w.name == NAME)
        .unwrap()
}

/// Tensors may share bytes, but a small file may not fill the memory by being named often.
#[test]
fn shared_bytes() {
    let entries = [("location", BESIDE)];
    let (dir, mut file) = folder(&entries);
    let mut again = weight_of(&mut file).clone();
    again.name = "again".into();
    file.graph.weights.push(again.clone());
    open(dir.path(), &file).expect("two tensors of the same bytes");
    for i in 0..1000 {
        again.name = format!("again{i}");
        file.graph.weights.push(again.clone());
    }
    let error = open(dir.path(), &file).unwrap_err();
    assert!(error.to_string().contains("more than twice"), "{error}");
}
