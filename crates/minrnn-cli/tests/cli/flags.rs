//! Wrong use.

use crate::harness::{folder, minrnn, snapshot};

fn wrong(name: &str, args: &[&str]) {
    let dir = folder();
    let ran = minrnn(dir.path(), args);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    snapshot(name, &ran);
}

#[test]
fn no_command() {
    wrong("flags_no_command", &[]);
}

#[test]
fn unknown_command() {
    wrong("flags_unknown_command", &["trian", "tiny.toml"]);
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_build_without_cuda_says_so() {
    wrong("flags_cuda", &["train", "tiny.toml", "--device", "cuda:0"]);
    wrong("flags_bench", &["bench", "scan"]);
}

#[test]
fn unknown_devices() {
    wrong("flags_device", &["train", "tiny.toml", "--device", "tpu"]);
}

#[test]
fn sizes() {
    wrong(
        "flags_seq_len_zero",
        &["export", "run", "--out", "e", "--seq-len", "0"],
    );
    wrong(
        "flags_batch_word",
        &["export", "run", "--out", "e", "--batch", "many"],
    );
}

#[test]
fn unknown_form() {
    wrong(
        "flags_form",
        &["export", "run", "--out", "e", "--form", "sequential"],
    );
}

#[test]
fn temperature_below_zero() {
    wrong(
        "flags_temperature",
        &["generate", "run", "--temperature=-1"],
    );
}

#[test]
fn missing_argument() {
    wrong("flags_missing_argument", &["run", "export"]);
}
