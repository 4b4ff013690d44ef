//! Names of classes, values of targets, and what is told of them.

use super::*;

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
