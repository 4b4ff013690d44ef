//! Streaming: one step a call, with a state that can be taken out and put back.

mod pieces;
mod together;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::exact::Batch;
use crate::info::{Form, Init};
use crate::input::{Extras, Input, Output};
use crate::model::Model;
use crate::self_check::SelfCheck;
use crate::state::State;

/// A step model with the state of `batch` running sequences.
///
/// A call that fails leaves the state as it was.
#[derive(Debug)]
pub struct Session {
    model: Arc<Model>,
    state: State,
    /// Room for the states after a step.
    next: Vec<Vec<f32>>,
    /// Rows whose last step gave values that are not finite.
    bad: Vec<usize>,
    /// Session and row of each row, while this one is first of many that step together.
    owners: Vec<(usize, usize)>,
    begin_anew: bool,
}

impl Session {
    /// Starts `batch` sequences at the initial state and makes the plan.
    ///
    /// # Errors
    /// [`Error::Input`] if `model` is no step model or does not take this batch; [`Error::Load`] if no plan can be made.
    pub fn new(model: Arc<Model>, batch: usize) -> Result<Self> {
        if model.info().form != Form::Step {
            let what = format!("{} is a {} file", model.file(), model.info().form.as_str());
            return Err(Error::input(
                "session",
                what,
                "open the step file of the export",
            ));
        }
        let state = model.initial_state(batch)?;
        model.prepare(batch, 1)?;
        Ok(Self {
            next: state.values.clone(),
            bad: Vec::with_capacity(batch),
            owners: vec![],
            begin_anew: false,
            model,
            state,
        })
    }

    /// [`Model::self_check`] of the step model. The session stays where it is.
    ///
    /// # Errors
    /// As [`Model::self_check`].
    pub fn self_check(&self) -> Result<SelfCheck> {
        self.model.self_check()
    }

    /// The step model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// B.
    pub fn batch(&self) -> usize {
        self.state.rows()
    }

    /// The state after all steps so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Goes on from `state`.
    ///
    /// # Errors
    /// [`Error::Input`] for a state of another model, of another number of rows, one that is not finite, or one whose counts of steps no run
    /// leaves.
    pub fn set_state(&mut self, state: State) -> Result<()> {
        let state = state.fitted(self.model.layout())?;
        self.model.check_state(&state, self.batch())?;
        self.state = state;
        Ok(())
    }

    /// Back to the initial state.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no memory for it.
    pub fn reset(&mut self) -> Result<()> {
        self.state = self.model.initial_state(self.batch())?;
        Ok(())
    }

    /// Whether a row whose features, new state or output are NaN or infinite begins anew at the initial state, with outputs of NaN for
    /// this step; the others go on. Default: no, the step is refused and all rows stay where they were. Exact execution only.
    pub fn set_begin_anew(&mut self, begin_anew: bool) {
        self.begin_anew = begin_anew;
    }

    /// The rows that began anew in the last step.
    pub fn began_anew(&self) -> &[usize] {
        if self.begin_anew { &self.bad } else { &[] }
    }

    /// A session of its own that goes on from the same state.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            model: self.model.clone(),
            state: self.state.clone(),
            next: self.next.clone(),
            bad: Vec::with_capacity(self.batch()),
            owners: vec![],
            begin_anew: self.begin_anew,
        }
    }

    /// [`Session::step_tokens`] into `out`, `[batch, C]`. In exact execution on one thread it allocates nothing.
    ///
    /// # Errors
    /// As [`Model::run`]; [`Error::Input`] for an `out` of another length.
    pub fn step_tokens_into(&mut self, ids: &[i64], out: &mut [f32]) -> Result<()> {
        let batch = self.batch();
        self.step_into(
            &Input::Tokens {
                ids,
                batch,
                time: 1,
            },
            out,
        )
    }

    /// [`Session::step_features`] into `out`, `[batch, C]`. In exact execution on one thread it allocates nothing.
    ///
    /// # Errors
    /// As [`Model::run`]; [`Error::Input`] for an `out` of another length.
    pub fn step_features_into(&mut self, values: &[f32], out: &mut [f32]) -> Result<()> {
        let batch = self.batch();
        let width = values.len() / batch;
        self.step_into(
            &Input::Features {
                values,
                batch,
                time: 1,
                width,
            },
            out,
        )
    }

    fn step_into(&mut self, input: &Input<'_>, out: &mut [f32]) -> Result<()> {
        let wanted = self.batch() * self.model.info().output.width;
        if out.len() != wanted {
            let what = format!("has room for {} values, the step gives {wanted}", out.len());
            return Err(Error::input("out", what, "give batch times C"));
        }
        let Some(exact) = self.model.exact() else {
            let (output, state) = self.model.run(*input, &self.state)?;
            out.copy_from_slice(&output.values);
            self.state = state;
            return Ok(());
        };
        match self.begin_anew {
            true => input.check_together(self.model.info())?,
            false => input.check(self.model.info())?,
        }
        self.bad.clear();
        let mut states = Batch {
            before: &self.state.values,
            after: &mut self.next,
        };
        let done = exact.step(exact.cpu(), input, None, &mut states, out, &mut self.bad);
        done.map_err(|fault| {
            let before = |at: usize, row: usize| self.state.values[at][row];
            let failed = self.model.failed(&fault);
            (self.model).too_long(failed, input, &Extras::default(), before)
        })?;
        if !self.bad.is_empty() {
            if !self.begin_anew {
                let row = self.bad[0];
                let why = self.model.overflow();
                let what =
                    format!("the state or the output of row {row} is not finite after it: {why}");
                return Err(self.model.not_finite(what));
            }
            for &row in &self.bad {
                restart(&self.model, &mut self.next, row);
            }
        }
        self.advance();
        Ok(())
    }

    /// The states after the step become the states.
    fn advance(&mut self) {
        std::mem::swap(&mut self.state.values, &mut self.next);
        self.state.form = Form::Step;
    }

    /// One step of many sessions of one model together: their states are gathered into one batch, computed with one product a
    /// layer, and handed back. Each session may be at another step of another stream, and gets the bits that it would get
    /// alone. `ids`: one for each row of each session, in order; `out`: `[rows, C]`.
    ///
    /// Returns the places of the sessions that did not step, because their features, new states or outputs are not finite: they stay
    /// where they were, or begin anew if they were told to ([`Session::set_begin_anew`]). Outputs of such rows are NaN.
    ///
    /// # Errors
    /// [`Error::Input`] for sessions of several models, ids or an `out` that do not fit; [`Error::Run`] if the model is not run
    /// exactly, or fails. No session has stepped then.
    pub fn step_tokens_together(
        sessions: &mut [&mut Self],
        ids: &[i64],
        out: &mut [f32],
    ) -> Result<Vec<usize>> {
        let batch = ids.len();
        let input = Input::Tokens {
            ids,
            batch,
            time: 1,
        };
        together::step(sessions, &input, out)
    }

    /// [`Session::step_tokens_together`] for features, `[rows, F]`. A NaN in the features of one session stops that one alone.
    ///
    /// # Errors
    /// As [`Session::step_tokens_together`].
    pub fn step_features_together(
        sessions: &mut [&mut Self],
        values: &[f32],
        out: &mut [f32],
    ) -> Result<Vec<usize>> {
        let batch: usize = sessions.iter().map(|s| s.batch()).sum();
        let width = values.len() / batch.max(1);
        let input = Input::Features {
            values,
            batch,
            time: 1,
            width,
        };
        together::step(sessions, &input, out)
    }

    /// One token for each row; the output is `[batch, C]`.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn step_tokens(&mut self, ids: &[i64]) -> Result<Output> {
        self.step(Input::Tokens {
            ids,
            batch: self.batch(),
            time: 1,
        })
    }

    /// One step of features for each row, `[batch, F]` row-major; the output is `[batch, C]`.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn step_features(&mut self, values: &[f32]) -> Result<Output> {
        let batch = self.batch();
        let width = values.len() / batch;
        self.step(Input::Features {
            values,
            batch,
            time: 1,
            width,
        })
    }

    fn step(&mut self, input: Input<'_>) -> Result<Output> {
        let shape = vec![self.batch(), self.model.info().output.width];
        let mut values = vec![0.0; shape.iter().product()];
        self.step_into(&input, &mut values)?;
        Ok(Output { values, shape })
    }
}

/// Puts `row` of `states` back to the initial state.
fn restart(model: &Model, states: &mut [Vec<f32>], row: usize) {
    for (spec, values) in model.info().states.iter().zip(states) {
        let len = spec.len();
        let to = &mut values[row * len..(row + 1) * len];
        match &spec.init {
            Init::Zero => to.fill(0.0),
            Init::Values(init) => to.copy_from_slice(init),
        }
    }
}
