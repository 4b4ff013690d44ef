//! When a row was, as a column says it: rows of a sequence are steps in their order.

use std::cmp::Ordering;

use super::decimal::Decimal;

/// What a column of times says: a number, or else a text that sorts as its times do, as 2024-05-01T10:00:00 does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Moment {
    Number {
        value: Decimal,
        written: String,
    },
    /// Infinite, or no number at all: before and behind nothing.
    NoNumber(String),
    Text(String),
}

/// What would mend rows that go back.
const SORT: &str = ": rows of a sequence are its steps in order; sort them by it, or name the column in ignore_columns, if it is no clock or its texts do not sort as its times do";

impl Moment {
    /// `None`: nothing.
    pub(super) fn of(cell: &str) -> Option<Self> {
        if cell.is_empty() {
            return None;
        }
        let written = cell.to_owned();
        Some(match Decimal::of(cell) {
            Some(value) => Self::Number { value, written },
            None if cell.parse::<f64>().is_ok() => Self::NoNumber(written),
            None => Self::Text(written),
        })
    }

    /// What is wrong with a row of this time behind one of another, and what would mend it.
    pub(super) fn fault_behind(&self, before: &Self) -> Option<String> {
        self.wrong_behind(before)
            .map(|(what, mend)| what + mend.unwrap_or_default())
    }

    fn wrong_behind(&self, before: &Self) -> Option<(String, Option<&'static str>)> {
        let order = match (before, self) {
            (Self::Number { value: a, .. }, Self::Number { value: b, .. }) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        };
        match order {
            Some(Ordering::Less | Ordering::Equal) => None,
            Some(Ordering::Greater) => {
                let what = format!("is {self}, which is before that of the row above, {before}");
                Some((what, Some(SORT)))
            }
            None => {
                let what = format!(
                    "is {self}, which cannot be held against that of the row above, {before}"
                );
                Some((what, None))
            }
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number { written, .. } | Self::NoNumber(written) => write!(f, "{written}"),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// The first of such cells, of the rows of a sequence, that goes back or is no time, and what is wrong with it.
pub fn out_of_order<'a>(cells: impl IntoIterator<Item = &'a str>) -> Option<(usize, String)> {
    let mut before: Option<Moment> = None;
    for (i, cell) in cells.into_iter().enumerate() {
        let Some(now) = Moment::of(cell) else {
            return Some((i, "is empty".to_owned()));
        };
        let wrong = before.as_ref().and_then(|before| now.wrong_behind(before));
        if let Some((what, _)) = wrong {
            return Some((i, what));
        }
        before = Some(now);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_or_texts_that_sort_as_they_do() {
        for right in [
            &["0", "0.5", "0.50", "10", "1e3"][..],
            &["-3", "9", "10"],
            &["2024-05-01T09:59", "2024-05-01T10:00", "2024-05-02"],
            &["7"],
            &["1700000000000000996", "1700000000000000997"],
        ] {
            assert_eq!(out_of_order(right.iter().copied()), None, "{right:?}");
        }
        for wrong in [
            &["10", "9"][..],
            &["1", ""],
            &["1", "nan"],
            &["nan", "nan"],
            // As float64 these are one number.
            &["1700000000000000997", "1700000000000000996"],
            &["1700000000.0000000002", "1700000000.0000000001"],
            &["1", "monday"],
            &["10:00", "09:59"],
            // As texts these go back, and a reader cannot know.
            &["9:00", "10:00"],
        ] {
            let at = out_of_order(wrong.iter().copied()).map(|(row, _)| row);
            assert_eq!(at, Some(1), "{wrong:?}");
        }
    }
}
