//! What a graph may hold: values, parameters and states of its own, of sizes that exist, and numbers of f32.

use super::{Graph, Input, Op, StateInit, StateSpec, Value};
use crate::error::{ModelError, Result};

/// Channels of a value, entries of a state: beyond that no machine has the memory.
const LARGEST: usize = 1 << 36;
/// Values of a parameter: a training says of larger ones how much memory they would take, before it takes any.
const LARGEST_PARAMETER: usize = 1 << 42;

/// Whether so many values can be.
pub(super) fn exists(dims: &[usize]) -> bool {
    at_most(LARGEST, dims)
}

fn at_most(largest: usize, dims: &[usize]) -> bool {
    let count = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    count.is_some_and(|n| n <= largest)
}

/// Whether f32 holds a number: neither beyond its largest nor made 0 by it.
pub(super) fn held(value: f64) -> bool {
    let narrow = value as f32;
    narrow.is_finite() && (narrow != 0.0 || value == 0.0)
}

impl Graph {
    /// Arguments, parameters and states are of this graph, and numbers of f32.
    pub(super) fn check_operands(&self, op: Op, x: &[Value]) -> Result<()> {
        let fail = |what: String| Err(self.shape_error(op.name(), what));
        let lacks = |what: &str, at: usize, count: usize| {
            fail(format!(
                "takes {what} {at}, and the graph has {count}; it may be another graph's"
            ))
        };
        let (nodes, params, states) = (self.nodes.len(), self.params.len(), self.states.len());
        if let Some(v) = x.iter().find(|v| v.0 >= nodes) {
            return lacks("value", v.0, nodes);
        }
        if let Some(p) = op.param().filter(|p| p.0 >= params) {
            return lacks("parameter", p.0, params);
        }
        if let Some(s) = op.state().filter(|s| s.0 >= states) {
            return lacks("state", s.0, states);
        }
        let numbers = match op {
            Op::Const { value } => vec![value],
            Op::Affine { mul, add } => vec![mul, add],
            _ => vec![],
        };
        match numbers.iter().find(|v| !held(**v)) {
            Some(v) if v.is_finite() && v.abs() < 1.0 => fail(format!(
                "takes numbers that float32 holds, and makes 0 of {v:e}"
            )),
            Some(v) => fail(format!("takes finite numbers of float32, got {v:e}")),
            None => Ok(()),
        }
    }

    /// A value that can be.
    pub(super) fn check_width(&self, op: Op, width: usize) -> Result<()> {
        if exists(&[width]) {
            return Ok(());
        }
        let what = format!("would have {width} channels, the most is {LARGEST}");
        Err(self.shape_error(op.name(), what))
    }

    /// Why a state cannot be, if it cannot.
    pub(super) fn wrong_state(&self, width: usize, lag: usize, init: StateInit) -> Option<String> {
        if width == 0 || lag == 0 {
            return Some("holds nothing; its width and lag must be at least 1".into());
        }
        if !exists(&[width, lag]) {
            return Some(format!(
                "holds {lag} times {width} values, the most is {LARGEST}"
            ));
        }
        match init {
            StateInit::Learned(p) => match self.params.get(p.0).map(|p| &p.shape) {
                Some(shape) if shape[..] == [width] => None,
                Some(shape) => Some(format!("begins with {shape:?}, wanted [{width}]")),
                None => Some("begins with a parameter that the graph does not have".into()),
            },
            StateInit::Constant(c) if !c.is_finite() => {
                Some(format!("begins with {c}, which is no finite number"))
            }
            _ => None,
        }
    }

    /// Why a parameter cannot have a shape, if it cannot.
    pub(super) fn wrong_shape(shape: &[usize]) -> Option<String> {
        if shape.is_empty() || shape.contains(&0) {
            return Some(format!(
                "has shape {shape:?}; every dimension must be at least 1"
            ));
        }
        let large = !at_most(LARGEST_PARAMETER, shape);
        large.then(|| format!("has shape {shape:?}; the most values are {LARGEST_PARAMETER}"))
    }

    /// No parameter has a name that an exported file gives to an input or an output.
    pub(super) fn check_names(&self) -> Result<()> {
        let input = match self.input {
            Input::Tokens { .. } => "input_ids",
            Input::Features { .. } => "features",
        };
        let output = self.output().kind.tensor_name();
        let fixed = [input, output, "lengths", "reset"];
        let taken = |name: &String| {
            let of = |s: &StateSpec| s.input_name() == *name || s.output_name() == *name;
            fixed.contains(&name.as_str()) || self.states.iter().any(of)
        };
        match self.params.iter().find(|p| taken(&p.name)) {
            Some(p) => Err(ModelError::Name {
                kind: "parameter",
                name: p.name.clone(),
                what: "is the name of an input or output of exported files; give it another, or a scope".into(),
            }),
            None => Ok(()),
        }
    }

    /// Every parameter is read, or begins a state.
    pub(crate) fn check_all_read(&self) -> Result<()> {
        let uses = self.uses();
        let begins = |at: usize| {
            let is = |s: &StateSpec| matches!(s.init, StateInit::Learned(p) if p.0 == at);
            self.states.iter().any(is)
        };
        let unread = |at: &usize| uses[*at] == super::Use::Nothing && !begins(*at);
        match (0..uses.len()).find(unread) {
            Some(at) => Err(ModelError::Name {
                kind: "parameter",
                name: self.params[at].name.clone(),
                what: "is read by no operation; read it, or leave it out".into(),
            }),
            None => Ok(()),
        }
    }
}
