//! The warning of a validation far above the training.

use std::fs;

use crate::harness::minrnn;

/// Letters by chance: there is nothing to learn but the text itself.
fn noise(count: usize) -> String {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 24) as u8 % 26)
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_text_learnt_by_heart_is_told_once_also_with_quiet() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("noise.txt"), noise(400)).unwrap();
    let config = "[task]\nkind = 'text'\npath = 'noise.txt'\nseq_len = 16\nvalidation_fraction = 0.3\n\
        [model]\nwidth = 48\nlayers = 1\nconv = { kernel = 4 }\n\
        [train]\nsteps = 200\nbatch = 8\nlr = 2e-2\neval_every = 40\n";
    fs::write(dir.path().join("noise.toml"), config).unwrap();
    let ran = minrnn(
        dir.path(),
        &["train", "noise.toml", "--out", "run", "--quiet"],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), 1, "{}", ran.shown());
    assert!(
        lines[0].starts_with("warning: validation loss ")
            && lines[0].contains("the training data are learnt by heart"),
        "{}",
        ran.shown()
    );
}
