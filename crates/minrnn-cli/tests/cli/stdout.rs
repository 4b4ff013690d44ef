//! A stdout that takes nothing.

use std::fs::File;

use crate::harness::{folder, process};

/// Who asks for something and gets nothing is told, by the exit code too: help is no exception.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_an_error() {
    let dir = folder();
    for args in [&["--help"][..], &["--version"], &["verify", "--help"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran = process(dir.path(), args).stdout(full).output().unwrap();
        let err = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {err}");
        assert!(err.contains("error: cannot write to stdout"), "{err}");
    }
}
