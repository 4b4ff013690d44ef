//! Models that no configuration makes.

use minrnn_model::graph::{Input, OutputKind, StateInit, Unary};
use minrnn_model::model::Model;

/// A graph of the operations that no configured layer has.
pub(super) fn primitives() -> Model {
    Model::trace(
        Input::Features { width: 3 },
        OutputKind::Values,
        serde_json::Value::Null,
        |g, x| {
            use minrnn_model::graph::Op;
            g.block(0, |g| {
                let abs = g.unary(Unary::Abs, x)?;
                let tanh = g.unary(Unary::Tanh, x)?;
                let low = g.min(abs, tanh)?;
                let wide = g.op(Op::Concat, &[x, low, tanh])?;
                let mean = g.mean_of_all(wide)?;
                let shifted = g.sub(wide, mean)?;
                let a = g.unary(Unary::Sigmoid, shifted)?;
                let b = g.unary(Unary::Erf, shifted)?;
                let h = g.recurrence("h", a, b, StateInit::Zero)?;
                let e = g.affine(h, -0.5, 0.1)?;
                let e = g.unary(Unary::Exp, e)?;
                g.div(h, e)
            })
        },
    )
    .unwrap()
}

/// States that begin with constants and learned rows, a recurrence's value of the step before, and functions that no layer has.
pub(super) fn beginnings() -> Model {
    let init = minrnn_model::params::Init::Uniform { bound: 1.0 };
    Model::trace(
        Input::Features { width: 3 },
        OutputKind::Values,
        serde_json::Value::Null,
        |g, x| {
            use minrnn_model::graph::{Holds, Law, Op};
            g.block(0, |g| {
                let sin = g.unary(Unary::Sin, x)?;
                let cos = g.unary(Unary::Cos, x)?;
                let most = g.max(sin, cos)?;
                let wide = g.op(Op::Concat, &[x, sin])?;
                let sums = g.sum(wide, 3)?;
                let decay = false;
                let first = g.param(
                    "first",
                    &[2],
                    minrnn_model::params::Role::Weight { init, decay },
                )?;
                let largest = g.recur("m", Law::Max, &[sums], StateInit::Learned(first))?;
                let before = g.before(largest)?;
                let a = g.unary(Unary::Sigmoid, cos)?;
                let h = g.recurrence("h", a, most, StateInit::Constant(-0.25))?;
                let lag = Holds::Window { lag: 2 };
                let state = g.state("w", 3, lag, StateInit::Constant(0.5))?;
                let late = g.op(Op::Delay { state, by: 2 }, &[most])?;
                g.op(Op::Concat, &[h, largest, before, late])
            })
        },
    )
    .unwrap()
}
