//! What all tasks share; the tests of each are in a file of their own.

use super::*;
use std::path::PathBuf;

mod copying;
mod disk;
mod formal;
mod sequences;
mod sequences_disk;
mod streams;
mod text;

fn tokens(batch: &Batch) -> (&[u32], &[u32]) {
    match (&batch.input, &batch.targets) {
        (Input::Tokens { ids }, Targets::Classes { ids: targets, .. }) => (ids, targets),
        other => panic!("tokens expected, found {other:?}"),
    }
}

/// One batch must be its samples put together, whatever the batch size (for tasks of one length).
fn assert_samples_are_independent(task: &dyn Task, split: Split, first: u64, count: usize) {
    let whole = task.batch(split, first, count).unwrap();
    whole.validate().unwrap();
    let (ids, targets) = tokens(&whole);
    for i in 0..count {
        let one = task.batch(split, first + i as u64, 1).unwrap();
        let (a, b) = tokens(&one);
        assert_eq!(a, &ids[i * whole.time..][..one.time]);
        assert_eq!(b, &targets[i * whole.time..][..one.time]);
    }
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn configurations_name_the_kind_and_refuse_unknown_options() {
    let parse = |text: &str| toml::from_str::<TaskConfig>(text);
    let TaskConfig::SelectiveCopying(options) =
        parse("kind = 'selective_copying'\nlength = 256").unwrap()
    else {
        panic!("another kind")
    };
    assert_eq!(
        options,
        SelectiveCopyingOptions {
            length: 256,
            ..SelectiveCopyingOptions::default()
        }
    );
    let bad = [
        ("kind = 'selective_copying'\nlenght = 3", "lenght"),
        ("kind = 'text'\npath = 'a'\nseq_len = 3\nfoo = 1", "foo"),
        ("kind = 'sequences'\npath = 'a'\ntarget = 'classes'", "per"),
        ("kind = 'parity'", "parity"),
        ("length = 3", "kind"),
    ];
    for (text, wanted) in bad {
        let found = parse(text).unwrap_err().to_string();
        assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
    }
    let whole = "kind = 'sequences'\npath = 'a.csv'\ntarget = 'values'\nper = 'step'\nid_column = 'i'\nfeature_columns = ['f']\ntarget_columns = ['y']";
    let config = parse(whole).unwrap();
    assert_eq!(parse(&toml::to_string(&config).unwrap()).unwrap(), config);
    for (options, field) in [
        (
            SelectiveCopyingOptions {
                data_tokens: 5000,
                ..Default::default()
            },
            "data_tokens",
        ),
        (
            SelectiveCopyingOptions {
                length: 0,
                ..Default::default()
            },
            "length",
        ),
        (
            SelectiveCopyingOptions {
                vocab: 2,
                ..Default::default()
            },
            "vocab",
        ),
        (
            SelectiveCopyingOptions {
                eval_samples: 0,
                ..Default::default()
            },
            "eval_samples",
        ),
    ] {
        let error = TaskConfig::SelectiveCopying(options)
            .open(0)
            .unwrap_err()
            .to_string();
        assert!(error.contains(field), "{error}");
    }
}
