//! Sizes of lengths that follow from others, in a run and in each of its calls; which lengths nobody says are sums.

use anyhow::{Result, bail};

use super::case::Two;
use super::interface::{Interface, Length, Link, Sum, is_past};
use super::spec::Role;
use super::tensor::Tensor;

/// Of more lengths than these, all others are tried as one.
const TRIED: usize = 3;

impl Length {
    /// Whether its size is free: it is neither T, nor what follows from the states or other lengths.
    pub(super) fn is_open(&self) -> bool {
        !self.as_time && self.begins.is_none() && self.sum.is_none()
    }

    /// The lengths that it is the sum of, by other numbers.
    pub(super) fn follow(&mut self, roles: &[Role]) {
        let Some(sum) = &mut self.sum else {
            return;
        };
        let old = std::mem::take(&mut sum.lengths);
        for k in old {
            match roles[k] {
                Role::Length(now) => sum.lengths.push(now),
                _ => sum.time += 1,
            }
        }
    }
}

impl Interface {
    /// Lengths of a run of so many steps, with those that are sums of others.
    pub(crate) fn completed(&self, time: usize, mut others: Vec<usize>) -> Vec<usize> {
        for (k, length) in self.lengths.iter().enumerate() {
            if let Some(sum) = &length.sum {
                others[k] = sum.of(time, &others);
            }
        }
        others
    }

    /// Those of a run from the initial states.
    pub(crate) fn begun(&self, time: usize, mut others: Vec<usize>) -> Vec<usize> {
        for (size, length) in others.iter_mut().zip(&self.lengths) {
            *size = length.begins.unwrap_or(*size);
        }
        self.completed(time, others)
    }

    /// Whether there is a state that grows.
    pub(crate) fn grows(&self) -> bool {
        self.lengths.iter().any(|l| l.begins.is_some())
    }

    /// Those of a call of so many steps that begins with these states: a past is as long as they are.
    pub(crate) fn others_of(&self, time: usize, others: &[usize], states: &[Tensor]) -> Vec<usize> {
        let mut others = others.to_vec();
        for (state, t) in self.states.iter().zip(states) {
            for (role, size) in state.shape.iter().zip(t.shape()) {
                if let Role::Length(k) = role
                    && self.lengths[*k].begins.is_some()
                {
                    others[*k] = *size;
                }
            }
        }
        self.completed(time, others)
    }

    /// As long as a run of so many steps needs inputs: those along a past go on to its end.
    pub(super) fn drawn(&self, time: usize, others: &[usize]) -> Vec<usize> {
        let mut others = others.to_vec();
        for (size, length) in others.iter_mut().zip(&self.lengths) {
            if length.begins.is_some() {
                *size = size.saturating_add(time);
            }
        }
        others
    }

    /// An input up to where a call reads it, along what goes with the past.
    pub(super) fn grown(&self, link: &Link, t: Tensor, others: &[usize]) -> Result<Tensor> {
        let mut t = t;
        for (axis, role) in link.roles.iter().enumerate() {
            let Role::Length(k) = role else {
                continue;
            };
            let has = t.shape().get(axis).copied().unwrap_or(0);
            if self.goes_with_past(*k) && others[*k] < has {
                t = t.cut(axis, 0, others[*k])?;
            }
        }
        Ok(t)
    }

    fn goes_with_past(&self, k: usize) -> bool {
        let begins = |k: &usize| self.lengths[*k].begins.is_some();
        let sum = self.lengths[k].sum.as_ref();
        begins(&k) || sum.is_some_and(|sum| sum.lengths.iter().any(begins))
    }

    /// Whether a length may be 0: a past, or what is said to be one.
    pub(super) fn may_be_empty(&self, k: usize) -> bool {
        let mut sums = self.lengths.iter().filter_map(|l| l.sum.as_ref());
        is_past(&self.lengths[k].name) || sums.any(|sum| sum.time > 0 && sum.lengths.contains(&k))
    }
}

impl Two {
    /// Lengths of no size that anything says.
    pub(super) fn open_lengths(&self) -> Vec<usize> {
        let all = 0..self.face.lengths.len();
        all.filter(|k| self.face.lengths[*k].is_open()).collect()
    }

    /// Finds what is a sum of other lengths though no name says so: files that refuse any lengths run with these.
    ///
    /// # Errors
    /// A name that is a sum of something unknown, beside a past that grows, where the files take any length.
    pub(super) fn find_summed(&mut self) -> Result<()> {
        let open = self.open_lengths();
        let all: Vec<usize> = (0..self.face.lengths.len()).collect();
        let finest: Vec<usize> = (1..=all.len()).collect();
        let mut can = open.clone();
        can.extend(all.iter().filter(|k| self.face.lengths[**k].as_time));
        let pasts = all
            .iter()
            .filter(|k| self.face.lengths[**k].begins.is_some());
        let parts: Vec<usize> = pasts.chain(&open).copied().collect();
        if can.is_empty() || parts.is_empty() {
            return Ok(());
        }
        if self.runs_with(&finest).is_ok() {
            return self.refuse_unknown_sums(&open);
        }
        // The keys and the values of all layers are of one length, which may have no name either.
        let alike = |k: usize| -> Vec<usize> {
            let others: Vec<usize> = open.iter().copied().filter(|j| *j != k).collect();
            let one = |j: usize| others.first().filter(|_| others.contains(&j));
            all.iter().map(|j| 1 + *one(*j).unwrap_or(j)).collect()
        };
        let few = open.len() <= TRIED;
        for k in can {
            let groupings = [Some(finest.clone()).filter(|_| few), Some(alike(k))];
            for groups in groupings.into_iter().flatten() {
                let apart: Vec<usize> = parts
                    .iter()
                    .copied()
                    .filter(|p| *p != k && groups[*p] == *p + 1)
                    .collect();
                for sum in sums_of(&apart) {
                    let old = self.face.lengths[k].clone();
                    let length = &mut self.face.lengths[k];
                    length.as_time = false;
                    length.sum = Some(sum.clone());
                    if self.runs_with(&groups).is_ok() {
                        self.say_sum(k, &sum);
                        if !few {
                            self.tie(&groups, "the files refuse others");
                        }
                        return Ok(());
                    }
                    self.face.lengths[k] = old;
                }
            }
        }
        Ok(())
    }

    /// A name such as `Foo+T`, of which nothing tells what `Foo` is: the past, perhaps.
    fn refuse_unknown_sums(&self, open: &[usize]) -> Result<()> {
        let summed = |k: &&usize| self.face.lengths[**k].name.contains('+');
        let Some(k) = open.iter().find(summed).filter(|_| self.face.grows()) else {
            return Ok(());
        };
        let is = |r: &Role| *r == Role::Length(*k);
        let mut links = self.face.links.iter();
        let Some(link) = links.find(|l| l.roles.iter().any(is)) else {
            return Ok(());
        };
        let axis = link.roles.iter().position(is).unwrap_or(0);
        let line = |word: &str| {
            let one = |r: &Role| match r {
                Role::Batch => "B".to_owned(),
                Role::Time => "T".to_owned(),
                Role::Fixed(n) => n.to_string(),
                Role::Length(j) if j == k => word.to_owned(),
                Role::Length(j) => self.face.lengths[*j].name.clone(),
            };
            let dims: Vec<String> = link.roles.iter().map(one).collect();
            format!("--input {}={}", link.names[0], dims.join(","))
        };
        bail!(
            "axis {axis} of `{}` is called `{}`, and nothing tells what that is the sum of; where it goes over the past and the new steps, say \
             {}; where it has a length of its own, {}",
            link.names[0],
            self.face.lengths[*k].name,
            line("P+T"),
            line("S")
        )
    }

    fn say_sum(&mut self, k: usize, sum: &Sum) {
        let name = |k: &usize| format!("`{}`", self.face.lengths[*k].name);
        let mut of: Vec<String> = sum.lengths.iter().map(name).collect();
        if sum.time > 0 {
            of.push("the steps".into());
        }
        let note = format!(
            "the length {} is that of {} together: the files refuse others",
            name(&k),
            of.join(" and ")
        );
        let same =
            |n: &String| n.starts_with("axis") && n.contains("of its own") && n.contains(&name(&k));
        self.face.notes.retain(|n| !same(n));
        self.face.notes.push(note);
    }
}

/// Sums of these: of one with T, or of two.
fn sums_of(parts: &[usize]) -> Vec<Sum> {
    let sum = |time, lengths| Sum {
        time,
        lengths,
        plus: 0,
        minus: 0,
    };
    let mut all: Vec<Sum> = parts.iter().map(|p| sum(1, vec![*p])).collect();
    for (i, a) in parts.iter().enumerate() {
        all.extend(parts[i + 1..].iter().map(|b| sum(0, vec![*a, *b])));
    }
    all
}
