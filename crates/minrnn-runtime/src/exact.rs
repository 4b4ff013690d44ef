//! The executor of the crate's own behind a [`Model`](crate::Model): checked calls in, checked values out.

use std::any::Any;
use std::sync::{Mutex, PoisonError};

use crate::engine::{Data, Fault, Program, RowStates, Sequence, Step, Workspace};
use crate::info::{Head, Info};
use crate::input::{Extras, Input};
use crate::kernels::Cpu;
use crate::panics;
use crate::range::FeatureRange;

/// A compiled file, and the buffers of those who run it.
#[derive(Debug)]
pub(crate) struct Exact {
    program: Program,
    /// Features that are numbers to the file.
    range: Option<FeatureRange>,
    cpu: Cpu,
    threads: usize,
    /// One team of workspaces for each call that runs at the same time.
    teams: Mutex<Vec<Vec<Workspace>>>,
}

/// States of a batch: before in one place, after in another.
pub(crate) struct Batch<'a> {
    pub(crate) before: &'a [Vec<f32>],
    pub(crate) after: &'a mut [Vec<f32>],
}

impl RowStates for Batch<'_> {
    fn before(&self, slot: usize, row: usize, width: usize) -> &[f32] {
        &self.before[slot][row * width..(row + 1) * width]
    }

    fn after(&mut self, slot: usize, row: usize, values: &[f32]) {
        let width = values.len();
        self.after[slot][row * width..(row + 1) * width].copy_from_slice(values);
    }
}

impl Exact {
    pub(crate) fn new(program: Program, info: &Info, threads: usize, cpu: Cpu) -> Self {
        Self {
            program,
            range: info.range.clone(),
            cpu,
            threads: threads.max(1),
            teams: Mutex::default(),
        }
    }

    /// The instructions chosen at opening.
    pub(crate) fn cpu(&self) -> Cpu {
        self.cpu
    }

    /// Runs a sequence. `out` and `next` have room for the output and the states after it.
    pub(crate) fn sequence(
        &self,
        cpu: Cpu,
        input: &Input<'_>,
        extras: &Extras<'_>,
        states: &[Vec<f32>],
        out: &mut [f32],
        next: &mut [Vec<f32>],
    ) -> Result<(), Fault> {
        let mut sequence = Sequence {
            batch: input.batch(),
            time: input.time(),
            data: data(input),
            lengths: extras.lengths,
            reset: extras.reset,
            states,
            out,
            next,
        };
        self.with_team(|team| self.program.sequence(team, cpu, &mut sequence))
    }

    /// Runs one step. Rows whose features are no numbers to the file, or whose new state or output is not finite, are added to `bad`, in order, and their outputs are NaN.
    pub(crate) fn step<S: RowStates>(
        &self,
        cpu: Cpu,
        input: &Input<'_>,
        reset: Option<&[bool]>,
        states: &mut S,
        out: &mut [f32],
        bad: &mut Vec<usize>,
    ) -> Result<(), Fault> {
        let rows = input.batch();
        let mut step = Step {
            rows,
            data: data(input),
            reset,
            out,
        };
        self.with_team(|team| self.program.step(team, cpu, &mut step, states, bad))?;
        // Not all that goes in comes out: a product of bytes has no NaN, a gate of infinity is a number.
        let range = self.range.as_ref();
        let width = out.len() / rows.max(1);
        let poor = (0..rows).filter(|row| {
            let made = &out[*row * width..][..width];
            !input.is_finite_at(*row, range) || made.iter().any(|v| !v.is_finite())
        });
        bad.extend(poor);
        bad.sort_unstable();
        bad.dedup();
        for row in bad {
            out[*row * width..][..width].fill(f32::NAN);
        }
        Ok(())
    }

    /// A team that was at work when something panicked is not used again.
    fn with_team(
        &self,
        f: impl FnOnce(&mut [Workspace]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let free = || self.teams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut team = free().pop().unwrap_or_else(|| {
            std::iter::repeat_with(Workspace::default)
                .take(self.threads)
                .collect()
        });
        let result = caught(|| f(&mut team));
        if !matches!(result, Err(Fault::Panicked(_))) {
            free().push(team);
        }
        result
    }
}

/// Runs `f`, and makes a fault of a panic.
fn caught(f: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    let done = panics::catch(f);
    done.unwrap_or_else(|payload| Err(Fault::Panicked(words(&*payload).into())))
}

/// What a panic said.
pub(crate) fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// The shape of the data output of a call.
pub(crate) fn output_shape(info: &Info, input: &Input<'_>) -> Vec<usize> {
    let mut shape = vec![input.batch()];
    if info.form.is_sequence() && info.head == Head::PerStep {
        shape.push(input.time());
    }
    shape.push(info.output.width);
    shape
}

fn data<'a>(input: &Input<'a>) -> Data<'a> {
    match *input {
        Input::Tokens { ids, .. } => Data::Ids(ids),
        Input::Features { values, .. } => Data::Features(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault() {
        let fault = caught(|| panic!("at row {}", 3)).unwrap_err();
        assert_eq!(fault.to_string(), "a panic: at row 3");
        assert_eq!(caught(|| Err(Fault::Stopped)), Err(Fault::Stopped));
    }
}
