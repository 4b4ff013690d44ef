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
        ignore_columns: vec![],
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
                lengths_path: Some("y.npy".into()),
                ..npz.clone()
            },
            "`lengths_path`",
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
                ignore_columns: vec![],
                ..csv.clone()
            },
            "nothing uses column 'per_step'",
        ),
        (
            SequencesOptions {
                ignore_columns: vec!["a".into()],
                ..npz.clone()
            },
            "`ignore_columns`",
        ),
        (
            SequencesOptions {
                normalize_targets: Some(true),
                ..npz.clone()
            },
            "`normalize_targets`",
        ),
        (
            SequencesOptions {
                class_names: vec!["a".into(), "b".into()],
                ..npz.clone()
            },
            "there is a label 3, but 2 `class_names`",
        ),
        (
            SequencesOptions {
                class_names: vec!["a".into(), "b".into(), "c".into(), "d".into()],
                classes: Some(5),
                ..npz.clone()
            },
            "`classes`",
        ),
        (
            SequencesOptions {
                path: "a.feather".into(),
                ..npz.clone()
            },
            "'.feather', expected .npy",
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
fn statistics_of_targets_are_of_training_labels_that_count() {
    let files = Files::new();
    let path = files.put("s.csv", csv(40));
    for per in [LabelScope::Step, LabelScope::Sequence] {
        let options = csv_options(path.clone(), per, LabelKind::Values);
        let task = Sequences::open(&options, 5).unwrap();
        let batch = task.batch(Split::Train, 0, 26).unwrap();
        let Targets::Values { values, .. } = &batch.targets else {
            panic!("values expected")
        };
        let counts = |i: usize| batch.weights.as_ref().is_none_or(|w| w[i] != 0.0);
        let y: Vec<f64> = (0..values.len())
            .filter(|i| counts(*i))
            .map(|i| f64::from(values[i]))
            .collect();
        assert_eq!(y.len(), batch.counted());
        let mean = y.iter().sum::<f64>() / y.len() as f64;
        let std = (y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / y.len() as f64).sqrt();
        let found = task.target_normalisation().unwrap();
        let close = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-6;
        assert!(
            close(found.mean[0], mean) && close(found.std[0], std),
            "{found:?}"
        );
        let column = options.target_columns.clone();
        assert_eq!(task.target_names(), Some(&column[..]));
        let off = SequencesOptions {
            normalize_targets: Some(false),
            ..options
        };
        assert_eq!(
            Sequences::open(&off, 5).unwrap().target_normalisation(),
            None
        );
    }
    let classes = csv_options(path, LabelScope::Step, LabelKind::Classes);
    assert_eq!(
        Sequences::open(&classes, 5).unwrap().target_normalisation(),
        None
    );
}

#[test]
fn names_of_classes_come_from_labels_or_options() {
    let files = Files::new();
    let rows = ["up", "down", "up", "level"].iter().enumerate();
    let text = rows
        .map(|(i, y)| format!("{i},{i},{y}\n"))
        .collect::<String>();
    let options = SequencesOptions {
        id_column: Some("id".into()),
        feature_columns: vec!["f".into()],
        target_columns: vec!["y".into()],
        validation_fraction: 0.0,
        test_fraction: 0.0,
        ..sequences(files.put("s.csv", format!("id,f,y\n{text}")))
    };
    let of = |options: &SequencesOptions| {
        let task = Sequences::open(options, 0).map_err(|e| e.to_string())?;
        let names = task.target_names().map(<[String]>::to_vec);
        let batch = task.batch(Split::Train, 0, 4).unwrap();
        let (Input::Features { values, .. }, Targets::Classes { ids, .. }) =
            (&batch.input, &batch.targets)
        else {
            panic!("features and classes expected")
        };
        let of = |i: usize| ids[values.iter().position(|v| *v == i as f32).unwrap()];
        let ids = (0..4).map(of).collect::<Vec<_>>();
        let TaskShape { output, width, .. } = task.shape();
        assert_eq!(output, OutputKind::Logits);
        Ok::<_, String>((names.unwrap(), ids, width))
    };
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        of(&options),
        Ok((names(&["down", "level", "up"]), vec![2, 0, 2, 1], 3))
    );
    let named = |list: &[&str]| SequencesOptions {
        class_names: names(list),
        ..options.clone()
    };
    let four = ["up", "flat", "level", "down"];
    assert_eq!(of(&named(&four)), Ok((names(&four), vec![0, 3, 0, 2], 4)));
    let found = of(&named(&["up", "down"])).unwrap_err();
    assert!(found.contains("there is a label 'level'"), "{found}");
}

/// Labels 1 and 9 make ten classes, and eight of them are nowhere: the file may mean two.
#[test]
fn classes_that_no_label_has_are_warned_of() {
    let files = Files::new();
    let open = |labels: &[&str], classes| {
        let rows = labels.iter().enumerate();
        let text = rows
            .map(|(i, y)| format!("{i},{i},{y}\n"))
            .collect::<String>();
        let options = SequencesOptions {
            id_column: Some("id".into()),
            feature_columns: vec!["f".into()],
            target_columns: vec!["y".into()],
            validation_fraction: 0.0,
            test_fraction: 0.0,
            classes,
            ..sequences(files.put("s.csv", format!("id,f,y\n{text}")))
        };
        Sequences::open(&options, 0).unwrap().warnings().to_vec()
    };
    let found = open(&["1", "9", "1"], None);
    assert_eq!(found.len(), 1, "{found:?}");
    let words = "9 is the largest, which makes 10 classes, and 8 of them (0, 2, 3, 4, 5, 6, 7, 8) have no label";
    assert!(found[0].contains(words), "{found:?}");
    assert!(open(&["0", "11"], None)[0].contains("8, ..) have no label"));
    for (labels, classes) in [
        (&["1", "9"][..], Some(10)),
        (&["1", "0"], None),
        (&["a", "c"], None),
    ] {
        assert_eq!(open(labels, classes), [] as [&str; 0], "{labels:?}");
    }
}

/// `10` is the class called 10, not the eleventh, whatever other labels a file has.
#[test]
fn names_of_digits_are_names_in_files_that_look_like_numbers_too() {
    let files = Files::new();
    let open = |labels: &[&str], class_names: &[&str], labels_were_names| {
        let rows = labels.iter().enumerate();
        let text = rows
            .map(|(i, y)| format!("{i},{i},{y}\n"))
            .collect::<String>();
        let options = SequencesOptions {
            id_column: Some("id".into()),
            feature_columns: vec!["f".into()],
            target_columns: vec!["y".into()],
            validation_fraction: 0.0,
            test_fraction: 0.0,
            class_names: class_names.iter().map(|n| (*n).to_owned()).collect(),
            labels_were_names,
            ..sequences(files.put("s.csv", format!("id,f,y\n{text}")))
        };
        let task = Sequences::open(&options, 0).map_err(|e| e.to_string())?;
        let batch = task.batch(Split::Train, 0, labels.len()).unwrap();
        let Targets::Classes { mut ids, .. } = batch.targets else {
            panic!("classes expected")
        };
        ids.sort_unstable();
        Ok::<_, String>(ids)
    };
    let months = ["08", "09", "10", "11"];
    for were_names in [false, true] {
        assert_eq!(open(&["10", "10"], &months, were_names), Ok(vec![2, 2]));
        assert_eq!(open(&["11", "10"], &months, were_names), Ok(vec![2, 3]));
        assert_eq!(open(&["09", "11"], &months, were_names), Ok(vec![1, 3]));
        let found = open(&["10", "12"], &months, were_names).unwrap_err();
        assert!(found.contains("there is a label '12'"), "{found}");
    }
    assert_eq!(open(&["20", "10"], &["10", "20"], false), Ok(vec![0, 1]));
    // Numbers that the options name are places; what were names once has no numbers.
    assert_eq!(open(&["1", "0"], &["run", "walk"], false), Ok(vec![0, 1]));
    let found = open(&["1", "0"], &["run", "walk"], true).unwrap_err();
    assert!(found.contains("the classes have names"), "{found}");
}

#[test]
fn values_that_float32_cannot_hold_are_warned_of_or_refused() {
    let files = Files::new();
    let open = |feature: f64, target: f64| {
        let row = |i: usize| {
            let step = (i % 5) as f64;
            format!("{i},{},{}\n", feature + step, target * (1.0 + step))
        };
        let rows = (0..20).map(row).collect::<String>();
        let options = SequencesOptions {
            id_column: Some("id".into()),
            feature_columns: vec!["clock".into()],
            target_columns: vec!["y".into()],
            target: LabelKind::Values,
            ..sequences(files.put("s.csv", format!("id,clock,y\n{rows}")))
        };
        Sequences::open(&options, 0).map(|task| task.warnings().to_vec())
    };
    assert_eq!(open(1000.0, 1.0).unwrap(), Vec::<String>::new());
    let warned = open(5.5e6, 1.0).unwrap();
    assert!(
        warned.len() == 1 && warned[0].contains("feature `clock` has mean 5.5"),
        "{warned:?}"
    );
    for beyond in [1e25, 1e-25] {
        let found = open(0.0, beyond).unwrap_err().to_string();
        assert!(
            found.contains("target `y`: has mean") && found.contains("another unit"),
            "{found}"
        );
    }
}

#[test]
fn the_older_name_of_lengths_is_read() {
    let text = "path = 'a.npy'\nlabels_path = 'y.npy'\nlens_path = 'l.npy'\ntarget = 'classes'\nper = 'step'\n";
    let options: SequencesOptions = toml::from_str(text).unwrap();
    assert_eq!(options.lengths_path, Some("l.npy".into()));
    assert!(toml::to_string(&options).unwrap().contains("lengths_path"));
}

#[test]
fn files_that_cannot_be_read_say_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let error = |name: &str, text: &str, change: &dyn Fn(&mut SequencesOptions)| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut options = csv_options(path, LabelScope::Sequence, LabelKind::Classes);
        change(&mut options);
        Sequences::open(&options, 0).unwrap_err().to_string()
    };
    for (name, text, words) in [
        ("a.csv", "", "is empty; its first row names the columns"),
        ("b.csv", "\u{feff}\r\n", "is empty"),
        (
            "c.csv",
            "id;f;per_sequence\n1;2;3\n",
            "separated by ';'; the separator must be a comma",
        ),
        (
            "d.csv",
            "id\tf\tper_sequence\n",
            "separated by tabs; the separator must be a comma",
        ),
        (
            "e.tsv",
            "id\tf\n",
            "`path`: ends in '.tsv', expected .npy, .npz, .safetensors, .csv or .parquet",
        ),
        (
            "f",
            "id,f\n",
            "`path`: has no ending, expected .npy, .npz, .safetensors, .csv or .parquet",
        ),
    ] {
        let error = error(name, text, &|_| ());
        assert!(error.contains(words), "{name}: {error}");
    }
    let twice = |options: &mut SequencesOptions| {
        options.class_names = ["b", "a", "a"].map(String::from).to_vec();
    };
    let error = error("g.csv", &csv(20), &twice);
    assert!(
        error.contains("option `class_names`: has `a` twice"),
        "{error}"
    );
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_table_of_another_build_is_refused_by_the_feature() {
    let options = csv_options("a.parquet".into(), LabelScope::Step, LabelKind::Values);
    let error = Sequences::open(&options, 0).unwrap_err().to_string();
    assert!(
        error.contains("build it with --features parquet"),
        "{error}"
    );
}
