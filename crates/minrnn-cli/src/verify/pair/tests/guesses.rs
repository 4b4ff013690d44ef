//! An axis of one entry is no time for want of another meaning.

use minrnn_onnx::ir::{Attr, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, word};
use super::*;

fn weight(name: &str, dims: &[i64]) -> Constant {
    let mut rng = Rng::named(1, name);
    let count: i64 = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.normal() as f32).collect();
    Constant::f32(name, dims.to_vec(), &values)
}

fn axes(name: &str, axes: &[i64]) -> Constant {
    Constant::i64(name, vec![axes.len() as i64], axes)
}

/// An LSTM over `x [T, B, 2]`, its states `h` and `c`, `[1, B, 3]`, as PyTorch has them.
fn whole(direction: &str) -> Graph {
    let state = |name: &str| floats(name, "1,B,3");
    let attributes = [
        ("hidden_size", Attr::Int(3)),
        ("direction", word(direction)),
    ];
    let reads = ["x", "w", "r", "", "", "h", "c"];
    Graph {
        inputs: vec![floats("x", "T,B,2"), state("h"), state("c")],
        outputs: vec![floats("y", "T,1,B,3"), state("h_next"), state("c_next")],
        nodes: vec![node(
            "LSTM",
            &reads,
            &["y", "h_next", "c_next"],
            &attributes,
        )],
        initializers: vec![weight("w", &[1, 12, 2]), weight("r", &[1, 12, 3])],
        ..Graph::default()
    }
}

/// One step of it, over `[B, 2]` and states `[B, 3]`.
fn step() -> Graph {
    let apart = |name: &str| floats(name, "B,3");
    let up = |from: &str, to: &str| node("Unsqueeze", &[from, "first"], &[to], &[]);
    let down = |from: &str, to: &str| node("Squeeze", &[from, "first"], &[to], &[]);
    let reads = ["x1", "w", "r", "", "", "h1", "c1"];
    let gives = ["y1", "h2", "c2"];
    Graph {
        inputs: vec![floats("x", "B,2"), apart("h"), apart("c")],
        outputs: vec![floats("y", "1,B,3"), apart("h_next"), apart("c_next")],
        nodes: vec![
            up("x", "x1"),
            up("h", "h1"),
            up("c", "c1"),
            node("LSTM", &reads, &gives, &[("hidden_size", Attr::Int(3))]),
            down("y1", "y"),
            down("h2", "h_next"),
            down("c2", "c_next"),
        ],
        initializers: vec![
            weight("w", &[1, 12, 2]),
            weight("r", &[1, 12, 3]),
            axes("first", &[0]),
        ],
        ..Graph::default()
    }
}

fn request(states: &[&str]) -> Request {
    Request {
        longest: Some(5),
        states: states.iter().map(|s| s.parse().unwrap()).collect(),
        ..Request::default()
    }
}

fn run(direction: &str, states: &[&str]) -> Result<Pair> {
    Folder::new().pair(Kind::Step, [whole(direction), step()], &request(states))
}

/// Were the axis of one entry the time, the sequence file would run for one step at a time, and one that runs backwards would hold.
#[test]
fn a_state_with_an_axis_of_one_entry_is_a_state() {
    for direction in ["forward", "reverse"] {
        let error = run(direction, &[]).unwrap_err().to_string();
        for line in ["--state h=h_next", "--state c=c_next"] {
            assert!(error.contains(line), "{error}");
        }
        let error = run(direction, &["h=h_next"]).unwrap_err().to_string();
        assert!(error.contains("--state c=c_next"), "{error}");
    }
    let both = ["h=h_next", "c=c_next"];
    assert!(run("forward", &both).unwrap().holds);
    assert!(!run("reverse", &both).unwrap().holds);
}

/// The option that says of an input that it is no state has the names of both files.
#[test]
fn an_input_under_two_names_is_mapped_by_both() {
    let mut whole = whole("forward");
    whole.inputs[2].name = "c0".into();
    whole.nodes[0].inputs[6] = "c0".into();
    let graphs = [whole, step()];
    let error = Folder::new().pair(Kind::Step, graphs, &request(&["h=h_next"]));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("--map c0=c"), "{error}");
}

/// What is said to be no state has an axis that must be said, too.
#[test]
fn an_axis_of_one_entry_beside_time_is_asked_for() {
    let mut request = request(&["h=h_next"]);
    request.names = vec![("c".into(), "c".into())];
    let graphs = [whole("forward"), step()];
    let error = Folder::new().pair(Kind::Step, graphs, &request);
    let error = error.unwrap_err().to_string();
    assert!(
        error
            .contains("`c` has shapes [1, B, 3] and [B, 3], as if axis 0 were the time of 1 steps")
            && error.contains("--input c=T,B,3"),
        "{error}"
    );
}

#[test]
fn a_state_begins_with_a_number_of_its_type() {
    for (init, holds) in [("3e38", true), ("1e39", false), ("nan", false)] {
        let states = [format!("h=h_next:init={init}"), "c=c_next".to_owned()];
        let states: Vec<&str> = states.iter().map(String::as_str).collect();
        let got = run("forward", &states);
        assert_eq!(got.is_ok(), holds, "{init}: {got:?}");
    }
}

/// With a voice, the same at every step, that is added to what comes out.
fn voiced(mut graph: Graph, step: bool) -> Graph {
    graph.inputs.push(floats("voice", "B,3"));
    for node in &mut graph.nodes {
        node.outputs
            .iter_mut()
            .filter(|o| *o == "y")
            .for_each(|o| *o = "plain".into());
    }
    let from = match step {
        true => "flat",
        false => "plain",
    };
    if step {
        graph
            .nodes
            .push(node("Squeeze", &["plain", "first"], &["flat"], &[]));
        graph.outputs[0] = floats("y", "B,3");
    }
    graph.nodes.push(node("Add", &[from, "voice"], &["y"], &[]));
    graph
}

/// What both files have and nothing but a result could give back is offered as what it is, in a line that can be given as it stands.
#[test]
fn an_input_of_every_step_is_offered_as_one() {
    let run = |states: &[&str], mapped: bool| {
        let mut request = request(states);
        if mapped {
            request.names = vec![("voice".into(), "voice".into())];
        }
        let graphs = [voiced(whole("forward"), false), voiced(step(), true)];
        Folder::new().pair(Kind::Step, graphs, &request)
    };
    for states in [&[][..], &["h=h_next"], &["h=h_next", "c=c_next"]] {
        let error = run(states, false).unwrap_err().to_string();
        assert!(
            error.contains("--map voice=voice") && !error.contains("--state voice"),
            "{error}"
        );
        assert_eq!(error.contains("--state h=h_next"), states.is_empty());
    }
    let pair = run(&["h=h_next", "c=c_next"], true).unwrap();
    assert!(pair.holds, "{:?} {:?}", pair.rows, pair.notes);
}

/// One output is the next value of one input: never offered for two in one line.
#[test]
fn an_output_is_offered_once() {
    let one = |step: bool| {
        let read = |name: &str| floats(name, "B,3");
        let (x, y) = match step {
            true => ("B,3", "B,4"),
            false => ("B,T,3", "B,T,4"),
        };
        let mut inputs = vec![floats("x", x), read("cond"), read("h")];
        let add = |a: &str, b: &str, to: &str| node("Add", &[a, b], &[to], &[]);
        let mut outputs = vec![floats("y", y), read("result")];
        let nodes = match step {
            true => vec![
                add("x", "cond", "a"),
                add("a", "h", "result"),
                node("MatMul", &["result", "w"], &["y"], &[]),
            ],
            false => {
                inputs.pop();
                outputs.pop();
                vec![
                    node("CumSum", &["x", "one"], &["sum"], &[]),
                    node("MatMul", &["sum", "w"], &["y"], &[]),
                    node("Identity", &["cond"], &["unread"], &[]),
                ]
            }
        };
        Graph {
            inputs,
            outputs,
            nodes,
            initializers: vec![weight("w", &[3, 4]), Constant::i64("one", vec![], &[1])],
            ..Graph::default()
        }
    };
    let graphs = [one(false), one(true)];
    let error = Folder::new().pair(Kind::Step, graphs, &request(&[]));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("one of --state cond=result or --state h=result")
            && error.contains("--map cond=cond"),
        "{error}"
    );
}
