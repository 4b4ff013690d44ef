//! Our own runtime, exact where it knows the file.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use minrnn_onnx::ir;
use minrnn_runtime::{
    Extras, Form, Info, Input, InputSpec, Model, Options, Output, Session, State,
};

use super::{Array, Contender, Failure, Io, Lap, Opened, Refusal, Timing};

/// The engine.
#[derive(Debug, Default)]
pub(crate) struct Ours;

/// An export in it.
struct File {
    model: Arc<Model>,
}

/// What one call is given.
struct Call {
    batch: usize,
    time: usize,
    ids: Vec<i64>,
    values: Vec<f32>,
    lengths: Option<Vec<i64>>,
    reset: Option<Vec<bool>>,
    state: State,
}

impl Contender for Ours {
    fn name(&self) -> &str {
        "minrnn"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    fn is_for(&self, model: &ir::Model) -> bool {
        model.metadata("minrnn.form").is_some()
    }

    fn open(
        &mut self,
        file: &Path,
        bytes: &[u8],
        threads: usize,
    ) -> Result<Box<dyn Opened>, Refusal> {
        let options = Options::with_threads(threads);
        match Model::from_bytes_of(file, bytes, &options) {
            Ok(model) => Ok(Box::new(File {
                model: Arc::new(model),
            })),
            Err(e) => Err(Refusal { why: e.to_string() }),
        }
    }
}

impl Opened for File {
    fn run(&mut self, feeds: &[(&str, &Array)], wanted: &[&str]) -> Result<Vec<Array>, Failure> {
        self.ran(feeds, wanted).map_err(Failure::Refused)
    }

    /// A session holds its states and has room for the next ones.
    fn ways(&self) -> Vec<Io> {
        vec![Io::Bound]
    }

    fn time(&mut self, timing: &Timing) -> Result<Lap, Failure> {
        let lap = match (self.model.info().form, self.carries(timing.feedback)) {
            (_, Err(why)) => Err(why),
            (Form::Step, Ok(true)) => self.steps(timing),
            (_, Ok(carries)) => self.calls(timing, carries),
        };
        lap.map_err(Failure::Refused)
    }
}

impl File {
    fn ran(&self, feeds: &[(&str, &Array)], wanted: &[&str]) -> Result<Vec<Array>, String> {
        let info = self.model.info();
        let call = self.call(feeds)?;
        let ran = self
            .model
            .run_with(call.input(info), &call.extras(info), &call.state);
        let (output, next) = ran.map_err(said)?;
        self.results(&output, &next, wanted)
    }

    fn call(&self, feeds: &[(&str, &Array)]) -> Result<Call, String> {
        let info = self.model.info();
        let find = |name: &str| feeds.iter().find(|(n, _)| *n == name).map(|(_, a)| *a);
        let needed = |name: &str| find(name).ok_or_else(|| format!("`{name}` is not given"));
        let data = needed(info.input.name())?;
        let dims = data.dims();
        let batch = dims.first().copied().unwrap_or(0);
        let time = match info.form.is_sequence() {
            true => dims.get(1).copied().unwrap_or(0),
            false => 1,
        };
        let mut state = self.model.initial_state(batch).map_err(said)?;
        for spec in &info.states {
            let values = floats(needed(&spec.input)?);
            state.set(&spec.input, &values).map_err(said)?;
        }
        let reset = find("reset").and_then(Array::ints);
        let (ids, values) = match info.input {
            InputSpec::Tokens { .. } => (ints(data)?, vec![]),
            InputSpec::Features { .. } => (vec![], floats(data)),
        };
        Ok(Call {
            batch,
            time,
            ids,
            values,
            lengths: find("lengths").map(ints).transpose()?,
            reset: reset.map(|v| v.iter().map(|n| *n != 0).collect()),
            state,
        })
    }

    fn results(
        &self,
        output: &Output,
        state: &State,
        wanted: &[&str],
    ) -> Result<Vec<Array>, String> {
        let info = self.model.info();
        let one = |name: &&str| -> Result<Array, String> {
            if *name == info.output.name {
                return array(&output.shape, &output.values);
            }
            let spec = info.states.iter().find(|s| s.output == *name);
            let spec = spec.ok_or_else(|| format!("it does not give `{name}`"))?;
            let values = state.get(&spec.input).unwrap_or_default();
            array(&[vec![state.rows()], spec.shape.clone()].concat(), values)
        };
        wanted.iter().map(one).collect()
    }

    /// Whether states go on from call to call: all of them, or none.
    fn carries(&self, feedback: &[(&str, &str)]) -> Result<bool, String> {
        let states = &self.model.info().states;
        let all = states.iter().all(|s| {
            let pair = (s.output.as_str(), s.input.as_str());
            feedback.contains(&pair)
        });
        match (feedback.len(), all) {
            (0, _) => Ok(false),
            (n, true) if n == states.len() => Ok(true),
            _ => Err("it gives back all of its states, or none".into()),
        }
    }

    /// Steps of one session.
    fn steps(&self, timing: &Timing) -> Result<Lap, String> {
        let info = self.model.info();
        let call = self.call(timing.feeds)?;
        if call.reset.iter().flatten().any(|reset| *reset) {
            return Err("it times steps that go on, without a reset".into());
        }
        let mut session = Session::new(self.model.clone(), call.batch).map_err(said)?;
        session.set_state(call.state.clone()).map_err(said)?;
        let shape = vec![call.batch, info.output.width];
        let mut out = vec![0.0; call.batch * info.output.width];
        let begin = Instant::now();
        for _ in 0..timing.calls {
            let done = match info.input {
                InputSpec::Tokens { .. } => session.step_tokens_into(&call.ids, &mut out),
                InputSpec::Features { .. } => session.step_features_into(&call.values, &mut out),
            };
            done.map_err(said)?;
        }
        let seconds = begin.elapsed().as_secs_f64();
        let output = Output { values: out, shape };
        let last = self.results(&output, session.state(), timing.wanted)?;
        Ok(Lap { seconds, last })
    }

    /// Calls of the model, each from the states before if they are carried, else all alike.
    fn calls(&self, timing: &Timing, carries: bool) -> Result<Lap, String> {
        let info = self.model.info();
        let mut call = self.call(timing.feeds)?;
        let mut ran = None;
        let begin = Instant::now();
        for _ in 0..timing.calls {
            let extras = call.extras(info);
            let (output, next) = self
                .model
                .run_with(call.input(info), &extras, &call.state)
                .map_err(said)?;
            if carries {
                call.state = next.clone();
            }
            ran = Some((output, next));
        }
        let seconds = begin.elapsed().as_secs_f64();
        let (output, next) = ran.ok_or("no call was asked for")?;
        let last = self.results(&output, &next, timing.wanted)?;
        Ok(Lap { seconds, last })
    }
}

impl Call {
    fn input(&self, info: &Info) -> Input<'_> {
        let (batch, time) = (self.batch, self.time);
        match info.input {
            InputSpec::Tokens { .. } => Input::Tokens {
                ids: &self.ids,
                batch,
                time,
            },
            InputSpec::Features { width } => Input::Features {
                values: &self.values,
                batch,
                time,
                width,
            },
        }
    }

    fn extras(&self, info: &Info) -> Extras<'_> {
        Extras {
            lengths: self.lengths.as_deref().filter(|_| info.lengths),
            reset: self.reset.as_deref().filter(|_| info.reset),
        }
    }
}

fn said(error: minrnn_runtime::Error) -> String {
    error.to_string()
}

fn floats(a: &Array) -> Vec<f32> {
    let all = a.floats().unwrap_or_default();
    all.iter().map(|x| *x as f32).collect()
}

fn ints(a: &Array) -> Result<Vec<i64>, String> {
    let all = a.ints().unwrap_or_default().iter();
    let narrow = all.map(|n| i64::try_from(*n).map_err(|_| format!("{n} is beyond 64 bits")));
    narrow.collect()
}

fn array(shape: &[usize], values: &[f32]) -> Result<Array, String> {
    let wide: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
    Array::from_floats(ir::DType::F32, shape, &wide).map_err(|e| e.to_string())
}
