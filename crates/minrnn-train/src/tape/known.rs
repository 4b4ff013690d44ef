//! What the tape can plan. The rest of a graph is refused by name before anything is planned.

use minrnn_model::graph::{Binary, Graph, Law, Node, Op, Reduction, StateInit, Unary};

use crate::error::{Result, TrainError};

/// # Errors
/// [`TrainError::Unplanned`]: the first operation or state that has no kernel.
pub(super) fn check(graph: &Graph) -> Result<()> {
    let refuse = |scope: &str, what: String| {
        Err(TrainError::Unplanned {
            scope: scope.to_owned(),
            what,
        })
    };
    for node in graph.nodes() {
        if let Some(why) = missing(graph, node) {
            return refuse(
                &node.scope,
                format!("{} {why}", node.op.name()).trim_end().to_owned(),
            );
        }
    }
    let constant = |s: &&minrnn_model::graph::StateSpec| match s.init {
        StateInit::Zero => false,
        StateInit::Constant(_) => true,
        StateInit::Learned(_) => s.lag().is_some(),
    };
    match graph.states().iter().find(constant) {
        Some(state) => refuse(
            &state.name,
            "a state that begins with a constant, or a window with learned rows".into(),
        ),
        None => Ok(()),
    }
}

/// Why the node has no kernel, if it has none.
fn missing(graph: &Graph, node: &Node) -> Option<&'static str> {
    let computed = "of values that are computed from parameters alone";
    match node.op {
        Op::Param { .. } => None,
        Op::Row { .. } => graph.as_param(node.inputs[0]).is_none().then_some(computed),
        _ if node.span.is_model() => Some(computed),
        Op::MatMul { transposed: true } => Some("with a transposed matrix"),
        Op::MatMul { .. } => graph.weight(node).is_none().then_some(computed),
        Op::Unary(
            Unary::Neg
            | Unary::Abs
            | Unary::Relu
            | Unary::Sigmoid
            | Unary::Tanh
            | Unary::Exp
            | Unary::Sqrt
            | Unary::Erf,
        ) => None,
        Op::Unary(_) | Op::Binary(Binary::Max) => Some(""),
        Op::Binary(f) => {
            let second = graph.span(node.inputs[1]).is_model();
            let row =
                graph.as_row(node.inputs[1]).is_some() && graph.width(node.inputs[1]) == node.width;
            let whole = second && row && matches!(f, Binary::Add | Binary::Mul);
            let first = graph.span(node.inputs[0]).is_model();
            (first || (second && !whole)).then_some("of a parameter in this place")
        }
        Op::Reduce { kind, group } => {
            let mean = kind == Reduction::Mean && group == graph.width(node.inputs[0]);
            (!mean).then_some("of groups, or as a sum")
        }
        Op::Repeat { .. } => Some(""),
        Op::Recur { law, .. } => match law {
            Law::Linear => None,
        },
        Op::Const { .. }
        | Op::Input
        | Op::Embed { .. }
        | Op::Affine { .. }
        | Op::Narrow { .. }
        | Op::Concat
        | Op::Delay { .. }
        | Op::Dropout { .. }
        | Op::Last => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minrnn_model::graph::{Input, OutputKind};
    use minrnn_model::params::{Init, Role};

    #[test]
    fn what_has_no_kernel_is_refused_with_its_scope() {
        let graph = Graph::trace(Input::Features { width: 4 }, OutputKind::Values, |g, x| {
            g.scope("head", |g| g.repeat(x, 2, 2))
        });
        let e = check(&graph.unwrap()).unwrap_err().to_string();
        assert!(e.contains("head: Repeat"), "{e}");
        let graph = Graph::trace(Input::Features { width: 4 }, OutputKind::Values, |g, x| {
            let role = Role::Weight {
                init: Init::Constant(1.0),
                decay: false,
            };
            let w = g.param("w", &[4], role)?;
            let w = g.read(w)?;
            g.sub(x, w)
        });
        let e = check(&graph.unwrap()).unwrap_err().to_string();
        assert!(e.contains("Sub of a parameter in this place"), "{e}");
    }
}
