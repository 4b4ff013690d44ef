use std::io::Write;

use super::*;

/// An index that was written with a table has no name, and neither has a column behind a last comma.
#[test]
fn columns_without_a_name_are_told_by_their_place() {
    let said = |feature: &str, ignored: &[&str], text: &str| {
        let columns = CsvColumns {
            id: "id".into(),
            features: vec![feature.into()],
            labels: vec!["y".into()],
            ignored: ignored.iter().map(|n| (*n).into()).collect(),
            ..CsvColumns::default()
        };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let read = read_csv(file.path(), &columns, LabelKind::Values, LabelScope::Step);
        read.map(|set| set.features).map_err(|e| e.to_string())
    };
    let text = "id,a,,y\n1,1,5,3\n";
    for ignored in [&[""][..], &["*"]] {
        assert_eq!(said("a", ignored, text), Ok(vec![1.0]));
    }
    let error = said("a", &[], text).unwrap_err();
    let words = "row 1: column 3 has no name, and nothing uses it; leave it out of the file, give it a name there, or write \"\" in `ignore_columns`";
    assert!(error.contains(words), "{error}");
    for ignored in [&["a"][..], &["*"]] {
        let error = said("", ignored, text).unwrap_err();
        let words = "row 1: column 3 has no name, and what is used has one; give it a name";
        assert!(error.contains(words), "{error}");
    }
    let error = said("a", &[""], "id,a,y\n1,1,3\n").unwrap_err();
    assert!(
        error.contains("has '', which the data do not have"),
        "{error}"
    );
}
