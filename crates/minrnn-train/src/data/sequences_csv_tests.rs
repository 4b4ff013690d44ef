use super::*;
use crate::data::Labels;
use std::io::Write;

fn read(text: &str, labels: &[&str], kind: LabelKind, scope: LabelScope) -> Result<SequenceSet> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let header = text.lines().next().unwrap_or_default();
    let has = |name: &str| header.split(',').any(|column| column == name);
    let columns = CsvColumns {
        id: "id".into(),
        features: vec!["a".into(), "b".into()],
        labels: labels.iter().map(|s| s.to_string()).collect(),
        ignored: vec!["z".into(), "y".into()]
            .into_iter()
            .filter(|n: &String| !labels.contains(&n.as_str()) && has(n))
            .collect(),
        ..CsvColumns::default()
    };
    read_csv(file.path(), &columns, kind, scope)
}

const GOOD: &str = "y,b,id,a,z\n1,10,p,1,0.5\n1,20,p,2,0.25\n0,30,q,3,-1\n";

#[test]
fn columns_are_found_by_name_and_rows_grouped_by_sequence() {
    let set = read(GOOD, &["y"], LabelKind::Classes, LabelScope::Sequence).unwrap();
    assert_eq!(set.features, [1., 10., 2., 20., 3., 30.]);
    assert_eq!(set.starts, [0, 2, 3]);
    assert_eq!(set.labels, Labels::Classes(vec![1, 0]));
    let steps = read(GOOD, &["z", "y"], LabelKind::Values, LabelScope::Step).unwrap();
    assert_eq!(
        steps.labels,
        Labels::Values {
            values: vec![0.5, 1., 0.25, 1., -1., 0.],
            width: 2
        }
    );
}

#[test]
fn every_fault_names_row_and_column() {
    let (c, v) = (LabelKind::Classes, LabelKind::Values);
    let (seq, step) = (LabelScope::Sequence, LabelScope::Step);
    let cases = [
        (
            "id,a,b,y\np,1,x,0\n",
            c,
            seq,
            "row 2, column 'b': 'x' is not a finite number",
        ),
        (
            "id,a,b,y\np,1,2,0\np,nan,2,0\n",
            c,
            seq,
            "row 3, column 'a'",
        ),
        (
            "id,a,b,y\np,1,2,-1\n",
            c,
            step,
            "row 2, column 'y': '-1' is not a class number",
        ),
        (
            "id,a,b,y\np,1,2,0\n,1,2,0\n",
            c,
            step,
            "row 3, column 'id': is empty",
        ),
        (
            "id,a,b,y\np,1,2,0\nq,1,2,0\np,1,2,0\n",
            c,
            step,
            "row 4, column 'id': sequence 'p'",
        ),
        (
            "id,a,b,y\np,1,2,0\np,1,2,1\n",
            c,
            seq,
            "row 3, column 'y': differs",
        ),
        (
            "id,a,b,y\np,1,2,0\np,1,2,1\n",
            v,
            seq,
            "row 3, column 'y': differs",
        ),
        (
            "id,a,b,y\np,1,2\n",
            c,
            seq,
            "row 2: has 3 columns, expected 4",
        ),
        (
            "id,a,c,y\np,1,2,0\n",
            c,
            seq,
            "row 1: there is no column 'b'",
        ),
        ("id,a,b,y,a\np,1,2,0,0\n", c, seq, "column 'a' occurs twice"),
        (
            "id,a,b,y,w,v\np,1,2,0,0,0\n",
            c,
            seq,
            "row 1: nothing uses column 'v', 'w'; name it in feature_columns",
        ),
        (
            "id,a,b,y\np,1,2,up\nq,1,2,1\n",
            c,
            seq,
            "row 3, column 'y': '1' is a number, the first label 'up' is a name",
        ),
        ("id,a,b,y\n", c, seq, "there are no rows"),
        ("", c, seq, "there is no column 'id'"),
    ];
    for (text, kind, scope, wanted) in cases {
        let found = read(text, &["y"], kind, scope).unwrap_err().to_string();
        assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
    }
    for (list, wanted) in [
        (["a", "a"], "`feature_columns`"),
        (["a", "z"], "`ignore_columns`"),
    ] {
        let columns = CsvColumns {
            id: "id".into(),
            features: list.map(String::from).to_vec(),
            labels: vec!["y".into()],
            ignored: vec!["z".into()],
            ..CsvColumns::default()
        };
        let found = read_csv(Path::new("absent"), &columns, c, seq).unwrap_err();
        assert!(found.to_string().contains(wanted), "{found}");
    }
    assert!(
        read(GOOD, &["y", "z"], c, seq)
            .unwrap_err()
            .to_string()
            .contains("target_columns")
    );
}

#[test]
fn names_of_columns_and_classes_are_kept() {
    let text = "id,a,b,y\np,1,2,walk\np,1,2,rest\nq,1,2,walk\n";
    let set = read(text, &["y"], LabelKind::Classes, LabelScope::Step).unwrap();
    let names = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
    assert_eq!(set.labels, Labels::Classes(vec![1, 0, 1]));
    assert_eq!(set.label_names, names(&["rest", "walk"]));
    assert_eq!(set.feature_names, names(&["a", "b"]));
    let set = read(GOOD, &["z", "y"], LabelKind::Values, LabelScope::Step).unwrap();
    assert_eq!(set.label_names, names(&["z", "y"]));
    let set = read(GOOD, &["y"], LabelKind::Classes, LabelScope::Step).unwrap();
    assert_eq!(set.label_names, None);
}

/// Rows are lines of the file, whatever ends lines, with empty lines before them.
#[test]
fn faults_are_told_by_the_line_of_the_file() {
    for end in ["\n", "\r\n", "\r"] {
        for (before, line) in [
            (vec![], 2),
            (vec!["p,1,2,0"], 3),
            (vec!["p,1,2,0", "", "", "p,1,2,0"], 6),
            (vec!["\"p,q\",1,2,0"], 3),
            (vec!["\"p\"\"\",1,2,0", "", "r,1,2,0"], 5),
        ] {
            let lines = [vec!["id,a,b,y"], before].concat();
            let start = lines.join(end) + end;
            for (bad, what) in [
                ("s,1,x,0", "column 'b': 'x'"),
                ("s,1,2", "has 3 columns"),
                ("s,1,2,-3", "column 'y': '-3'"),
            ] {
                let text = format!("{start}{bad}{end}t,1,2,0{end}");
                let c = LabelKind::Classes;
                let found = read(&text, &["y"], c, LabelScope::Step).unwrap_err();
                let found = found.to_string();
                let wanted = format!("row {line}");
                let at = found
                    .split("row ")
                    .nth(1)
                    .and_then(|r| r.split([',', ':']).next());
                assert_eq!(
                    at.map(|n| format!("row {n}")),
                    Some(wanted),
                    "{text:?}: {found}"
                );
                assert!(found.contains(what), "{found}");
            }
        }
    }
    let latin = [b"id,a,b,y\r\n\r\np,1,2,0\r\ns,1,2,\xe9\r\n".as_slice()].concat();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&latin).unwrap();
    let columns = CsvColumns {
        id: "id".into(),
        features: vec!["a".into(), "b".into()],
        labels: vec!["y".into()],
        ignored: vec![],
        ..CsvColumns::default()
    };
    let found = read_csv(file.path(), &columns, LabelKind::Classes, LabelScope::Step);
    let found = found.unwrap_err().to_string();
    assert!(found.contains("row 4: is not UTF-8"), "{found}");
}

/// A quote that is not closed would take the rows behind it into its cell, in a column of no use too.
#[test]
fn quotes_that_take_rows_with_them_are_refused_by_line() {
    let said = |rows: &str| {
        let text = format!("id,a,b,y,note\n{rows}");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let columns = CsvColumns {
            id: "id".into(),
            features: vec!["a".into(), "b".into()],
            labels: vec!["y".into()],
            ignored: vec!["note".into()],
            ..CsvColumns::default()
        };
        let read = read_csv(file.path(), &columns, LabelKind::Classes, LabelScope::Step);
        read.map(|set| set.len()).map_err(|e| e.to_string())
    };
    assert_eq!(said("p,1,2,0,5\"\nq,1,2,0,\"a, \"\"b\"\"\"\n"), Ok(2));
    for (rows, words) in [
        (
            "p,1,2,0,\"inch\nq,1,2,0,\nr,1,2,0,\n",
            "row 2: a quote is opened",
        ),
        (
            "p,1,2,0,-\nq,1,2,0,\"inch\nr,1,2,0,12\"\ns,1,2,0,\n",
            "row 3: a quote is opened",
        ),
        ("p,\"3\"5,2,0,-\n", "row 2: there is text behind"),
    ] {
        let error = said(rows).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn numbers_that_float32_makes_0_are_refused() {
    let values = LabelKind::Values;
    let said = |cell: &str| {
        let text = format!("id,a,b,y\np,1,{cell},0\np,2,3,4\n");
        read(&text, &["y"], values, LabelScope::Step)
            .map(drop)
            .map_err(|e| e.to_string())
    };
    for right in ["0", "-0.0", "0e9", "1.2e-38", "1e-30"] {
        said(right).unwrap();
    }
    for wrong in ["1e-39", "-3e-50", "1e-999"] {
        let error = said(wrong).unwrap_err();
        assert!(
            error.contains(&format!(
                "row 2, column 'b': '{wrong}' is nearer to 0 than float32 holds"
            )),
            "{error}"
        );
    }
}

/// What a model is to find is not given to it.
#[test]
fn a_column_has_one_use() {
    let said = |features: &[&str], labels: &[&str]| {
        let columns = CsvColumns {
            id: "id".into(),
            features: features.iter().map(|n| (*n).into()).collect(),
            labels: labels.iter().map(|n| (*n).into()).collect(),
            ignored: vec!["*".into()],
            ..CsvColumns::default()
        };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"id,a,b,y\n1,1,2,3\n").unwrap();
        let read = read_csv(file.path(), &columns, LabelKind::Values, LabelScope::Step);
        read.map(drop).map_err(|e| e.to_string())
    };
    said(&["a"], &["y"]).unwrap();
    for (features, labels, words) in [
        (
            &["a", "y"][..],
            &["y"][..],
            "`target_columns`: has 'y', which is a feature too",
        ),
        (
            &["a"],
            &["id"],
            "`target_columns`: has 'id', which is the id_column",
        ),
        (
            &["a", "id"],
            &["y"],
            "`feature_columns`: has 'id', which is the id_column",
        ),
    ] {
        let error = said(features, labels).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

/// A bound of so many bytes, a row's end among them.
#[test]
fn rows_are_no_longer_than_the_bound() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let columns = CsvColumns {
        id: "id".into(),
        features: vec!["a".into()],
        labels: vec!["y".into()],
        ignored: vec![],
        ..CsvColumns::default()
    };
    // The file is read in pieces that are larger than the bound.
    let many = "p,1,0\n".repeat(50_000);
    write!(file, "id,a,y\n{many}p,{},0\np,2,0\n", "0".repeat(30)).unwrap();
    let kinds = (LabelKind::Classes, LabelScope::Step);
    let read = |longest| read_within(file.path(), &columns, kinds, longest);
    assert_eq!(read(35).unwrap().features.len(), 50_002);
    let error = read(34).unwrap_err().to_string();
    assert!(
        error.contains(", row 50002: is longer than 34 bytes, the longest row that is read"),
        "{error}"
    );
    assert!(
        read(6)
            .unwrap_err()
            .to_string()
            .contains(", row 1: is longer")
    );
    assert_eq!(
        count_rows(file.path(), CsvFormat::default()).unwrap(),
        50_002
    );
    // A quote within a cell opens none.
    let mut inches = tempfile::NamedTempFile::new().unwrap();
    write!(inches, "id,a,y\n5\",1,0\n6\",1,0\n").unwrap();
    assert_eq!(count_rows(inches.path(), CsvFormat::default()).unwrap(), 2);
}

/// A name that was misspelt ignores nothing, and what it was meant for would be missed by nobody.
#[test]
fn a_column_that_is_to_be_ignored_is_there() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"id,a,y,z\np,1,0,5\n").unwrap();
    let read = |ignored: &[&str]| {
        let columns = CsvColumns {
            id: "id".into(),
            features: vec!["a".into()],
            labels: vec!["y".into()],
            ignored: ignored.iter().map(|n| (*n).into()).collect(),
            ..CsvColumns::default()
        };
        let set = read_csv(file.path(), &columns, LabelKind::Classes, LabelScope::Step);
        set.map(drop).map_err(|e| e.to_string())
    };
    read(&["z"]).unwrap();
    read(&["*"]).unwrap();
    for ignored in [&["z", "Z"][..], &["*", "Z"]] {
        assert_eq!(
            read(ignored).unwrap_err(),
            "option `ignore_columns`: has 'Z', which the data do not have; they have id, a, y, z; remove it, or write it as it is there"
        );
    }
}

#[test]
fn numbers_that_are_written_otherwise_are_told() {
    for (cell, words) in [
        (
            "\"8,5\"",
            "row 2, column 'b': '8,5' has a decimal comma; write numbers with a decimal point",
        ),
        (
            "1e39",
            "row 2, column 'b': '1e39' is a number that float32 does not hold; the largest is 3.4e38",
        ),
        ("inf", "row 2, column 'b': 'inf' is not a finite number"),
    ] {
        let text = format!("id,a,b,y\np,1,{cell},0\n");
        let error = read(&text, &["y"], LabelKind::Values, LabelScope::Step).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}
