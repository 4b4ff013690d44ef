//! What is found in two files, what is proposed, and what is asked for.

use std::path::{Path, PathBuf};

use minrnn_onnx::builder::{Builder, Val};
use minrnn_onnx::ir::{Attr, DType, Dim as Axis, Graph, Model, Tensor as Constant};

use super::super::flags::input_spec;
use super::super::tests::graphs;
use super::*;

fn write(dir: &Path, name: &str, graph: Graph) -> PathBuf {
    graphs::write(dir, name, 17, graph)
}

fn dims(names: &[&str]) -> Vec<Axis> {
    let one = |n: &&str| match (n.parse(), *n) {
        (Ok(n), _) => Axis::Fixed(n),
        (_, "?") => Axis::Unknown,
        (_, n) => Axis::symbol(n),
    };
    names.iter().map(one).collect()
}

/// `y = f(x)`, x of the dimensions given.
fn map(names: &[&str], f: impl FnOnce(&mut Builder, Val) -> Val) -> Graph {
    let mut b = Builder::new("map");
    let x = b.input("x", DType::F32, dims(names));
    let y = f(&mut b, x);
    b.output("y", y, DType::F32, dims(names));
    b.finish().unwrap()
}

fn sum(along: i64) -> impl Fn(&mut Builder, Val) -> Val {
    move |b, x| {
        // Of either type that axes are given in.
        let axis = match along {
            0 => Constant::i64("axis", vec![], &[0]),
            n => Constant::bytes("axis", DType::I32, vec![], (n as i32).to_le_bytes().into()),
        };
        let axis = b.param(axis);
        b.node("CumSum", &[x, axis], vec![])
    }
}

/// A GRU over `x`, states `h0` to `hn`.
fn gru(x: &[&str], h: &[&str]) -> Graph {
    let mut b = Builder::new("gru");
    let input = b.input("x", DType::F32, dims(x));
    b.input("h0", DType::F32, dims(h));
    let weight = |b: &mut Builder, name: &str, dims: Vec<i64>| {
        let count: i64 = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|i| (i % 7) as f32 * 0.1 - 0.3).collect();
        b.param(Constant::f32(name, dims, &values))
    };
    let w = weight(&mut b, "w", vec![1, 6, 3]);
    let r = weight(&mut b, "r", vec![1, 6, 2]);
    let bias = weight(&mut b, "bias", vec![1, 12]);
    let all = b.node_n(
        "GRU",
        &[input, w, r, bias],
        2,
        vec![("hidden_size", Attr::Int(2))],
    );
    let y = b.squeeze(all[0], 1);
    let hn = b.node("Identity", &[all[1]], vec![]);
    b.output("y", y, DType::F32, dims(&[x[0], x[1], "2"]));
    b.output("hn", hn, DType::F32, dims(h));
    let mut graph = b.finish().unwrap();
    // Builder nodes have no empty inputs: the initial state is the sixth.
    if let Some(node) = graph.nodes.iter_mut().find(|n| n.op_type == "GRU") {
        node.inputs.extend([String::new(), "h0".into()]);
    }
    graph
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn face(&self, a: Graph, b: Graph, kind: Kind, request: &Request) -> Result<Interface> {
        let [a, b] = [("a.onnx", a), ("b.onnx", b)]
            .map(|(name, graph)| GraphFile::open(&write(self.0.path(), name, graph)).unwrap());
        interface(&a, &b, kind, request)
    }

    fn same(&self, a: Graph, b: Graph) -> Result<Interface> {
        self.face(a, b, Kind::Same, &Request::default())
    }
}

/// Whatever the axes are called: a running sum says which one is time, of one file or of both.
#[test]
fn an_operator_says_which_axis_is_time() {
    let files = Files::new();
    for names in [
        ["s0", "s1", "4"],
        ["unk__12", "unk__13", "4"],
        ["?", "?", "4"],
    ] {
        for (axis, other) in [(0, sum(0)), (1, sum(1))] {
            let plain = map(&names, |b, x| b.tanh(x));
            let summed = map(&names, |b, x| {
                let turned = b.tanh(x);
                other(b, turned)
            });
            let time =
                |a: &Graph, b: &Graph| files.same(a.clone(), b.clone()).unwrap().links[0].time();
            assert_eq!(time(&plain, &summed), Some(axis), "{names:?}");
            assert_eq!(time(&summed, &plain), Some(axis), "{names:?}");
        }
    }
}

/// Time is never the axis called `batch`, whatever the other one is called.
#[test]
fn the_batch_is_never_time() {
    let files = Files::new();
    for name in [
        "frames",
        "num_frames",
        "len",
        "L",
        "tokens",
        "s0",
        "unk__12",
        "?",
    ] {
        for (axis, names) in [(0, [name, "batch", "4"]), (1, ["batch", name, "4"])] {
            let graph = map(&names, |b, x| b.tanh(x));
            let face = files.same(graph.clone(), graph).unwrap();
            assert_eq!(face.links[0].time(), Some(axis), "{names:?}");
        }
    }
}

/// A name that an exporter counted out means nothing in another file; an operator does.
#[test]
fn counted_names_do_not_pair_axes_of_two_files() {
    let files = Files::new();
    let step = || map(&["s0", "4"], |b, x| b.tanh(x));
    let found = |whole: Graph| files.face(whole, step(), Kind::Step, &Request::default());
    let silent = map(&["s0", "s1", "4"], |b, x| b.tanh(x));
    let error = found(silent).unwrap_err().to_string();
    assert!(
        error.contains("time may be any of the axes [0, 1]"),
        "{error}"
    );
    let time = found(map(&["s0", "s1", "4"], sum(0))).unwrap().links[0].time();
    assert_eq!(time, Some(0));
    assert!(
        ["s0", "unk__12", "LSTMhn_dim_1"]
            .iter()
            .all(|n| clues::counted(n))
    );
    assert!(
        !["batch", "time2", "B1", "s"]
            .iter()
            .any(|n| clues::counted(n))
    );
}

#[test]
fn what_contradicts_itself_or_says_nothing_is_asked_for() {
    let files = Files::new();
    let said = map(&["batch", "seq", "4"], sum(0));
    let error = files.same(said.clone(), said).unwrap_err().to_string();
    assert!(
        error.contains("axis 1 is called `seq`") && error.contains("axis 0 is what CumSum `"),
        "{error}"
    );
    let called = map(&["batch", "s1", "4"], sum(0));
    let error = files.same(called.clone(), called).unwrap_err().to_string();
    assert!(
        error.contains("CumSum `")
            && error.contains("is called `batch`")
            && error.contains("--input x=B,T,4"),
        "{error}"
    );
    let silent = map(&["s0", "s1", "4"], |b, x| b.tanh(x));
    let error = files
        .same(silent.clone(), silent.clone())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "input `x` [s0, s1, 4]: nothing tells which of the axes [0, 1] is time; say it by --input x=T,B,4 or --input x=B,T,4"
    );
    let mut request = Request::default();
    request.inputs.extend([input_spec("x=T,B,4").unwrap()]);
    let face = files
        .face(silent.clone(), silent, Kind::Same, &request)
        .unwrap();
    assert_eq!(
        face.links[0].roles,
        [Role::Time, Role::Batch, Role::Fixed(4)]
    );
}

/// Axes are followed through what moves them: turned, split in two, multiplied, and into the body of a GRU.
#[test]
fn axes_are_followed_to_a_recurrence() {
    let mut b = Builder::new("moved");
    let x = b.input("x", DType::F32, dims(&["p", "q", "3"]));
    let turned = b.transpose(x, &[1, 0, 2]);
    let flat = b.reshape(turned, &[0, 0, 1, 3]);
    let back = b.reshape(flat, &[0, -1, 3]);
    let w = b.param(Constant::f32("w", vec![1, 2, 3], &[0.1; 6]));
    let r = b.param(Constant::f32("r", vec![1, 2, 2], &[0.1; 4]));
    let y = b.node_n("RNN", &[back, w, r], 2, vec![("hidden_size", Attr::Int(2))]);
    b.output("y", y[0], DType::F32, dims(&["q", "1", "p", "2"]));
    let graph = b.finish().unwrap();
    let face = Files::new().same(graph.clone(), graph).unwrap();
    assert_eq!(
        face.links[0].roles,
        [Role::Batch, Role::Time, Role::Fixed(3)]
    );
}

#[test]
fn fixed_lengths_and_batches_are_taken_from_either_file() {
    let fixed = || gru(&["10", "2", "3"], &["1", "2", "2"]);
    let free = || gru(&["s0", "s1", "3"], &["1", "s1", "2"]);
    for (a, b) in [(fixed(), free()), (free(), fixed()), (fixed(), fixed())] {
        let face = Files::new().same(a, b).unwrap();
        assert_eq!((face.length, face.batch), (Some(10), Some(2)));
        assert_eq!(face.links[0].roles[..2], [Role::Time, Role::Batch]);
    }
    let other = gru(&["5", "2", "3"], &["1", "2", "2"]);
    let error = Files::new().same(fixed(), other).unwrap_err().to_string();
    assert!(
        error.contains("takes 10 steps") && error.contains("takes 5"),
        "{error}"
    );
}

/// A state that nobody named is proposed, with its rows; the line is the one that is then taken.
#[test]
fn states_are_proposed_and_their_rows_are_found() {
    let whole = || gru(&["T", "B", "3"], &["1", "B", "2"]);
    let step = || gru(&["1", "B", "3"], &["1", "B", "2"]);
    let files = Files::new();
    let found = |request: &Request| files.face(whole(), step(), Kind::Step, request);
    let error = found(&Request::default()).unwrap_err().to_string();
    assert!(
        error.contains("`h0`, which `hn` gives back")
            && error.contains("add --state h0=hn:batch=1"),
        "{error}"
    );
    for line in ["h0=hn:batch=1", "h0=hn"] {
        let request = Request {
            states: vec![line.parse().unwrap()],
            ..Request::default()
        };
        let state = found(&request).unwrap().states.remove(0);
        assert_eq!(state.shape, [Role::Fixed(1), Role::Batch, Role::Fixed(2)]);
        assert_eq!(state.first, (Some("h0".into()), Some("hn".into())));
    }
    // Said to be no state, it is the same at every step, and the report says so.
    let request = Request {
        names: vec![("h0".into(), "h0".into()), ("hn".into(), "hn".into())],
        ..Request::default()
    };
    let face = found(&request).unwrap();
    assert!(
        face.notes
            .iter()
            .any(|n| n.contains("every step gets the same")),
        "{:?}",
        face.notes
    );
}

/// An axis that an operator mixes along holds no rows, whatever it is called; said so all the same, it is run at more than 3.
#[test]
fn a_name_does_not_beat_an_operator() {
    let files = Files::new();
    let conv = |names: &[&str]| {
        map(names, |b, x| {
            let w = b.param(Constant::f32("w", vec![4, 4, 5], &[0.1; 80]));
            let pads = vec![("pads", Attr::Ints(vec![4, 0]))];
            b.node("Conv", &[x, w], pads)
        })
    };
    for (a, b) in [
        ("T", "n"),
        ("frames", "bins"),
        ("tokens", "unk__1"),
        ("L", "s1"),
        ("T", "T2"),
        ("seq", "batch"),
    ] {
        let graph = conv(&[a, "4", b]);
        let error = files.same(graph.clone(), graph).unwrap_err().to_string();
        assert!(
            error.contains("axis 2 is ")
                && error.contains("Conv `")
                && error.contains("--input x=T,4,B or")
                && error.contains("--input x=B,4,T"),
            "{error}"
        );
    }
    for names in [["b", "4", "T"], ["batch", "4", "s1"], ["n", "4", "m"]] {
        let graph = conv(&names);
        let face = files.same(graph.clone(), graph).unwrap();
        assert_eq!(face.links[0].time(), Some(2), "{names:?}");
        assert_eq!(face.batches, [1, 3]);
    }
    let graph = conv(&["seq", "4", "batch"]);
    let mut request = Request::default();
    request.inputs.extend([input_spec("x=T,4,B").unwrap()]);
    let face = files
        .face(graph.clone(), graph, Kind::Same, &request)
        .unwrap();
    assert_eq!(face.batches, [1, 3, 33]);
    assert!(
        face.notes.iter().any(|n| n.contains("up to 33 entries")),
        "{:?}",
        face.notes
    );
}

/// A graph over an input with axes of these names.
type Maker<'a> = &'a dyn Fn(&[&str]) -> Graph;

/// `y = tril(x x') x`: attention written out, and pooling and operators of attention, along the axis that is called batch.
#[test]
fn what_is_mixed_by_products_windows_and_attention_is_no_batch() {
    let files = Files::new();
    let products = |names: &[&str]| {
        map(names, |b, x| {
            let turned = b.transpose(x, &[0, 2, 1]);
            let scores = b.node("MatMul", &[x, turned], vec![]);
            let lower = b.node("Trilu", &[scores], vec![("upper", Attr::Int(0))]);
            b.node("MatMul", &[lower, x], vec![])
        })
    };
    let pooled = |names: &[&str]| {
        map(names, |b, x| {
            let turned = b.transpose(x, &[0, 2, 1]);
            let more = vec![
                ("kernel_shape", Attr::Ints(vec![3])),
                ("pads", Attr::Ints(vec![2, 0])),
            ];
            let most = b.node("MaxPool", &[turned], more);
            b.transpose(most, &[0, 2, 1])
        })
    };
    let attention = |names: &[&str]| map(names, |b, x| b.node("Attention", &[x, x, x], vec![]));
    let all: [Maker; 3] = [&products, &pooled, &attention];
    for f in all {
        for names in [["time", "batch", "4"], ["T", "n", "4"], ["T", "m", "4"]] {
            let flow = flow::flow(&Model {
                opsets: vec![(String::new(), 23)],
                graph: f(&names),
                ..Model::default()
            });
            let axes: Vec<usize> = flow
                .clues
                .iter()
                .filter(|c| c.meaning == Meaning::Time)
                .map(|c| c.axis)
                .collect();
            assert!(!axes.is_empty() && axes.iter().all(|a| *a == 1), "{axes:?}");
        }
    }
    for f in [&products as Maker, &pooled] {
        for names in [["time", "batch", "4"], ["T", "n", "4"], ["T", "m", "4"]] {
            let error = files.same(f(&names), f(&names)).unwrap_err().to_string();
            assert!(
                error.contains("is mixed by") && error.contains("--input x=B,T,4"),
                "{error}"
            );
        }
        let face = files.same(f(&["batch", "q", "4"]), f(&["batch", "q", "4"]));
        assert_eq!(face.unwrap().links[0].time(), Some(1));
    }
    // Letters that count axes are no names.
    let graph = products(&["a", "b", "4"]);
    let error = files.same(graph.clone(), graph).unwrap_err().to_string();
    assert!(error.contains("nothing tells which of the axes"), "{error}");
}

/// A sum over all steps: the step file keeps what was there in `cache`, or the sum in a state of this name.
fn summed() -> Graph {
    let mut b = Builder::new("summed");
    let x = b.input("x", DType::F32, dims(&["B", "T", "4"]));
    let y = sum(1)(&mut b, x);
    b.output("y", y, DType::F32, dims(&["B", "T", "4"]));
    b.finish().unwrap()
}

fn adds(state: &str, outputs: &[&str]) -> Graph {
    let mut b = Builder::new("adds");
    let x = b.input("x", DType::F32, dims(&["B", "4"]));
    let s = b.input(state, DType::F32, dims(&["B", "4"]));
    let y = b.node("Add", &[x, s], vec![]);
    for name in outputs {
        let out = b.node("Identity", &[y], vec![]);
        b.output(name, out, DType::F32, dims(&["B", "4"]));
    }
    b.finish().unwrap()
}

/// The line that is offered for a state is the right one, or all that may be are.
#[test]
fn a_result_is_not_proposed_as_the_next_state() {
    let files = Files::new();
    let asked = |state: &str, outputs: &[&str]| {
        let found = files.face(
            summed(),
            adds(state, outputs),
            Kind::Step,
            &Request::default(),
        );
        found.unwrap_err().to_string()
    };
    for (state, next) in [
        ("last", "last_out"),
        ("prev", "cur"),
        ("h", "new_h"),
        ("memory", "other"),
    ] {
        let error = asked(state, &["y", next]);
        assert!(
            error.contains(&format!("add --state {state}={next}")),
            "{error}"
        );
        assert!(!error.contains(&format!("{state}=y")), "{error}");
    }
    let error = asked("memory", &["y", "p", "q"]);
    assert!(
        error.contains("add one of --state memory=p or --state memory=q"),
        "{error}"
    );
    assert!(asked("memory", &["y"]).contains("add --state memory=y"));
}

/// A cache that grows: what is offered is what is then taken, and so is the size 0.
#[test]
fn a_cache_that_grows_begins_empty() {
    let step = || {
        let mut b = Builder::new("grows");
        let x = b.input("x", DType::F32, dims(&["B", "4"]));
        let past = b.input("past_k", DType::F32, dims(&["B", "P", "4"]));
        let one = b.unsqueeze(x, 1);
        let all = b.node("Concat", &[past, one], vec![("axis", Attr::Int(1))]);
        let axis = b.param(Constant::i64("axis", vec![1], &[1]));
        let y = b.node("ReduceSum", &[all, axis], vec![("keepdims", Attr::Int(0))]);
        b.output("y", y, DType::F32, dims(&["B", "4"]));
        b.output("present_k", all, DType::F32, dims(&["B", "Q", "4"]));
        b.finish().unwrap()
    };
    let files = Files::new();
    let error = files.face(summed(), step(), Kind::Step, &Request::default());
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("--state past_k=present_k:batch=0 --input past_k=B,0,4"),
        "{error}"
    );
    let named = Request {
        states: vec!["past_k=present_k:batch=0".parse().unwrap()],
        longest: Some(17),
        ..Request::default()
    };
    let error = files.face(summed(), step(), Kind::Step, &named);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("--dim P=N") && error.contains("--input past_k=B,0,4"),
        "{error}"
    );
    let mut given = [named.clone(), named.clone(), named];
    let size = super::super::flags::dim_spec("P=0").unwrap();
    given[0].dims.extend([size]);
    given[1]
        .inputs
        .extend([input_spec("past_k=B,0,4").unwrap()]);
    given[2].dims.insert("P".into(), 4);
    let paths = [("a.onnx", summed()), ("b.onnx", step())];
    let [a, b] = paths.map(|(name, graph)| write(files.0.path(), name, graph));
    for (request, right) in given.iter().zip([true, true, true]) {
        let pair = super::super::compare(&a, &b, Kind::Step, request, &mut |_, _, _| ());
        let pair = pair.unwrap_or_else(|e| panic!("{e:#}"));
        assert_eq!(pair.holds, right, "{:?}", pair.rows);
    }
    // No other input may be empty.
    let mut empty = given[0].clone();
    empty.dims.insert("B".into(), 0);
    let error = files.face(summed(), step(), Kind::Step, &empty);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("only a state may be empty"), "{error}");
}
