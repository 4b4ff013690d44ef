//! What goes into a file, from one seed: the same for every engine.

use anyhow::{Result, anyhow};
use minrnn_model::rng::Rng;
use minrnn_onnx::ir::DType;
use minrnn_runtime::{Form, Info, Init, InputSpec};

use super::case::Case;
use crate::verify::contender::{Array, Io, Timing};

/// Inputs of the first call of a file, what is fed back to the next one, and what comes out.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) feeds: Vec<(String, Array)>,
    /// Outputs that are inputs of the next call: the states of a step file.
    pub(super) feedback: Vec<(String, String)>,
    /// The output, then the states.
    pub(super) wanted: Vec<String>,
}

/// The parts of a [`Call`] as borrowed names.
pub(super) type Feeds<'a> = Vec<(&'a str, &'a Array)>;

impl Call {
    /// Random tokens below the vocabulary's size, or features of mean 0 and variance 1; the first states; lengths and resets
    /// that change nothing. Names are those of the file.
    pub(super) fn new(info: &Info, case: Case) -> Result<Self> {
        let mut feeds = vec![(info.input.name().to_owned(), data(info, case)?)];
        for state in &info.states {
            let row = match &state.init {
                Init::Zero => vec![0.0; state.len()],
                Init::Values(values) => values.iter().map(|x| f64::from(*x)).collect(),
            };
            let shape = [vec![case.batch], state.shape.clone()].concat();
            let array = Array::from_floats(DType::F32, &shape, &row.repeat(case.batch));
            feeds.push((state.input.clone(), array.map_err(|e| anyhow!("{e}"))?));
        }
        feeds.extend(extras(info, case)?);
        let states = info.states.iter();
        let pairs = states.clone().map(|s| (s.output.clone(), s.input.clone()));
        let outputs = states.map(|s| s.output.clone());
        Ok(Self {
            feeds,
            feedback: if case.step { pairs.collect() } else { vec![] },
            wanted: std::iter::once(info.output.name.clone())
                .chain(outputs)
                .collect(),
        })
    }

    pub(super) fn feeds(&self) -> Feeds<'_> {
        self.feeds.iter().map(|(n, a)| (n.as_str(), a)).collect()
    }

    /// Passes so many calls to `with`.
    pub(super) fn timing<T>(&self, io: Io, calls: usize, with: impl FnOnce(&Timing) -> T) -> T {
        let feedback = self.feedback.iter();
        let feedback: Vec<(&str, &str)> = feedback.map(|(o, i)| (o.as_str(), i.as_str())).collect();
        let wanted: Vec<&str> = self.wanted.iter().map(String::as_str).collect();
        with(&Timing {
            io,
            calls,
            feeds: &self.feeds(),
            feedback: &feedback,
            wanted: &wanted,
        })
    }
}

fn data(info: &Info, case: Case) -> Result<Array> {
    let mut rng = Rng::named(0, "bench infer");
    let mut shape = vec![case.batch];
    shape.extend((!case.step).then_some(case.seq_len));
    let count = case.batch * case.seq_len;
    let array = match info.input {
        InputSpec::Tokens { vocab } => {
            let words = vocab.unwrap_or(1).max(1);
            let ids: Vec<i128> = (0..count).map(|_| rng.below(words) as i128).collect();
            Array::from_ints(DType::I64, &shape, &ids)
        }
        InputSpec::Features { width } => {
            shape.push(width);
            // As they are in f32, whatever type they travel in.
            let one = |_| f64::from(rng.normal() as f32);
            let values: Vec<f64> = (0..count * width).map(one).collect();
            Array::from_floats(DType::F32, &shape, &values)
        }
    };
    array.map_err(|e| anyhow!("{e}"))
}

/// Inputs beside data and states, so that they change nothing: whole lengths, no reset.
fn extras(info: &Info, case: Case) -> Result<Vec<(String, Array)>> {
    let mut all = vec![];
    if info.lengths {
        let rows = vec![case.seq_len as i128; case.batch];
        all.push(("lengths", DType::I64, vec![case.batch], rows));
    }
    if info.reset {
        let shape = match info.form {
            Form::Step => vec![case.batch],
            _ => vec![case.batch, case.seq_len],
        };
        let count = shape.iter().product();
        all.push(("reset", DType::Bool, shape, vec![0; count]));
    }
    let one = |(name, dtype, shape, values): (&str, _, Vec<usize>, Vec<i128>)| {
        let array = Array::from_ints(dtype, &shape, &values).map_err(|e| anyhow!("{e}"))?;
        Ok((name.to_owned(), array))
    };
    all.into_iter().map(one).collect()
}
