//! Which of several lengths is time.

use anyhow::{Result, bail};

use super::super::axes::shown;
use super::super::{Dim, Finder, Port};

/// An axis that would be time, if its input were alone.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Which pair of inputs, its axis in the first file, and in the second, which may lack it.
    pub(super) pair: usize,
    pub(super) axis: usize,
    pub(super) there: Option<usize>,
    /// By file.
    pub(super) names: [Option<String>; 2],
    pub(super) sizes: [Option<usize>; 2],
    /// Its name by `--input`; `Some(None)`: it is T by that.
    pub(super) said: Option<Option<String>>,
    /// Whether an operator runs along it.
    pub(super) runs: bool,
}

impl Found {
    /// Whether something says that two lengths are one.
    fn is(&self, other: &Self) -> bool {
        let both = self.names.iter().zip(&other.names);
        let named = |(a, b): (&Option<String>, &Option<String>)| a.is_some() && a == b;
        let said = |a: &Self, b: &Self| match &a.said {
            Some(Some(name)) => {
                b.said == a.said || b.names.iter().any(|n| n.as_ref() == Some(name))
            }
            Some(None) => b.said == a.said,
            None => false,
        };
        both.into_iter().any(named) || said(self, other) || said(other, self)
    }

    /// Whether a file says that they are two.
    pub(super) fn is_apart(&self, other: &Self) -> bool {
        (0..2).any(|side| {
            let (a, b) = (&self.names[side], &other.names[side]);
            let sizes = [self.sizes[side], other.sizes[side]];
            a.is_some() && b.is_some() && a != b || sizes[0] != sizes[1]
        })
    }

    pub(super) fn name(&self) -> Option<&String> {
        let said = self.said.iter().flatten();
        said.chain(self.names.iter().flatten()).next()
    }
}

impl Finder<'_> {
    /// Which of the lengths are T, in a sequence file beside its step file.
    pub(super) fn time_of_step(
        &self,
        pairs: &[(Port, Port)],
        found: &[Found],
    ) -> Result<Vec<usize>> {
        let all = || 0..found.len();
        let by_name = |f: &Found| matches!(f.said, Some(Some(_)));
        let lacks = |f: &Found| f.there.is_none() || f.said == Some(None);
        let shorter = |f: &Found| match f.sizes {
            [None, Some(_)] => true,
            [Some(m), Some(n)] => n < m,
            _ => false,
        };
        let named = |f: &Found, time: &[usize]| {
            f.names[0].is_some() && time.iter().any(|t| found[*t].names[0] == f.names[0])
        };
        let mut time: Vec<usize> = all().filter(|i| lacks(&found[*i])).collect();
        if !time.is_empty() {
            for (i, f) in found.iter().enumerate() {
                if by_name(f) || time.contains(&i) || !shorter(f) {
                    continue;
                }
                match f.sizes {
                    // The same length by its name; or two numbers, which are refused where they are read.
                    _ if named(f, &time) => time.push(i),
                    [Some(_), Some(_)] => time.push(i),
                    [_, Some(1)] => return Err(self.one_or_time(&pairs[f.pair], f)),
                    _ => {}
                }
            }
            return Ok(time);
        }
        time.extend(all().filter(|i| shorter(&found[*i]) && !by_name(&found[*i])));
        if !time.is_empty() {
            return Ok(time);
        }
        // A step file that takes any number of steps.
        let time = self.one_of(pairs, found, all().filter(|i| !by_name(&found[*i])))?;
        self.beside_past(pairs, found, time)
    }

    /// The one length of several that an operator runs along.
    fn one_of(
        &self,
        pairs: &[(Port, Port)],
        found: &[Found],
        all: impl Iterator<Item = usize>,
    ) -> Result<Vec<usize>> {
        let all: Vec<usize> = all.collect();
        let mut groups = groups(found, &all);
        if groups.len() < 2 {
            return Ok(all);
        }
        // Numbers and what has no name in either file may be as long as another.
        let apart = |a: &[usize], b: &[usize]| {
            let mut both = a.iter().flat_map(|x| b.iter().map(move |y| (*x, *y)));
            both.any(|(x, y)| found[x].is_apart(&found[y]))
        };
        let all_pairs = |g: &Vec<usize>| groups.iter().any(|h| apart(g, h));
        if !groups.iter().any(all_pairs) {
            return Ok(all);
        }
        groups.retain(|g| g.iter().any(|i| found[*i].runs));
        if let [one] = groups.as_slice() {
            return Ok(one.clone());
        }
        let words = |i: &usize| {
            let f = &found[*i];
            let name = f.name().map_or(String::new(), |n| format!(" (`{n}`)"));
            format!("axis {}{name} of `{}`", f.axis, pairs[f.pair].0.name)
        };
        let list: Vec<String> = all.iter().map(words).collect();
        let lines = all.iter().filter_map(|i| {
            let (x, axis) = (&pairs[found[*i].pair].0, found[*i].axis);
            let time = self.line(&x.name, x.dims.as_ref()?, Some(axis))?;
            Some(format!("{time} or {}", self.own_line(x, axis)?))
        });
        bail!(
            "nothing tells which is time: {}; say of each that it is, or that it has a length of its own, by {}",
            list.join(", "),
            lines.collect::<Vec<_>>().join(", by ")
        )
    }

    /// One entry in the step file, which lacks the axis of time of another input.
    fn one_or_time(&self, (x, y): &(Port, Port), f: &Found) -> anyhow::Error {
        let dims = |p: &Port| shown(p.dims.as_deref().unwrap_or_default());
        let lines: Vec<String> = [
            self.line(&x.name, x.dims.as_deref().unwrap_or_default(), Some(f.axis)),
            self.sized_line(x, f.axis, "1"),
        ]
        .into_iter()
        .flatten()
        .collect();
        anyhow::anyhow!(
            "input `{}` has shapes [{}] and [{}], where other inputs of the step file lack the axis of time: nothing tells whether axis {} is time or \
             something of one entry that every step reads; say it by {}",
            x.name,
            dims(x),
            dims(y),
            f.axis,
            lines.join(" or ")
        )
    }

    /// Which of the lengths are T, in two files of one kind.
    pub(super) fn time_of_same(
        &mut self,
        pairs: &[(Port, Port)],
        found: &[Found],
    ) -> Result<Vec<usize>> {
        let by_name = |f: &Found| matches!(f.said, Some(Some(_)));
        let all: Vec<usize> = (0..found.len()).collect();
        let groups = groups(found, &all);
        let any = |g: &[usize], is: &dyn Fn(&Found) -> bool| g.iter().any(|i| is(&found[*i]));
        // What was said; where one file takes other steps a call than the other.
        let differs = |f: &Found| matches!(f.sizes, [Some(m), Some(n)] if m != n);
        let sure = groups
            .iter()
            .find(|g| any(g, &|f| f.said == Some(None)))
            .or_else(|| groups.iter().find(|g| self.fed && any(g, &differs)));
        let mut time = match sure {
            Some(group) => group.clone(),
            None if self.fed => {
                let free = all.iter().copied().filter(|i| !by_name(&found[*i]));
                let one = self.one_of(pairs, found, free)?;
                self.refuse_beside_past(pairs, found, &one)?;
                if self.is_read_whole(pairs, found, &one) {
                    return Ok(vec![]);
                }
                one
            }
            None => {
                let fixed = |f: &Found| f.sizes.iter().any(Option::is_some);
                let free = |g: &&Vec<usize>| !any(g, &fixed) && !any(g, &by_name);
                let ran = groups.iter().filter(free).find(|g| any(g, &|f| f.runs));
                let first = ran
                    .or_else(|| groups.iter().find(free))
                    .or_else(|| groups.iter().find(|g| !any(g, &by_name)));
                first.cloned().unwrap_or_default()
            }
        };
        // Numbers alone, and the same: nothing says that they are two.
        for i in all {
            let number = |f: &Found| f.sizes.iter().any(Option::is_some);
            let alike = !time.is_empty()
                && time.iter().all(|t| !found[*t].is_apart(&found[i]))
                && number(&found[i]);
            if !time.contains(&i) && !by_name(&found[i]) && alike {
                time.push(i);
            }
        }
        self.drawn_alike(found, &time);
        Ok(time)
    }

    /// Two step files that read something of any length whole: nothing that they give is as long as it is.
    fn is_read_whole(&self, pairs: &[(Port, Port)], found: &[Found], time: &[usize]) -> bool {
        let with = |pair: usize| time.iter().any(|t| found[*t].pair == pair);
        let still = (0..pairs.len()).any(|i| !with(i) && self.given(&pairs[i].0).is_none());
        let quiet = |i: &usize| {
            let f = &found[*i];
            !f.runs && f.said.is_none() && f.sizes == [None; 2] && f.names[0].is_some()
        };
        let given_back = |f: &Found| {
            self.files[0].outputs().iter().any(|o| match &o.dims {
                Some(dims) => dims.iter().any(|d| match d {
                    Dim::Symbol(name) => f.names[0].as_ref() == Some(name),
                    Dim::Unknown => true,
                    Dim::Fixed(_) => false,
                }),
                None => true,
            })
        };
        still && time.iter().all(quiet) && !time.iter().any(|i| given_back(&found[*i]))
    }

    /// Says which lengths are one in one file only.
    fn drawn_alike(&mut self, found: &[Found], time: &[usize]) {
        for side in 0..2 {
            let mut names: Vec<&String> = vec![];
            for name in time.iter().filter_map(|i| found[*i].names[side].as_ref()) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            if names.len() > 1 {
                let list: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
                self.notes.push(format!(
                    "the lengths {} were drawn alike only: {} has one for them",
                    list.join(", "),
                    self.files[1 - side].name()
                ));
            }
        }
    }
}

/// Those that something says are one, together.
pub(super) fn groups(found: &[Found], all: &[usize]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = vec![];
    for i in all {
        let joins = |g: &Vec<usize>| g.iter().any(|j| found[*i].is(&found[*j]));
        let (mut one, rest): (Vec<_>, Vec<_>) = groups.into_iter().partition(joins);
        let mut group = one.drain(..).flatten().collect::<Vec<usize>>();
        group.push(*i);
        group.sort_unstable();
        groups = rest;
        groups.push(group);
        groups.sort();
    }
    groups
}
