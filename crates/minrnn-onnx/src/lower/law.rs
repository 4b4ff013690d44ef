//! The laws of recurrences in operators: one step, and two steps as one. The lowerings use nothing else.
//!
//! A state is a list of values of one shape, and so are the arguments of a step: a complex state is its real and its imaginary part.

use minrnn_model::graph::{Binary, Graph, Law, Op, Unary};

use super::{convolution, fold, heads};
use crate::builder::{Builder, Val};
use crate::choices::{ExportError, ExportOptions, Form, Lowering};

/// A law as it is lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// Arguments a, b: `h a + b`.
    Linear,
    /// Argument -b, state -h: `max(h, b)` as `-min(-h, -b)`, as not every engine has Max.
    Max,
    /// Arguments a, -b, state -h: `max(h + a, b)`. A recurrence with resets: no b erases what h was, and an a does that is low enough.
    Lowered,
    /// Arguments re a, im a, re b, im b; states re h, im h.
    Complex,
}

/// `x y`.
fn product(b: &mut Builder, [xr, xi]: [Val; 2], [yr, yi]: [Val; 2]) -> [Val; 2] {
    let (rr, ii) = (b.mul(xr, yr), b.mul(xi, yi));
    let re = b.sub(rr, ii);
    let (ri, ir) = (b.mul(xr, yi), b.mul(xi, yr));
    [re, b.add(ri, ir)]
}

impl Steps {
    /// How many values a state is.
    pub(super) fn states(self) -> usize {
        match self {
            Self::Linear | Self::Max | Self::Lowered => 1,
            Self::Complex => 2,
        }
    }

    /// The state after a step; the state comes first in every operator: one engine gave wrong values for the other order inside of a
    /// Scan.
    pub(super) fn step(self, b: &mut Builder, h: &[Val], x: &[Val]) -> Vec<Val> {
        match (self, h, x) {
            (Self::Linear, [h], [a, x]) => {
                let kept = b.mul(*h, *a);
                vec![b.add(kept, *x)]
            }
            (Self::Max, [h], [x]) => vec![b.min(*h, *x)],
            (Self::Lowered, [h], [a, x]) => {
                let kept = b.sub(*h, *a);
                vec![b.min(kept, *x)]
            }
            (Self::Complex, [hr, hi], [ar, ai, xr, xi]) => {
                let [re, im] = product(b, [*hr, *hi], [*ar, *ai]);
                vec![b.add(re, *xr), b.add(im, *xi)]
            }
            _ => unreachable!("a law has as many states and arguments as it says"),
        }
    }

    /// The arguments of the step that does what `first` and then `second` do.
    pub(super) fn compose(self, b: &mut Builder, first: &[Val], second: &[Val]) -> Vec<Val> {
        let (decay, end) = first.split_at(first.len() - self.states());
        let end = self.step(b, end, second);
        let mut all = match (self, decay, second) {
            (Self::Linear, [a], [c, ..]) => vec![b.mul(*a, *c)],
            (Self::Lowered, [a], [c, ..]) => vec![b.add(*a, *c)],
            (Self::Complex, [ar, ai], [cr, ci, ..]) => product(b, [*ar, *ai], [*cr, *ci]).to_vec(),
            _ => vec![],
        };
        all.extend(end);
        all
    }
}

/// Whether the lowering knows the laws of a graph.
///
/// # Errors
/// The first recurrence whose law it does not know, and what does.
pub(crate) fn check(graph: &Graph, options: &ExportOptions) -> Result<(), ExportError> {
    convolution::check(graph, options)?;
    super::attend::fits(graph, options).map_err(|what| ExportError::Option {
        option: "seq_len",
        what,
    })?;
    fold::check(graph, options)?;
    let knows = matches!(options.lowering, Lowering::Blocked | Lowering::BlockedScan);
    let attention = options.lowering == Lowering::LinearAttention;
    let whole = attention && options.form == Form::Parallel;
    if let (true, Some(node)) = (whole, super::attend::attends(graph)) {
        return Err(ExportError::Option {
            option: "lowering",
            what: format!(
                "linear-attention is of recurrences, and `{}` attends to a window; choose blocked or another lowering",
                node.scope
            ),
        });
    }
    if attention && options.form == Form::Step && Lowering::is_of_steps(options.lowering, graph) {
        return heads::check(graph, options);
    }
    if options.form != Form::Parallel || knows {
        return Ok(());
    }
    if attention {
        heads::check(graph, options)?;
        positive(graph)?;
    }
    let other = graph.nodes().iter().find_map(|n| match n.op {
        Op::Recur { law, .. } if law != Law::Linear => Some((law, &n.scope)),
        _ => None,
    });
    let Some((law, scope)) = other else {
        return Ok(());
    };
    Err(ExportError::Option {
        option: "lowering",
        what: format!(
            "{} is of the linear recurrence, and `{scope}` has the law {}; choose blocked or blocked-scan",
            options.lowering.name(),
            law.name()
        ),
    })
}

/// The operator takes the logarithm of the decay.
fn positive(graph: &Graph) -> Result<(), ExportError> {
    let mut known: Vec<bool> = vec![];
    for node in graph.nodes() {
        let of = |at: usize| known[node.inputs[at].index()];
        let all = || node.inputs.iter().all(|v| known[v.index()]);
        known.push(match node.op {
            Op::Const { value } => value >= 0.0,
            Op::Unary(f) => matches!(
                f,
                Unary::Abs | Unary::Relu | Unary::Sigmoid | Unary::Exp | Unary::Sqrt
            ),
            Op::Binary(Binary::Max) => of(0) || of(1),
            Op::Binary(Binary::Sub) => false,
            Op::Binary(_) | Op::Concat => all(),
            Op::Affine { mul, add } => mul >= 0.0 && add >= 0.0 && of(0),
            Op::Row { .. } | Op::Reduce { .. } | Op::Repeat { .. } => of(0),
            Op::Narrow { .. } | Op::Dropout { .. } | Op::Last => of(0),
            Op::Recur { law, .. } if law == Law::Linear && !of(0) => {
                return Err(ExportError::Option {
                    option: "lowering",
                    what: format!(
                        "linear-attention takes the logarithm of the decay, and that of `{}` may be below 0; choose blocked or another lowering",
                        node.scope
                    ),
                });
            }
            _ => false,
        });
    }
    Ok(())
}
