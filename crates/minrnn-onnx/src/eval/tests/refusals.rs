//! What is refused, and how it is named.

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
