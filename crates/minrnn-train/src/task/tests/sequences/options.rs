//! Options and files that are refused by name.

use super::*;

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
