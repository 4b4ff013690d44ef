//! A number as it is written, of any size and not rounded: nanoseconds since 1970 are more than float64 holds.

use std::cmp::Ordering;

/// A finite number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without zeros at either end; none of 0.
    digits: String,
    /// The number is 0.DIGITS times ten to this power.
    power: i64,
}

impl Decimal {
    /// `None`: no finite number, or one with an exponent beyond all bounds.
    pub(super) fn of(cell: &str) -> Option<Self> {
        let (negative, size) = match cell.strip_prefix('-') {
            Some(size) => (true, size),
            None => (false, cell.strip_prefix('+').unwrap_or(cell)),
        };
        let (number, exponent) = match size.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
            None => (size, 0),
        };
        let (before, behind) = number.split_once('.').unwrap_or((number, ""));
        let all = [before, behind].concat();
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_start_matches('0');
        let zeros = i64::try_from(all.len() - digits.len()).ok()?;
        let point = i64::try_from(before.len()).ok()?;
        let digits = digits.trim_end_matches('0').to_owned();
        let is_zero = digits.is_empty();
        let power = exponent.checked_add(point - zeros)?;
        Some(Self {
            negative: negative && !is_zero,
            digits,
            power: if is_zero { 0 } else { power },
        })
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// `None`: it has a fraction, or is too large.
    fn whole(&self) -> Option<i128> {
        let power = usize::try_from(self.power).ok()?;
        // Those of the largest i128.
        if power < self.digits.len() || power > 39 {
            return None;
        }
        let size: i128 = format!("0{:0<power$}", self.digits).parse().ok()?;
        Some(if self.negative { -size } else { size })
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |d: &Self| (d.power, d.digits.clone());
        self.sign()
            .cmp(&other.sign())
            .then_with(|| match self.negative {
                true => size(other).cmp(&size(self)),
                false => size(self).cmp(&size(other)),
            })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A whole number, also where it is written as 3.0 or 3e2; `None` for everything else.
pub fn whole(cell: &str) -> Option<i128> {
    Decimal::of(cell)?.whole()
}

/// What is wrong with a cell that is meant as a number, and what would mend it. `None` for what is a number of float32, or is meant as none.
pub fn written_otherwise(cell: &str) -> Option<(&'static str, &'static str)> {
    let comma = cell.matches(',').count() == 1 && Decimal::of(&cell.replace(',', ".")).is_some();
    if comma {
        return Some((
            "has a decimal comma",
            "write numbers with a decimal point, and with nothing between thousands",
        ));
    }
    let is_large = cell.parse::<f32>().is_ok_and(f32::is_infinite) && Decimal::of(cell).is_some();
    is_large.then_some((
        "is a number that float32 does not hold",
        "the largest is 3.4e38; give the column in another unit",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_held_against_each_other_exactly() {
        let order = [
            "-1e400",
            "-1700000000000000001",
            "-1700000000000000000",
            "-0.5",
            "-1e-400",
            "0",
            "1e-400",
            ".05",
            "0.5",
            "0.51",
            "5.",
            "10",
            "1700000000000000996",
            "1700000000000000997",
            "1700000000000000997.5",
            "17e+18",
            "1e400",
        ];
        for (i, a) in order.iter().enumerate() {
            for (j, b) in order.iter().enumerate() {
                let [x, y] = [a, b].map(|cell| Decimal::of(cell).unwrap());
                assert_eq!(x.cmp(&y), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in [("0", "-0.00e7"), ("10", "+1.0e1"), ("0.50", "5e-1")] {
            assert_eq!(Decimal::of(a), Decimal::of(b));
        }
        for none in [
            "",
            "-",
            ".",
            "nan",
            "inf",
            "1e",
            "1,5",
            "0x1",
            "1e9223372036854775808",
        ] {
            assert_eq!(Decimal::of(none), None, "{none}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_point() {
        for (cell, wanted) in [
            ("0", Some(0)),
            ("-30", Some(-30)),
            ("3.0", Some(3)),
            ("2e2", Some(200)),
            ("1700000000000000997", Some(1_700_000_000_000_000_997)),
            ("0.5", None),
            ("1e99", None),
            ("x", None),
        ] {
            assert_eq!(whole(cell), wanted, "{cell}");
        }
    }

    #[test]
    fn what_is_meant_as_a_number_is_told() {
        for (cell, what) in [
            ("8,0663", "has a decimal comma"),
            ("-1,5e3", "has a decimal comma"),
            ("1e39", "is a number that float32 does not hold"),
            ("-1e400", "is a number that float32 does not hold"),
        ] {
            assert_eq!(written_otherwise(cell).map(|w| w.0), Some(what), "{cell}");
        }
        for cell in ["1.5", "3e38", "nan", "inf", "a,b", "1,2,3", ",", "", "x"] {
            assert_eq!(written_otherwise(cell), None, "{cell}");
        }
    }
}
