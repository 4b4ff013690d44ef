//! A run whose loss or gradients are not finite goes back to where it was before, and on with a lower learning rate.

use minrnn_model::params::Params;

use super::config::TrainOptions;
use super::on_nan::OnNan;
use super::{RolledBack, Trainer};
use crate::checkpoint::{StreamPlace, TensorData, TrainerState};
use crate::error::{Result, TrainError};
use crate::optim::OptimizerState;

/// Steps from one snapshot to the next: they are taken behind multiples of it.
const EVERY: u64 = 100;

/// All that a run needs to go on from a step, in main memory.
#[derive(Debug)]
pub(super) struct Snapshot {
    state: TrainerState,
    params: Params,
    averaged: Option<Params>,
    optimizer: OptimizerState,
    states: Vec<TensorData>,
}

impl TrainOptions {
    pub(super) fn check_roll_back(&self) -> Result<()> {
        let refuse = |key: &str, message: String| Err(TrainError::config(key, message));
        if let Some(factor) = self.roll_back_factor.filter(|f| !(*f > 0.0 && *f < 1.0)) {
            let message = format!("is {factor}, expected more than 0 and less than 1");
            return refuse("train.roll_back_factor", message);
        }
        if self.roll_back_times == Some(0) {
            let message = "is 0, and the run would never roll back; give at least 1, or leave train.on_nan out";
            return refuse("train.roll_back_times", message.into());
        }
        let given = [
            ("train.roll_back_factor", self.roll_back_factor.is_some()),
            ("train.roll_back_times", self.roll_back_times.is_some()),
        ];
        match given
            .iter()
            .find(|(_, given)| *given && self.on_nan == OnNan::Stop)
        {
            Some((key, _)) => refuse(
                key,
                "is of train.on_nan = \"roll_back\"; set that, or leave this out".into(),
            ),
            None => Ok(()),
        }
    }

    /// What learning rates are multiplied by each time that the run rolls back.
    fn factor(&self) -> f64 {
        self.roll_back_factor.unwrap_or(0.5)
    }

    /// How often it may.
    fn times(&self) -> u64 {
        match self.on_nan {
            OnNan::Stop => 0,
            OnNan::RollBack => self.roll_back_times.unwrap_or(3),
        }
    }
}

impl Trainer {
    /// What was not finite the last time that the run rolled back.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What learning rates are multiplied by now.
    pub(super) fn lowered(&self) -> f64 {
        let times = i32::try_from(self.state.roll_backs).unwrap_or(i32::MAX);
        self.config.train.factor().powi(times)
    }

    /// Whether the run may still roll back.
    fn may_roll_back(&self) -> bool {
        self.state.roll_backs < self.config.train.times()
    }

    /// Keeps the state of the run where one is due.
    pub(super) fn keep_snapshot(&mut self) -> Result<()> {
        let step = self.state.step;
        let due = match &self.snapshot {
            None => true,
            Some(known) => step.is_multiple_of(EVERY) && known.state.step != step,
        };
        if !due || !self.may_roll_back() {
            return Ok(());
        }
        let carries = matches!(self.state.streams, Some(StreamPlace { at: 1.., .. }));
        self.snapshot = Some(Box::new(Snapshot {
            state: self.state.clone(),
            params: self.backend.params()?,
            averaged: self.backend.averaged()?,
            optimizer: self.backend.state_dict()?,
            states: match carries {
                true => self.backend.states()?,
                false => vec![],
            },
        }));
        Ok(())
    }

    /// So many steps, but none beyond the next snapshot.
    pub(super) fn until_snapshot(&self, steps: u64) -> u64 {
        match self.may_roll_back() {
            true => steps.min(EVERY - self.state.step % EVERY),
            false => steps,
        }
    }

    /// Goes back to the last snapshot, where the error is one of values that are not finite, and the run may.
    ///
    /// # Errors
    /// The error itself where not.
    pub(super) fn roll_back(&mut self, error: TrainError) -> Result<RolledBack> {
        let TrainError::NonFinite { what, step } = &error else {
            return Err(error);
        };
        let (true, Some(kept)) = (self.may_roll_back(), &self.snapshot) else {
            return Err(error);
        };
        self.backend.set_params(&kept.params)?;
        if let Some(averaged) = &kept.averaged {
            self.backend.set_average(averaged)?;
        }
        self.backend.load_state_dict(&kept.optimizer)?;
        if !kept.states.is_empty() {
            self.backend
                .set_states(&kept.states.iter().collect::<Vec<_>>())?;
        }
        let state = TrainerState {
            roll_backs: self.state.roll_backs + 1,
            // The best checkpoint is what it is.
            best: self.state.best.clone(),
            ..kept.state.clone()
        };
        let back = RolledBack {
            failed: *step,
            to: state.step,
            times: [state.roll_backs, self.config.train.times()],
            factor: self.config.train.factor().powi(state.roll_backs as i32),
        };
        self.trouble = Some(what.clone());
        self.state = state;
        let scale = self.state.loss_scale;
        self.restore_loss_scale(scale.as_ref())?;
        Ok(back)
    }
}
