use proptest::prelude::*;

use super::diff;
use crate::export::{Form, Lowering};
use crate::ir::{Attr, DType, Dim, Graph, Model, Node, Tensor, TensorData, ValueInfo};
use crate::text::canonical;
use crate::text::shuffle::{Dice, random, shuffled};
use crate::text::stable::{export, exports};

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
    Node {
        op_type: op.into(),
        name: format!("/{}", outputs[0]),
        inputs: names(inputs),
        outputs: names(outputs),
        ..Node::default()
    }
}

/// y = (x w + b) relu(x w), z = relu(x).
fn small() -> Model {
    let value = |n: &str| ValueInfo::new(n, DType::F32, vec![Dim::symbol("batch"), Dim::Fixed(2)]);
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph: Graph {
            name: "g".into(),
            inputs: vec![value("x")],
            outputs: vec![value("y"), value("z")],
            initializers: vec![
                Tensor::f32("w", vec![2, 2], &[1.0, 2.0, 3.0, 4.0]),
                Tensor::f32("b", vec![2], &[0.5, 0.25]),
            ],
            nodes: vec![
                node("MatMul", &["x", "w"], &["m"]),
                node("Add", &["m", "b"], &["a"]),
                node("Relu", &["m"], &["r"]),
                node("Mul", &["a", "r"], &["y"]),
                node("Relu", &["x"], &["z"]),
            ],
            ..Graph::default()
        },
        ..Model::default()
    }
}

#[test]
fn our_exports_are_the_same_under_other_names_in_another_order() {
    for (i, model) in exports().iter().enumerate() {
        let found = diff(model, &shuffled(model, i as u64));
        assert!(found.is_same(), "{found}");
    }
}

#[test]
fn only_weights() {
    let (a, mut b) = (small(), shuffled(&small(), 3));
    for t in &mut b.graph.initializers {
        if t.dims == [2, 2] {
            *t = Tensor::f32(t.name.clone(), vec![2, 2], &[1.0, 2.5, 3.0, 2.0]);
        }
    }
    let found = diff(&a, &b);
    assert!(found.only_weights() && !found.is_same());
    let [w] = found.weights.as_slice() else {
        panic!("{found}");
    };
    assert_eq!(
        (w.left.as_str(), w.changed, w.largest),
        ("w", Some(2), Some(2.0))
    );
    let b_name = w.right.clone();
    insta::assert_snapshot!(found.to_string().replace(&b_name, "[other]"), @r"
    The graphs are the same up to names and order; only weights differ, 1 of 2.

    weights (left | right):
      w | [other]: f32[2,2], 2 of 4 values, largest difference 2.000e0
    ");
}

#[test]
fn a_weight_that_is_no_number_has_no_largest_difference() {
    let (a, mut b) = (small(), small());
    b.graph.initializers[1] = Tensor::f32("b", vec![2], &[f32::NAN, 9.0]);
    let found = diff(&a, &b);
    assert_eq!(found.weights.len(), 1, "{found}");
    assert_eq!(
        (found.weights[0].changed, found.weights[0].largest),
        (Some(2), None)
    );
}

#[test]
fn the_first_difference_is_where_the_inputs_lead() {
    let (a, mut b) = (small(), small());
    b.graph.nodes[1].op_type = "Sub".into();
    b.graph.nodes.insert(4, node("Neg", &["y"], &["n"]));
    let found = diff(&a, &b);
    insta::assert_snapshot!(found, @r"
    The graphs differ: 5 nodes | 6 nodes.

    operators (left | right):
      Add: 1 | 0
      Neg: 0 | 1
      Sub: 0 | 1

    first difference, from the inputs on:
      left: /a, in graph, 1 nodes deep
          %m = MatMul(%x, %w)  # /m
        > %a = Add(%m, %b)  # /a
          %y = Mul(%a, %r)  # /y
      right: /a, in graph, 1 nodes deep
          %m = MatMul(%x, %w)  # /m
        > %a = Sub(%m, %b)  # /a
          %y = Mul(%a, %r)  # /y
    ");
}

#[test]
fn swapped_inputs_are_found_at_their_node() {
    let (a, mut b) = (small(), small());
    b.graph.nodes[3].inputs.swap(0, 1);
    let place = diff(&a, &b).first.unwrap();
    assert_eq!(place.left.unwrap().node, "/y");
    assert_eq!(place.right.unwrap().node, "/y");
}

#[test]
fn an_inserted_node_is_found_where_it_stands() {
    let (a, mut b) = (small(), small());
    b.graph.nodes.insert(1, node("Neg", &["m"], &["neg"]));
    b.graph.nodes[2].inputs[0] = "neg".into();
    let place = diff(&a, &b).first.unwrap();
    let (left, right) = (place.left.unwrap(), place.right.unwrap());
    assert_eq!((left.node.as_str(), left.depth), ("/a", 1));
    assert_eq!((right.node.as_str(), right.depth), ("/neg", 1));
}

#[test]
fn a_difference_inside_a_sub_graph_is_found_there() {
    let a = export("min_gru", Form::Scan, Lowering::Blocked);
    let mut b = a.clone();
    let scan = b
        .graph
        .nodes
        .iter_mut()
        .find(|n| n.op_type == "Scan")
        .unwrap();
    let name = scan.name.clone();
    let Some((_, Attr::Graph(body))) = scan.attributes.iter_mut().find(|(k, _)| k == "body") else {
        panic!("a Scan has a body");
    };
    let inner = body.nodes.iter_mut().find(|n| n.op_type == "Mul").unwrap();
    inner.op_type = "Div".into();
    let inner = inner.name.clone();
    let right = diff(&a, &b).first.unwrap().right.unwrap();
    assert_eq!(
        (right.scope, right.node),
        (format!("body of {name}"), inner)
    );
}

#[test]
fn the_interface_is_compared() {
    let (a, mut b) = (small(), small());
    b.graph.outputs.swap(0, 1);
    b.graph.inputs[0].dims = Some(vec![Dim::Fixed(1), Dim::Fixed(2)]);
    b.opsets[0].1 = 18;
    b.metadata = vec![("k".into(), "v".into())];
    b.producer = "somebody".into();
    insta::assert_snapshot!(diff(&a, &b), @r"
    The graphs differ: 5 nodes | 5 nodes.

    interface and metadata (left | right):
      input x: f32[batch,2] | f32[1,2]
      order of outputs: y, z | z, y
      opset ai.onnx: 17 | 18
      metadata k: not there | v

    The same values are computed, but some of them once on one side and more often on the other, or the outputs are in another order.
    ");
}

#[test]
fn what_is_shared_counts() {
    let (a, mut b) = (small(), small());
    b.graph.nodes.push(node("MatMul", &["x", "w"], &["m2"]));
    b.graph.nodes[2].inputs[0] = "m2".into();
    let found = diff(&a, &b);
    assert!(!found.same_structure);
    let place = found.first.unwrap();
    assert_eq!(
        (place.left, place.right.unwrap().node.as_str()),
        (None, "/m2")
    );
}

#[test]
fn constants_of_no_use_count_too() {
    let (a, mut b) = (small(), small());
    b.graph
        .initializers
        .push(Tensor::f32("idle", vec![1], &[1.0]));
    assert!(!diff(&a, &b).same_structure);
    let mut c = b.clone();
    c.graph.initializers[2].data = TensorData::Bytes(vec![0; 4]);
    let found = diff(&b, &c);
    assert!(
        found.same_structure && found.unused_constants && !found.is_same(),
        "{found}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// The same exactly if the canonical texts are the same.
    #[test]
    fn same_is_what_the_text_says(model in random(), seed in any::<u64>(), changed in any::<bool>()) {
        let mut other = shuffled(&model, seed);
        if changed {
            let mut dice = Dice(seed);
            let at = dice.below(other.graph.nodes.len());
            let n = &mut other.graph.nodes[at];
            match dice.below(3) {
                0 => n.op_type = "Neg".into(),
                1 => n.inputs.reverse(),
                _ => n.attributes.push(("more".into(), Attr::Int(1))),
            }
        }
        let found = diff(&model, &other);
        prop_assert_eq!(found.is_same(), canonical(&model) == canonical(&other), "{}", found);
        prop_assert!(!found.to_string().is_empty());
    }
}
