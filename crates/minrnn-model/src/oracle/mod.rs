//! The oracle: the graph run in float64, one operation after the other, with a running bound on what an f32 engine may differ.
//!
//! It is what is true in this project. It is plain loops over `[B, T, width]`, and its functions come from `libm`, so that
//! its results are the same on every machine.

mod attend;
mod check;
mod convolution;
mod fold;
mod functions;
mod ops;
mod product;
mod recur;
mod still;
mod tensor;
mod window;

#[cfg(test)]
mod tests;

pub use tensor::Tensor;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::{ModelError, Result};
use crate::graph::{Graph, Holds, Op, Span, State, Value};
use crate::params::Params;
use tensor::Shape;

/// Unit roundoff of f32, 2^-24.
pub const UNIT: f64 = 5.960_464_477_539_063e-8;

/// What goes into a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Data<'a> {
    /// Token ids `[B, T]`.
    Tokens(&'a [u32]),
    /// Features `[B, T, F]`.
    Features(&'a [f32]),
}

/// Values of parameters, in the graph's order: in float64, or in f32 and widened where they are read, so that a large model
/// is in memory once.
#[derive(Clone, Copy)]
pub enum Weights<'a> {
    /// As they are.
    F64(&'a [Vec<f64>]),
    /// Widened.
    F32(&'a Params),
    /// Rounded to what is stored, then widened: from the parameter's index, the flat index in it, and the value.
    Rounded(&'a Params, Stored<'a>),
}

/// What a value is stored as.
pub type Stored<'a> = &'a (dyn Fn(usize, usize, f32) -> f32 + Sync);

impl<'a> From<&'a [Vec<f64>]> for Weights<'a> {
    fn from(values: &'a [Vec<f64>]) -> Self {
        Self::F64(values)
    }
}

impl<'a> From<&'a Vec<Vec<f64>>> for Weights<'a> {
    fn from(values: &'a Vec<Vec<f64>>) -> Self {
        Self::F64(values)
    }
}

impl<'a, const N: usize> From<&'a [Vec<f64>; N]> for Weights<'a> {
    fn from(values: &'a [Vec<f64>; N]) -> Self {
        Self::F64(values)
    }
}

impl<'a> From<&'a Params> for Weights<'a> {
    fn from(values: &'a Params) -> Self {
        Self::F32(values)
    }
}

impl<'a> Weights<'a> {
    fn len(self) -> usize {
        match self {
            Self::F64(v) => v.len(),
            Self::F32(p) | Self::Rounded(p, _) => p.len(),
        }
    }

    fn len_of(self, param: usize) -> usize {
        match self {
            Self::F64(v) => v[param].len(),
            Self::F32(p) | Self::Rounded(p, _) => p.get(param).len(),
        }
    }

    /// Some values of a parameter.
    fn values(self, param: usize, range: std::ops::Range<usize>) -> Cow<'a, [f64]> {
        match self {
            Self::F64(v) => Cow::Borrowed(&v[param][range]),
            Self::F32(p) => p.get(param)[range].iter().map(|x| f64::from(*x)).collect(),
            Self::Rounded(p, stored) => {
                let values = range.clone().zip(&p.get(param)[range]);
                values
                    .map(|(at, x)| f64::from(stored(param, at, *x)))
                    .collect()
            }
        }
    }
}

/// What happens to the argument of a matrix product before it: how a graph with narrow weights computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Rounding {
    /// Rounded to f16, and so are the products.
    F16,
    /// Each row to 127 steps of its largest magnitude.
    Rows8,
    /// To 127 steps of a magnitude for each parameter, by its index; values beyond it are cut off.
    Static8(Vec<f64>),
}

/// One run over whole sequences `[B, T]`.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// B.
    pub batch: usize,
    /// T.
    pub time: usize,
    /// The input.
    pub data: Data<'a>,
    /// States to begin with, in the graph's order, each `[B, width]` or `[B, lag, width]`; `None`: their initial values.
    pub states: Option<&'a [Vec<f64>]>,
    /// Length of each row, 1 to T; `None`: all T. What follows a row's end changes neither its states nor its last step.
    pub lens: Option<&'a [usize]>,
    /// `[B, T]`: steps before which a row begins anew, from the states' initial values.
    pub reset: Option<&'a [bool]>,
    /// Whether to carry bounds on the error of an f32 engine. They do not know of `rounding`.
    pub bounds: bool,
    /// What the arguments of matrix products are rounded to.
    pub rounding: Option<&'a Rounding>,
}

impl<'a> Run<'a> {
    /// A plain run from the initial states.
    pub fn new(batch: usize, time: usize, data: Data<'a>) -> Self {
        Self {
            batch,
            time,
            data,
            states: None,
            lens: None,
            reset: None,
            bounds: false,
            rounding: None,
        }
    }
}

/// What comes out of a run.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The output: `[B, T, C]`, or `[B, C]` for a last-step head.
    pub output: Tensor,
    /// States after the run (at each row's end), in the graph's order.
    pub states: Vec<Tensor>,
}

/// Runs the graph; `params` are the values of its parameters in its order.
///
/// # Errors
/// Inputs, states, lengths or parameters that do not fit the graph.
pub fn run<'a>(graph: &Graph, params: impl Into<Weights<'a>>, run: &Run) -> Result<Trace> {
    let mut output = None;
    let states = walk(graph, params, run, &mut |value, tensor| {
        if value == graph.output().value {
            output = Some(tensor.clone());
        }
    })?;
    Ok(Trace {
        output: output.expect("the output is a node"),
        states,
    })
}

/// Runs the graph and shows every value to `see`, in order; but for parameters that are read where they are.
///
/// # Errors
/// See [`run`].
pub fn walk<'a>(
    graph: &Graph,
    params: impl Into<Weights<'a>>,
    run: &Run,
    see: &mut dyn FnMut(Value, &Tensor),
) -> Result<Vec<Tensor>> {
    let params = params.into();
    check::check(graph, params, run)?;
    let begin = initial_states(graph, params, run.batch);
    let first = run.states.unwrap_or(&begin);
    let last_use = last_uses(graph);
    let stays_in_place = read_in_place(graph);
    let uses = graph.uses();
    let mut values: Vec<Option<Tensor>> = vec![None; graph.nodes().len()];
    let mut states = vec![None; graph.states().len()];
    let still = still::Still {
        graph,
        params,
        stays: &stays_in_place,
        uses: &uses,
    };
    // Of the fold that is being gone through, what is not shown yet.
    let mut folded = BTreeMap::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        if let Some(fold) = graph.fold_at(i) {
            folded = fold::fold(&still, fold, &values, [first, &begin], run);
        }
        if stays_in_place[i] {
            continue;
        }
        let shape = Shape::of(node.span, node.width, run.batch, run.time);
        let x = |input: usize| {
            let value = &values[node.inputs[input].index()];
            value.as_ref().expect("kept until its last use")
        };
        let mut y = match node.op {
            Op::Delay { state, by } => {
                let s = state.index();
                window::delay(x(0), by, &first[s], &begin[s], run)
            }
            Op::Conv { state } => {
                let s = state.index();
                convolution::conv([x(0), x(1)], &first[s], &begin[s], run)
            }
            Op::Limit { most } => convolution::limit(x(0), most, run)?,
            Op::Recur { state, law } => {
                let (s, x): (_, Vec<&Tensor>) = (state.index(), (0..law.arity()).map(x).collect());
                recur::recur(law, shape, &x, [&first[s], &begin[s]], run)
            }
            Op::Attend { state, heads, .. } => {
                let s = state.index();
                let window = window::Past::of(&first[s], &begin[s], x(1), run);
                attend::attend([x(0), x(1), x(2)], heads, window, run)?
            }
            Op::Embed { table } if node.inputs[0].index() != 0 => {
                ops::rows_of(x(0), params, table, shape, run.bounds).map_err(|at| {
                    let spec = graph.param_spec(table);
                    ModelError::input(format!(
                        "row {at} of `{}`, which has {}: {}",
                        spec.name, spec.shape[0], "begin anew, or use a model of more positions"
                    ))
                })?
            }
            Op::Last => window::last(x(0), run),
            _ => match folded.remove(&i) {
                Some(made) => made,
                None => still.value(node, &x, shape, run),
            },
        };
        y.settle_bounds();
        see(graph.value_at(i), &y);
        values[i] = Some(y);
        for (s, next) in states.iter_mut().enumerate() {
            let state = State::at(s);
            if next.is_none() && graph.state_source(state).index() == i {
                let source = values[i].as_ref().expect("just made");
                *next = Some(match graph.state_spec(state).holds {
                    Holds::Value => window::last(source, run),
                    Holds::Window { lag } => window::next(source, lag, &first[s], &begin[s], run),
                });
            }
        }
        for v in &node.inputs {
            if last_use[v.index()] == i {
                values[v.index()] = None;
            }
        }
    }
    Ok(states
        .into_iter()
        .map(|s| s.expect("a checked graph uses every state"))
        .collect())
}

/// The initial values of all states, repeated for B rows.
pub fn initial_states<'a>(
    graph: &Graph,
    params: impl Into<Weights<'a>>,
    batch: usize,
) -> Vec<Vec<f64>> {
    let params = params.into();
    let row = |s: &crate::graph::StateSpec| {
        s.first(|p| params.values(p.index(), 0..s.width).into_owned())
    };
    graph
        .states()
        .iter()
        .map(|s| row(s).repeat(batch))
        .collect()
}

/// Parameters that are read where they are: matrices of products and tables of rows, so that a large model is in memory once.
fn read_in_place(graph: &Graph) -> Vec<bool> {
    let large = |n: &crate::graph::Node| {
        matches!(
            (n.op, n.span),
            (Op::Param { .. }, Span::Model { rows: 2.. })
        )
    };
    let mut stays: Vec<bool> = graph.nodes().iter().map(large).collect();
    for node in graph.nodes() {
        let in_place = match node.op {
            Op::MatMul { .. } => Some(1),
            Op::Row { .. } => Some(0),
            _ => None,
        };
        for (i, v) in node.inputs.iter().enumerate() {
            stays[v.index()] &= Some(i) == in_place;
        }
    }
    stays
}

fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last = vec![0; graph.nodes().len()];
    for (i, node) in graph.nodes().iter().enumerate() {
        node.inputs.iter().for_each(|v| last[v.index()] = i);
    }
    last
}
