//! Dimensions as expressions: sums of named dimensions and quotients of such sums by a number.
//!
//! Named dimensions are at least 1: an empty batch or sequence is refused before a graph runs.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Larger expressions are given up: hostile graphs must not make them grow without end.
const MAX_SIZE: usize = 128;

/// What is not a number in an expression.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Atom {
    Symbol(String),
    /// Quotient, rounded down; of an expression that is never negative.
    Quotient(Box<Expr>, i64),
}

/// `constant + sum of factor * atom`, factors never zero. Equal expressions are equal numbers; the reverse is not promised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Expr {
    terms: BTreeMap<Atom, i64>,
    constant: i64,
}

impl Expr {
    /// A number.
    pub fn number(n: i64) -> Self {
        Self {
            terms: BTreeMap::new(),
            constant: n,
        }
    }

    /// A named dimension.
    pub fn symbol(name: &str) -> Self {
        Self::atom(Atom::Symbol(name.to_owned()))
    }

    fn atom(atom: Atom) -> Self {
        Self {
            terms: BTreeMap::from([(atom, 1)]),
            constant: 0,
        }
    }

    /// The value, if it is a number.
    pub fn as_number(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.constant)
    }

    /// The name, if it is one named dimension.
    pub fn as_symbol(&self) -> Option<&str> {
        match self.terms.iter().next() {
            Some((Atom::Symbol(s), 1)) if self.terms.len() == 1 && self.constant == 0 => Some(s),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        let of = |atom: &Atom| match atom {
            Atom::Symbol(_) => 1,
            Atom::Quotient(inner, _) => 1 + inner.size(),
        };
        1 + self.terms.keys().map(of).sum::<usize>()
    }

    /// `self + factor * other`; `None` beyond i64 or when the expression grows too large. So for all that follow.
    fn add_scaled(&self, other: &Self, factor: i64) -> Option<Self> {
        let mut sum = self.clone();
        sum.constant = sum
            .constant
            .checked_add(other.constant.checked_mul(factor)?)?;
        for (atom, n) in &other.terms {
            let n = n.checked_mul(factor)?;
            let entry = sum.terms.entry(atom.clone()).or_insert(0);
            *entry = entry.checked_add(n)?;
            if *entry == 0 {
                sum.terms.remove(atom);
            }
        }
        (sum.size() <= MAX_SIZE).then_some(sum)
    }

    /// `self + other`
    pub fn add(&self, other: &Self) -> Option<Self> {
        self.add_scaled(other, 1)
    }

    /// `self - other`
    pub fn sub(&self, other: &Self) -> Option<Self> {
        self.add_scaled(other, -1)
    }

    /// `self * other`, if one of them is a number.
    pub fn mul(&self, other: &Self) -> Option<Self> {
        match (self.as_number(), other.as_number()) {
            (_, Some(n)) => Self::default().add_scaled(self, n),
            (Some(n), _) => Self::default().add_scaled(other, n),
            _ => None,
        }
    }

    /// `self / n`, if nothing is left over whatever the named dimensions are.
    pub fn exact_div(&self, n: i64) -> Option<Self> {
        if n == 0
            || self.constant.checked_rem(n)? != 0
            || self.terms.values().any(|f| f.checked_rem(n) != Some(0))
        {
            return None;
        }
        let terms = self.terms.iter().map(|(a, f)| (a.clone(), f / n)).collect();
        Some(Self {
            terms,
            constant: self.constant / n,
        })
    }

    /// `self / n` as ONNX divides integers, for what can never be negative and n > 0.
    pub fn div(&self, n: &Self) -> Option<Self> {
        let n = n.as_number().filter(|n| *n > 0)?;
        if self.lower_bound()? < 0 {
            return None;
        }
        if let Some(value) = self.as_number() {
            return Some(Self::number(value / n));
        }
        if let Some(exact) = self.exact_div(n) {
            return Some(exact);
        }
        let quotient = Self::atom(Atom::Quotient(Box::new(self.clone()), n));
        (quotient.size() <= MAX_SIZE).then_some(quotient)
    }

    /// A number that it is never below.
    pub fn lower_bound(&self) -> Option<i64> {
        // Quotients first, with the inequalities  k * floor(e / k) >= e - (k - 1)  and  <= e; the largest terms first,
        // as these contain the others.
        let mut rest = self.clone();
        loop {
            let found = rest.terms.iter().filter_map(|(atom, f)| match atom {
                Atom::Quotient(inner, k) => {
                    Some((inner.size(), inner.as_ref().clone(), *k, *f, atom.clone()))
                }
                Atom::Symbol(_) => None,
            });
            let Some((_, inner, k, f, atom)) = found.max_by(|a, b| a.0.cmp(&b.0)) else {
                break;
            };
            rest.terms.remove(&atom);
            let (scaled, slack) = match (f % k, f.cmp(&0)) {
                (0, Ordering::Greater) => (f / k, (f / k).checked_mul(k - 1)?),
                (0, _) => (f / k, 0),
                // Not a multiple: the quotient of the least.
                (_, Ordering::Greater) => (0, (inner.lower_bound()?.max(0) / k).checked_mul(-f)?),
                _ => return None,
            };
            rest = rest
                .add_scaled(&inner, scaled)?
                .add_scaled(&Self::number(slack), -1)?;
        }
        // Named dimensions are at least 1 and have no upper bound.
        rest.terms.values().try_fold(rest.constant, |sum, f| {
            if *f < 0 { None } else { sum.checked_add(*f) }
        })
    }

    /// Whether it is never more than `other`.
    pub fn at_most(&self, other: &Self) -> bool {
        other
            .sub(self)
            .and_then(|d| d.lower_bound())
            .is_some_and(|b| b >= 0)
    }
}

impl std::fmt::Display for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut first = true;
        for (atom, factor) in &self.terms {
            let sign = if *factor < 0 { "-" } else { "+" };
            if !first || *factor < 0 {
                f.write_str(sign)?;
            }
            first = false;
            if factor.unsigned_abs() != 1 {
                write!(f, "{}*", factor.unsigned_abs())?;
            }
            match atom {
                Atom::Symbol(s) => f.write_str(s)?,
                Atom::Quotient(inner, k) => write!(f, "(({inner})/{k})")?,
            }
        }
        match self.constant {
            n if first => write!(f, "{n}"),
            0 => Ok(()),
            n => write!(f, "{n:+}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(n: i64) -> Expr {
        Expr::number(n)
    }

    /// ceil(e / 16)
    fn chunks(e: &Expr) -> Expr {
        e.add(&n(15)).unwrap().div(&n(16)).unwrap()
    }

    #[test]
    fn padded_length_covers_the_sequence() {
        let t = Expr::symbol("seq_len");
        let mut length = t;
        for _ in 0..5 {
            let count = chunks(&length);
            let padded = count.mul(&n(16)).unwrap();
            assert!(length.at_most(&padded), "{length} <= {padded}");
            assert!(!padded.at_most(&length));
            assert!(
                !length.add(&n(1)).unwrap().at_most(&padded),
                "no slack: {length}"
            );
            assert!(padded.at_most(&length.add(&n(15)).unwrap()));
            assert_eq!(padded.exact_div(16).unwrap(), count);
            assert!(n(1).at_most(&count), "{count} is at least one");
            length = count;
        }
    }

    #[test]
    fn arithmetic_cancels() {
        let t = Expr::symbol("t");
        let less = t.sub(&n(1)).unwrap();
        assert_eq!(t.sub(&less).unwrap().as_number(), Some(1));
        assert_eq!(less.add(&n(1)).unwrap().as_symbol(), Some("t"));
        assert_eq!(less.lower_bound(), Some(0));
        assert_eq!(less.to_string(), "t-1");
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!(n(i64::MAX).add(&n(1)), None);
        assert_eq!(n(i64::MIN).exact_div(-1), None);
        let mut e = Expr::symbol("t");
        let grown = (0..1000).try_for_each(|_| {
            e = e.add(&n(1))?.div(&n(3))?.mul(&n(2))?;
            Some(())
        });
        assert_eq!(grown, None);
    }
}
