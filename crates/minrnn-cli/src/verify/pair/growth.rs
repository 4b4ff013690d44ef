//! Values that grow with T until their type has no number for them.

use std::collections::BTreeSet;

use super::measure::Furthest;

/// By how many steps numbers must last: each weight has said what it does by then.
const LAST: usize = 4;

/// Products of numbers from here on leave the range of a float32.
const LARGE: f64 = 1e15;

/// The lengths at which a tensor has all of its numbers, and those at which some are lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Growth {
    whole: BTreeSet<usize>,
    lost: BTreeSet<usize>,
    largest: f64,
}

impl Growth {
    pub(super) fn add(&mut self, time: usize, at: &Furthest) {
        match at.no_number + at.beyond {
            0 => self.whole.insert(time),
            _ => self.lost.insert(time),
        };
        self.largest = self.largest.max(at.largest);
    }

    /// The longest T up to which every case has all of its numbers, where they are lost by growth alone: some are large, and numbers are
    /// there for many steps. What has no number without being large has another fault.
    pub(super) fn whole_up_to(&self) -> Option<usize> {
        let lost = *self.lost.first()?;
        let whole = *self.whole.range(..lost).next_back()?;
        (whole >= LAST && self.largest >= LARGE).then_some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cases: &[(usize, usize, f64)]) -> Option<usize> {
        let mut growth = Growth::default();
        for (time, no_number, largest) in cases.iter().copied() {
            let at = Furthest {
                no_number,
                largest,
                ..Furthest::default()
            };
            growth.add(time, &at);
        }
        growth.whole_up_to()
    }

    #[test]
    fn numbers_are_there_up_to_the_first_length_that_loses_some() {
        let cases = [(16, 0, 1e4), (40, 0, 1e9), (128, 1, 1e30), (256, 9, 1e30)];
        assert_eq!(of(&cases), Some(40));
        assert_eq!(of(&cases[..2]), None, "nothing is lost");
        // The same length with other inputs.
        assert_eq!(of(&[&cases[..], &[(40, 1, 1e30)]].concat()), Some(16));
    }

    #[test]
    fn what_is_lost_early_or_without_growth_is_no_growth() {
        assert_eq!(of(&[(3, 0, 1e20), (4, 1, 1e30)]), None);
        assert_eq!(of(&[(40, 0, 2.0), (128, 3, 2.5)]), None);
        assert_eq!(of(&[(1024, 7, 1e30)]), None);
    }
}
