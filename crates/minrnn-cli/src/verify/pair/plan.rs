//! Which cases are run.

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::sizes::LENGTHS;
use super::spec::Request;

/// The longest sequence if nothing says another one.
const LONGEST: usize = 1024;

/// And of files that take several steps a call, the most calls.
const CALLS: usize = 16;

/// The longest case in which a state is gone back to.
const REWOUND: usize = 64;

/// The longest case with large inputs, but of files of one length.
const FAR: usize = 17;

impl Two {
    /// Whether a case may be cut. Rows of unequal length end where they end: pieces of them are another question.
    pub(super) fn is_free(&self, case: &Case) -> bool {
        self.face.length.is_none()
            && case.lengths.is_none()
            && case.time > self.face.unit()
            && (self.face.least, self.face.grain) == (1, 1)
            // Of a piece the sequence file would read as many entries as the piece has steps.
            && !self.face.lengths.iter().any(|l| l.as_time)
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
            unit => LONGEST.min(CALLS * unit),
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
        let times = self.lengths(limit);
        let batches = self.face.batch;
        let batches = batches.map_or(self.face.batches.clone(), |b| vec![b]);
        let kinds = if self.takes_states() { 2 } else { 1 };
        let sizes = times.iter().flat_map(|t| batches.iter().map(|b| (*b, *t)));
        let sizes: Vec<_> = sizes.flat_map(|s| std::iter::repeat_n(s, kinds)).collect();
        let sizes = sizes.into_iter().map(|s| (s, self.face.usual(s.1)));
        let sizes: Vec<_> = sizes.collect();
        self.room(&sizes)?;
        let mut cases = vec![];
        for (i, time) in times.into_iter().enumerate() {
            for (j, batch) in batches.iter().enumerate() {
                let others = self.face.other_lengths(i * batches.len() + j, time);
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
                if time <= FAR.max(self.face.length.unwrap_or(0)) && Some(batch) == batches.last() {
                    cases.extend(case.enlarged(self)?);
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
