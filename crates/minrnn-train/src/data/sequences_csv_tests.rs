use super::*;
use std::io::Write;

fn read(text: &str, labels: &[&str], kind: LabelKind, scope: LabelScope) -> Result<SequenceSet> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let columns = CsvColumns {
        id: "id".into(),
        features: vec!["a".into(), "b".into()],
        labels: labels.iter().map(|s| s.to_string()).collect(),
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
            "column 'y': '-1' is not a class number",
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
        ("id,a,b,y\n", c, seq, "there are no rows"),
        ("", c, seq, "there is no column 'id'"),
    ];
    for (text, kind, scope, wanted) in cases {
        let found = read(text, &["y"], kind, scope).unwrap_err().to_string();
        assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
    }
    assert!(
        read(GOOD, &["y", "z"], c, seq)
            .unwrap_err()
            .to_string()
            .contains("target_columns")
    );
}
