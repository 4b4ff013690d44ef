//! Short single runs at many lengths, beside the usual cases.
//!
//! The usual lengths are few, so that a file may go another way at others: at a length of one residue, at one that it holds against a
//! number, past a power of two, with more rows. Each of these is run once, with one row, at once and from the initial states, as long as
//! nothing is known to be wrong.

use std::collections::BTreeSet;

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::checks::Checks;
use super::file::By;
use super::interface::Length;
use super::met::met;
use super::rounding::Rounding;
use super::sizes::BATCHES;
use super::spec::Role;
use super::stops::Stops;

/// Every length up to this one is run, where that is cheap.
const EACH: usize = 40;
/// What all of these may take, in operations of the judge, where that is more than a part of the usual cases.
const CHEAP: u64 = 400_000_000;
/// Numbers of a file that lengths are held against, at the most.
const NUMBERS: usize = 16;
/// Rows of a case of few steps.
const ROWS: usize = 17;
/// And how many steps.
const FEW: usize = 3;

/// Lengths to run, and what they may take together in steps.
type Wanted = (Vec<usize>, usize);

impl Two {
    /// The cases. `work`: what the usual ones take, in steps; `step`: operations of the judge for a step.
    pub(super) fn each_length(
        &self,
        before: &[Case],
        limit: usize,
        (seed, step): (u64, u64),
    ) -> Result<Vec<Case>> {
        let mut rng = Rng::named(seed, "each length");
        let work = before.iter().map(Case::work).sum();
        let wanted = self.wanted_lengths(limit, work, step);
        let batch = self.face.batch.unwrap_or(BATCHES[0]);
        let mut cases = vec![];
        if self.face.length.is_none() && self.timed() {
            let had: BTreeSet<usize> = before.iter().map(|c| c.time).collect();
            let steps = |t: usize| self.face.steps(t);
            let some = wanted
                .iter()
                .map(|(all, most)| (all.iter().map(|t| steps(*t)).collect(), *most));
            for time in chosen(some.collect(), limit, &had) {
                let others = self.face.other_lengths(cases.len(), time);
                cases.push(Case::sized(self, (batch, time), others, &mut rng)?);
            }
        }
        let few = self.face.length.unwrap_or(self.face.steps(FEW.min(limit)));
        for (k, length) in self.face.lengths.iter().enumerate() {
            let Some((least, most)) = spread(length, limit) else {
                continue;
            };
            let had: BTreeSet<usize> = before.iter().map(|c| c.others[k]).collect();
            for size in chosen(wanted.clone(), most.min(limit), &had) {
                if size >= least {
                    let mut others = self.face.other_lengths(cases.len(), few);
                    others[k] = size;
                    let others = self.face.completed(few, others);
                    cases.push(Case::sized(self, (batch, few), others, &mut rng)?);
                }
            }
        }
        let mut roles = self.face.links.iter().flat_map(|l| &l.roles);
        if self.face.batch.is_none() && roles.any(|r| *r == Role::Batch) {
            let others = self.face.other_lengths(cases.len(), few);
            cases.push(Case::sized(self, (ROWS, few), others, &mut rng)?);
        }
        Ok(cases)
    }

    /// Lengths, those first that are the likeliest to show something.
    fn wanted_lengths(&self, limit: usize, work: usize, step: u64) -> Vec<Wanted> {
        let all = self.files.each_ref().map(|f| met(&f.model));
        let of = |pick: fn(&super::met::Met) -> &BTreeSet<usize>| {
            // What one file alone has comes first.
            let [a, b] = all.each_ref().map(pick);
            let own = a.symmetric_difference(b);
            let both = a.intersection(b);
            around(
                own.chain(both)
                    .copied()
                    .filter(|n| *n <= limit)
                    .take(NUMBERS)
                    .collect(),
            )
        };
        let powers = (2..usize::BITS)
            .map(|k| 1usize << k)
            .take_while(|n| *n <= limit.saturating_add(1));
        let powers = powers.flat_map(|n| [n - 1, n, n + 1]).collect();
        let cheap = usize::try_from(CHEAP / step.max(1)).unwrap_or(usize::MAX);
        let whole = EACH * (EACH + 1) / 2;
        vec![
            ((1..=EACH).collect(), whole.min(cheap).max(work / 8)),
            (of(|m| &m.beside), work / 8),
            (powers, work / 16),
            (of(|m| &m.others), work / 16),
        ]
    }

    fn brief(&self, case: &Case, costs: &mut Rounding, checks: &mut Checks) -> Result<()> {
        let first = self.judged(0, case, costs)?;
        let second = self.judged(1, case, costs)?;
        self.hold(&mut checks.whole, case, (&first, &second), costs);
        self.hold(&mut checks.rounded, case, (&first, &second), costs);
        Ok(())
    }

    fn refused_by_both(&self, case: &Case) -> bool {
        (0..2).all(|side| self.whole(side, By::Judge, case).is_err())
    }

    /// Runs them all, as long as nothing is known to be wrong. What both files refuse they need not take: a note says so.
    ///
    /// # Errors
    /// What one of them refuses, where that is a question.
    pub(super) fn briefly(
        &self,
        cases: &[Case],
        (costs, checks, stops): (&mut Rounding, &mut Checks, &mut Stops),
        asked: bool,
        begin: &mut dyn FnMut(&Case),
    ) -> Result<Option<String>> {
        let mut refused: Vec<String> = vec![];
        for case in cases {
            begin(case);
            if !checks.hold() {
                break;
            }
            if let Err(why) = self.brief(case, costs, checks) {
                match self.refused_by_both(case) {
                    true => refused.push(case.name()),
                    false => stops.add(self, case, asked, why)?,
                }
            }
        }
        Ok(refused.first().map(|first| {
            format!(
                "{} of {} short runs at other lengths were left out: both files refuse them, the first with {first}",
                refused.len(),
                cases.len()
            )
        }))
    }
}

/// Sizes that are tried of a length are no further apart than this: where the largest that ran is farther below what was asked for, the
/// files refuse more.
const APART: usize = 4;

/// The least and the largest size of a length that may have several, `limit` where more than those tried may run.
fn spread(length: &Length, limit: usize) -> Option<(usize, usize)> {
    let (least, most) = (*length.sizes.first()?, *length.sizes.last()?);
    let several = !length.as_time && length.is_open() && least < most;
    let most = if APART * most >= limit { limit } else { most };
    several.then_some((least, most))
}

/// The numbers, what is beside each, and the same of twice as many: those first that are nearest to what is said.
fn around(numbers: Vec<usize>) -> Vec<usize> {
    let ways: [fn(usize) -> usize; 6] = [
        |n| n,
        |n| n + 1,
        |n| n - 1,
        |n| 2 * n,
        |n| 2 * n + 1,
        |n| 2 * n - 1,
    ];
    let each = ways.iter().flat_map(|way| numbers.iter().map(|n| way(*n)));
    each.collect()
}

/// Those that can be afforded, `limit` at most and none of `had`, ascending.
fn chosen(wanted: Vec<Wanted>, limit: usize, had: &BTreeSet<usize>) -> Vec<usize> {
    let mut all = BTreeSet::new();
    for (lengths, most) in wanted {
        let mut spent = 0;
        for n in lengths {
            let fits = n <= limit && spent + n <= most;
            if n > 0 && fits && !had.contains(&n) && all.insert(n) {
                spent += n;
            }
        }
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_afforded_is_chosen() {
        let had = BTreeSet::from([2, 16]);
        let wanted = vec![((1..=5).collect(), 8), (around(vec![16, 100]), 300)];
        assert_eq!(
            chosen(wanted, 150, &had),
            [1, 3, 4, 15, 17, 32, 33, 100, 101]
        );
    }
}
