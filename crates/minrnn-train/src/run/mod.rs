//! The graph run by candle: tensors with gradients, fused layers where the kernels have one.
//!
//! The same function runs whole sequences and single steps (T = 1); states go in and come out. Values with time are
//! `[B, T, width]`, values after the last-step operation `[B, width]`.

mod attend;
mod convolution;
mod dropout;
mod fold;
mod fused;
mod ops;
mod time;

#[cfg(test)]
pub(crate) mod attention_tests;
#[cfg(all(test, feature = "cuda"))]
mod cuda_tests;
#[cfg(test)]
mod fold_tests;
#[cfg(test)]
pub(crate) mod tests;

use candle_core::{DType, Device, Result, Tensor, Var, bail};
use minrnn_model::graph::{Graph, Input, State, StateInit, Value};
use minrnn_model::params::{Params, Role};

pub(crate) use convolution::patches;
pub use dropout::Dropout;
pub(crate) use dropout::mask as dropout_mask;

/// Parameters as tensors, in the graph's order.
#[derive(Debug, Clone)]
pub struct Weights {
    tensors: Vec<Tensor>,
    vars: Vec<Option<Var>>,
    dtype: DType,
    device: Device,
}

impl Weights {
    /// Tensors of `dtype` (f32 or f64) on `device`; parameters that are trained become variables.
    ///
    /// # Errors
    /// Those of candle.
    pub fn new(graph: &Graph, params: &Params, dtype: DType, device: &Device) -> Result<Self> {
        let mut weights = Self {
            tensors: vec![],
            vars: vec![],
            dtype,
            device: device.clone(),
        };
        for (i, spec) in graph.params().iter().enumerate() {
            let tensor = Tensor::from_slice(params.get(i), spec.shape.as_slice(), device)?
                .to_dtype(dtype)?;
            let var = match spec.role {
                Role::Weight { .. } => Some(Var::from_tensor(&tensor)?),
                Role::Buffer { .. } => None,
            };
            weights
                .tensors
                .push(var.as_ref().map_or(tensor, |v| v.as_tensor().clone()));
            weights.vars.push(var);
        }
        Ok(weights)
    }

    /// Where they lie.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The variables with their positions in the graph's list; buffers have none.
    pub fn vars(&self) -> impl Iterator<Item = (usize, &Var)> {
        self.vars
            .iter()
            .enumerate()
            .filter_map(|(i, v)| v.as_ref().map(|v| (i, v)))
    }

    /// Back to plain values.
    ///
    /// # Errors
    /// Those of candle.
    pub fn to_params(&self, graph: &Graph) -> Result<Params> {
        let mut params = Params::init(graph, 0);
        for (i, t) in self.tensors.iter().enumerate() {
            let values = t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            params.get_mut(i).copy_from_slice(&values);
        }
        Ok(params)
    }

    fn get(&self, index: usize) -> &Tensor {
        &self.tensors[index]
    }
}

/// One run.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// Token ids u32 `[B, T]`, or features `[B, T, F]` of the weights' type.
    pub input: &'a Tensor,
    /// States to begin with, in the graph's order, `[B, width]` or `[B, lag, width]`; `None`: their initial values.
    pub states: Option<&'a [Tensor]>,
    /// Length of each row, 1 to T; `None`: all T.
    pub lens: Option<&'a [u32]>,
    /// `[B, T]`: steps before which a row begins anew.
    pub reset: Option<&'a [bool]>,
    /// Dropout; `None`: none, as in evaluation.
    pub dropout: Option<Dropout>,
    /// Whether fused kernels may stand in for their layers; `false` runs every primitive.
    pub fused: bool,
}

impl<'a> Run<'a> {
    /// A plain run from the initial states with fused kernels.
    pub fn new(input: &'a Tensor) -> Self {
        Self {
            input,
            states: None,
            lens: None,
            reset: None,
            dropout: None,
            fused: true,
        }
    }
}

/// What comes out of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// `[B, T, C]`, or `[B, C]` for a last-step head.
    pub output: Tensor,
    /// States at each row's end, in the graph's order.
    pub states: Vec<Tensor>,
}

/// A run in progress.
struct Walk<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    run: &'a Run<'a>,
    batch: usize,
    time: usize,
    /// States that the run begins with.
    first: Vec<Tensor>,
    resets: Option<time::Resets>,
    values: Vec<Option<Tensor>>,
    /// States at each row's end, as far as they are known.
    next: Vec<Option<Tensor>>,
}

/// Runs the graph.
///
/// # Errors
/// An input, states, lengths or resets that do not fit the graph; errors of candle.
pub fn run(graph: &Graph, weights: &Weights, run: &Run) -> Result<Outcome> {
    let mut walk = Walk::begin(graph, weights, run)?;
    let last_use = last_uses(graph);
    let mut output = None;
    let mut i = 0;
    let mut site = 0;
    while i < graph.nodes().len() {
        let begin = i;
        let whole = match walk.fold_at(i)? {
            Some(end) => Some(end),
            None => walk.fused_at(i)?,
        };
        let end = match whole {
            Some(end) => {
                site += count_dropout(graph, begin, end);
                end
            }
            None => {
                let y = walk.primitive(i, &mut site)?;
                walk.values[i] = Some(y);
                i + 1
            }
        };
        walk.find_states(end)?;
        let out = graph.output().value.index();
        if (begin..end).contains(&out) {
            output = walk.values[out].clone();
        }
        walk.release(begin, end, &last_use);
        i = end;
    }
    let states = walk
        .next
        .into_iter()
        .map(|s| s.expect("a checked graph uses every state"))
        .collect();
    Ok(Outcome {
        output: output.expect("the output is a node"),
        states,
    })
}

fn count_dropout(graph: &Graph, begin: usize, end: usize) -> usize {
    graph.nodes()[begin..end]
        .iter()
        .filter(|n| n.op.drops().is_some())
        .count()
}

fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last: Vec<usize> = (0..graph.nodes().len()).collect();
    for (i, node) in graph.nodes().iter().enumerate() {
        node.inputs.iter().for_each(|v| last[v.index()] = i);
    }
    last
}

impl<'a> Walk<'a> {
    fn begin(graph: &'a Graph, weights: &'a Weights, run: &'a Run<'a>) -> Result<Self> {
        let (batch, time) = match (graph.input(), run.input.dims()) {
            (Input::Tokens { .. }, &[b, t]) => (b, t),
            (Input::Features { width }, &[b, t, f]) if f == width => (b, t),
            (Input::Tokens { .. }, got) => {
                bail!("the model takes token ids [B, T], got an input of shape {got:?}")
            }
            (Input::Features { width }, got) => {
                bail!("the model takes features [B, T, {width}], got an input of shape {got:?}")
            }
        };
        if batch == 0 || time == 0 {
            bail!("a run needs at least one row and one step, got B={batch}, T={time}");
        }
        if let Some(lens) = run.lens
            && (lens.len() != batch || lens.iter().any(|n| *n == 0 || *n as usize > time))
        {
            bail!("lengths must have B = {batch} values between 1 and T = {time}, got {lens:?}");
        }
        let resets = match run.reset {
            Some(r) if r.len() != batch * time => bail!(
                "reset must have B*T = {} values, got {}",
                batch * time,
                r.len()
            ),
            Some(r) => Some(time::Resets::new(r, time)),
            None => None,
        };
        let values = vec![None; graph.nodes().len()];
        let mut walk = Self {
            graph,
            weights,
            run,
            batch,
            time,
            first: vec![],
            resets,
            values,
            next: vec![None; graph.states().len()],
        };
        walk.first = walk.first_states()?;
        Ok(walk)
    }

    fn first_states(&self) -> Result<Vec<Tensor>> {
        let specs = self.graph.states();
        let Some(given) = self.run.states else {
            return (0..specs.len())
                .map(|s| self.initial_state(State::at(s)))
                .collect();
        };
        if given.len() != specs.len() {
            bail!(
                "{} states given, the model has {}",
                given.len(),
                specs.len()
            );
        }
        for (spec, state) in specs.iter().zip(given) {
            let wanted = [vec![self.batch], spec.shape()].concat();
            if state.dims() != wanted {
                bail!(
                    "state {} has shape {:?}, wanted {wanted:?}",
                    spec.name,
                    state.dims()
                );
            }
        }
        Ok(given.to_vec())
    }

    /// The value that a state begins with, `[B, width]` or `[B, lag, width]`.
    fn initial_state(&self, state: State) -> Result<Tensor> {
        let spec = self.graph.state_spec(state);
        let shape = [vec![self.batch], spec.shape()].concat();
        let device = self.run.input.device();
        match spec.init {
            StateInit::Zero => Tensor::zeros(shape, self.dtype(), device),
            StateInit::Constant(c) => Tensor::full(c, shape, device)?.to_dtype(self.dtype()),
            StateInit::Learned(p) => self
                .weights
                .get(p.index())
                .broadcast_as(shape)?
                .contiguous(),
        }
    }

    fn dtype(&self) -> DType {
        self.weights.dtype
    }

    fn value(&self, value: Value) -> &Tensor {
        self.values[value.index()]
            .as_ref()
            .expect("a value is kept until its last use")
    }

    /// The states whose last values the nodes before `end` have made.
    fn find_states(&mut self, end: usize) -> Result<()> {
        for s in 0..self.next.len() {
            let source = self.graph.state_source(State::at(s)).index();
            if self.next[s].is_none() && source < end && self.values[source].is_some() {
                self.next[s] = Some(self.next_state(State::at(s))?);
            }
        }
        Ok(())
    }

    /// Forgets values that nothing later reads; gradients keep what they need themselves.
    fn release(&mut self, begin: usize, end: usize, last_use: &[usize]) {
        for v in self.graph.nodes()[begin..end]
            .iter()
            .flat_map(|n| &n.inputs)
        {
            if last_use[v.index()] < end {
                self.values[v.index()] = None;
            }
        }
    }
}
