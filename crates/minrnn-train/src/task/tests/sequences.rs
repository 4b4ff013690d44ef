mod labels;
mod options;

use super::*;
use crate::data::{LabelKind, LabelScope};
use std::path::Path;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/data/testdata")
        .join(name)
}

fn sequences(path: PathBuf) -> SequencesOptions {
    SequencesOptions {
        path,
        labels_path: None,
        lengths_path: None,
        ignore_arrays: vec![],
        id_column: None,
        feature_columns: vec![],
        target_columns: vec![],
        time_column: None,
        ignore_columns: vec![],
        delimiter: None,
        header: None,
        from_disk: false,
        seq_len: None,
        target: LabelKind::Classes,
        per: LabelScope::Sequence,
        classes: None,
        class_names: vec![],
        labels_were_names: false,
        normalize_targets: None,
        validation_fraction: 0.2,
        test_fraction: 0.15,
        split_seed: 0,
        whole: false,
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
        ignore_columns: vec!["*".into()],
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
fn a_safetensors_file_is_the_npz_of_the_same_arrays() {
    use safetensors::tensor::{Dtype, TensorView, serialize};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.safetensors");
    let names = ["x", "y", "lens"];
    let arrays = crate::data::read_npz(&golden("set.npz"), &names, &[]).unwrap();
    let arrays: Vec<_> = arrays.into_iter().flatten().collect();
    let data: Vec<Vec<u8>> = arrays
        .iter()
        .map(|array| match &array.values {
            crate::data::Values::Floats(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            crate::data::Values::Ints(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            crate::data::Values::Texts(_) => panic!("no texts here"),
        })
        .collect();
    let tensors = names.iter().zip(&arrays).zip(&data);
    let tensors = tensors.map(|((name, array), data)| {
        let dtype = if *name == "x" { Dtype::F32 } else { Dtype::I64 };
        (
            *name,
            TensorView::new(dtype, array.shape.clone(), data).unwrap(),
        )
    });
    std::fs::write(&path, serialize(tensors, None).unwrap()).unwrap();
    let open = |path| Sequences::open(&sequences(path), 0).unwrap();
    let [here, npz] = [path, golden("set.npz")].map(open);
    assert_eq!(here.digest(), npz.digest());
    assert_eq!(
        here.batch(Split::Train, 0, 8).unwrap(),
        npz.batch(Split::Train, 0, 8).unwrap()
    );
}

#[test]
fn arrays_of_numpy_are_read() {
    let task = Sequences::open(&sequences(golden("set.npz")), 0).unwrap();
    let shape = TaskShape {
        input: graph::Input::Features { width: 3 },
        output: OutputKind::Logits,
        width: 4,
        per_step: false,
    };
    assert_eq!(task.shape(), shape);
    let batch = task.batch(Split::Validation, 0, 4).unwrap();
    batch.validate().unwrap();
    assert!(batch.lens.is_some() && batch.weights.is_none());
}
