//! The engines: one case in, outputs and states out.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use candle_core::{DType, Device, Tensor};
use minrnn_model::graph::{Graph, Input};
use minrnn_model::oracle::Rounding;
use minrnn_model::params::Params;
use minrnn_model::trial::{Case, How, Outcome, Truth, carried, join, steps};
use minrnn_onnx::export::Port;
use minrnn_runtime as runtime;
use minrnn_train::run::{self, Weights};

/// Something that runs cases.
pub(super) trait Engine {
    /// Runs a case from its states.
    fn run(&self, case: &Case) -> Result<Outcome>;

    /// Runs the case in pieces, states given back from one to the next.
    fn run_pieces(&self, graph: &Graph, case: &Case, pieces: &[usize]) -> Result<Outcome> {
        case.in_pieces(graph, pieces, |piece| self.run(piece))
    }
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
        self.go_on(&mut session, case)
    }

    /// The steps of a case from the state that the session has.
    fn go_on(&self, session: &mut runtime::Session, case: &Case) -> Result<Outcome> {
        let (parts, ()) = carried(steps(case.time, 1), (), |(from, to), ()| {
            let step = case.cut(from, to, None);
            let ids: Vec<i64> = step.ids.iter().map(|id| i64::from(*id)).collect();
            let output = match self.graph.input() {
                Input::Tokens { .. } => session.step_tokens(&ids),
                Input::Features { .. } => session.step_features(&step.features),
            };
            output.map(|output| ((1, output.values), ()))
        })?;
        Ok(Outcome {
            output: join(self.graph, case.batch, parts),
            states: self.values(case.batch, session.state())?,
        })
    }

    /// In one session of a step file: to the end, and from the state before step `back` to the end once more. What both gave from there on.
    pub(super) fn rewound(&self, case: &Case, back: usize) -> Result<[Outcome; 2]> {
        let mut session = runtime::Session::new(self.model.clone(), case.batch)?;
        session.set_state(self.state(case)?)?;
        self.go_on(&mut session, &case.cut(0, back, None))?;
        let kept = session.state().clone();
        let rest = case.cut(back, case.time, None);
        let first = self.go_on(&mut session, &rest)?;
        session.set_state(kept)?;
        Ok([first, self.go_on(&mut session, &rest)?])
    }

    /// What the file says about itself.
    pub(super) fn info(&self) -> &runtime::Info {
        self.model.info()
    }

    /// Whether it takes no sequence of these features again and again, from its first states.
    pub(super) fn refuses(&self, features: &[f32]) -> bool {
        let (batch, time) = (
            self.info().batch.unwrap_or(1),
            self.info().seq_len.unwrap_or(1),
        );
        let input = runtime::Input::Features {
            values: &features.repeat(batch * time),
            batch,
            time,
            width: features.len(),
        };
        let run = |state| self.model.run(input, &state);
        let done = self.model.initial_state(batch).and_then(run);
        done.is_err_and(|e| e.kind() == runtime::ErrorKind::Input)
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

    /// One call with the case's lengths of rows, and steps at which states begin anew.
    pub(super) fn run_with(&self, case: &Case) -> Result<Outcome> {
        let lengths = case.lengths.as_ref();
        let lengths: Option<Vec<i64>> = lengths.map(|l| l.iter().map(|n| *n as i64).collect());
        let extras = runtime::Extras {
            lengths: lengths.as_deref(),
            reset: case.reset.as_deref(),
        };
        self.run_planned(case, |model, input, state| {
            model.run_with(input, &extras, state)
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
    let rows: Vec<Case> = (0..case.batch).map(|b| case.rows(b..b + 1)).collect();
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

fn truth_of_row(graph: &Graph, numbers: Numbers, case: &Case, bounds: bool) -> Result<Truth> {
    // A bound belongs to a whole run, and where a row ends is asked of it: pieces would begin with exact states again.
    let piece = match bounds || case.lengths.is_some() {
        true => case.time,
        false => 512,
    };
    let begin = case.wide_states();
    let (parts, states) = carried(steps(case.time, piece), begin, |(from, to), states| {
        let how = How {
            states: states.as_deref(),
            bounds,
            rounding: numbers.rounding,
        };
        let trace = case.cut(from, to, None).trace(graph, numbers.params, how)?;
        let states = trace.states.into_iter().map(|s| s.data).collect();
        anyhow::Ok(((to - from, trace.output), Some(states)))
    })?;
    let bound = parts.iter().flat_map(|(_, o)| o.bound.clone()).collect();
    let outputs = parts.into_iter().map(|(time, o)| (time, o.data));
    Ok(Truth {
        output: join(graph, 1, outputs.collect()),
        bound,
        states: states.unwrap_or_default(),
    })
}
