//! The engines: one case in, outputs and states out.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use candle_core::{DType, Device, Tensor};
use minrnn_model::graph::{Graph, Input};
use minrnn_model::oracle::{self, Data, Rounding};
use minrnn_model::params::Params;
use minrnn_onnx::export::Port;
use minrnn_runtime as runtime;
use minrnn_train::run::{self, Weights};

use super::case::Case;

/// Output `[B, T, C]` (or `[B, C]`) and states of a run, as an engine gives them.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) output: Vec<f32>,
    pub(super) states: Vec<Vec<f32>>,
}

/// The same in float64, with error bounds where asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    pub(super) output: Vec<f64>,
    pub(super) bound: Vec<f64>,
    pub(super) states: Vec<Vec<f64>>,
}

/// Something that runs cases.
pub(super) trait Engine {
    /// Runs a case from its states.
    fn run(&self, case: &Case) -> Result<Outcome>;

    /// Runs the case in pieces, states given back from one to the next.
    fn run_pieces(&self, graph: &Graph, case: &Case, pieces: &[usize]) -> Result<Outcome> {
        let mut parts = vec![];
        let mut states = case.states.clone();
        let mut from = 0;
        for piece in pieces {
            let outcome = self.run(&case.cut(from, from + piece, states.take()))?;
            parts.push((*piece, outcome.output));
            states = Some(outcome.states);
            from += piece;
        }
        let output = join(graph, case.batch, parts);
        Ok(Outcome {
            output,
            states: states.unwrap_or_default(),
        })
    }
}

/// Outputs of pieces side by side in time; for a last-step head, the last piece's.
pub(super) fn join<T: Copy>(
    graph: &Graph,
    batch: usize,
    mut parts: Vec<(usize, Vec<T>)>,
) -> Vec<T> {
    if graph.is_last_step() {
        return parts.pop().map(|(_, output)| output).unwrap_or_default();
    }
    let width = graph.width(graph.output().value);
    let row = |b: usize| {
        parts
            .iter()
            .flat_map(move |(t, part)| &part[b * t * width..(b + 1) * t * width])
    };
    (0..batch).flat_map(row).copied().collect()
}

/// The trainer's own: the graph run by candle in f32 with its fused kernels.
pub(super) struct Candle<'a> {
    graph: &'a Graph,
    weights: Weights,
}

impl<'a> Candle<'a> {
    pub(super) fn new(graph: &'a Graph, params: &Params) -> Result<Self> {
        Ok(Self {
            graph,
            weights: Weights::new(graph, params, DType::F32, &Device::Cpu)?,
        })
    }
}

impl Engine for Candle<'_> {
    fn run(&self, case: &Case) -> Result<Outcome> {
        let (b, t) = (case.batch, case.time);
        let input = match self.graph.input() {
            Input::Tokens { .. } => Tensor::from_slice(&case.ids, (b, t), &Device::Cpu)?,
            Input::Features { width } => {
                Tensor::from_slice(&case.features, (b, t, width), &Device::Cpu)?
            }
        };
        let mut states = vec![];
        for (values, spec) in case.states.iter().flatten().zip(self.graph.states()) {
            states.push(Tensor::from_slice(
                values,
                [vec![b], spec.shape()].concat(),
                &Device::Cpu,
            )?);
        }
        let given = case.states.is_some().then_some(states.as_slice());
        let outcome = run::run(
            self.graph,
            &self.weights,
            &run::Run {
                states: given,
                ..run::Run::new(&input)
            },
        )?;
        let floats = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        Ok(Outcome {
            output: floats(&outcome.output)?,
            states: outcome
                .states
                .iter()
                .map(floats)
                .collect::<candle_core::Result<_>>()?,
        })
    }
}

/// An exported file in tract.
pub(super) struct Tract<'a> {
    graph: &'a Graph,
    /// How the file's states hold the graph's.
    ports: Vec<Port>,
    model: Arc<runtime::Model>,
}

impl<'a> Tract<'a> {
    pub(super) fn new(graph: &'a Graph, ports: &[Port], model: runtime::Model) -> Self {
        Self {
            graph,
            ports: ports.to_vec(),
            model: Arc::new(model),
        }
    }

    /// The whole case through a step file, one step after the other, in one session.
    pub(super) fn stream(&self, case: &Case) -> Result<Outcome> {
        let mut session = runtime::Session::new(self.model.clone(), case.batch)?;
        session.set_state(self.state(case)?)?;
        let mut parts = vec![];
        for t in 0..case.time {
            let step = case.cut(t, t + 1, None);
            let ids: Vec<i64> = step.ids.iter().map(|id| i64::from(*id)).collect();
            let output = match self.graph.input() {
                Input::Tokens { .. } => session.step_tokens(&ids)?,
                Input::Features { .. } => session.step_features(&step.features)?,
            };
            parts.push((1, output.values));
        }
        Ok(Outcome {
            output: join(self.graph, case.batch, parts),
            states: self.values(case.batch, session.state())?,
        })
    }

    /// What the file says about itself.
    pub(super) fn info(&self) -> &runtime::Info {
        self.model.info()
    }

    fn state(&self, case: &Case) -> Result<runtime::State> {
        let mut state = self.model.initial_state(case.batch)?;
        if let Some(states) = &case.states {
            for port in &self.ports {
                let values = port.gather(self.graph, case.batch, |i| states[i].as_slice());
                state.set(&port.input, &values)?;
            }
        }
        Ok(state)
    }

    fn values(&self, batch: usize, state: &runtime::State) -> Result<Vec<Vec<f32>>> {
        let mut states = vec![vec![]; self.graph.states().len()];
        for port in &self.ports {
            let values = state
                .get(&port.input)
                .ok_or_else(|| anyhow!("the file has no state `{}`", port.input))?;
            for (at, values) in port.scatter(self.graph, batch, values) {
                states[at] = values;
            }
        }
        Ok(states)
    }

    /// One call with lengths of rows or steps at which states begin anew.
    pub(super) fn run_with(&self, case: &Case, extras: &runtime::Extras) -> Result<Outcome> {
        self.run_planned(case, |model, input, state| {
            model.run_with(input, extras, state)
        })
    }
}

/// The same file planned once for all batches and lengths: slower in a run, but nothing to plan anew for each piece.
pub(super) struct Symbolic<'a>(pub(super) &'a Tract<'a>);

impl Engine for Symbolic<'_> {
    fn run(&self, case: &Case) -> Result<Outcome> {
        match self.0.info().lowering {
            // Its Slices go beyond short pieces, which tract bounds by a length that it knows alone.
            runtime::Lowering::KoggeStoneConcat => self.0.run(case),
            _ => self.0.run_planned(case, runtime::Model::run_symbolic),
        }
    }
}

impl Engine for Tract<'_> {
    fn run(&self, case: &Case) -> Result<Outcome> {
        self.run_planned(case, runtime::Model::run)
    }
}

impl Tract<'_> {
    /// `run`: with a plan for the batch and length, or with one for all.
    fn run_planned(
        &self,
        case: &Case,
        run: impl Fn(
            &runtime::Model,
            runtime::Input,
            &runtime::State,
        ) -> runtime::Result<(runtime::Output, runtime::State)>,
    ) -> Result<Outcome> {
        let (batch, time) = (case.batch, case.time);
        let ids: Vec<i64> = case.ids.iter().map(|id| i64::from(*id)).collect();
        let input = match self.graph.input() {
            Input::Tokens { .. } => runtime::Input::Tokens {
                ids: &ids,
                batch,
                time,
            },
            Input::Features { width } => runtime::Input::Features {
                values: &case.features,
                batch,
                time,
                width,
            },
        };
        let (output, state) = run(&self.model, input, &self.state(case)?)
            .with_context(|| format!("running {}", self.model.file()))?;
        Ok(Outcome {
            output: output.values,
            states: self.values(batch, &state)?,
        })
    }
}

/// What the oracle computes with: the weights as they are stored, and what products round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) params: &'a [Vec<f64>],
    pub(super) rounding: Option<&'a Rounding>,
}

/// The oracle, in pieces of time so that long sequences need little memory, rows side by side on two threads.
pub(super) fn truth(graph: &Graph, numbers: Numbers, case: &Case, bounds: bool) -> Result<Truth> {
    let rows: Vec<Case> = (0..case.batch).map(|b| row(case, b)).collect();
    let one = |case: &Case| truth_of_row(graph, numbers, case, bounds);
    let results: Vec<Result<Truth>> = std::thread::scope(|s| {
        let handles: Vec<_> = rows.iter().map(|case| s.spawn(move || one(case))).collect();
        handles
            .into_iter()
            .map(|h| {
                h.join()
                    .unwrap_or_else(|_| Err(anyhow!("the oracle panicked")))
            })
            .collect()
    });
    let mut all = Truth {
        states: vec![vec![]; graph.states().len()],
        ..Truth::default()
    };
    for result in results {
        let row = result?;
        all.output.extend(row.output);
        all.bound.extend(row.bound);
        all.states
            .iter_mut()
            .zip(row.states)
            .for_each(|(all, one)| all.extend(one));
    }
    Ok(all)
}

/// Row `b` of a case.
fn row(case: &Case, b: usize) -> Case {
    let part = |data: &[f32]| {
        let n = data.len() / case.batch;
        data[b * n..(b + 1) * n].to_vec()
    };
    let ids = if case.ids.is_empty() {
        vec![]
    } else {
        case.ids[b * case.time..(b + 1) * case.time].to_vec()
    };
    let states = case
        .states
        .as_ref()
        .map(|s| s.iter().map(|v| part(v)).collect());
    Case {
        batch: 1,
        time: case.time,
        draw: case.draw,
        ids,
        features: part(&case.features),
        states,
        pieces: vec![],
    }
}

fn truth_of_row(graph: &Graph, numbers: Numbers, case: &Case, bounds: bool) -> Result<Truth> {
    // A bound belongs to a whole run: pieces would begin with exact states again.
    let piece = if bounds { case.time } else { 512 };
    let wide = |v: &Vec<f32>| v.iter().map(|x| f64::from(*x)).collect();
    let mut states: Option<Vec<Vec<f64>>> =
        case.states.as_ref().map(|s| s.iter().map(wide).collect());
    let mut truth = Truth::default();
    for from in (0..case.time).step_by(piece) {
        let part = case.cut(from, (from + piece).min(case.time), None);
        let data = match graph.input() {
            Input::Tokens { .. } => Data::Tokens(&part.ids),
            Input::Features { .. } => Data::Features(&part.features),
        };
        let run = oracle::Run {
            states: states.as_deref(),
            bounds,
            rounding: numbers.rounding,
            ..oracle::Run::new(1, part.time, data)
        };
        let trace = oracle::run(graph, numbers.params, &run)?;
        if graph.is_last_step() {
            truth.output.clear();
        }
        truth.output.extend(trace.output.data);
        truth.bound.extend(trace.output.bound);
        states = Some(trace.states.into_iter().map(|s| s.data).collect());
    }
    truth.states = states.unwrap_or_default();
    Ok(truth)
}
