//! Exact execution alone: what it does not have is refused by name.

use minrnn_runtime::{ErrorKind, Model, Options};

use crate::support::build::{Form, Spec};

#[test]
fn other_executions_are_refused() {
    let bytes = Spec::gated(Form::Step).bytes();
    for options in [Options::referee(), Options::with_plans(1)] {
        let error = Model::from_bytes_with(&bytes, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        assert_eq!(error.place(), Some("execution"), "{error}");
        assert!(error.to_string().contains("feature `tract`"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_exact_is_refused_with_the_reason() {
    let mut file = Spec::raw(Form::Step, 3).file();
    let output = file.graph.nodes.iter_mut();
    let output = output.rev().find(|n| n.outputs == ["values"]).unwrap();
    output.op = "Softmax".into();
    let error = Model::from_bytes(&file.to_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "{error}");
    let said = error.to_string();
    assert!(said.contains("without its feature `tract`"), "{said}");
    assert!(said.contains("operator `Softmax`"), "{said}");
}
