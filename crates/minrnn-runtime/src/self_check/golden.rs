//! A golden trace: read, replayed, compared.

use super::SelfCheck;
use crate::error::{Error, Result};
use crate::info::{Dtype, Head, Info, InputSpec};
use crate::input::{Extras, Input};
use crate::kernels::Cpu;
use crate::model::Model;
use crate::state::State;
use crate::tensors::{Kind, Tensors};

/// How far a value may be from the trace, as a part of the largest magnitude in its tensor: the bound of the trace takes every
/// rounding for the worst one, so in deep models it would let a wrong weight pass.
const TOLERANCE: f64 = 1e-4;
/// The same for narrow weights, where an argument may fall on the other side of a rounding.
const NARROW_TOLERANCE: f64 = 5e-2;

pub(super) fn refuse(what: impl Into<String>) -> Error {
    Error::input(
        "golden",
        what,
        "take the golden.safetensors of the same export",
    )
}

/// A trace that fits the model.
pub(super) struct Golden<'a> {
    tensors: Tensors<'a>,
    batch: usize,
    time: usize,
    ids: Vec<i64>,
    features: Vec<f32>,
    reset: Option<Vec<bool>>,
}

/// Tensors by name, and their values.
pub(super) type Found = Vec<(String, Vec<f32>)>;

impl<'a> Golden<'a> {
    pub(super) fn read(bytes: &'a [u8], model: &Model) -> Result<Self> {
        let broken = |what| refuse(format!("does not parse: {what}"));
        let tensors = Tensors::read(bytes).map_err(broken)?;
        let about = tensors.about.as_ref();
        let weights = about.and_then(|m| m.get("minrnn.weights"));
        if weights != Some(&model.info().weights_sha256) {
            return Err(refuse("is of another model"));
        }
        let mut golden = Self {
            tensors,
            batch: 0,
            time: 0,
            ids: vec![],
            features: vec![],
            reset: None,
        };
        let name = model.info().input.name();
        let (kind, rank) = match model.info().input {
            InputSpec::Tokens { .. } => (Kind::I64, 2),
            InputSpec::Features { .. } => (Kind::F32, 3),
        };
        let (shape, data) = golden.raw(name, kind)?;
        if shape.len() != rank {
            return Err(refuse(format!("`{name}` has shape {shape:?}")));
        }
        (golden.batch, golden.time) = (shape[0], shape[1]);
        match kind {
            Kind::I64 => golden.ids = words(data).map(i64::from_le_bytes).collect(),
            _ => golden.features = words(data).map(f32::from_le_bytes).collect(),
        }
        if model.info().reset {
            let (shape, data) = golden.raw("reset", Kind::Bool)?;
            if shape != [golden.batch, golden.time] {
                return Err(refuse(format!("`reset` has shape {shape:?}")));
            }
            golden.reset = Some(data.iter().map(|b| *b != 0).collect());
        } else if golden.tensors.get("reset").is_some() {
            return Err(refuse("has resets, the file takes none"));
        }
        Ok(golden)
    }

    fn raw(&self, name: &str, kind: Kind) -> Result<(Vec<usize>, &'a [u8])> {
        let missing = || refuse(format!("has no `{name}`"));
        let found = self.tensors.get(name).ok_or_else(missing)?;
        if found.kind != kind {
            let kind = found.kind.as_str();
            return Err(refuse(format!("`{name}` is of another type: {kind}")));
        }
        Ok((found.shape.clone(), found.data))
    }

    fn values(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let (shape, data) = self.raw(name, Kind::F32)?;
        Ok((shape, words(data).map(f32::from_le_bytes).collect()))
    }

    /// Runs the trace's input from the states of `prefix`: the outputs, and after the whole trace the states.
    pub(super) fn replay(&self, model: &Model, prefix: &str, cpu: Option<Cpu>) -> Result<Found> {
        let info = model.info();
        let rows = info.batch.unwrap_or(self.batch);
        let piece = info.longest().unwrap_or(self.time).min(self.time);
        let uneven = info.seq_len.is_some_and(|n| n > self.time);
        if rows == 0 || piece == 0 || !self.batch.is_multiple_of(rows) || uneven {
            let what = format!(
                "has {} rows of {} steps, the file takes only {rows} of {}",
                self.batch,
                self.time,
                info.longest().unwrap_or(self.time)
            );
            return Err(refuse(what));
        }
        let mut all: Vec<Found> = vec![];
        for first in (0..self.batch).step_by(rows) {
            let state = self.state(model, prefix, first, rows)?;
            all.push(self.rows(model, state, first, piece, cpu)?);
        }
        let mut joined = all.remove(0);
        for part in all {
            for (to, from) in joined.iter_mut().zip(part) {
                to.1.extend(from.1);
            }
        }
        Ok(joined)
    }

    fn state(&self, model: &Model, prefix: &str, first: usize, rows: usize) -> Result<State> {
        let mut state = model.initial_state(rows)?;
        for spec in &model.info().states {
            let name = format!("{prefix}.{}", spec.input);
            let (shape, values) = self.values(&name)?;
            if shape != [&[self.batch], &spec.shape[..]].concat() {
                return Err(refuse(format!("`{name}` has shape {shape:?}")));
            }
            let len = spec.len();
            state.set(&spec.input, &values[first * len..(first + rows) * len])?;
        }
        Ok(state)
    }

    /// How many steps of the trace are run: a fixed T may leave some over.
    fn covered(&self, info: &Info) -> usize {
        let piece = info.seq_len.unwrap_or(1);
        self.time / piece * piece
    }

    /// Some rows of the trace, in pieces of `piece` steps. If some steps are left over, the states are not those of the trace,
    /// and left out; of the outputs, what is covered is compared.
    fn rows(
        &self,
        model: &Model,
        mut state: State,
        first: usize,
        piece: usize,
        cpu: Option<Cpu>,
    ) -> Result<Found> {
        let info = model.info();
        let (rows, width) = (state.rows(), info.output.width);
        let steps = self.covered(info);
        let mut output = vec![0.0; rows * self.time * width];
        for from in (0..steps).step_by(piece) {
            let len = piece.min(steps - from);
            let cut = Cut {
                first,
                rows,
                from,
                len,
            };
            let (ids, features, reset) = self.cut(&cut);
            let input = match info.input {
                InputSpec::Tokens { .. } => Input::Tokens {
                    ids: &ids,
                    batch: rows,
                    time: len,
                },
                InputSpec::Features { width } => Input::Features {
                    values: &features,
                    batch: rows,
                    time: len,
                    width,
                },
            };
            let extras = Extras {
                reset: reset.as_deref(),
                lengths: None,
            };
            let (values, next) = model.run_on(cpu, input, &extras, &state)?;
            state = next;
            let each = values.values.len() / rows;
            for (row, values) in values.values.chunks_exact(each).enumerate() {
                let to = match info.head {
                    Head::Last => row * width,
                    Head::PerStep => (row * self.time + from) * width,
                };
                output[to..to + each].copy_from_slice(values);
            }
        }
        let mut found = vec![];
        if info.head == Head::Last {
            output.truncate(rows * width);
        }
        if steps == self.time || info.head == Head::PerStep {
            found.push((info.output.name.clone(), output));
        }
        if steps == self.time {
            for spec in &info.states {
                let values = state.get(&spec.input).unwrap_or_default().to_vec();
                found.push((spec.output.clone(), values));
            }
        }
        Ok(found)
    }

    fn cut(&self, cut: &Cut) -> (Vec<i64>, Vec<f32>, Option<Vec<bool>>) {
        let reset = self.reset.as_ref().map(|r| cut.of(r, self.time, 1));
        let width = self.features.len() / (self.batch * self.time).max(1);
        (
            cut.of(&self.ids, self.time, 1),
            cut.of(&self.features, self.time, width),
            reset,
        )
    }

    /// Holds what was found to the trace, within its bounds.
    pub(super) fn compare(
        &self,
        check: &mut SelfCheck,
        info: &Info,
        name: &str,
        found: &[f32],
    ) -> Result<()> {
        let (_, wanted) = self.values(name)?;
        let (_, bounds) = self.values(&format!("{name}.bound"))?;
        if wanted.len() != found.len() || bounds.len() != found.len() {
            return Err(refuse(format!("`{name}` has {} values", wanted.len())));
        }
        let tolerance = match info.dtype {
            Dtype::F32 => TOLERANCE,
            _ => NARROW_TOLERANCE,
        };
        let largest = wanted
            .iter()
            .fold(0.0, |m: f64, v| m.max(f64::from(v.abs())));
        let (covered, width) = (self.covered(info), info.output.width);
        for (at, ((found, wanted), bound)) in found.iter().zip(&wanted).zip(&bounds).enumerate() {
            if covered < self.time && at / width % self.time >= covered {
                continue;
            }
            let far = (f64::from(*found) - f64::from(*wanted)).abs();
            let allowed = f64::from(*bound).min(tolerance * largest);
            let part = if far == 0.0 { 0.0 } else { far / allowed };
            check.values += 1;
            check.worst = check.worst.max(far);
            // A NaN on either side is above every bound.
            if part.is_nan() || part > check.worst_of_allowed || check.worst_in.is_empty() {
                check.worst_of_allowed = if part.is_nan() { f64::INFINITY } else { part };
                name.clone_into(&mut check.worst_in);
            }
        }
        Ok(())
    }
}

/// Some rows and steps.
struct Cut {
    first: usize,
    rows: usize,
    from: usize,
    len: usize,
}

impl Cut {
    /// Of `[batch, time, width]`; nothing of nothing.
    fn of<T: Copy>(&self, all: &[T], time: usize, width: usize) -> Vec<T> {
        if all.is_empty() {
            return vec![];
        }
        let rows = self.first..self.first + self.rows;
        let row = |r: usize| {
            let from = (r * time + self.from) * width;
            &all[from..from + self.len * width]
        };
        rows.flat_map(row).copied().collect()
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
