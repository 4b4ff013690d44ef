//! All that two files are held to each other by.

use super::case::Two;
use super::check::Check;
use super::report::Row;
use super::rounding::Held;
use crate::verify::who::Who;

/// What the two files are held to each other by.
pub(super) struct Checks {
    pub(super) whole: Check,
    pub(super) chunks: Check,
    pub(super) then: Check,
    pub(super) rewind: Check,
    pub(super) rounded: Check,
    pub(super) large: Check,
    /// Not shown: it says what else there is to know of large inputs.
    pub(super) large_rounded: Check,
    /// Why large inputs were not compared.
    pub(super) refused: Option<String>,
}

impl Checks {
    pub(super) fn new(two: &Two) -> Self {
        let judge = Who::judge();
        let check = |name, held| Check::new(name, &judge, held, two);
        Self {
            whole: check("whole", Held::Meaning),
            chunks: check("in chunks", Held::Meaning),
            then: check("whole, then steps", Held::Meaning),
            rewind: check("back to a state", Held::Meaning),
            rounded: check("whole, rounded at each operation", Held::Rounded),
            large: check(LARGE, Held::Meaning),
            large_rounded: check("whole, inputs 100 times as large, rounded", Held::Rounded),
            refused: None,
        }
    }

    fn all(&self) -> [&Check; 6] {
        [
            &self.whole,
            &self.chunks,
            &self.then,
            &self.rewind,
            &self.rounded,
            &self.large,
        ]
    }

    /// Whether nothing fails in any of them.
    pub(super) fn hold(&self) -> bool {
        self.all().iter().all(|check| check.holds())
    }

    /// Whether something fails, and only in cases that have a row of no steps.
    pub(super) fn part_at_empty_rows(&self) -> bool {
        !self.hold() && self.all().iter().all(|check| check.holds_for_full_rows())
    }

    /// What is to be said of inputs far beyond the usual.
    pub(super) fn beyond(&self) -> Option<String> {
        if let Some(why) = &self.refused {
            return Some(format!(
                "inputs 100 times as large were not compared: {why}"
            ));
        }
        let parted = !self.large_rounded.holds() && self.large.holds();
        let what = "with inputs 100 times as large the two mean the same, but rounded at each operation they part: one of them \
                    loses its digits there, or leaves the range of its type";
        parted.then(|| what.to_owned())
    }

    /// What it means that files differ in one reading and not in the other.
    pub(super) fn lost(&self) -> Option<&'static str> {
        (!self.rounded.holds() && self.whole.holds()).then_some(
            "in float64 the two agree: they mean the same, but one of them computes it in a way that loses its digits",
        )
    }

    /// What is to be said of values that were held to how far they move where last places before them do.
    pub(super) fn noisy(&self) -> Vec<String> {
        let all = [&self.whole, &self.rounded, &self.large];
        let of = |check: &&Check| {
            let what = match check.held() {
                Held::Meaning => "constants",
                _ => "sums and functions",
            };
            let all = check.noisy().map(|(tensor, count)| {
                format!(
                    "{}, `{tensor}`: {count} values hang on the last places of {what} by more than the usual tolerance: they were held to how \
                     far they move with them in the file that moves less",
                    check.name()
                )
            });
            all.collect::<Vec<_>>()
        };
        all.iter().flat_map(of).collect()
    }

    /// What is to be said of values that are far larger than what varies in them.
    pub(super) fn offsets(&self) -> Vec<String> {
        self.whole.offsets().collect()
    }

    pub(super) fn rows(self) -> Vec<Row> {
        let all = [
            self.whole,
            self.chunks,
            self.then,
            self.rewind,
            self.rounded,
            self.large,
        ];
        all.into_iter().flat_map(Check::rows).collect()
    }
}

/// The check with large inputs.
pub(super) const LARGE: &str = "whole, inputs 100 times as large";
