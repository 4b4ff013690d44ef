use super::*;
use crate::data::{LabelKind, LabelScope};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn copying(length: usize, data_tokens: usize, vocab: usize, seed: u64) -> SelectiveCopying {
    let options = SelectiveCopyingOptions {
        length,
        data_tokens,
        vocab,
        eval_samples: 50,
    };
    SelectiveCopying::new(&options, seed).unwrap()
}

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn copying_asks_for_the_data_tokens_in_order(
        length in 1_usize..80, part in 0.0_f64..=1.0, vocab in 3_usize..20, seed: u64, first in 0_u64..1 << 40,
    ) {
        let n = ((length as f64 * part) as usize).max(1);
        let task = copying(length, n, vocab, seed);
        let batch = task.batch(Split::Train, first, 3).unwrap();
        batch.validate().unwrap();
        prop_assert_eq!(batch.time, length + n);
        prop_assert_eq!(batch.counted(), 3 * n);
        let (ids, targets) = tokens(&batch);
        let weights = batch.weights.as_ref().unwrap();
        for (row, (ids, targets)) in ids.chunks(length + n).zip(targets.chunks(length + n)).enumerate() {
            let data: Vec<u32> = ids[..length].iter().copied().filter(|t| *t != vocab as u32 - 1).collect();
            prop_assert!(data.iter().all(|t| (1..vocab as u32 - 1).contains(t)));
            prop_assert_eq!(&data, &targets[length..]);
            prop_assert!(ids[length..].iter().all(|t| *t == 0));
            let w = &weights[row * batch.time..][..batch.time];
            prop_assert!(w[..length].iter().all(|w| *w == 0.0) && w[length..].iter().all(|w| *w == 1.0));
        }
        assert_samples_are_independent(&task, Split::Train, first, 3);
    }
}

#[test]
fn copying_scatters_positions_and_tokens_evenly() {
    let task = copying(20, 4, 6, 1);
    let batch = task.batch(Split::Train, 0, 10_000).unwrap();
    let (ids, _) = tokens(&batch);
    let mut at = [0_u32; 20];
    let mut of = [0_u32; 6];
    for row in ids.chunks(24) {
        for (position, token) in row[..20].iter().enumerate().filter(|(_, t)| **t != 5) {
            at[position] += 1;
            of[*token as usize] += 1;
        }
    }
    // Expected 2000 a position (deviation 40) and 10000 a token (deviation 87).
    assert!(at.iter().all(|n| (1800..2200).contains(n)), "{at:?}");
    assert!(
        of[1..5].iter().all(|n| (9_550..10_450).contains(n)),
        "{of:?}"
    );
}

#[test]
fn copying_splits_differ_and_only_training_follows_the_seed() {
    let batch = |seed, split| copying(50, 5, 16, seed).batch(split, 0, 4).unwrap();
    assert_ne!(batch(1, Split::Train), batch(2, Split::Train));
    assert_eq!(batch(1, Split::Validation), batch(2, Split::Validation));
    assert_ne!(batch(1, Split::Validation), batch(1, Split::Test));
    assert_ne!(batch(0, Split::Train), batch(0, Split::Validation));
}

#[test]
fn ranges_are_checked_and_cover_everything_once() {
    let task = copying(5, 2, 16, 0);
    assert_eq!(
        eval_ranges(&task, Split::Test, 20).collect::<Vec<_>>(),
        [(0, 20), (20, 20), (40, 10)]
    );
    assert_eq!(eval_ranges(&task, Split::Train, 20).count(), 0);
    let error = task.batch(Split::Test, 40, 11).unwrap_err().to_string();
    assert!(
        error.contains("40..51") && error.contains("has 50"),
        "{error}"
    );
    assert!(task.batch(Split::Train, 0, 0).is_err());
    assert!(task.batch(Split::Train, u64::MAX, 2).is_err());
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

fn text(path: &Path, seq_len: usize, seed: u64) -> Result<Text> {
    Text::open(
        &TextOptions {
            path: path.to_path_buf(),
            seq_len,
            validation_fraction: 0.1,
        },
        seed,
    )
}

#[test]
fn text_validation_predicts_every_character_once() {
    let files = Files::new();
    let content: String = (0..1003)
        .map(|i| char::from(b'a' + (i * i % 23) as u8))
        .collect();
    let path = files.put("t.txt", &content);
    for seq_len in [1, 7, 10, 50, 100, 500] {
        let task = text(&path, seq_len, 3).unwrap();
        let held: Vec<char> = content.chars().skip(902).collect();
        let (mut inputs, mut predicted) = (String::new(), String::new());
        for (first, count) in eval_ranges(&task, Split::Validation, 4) {
            let batch = task.batch(Split::Validation, first, count).unwrap();
            batch.validate().unwrap();
            let (ids, targets) = tokens(&batch);
            let steps = batch.batch * batch.time;
            let kept: Vec<usize> = (0..steps)
                .filter(|i| batch.weights.as_ref().is_none_or(|w| w[*i] != 0.0))
                .collect();
            assert_eq!(kept.len(), batch.counted());
            let pick = |all: &[u32]| {
                task.vocabulary()
                    .unwrap()
                    .decode(&kept.iter().map(|i| all[*i]).collect::<Vec<_>>())
                    .unwrap()
            };
            inputs += &pick(ids);
            predicted += &pick(targets);
        }
        assert_eq!(inputs, held[..held.len() - 1].iter().collect::<String>());
        assert_eq!(predicted, held[1..].iter().collect::<String>());
    }
}

#[test]
fn text_training_windows_stay_in_the_training_part() {
    let files = Files::new();
    // Characters of the validation part occur nowhere else.
    let path = files.put("t.txt", "abcdefghij".repeat(9) + "0123456789");
    let task = text(&path, 5, 3).unwrap();
    let batch = task.batch(Split::Train, 0, 3000).unwrap();
    let (ids, targets) = tokens(&batch);
    let decoded = |ids: &[u32]| task.vocabulary().unwrap().decode(ids).unwrap();
    let mut starts = std::collections::BTreeSet::new();
    for (x, y) in ids.chunks(5).zip(targets.chunks(5)) {
        let (x, y) = (decoded(x), decoded(y));
        assert_eq!(x[1..], y[..4]);
        assert!(
            "abcdefghij".repeat(2).contains(&(x.clone() + &y[4..])),
            "{x} {y}"
        );
        starts.insert(x);
    }
    assert_eq!(starts.len(), 10);
    assert_ne!(
        batch,
        text(&path, 5, 4)
            .unwrap()
            .batch(Split::Train, 0, 3000)
            .unwrap()
    );
    assert_samples_are_independent(&task, Split::Train, 77, 5);
    assert_eq!(
        (task.len(Split::Train), task.len(Split::Test)),
        (Some(18), Some(0))
    );
}

#[test]
fn text_faults_say_where() {
    let files = Files::new();
    let error = |content: &[u8], seq_len| {
        text(&files.put("t.txt", content), seq_len, 0)
            .unwrap_err()
            .to_string()
    };
    assert!(error(b"ab\nc\xffd", 1).contains("byte 4 (line 2)"));
    assert!(error(b"", 1).contains("too small"));
    assert!(error(&[b'a'; 100], 90).contains("90 characters for training and 10"));
    assert!(error(&[b'a'; 10], 1).contains("validation needs at least 2"));
    assert!(error(&[b'a'; 100], 0).contains("seq_len"));
    assert!(
        text(Path::new("absent.txt"), 1, 0)
            .unwrap_err()
            .to_string()
            .contains("cannot read absent.txt")
    );
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/data/testdata")
        .join(name)
}

fn sequences(path: PathBuf) -> SequencesOptions {
    SequencesOptions {
        path,
        labels_path: None,
        lens_path: None,
        id_column: None,
        feature_columns: vec![],
        target_columns: vec![],
        target: LabelKind::Classes,
        per: LabelScope::Sequence,
        classes: None,
        validation_fraction: 0.2,
        test_fraction: 0.15,
        split_seed: 0,
    }
}

/// Sequence `i` of `n` has `i % 4 + 1` steps with features `i + step / 10` and label `i % 3` (+ step).
fn csv(n: usize) -> String {
    let mut text = "id,f,per_sequence,per_step\n".to_owned();
    for i in 0..n {
        for step in 0..i % 4 + 1 {
            text += &format!(
                "s{i},{},{},{}\n",
                i as f32 + step as f32 / 10.0,
                i % 3,
                i % 3 + step
            );
        }
    }
    text
}

fn csv_options(path: PathBuf, per: LabelScope, target: LabelKind) -> SequencesOptions {
    let column = if per == LabelScope::Step {
        "per_step"
    } else {
        "per_sequence"
    };
    SequencesOptions {
        id_column: Some("id".into()),
        feature_columns: vec!["f".into()],
        target_columns: vec![column.into()],
        per,
        target,
        ..sequences(path)
    }
}

/// The numbers of the sequences in a batch, after checking each of them.
fn members(batch: &Batch) -> Vec<usize> {
    let Input::Features { values, width: 1 } = &batch.input else {
        panic!("features expected")
    };
    let row = |r: usize| {
        let x = &values[r * batch.time..][..batch.time];
        let i = x[0] as usize;
        let len = i % 4 + 1;
        assert_eq!(
            batch.lens.as_ref().map_or(batch.time, |l| l[r] as usize),
            len
        );
        for step in 0..batch.time {
            let inside = step < len;
            assert_eq!(
                x[step],
                if inside {
                    i as f32 + step as f32 / 10.0
                } else {
                    0.0
                }
            );
            if batch.per_step() {
                let weight = batch
                    .weights
                    .as_ref()
                    .map_or(1.0, |w| w[r * batch.time + step]);
                assert_eq!(weight != 0.0, inside);
            }
            let wanted = if inside { i % 3 + step } else { 0 };
            match &batch.targets {
                Targets::Classes {
                    ids,
                    per_step: true,
                } => assert_eq!(ids[r * batch.time + step] as usize, wanted),
                Targets::Values {
                    values,
                    per_step: true,
                    ..
                } => assert_eq!(values[r * batch.time + step], wanted as f32),
                Targets::Classes { ids, .. } => assert_eq!(ids[r] as usize, i % 3),
                Targets::Values { values, .. } => assert_eq!(values[r], (i % 3) as f32),
            }
        }
        i
    };
    (0..batch.batch).map(row).collect()
}

#[test]
fn sequences_go_through_training_once_a_pass_and_splits_share_nothing() {
    let files = Files::new();
    let path = files.put("s.csv", csv(40));
    for (per, target) in [LabelScope::Step, LabelScope::Sequence]
        .into_iter()
        .flat_map(|p| [(p, LabelKind::Classes), (p, LabelKind::Values)])
    {
        let task = Sequences::open(&csv_options(path.clone(), per, target), 5).unwrap();
        assert_eq!(
            [Split::Train, Split::Validation, Split::Test].map(|s| task.len(s)),
            [Some(26), Some(8), Some(6)]
        );
        let all = |split, first, count| {
            let batch = task.batch(split, first, count).unwrap();
            batch.validate().unwrap();
            members(&batch)
        };
        let (one, two) = (all(Split::Train, 0, 26), all(Split::Train, 26, 26));
        assert_ne!(one, two);
        // A batch over the end of a pass, and a step back to an earlier one.
        assert_eq!(all(Split::Train, 20, 10), [&one[20..], &two[..4]].concat());
        assert_eq!(all(Split::Train, 0, 26), one);
        let sorted = |mut v: Vec<usize>| {
            v.sort_unstable();
            v
        };
        assert_eq!(sorted(one.clone()), sorted(two));
        let everything = [one, all(Split::Validation, 0, 8), all(Split::Test, 0, 6)].concat();
        assert_eq!(sorted(everything), (0..40).collect::<Vec<_>>());
    }
}

#[test]
fn split_does_not_follow_the_training_seed_and_statistics_are_of_training_alone() {
    let files = Files::new();
    let options = csv_options(
        files.put("s.csv", csv(40)),
        LabelScope::Sequence,
        LabelKind::Classes,
    );
    let open = |options: &SequencesOptions, seed| Sequences::open(options, seed).unwrap();
    let validation = |task: &Sequences| members(&task.batch(Split::Validation, 0, 8).unwrap());
    let a = open(&options, 1);
    assert_eq!(validation(&a), validation(&open(&options, 2)));
    assert_ne!(
        validation(&a),
        validation(&open(
            &SequencesOptions {
                split_seed: 1,
                ..options.clone()
            },
            1
        ))
    );
    let train = members(&a.batch(Split::Train, 0, 26).unwrap());
    let x: Vec<f64> = train
        .iter()
        .flat_map(|i| (0..i % 4 + 1).map(move |s| f64::from(*i as f32 + s as f32 / 10.0)))
        .collect();
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let std = (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt();
    let found = a.normalisation().unwrap();
    assert!(
        (f64::from(found.mean[0]) - mean).abs() < 1e-5
            && (f64::from(found.std[0]) - std).abs() < 1e-5,
        "{found:?}"
    );
}

#[test]
fn arrays_of_numpy_are_read() {
    let task = Sequences::open(&sequences(golden("set.npz")), 0).unwrap();
    let shape = TaskShape {
        input: InputKind::Features { width: 3 },
        target: TargetKind::Classes { count: 4 },
        per_step: false,
    };
    assert_eq!(task.shape(), shape);
    let batch = task.batch(Split::Validation, 0, 4).unwrap();
    batch.validate().unwrap();
    assert!(batch.lens.is_some() && batch.weights.is_none());
}

#[test]
fn misunderstood_options_are_named() {
    let files = Files::new();
    let (npz, csv) = (
        sequences(golden("set.npz")),
        csv_options(
            files.put("s.csv", csv(9)),
            LabelScope::Sequence,
            LabelKind::Classes,
        ),
    );
    let cases = [
        (
            SequencesOptions {
                id_column: Some("id".into()),
                ..npz.clone()
            },
            "`id_column`",
        ),
        (
            SequencesOptions {
                labels_path: Some("y.npy".into()),
                ..npz.clone()
            },
            "`labels_path`",
        ),
        (
            SequencesOptions {
                classes: Some(3),
                ..npz.clone()
            },
            "there is a label 3, but classes = 3",
        ),
        (
            SequencesOptions {
                id_column: None,
                ..csv.clone()
            },
            "`id_column`",
        ),
        (
            SequencesOptions {
                feature_columns: vec![],
                ..csv.clone()
            },
            "`feature_columns`",
        ),
        (
            SequencesOptions {
                path: "a.parquet".into(),
                ..npz.clone()
            },
            "'.parquet', expected .npy",
        ),
        (
            SequencesOptions {
                validation_fraction: 1.0,
                ..npz.clone()
            },
            "`validation_fraction`",
        ),
        (
            SequencesOptions {
                validation_fraction: 0.9,
                test_fraction: 0.2,
                ..npz.clone()
            },
            "none is left",
        ),
        (
            SequencesOptions {
                test_fraction: 0.01,
                ..npz
            },
            "0 to test",
        ),
    ];
    for (options, wanted) in cases {
        let found = Sequences::open(&options, 0).unwrap_err().to_string();
        assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
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
