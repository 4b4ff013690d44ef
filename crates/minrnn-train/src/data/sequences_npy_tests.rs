use std::path::PathBuf;

use super::*;

/// A little-endian npy file.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

struct Fixture {
    dir: tempfile::TempDir,
    files: ArrayFiles,
}

/// Features [2, 3, 2] = 0, 1, ..., 11 with the given labels and lengths.
fn fixture(labels: Vec<u8>, lens: Option<Vec<u8>>) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: Vec<u8>| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        dir.path().join(name)
    };
    let x: Vec<f32> = (0..12).map(|v| v as f32).collect();
    let files = ArrayFiles {
        features: put("x.npy", npy("<f4", "2, 3, 2", &floats(&x))),
        labels: Some(put("y.npy", labels)),
        lengths: lens.map(|bytes| put("lens.npy", bytes)),
        ignored: vec![],
    };
    Fixture { dir, files }
}

fn error(f: &Fixture, kind: LabelKind, scope: LabelScope) -> String {
    read_arrays(&f.files, kind, scope).unwrap_err().to_string()
}

#[test]
fn lengths_drop_the_padding_of_features_and_labels() {
    let f = fixture(
        npy("|u1", "2, 3", &[0, 1, 9, 3, 4, 5]),
        Some(npy("|i1", "2,", &[2, 3])),
    );
    let set = read_arrays(&f.files, LabelKind::Classes, LabelScope::Step).unwrap();
    assert_eq!(set.starts, [0, 2, 5]);
    assert_eq!(set.features, [0., 1., 2., 3., 6., 7., 8., 9., 10., 11.]);
    assert_eq!(set.labels, Labels::Classes(vec![0, 1, 3, 4, 5]));
    assert_eq!((set.len(), set.steps(1), set.labels_of(1)), (2, 2..5, 2..5));
}

#[test]
fn real_targets_may_have_several_numbers() {
    let y = [1.5_f32, -2.0, 0.25, 4.0, 5.0, 6.0];
    let f = fixture(npy("<f4", "2, 3", &floats(&y)), None);
    let set = read_arrays(&f.files, LabelKind::Values, LabelScope::Sequence).unwrap();
    assert_eq!(
        set.labels,
        Labels::Values {
            values: y.to_vec(),
            width: 3
        }
    );
    let set = read_arrays(&f.files, LabelKind::Values, LabelScope::Step).unwrap();
    assert_eq!(
        set.labels,
        Labels::Values {
            values: y.to_vec(),
            width: 1
        }
    );
}

#[test]
fn npz_with_either_name_and_lengths() {
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/testdata/set.npz");
    let files = |features: PathBuf| ArrayFiles {
        features,
        labels: None,
        lengths: None,
        ignored: vec![],
    };
    let a = read_arrays(
        &files(features.clone()),
        LabelKind::Classes,
        LabelScope::Sequence,
    )
    .unwrap();
    let other = features.with_file_name("set_deflated.npz");
    let b = read_arrays(&files(other), LabelKind::Classes, LabelScope::Sequence).unwrap();
    assert_eq!(a, b);
    assert_eq!((a.len(), a.width), (20, 3));
    let wrong = read_arrays(&files(features), LabelKind::Classes, LabelScope::Step)
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("array 'y'") && wrong.contains("[20]") && wrong.contains("[20, 5]"),
        "{wrong}"
    );
}

#[test]
fn every_fault_names_file_and_element() {
    let (classes, values) = (LabelKind::Classes, LabelKind::Values);
    let sequence = LabelScope::Sequence;
    let y = || npy("|u1", "2,", &[0, 1]);
    let cases = [
        (
            fixture(npy("<i2", "2,", &[0, 0, 255, 255]), None),
            classes,
            "y.npy: element [1, 0] is -1",
        ),
        (
            fixture(npy("<f4", "2,", &floats(&[0.0, 1.0])), None),
            classes,
            "expected integers",
        ),
        (
            fixture(npy("<f4", "2,", &floats(&[0.0, f32::NAN])), None),
            values,
            "element [1, 0, 0] is NaN",
        ),
        (
            fixture(npy("|u1", "3,", &[0, 1, 2]), None),
            classes,
            "labels have shape [3], expected [2]",
        ),
        (
            fixture(npy("|u1", "2, 2", &[0, 1, 2, 3]), None),
            classes,
            "2 numbers each",
        ),
        (
            fixture(y(), Some(npy("|i1", "2,", &[4, 1]))),
            classes,
            "lens.npy: element [0] is 4, expected 1 to 3",
        ),
        (
            fixture(npy("|S2", "2,", b"upx\0"), None),
            values,
            "labels have dtype '|S2', expected numbers",
        ),
        (
            fixture(npy("|S2", "2,", b"upx\xff"), None),
            classes,
            "not Unicode",
        ),
        (
            fixture(npy("|S2", "2,", b"up1\0"), None),
            classes,
            "y.npy: element [1, 0] '1' is a number",
        ),
        (
            fixture(y(), Some(npy("|i1", "2,", &[1, 0]))),
            classes,
            "element [1] is 0",
        ),
        (
            fixture(y(), Some(npy("|i1", "1,", &[1]))),
            classes,
            "expected [2]",
        ),
        (
            fixture(y(), Some(npy("<f4", "2,", &floats(&[1.0, 2.0])))),
            classes,
            "expected integers",
        ),
    ];
    for (f, kind, wanted) in cases {
        let found = error(&f, kind, sequence);
        assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
    }
    let mut f = fixture(y(), None);
    f.files.labels = None;
    assert!(error(&f, classes, sequence).contains("labels_path"));
    f.files.features = f.dir.path().join("absent.npz");
    assert!(error(&f, classes, sequence).contains("absent.npz"));
}

#[test]
fn numbers_behind_the_length_may_be_anything() {
    let f = fixture(
        npy(
            "<f4",
            "2, 3",
            &floats(&[1.0, f32::NAN, f32::NAN, 2.0, 3.0, f32::NAN]),
        ),
        Some(npy("|i1", "2,", &[1, 2])),
    );
    let set = read_arrays(&f.files, LabelKind::Values, LabelScope::Step).unwrap();
    assert_eq!(
        set.labels,
        Labels::Values {
            values: vec![1.0, 2.0, 3.0],
            width: 1
        }
    );
    let x = npy(
        "<f4",
        "2, 3",
        &floats(&[0.0, 1.0, f32::INFINITY, 3.0, 4.0, 5.0]),
    );
    std::fs::write(&f.files.features, x).unwrap();
    assert_eq!(
        read_arrays(&f.files, LabelKind::Values, LabelScope::Step)
            .unwrap()
            .features,
        [0.0, 3.0, 4.0]
    );
    let mut all = f.files.clone();
    all.lengths = None;
    let found = read_arrays(&all, LabelKind::Values, LabelScope::Step)
        .unwrap_err()
        .to_string();
    assert!(found.contains("element [0, 1, 0] is NaN"), "{found}");
}

#[test]
fn texts_are_classes_by_their_sorted_names() {
    let text = |word: &str| -> Vec<u8> {
        let padded = word.chars().chain(std::iter::repeat('\0')).take(5);
        padded.flat_map(|c| (c as u32).to_le_bytes()).collect()
    };
    let words = ["walk", "räst", "gone", "räst", "walk", "run"];
    let all: Vec<u8> = words.iter().flat_map(|w| text(w)).collect();
    let f = fixture(npy("<U5", "2, 3", &all), Some(npy("|i1", "2,", &[2, 3])));
    let set = read_arrays(&f.files, LabelKind::Classes, LabelScope::Step).unwrap();
    assert_eq!(set.labels, Labels::Classes(vec![2, 1, 1, 2, 0]));
    let names = ["run", "räst", "walk"].map(String::from).to_vec();
    assert_eq!(set.label_names, Some(names));
    let bytes = fixture(npy("|S4", "2,", b"walkup\0\0"), None);
    let set = read_arrays(&bytes.files, LabelKind::Classes, LabelScope::Sequence).unwrap();
    assert_eq!(set.labels, Labels::Classes(vec![1, 0]));
    std::fs::write(&f.files.features, npy("<U5", "2, 3, 1", &all)).unwrap();
    let found = error(&f, LabelKind::Classes, LabelScope::Step);
    assert!(
        found.contains("features have dtype '<U5', expected numbers"),
        "{found}"
    );
}

/// An archive of stored members.
fn archive(members: &[(&str, Vec<u8>)]) -> tempfile::NamedTempFile {
    use std::io::Write;
    let file = tempfile::Builder::new().suffix(".npz").tempfile().unwrap();
    let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in members {
        zip.start_file(format!("{name}.npy"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    file
}

#[test]
fn an_archive_says_lengths_or_lens_and_nothing_that_is_not_read() {
    let x = || ("x", npy("<f4", "2, 3", &floats(&[0., 1., 2., 3., 4., 5.])));
    let y = || ("y", npy("|u1", "2,", &[0, 1]));
    let lengths = |name| (name, npy("|i1", "2,", &[2, 3]));
    let read = |members: &[(&str, Vec<u8>)], ignored: &[&str]| {
        let file = archive(members);
        let files = ArrayFiles {
            features: file.path().to_path_buf(),
            labels: None,
            lengths: None,
            ignored: ignored.iter().map(|n| (*n).to_owned()).collect(),
        };
        read_arrays(&files, LabelKind::Classes, LabelScope::Sequence).map_err(|e| e.to_string())
    };
    for name in ["lengths", "lens"] {
        let set = read(&[x(), y(), lengths(name)], &[]).unwrap();
        assert_eq!(
            (set.starts, set.features),
            (vec![0, 2, 5], vec![0., 1., 3., 4., 5.])
        );
    }
    let both = read(&[x(), y(), lengths("lens"), lengths("lengths")], &[]).unwrap_err();
    assert!(both.contains("both 'lengths' and 'lens'"), "{both}");
    let more = [x(), y(), lengths("len")];
    let found = read(&more, &[]).unwrap_err();
    assert!(
        found.contains("nothing uses 'len'; what is used is x, features"),
        "{found}"
    );
    assert_eq!(read(&more, &["len"]).unwrap().starts, [0, 3, 6]);
    // What is ignored by its name is not used; `*` is for the others.
    let ragged = [x(), y(), lengths("lengths")];
    assert_eq!(read(&ragged, &["lengths"]).unwrap().starts, [0, 3, 6]);
    assert_eq!(read(&ragged, &["*"]).unwrap().starts, [0, 2, 5]);
    let labels = ("labels", npy("|u1", "2,", &[1, 1]));
    let set = read(&[x(), y(), labels], &["y"]).unwrap();
    assert_eq!(set.labels, Labels::Classes(vec![1, 1]));
    let none = read(&[x(), y()], &["x"]).unwrap_err();
    assert!(
        none.contains("there is no array 'x' or 'features'"),
        "{none}"
    );
}
