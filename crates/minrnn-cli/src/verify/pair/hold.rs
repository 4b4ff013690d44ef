//! Two runs of the judge held to each other, with what single values move by where they are off.

use super::case::{Case, Ran, Two};
use super::check::Check;
use super::rounding::{Held, Rounding};
use super::way::Draw;

/// Two runs of the judge.
type Runs<'a> = (&'a Ran, &'a Ran);

impl Two {
    /// Holds two runs of the judge to each other. Where they are off, by what moves in both files too: asked as long as nothing is known
    /// to be wrong. Values that files look for lie at bounds, where all moves by much.
    pub(super) fn hold(&self, check: &mut Check, case: &Case, runs: Runs<'_>, costs: &Rounding) {
        let mut plain = check.clone();
        let holds = plain.add_within(case, runs, costs, None);
        if holds || !check.holds() || case.draw == Draw::Marked {
            *check = plain;
            return;
        }
        let both = [0, 1].map(|side| match check.held() {
            Held::Meaning => self.by_constants(side, case),
            _ => self.noise(side, case),
        });
        let noise = match both {
            [Ok(first), Ok(second)] => Some(first.smaller(&second, runs.0)),
            _ => None,
        };
        check.add_within(case, runs, costs, noise.as_ref());
    }
}
