//! A file with the last places of its constants moved, as an exporter that folds constants rounds them otherwise.

use minrnn_model::rng::Rng;
use minrnn_onnx::ir::{Attr, DType, Graph, Model, Node, Tensor, TensorData};

/// Bits at the end of an f32 that are 0 in numbers that people write: 0, 1, 0.5, 1000. No exporter rounds those.
const PLAIN: u32 = 0xfff;

/// The same model with each float constant a last place up, down, or as it is, by chance.
pub(super) fn nudged(model: &Model, seed: u64) -> Model {
    let mut model = model.clone();
    let mut rng = Rng::named(seed, "nudged");
    graph(&mut model.graph, &mut rng);
    for function in &mut model.functions {
        nodes(&mut function.nodes, &mut rng);
    }
    model
}

fn graph(graph: &mut Graph, rng: &mut Rng) {
    for t in &mut graph.initializers {
        tensor(t, rng);
    }
    nodes(&mut graph.nodes, rng);
}

fn nodes(all: &mut [Node], rng: &mut Rng) {
    for (_, attr) in all.iter_mut().flat_map(|n| &mut n.attributes) {
        match attr {
            Attr::Tensor(t) => tensor(t, rng),
            Attr::Graph(g) => graph(g, rng),
            Attr::Graphs(all) => all.iter_mut().for_each(|g| graph(g, rng)),
            _ => {}
        }
    }
}

/// Short floats are rounded where they are made, which is measured by itself.
fn tensor(t: &mut Tensor, rng: &mut Rng) {
    let TensorData::Bytes(bytes) = &mut t.data else {
        return;
    };
    if t.dtype != DType::F32 {
        return;
    }
    for b in bytes.chunks_exact_mut(4) {
        let v = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        if v.to_bits() & PLAIN == 0 || !v.is_finite() {
            continue;
        }
        let moved = match rng.below(3) {
            0 => v.next_up(),
            1 => v.next_down(),
            _ => v,
        };
        b.copy_from_slice(&moved.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_move_by_a_last_place_and_plain_numbers_do_not() {
        let values = [0.3f32, -7.123_456, 1.0, 0.0, f32::NEG_INFINITY, 1e-5];
        let model = Model {
            graph: Graph {
                initializers: vec![Tensor::f32("w", vec![6], &values)],
                ..Graph::default()
            },
            ..Model::default()
        };
        let mut moved = [false; 6];
        for seed in 0..8 {
            let now = nudged(&model, seed).graph.initializers[0].to_f32().unwrap();
            for (i, (a, b)) in values.iter().zip(now).enumerate() {
                assert!(b == *a || b == a.next_up() || b == a.next_down(), "{a} {b}");
                moved[i] |= b != *a;
            }
        }
        assert_eq!(moved, [true, true, false, false, false, true]);
    }
}
