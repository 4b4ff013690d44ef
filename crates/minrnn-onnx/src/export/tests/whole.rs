//! A folder is one export or none, whatever stops one half way.

use std::fs;
use std::path::Path;

use super::models::model;
use crate::export::lock::Lock;
use crate::export::{DirOptions, ExportError, Form, is_unfinished, write_export};

const MARK: &str = ".minrnn-export.lock";

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn step() -> DirOptions {
    DirOptions {
        forms: vec![Form::Step],
        ..DirOptions::default()
    }
}

const STEP: [&str; 4] = [
    "README.md",
    "golden.safetensors",
    "manifest.json",
    "model.step.onnx",
];

#[test]
fn what_killed_exports_left_goes_and_files_of_others_stay() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let (model, params) = model("bare");
    for left in [
        dir.join(".minrnn-export-a1B2c3"),
        root.path().join(".minrnn-export-D4e5f6"),
    ] {
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("model.step.onnx"), "half").unwrap();
    }
    fs::write(
        root.path().join(".minrnn-export-notes"),
        "a file of somebody",
    )
    .unwrap();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    // Killed after the old manifest was gone.
    fs::write(dir.join(MARK), "").unwrap();
    fs::write(dir.join("model.scan.onnx"), "of another export").unwrap();
    assert!(is_unfinished(&dir));
    write_export(&dir, &model, &params, &step()).unwrap();
    assert!(!is_unfinished(&dir));
    assert_eq!(names(&dir), [&STEP[..], &["notes.txt"]].concat());
    assert_eq!(names(root.path()), [".minrnn-export-notes", "out"]);
}

#[test]
fn two_exports_into_one_folder_are_one_too_many() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let (model, params) = model("bare");
    write_export(&dir, &model, &params, &step()).unwrap();
    let before = fs::read(dir.join("manifest.json")).unwrap();
    let other = Lock::take(&dir).unwrap();
    let staging = other.staging().unwrap();
    let error = write_export(&dir, &model, &params, &step()).unwrap_err();
    assert!(matches!(error, ExportError::Busy { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("another export is being written into")
    );
    // The other's files are still there, and the folder around may be exported into.
    assert!(staging.path().exists());
    write_export(&dir.join("inner"), &model, &params, &step()).unwrap();
    assert!(staging.path().exists());
    // Readers are not disturbed: the old export is whole.
    assert!(!is_unfinished(&dir));
    assert_eq!(fs::read(dir.join("manifest.json")).unwrap(), before);
    drop(staging);
    drop(other);
    fs::remove_dir_all(dir.join("inner")).unwrap();
    write_export(&dir, &model, &params, &step()).unwrap();
    assert_eq!(names(&dir), STEP);
}

/// An error leaves what was there, and nothing of its own.
#[test]
fn an_export_that_fails_leaves_no_trace() {
    let root = tempfile::tempdir().unwrap();
    let (model, params) = model("bare");
    let dir = root.path().join("out");
    let mut bad = params.clone();
    bad.get_mut(0)[0] = f32::NAN;
    assert!(write_export(&dir, &model, &bad, &step()).is_err());
    assert_eq!(names(root.path()), Vec::<String>::new());
    let mut wrong = step();
    wrong.options.opset = 99;
    assert!(write_export(&dir, &model, &params, &wrong).is_err());
    assert_eq!(names(root.path()), Vec::<String>::new());
    write_export(&dir, &model, &params, &step()).unwrap();
    assert!(write_export(&dir, &model, &params, &wrong).is_err());
    assert_eq!(names(&dir), STEP);
    // A folder in the place of a file: found before the old manifest goes.
    fs::remove_file(dir.join("README.md")).unwrap();
    fs::create_dir(dir.join("README.md")).unwrap();
    let error = write_export(&dir, &model, &params, &step()).unwrap_err();
    assert!(error.to_string().contains("README.md"), "{error}");
    assert!(dir.join("manifest.json").exists());
    assert_eq!(names(&dir), STEP);
}

/// The folder of an export that was killed stays marked until one ends well.
#[test]
fn the_mark_stays_until_there_is_a_manifest() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let (model, params) = model("bare");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join(MARK), "").unwrap();
    let mut wrong = step();
    wrong.options.opset = 99;
    assert!(write_export(&dir, &model, &params, &wrong).is_err());
    assert!(is_unfinished(&dir));
    // Stopped between the old manifest and the new one.
    write_export(&dir, &model, &params, &step()).unwrap();
    let mut lock = Lock::take(&dir).unwrap();
    lock.half = true;
    fs::remove_file(dir.join("manifest.json")).unwrap();
    assert!(is_unfinished(&dir));
    drop(lock);
    assert!(is_unfinished(&dir));
    write_export(&dir, &model, &params, &step()).unwrap();
    assert_eq!(names(&dir), STEP);
}

/// Whatever has the name of the mark and is not an empty file is somebody's, and so is what a link of that name leads to.
#[cfg(unix)]
#[test]
fn what_is_no_mark_is_left_as_it_is_and_named() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let mark = dir.join(MARK);
    let (model, params) = model("bare");
    write_export(&dir, &model, &params, &step()).unwrap();
    let [precious, empty, new] = ["precious", "empty", "new"].map(|n| root.path().join(n));
    fs::write(&precious, "mine").unwrap();
    fs::write(&empty, "").unwrap();
    let link = std::os::unix::fs::symlink::<&Path, &Path>;
    let ways: [&dyn Fn(); 5] = [
        &|| fs::write(&mark, "notes").unwrap(),
        &|| fs::create_dir(&mark).unwrap(),
        &|| link(&precious, &mark).unwrap(),
        &|| link(&empty, &mark).unwrap(),
        &|| link(&new, &mark).unwrap(),
    ];
    for (i, put) in ways.into_iter().enumerate() {
        put();
        let before = fs::symlink_metadata(&mark).unwrap().modified().unwrap();
        let error = write_export(&dir, &model, &params, &step()).unwrap_err();
        assert!(matches!(error, ExportError::NotOurs { .. }), "{i}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(MARK) && text.contains("move it away"),
            "{text}"
        );
        let now = fs::symlink_metadata(&mark).unwrap();
        assert_eq!(now.modified().unwrap(), before, "{i}");
        // It says nothing of the folder, nor of one inside of it.
        let manifest = dir.join("manifest.json");
        fs::rename(&manifest, root.path().join("aside")).unwrap();
        assert!(!is_unfinished(&dir), "{i}");
        fs::rename(root.path().join("aside"), &manifest).unwrap();
        write_export(&dir.join("inner"), &model, &params, &step()).unwrap();
        fs::remove_dir_all(dir.join("inner")).unwrap();
        match now.is_dir() {
            true => fs::remove_dir(&mark).unwrap(),
            false => fs::remove_file(&mark).unwrap(),
        }
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
    assert!(empty.exists() && !new.exists());
    write_export(&dir, &model, &params, &step()).unwrap();
    assert_eq!(names(&dir), STEP);
}

/// What comes into the place of the mark while an export holds it is not the export's to remove.
#[cfg(unix)]
#[test]
fn a_mark_that_was_exchanged_stays() {
    let root = tempfile::tempdir().unwrap();
    let mark = root.path().join(MARK);
    let lock = Lock::take(root.path()).unwrap();
    fs::remove_file(&mark).unwrap();
    fs::write(&mark, "").unwrap();
    drop(lock);
    assert!(mark.exists());
}

/// Only folders that an export can have made are removed.
#[test]
fn folders_of_others_with_such_a_name_stay() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let (model, params) = model("bare");
    let mut mine = vec![];
    for folder in [dir.as_path(), root.path()] {
        for (name, inside) in [
            (".minrnn-export-notes", "model.step.onnx"),
            (".minrnn-export-a1b2c3", "notes.txt"),
            (".minrnn-export-a1b2c4", "sub/model.step.onnx"),
        ] {
            let file = folder.join(name).join(inside);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "mine").unwrap();
            mine.push(file);
        }
    }
    write_export(&dir, &model, &params, &step()).unwrap();
    assert!(mine.iter().all(|file| file.exists()));
}
