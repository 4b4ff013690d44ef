//! When a row was, as a column says it: rows of a sequence are steps in their order.

use std::cmp::Ordering;

/// What a column of times says: a number, or else a text that sorts as its times do, as 2024-05-01T10:00:00 does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Moment {
    Number(f64),
    Text(String),
}

impl Moment {
    /// `None`: nothing.
    pub(super) fn of(cell: &str) -> Option<Self> {
        if cell.is_empty() {
            return None;
        }
        Some(match cell.parse::<f64>() {
            Ok(number) => Self::Number(number),
            Err(_) => Self::Text(cell.to_owned()),
        })
    }

    /// What is wrong with a row of this time behind one of another.
    pub(super) fn fault_behind(&self, before: &Self) -> Option<String> {
        let order = match (before, self) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        };
        match order {
            Some(Ordering::Less | Ordering::Equal) => None,
            Some(Ordering::Greater) => Some(format!(
                "is {self}, which is before that of the row above, {before}: rows of a sequence are its steps in order; sort them by it, or name the column in ignore_columns, if it is no clock or its texts do not sort as its times do"
            )),
            None => Some(format!(
                "is {self}, which cannot be held against that of the row above, {before}"
            )),
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// Whether such cells, of the rows of a sequence, never go back.
pub fn in_order<'a>(cells: impl IntoIterator<Item = &'a str>) -> bool {
    let mut before = None;
    for cell in cells {
        let Some(now) = Moment::of(cell) else {
            return false;
        };
        if before.is_some_and(|before| now.fault_behind(&before).is_some()) {
            return false;
        }
        before = Some(now);
    }
    true
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
        ] {
            assert!(in_order(right.iter().copied()), "{right:?}");
        }
        for wrong in [
            &["10", "9"][..],
            &["1", ""],
            &["1", "nan"],
            &["1", "monday"],
            &["10:00", "09:59"],
            // As texts these go back, and a reader cannot know.
            &["9:00", "10:00"],
        ] {
            assert!(!in_order(wrong.iter().copied()), "{wrong:?}");
        }
    }
}
