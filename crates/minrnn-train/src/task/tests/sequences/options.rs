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
            "seem to be separated by \";\", not by \",\"; say it by task.delimiter = \";\"",
        ),
        (
            "d.csv",
            "id\tf\tper_sequence\n",
            "say it by task.delimiter = \"\\t\"",
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

/// The same rows, however they are written, are the same data.
#[test]
fn a_file_may_have_another_delimiter_no_header_and_a_clock() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "id,t,f,y\na,0,0.5,up\na,1,1.5,down\nb,0,2.5,up\nb,0.5,3.5,up\nc,7,4.5,down\n";
    let open = |text: &str, options: &str| {
        let path = dir.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let text = format!(
            "path = '{}'\ntarget = 'classes'\nper = 'step'\nvalidation_fraction = 0.0\n{options}",
            path.display()
        );
        let options: SequencesOptions = toml::from_str(&text).map_err(|e| e.to_string())?;
        Sequences::open(&options, 0).map_err(|e| e.to_string())
    };
    let named = "id_column = 'id'\nfeature_columns = ['f']\ntarget_columns = ['y']\n";
    let clock = format!("{named}time_column = 't'\n");
    let want = open(rows, &format!("{named}ignore_columns = ['t']")).unwrap();
    for (delimiter, written) in [(",", ","), (";", ";"), ("\t", "\\t"), ("|", "|")] {
        let text = rows.replace(',', delimiter);
        let got = open(&text, &format!("{clock}delimiter = \"{written}\"")).unwrap();
        assert_eq!(got.digest(), want.digest());
        // A cell may have any other in quotes, its own too.
        let quoted = text.replace("up", &format!("\"u{delimiter},;p\""));
        let got = open(&quoted, &format!("{clock}delimiter = \"{written}\"")).unwrap();
        assert_eq!(got.longest().unwrap(), want.longest().unwrap());
    }
    let below = rows.split_once('\n').unwrap().1;
    let numbers = "header = false\nid_column = '1'\ntime_column = '2'\nfeature_columns = ['3']\ntarget_columns = ['4']\n";
    let got = open(below, numbers).unwrap();
    assert_eq!(got.longest().unwrap(), 2);
    assert_eq!(got.feature_names().unwrap(), ["3"]);
    let said = |text: &str, options: &str| open(text, options).map(drop).unwrap_err();
    for (text, options, words) in [
        (
            rows,
            "id_column = 'id'\nheader = false\nfeature_columns = ['f']\ntarget_columns = ['y']"
                .to_owned(),
            "there is no column 'id'; the columns are [\"1\", \"2\", \"3\", \"4\"]",
        ),
        (
            rows,
            format!("{clock}delimiter = ';'"),
            "not by \";\"; say it by task.delimiter = \",\"",
        ),
        (
            rows,
            format!("{clock}delimiter = ':'"),
            "unknown variant `:`",
        ),
        (
            rows,
            format!("{named}time_column = 'f'"),
            "`time_column`: is 'f', which has another meaning already",
        ),
        (rows, named.to_owned(), "nothing uses column 't'"),
        (
            &rows.replace("b,0.5", "b,-0.5")[..],
            clock.clone(),
            "row 5, column 't': is -0.5, which is before that of the row above, 0",
        ),
        (
            &rows.replace("b,0.5", "b,"),
            clock.clone(),
            "row 5, column 't': is empty",
        ),
        (
            &rows.replace("b,0.5", "b,noon"),
            clock,
            "is 'noon', which cannot be held against",
        ),
    ] {
        let found = said(text, &options);
        assert!(found.contains(words), "{words}: {found}");
    }
    // Of arrays.
    for key in ["header = true", "delimiter = ';'", "time_column = 't'"] {
        let text = format!("path = 'a.npz'\ntarget = 'values'\nper = 'step'\n{key}");
        let options: SequencesOptions = toml::from_str(&text).unwrap();
        let found = Sequences::open(&options, 0).unwrap_err().to_string();
        assert!(
            found.contains("is not used with this file"),
            "{key}: {found}"
        );
    }
}
