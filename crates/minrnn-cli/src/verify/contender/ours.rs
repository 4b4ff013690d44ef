//! Our own runtime, exact where it knows the file.

use std::path::Path;

use minrnn_onnx::ir;
use minrnn_runtime::{Extras, Input, InputSpec, Model, Options};

use super::{Array, Contender, Failure, Opened, Refusal};

/// The engine.
#[derive(Debug, Default)]
pub(crate) struct Ours;

/// An export in it.
struct File {
    model: Model,
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

    fn open(&mut self, file: &Path, bytes: &[u8]) -> Result<Box<dyn Opened>, Refusal> {
        let options = Options::with_threads(1);
        match Model::from_bytes_of(file, bytes, &options) {
            Ok(model) => Ok(Box::new(File { model })),
            Err(e) => Err(Refusal { why: e.to_string() }),
        }
    }
}

impl Opened for File {
    fn run(&mut self, feeds: &[(&str, &Array)], wanted: &[&str]) -> Result<Vec<Array>, Failure> {
        self.ran(feeds, wanted).map_err(Failure::Refused)
    }
}

impl File {
    fn ran(&self, feeds: &[(&str, &Array)], wanted: &[&str]) -> Result<Vec<Array>, String> {
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
        let lengths = find("lengths").map(ints).transpose()?;
        let reset = find("reset").and_then(Array::ints);
        let reset: Option<Vec<bool>> = reset.map(|v| v.iter().map(|n| *n != 0).collect());
        let extras = Extras {
            lengths: lengths.as_deref().filter(|_| info.lengths),
            reset: reset.as_deref().filter(|_| info.reset),
        };
        let (ids, values) = match info.input {
            InputSpec::Tokens { .. } => (ints(data)?, vec![]),
            InputSpec::Features { .. } => (vec![], floats(data)),
        };
        let input = match info.input {
            InputSpec::Tokens { .. } => Input::Tokens {
                ids: &ids,
                batch,
                time,
            },
            InputSpec::Features { width } => Input::Features {
                values: &values,
                batch,
                time,
                width,
            },
        };
        let (output, next) = self.model.run_with(input, &extras, &state).map_err(said)?;
        let one = |name: &&str| -> Result<Array, String> {
            if *name == info.output.name {
                return array(&output.shape, &output.values);
            }
            let spec = info.states.iter().find(|s| s.output == *name);
            let spec = spec.ok_or_else(|| format!("it does not give `{name}`"))?;
            let values = next.get(&spec.input).unwrap_or_default();
            array(&[vec![batch], spec.shape.clone()].concat(), values)
        };
        wanted.iter().map(one).collect()
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
