//! Files that go along time from its end: no run in chunks is one of them.

use minrnn_onnx::ir::Graph;

use super::graphs::{Folder, floats, noted, recurrent, word};
use super::*;

/// A `GRU` over both directions or one, its states given and taken.
fn streamed(direction: &str, two: bool) -> Graph {
    let ways = 1 + usize::from(two);
    let mut graph = recurrent("GRU", &[("direction", word(direction))]);
    for t in &mut graph.initializers {
        let one = t.to_f32().unwrap();
        let mut dims = t.dims.clone();
        dims[0] = ways as i64;
        *t = minrnn_onnx::ir::Tensor::f32(&t.name, dims, &one.repeat(ways));
    }
    let state = format!("{ways},B,4");
    graph.inputs.push(floats("h0", &state));
    graph.outputs = vec![floats("Y", &format!("T,{ways},B,4")), floats("h", &state)];
    graph.nodes[0].inputs.extend([String::new(), "h0".into()]);
    graph
}

#[test]
fn what_goes_backward_is_not_held_in_chunks() {
    let request = Request {
        longest: Some(17),
        states: vec!["h0=h:batch=1".parse().unwrap()],
        ..Request::default()
    };
    for (direction, two) in [
        ("reverse", false),
        ("bidirectional", true),
        ("forward", false),
    ] {
        let graphs = [streamed(direction, two), streamed(direction, two)];
        let pair = Folder::new().pair(Kind::Same, graphs, &request).unwrap();
        assert!(pair.holds, "{direction}: {:#?}", pair.rows);
        let chunks = pair.rows.iter().any(|r| r.check == "in chunks");
        assert_eq!(chunks, direction == "forward", "{direction}");
        if !chunks {
            noted(&pair, "goes along time from its end too");
        }
    }
}
