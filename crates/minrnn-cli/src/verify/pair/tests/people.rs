//! Files as people have them: a few frames a call, one step a call, fixed sizes, half as many outputs, rows of unequal length,
//! states under other names and in other tensors.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use minrnn_onnx::eval::Array;
use minrnn_onnx::ir::{Attr, DType, Dim, Graph, Tensor as Constant, ValueInfo};

use super::super::case::Ran;
use super::graphs::{Folder, floats, node};
use super::*;
use crate::verify::contender::{Failure, Opened};

fn weight(name: &str, dims: &[i64], factor: f32) -> Constant {
    let count: i64 = dims.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|i| ((i * 5 % 11) as f32 * 0.1 - 0.5) * factor)
        .collect();
    Constant::f32(name, dims.to_vec(), &values)
}

fn ints(name: &str, values: &[i64]) -> Constant {
    Constant::i64(name, vec![values.len() as i64], values)
}

fn request(longest: usize, states: &[&str]) -> Request {
    Request {
        longest: Some(longest),
        states: states.iter().map(|s| s.parse().unwrap()).collect(),
        ..Request::default()
    }
}

#[track_caller]
fn holds(kind: Kind, graphs: [Graph; 2], request: &Request) -> Pair {
    let pair = Folder::new().pair(kind, graphs, request).unwrap();
    assert!(pair.holds, "{pair:#?}");
    pair
}

#[track_caller]
fn differs(kind: Kind, graphs: [Graph; 2], request: &Request) -> Pair {
    let pair = Folder::new().pair(kind, graphs, request).unwrap();
    assert!(!pair.holds, "{pair:#?}");
    pair
}

/// `RNN` over `x [time, B, 2]`, the state `h0` to `hn`.
fn rnn(time: &str, batch: &str, factor: f32) -> Graph {
    Graph {
        inputs: vec![
            floats("x", &format!("{time},{batch},2")),
            floats("h0", &format!("1,{batch},3")),
        ],
        outputs: vec![
            floats("y", &format!("{time},1,{batch},3")),
            floats("hn", &format!("1,{batch},3")),
        ],
        nodes: vec![node(
            "RNN",
            &["x", "w", "r", "", "", "h0"],
            &["y", "hn"],
            &[("hidden_size", Attr::Int(3))],
        )],
        initializers: vec![
            weight("w", &[1, 3, 2], 1.0),
            weight("r", &[1, 3, 3], factor),
        ],
        ..Graph::default()
    }
}

#[test]
fn a_step_file_may_take_several_frames_a_call() {
    let state = request(8, &["h0=hn"]);
    let pair = holds(Kind::Step, [rnn("T", "B", 1.0), rnn("4", "B", 1.0)], &state);
    assert!(
        pair.notes
            .iter()
            .any(|n| n.ends_with("takes 4 steps a call")),
        "{:?}",
        pair.notes
    );
    for check in ["whole", "in chunks", "whole, then steps", "back to a state"] {
        assert!(
            pair.rows.iter().any(|r| r.check == check && r.cases > 0),
            "{check}"
        );
    }
    differs(
        Kind::Step,
        [rnn("T", "B", 1.0), rnn("4", "B", 1.01)],
        &state,
    );
    // Both may: as a sequence of few frames and its steps, or side by side.
    for kind in [Kind::Step, Kind::Same] {
        holds(kind, [rnn("4", "B", 1.0), rnn("1", "B", 1.0)], &state);
        holds(kind, [rnn("4", "2", 1.0), rnn("2", "B", 1.0)], &state);
        differs(kind, [rnn("4", "B", 1.0), rnn("1", "B", 1.01)], &state);
    }
}

#[test]
fn fixed_lengths_and_batches_run_as_they_are() {
    let none = request(8, &[]);
    for (a, b) in [
        (["5", "2"], ["5", "2"]),
        (["5", "2"], ["T", "B"]),
        (["T", "B"], ["5", "B"]),
    ] {
        let [a, b] = [a, b].map(|[t, n]| move |factor| rnn(t, n, factor));
        let pair = holds(Kind::Same, [a(1.0), b(1.0)], &none);
        assert!(
            pair.notes.iter().any(|n| n == "the files take T = 5 only"),
            "{:?}",
            pair.notes
        );
        differs(Kind::Same, [a(1.0), b(1.01)], &none);
    }
    let state = request(8, &["h0=hn"]);
    holds(Kind::Step, [rnn("5", "2", 1.0), rnn("1", "2", 1.0)], &state);
    differs(
        Kind::Step,
        [rnn("5", "2", 1.0), rnn("1", "B", 1.01)],
        &state,
    );
}

/// One step without an axis of time: `g = tanh(x w + h)`; what it gives back is `factor g`.
fn cell(factor: f32) -> Graph {
    Graph {
        inputs: vec![floats("x", "B,2"), floats("h", "B,3")],
        outputs: vec![floats("y", "B,3"), floats("h_next", "B,3")],
        nodes: vec![
            node("MatMul", &["x", "w"], &["u"], &[]),
            node("Add", &["u", "h"], &["s"], &[]),
            node("Tanh", &["s"], &["y"], &[]),
            node("Mul", &["y", "f"], &["h_next"], &[]),
        ],
        initializers: vec![
            weight("w", &[2, 3], 1.0),
            Constant::f32("f", vec![], &[factor]),
        ],
        ..Graph::default()
    }
}

#[test]
fn two_step_files_are_called_step_by_step() {
    let state = request(3, &["h=h_next"]);
    let pair = holds(Kind::Same, [cell(1.0), cell(1.0)], &state);
    assert!(
        pair.notes.iter().any(|n| n.contains("called step by step")),
        "{:?}",
        pair.notes
    );
    let pair = differs(Kind::Same, [cell(1.0), cell(1.001)], &state);
    let of_y = pair
        .rows
        .iter()
        .find(|r| r.tensor == "y" && !r.holds)
        .unwrap();
    assert!(
        of_y.worst.as_ref().unwrap().time > 1,
        "one step does not show it: {of_y:?}"
    );
}

/// Every second step of `x`, from `from` on.
fn halved(from: i64) -> Graph {
    let initializers = [("from", from), ("to", i64::MAX), ("axis", 1), ("by", 2)];
    Graph {
        inputs: vec![floats("x", "batch,time,2")],
        outputs: vec![floats("y", "batch,time2,2")],
        nodes: vec![node(
            "Slice",
            &["x", "from", "to", "axis", "by"],
            &["y"],
            &[],
        )],
        initializers: initializers.map(|(name, n)| ints(name, &[n])).into(),
        ..Graph::default()
    }
}

#[test]
fn outputs_may_have_half_the_steps() {
    let none = request(9, &[]);
    holds(Kind::Same, [halved(0), halved(0)], &none);
    differs(Kind::Same, [halved(0), halved(1)], &none);
}

/// An LSTM from the end or from the begin, that is told how long rows are or not.
fn told(direction: &str, lengths: bool) -> Graph {
    let mut inputs = vec![floats("x", "T,B,2")];
    if lengths {
        inputs.push(ValueInfo::new(
            "sequence_lens",
            DType::I32,
            vec![Dim::symbol("B")],
        ));
    }
    let fourth = if lengths { "sequence_lens" } else { "" };
    let attributes = [
        ("hidden_size", Attr::Int(2)),
        ("direction", Attr::Str(direction.into())),
    ];
    Graph {
        inputs,
        outputs: vec![floats("y", "T,1,B,2"), floats("h", "1,B,2")],
        nodes: vec![node(
            "LSTM",
            &["x", "w", "r", "", fourth],
            &["y", "h"],
            &attributes,
        )],
        initializers: vec![weight("w", &[1, 8, 2], 1.0), weight("r", &[1, 8, 2], 1.0)],
        ..Graph::default()
    }
}

#[test]
fn rows_of_unequal_length_are_compared_by_the_steps_they_have() {
    let none = request(6, &[]);
    for direction in ["forward", "reverse"] {
        for others in [true, false] {
            let pair = holds(
                Kind::Same,
                [told(direction, true), told(direction, others)],
                &none,
            );
            assert!(
                pair.notes
                    .iter()
                    .any(|n| n.contains("rows of unequal length")),
                "{:?}",
                pair.notes
            );
        }
        holds(
            Kind::Same,
            [told(direction, false), told(direction, true)],
            &none,
        );
    }
    let pair = differs(
        Kind::Same,
        [told("forward", true), told("reverse", false)],
        &none,
    );
    assert!(pair.rows.iter().all(|r| r.cases >= 2), "{:?}", pair.rows);
    // A file that is told and does not listen ends each row at T.
    let mut deaf = told("forward", true);
    deaf.nodes[0].inputs[4] = String::new();
    let pair = differs(Kind::Same, [deaf, told("forward", true)], &none);
    let of_h = pair
        .rows
        .iter()
        .find(|r| r.tensor == "h" && !r.holds)
        .unwrap();
    assert!(
        of_h.worst.as_ref().unwrap().case.contains("lengths"),
        "{of_h:?}"
    );
    // As told: all rows of T steps.
    let mut value = request(6, &[]);
    value
        .values
        .extend([value_spec("sequence_lens=T").unwrap()]);
    holds(
        Kind::Same,
        [told("forward", true), told("forward", false)],
        &value,
    );
}

/// An LSTM with its states apart, or in one tensor `[2, B, 3]`.
fn lstm(time: &str, together: bool) -> Graph {
    let state = |name: &str| floats(name, "1,B,3");
    let whole = |name: &str| floats(name, "2,B,3");
    let attributes = [("hidden_size", Attr::Int(3))];
    let mut graph = Graph {
        inputs: vec![floats("x", &format!("{time},B,2"))],
        outputs: vec![floats("y", &format!("{time},1,B,3"))],
        nodes: vec![node(
            "LSTM",
            &["x", "w", "r", "", "", "h", "c"],
            &["y", "hn", "cn"],
            &attributes,
        )],
        initializers: vec![weight("w", &[1, 12, 2], 1.0), weight("r", &[1, 12, 3], 1.0)],
        ..Graph::default()
    };
    if together {
        graph.inputs.push(whole("state"));
        graph.outputs.push(whole("stateN"));
        graph.nodes.insert(
            0,
            node("Split", &["state"], &["h", "c"], &[("axis", Attr::Int(0))]),
        );
        graph.nodes.push(node(
            "Concat",
            &["hn", "cn"],
            &["stateN"],
            &[("axis", Attr::Int(0))],
        ));
    } else {
        graph.inputs.extend([state("h"), state("c")]);
        graph.outputs.extend([state("hn"), state("cn")]);
    }
    graph
}

#[test]
fn states_apart_and_in_one_tensor_are_the_same_states() {
    let apart = "h+c=hn+cn:first=state=stateN";
    let one = "state=stateN:batch=1,first=h+c=hn+cn";
    for (line, files) in [(one, [false, true]), (apart, [true, false])] {
        let graphs = || [lstm("T", files[0]), lstm("1", files[1])];
        let error = Folder::new()
            .pair(Kind::Step, graphs(), &request(3, &[]))
            .unwrap_err();
        assert!(
            error.to_string().contains(&format!("add --state {line}")),
            "{error}"
        );
        let pair = holds(Kind::Step, graphs(), &request(3, &[line]));
        for check in ["in chunks", "whole, then steps"] {
            assert!(
                pair.rows.iter().any(|r| r.check == check),
                "{check}: both files take the states"
            );
        }
        // The other way round they are other states.
        let swapped = match files[0] {
            false => "state=stateN:batch=1,first=c+h=cn+hn",
            true => "c+h=cn+hn:first=state=stateN",
        };
        differs(Kind::Step, graphs(), &request(3, &[swapped]));
    }
    let error = Folder::new().pair(
        Kind::Step,
        [lstm("T", false), lstm("1", true)],
        &request(3, &["state=stateN:first=h=hn"]),
    );
    assert!(error.is_err());
}

/// An `RNN` over one sequence, `x [T, 2]`, or over one step of some rows, `x [batch, 2]`.
fn unbatched(step: bool, factor: f32) -> Graph {
    let (length, rows, axis) = if step {
        ("batch", "batch", 0)
    } else {
        ("sequence_length", "1", 1)
    };
    let state = format!("1,{rows},3");
    Graph {
        inputs: vec![floats("x", &format!("{length},2")), floats("h0", &state)],
        outputs: vec![floats("y", &format!("{length},3")), floats("hn", &state)],
        nodes: vec![
            node("Unsqueeze", &["x", "at"], &["u"], &[]),
            node(
                "RNN",
                &["u", "w", "r", "", "", "h0"],
                &["all", "hn"],
                &[("hidden_size", Attr::Int(3))],
            ),
            node("Squeeze", &["all", "ones"], &["y"], &[]),
        ],
        initializers: vec![
            weight("w", &[1, 3, 2], 1.0),
            weight("r", &[1, 3, 3], factor),
            ints("at", &[axis]),
            ints("ones", &[1, if step { 0 } else { 2 }]),
        ],
        ..Graph::default()
    }
}

/// The sequence has no axis of rows: the axis that the step file calls its batch is where the sequence has time.
#[test]
fn a_sequence_without_rows_has_one() {
    let state = request(5, &["h0=hn"]);
    let pair = holds(
        Kind::Step,
        [unbatched(false, 1.0), unbatched(true, 1.0)],
        &state,
    );
    assert!(
        pair.rows.iter().any(|r| r.check == "in chunks"),
        "{:?}",
        pair.rows
    );
    differs(
        Kind::Step,
        [unbatched(false, 1.0), unbatched(true, 1.01)],
        &state,
    );
}

/// A file that maps rows has no time: it is compared for rows alone.
#[test]
fn files_without_time_are_compared_as_they_are() {
    let map = |factor: f32| Graph {
        inputs: vec![floats("x", "batch,2")],
        outputs: vec![floats("y", "batch,3")],
        nodes: vec![node("MatMul", &["x", "w"], &["y"], &[])],
        initializers: vec![weight("w", &[2, 3], factor)],
        ..Graph::default()
    };
    holds(Kind::Same, [map(1.0), map(1.0)], &request(8, &[]));
    differs(Kind::Same, [map(1.0), map(1.1)], &request(8, &[]));
}

/// An engine that counts its calls, and so keeps something that is no state.
struct Counts(f64);

impl Opened for Counts {
    fn run(
        &mut self,
        feeds: &[(&str, &Array)],
        wanted: &[&str],
    ) -> std::result::Result<Vec<Array>, Failure> {
        self.0 += 1.0;
        let rows = feeds[0].1.dims()[0];
        let one = |_: &&str| Array::from_floats(DType::F32, &[rows, 3], &vec![self.0; rows * 3]);
        let all: std::result::Result<Vec<Array>, _> = wanted.iter().map(one).collect();
        all.map_err(|e| Failure::Refused(e.to_string()))
    }
}

#[test]
fn what_an_engine_keeps_shows_when_it_goes_back() {
    let dir = Folder::new();
    let write = |name: &str| -> PathBuf { dir.write(name, cell(1.0)) };
    let (a, b): (PathBuf, PathBuf) = (write("a.onnx"), write("b.onnx"));
    let two = Two::open(
        Path::new(&a),
        Path::new(&b),
        Kind::Same,
        &request(4, &["h=h_next"]),
    )
    .unwrap();
    let case = Case::random(&two, (1, 4), &mut Rng::named(1, "case")).unwrap();
    let values = |ran: &Ran| ran.outputs[0].values(Reading::Exact);
    let judged = two.second(By::Judge, &case).unwrap();
    assert_eq!(
        values(&judged),
        values(&two.rewound(By::Judge, &case, 2).unwrap())
    );
    let engine: RefCell<Box<dyn Opened>> = RefCell::new(Box::new(Counts(0.0)));
    let again = two.rewound(By::Engine(&engine), &case, 2).unwrap();
    assert_eq!(
        values(&again),
        [[1.0; 3], [2.0; 3], [5.0; 3], [6.0; 3]].concat()
    );
}

/// The cases that are kept beside the project, where a folder with them is given.
#[test]
fn kept_cases_of_people_are_right() {
    let Some(folder) = std::env::var_os("MINRNN_TEST_CASES").map(PathBuf::from) else {
        return;
    };
    let run = |kind: Kind, [a, b]: [&str; 2], request: &Request| {
        let (a, b) = (folder.join(a), folder.join(b));
        compare(&a, &b, kind, request, &mut |_, _, _| ())
    };
    let none = |longest: usize| request(longest, &[]);
    let files = ["scan_unk", "log_unk", "scan_named", "log_named"];
    for (i, a) in files.iter().enumerate() {
        for b in &files[i + 1..] {
            let names = [a, b].map(|n| format!("time_axis/{n}.onnx"));
            let pair = run(Kind::Same, [&names[0], &names[1]], &none(256)).unwrap();
            assert_eq!(pair.holds, a[..3] == b[..3], "{names:?}");
        }
    }
    let whole = ["states/whole.onnx", "states/step.onnx"];
    let error = run(Kind::Step, whole, &none(8)).unwrap_err().to_string();
    assert!(error.contains("add --state h0=hn:batch=1"), "{error}");
    let state = request(8, &["h0=hn:batch=1"]);
    assert!(run(Kind::Step, whole, &state).unwrap().holds);
    let rows_first = ["states/whole_bf.onnx", "states/step_bf.onnx"];
    assert!(run(Kind::Step, rows_first, &state).unwrap().holds);
    let lines = [
        "cached_conv_0=new_cached_conv_0:batch=0",
        "processed_lens=new_processed_lens:batch=0",
    ];
    let frames = request(16, &lines);
    let names = ["whole", "chunk4", "step"].map(|n| format!("streaming/{n}.onnx"));
    let [whole, chunk, step] = names.each_ref().map(String::as_str);
    let error = run(Kind::Step, [whole, chunk], &none(16))
        .unwrap_err()
        .to_string();
    assert!(lines.iter().all(|l| error.contains(l)), "{error}");
    for (kind, both) in [
        (Kind::Step, [whole, chunk]),
        (Kind::Step, [whole, step]),
        (Kind::Step, [chunk, step]),
        (Kind::Same, [step, step]),
        (Kind::Same, [chunk, step]),
    ] {
        let pair = run(kind, both, &frames).unwrap();
        assert!(pair.holds, "{both:?}: {:?}", pair.rows);
    }
    let fixed = ["streaming/all_fixed.onnx", "streaming/all_fixed_T.onnx"];
    assert!(run(Kind::Same, fixed, &none(16)).unwrap().holds);
    let steps = [fixed[0], "streaming/step_fixed.onnx"];
    assert!(
        run(Kind::Step, steps, &request(20, &["h0=hn"]))
            .unwrap()
            .holds
    );
    let half = ["streaming/sub_expr.onnx", "streaming/sub_name.onnx"];
    assert!(run(Kind::Same, half, &none(16)).unwrap().holds);
    for direction in ["fwd", "rev"] {
        let names = ["_lens", ""].map(|end| format!("lengths/{direction}{end}.onnx"));
        let pair = run(Kind::Same, [&names[0], &names[1]], &none(8)).unwrap();
        assert!(pair.holds, "{names:?}: {:?}", pair.rows);
    }
}
