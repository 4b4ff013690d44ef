//! A file that tract runs: which of its plans, what goes in, what comes out.

use tract_onnx::prelude::*;

use super::Model;
use crate::cells;
use crate::contract;
use crate::error::Result;
use crate::exact::output_shape;
use crate::info::{Info, StateSpec};
use crate::input::{Extras, Input, Output};
use crate::options::{Execution, Options};
use crate::plan::{Engine, Key, Plan};
use crate::proto::{self, GraphProto, ModelProto};
use crate::state::State;
use crate::structure::Shapes;

/// tract with one file.
pub(super) struct Portable {
    engine: Engine,
    /// Why not exactly, where that was asked for.
    why: Option<String>,
    /// With the referee's operations.
    referee: bool,
    /// What makes the shapes: held against each new batch and length before tract sees them.
    shapes: Shapes,
    /// What the graph's inputs are, in its order.
    inputs: Vec<Port>,
    /// What the graph's outputs are, in its order.
    outputs: Vec<Port>,
}

/// What a graph input or output carries.
#[derive(Debug, Clone, Copy)]
enum Port {
    Data,
    /// The input `lengths`.
    Lengths,
    /// The input `reset`.
    Reset,
    /// The state of that index in `Info::states`.
    State(usize),
}

impl Portable {
    /// `proto` has passed all checks.
    pub(super) fn new(
        file: &str,
        proto: ModelProto,
        options: &Options,
        info: &Info,
        shapes: Shapes,
        why: Option<String>,
    ) -> Result<Self> {
        let of = |side: fn(&GraphProto) -> Vec<&String>, name: fn(&StateSpec) -> &String| {
            let graph = proto.graph.as_ref();
            ports(graph.map_or(vec![], side), info, name)
        };
        let inputs = of(
            |g| g.input.iter().map(|i| &i.name).collect(),
            |s: &StateSpec| &s.input,
        );
        let outputs = of(
            |g| g.output.iter().map(|o| &o.name).collect(),
            |s: &StateSpec| &s.output,
        );
        let referee = options.execution == Execution::Referee;
        let mut proto = proto;
        if let Some(graph) = proto.graph.as_ref().filter(|_| referee)
            && let Some(written_out) = cells::written_out(graph)
        {
            proto.graph = Some(written_out);
        }
        let proto = proto::for_tract(proto);
        let engine = match referee {
            true => Engine::referee(file, &proto, options.plans, info)?,
            false => Engine::new(file, &proto, options.plans)?,
        };
        Ok(Self {
            engine,
            why,
            referee,
            shapes,
            inputs,
            outputs,
        })
    }

    pub(super) fn execution(&self) -> Execution {
        match self.referee {
            true => Execution::Referee,
            false => Execution::Portable,
        }
    }

    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    pub(super) fn plans(&self) -> usize {
        self.engine.kept()
    }

    /// tract's plan, once the shapes in it are known to be sane.
    fn plan(&self, file: &str, key: Key) -> Result<Plan> {
        if let Key::Fixed { batch, time } = key {
            let shapes = self.shapes.check(batch, time);
            shapes.map_err(|breach| breach.of(file))?;
        }
        self.engine.plan(key)
    }
}

impl Model {
    pub(super) fn prepare_plan(
        &self,
        portable: &Portable,
        batch: usize,
        time: usize,
    ) -> Result<()> {
        let key = Key::Fixed { batch, time };
        portable.plan(&self.file, key).map(drop)
    }

    /// `input` and `state` have passed [`Model::check`]. `any`: by the plan for all batches and lengths.
    pub(super) fn run_plan(
        &self,
        portable: &Portable,
        any: bool,
        input: &Input<'_>,
        extras: &Extras<'_>,
        state: &State,
    ) -> Result<(Output, State)> {
        let (batch, time) = (input.batch(), input.time());
        let key = if any {
            Key::Symbolic
        } else {
            Key::Fixed { batch, time }
        };
        let feeds = portable.inputs.iter().map(|port| match port {
            Port::Data => self.data(input),
            Port::Lengths => {
                let whole = vec![time as i64; batch];
                tensor(batch, &[], extras.lengths.unwrap_or(&whole))
            }
            Port::Reset => {
                let never = vec![false; batch * time];
                let shape: &[usize] = if self.info.form.is_sequence() {
                    &[time]
                } else {
                    &[]
                };
                tensor(batch, shape, extras.reset.unwrap_or(&never))
            }
            Port::State(at) => {
                let slot = &self.layout.slots[*at];
                tensor(state.rows, &slot.shape, &state.values[*at])
            }
        });
        let feeds: TractResult<TVec<TValue>> = feeds.collect();
        let feeds = feeds.map_err(|e| self.broken("an input", format!("{e:#}")))?;
        let plan = portable.plan(&self.file, key)?;
        let results = portable.engine.run(&plan, key, feeds)?;
        if results.len() != portable.outputs.len() {
            return Err(self.broken("the outputs", format!("{} came back", results.len())));
        }
        self.unpack(&portable.outputs, &results, input, extras, state.rows)
    }

    fn data(&self, input: &Input<'_>) -> TractResult<TValue> {
        let sequence = self.info.form.is_sequence();
        match *input {
            Input::Tokens { ids, batch, time } if sequence => tensor(batch, &[time], ids),
            Input::Tokens { ids, batch, .. } => tensor(batch, &[], ids),
            Input::Features {
                values,
                batch,
                time,
                width,
            } if sequence => tensor(batch, &[time, width], values),
            Input::Features {
                values,
                batch,
                width,
                ..
            } => tensor(batch, &[width], values),
        }
    }

    fn unpack(
        &self,
        ports: &[Port],
        results: &[TValue],
        input: &Input<'_>,
        extras: &Extras<'_>,
        rows: usize,
    ) -> Result<(Output, State)> {
        let shape = output_shape(&self.info, input);
        let mut output = Vec::new();
        let mut values = vec![Vec::new(); self.layout.slots.len()];
        for (port, result) in ports.iter().zip(results) {
            match port {
                Port::Lengths | Port::Reset => {}
                Port::Data => output = self.values(&self.info.output.name, result, &shape)?,
                Port::State(at) => {
                    let (slot, name) = (&self.layout.slots[*at], &self.info.states[*at].output);
                    let wanted: Vec<usize> = [&[rows], slot.shape.as_slice()].concat();
                    values[*at] = self.values(name, result, &wanted)?;
                }
            }
        }
        let state = State {
            layout: self.layout.clone(),
            form: self.info.form,
            rows,
            values,
        };
        let output = Output {
            values: output,
            shape,
        };
        self.finite(&output, &state, extras)?;
        Ok((output, state))
    }

    fn values(&self, name: &str, tensor: &TValue, shape: &[usize]) -> Result<Vec<f32>> {
        if tensor.shape() != shape {
            let what = format!(
                "has shape {:?}, the file declares {shape:?}",
                tensor.shape()
            );
            return Err(self.broken(name, what));
        }
        let view = tensor.to_plain_array_view::<f32>();
        let view = view.map_err(|e| self.broken(name, format!("{e:#}")))?;
        Ok(view.iter().copied().collect())
    }
}

/// The contract check has found each name exactly once, so what is no state is the data.
fn ports(names: Vec<&String>, info: &Info, side: fn(&StateSpec) -> &String) -> Vec<Port> {
    let port = |name: &String| match info.states.iter().position(|s| side(s) == name) {
        Some(at) => Port::State(at),
        None if name == contract::LENGTHS => Port::Lengths,
        None if name == contract::RESET => Port::Reset,
        None => Port::Data,
    };
    names.into_iter().map(port).collect()
}

fn tensor<T: Datum + Copy>(rows: usize, shape: &[usize], values: &[T]) -> TractResult<TValue> {
    let shape: TVec<usize> = std::iter::once(rows).chain(shape.iter().copied()).collect();
    Ok(Tensor::from_shape(&shape, values)?.into_tvalue())
}
