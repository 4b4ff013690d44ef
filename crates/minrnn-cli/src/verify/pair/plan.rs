//! Which cases are run.

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::sizes::{CALLS, LENGTHS, RAGGED};
use super::spec::Request;

/// The longest sequence if nothing says another one.
const LONGEST: usize = 1024;

/// And of files that take several steps a call, the most calls.
const MOST_CALLS: usize = 16;

/// The longest case in which a state is gone back to.
const REWOUND: usize = 64;

impl Two {
    /// Whether a case may be cut. Rows of unequal length end where they end: pieces of them are another question.
    pub(super) fn is_free(&self, case: &Case) -> bool {
        self.face.length.is_none()
            && case.lengths.is_none()
            && case.time > self.face.unit()
            && (self.face.least, self.face.grain) == (1, 1)
            // Of a piece the sequence file would read as many entries as the piece has steps.
            && !self.face.lengths.iter().any(|l| l.as_time)
            && self.pieces_hold
            && self.step_by_step()
    }

    /// Whether the first file can run a case in pieces, its states given back.
    pub(super) fn takes_pieces(&self, case: &Case) -> bool {
        self.is_free(case) && self.takes_states() && self.face.frames[0].is_none()
    }

    pub(super) fn longest(&self, request: &Request) -> usize {
        // Of a file that takes so many steps and no others, a few calls show it all.
        let usual = match self.face.call() {
            1 => LONGEST,
            unit => LONGEST.min(MOST_CALLS * unit),
        };
        let longest = request.longest.unwrap_or(usual).clamp(1, self.most);
        self.face.steps(longest)
    }

    /// Lengths to run, `limit` the longest.
    pub(super) fn lengths(&self, limit: usize) -> Vec<usize> {
        if let Some(length) = self.face.length {
            return vec![length];
        }
        let mut all: Vec<usize> = LENGTHS.iter().map(|t| self.face.steps(*t)).collect();
        all.dedup();
        all.retain(|t| *t < limit);
        all.push(limit);
        all
    }

    /// T and B of all cases up to a length, by T.
    pub(super) fn sizes(&self, limit: usize) -> Vec<(usize, Vec<usize>)> {
        let rows = |n: usize| vec![self.face.batch.unwrap_or(n)];
        let all = match self.face.batch {
            Some(n) => vec![n],
            None => self.face.batches.clone(),
        };
        let usual = self.lengths(limit);
        let mut sizes: Vec<_> = usual.into_iter().map(|t| (t, all.clone())).collect();
        if self.face.length.is_none() {
            let unit = self.face.unit();
            let calls = CALLS.iter().filter(|_| unit > 1).map(|n| (n * unit, 1));
            for (time, batch) in RAGGED.into_iter().chain(calls) {
                let time = self.face.steps(time);
                if time < limit && !sizes.iter().any(|(t, _)| *t == time) {
                    sizes.push((time, rows(batch)));
                }
            }
        }
        sizes.sort_by_key(|(time, _)| *time);
        sizes
    }

    /// Whether a case is one to go back in: the second file goes call by call, and the case is short.
    pub(super) fn rewinds(&self, case: &Case) -> bool {
        self.face.frames[1].is_some()
            && !self.face.states.is_empty()
            && case.lengths.is_none()
            && case.time >= 2 * self.face.unit()
            && case.time <= REWOUND.max(2 * self.face.unit())
            && self.step_by_step()
    }

    pub(super) fn cases(&self, limit: usize, rng: &mut Rng) -> Result<Vec<Case>> {
        let sizes = self.sizes(limit);
        let kinds = if self.takes_states() { 2 } else { 1 };
        let room = sizes.iter().flat_map(|(t, rows)| {
            let each = rows.iter().map(|b| ((*b, *t), self.face.usual(*t)));
            each.flat_map(|size| std::iter::repeat_n(size, kinds))
        });
        self.room(&room.collect::<Vec<_>>())?;
        let mut cases = vec![];
        let mut drawn = 0;
        for (time, batches) in sizes {
            // Frames of zeros and the like are drawn for as many rows as are usual.
            let usual = self.face.batch.is_some() || batches == self.face.batches;
            for batch in &batches {
                let others = self.face.other_lengths(drawn, time);
                drawn += 1;
                let case = Case::sized(self, (*batch, time), others.clone(), rng)?;
                if self.takes_states() {
                    let before = self.before(time, limit);
                    let states = self.random_states((*batch, before), &others, rng)?;
                    let others = self.face.others_of(time, &others, &states);
                    cases.push(Case {
                        states: Some(states),
                        ..Case::sized(self, (*batch, time), others, rng)?
                    });
                }
                cases.extend(self.overridden(&case, rng)?);
                if usual && Some(batch) == batches.last() {
                    for draw in case.otherwise(self, limit) {
                        cases.extend(case.redrawn(self, draw, rng)?);
                    }
                }
                let marked = Rng::named(time as u64, "marked");
                cases.extend(self.marked(&case, &mut { marked })?);
                cases.push(case);
            }
        }
        cases.extend(self.long_others(&cases, limit, rng)?);
        Ok(cases)
    }
}
