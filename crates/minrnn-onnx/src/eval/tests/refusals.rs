//! What is refused, and how it is named.

use super::laws::body;
use super::nodes::{f32s, i64s, model, run};
use crate::eval::{EvalErrorKind as Fault, Inputs, Limits, Session};
use crate::ir::{Attr, Node};

fn fault(
    op: &str,
    opset: i64,
    attributes: &[(&str, Attr)],
    inputs: &[Option<crate::eval::Array>],
) -> (String, Fault) {
    let e = run(op, opset, attributes, inputs, 1).unwrap_err();
    (e.place, e.kind)
}

/// An attribute that an operator does not have in its opset is refused by name: `axes` of ReduceSum is an input from 13 on.
#[test]
fn an_attribute_that_is_not_read_is_refused() {
    let x = || f32s(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let axes = [("axes", Attr::Ints(vec![0]))];
    assert!(run("ReduceSum", 12, &axes, &[x()], 1).is_ok());
    let (place, kind) = fault("ReduceSum", 13, &axes, &[x()]);
    assert_eq!(kind, Fault::UnknownAttribute("axes".into()));
    assert_eq!(place, "node 0 (ReduceSum, opset 13)");
    let (_, kind) = fault("Relu", 17, &[("alpha", Attr::Float(2.0))], &[x()]);
    assert_eq!(kind, Fault::UnknownAttribute("alpha".into()));
}

#[test]
fn an_input_that_is_not_read_is_refused() {
    let x = || f32s(&[2], &[1.0, 2.0]);
    assert_eq!(
        fault("Relu", 17, &[], &[x(), x()]).1,
        Fault::UnknownInput(1)
    );
    assert_eq!(
        run("Relu", 17, &[], &[x()], 2).unwrap_err().kind,
        Fault::UnknownOutput(1)
    );
    assert_eq!(
        fault("ReduceSum", 12, &[], &[x(), i64s(&[1], &[0])]).1,
        Fault::UnknownInput(1)
    );
}

#[test]
fn an_attribute_of_another_kind_is_refused() {
    let x = f32s(&[2], &[1.0, 2.0]);
    let (_, kind) = fault("Softmax", 13, &[("axis", Attr::Float(0.0))], &[x]);
    assert!(matches!(kind, Fault::Attribute { name, .. } if name == "axis"));
}

/// Two versions of one domain, which has two names: which one is meant is not known.
#[test]
fn two_opsets_of_a_domain_are_refused() {
    let node = Node {
        op_type: "Relu".into(),
        inputs: vec!["x".into()],
        outputs: vec!["y".into()],
        ..Node::default()
    };
    let open = |domain: &str, version| {
        let mut model = model(node.clone(), 17);
        model.opsets.push((domain.into(), version));
        Session::open(&model, None).map(drop)
    };
    open("", 17).unwrap();
    open("ai.onnx", 17).unwrap();
    for domain in ["", "ai.onnx"] {
        let error = open(domain, 18).unwrap_err().to_string();
        assert!(
            error.contains("two opsets of the domain are stated, 17 and 18"),
            "{error}"
        );
    }
}

#[test]
fn operators_and_opsets_that_are_not_there_are_refused() {
    let x = || f32s(&[2], &[1.0, 2.0]);
    assert!(matches!(
        fault("Gelu", 19, &[], &[x()]).1,
        Fault::Operator(_)
    ));
    assert!(matches!(
        fault("Conjure", 19, &[], &[x()]).1,
        Fault::Operator(_)
    ));
    assert!(matches!(fault("Relu", 6, &[], &[x()]).1, Fault::Model(_)));
    assert!(matches!(fault("Relu", 29, &[], &[x()]).1, Fault::Model(_)));
}

fn limited(op: &str, inputs: &[(&str, crate::eval::Array)], limits: Limits) -> Fault {
    let node = Node {
        op_type: op.into(),
        inputs: inputs.iter().map(|(n, _)| (*n).to_owned()).collect(),
        outputs: vec!["y".into()],
        ..Node::default()
    };
    let session = Session::open(&model(node, 17), None).unwrap();
    let given: Inputs = inputs
        .iter()
        .map(|(n, x)| ((*n).to_owned(), x.clone()))
        .collect();
    session.run(&given, &limits).unwrap_err().kind
}

#[test]
fn work_and_memory_beyond_the_limits_are_refused_before_they_begin() {
    let small = Limits {
        operations: 1000,
        bytes: 100_000,
    };
    let m = f32s(&[20, 20], &[1.0; 400]).unwrap();
    let wanted = limited("MatMul", &[("a", m.clone()), ("b", m)], small);
    assert!(
        matches!(wanted, Fault::Budget { wanted: 8000, .. }),
        "{wanted:?}"
    );
    let shape = i64s(&[3], &[1_000_000, 1_000_000, 1_000_000]).unwrap();
    let wanted = limited("ConstantOfShape", &[("s", shape)], small);
    assert!(
        matches!(wanted, Fault::Memory { .. } | Fault::Shape(_)),
        "{wanted:?}"
    );
}

/// A loop that nothing ends and that does next to nothing is told with the limit, as one that computes is.
#[test]
fn a_loop_without_an_end_is_refused_on_its_way() {
    let idle = || body(&["i", "go"], &[("Identity", &["go"], "again")], &["again"]);
    let counted = |inputs: &[Option<crate::eval::Array>], operations| {
        let node = Node {
            op_type: "Loop".into(),
            name: "round".into(),
            inputs: vec![if inputs.is_empty() { "" } else { "x0" }.into()],
            attributes: vec![("body".into(), idle())],
            ..Node::default()
        };
        let mut model = model(node, 17);
        model.graph.outputs.clear();
        let given = inputs.iter().flatten().cloned();
        let given: Inputs = given.map(|x| ("x0".to_owned(), x)).collect();
        let limits = Limits {
            operations,
            ..Limits::default()
        };
        Session::open(&model, None)
            .unwrap()
            .run(&given, &limits)
            .map(drop)
    };
    let error = counted(&[], 1_000_000).unwrap_err();
    assert!(
        matches!(
            error.kind,
            Fault::Rounds {
                rounds: 300..501,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("node round (Loop, opset 17): goes on after"),
        "{error}"
    );
    counted(&[i64s(&[], &[100])], 1_000_000).unwrap();
    // As many rounds as there are: known before they begin.
    let error = counted(&[i64s(&[], &[1_000_000])], 1_000_000).unwrap_err();
    assert!(matches!(error.kind, Fault::Budget { .. }), "{error}");
}

#[test]
fn sparse_constants_are_refused_by_name() {
    use crate::ir::{DType, SparseTensor, Tensor};
    let node = Node {
        op_type: "Relu".into(),
        inputs: vec!["w".into()],
        outputs: vec!["y".into()],
        ..Node::default()
    };
    let mut model = model(node, 17);
    let indices = 1i64.to_le_bytes().to_vec();
    model.graph.sparse_initializers.push(SparseTensor {
        values: Tensor::f32("w", vec![1], &[2.0]),
        indices: Tensor::bytes("", DType::I64, vec![1], indices),
        dims: vec![3],
    });
    let error = Session::open(&model, None).map(drop).unwrap_err();
    assert_eq!(
        error.to_string(),
        "constant w: sparse constants are not evaluated; write them as plain tensors"
    );
}
