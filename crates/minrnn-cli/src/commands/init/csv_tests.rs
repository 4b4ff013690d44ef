use std::path::Path;

use minrnn_train::data::Delimiter;

use super::*;
use crate::args::InitKind;

pub(super) fn guess(text: &str, targets: &[&str]) -> Result<Guess> {
    let mut lines = text
        .lines()
        .map(|l| l.split(',').map(str::to_owned).collect());
    let table = Columns {
        path: Path::new("a.csv"),
        header: true,
        names: lines.next().unwrap_or_default(),
        rows: lines.collect(),
    };
    table.guess(&Init {
        kind: InitKind::Csv,
        file: None,
        id_column: None,
        target_column: targets.iter().map(|t| (*t).to_owned()).collect(),
        delimiter: None,
        header: None,
    })
}

/// The file of such a text, which opens.
pub(super) fn written(text: &str) -> Result<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    std::fs::write(&path, text).unwrap();
    let (made, _) = configuration(&Init {
        kind: InitKind::Csv,
        file: Some(path),
        id_column: None,
        target_column: vec![],
        delimiter: None,
        header: None,
    })?;
    crate::commands::init::opens(&made).map(|()| made)
}

#[test]
fn a_parquet_file_is_refused_by_name_with_what_to_do() {
    let args = Init {
        kind: InitKind::Csv,
        file: Some("pump.Parquet".into()),
        id_column: None,
        target_column: vec![],
        delimiter: None,
        header: None,
    };
    let error = configuration(&args).map(drop).unwrap_err().to_string();
    let of = [
        "pump.Parquet is Parquet",
        "`minrnn init csv` without a file",
    ];
    assert!(of.iter().all(|part| error.contains(part)), "{error}");
}

#[test]
fn columns_are_told_by_name_and_by_what_stands_in_them() {
    let found = guess(
        "time,pump,flow,room,level\n0,a,1,x,5.5\n1,a,2,x,6\n0,b,4,x,7\n1,b,3,x,8\n",
        &[],
    )
    .unwrap();
    assert_eq!(
        (found.id.as_str(), found.targets.as_slice()),
        ("pump", &["level".to_owned()][..])
    );
    assert_eq!(
        (found.features, found.ignored, found.time),
        (
            vec!["flow".to_owned()],
            vec!["room".to_owned()],
            Some("time".to_owned())
        )
    );
    assert!(!found.classes && found.per_step);
    assert_eq!((found.sequences, found.longest), (2, 2));
    // A label of a sequence, classes by text and by number.
    for labels in [["up", "down"], ["1", "0"], ["01", "02"]] {
        let [a, b] = labels;
        let found = guess(
            &format!("label,id,x\n{a},7,1\n{a},7,2\n{b},8,4\n{b},8,3\n{a},9,1\n"),
            &[],
        )
        .unwrap();
        assert!(found.classes && !found.per_step, "{labels:?}");
        assert_eq!(found.id, "id");
    }
    let found = guess("id,x,a,b\n1,1,0,2\n1,2,1,3\n2,4,0,4\n", &["a", "b"]).unwrap();
    assert_eq!(found.targets, ["a", "b"]);
    assert!(!found.classes, "several are values");
    let found = guess("id,x,y\n1,1,0\n1,2,7\n2,4,0\n", &[]).unwrap();
    assert!(!found.classes, "0 and 7 leave out what is between");
}

#[test]
fn what_cannot_be_guessed_is_asked_for() {
    let said =
        |text: &str, targets: &[&str]| guess(text, targets).map(drop).unwrap_err().to_string();
    assert!(said("x,y\n1,2\n3,4\n", &[]).contains("--id-column names it"));
    assert!(
        said("id,x\n1,2\n1,3\n", &["z"])
            .contains("--target-column z: a.csv has no such column; it has id, x")
    );
    assert!(said("id,x\n1,2\n1,3\n2,4\n", &[]).contains("no column of numbers is left"));
}

#[test]
fn a_clock_that_goes_back_is_left_out() {
    let found = guess("id,time,x,y\n1,0,1,5\n1,2,2,6\n1,1,3,7\n2,0,1,7\n", &[]).unwrap();
    assert_eq!((found.time, found.ignored), (None, vec!["time".to_owned()]));
    let says = "column 'time' is called as a clock and left out: row 4 is 1, which is before that of the row above, 2; sort the rows";
    assert!(
        found.notes.len() == 1 && found.notes[0].starts_with(says),
        "{:?}",
        found.notes
    );
    let found = guess("id,time,x,y\n1,0,1,5\n1,1,2,6\n2,3,4,7\n2,,1,7\n", &[]).unwrap();
    assert!(
        found.notes[0].contains("row 5 is empty"),
        "{:?}",
        found.notes
    );
    // One number, as float64.
    let text = "id,time,x,y\n1,1700000000000000997,1,5\n1,1700000000000000996,2,6\n2,0,4,7\n";
    let found = guess(text, &[]).unwrap();
    assert_eq!((found.time, found.notes.len()), (None, 1));
    let (before, behind) = (text.replace("996", "998"), ["time".to_owned()]);
    assert_eq!(guess(&before, &[]).unwrap().time.as_slice(), behind);
}

#[test]
fn how_a_file_is_written_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let written = |text: &str, delimiter: Option<Delimiter>, header: Option<bool>| {
        std::fs::write(&path, text).unwrap();
        let made = configuration(&Init {
            kind: InitKind::Csv,
            file: Some(path.clone()),
            id_column: None,
            target_column: vec![],
            delimiter,
            header,
        });
        made.map(|(text, _)| text)
    };
    let rows = "id;time;x;y\n1;0;1;5\n1;2;2;6\n2;0;4;7\n";
    let has = |text: &str, lines: &[&str]| {
        for line in lines {
            assert!(text.lines().any(|l| l == *line), "{line}: {text}");
        }
    };
    let text = written(rows, None, None).unwrap();
    has(
        &text,
        &[
            "delimiter = \";\"",
            "time_column = \"time\"",
            "id_column = \"id\"",
        ],
    );
    assert!(!text.contains("header ="), "{text}");
    let below = rows.split_once('\n').unwrap().1.replace(';', "\t");
    let text = written(&below, None, None).unwrap();
    has(
        &text,
        &[
            "delimiter = \"\\t\"",
            "header = false",
            "feature_columns = [\"2\", \"3\"]",
        ],
    );
    let text = written(&rows.replace(';', ","), None, None).unwrap();
    assert!(
        !text.contains("delimiter") && !text.contains("header ="),
        "{text}"
    );
    // Said, in the place of seen.
    let error = written(rows, Some(Delimiter::Bar), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("The columns are id;time;x;y"), "{error}");
    assert!(
        written(&rows.replace(';', ","), None, Some(false)).is_err(),
        "texts are no numbers"
    );
    assert!(
        written("", None, None)
            .unwrap_err()
            .to_string()
            .contains("is empty")
    );
}
