//! Lengths and numbers that are sums, and the words that say so.

use super::{Finder, Link, Role};

/// A length that is the sum of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// How many times T is in it.
    pub(crate) time: usize,
    /// The lengths that are in it, as [`Role::Length`] counts them.
    pub(crate) lengths: Vec<usize>,
    pub(crate) plus: usize,
    /// What is taken away from all that.
    pub(crate) minus: usize,
}

impl Sum {
    /// Of a run, or a call, of so many steps; 0 at the least.
    pub(crate) fn of(&self, time: usize, others: &[usize]) -> usize {
        let lengths = self.lengths.iter().filter_map(|k| others.get(*k));
        let begin = self.time.saturating_mul(time).saturating_add(self.plus);
        let all = lengths.fold(begin, |sum, n| sum.saturating_add(*n));
        all.saturating_sub(self.minus)
    }

    /// The same as a number that an input is filled with, which may be below 0.
    pub(crate) fn number(&self, time: usize, others: &[usize]) -> f64 {
        let all = Self {
            minus: 0,
            ..self.clone()
        };
        all.of(time, others) as f64 - self.minus as f64
    }
}

/// A word of a sum as its words and the whole number that is taken away from them: `T-1`.
pub(crate) fn less(word: &str) -> (&str, usize) {
    let parts = word.rsplit_once('-');
    let less = parts.and_then(|(rest, n)| Some((rest.trim_end(), n.trim().parse().ok()?)));
    match less {
        Some((rest, n)) if !rest.is_empty() => (rest, n),
        _ => (word, 0),
    }
}

impl Finder<'_> {
    /// Says which axes are as long as others together.
    pub(super) fn sums_note(&mut self, links: &[Link]) {
        for link in links {
            for (axis, role) in link.roles.iter().enumerate() {
                if let Role::Length(k) = role
                    && let Some(sum) = &self.lengths[*k].sum
                {
                    let note = format!(
                        "axis {axis} of `{}` is as long as {} together",
                        link.names[0],
                        self.sum_words(sum)
                    );
                    self.notes.push(note);
                }
            }
        }
    }

    /// What a sum is, in words.
    pub(super) fn sum_words(&self, sum: &Sum) -> String {
        let mut parts: Vec<String> = sum
            .lengths
            .iter()
            .map(|k| format!("`{}`", self.lengths[*k].name))
            .collect();
        if sum.time > 0 {
            parts.push("the steps".into());
        }
        if sum.plus > 0 {
            parts.push(sum.plus.to_string());
        }
        let less = match sum.minus {
            0 => String::new(),
            n => format!(", less {n},"),
        };
        parts.join(" and ") + &less
    }
}

pub(super) fn words(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphabetic());
    words.filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// Whether a name speaks of what was before: such a length may be 0.
pub(crate) fn is_past(name: &str) -> bool {
    let is = |w: &String| ["past", "cache", "cached", "prev", "previous"].contains(&w.as_str());
    words(name).iter().any(is) && !is_total(name)
}

pub(super) fn is_total(name: &str) -> bool {
    name.contains('+')
        || words(name)
            .iter()
            .any(|w| ["total", "all", "present"].contains(&w.as_str()))
}
