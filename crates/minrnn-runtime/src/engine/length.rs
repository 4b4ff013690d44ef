//! Sizes of axes where they depend on the batch and the length of a sequence.

use std::fmt::{Display, Formatter, Result as Written};

/// Parts that one length may have, those within its quotients as well: far above any export.
const MAX_PARTS: usize = 32;

/// A whole number as a function of B and T, both at least 1: a constant and so many times B, T and quotients of such numbers.
///
/// Settled, so that those which are equal as written by exporters are equal here: each part stands once, in order, and not 0
/// times; of a quotient everything is taken out that can be divided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Length {
    constant: i64,
    parts: Vec<(Part, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Batch,
    Time,
    /// Rounded down; of what is never below 0.
    Quotient(Box<Length>, i64),
}

fn far() -> String {
    "a length out of reach".into()
}

impl Length {
    pub(super) fn of(number: i64) -> Self {
        Self {
            constant: number,
            parts: vec![],
        }
    }

    /// B.
    pub(super) fn batch() -> Self {
        Self::part(Part::Batch)
    }

    /// T.
    pub(super) fn time() -> Self {
        Self::part(Part::Time)
    }

    fn part(part: Part) -> Self {
        Self {
            constant: 0,
            parts: vec![(part, 1)],
        }
    }

    /// The number, if it depends on nothing.
    pub(super) fn number(&self) -> Option<i64> {
        self.parts.is_empty().then_some(self.constant)
    }

    pub(super) fn plus(&self, other: &Self) -> Result<Self, String> {
        let constant = self.constant.checked_add(other.constant).ok_or_else(far)?;
        let mut parts = self.parts.clone();
        for (part, count) in &other.parts {
            match parts.iter_mut().find(|(p, _)| p == part) {
                Some((_, all)) => *all = all.checked_add(*count).ok_or_else(far)?,
                None => parts.push((part.clone(), *count)),
            }
        }
        Self { constant, parts }.settled()
    }

    pub(super) fn minus(&self, other: &Self) -> Result<Self, String> {
        self.plus(&other.times(-1)?)
    }

    pub(super) fn times(&self, by: i64) -> Result<Self, String> {
        let times = |n: i64| n.checked_mul(by).ok_or_else(far);
        let parts = self.parts.iter();
        let parts = parts.map(|(p, n)| Ok((p.clone(), times(*n)?)));
        Self {
            constant: times(self.constant)?,
            parts: parts.collect::<Result<_, String>>()?,
        }
        .settled()
    }

    /// Divided by a number above 0 and rounded down.
    ///
    /// # Errors
    /// A dividend that may be below 0: ONNX rounds those up.
    pub(super) fn over(&self, by: i64) -> Result<Self, String> {
        if by <= 0 || self.least().is_none_or(|n| n < 0) {
            return Err(format!("{self} divided by {by}"));
        }
        let count = |n: i64| (n.div_euclid(by), n.rem_euclid(by));
        let (whole, rest) = count(self.constant);
        let (mut whole, mut rest) = (Self::of(whole), Self::of(rest));
        for (part, n) in &self.parts {
            let (q, r) = count(*n);
            whole.parts.push((part.clone(), q));
            rest.parts.push((part.clone(), r));
        }
        whole.settled()?.plus(&rest.settled()?.quotient(by)?)
    }

    /// Of a number whose parts stand less than `by` times each.
    fn quotient(self, by: i64) -> Result<Self, String> {
        if let [(Part::Quotient(inner, before), 1)] = &self.parts[..] {
            // A quotient of a quotient is one by the product.
            let by = by.checked_mul(*before).ok_or_else(far)?;
            let more = self.constant.checked_mul(*before).ok_or_else(far)?;
            return inner.plus(&Self::of(more))?.over(by);
        }
        let common = self.parts.iter().fold(by, |n, (_, count)| gcd(n, *count));
        let by = by / common;
        let less = Self {
            constant: self.constant / common,
            parts: self
                .parts
                .into_iter()
                .map(|(p, n)| (p, n / common))
                .collect(),
        };
        match by {
            1 => Ok(less),
            _ if less.parts.is_empty() => Ok(Self::of(less.constant / by)),
            _ => Self::part(Part::Quotient(less.into(), by)).settled(),
        }
    }

    /// The least that it may be, where no part is taken away.
    fn least(&self) -> Option<i64> {
        let mut least = self.constant;
        for (part, count) in &self.parts {
            let one = match part {
                Part::Batch | Part::Time => 1,
                Part::Quotient(inner, by) => inner.least()? / by,
            };
            let all = count.checked_mul(one).filter(|_| *count > 0)?;
            least = least.checked_add(all)?;
        }
        Some(least)
    }

    fn settled(mut self) -> Result<Self, String> {
        self.parts.retain(|(_, count)| *count != 0);
        self.parts.sort();
        if self.size() > MAX_PARTS {
            return Err("a length of too many parts".into());
        }
        Ok(self)
    }

    fn size(&self) -> usize {
        let of = |(part, _): &(Part, i64)| match part {
            Part::Batch | Part::Time => 1,
            Part::Quotient(inner, _) => 1 + inner.size(),
        };
        self.parts.iter().map(of).sum()
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        for (at, (part, count)) in self.parts.iter().enumerate() {
            match (at, *count) {
                (_, 1) if at > 0 => f.write_str("+")?,
                (_, 1) => {}
                (0, n) => write!(f, "{n}*")?,
                (_, n) => write!(f, "{n:+}*")?,
            }
            match part {
                Part::Batch => f.write_str(crate::contract::BATCH)?,
                Part::Time => f.write_str(crate::contract::SEQ_LEN)?,
                Part::Quotient(inner, by) => write!(f, "(({inner})/{by})")?,
            }
        }
        match (self.parts.is_empty(), self.constant) {
            (true, n) => write!(f, "{n}"),
            (false, 0) => Ok(()),
            (false, n) => write!(f, "{n:+}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Length {
        fn at(&self, batch: i64, time: i64) -> i64 {
            let of = |(part, count): &(Part, i64)| {
                count
                    * match part {
                        Part::Batch => batch,
                        Part::Time => time,
                        Part::Quotient(inner, by) => inner.at(batch, time) / by,
                    }
            };
            self.constant + self.parts.iter().map(of).sum::<i64>()
        }
    }

    /// T rounded up to a multiple.
    fn up(to: i64) -> Length {
        let more = Length::time().plus(&Length::of(to - 1)).unwrap();
        more.over(to).unwrap().times(to).unwrap()
    }

    #[test]
    fn equal_lengths_are_equal_however_written() {
        let t = Length::time();
        let padding = up(16).minus(&t).unwrap();
        assert_eq!(t.plus(&padding).unwrap(), up(16));
        assert_eq!(up(16).over(16).unwrap().times(16).unwrap(), up(16));
        assert_eq!(up(16).minus(&up(16)).unwrap(), Length::of(0));
        // Halves of halves are quarters.
        let half = |x: &Length| x.plus(&Length::of(1)).unwrap().over(2).unwrap();
        let quarter = t.plus(&Length::of(3)).unwrap().over(4).unwrap();
        assert_eq!(half(&half(&t)), quarter);
        assert_ne!(half(&t), quarter);
        // (2T + 5) / 4 = (T + 2) / 2 = T / 2 + 1.
        let odd = t.times(2).unwrap().plus(&Length::of(5)).unwrap();
        let plain = t.over(2).unwrap().plus(&Length::of(1)).unwrap();
        assert_eq!(odd.over(4).unwrap(), plain);
        assert_eq!(plain.to_string(), "((seq_len)/2)+1");
        let both = Length::batch().times(3).unwrap().minus(&t).unwrap();
        assert_eq!(both.to_string(), "3*batch-1*seq_len");
    }

    #[test]
    fn values_are_those_of_the_arithmetic() {
        let numbers = [1, 2, 3, 5, 16, 24];
        let (b, t) = (Length::batch(), Length::time());
        for (x, y, z) in numbers
            .iter()
            .flat_map(|x| numbers.map(|y| (x, y)))
            .flat_map(|(x, y)| numbers.map(|z| (*x, y, z)))
        {
            let sum = t.times(x).unwrap().plus(&b.times(y).unwrap()).unwrap();
            let first = sum.plus(&Length::of(z)).unwrap().over(y).unwrap();
            let second = first.plus(&Length::of(x)).unwrap().over(z).unwrap();
            let all = second.times(x).unwrap().minus(&first).unwrap();
            for (batch, time) in [(1, 1), (1, 7), (3, 2), (5, 48), (2, 1001)] {
                let one = (time * x + batch * y + z) / y;
                let two = (one + x) / z;
                assert_eq!(second.at(batch, time), two, "{second}");
                assert_eq!(all.at(batch, time), two * x - one, "{all}");
            }
        }
    }

    #[test]
    fn what_is_out_of_reach_is_refused() {
        let t = Length::time();
        let less = t.minus(&Length::of(2)).unwrap();
        assert_eq!(less.over(2).unwrap_err(), "seq_len-2 divided by 2");
        assert!(t.minus(&Length::of(1)).unwrap().over(2).is_ok());
        assert!(Length::of(3).minus(&t).unwrap().over(2).is_err());
        assert!(t.over(0).is_err());
        assert!(t.times(i64::MAX).unwrap().times(2).is_err());
        assert!(Length::of(i64::MAX).plus(&Length::of(1)).is_err());
        assert!(Length::of(i64::MIN).times(-1).is_err());
        let mut long = t.clone();
        let all = (2..100).try_for_each(|n| {
            long = long.plus(&t.over(n)?)?;
            Ok::<_, String>(())
        });
        assert_eq!(all.unwrap_err(), "a length of too many parts");
    }
}
