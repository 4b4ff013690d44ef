//! Chunks of time: files that are right for whole numbers of chunks alone.

use minrnn_onnx::ir::{Attr, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node};
use super::*;

/// `y` is the running sum of `x` along time. With `chunk`, that of the steps behind the last whole chunk begins anew.
fn summed(chunk: Option<i64>) -> Graph {
    let sum = |from: &str, to: &str| node("CumSum", &[from, "axis"], &[to], &[]);
    let one = |name: &str, n: i64| Constant::i64(name, vec![1], &[n]);
    let mut graph = Graph {
        inputs: vec![floats("x", "B,T,1")],
        outputs: vec![floats("y", "B,T,1")],
        nodes: vec![sum("x", "y")],
        initializers: vec![
            Constant::i64("axis", vec![], &[1]),
            one("time", 1),
            one("none", 0),
            one("end", i64::MAX),
        ],
        ..Graph::default()
    };
    if let Some(chunk) = chunk {
        graph.initializers.push(one("chunk", chunk));
        let along = [("axis", Attr::Int(1))];
        graph.nodes = vec![
            node("Shape", &["x"], &["shape"], &[]),
            node("Gather", &["shape", "time"], &["steps"], &[]),
            node("Div", &["steps", "chunk"], &["chunks"], &[]),
            node("Mul", &["chunks", "chunk"], &["whole"], &[]),
            node("Slice", &["x", "none", "whole", "time"], &["a"], &[]),
            node("Slice", &["x", "whole", "end", "time"], &["b"], &[]),
            sum("a", "sa"),
            sum("b", "sb"),
            node("Concat", &["sa", "sb"], &["y"], &along),
        ];
    }
    graph
}

#[test]
fn a_carry_that_is_lost_in_the_last_chunk_shows() {
    for (chunk, longest) in [(32, 64), (64, 256), (128, 1024), (512, 1024)] {
        let request = Request {
            longest: Some(longest),
            ..Request::default()
        };
        let graphs = [summed(None), summed(Some(chunk))];
        let pair = Folder::new().pair(Kind::Same, graphs, &request).unwrap();
        let whole = pair.rows.iter().find(|r| r.check == "whole").unwrap();
        assert!(!whole.holds, "chunks of {chunk}");
    }
    // No run is that long.
    let graphs = [summed(None), summed(Some(2000))];
    let pair = Folder::new().pair(Kind::Same, graphs, &Request::default());
    assert!(pair.unwrap().holds);
}

/// Lengths that are tried, of files that take any number of steps or so many a call.
fn tried(steps: &str) -> Vec<usize> {
    let graph = |dims: &str| Graph {
        inputs: vec![floats("x", dims), floats("h", "B,2")],
        outputs: vec![floats("y", dims), floats("h_next", "B,2")],
        nodes: vec![
            node("Tanh", &["x"], &["y"], &[]),
            node("Identity", &["h"], &["h_next"], &[]),
        ],
        ..Graph::default()
    };
    let folder = Folder::new();
    let step = folder.write("step.onnx", graph(&format!("B,{steps},2")));
    let whole = folder.write("whole.onnx", graph("B,T,2"));
    let request = Request {
        states: vec!["h=h_next".parse().unwrap()],
        ..Request::default()
    };
    let two = Two::open(&whole, &step, Kind::Step, &request).unwrap();
    let sizes = two.sizes(two.longest(&request));
    sizes.into_iter().map(|(time, _)| time).collect()
}

#[test]
fn lengths_are_odd_numbers_of_calls_too() {
    for chunk in [32, 64, 128, 256, 512] {
        let all = tried("1");
        let ragged = |t: &&usize| **t > chunk && !t.is_multiple_of(chunk / 2);
        assert!(all.iter().any(|t| ragged(&t)), "{chunk}: {all:?}");
    }
    for unit in [4, 64] {
        let all = tried(&unit.to_string());
        assert!(all.iter().all(|t| t.is_multiple_of(unit)), "{all:?}");
        let odd = |t: &&usize| **t > unit && !(*t / unit).is_multiple_of(2);
        assert!(all.iter().filter(odd).count() >= 3, "{unit}: {all:?}");
    }
}
