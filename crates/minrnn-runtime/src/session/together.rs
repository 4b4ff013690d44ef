//! Many sessions in one step.

use std::sync::Arc;

use super::{Session, restart};
use crate::engine::RowStates;
use crate::error::{Error, Result};
use crate::input::{Extras, Input};

/// The states of all sessions, row by row. `owners`: session and row in it.
struct Gathered<'a, 's> {
    sessions: &'a mut [&'s mut Session],
    owners: Vec<(usize, usize)>,
}

impl RowStates for Gathered<'_, '_> {
    fn before(&self, slot: usize, row: usize, width: usize) -> &[f32] {
        let (session, row) = self.owners[row];
        &self.sessions[session].state.values[slot][row * width..(row + 1) * width]
    }

    fn after(&mut self, slot: usize, row: usize, values: &[f32]) {
        let (session, row) = self.owners[row];
        let to = row * values.len()..(row + 1) * values.len();
        self.sessions[session].next[slot][to].copy_from_slice(values);
    }
}

pub(super) fn step(
    sessions: &mut [&mut Session],
    input: &Input<'_>,
    out: &mut [f32],
) -> Result<Vec<usize>> {
    let Some(first) = sessions.first() else {
        return Err(Error::input("sessions", "are none", "give at least one"));
    };
    let model = first.model.clone();
    if sessions.iter().any(|s| !Arc::ptr_eq(&s.model, &model)) {
        let mend = "open the model once and share it";
        return Err(Error::input("sessions", "are of several models", mend));
    }
    let rows: usize = sessions.iter().map(|s| s.batch()).sum();
    let wanted = rows * model.info().output.width;
    if input.batch() != rows || out.len() != wanted {
        let what = format!("{} rows and room for {} values", input.batch(), out.len());
        let mend = format!("give {rows} rows and {wanted} values");
        return Err(Error::input("sessions", what, mend));
    }
    let Some(exact) = model.exact() else {
        let what = "the model is not run exactly".to_owned();
        return Err(model.not_finite(what));
    };
    input.check_together(model.info())?;
    let mut bad = vec![];
    // The list lives on in a session, so that the next step finds room.
    let mut owners = std::mem::take(&mut sessions[0].owners);
    owners.clear();
    owners.reserve(rows);
    for (i, session) in sessions.iter().enumerate() {
        owners.extend((0..session.batch()).map(|row| (i, row)));
    }
    let mut states = Gathered {
        sessions: &mut *sessions,
        owners,
    };
    let done = exact.step(exact.cpu(), input, None, &mut states, out, &mut bad);
    let owners = states.owners;
    let stopped = match done {
        Ok(()) => Ok(finish(sessions, &owners, &bad)),
        Err(fault) => {
            let before = |at: usize, row: usize| {
                let (session, row) = owners[row];
                sessions[session].state.values[at][row]
            };
            Err(model.too_long(model.failed(&fault), input, &Extras::default(), before))
        }
    };
    sessions[0].owners = owners;
    stopped
}

/// New states take the place of old ones, but in sessions with rows that are `bad`.
fn finish(sessions: &mut [&mut Session], owners: &[(usize, usize)], bad: &[usize]) -> Vec<usize> {
    let mut stopped: Vec<usize> = bad.iter().map(|row| owners[*row].0).collect();
    stopped.dedup();
    for session in sessions.iter_mut() {
        session.bad.clear();
    }
    for row in bad {
        let (session, row) = owners[*row];
        sessions[session].bad.push(row);
    }
    for session in sessions.iter_mut() {
        let session = &mut **session;
        if !session.bad.is_empty() && !session.begin_anew {
            continue;
        }
        for &row in &session.bad {
            restart(&session.model, &mut session.next, row);
        }
        session.advance();
    }
    stopped
}
