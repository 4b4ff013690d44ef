//! The checker on graphs that are right, on graphs that break one rule each, and on random changes of right graphs.

mod corpus;

use std::collections::BTreeSet;

use minrnn_onnx::check::{OPSETS, check, infer, operators};
use minrnn_onnx::ir::Model;

/// What the checker says of a graph, and of the same after a way through bytes.
fn verdicts(model: &Model) -> (bool, bool) {
    let decoded = Model::decode(&model.encode());
    (
        check(model).is_ok(),
        decoded.is_ok_and(|m| check(&m).is_ok()),
    )
}

#[test]
fn right_graphs_pass() {
    let mut seen = BTreeSet::new();
    let exports = corpus::exports()
        .into_iter()
        .map(|(n, m)| (n.to_owned(), m));
    for (name, model) in exports.chain(corpus::good_nodes::models()) {
        if let Err(e) = check(&model) {
            panic!("{name}: {e}");
        }
        assert_eq!(verdicts(&model), (true, true), "{name}");
        seen.extend(model.graph.nodes.iter().map(|n| n.op_type.clone()));
    }
    let missing: Vec<_> = operators()
        .into_iter()
        .filter(|op| !seen.contains(*op))
        .collect();
    assert_eq!(missing, Vec::<&str>::new(), "no graph uses these");
}

/// Every case is refused for the rule that it breaks; the messages name node and rule.
#[test]
fn broken_graphs_are_refused() {
    let mut text = String::new();
    let mut names = BTreeSet::new();
    for case in corpus::broken() {
        assert!(names.insert(case.name), "`{}` is there twice", case.name);
        let error = check(&case.model).map(|_| ()).expect_err(case.name);
        let first = error.problems.iter().find(|p| p.rule == case.rule);
        let Some(problem) = first else {
            panic!("{}: wanted {:?}, got {error}", case.name, case.rule);
        };
        assert_eq!(verdicts(&case.model), (false, false), "{}", case.name);
        text += &format!("{}\n    {problem}\n", case.name);
    }
    assert!(names.len() >= 60, "{} cases", names.len());
    for (name, _) in corpus::laxer::LAXER {
        assert!(names.contains(name), "no case `{name}`");
    }
    insta::assert_snapshot!("refused", text);
}

#[test]
fn random_changes_do_not_panic() {
    let mut refused = 0;
    for model in corpus::random(2000, 5) {
        let (types, problems) = infer(&model);
        drop(types);
        refused += usize::from(!problems.is_empty());
        let _ = verdicts(&model);
    }
    assert!((1000..2000).contains(&refused), "{refused} of 2000 refused");
}

/// In an opset that is not known there is no operator, and nothing goes wrong.
#[test]
fn opsets_outside_are_refused() {
    for (name, model) in corpus::exports() {
        for opset in [
            i64::MIN,
            -1,
            0,
            OPSETS.start() - 1,
            OPSETS.end() + 1,
            i64::MAX,
        ] {
            let mut model = model.clone();
            model.opsets[0].1 = opset;
            assert!(check(&model).is_err(), "{name} {opset}");
        }
    }
}
