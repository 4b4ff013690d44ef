//! How long the sequences are that run: no shorter than the files take, no longer than was asked for.

use minrnn_onnx::builder::{Builder, Val};
use minrnn_onnx::ir::{DType, Dim, Graph, Tensor as Constant};

use super::graphs::{Folder, noted};
use super::*;

fn dims(names: &str) -> Vec<Dim> {
    let one = |d: &str| d.parse().map_or(Dim::symbol(d), Dim::Fixed);
    names.split(',').map(one).collect()
}

/// `y = f(x)`, `x [B, T, 4]`.
fn graph(out: &str, f: impl FnOnce(&mut Builder, Val) -> Val) -> Graph {
    let mut b = Builder::new("spans");
    let x = b.input("x", DType::F32, dims("B,T,4"));
    let y = f(&mut b, x);
    b.output("y", y, DType::F32, dims(out));
    b.finish().unwrap()
}

/// A convolution over the `width` steps so far that are all there.
fn valid(width: i64, factor: f32) -> Graph {
    graph("B,T2,4", |b, x| {
        let values: Vec<f32> = (0..16 * width)
            .map(|i| (i % 7) as f32 * 0.1 * factor - 0.3)
            .collect();
        let w = b.param(Constant::f32("w", vec![4, 4, width], &values));
        let turned = b.transpose(x, &[0, 2, 1]);
        let y = b.node("Conv", &[turned, w], vec![]);
        b.transpose(y, &[0, 2, 1])
    })
}

/// Two steps in each row.
fn paired(twice: bool) -> Graph {
    graph("B,T2,8", |b, x| {
        let y = b.reshape(x, &[0, -1, 8]);
        if twice {
            b.node("Identity", &[y], vec![])
        } else {
            y
        }
    })
}

/// A table of so many positions, added.
fn placed(rows: i64) -> Graph {
    graph("B,T,4", |b, x| {
        let values: Vec<f32> = (0..4 * rows).map(|i| (i % 5) as f32).collect();
        let table = b.param(Constant::f32("table", vec![rows, 4], &values));
        let [nil, one] =
            [("nil", 0), ("one", 1)].map(|(n, v)| b.param(Constant::i64(n, vec![], &[v])));
        let shape = b.node("Shape", &[x], vec![]);
        let time = b.node("Gather", &[shape, one], vec![]);
        let places = b.node("Range", &[nil, time, one], vec![]);
        let picked = b.node("Gather", &[table, places], vec![]);
        b.node("Add", &[x, picked], vec![])
    })
}

struct Files(Folder);

impl Files {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn run(&self, a: Graph, b: Graph, request: &Request) -> Result<Pair> {
        self.0.pair(Kind::Same, [a, b], request)
    }
}

fn request(longest: usize) -> Request {
    Request {
        longest: Some(longest),
        ..Request::default()
    }
}

#[test]
fn files_begin_at_the_least_length_that_both_take() {
    let files = Files::new();
    for (width, words) in [(3, "the files take T >= 3"), (12, "the files take T >= 12")] {
        let pair = files
            .run(valid(width, 1.0), valid(width, 1.0), &request(40))
            .unwrap();
        assert!(pair.holds, "{:?}", pair.rows);
        noted(&pair, words);
        noted(&pair, &format!("T = {width} to 40"));
        let pair = files
            .run(valid(width, 1.0), valid(width, 1.01), &request(40))
            .unwrap();
        assert!(!pair.holds);
    }
    let error = files
        .run(valid(3, 1.0), valid(5, 1.0), &request(40))
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("takes T >= 3") && error.contains("T >= 5"),
        "{error}"
    );
}

#[test]
fn lengths_are_multiples_where_files_take_no_others() {
    let pair = Files::new()
        .run(paired(false), paired(true), &request(20))
        .unwrap();
    assert!(pair.holds, "{:?}", pair.rows);
    noted(&pair, "the files take T = 2, 4, 6 .. only");
    noted(&pair, "T = 2 to 20");
}

/// Finding axes, measuring and bisecting run no longer than was asked for: the table has no more rows.
#[test]
fn no_run_is_longer_than_was_asked_for() {
    let files = Files::new();
    for longest in [12, 10, 2, 1] {
        let request = Request {
            bisect: true,
            ..request(longest)
        };
        let pair = files.run(placed(12), placed(12), &request);
        let pair = pair.unwrap_or_else(|e| panic!("{longest}: {e:#}"));
        assert!(pair.holds, "{:?}", pair.rows);
    }
    let error = files.run(placed(12), placed(12), &request(13));
    assert!(error.is_err(), "the table has no row for it");
    let error = files.run(placed(12), placed(12), &Request::default());
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("say by --max-len N"), "{error}");
}

/// What ran is what the report says: one length, by an option or because there is no time.
#[test]
fn the_report_says_which_lengths_ran() {
    let files = Files::new();
    let map = || graph("B,T,4", |b, x| b.tanh(x));
    let mut given = request(40);
    given.dims.insert("T".into(), 16);
    let pair = files
        .run(
            map(),
            map(),
            &Request {
                longest: None,
                ..given
            },
        )
        .unwrap();
    noted(&pair, "T = 16 only, as --dim says");
    noted(&pair, "cases, T = 16, seed");
    let mut given = Request::default();
    given
        .inputs
        .extend([flags::input_spec("x=B,16,4").unwrap()]);
    let pair = files.run(map(), map(), &given).unwrap();
    noted(&pair, "no input has an axis of time");
    assert!(
        !pair.notes.iter().any(|n| n.contains("T = 1")),
        "{:?}",
        pair.notes
    );
}
