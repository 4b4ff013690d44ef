//! The shortest sequences that files take: a window, a TopK or a reshape may need more than one step.

use anyhow::{Result, bail};
use minrnn_model::rng::Rng;
use minrnn_onnx::eval::{EvalError, EvalErrorKind};

use super::case::{Case, Two};
use super::file::By;
use super::sizes::BATCHES;

/// Lengths that are tried, in calls of the files.
const TRIED: [usize; 13] = [1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 256, 512, 1024];

impl Two {
    /// Finds the least T, and whether T goes in multiples of it. Where no length runs, nothing is said: the run tells why.
    ///
    /// # Errors
    /// Files of which one takes what the other does not.
    pub(super) fn find_least(&mut self) -> Result<()> {
        let timed = self.face.links.iter().any(|l| l.time().is_some());
        let sides: Vec<usize> = (0..2).filter(|s| self.face.frames[*s].is_none()).collect();
        if !timed || self.face.length.is_some() || sides.is_empty() {
            return Ok(());
        }
        let unit = self.face.unit();
        let mut found: Vec<(usize, usize)> = vec![];
        for side in sides {
            match self.least_of(side, unit)? {
                Some(least) => found.push((side, least)),
                None => return Ok(()),
            }
        }
        if let [(_, a), (_, b)] = found.as_slice()
            && a != b
        {
            let [first, second] = self.files.each_ref().map(|f| f.name());
            bail!(
                "{first} takes T >= {a}, {second} T >= {b}: at what is shorter only one of them runs; to compare them at one \
                 length give it, as --dim NAME=N or as a number in --input"
            );
        }
        let least = found.first().map_or(unit, |(_, least)| *least);
        if least == unit {
            return Ok(());
        }
        self.face.least = least;
        let runs = |time: usize| -> Vec<bool> {
            let one = |(side, _): &(usize, usize)| self.runs(*side, self.few(), time);
            found.iter().map(one).collect()
        };
        // A reshape into rows of several steps takes multiples alone.
        let next = least + unit;
        if next <= self.most && !runs(next).iter().any(|r| *r) && runs(2 * least).iter().all(|r| *r)
        {
            self.face.grain = least;
            let [b, c] = [2, 3].map(|n| n * least);
            self.face
                .notes
                .push(format!("the files take T = {least}, {b}, {c} .. only"));
        } else {
            self.face.notes.push(format!("the files take T >= {least}"));
        }
        Ok(())
    }

    fn least_of(&self, side: usize, unit: usize) -> Result<Option<usize>> {
        let mut too_short = 0;
        for calls in TRIED.into_iter().filter(|n| n * unit <= self.most) {
            if !self.tried(side, self.few(), calls * unit)? {
                too_short = calls;
                continue;
            }
            // Between the last that was too short and this one.
            let mut least = calls;
            while least - too_short > 1 {
                let middle = usize::midpoint(least, too_short);
                if self.runs(side, self.few(), middle * unit) {
                    least = middle;
                } else {
                    too_short = middle;
                }
            }
            return Ok(Some(least * unit));
        }
        Ok(None)
    }

    /// Whether the shortest sequence runs where a longer one did not.
    pub(super) fn takes_short(&self) -> bool {
        let batch = self.face.batch.unwrap_or(BATCHES[1]);
        let shortest = self.face.shortest();
        self.face.length.is_none() && (0..2).all(|side| self.runs(side, batch, shortest))
    }

    /// Rows to try with.
    fn few(&self) -> usize {
        self.face.batch.unwrap_or(1)
    }

    fn runs(&self, side: usize, batch: usize, time: usize) -> bool {
        self.tried(side, batch, time).is_ok_and(|runs| runs)
    }

    /// Whether a length runs.
    ///
    /// # Errors
    /// A limit that it reaches: what is longer reaches it too.
    fn tried(&self, side: usize, batch: usize, time: usize) -> Result<bool> {
        let case = Case::random(self, (batch, time), &mut Rng::named(0, "least"));
        match case.and_then(|case| self.tensors(side, By::Judge, &case, &self.wanted(side))) {
            Err(error) if is_limit(&error) => Err(error),
            ran => Ok(ran.is_ok()),
        }
    }
}

/// Whether a run was refused for what it takes.
pub(super) fn is_limit(error: &anyhow::Error) -> bool {
    let fault = error.downcast_ref::<EvalError>().map(|e| &e.kind);
    matches!(
        fault,
        Some(EvalErrorKind::Budget { .. } | EvalErrorKind::Rounds { .. })
    )
}
