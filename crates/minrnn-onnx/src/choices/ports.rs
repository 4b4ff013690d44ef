//! How the model's states become inputs and outputs of a file: names, order of axes, stacking.

use minrnn_model::graph::{Graph, StateInit, StateSpec};
use minrnn_model::params::Params;

use super::{ExportError, ExportOptions, StateLayout, StateNames};

/// One input and the output that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Name of the input.
    pub input: String,
    /// Name of the output.
    pub output: String,
    /// Without the batch.
    pub shape: Vec<usize>,
    /// The states it holds: one, or all of a kind along a first axis of their number.
    pub members: Vec<usize>,
    /// `[W, k-1]` instead of `[k-1, W]`.
    pub transposed: bool,
    /// Whether there is an axis of states.
    pub stacked: bool,
}

/// The inputs and outputs of all states, in order.
///
/// # Errors
/// Names or layouts that these states cannot have.
pub fn ports(graph: &Graph, options: &ExportOptions) -> Result<Vec<Port>, ExportError> {
    let states = graph.states();
    if options.state_names == StateNames::Genai {
        genai(states)?;
    }
    match options.state_layout {
        StateLayout::Separate => {
            let one = |(i, s): (usize, &StateSpec)| separate(i, s, options.state_names);
            states.iter().enumerate().map(one).collect()
        }
        StateLayout::Stacked => {
            let ports = stacked(states, options.state_names)?;
            counting_alike(graph, &ports)?;
            Ok(ports)
        }
    }
}

/// What is said of a tensor is true of every state in it.
fn counting_alike(graph: &Graph, ports: &[Port]) -> Result<(), ExportError> {
    let counts = counting(graph);
    let mixed = |p: &&Port| {
        let mut members = p.members.iter().map(|m| counts.contains(m));
        let first = members.next();
        members.any(|m| Some(m) != first)
    };
    match ports.iter().find(mixed) {
        None => Ok(()),
        Some(p) => fail(
            "state_layout",
            format!(
                "`{}` would hold a state that counts steps beside one that does not; use separate",
                p.input
            ),
        ),
    }
}

/// The states that count steps, by their indices.
fn counting(graph: &Graph) -> Vec<usize> {
    graph.counters().iter().map(|s| s.index()).collect()
}

fn fail<T>(option: &'static str, what: String) -> Result<T, ExportError> {
    Err(ExportError::Option { option, what })
}

/// genai knows `recurrent_state` and `conv_state`, and begins with zeros.
fn genai(states: &[StateSpec]) -> Result<(), ExportError> {
    let other = |s: &&StateSpec| s.init != StateInit::Zero;
    match states.iter().find(other) {
        None => Ok(()),
        Some(s) => fail(
            "state_names",
            format!(
                "genai begins every state with zeros, and `{}` begins with other values; use the names minrnn",
                s.name
            ),
        ),
    }
}

/// Block and kind of a state: `3.h` is `(3, h)`.
fn parts(state: &StateSpec) -> (&str, &str) {
    state.name.split_once('.').unwrap_or(("0", &state.name))
}

fn separate(index: usize, state: &StateSpec, names: StateNames) -> Result<Port, ExportError> {
    let (block, kind) = parts(state);
    let mut shape = state.shape();
    let (input, output) = match names {
        StateNames::Minrnn => (state.input_name(), state.output_name()),
        StateNames::Icefall => {
            let name = format!("cached_{kind}_{block}");
            (name.clone(), format!("new_{name}"))
        }
        StateNames::Genai => {
            let kind = match (kind, state.lag()) {
                ("h", None) => "recurrent_state",
                ("conv", Some(_)) => "conv_state",
                _ => {
                    return fail(
                        "state_names",
                        format!(
                            "genai has no name for the state `{}`; use minrnn",
                            state.name
                        ),
                    );
                }
            };
            shape.reverse();
            (
                format!("past_key_values.{block}.{kind}"),
                format!("present.{block}.{kind}"),
            )
        }
    };
    Ok(Port {
        input,
        output,
        shape,
        members: vec![index],
        transposed: names == StateNames::Genai && state.lag().is_some(),
        stacked: false,
    })
}

fn stacked(states: &[StateSpec], names: StateNames) -> Result<Vec<Port>, ExportError> {
    let (input, output) = match names {
        StateNames::Minrnn => ("state.", "next_state."),
        StateNames::Icefall => ("cached_", "new_cached_"),
        StateNames::Genai => {
            return fail(
                "state_layout",
                "genai takes one tensor for each state; use separate".into(),
            );
        }
    };
    let mut ports: Vec<Port> = vec![];
    for (i, state) in states.iter().enumerate() {
        let kind = parts(state).1;
        let name = format!("{input}{kind}");
        match ports.iter_mut().find(|p| p.input == name) {
            Some(port) if port.shape[1..] != state.shape()[..] => {
                return fail(
                    "state_layout",
                    format!(
                        "states of different shapes cannot be stacked: `{}` is {:?}, `{}` {:?}; use separate",
                        states[port.members[0]].name,
                        &port.shape[1..],
                        state.name,
                        state.shape()
                    ),
                );
            }
            Some(port) => {
                port.members.push(i);
                port.shape[0] += 1;
            }
            None => ports.push(Port {
                input: name,
                output: format!("{output}{kind}"),
                shape: [vec![1], state.shape()].concat(),
                members: vec![i],
                transposed: false,
                stacked: true,
            }),
        }
    }
    Ok(ports)
}

impl Port {
    /// The port's values `[B, ..]` from the model's states, each `[B, D]` or `[B, lag, W]`.
    pub fn gather<'a, T: Copy + 'a>(
        &self,
        graph: &Graph,
        batch: usize,
        state: impl Fn(usize) -> &'a [T],
    ) -> Vec<T> {
        let mut values = vec![];
        for row in 0..batch {
            for member in &self.members {
                let spec = &graph.states()[*member];
                let of_row = &state(*member)[row * spec.len()..][..spec.len()];
                values.extend(self.order(spec).map(|i| of_row[i]));
            }
        }
        values
    }

    /// The other way: each of the model's states that the port holds, by its index, from the port's values.
    pub fn scatter<T: Copy + Default>(
        &self,
        graph: &Graph,
        batch: usize,
        values: &[T],
    ) -> Vec<(usize, Vec<T>)> {
        let specs = || self.members.iter().map(|m| (*m, &graph.states()[*m]));
        let mut states: Vec<(usize, Vec<T>)> = specs()
            .map(|(m, s)| (m, vec![T::default(); batch * s.len()]))
            .collect();
        let mut from = values.iter();
        for row in 0..batch {
            for ((_, state), (_, spec)) in states.iter_mut().zip(specs()) {
                let of_row = &mut state[row * spec.len()..][..spec.len()];
                for (i, value) in self.order(spec).zip(&mut from) {
                    of_row[i] = *value;
                }
            }
        }
        states
    }

    /// For each value of a row in the port, its place in the state.
    fn order(&self, spec: &StateSpec) -> impl Iterator<Item = usize> + use<> {
        let (width, lag) = (spec.width, spec.len() / spec.width);
        let transposed = self.transposed;
        (0..spec.len()).map(move |i| match transposed {
            true => i % lag * width + i / lag,
            false => i,
        })
    }

    /// Whether it counts steps: its values are whole numbers from 0 on, the same number of steps as were since the begin.
    pub fn counts(&self, graph: &Graph) -> bool {
        let counts = counting(graph);
        self.members.iter().all(|m| counts.contains(m))
    }

    /// Initial values, row-major in the port's shape; none: zeros.
    pub fn init(&self, graph: &Graph, params: &Params) -> Option<Vec<f32>> {
        let specs = || self.members.iter().map(|i| &graph.states()[*i]);
        if specs().all(|s| s.init == StateInit::Zero) {
            return None;
        }
        let values = |s: &StateSpec| s.first(|p| params.get(p.index()).to_vec());
        Some(specs().flat_map(values).collect())
    }
}
