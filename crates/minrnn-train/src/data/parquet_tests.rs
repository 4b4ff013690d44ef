use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{BoolType, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;

use super::*;
use crate::task::{Sequences, SequencesOptions, Split, Task};

/// A column with its values; definition levels where it may have nulls.
enum Column {
    Bools(Vec<bool>),
    Small(Vec<i32>),
    Large(Vec<i64>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>, Option<Vec<i16>>),
    Texts(Vec<&'static str>, Option<Vec<i16>>),
}

/// A file with these columns, in row groups of so many rows.
fn write(
    dir: &Path,
    schema: &str,
    columns: &[Column],
    each: usize,
    packed: Compression,
) -> PathBuf {
    let path = dir.join("table.parquet");
    let schema = Arc::new(parse_message_type(&format!("message table {{ {schema} }}")).unwrap());
    let properties = WriterProperties::builder().set_compression(packed).build();
    let file = File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let rows = columns.iter().map(Column::rows).max().unwrap();
    for from in (0..rows).step_by(each) {
        let to = rows.min(from + each);
        let mut group = writer.next_row_group().unwrap();
        for column in columns {
            let mut w = group.next_column().unwrap().unwrap();
            match column {
                Column::Bools(v) => w.typed::<BoolType>().write_batch(&v[from..to], None, None),
                Column::Small(v) => w.typed::<Int32Type>().write_batch(&v[from..to], None, None),
                Column::Large(v) => w.typed::<Int64Type>().write_batch(&v[from..to], None, None),
                Column::Floats(v) => w.typed::<FloatType>().write_batch(&v[from..to], None, None),
                Column::Doubles(v, levels) => {
                    let (v, levels) = part(v, levels.as_deref(), from, to);
                    w.typed::<DoubleType>()
                        .write_batch(&v, levels.as_deref(), None)
                }
                Column::Texts(v, levels) => {
                    let (v, levels) = part(v, levels.as_deref(), from, to);
                    let v: Vec<ByteArray> = v.into_iter().map(ByteArray::from).collect();
                    w.typed::<ByteArrayType>()
                        .write_batch(&v, levels.as_deref(), None)
                }
            }
            .unwrap();
            w.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    path
}

impl Column {
    fn rows(&self) -> usize {
        match self {
            Self::Bools(v) => v.len(),
            Self::Small(v) => v.len(),
            Self::Large(v) => v.len(),
            Self::Floats(v) => v.len(),
            Self::Doubles(v, levels) => levels.as_ref().map_or(v.len(), Vec::len),
            Self::Texts(v, levels) => levels.as_ref().map_or(v.len(), Vec::len),
        }
    }
}

/// Some rows of values where there are some.
fn part<T: Clone>(
    values: &[T],
    levels: Option<&[i16]>,
    from: usize,
    to: usize,
) -> (Vec<T>, Option<Vec<i16>>) {
    let Some(levels) = levels else {
        return (values[from..to].to_vec(), None);
    };
    let before = levels[..from].iter().filter(|l| **l > 0).count();
    let count = levels[from..to].iter().filter(|l| **l > 0).count();
    (
        values[before..before + count].to_vec(),
        Some(levels[from..to].to_vec()),
    )
}

const ROWS_: usize = 9000;

fn doubles() -> Vec<f64> {
    (0..ROWS_)
        .map(|i| (i as f64 * 0.1).sin() * 1e3 + 0.1)
        .collect()
}

const SCHEMA: &str = "required int64 run; required boolean on; required int32 steps (INTEGER(32,false)); required float flow; \
    optional double level; required binary kind (STRING); required int64 time (TIMESTAMP(MICROS,true));";

fn columns() -> Vec<Column> {
    let kinds = ["rest", "walk", "run"];
    let rows = 0..ROWS_;
    vec![
        Column::Large(rows.clone().map(|i| i as i64 / 100 - 3).collect()),
        Column::Bools(rows.clone().map(|i| i % 3 == 0).collect()),
        Column::Small(
            rows.clone()
                .map(|i| (i as u32 * 400_000).cast_signed())
                .collect(),
        ),
        Column::Floats(rows.clone().map(|i| i as f32 * 0.3 - 1.0).collect()),
        Column::Doubles(doubles(), Some(vec![1; ROWS_])),
        Column::Texts(rows.clone().map(|i| kinds[i / 100 % 3]).collect(), None),
        Column::Large(rows.map(|i| i as i64).collect()),
    ]
}

fn csv() -> String {
    let mut text = "run,on,steps,flow,level,kind,time\n".to_owned();
    for (i, level) in doubles().iter().enumerate() {
        text += &format!(
            "{},{},{},{},{level},{},{i}\n",
            i as i64 / 100 - 3,
            i32::from(i % 3 == 0),
            i as u32 * 400_000,
            i as f32 * 0.3 - 1.0,
            ["rest", "walk", "run"][i / 100 % 3],
        );
    }
    text
}

fn options(path: &Path, rest: &str) -> SequencesOptions {
    let text = format!(
        "path = '{}'\nid_column = 'run'\nfeature_columns = ['flow', 'on', 'steps']\nignore_columns = ['*']\n{rest}",
        path.display()
    );
    toml::from_str(&text).unwrap()
}

/// The same sequences, numbers and names from both files; of several row groups and many pieces.
#[test]
fn a_table_is_read_as_the_csv_with_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let as_csv = dir.path().join("table.csv");
    std::fs::write(&as_csv, csv()).unwrap();
    for (each, packed) in [
        (ROWS_, Compression::UNCOMPRESSED),
        (1234, Compression::SNAPPY),
        (5000, Compression::GZIP(Default::default())),
    ] {
        let path = write(dir.path(), SCHEMA, &columns(), each, packed);
        assert_eq!(count_rows(&path).unwrap(), ROWS_ as u64);
        for rest in [
            "target_columns = ['level']\ntarget = 'values'\nper = 'step'",
            "target_columns = ['kind']\ntarget = 'classes'\nper = 'sequence'",
        ] {
            let open = |path: &Path| Sequences::open(&options(path, rest), 3).unwrap();
            let (table, text) = (open(&path), open(&as_csv));
            assert_eq!(table.digest(), text.digest());
            assert_eq!(table.shape(), text.shape());
            assert_eq!(table.target_names(), text.target_names());
            assert_eq!(table.normalisation(), text.normalisation());
            assert_eq!(
                table.batch(Split::Train, 0, 20).unwrap(),
                text.batch(Split::Train, 0, 20).unwrap()
            );
        }
    }
}

#[test]
fn nulls_and_types_that_are_not_read_are_refused_by_column_and_row() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |schema: &str, columns: &[Column], target: &str, words: &str| {
        let path = write(dir.path(), schema, columns, 2, Compression::SNAPPY);
        let text = format!(
            "path = '{}'\nid_column = 'id'\nfeature_columns = ['x']\ntarget_columns = ['y']\nignore_columns = ['*']\nper = 'step'\ntarget = '{target}'",
            path.display()
        );
        let error = Sequences::open(&toml::from_str(&text).unwrap(), 3);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    let base = |x: &str, y: &str| format!("required int32 id; {x} {y}");
    let ids = || Column::Small(vec![0, 0, 1, 1, 2]);
    let y = || Column::Small(vec![0, 1, 0, 1, 0]);
    let doubles = || Column::Doubles(vec![1.0, 2.0, 3.0, 4.0], Some(vec![1, 1, 1, 0, 1]));
    refused(
        &base("optional double x;", "required int32 y;"),
        &[ids(), doubles(), y()],
        "classes",
        "row 3 (from 0), column 'x': is null, expected a value",
    );
    let texts = || Column::Texts(vec!["a", "b", "c", "a"], Some(vec![0, 1, 1, 1, 1]));
    let x = || Column::Floats(vec![0.5; 5]);
    refused(
        &base("required float x;", "optional binary y (STRING);"),
        &[ids(), x(), texts()],
        "classes",
        "row 0 (from 0), column 'y': is null, expected a value",
    );
    for (y, of, words) in [
        (
            "required int64 y (TIMESTAMP(MILLIS,true));",
            Column::Large(vec![0; 5]),
            "column 'y': holds time stamps",
        ),
        (
            "required int32 y (DATE);",
            Column::Small(vec![0; 5]),
            "column 'y': holds dates",
        ),
        (
            "required int32 y (DECIMAL(9,2));",
            Column::Small(vec![0; 5]),
            "column 'y': holds decimal numbers",
        ),
        (
            "required binary y;",
            Column::Texts(vec!["a"; 5], None),
            "column 'y': holds bytes that are not said to be text",
        ),
        (
            "required group y { required int32 z; }",
            Column::Small(vec![0; 5]),
            "column 'y': is nested",
        ),
        (
            "required double y;",
            Column::Doubles(vec![1.0; 5], None),
            "column 'y': '1.0' is not a class number",
        ),
        (
            "required int32 w;",
            Column::Small(vec![0; 5]),
            "there is no column 'y'; the columns are [\"id\", \"x\", \"w\"]",
        ),
    ] {
        refused(
            &base("required float x;", y),
            &[ids(), x(), of],
            "classes",
            words,
        );
    }
    for (value, words) in [
        (
            f64::NAN,
            "row 1 (from 0), column 'x': 'NaN' is not a finite number",
        ),
        (
            1e39,
            "column 'x': '1e39' is a number that float32 does not hold",
        ),
        (
            1e-40,
            "column 'x': '1e-40' is nearer to 0 than float32 holds",
        ),
    ] {
        let x = Column::Doubles(vec![0.0, value, 0.0, 0.0, 0.0], None);
        refused(
            &base("required double x;", "required int32 y;"),
            &[ids(), x, y()],
            "classes",
            words,
        );
    }
    let large = Column::Large(vec![1, -1, 0, 0, 0]);
    refused(
        &base("required int64 x (INTEGER(64,false));", "required int32 y;"),
        &[ids(), large, y()],
        "classes",
        "an unsigned integer is larger than int64 can hold",
    );
    refused(
        &base("required float x;", "required int32 y;"),
        &[Column::Small(vec![0, 1, 0, 1, 0]), x(), y()],
        "values",
        "row 2 (from 0), column 'id': sequence '0' goes on after another one began",
    );
}

#[test]
fn what_is_no_table_and_a_column_that_nothing_uses_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), SCHEMA, &columns(), ROWS_, Compression::SNAPPY);
    let open = |ignored: &str| {
        let mut options = options(
            &path,
            "target_columns = ['level']\ntarget = 'values'\nper = 'step'",
        );
        options.ignore_columns = vec![ignored.to_owned()];
        Sequences::open(&options, 3).map(|task| task.shape())
    };
    let error = open("time").unwrap_err().to_string();
    assert!(error.contains("nothing uses column 'kind'"), "{error}");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = open("*").unwrap_err().to_string();
    assert!(
        error.contains("not a Parquet file, or damaged or cut off"),
        "{error}"
    );
    assert_eq!(count_rows(&path).unwrap(), 0);
}

/// Files of PyArrow (pages of both versions, with dictionaries and without) and of Polars, as `testdata/generate_parquet.py` wrote them.
fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/data/testdata")
        .join(name)
}

#[test]
fn tables_packed_by_zstd_are_read_as_the_csv_with_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let as_csv = dir.path().join("table.csv");
    let mut text = "run,on,steps,flow,level,kind\n".to_owned();
    for i in 0..240u32 {
        text += &format!(
            "{},{},{},{},{},{}\n",
            i / 20,
            i32::from(i % 3 == 0),
            i * 4000,
            f64::from(i) * 0.5 - 1.0,
            f64::from(i * 37 % 101) * 0.125,
            ["rest", "walk", "run"][i as usize / 20 % 3],
        );
    }
    std::fs::write(&as_csv, text).unwrap();
    for name in ["zstd_v1.parquet", "zstd_v2.parquet", "polars.parquet"] {
        let path = testdata(name);
        let codec = open(&path)
            .unwrap()
            .0
            .metadata()
            .row_group(0)
            .column(0)
            .compression_codec();
        assert_eq!(codec, ::parquet::basic::CompressionCodec::ZSTD, "{name}");
        for rest in [
            "target_columns = ['level']\ntarget = 'values'\nper = 'step'",
            "target_columns = ['kind']\ntarget = 'classes'\nper = 'sequence'",
        ] {
            let open = |path: &Path| Sequences::open(&options(path, rest), 3).unwrap();
            let (table, text) = (open(&path), open(&as_csv));
            assert_eq!(table.digest(), text.digest(), "{name}");
            assert_eq!(
                table.batch(Split::Train, 0, 8).unwrap(),
                text.batch(Split::Train, 0, 8).unwrap()
            );
        }
    }
}

#[test]
fn what_is_packed_otherwise_is_refused_by_name() {
    for (name, by) in [("brotli.parquet", "Brotli"), ("lz4.parquet", "LZ4")] {
        let rest = "target_columns = ['level']\ntarget = 'values'\nper = 'step'";
        let error = Sequences::open(&options(&testdata(name), rest), 3);
        let error = error.map(drop).unwrap_err().to_string();
        let words = format!("column 'run': is packed by {by}, expected Snappy, gzip, zstd");
        assert!(error.contains(&words), "{error}");
    }
}

/// Every file with a byte other than it was is read, or refused with words.
#[test]
fn damaged_pages_are_refused_and_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let rest = "target_columns = ['level']\ntarget = 'values'\nper = 'step'";
    for name in ["zstd_v1.parquet", "zstd_v2.parquet", "polars.parquet"] {
        let whole = std::fs::read(testdata(name)).unwrap();
        let mut refused = 0;
        for at in (4..whole.len() - 8).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x5a;
            let path = dir.path().join("table.parquet");
            std::fs::write(&path, bytes).unwrap();
            refused += usize::from(Sequences::open(&options(&path, rest), 3).is_err());
        }
        assert!(refused > 20, "{name}: {refused}");
    }
}
