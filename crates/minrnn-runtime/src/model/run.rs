//! Calls: held against the file, then run by whoever runs it.

use super::{Model, Runner};
use crate::engine::Fault;
use crate::error::{Error, Result};
use crate::exact::{Batch, Exact, output_shape};
use crate::input::{Extras, Input, Output, check_batch};
use crate::kernels::Cpu;
use crate::limits::Call;
use crate::state::State;

impl Model {
    /// The state before the first step, for `batch` rows.
    ///
    /// # Errors
    /// [`Error::Input`] for a batch of 0, one the file does not take, or one that does not fit into memory.
    pub fn initial_state(&self, batch: usize) -> Result<State> {
        check_batch(batch, &self.info)?;
        State::initial(self.layout.clone(), &self.info, batch)
    }

    /// [`State::from_bytes`], its tensors in the model's order; refuses a state of another model, and one whose counts of steps no run leaves.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn state_from_bytes(&self, bytes: &[u8]) -> Result<State> {
        let state = State::from_bytes(bytes)?.fitted(&self.layout)?;
        self.limits.check(&self.info, &state)?;
        Ok(state)
    }

    /// Makes the plan for `batch` rows of `time` steps now, so that the first run does not pay for it.
    ///
    /// # Errors
    /// [`Error::Input`] for sizes the file does not take, [`Error::Load`] if the engine cannot run the graph.
    pub fn prepare(&self, batch: usize, time: usize) -> Result<()> {
        let nothing = match self.info.input {
            crate::info::InputSpec::Tokens { .. } => Input::Tokens {
                ids: &[],
                batch,
                time,
            },
            crate::info::InputSpec::Features { width } => Input::Features {
                values: &[],
                batch,
                time,
                width,
            },
        };
        nothing.check_lengths(&self.info)?;
        match &self.runner {
            Runner::Exact(_) => Ok(()),
            #[cfg(feature = "tract")]
            Runner::Portable(portable) => self.prepare_plan(portable, batch, time),
        }
    }

    /// Runs `input` from `state`; returns the output and the state after the last step. `state` is left as it is.
    ///
    /// The first run of a batch and length makes a plan (milliseconds to seconds); later ones find it.
    ///
    /// # Errors
    /// [`Error::Input`] before anything is run; [`Error::Load`] if no plan can be made; [`Error::Run`] if the engine
    /// fails, returns another shape than the file declares, or leaves a state or an output that is not finite.
    pub fn run(&self, input: Input<'_>, state: &State) -> Result<(Output, State)> {
        self.run_with(input, &Extras::default(), state)
    }

    /// [`Model::run`] with the inputs that some files take besides: lengths of rows, steps at which states begin anew.
    ///
    /// # Errors
    /// As [`Model::run`]; [`Error::Input`] for extras that the file does not take or that do not fit the input.
    pub fn run_with(
        &self,
        input: Input<'_>,
        extras: &Extras<'_>,
        state: &State,
    ) -> Result<(Output, State)> {
        self.run_on(None, input, extras, state)
    }

    /// [`Model::run_with`] with other instructions than those chosen at opening.
    pub(crate) fn run_on(
        &self,
        cpu: Option<Cpu>,
        input: Input<'_>,
        extras: &Extras<'_>,
        state: &State,
    ) -> Result<(Output, State)> {
        self.check(&input, state)?;
        extras.check(&self.info, &input)?;
        let done = match &self.runner {
            Runner::Exact(exact) => {
                self.run_exact(exact, cpu.unwrap_or(exact.cpu()), &input, extras, state)
            }
            #[cfg(feature = "tract")]
            Runner::Portable(portable) => self.run_plan(portable, false, &input, extras, state),
        };
        done.map_err(|error| self.blamed(error, &input, extras, state))
    }

    /// [`Model::run`] on one plan for all batches and lengths: one compilation, each run 3 to 5 times slower. Some
    /// `parallel` graphs do not run so; they fail with an error, never with other values. Exact execution has no plans, and
    /// runs as always.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn run_symbolic(&self, input: Input<'_>, state: &State) -> Result<(Output, State)> {
        self.check(&input, state)?;
        let extras = Extras::default();
        let done = match &self.runner {
            Runner::Exact(exact) => self.run_exact(exact, exact.cpu(), &input, &extras, state),
            #[cfg(feature = "tract")]
            Runner::Portable(portable) => self.run_plan(portable, true, &input, &extras, state),
        };
        done.map_err(|error| self.blamed(error, &input, &extras, state))
    }

    fn blamed(&self, error: Error, input: &Input<'_>, extras: &Extras<'_>, state: &State) -> Error {
        self.too_long(error, input, extras, |at, row| state.values[at][row])
    }

    /// The error of a call that failed, which is its caller's where the sequence is longer than the model takes. `before`: the value of a
    /// state that counts, and a row, before the call.
    pub(crate) fn too_long(
        &self,
        error: Error,
        input: &Input<'_>,
        extras: &Extras<'_>,
        before: impl Fn(usize, usize) -> f32,
    ) -> Error {
        let call = Call {
            info: &self.info,
            input,
            extras,
        };
        let ran = matches!(error, Error::Run { .. });
        let found = ran.then(|| self.limits.broken(&call, before)).flatten();
        found.unwrap_or(error)
    }

    pub(crate) fn check(&self, input: &Input<'_>, state: &State) -> Result<()> {
        self.limits.check_length(input, &self.info)?;
        input.check(&self.info)?;
        self.check_state(state, input.batch())
    }

    /// Whether a run of `rows` rows may start from `state`.
    pub(crate) fn check_state(&self, state: &State, rows: usize) -> Result<()> {
        state.check(&self.layout, rows)?;
        self.limits.check(&self.info, state)
    }

    /// `input` and `state` have passed [`Model::check`].
    fn run_exact(
        &self,
        exact: &Exact,
        cpu: Cpu,
        input: &Input<'_>,
        extras: &Extras<'_>,
        state: &State,
    ) -> Result<(Output, State)> {
        let shape = output_shape(&self.info, input);
        let mut output = Output {
            values: vec![0.0; shape.iter().product()],
            shape,
        };
        let mut next = State {
            form: self.info.form,
            ..state.clone()
        };
        let out = &mut output.values;
        if self.info.form.is_sequence() {
            let done = exact.sequence(cpu, input, extras, &state.values, out, &mut next.values);
            done.map_err(|fault| self.failed(&fault))?;
        } else {
            let mut states = Batch {
                before: &state.values,
                after: &mut next.values,
            };
            let done = exact.step(cpu, input, extras.reset, &mut states, out, &mut vec![]);
            done.map_err(|fault| self.failed(&fault))?;
        }
        self.finite(&output, &next, extras)?;
        Ok((output, next))
    }

    /// Whether all that a call made is numbers; what stands behind a row's own end is nobody's.
    pub(super) fn finite(&self, output: &Output, next: &State, extras: &Extras<'_>) -> Result<()> {
        let none = |values: &[f32]| values.iter().position(|v| !v.is_finite());
        for (spec, values) in self.info.states.iter().zip(&next.values) {
            if let Some(at) = none(values) {
                return Err(self.overflowed(&spec.output, at / spec.len().max(1), None));
            }
        }
        let name = &self.info.output.name;
        let (width, steps) = match *output.shape.as_slice() {
            [_, time, width] => (width, Some(time)),
            _ => (self.info.output.width, None),
        };
        let size = (steps.unwrap_or(1) * width).max(1);
        for (row, values) in output.values.chunks(size).enumerate() {
            let own = extras.lengths.and_then(|l| usize::try_from(l[row]).ok());
            let end = own.filter(|_| steps.is_some()).map_or(size, |n| n * width);
            if let Some(at) = none(&values[..end.min(values.len())]) {
                return Err(self.overflowed(name, row, steps.map(|_| at / width)));
            }
        }
        Ok(())
    }

    pub(crate) fn not_finite(&self, what: String) -> Error {
        Error::Run {
            file: self.file.clone(),
            what: "the step is refused".into(),
            source: what.into(),
        }
    }

    pub(crate) fn failed(&self, fault: &Fault) -> Error {
        Error::Run {
            file: self.file.clone(),
            what: "the run stopped".into(),
            source: fault.to_string().into(),
        }
    }
}
