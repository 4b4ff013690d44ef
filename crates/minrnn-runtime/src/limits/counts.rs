//! Counts of steps that a caller gives, held to what a count can be before anything runs: attention sees as many rows as they say, and tables
//! are read by them, so that a wrong one gives a wrong answer without a word.
//!
//! What a state says must fit together: one count for all of a row, and a window of which the rows before the begin are still zeros. That a
//! count is too large cannot be seen from a window: rows of zeros may be what the model made.

use super::{Limits, Table};
use crate::error::{Error, Result};
use crate::info::{Info, Init, StateSpec};
use crate::input::Input;
use crate::state::State;

/// f32 counts one by one up to here, and a longer stream stays here.
const MOST: f32 = (1 << 24) as f32;

const MEND: &str = "give the state that a run of this model left, or begin anew";

impl Limits {
    /// Whether the counts of `state`, which is one of this file, are those that a run leaves.
    ///
    /// # Errors
    /// [`Error::Input`] with the state's name and the row.
    pub(crate) fn check(&self, info: &Info, state: &State) -> Result<()> {
        let Some(first) = self.counters.first() else {
            return Ok(());
        };
        for row in 0..state.rows {
            let count = self.count(*first, info, state, row)?;
            for at in &self.counters[1..] {
                let other = self.count(*at, info, state, row)?;
                if other != count {
                    let (own, first) = (&info.states[*at].input, &info.states[*first].input);
                    let what =
                        format!("row {row} counts {other} steps, and `{first}` {count} of it");
                    return Err(Error::input(own, what, MEND));
                }
            }
            // The rank of a window is one more than that of a count, stacked or not.
            let rank = info.states[*first].shape.len() + 1;
            let windows = info.states.iter().zip(&state.values);
            let windows = windows.filter(|(s, _)| s.shape.len() == rank && s.init == Init::Zero);
            for (spec, values) in windows {
                let values = &values[row * spec.len()..(row + 1) * spec.len()];
                begun(spec, values, row, count)?;
            }
        }
        Ok(())
    }

    /// Whether a call has no more steps than a model takes at all: no cut of it would help.
    ///
    /// # Errors
    /// [`Error::Input`] with the data's name and the table.
    pub(crate) fn check_length(&self, input: &Input<'_>, info: &Info) -> Result<()> {
        let time = input.time();
        match self.tables.first() {
            Some(table) if time > table.steps => {
                let what = format!("T = {time}, and {}", table.words());
                let mend = "give no more steps, begin anew behind them, or use a model of longer sequences";
                Err(Error::input(info.input.name(), what, mend))
            }
            _ => Ok(()),
        }
    }

    /// The count of a row in one state, which has it once, or once for each state that is stacked in it.
    fn count(&self, at: usize, info: &Info, state: &State, row: usize) -> Result<usize> {
        let spec = &info.states[at];
        let values = &state.values[at][row * spec.len()..(row + 1) * spec.len()];
        let refuse = |what: String| Err(Error::input(&*spec.input, what, MEND));
        let count = values.first().copied().unwrap_or_default();
        if let Some(other) = values.iter().find(|v| count.is_finite() && **v != count) {
            return refuse(format!("row {row} counts {count} steps and {other} steps"));
        }
        if count.fract() != 0.0 || !(0.0..=MOST).contains(&count) {
            let what = format!(
                "row {row} counts {count:?} steps: a count is a whole number from 0 to 2^24"
            );
            return refuse(what);
        }
        match self.tables.first() {
            Some(table) if count > table.steps as f32 => refuse(format!(
                "row {row} counts {count} steps, and {}",
                table.words()
            )),
            _ => Ok(count as usize),
        }
    }
}

impl Table {
    /// How many steps there are, in words.
    pub(super) fn words(&self) -> String {
        let Self { name, steps, limit } = self;
        match limit {
            true => format!("the model takes sequences of {steps} steps"),
            false => format!("the table of positions `{name}` has {steps} rows"),
        }
    }
}

/// Whether a window has nothing of before its begin.
fn begun(spec: &StateSpec, values: &[f32], row: usize, count: usize) -> Result<()> {
    let [.., lag, width] = spec.shape[..] else {
        return Ok(());
    };
    let older = lag.saturating_sub(count) * width;
    let found = values.chunks_exact(lag * width).find_map(|one| {
        let at = one[..older].iter().position(|v| *v != 0.0)?;
        Some((lag - at / width, one[at]))
    });
    let Some((ago, value)) = found else {
        return Ok(());
    };
    let what = format!(
        "row {row} holds {value} of {ago} steps ago, and its sequence has {count} steps so far"
    );
    Err(Error::input(
        &*spec.input,
        what,
        "give window and count as one run left them, or begin anew",
    ))
}
