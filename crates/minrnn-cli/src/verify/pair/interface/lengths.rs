//! Lengths that are not T: of a memory that every step reads whole, or of an input whose length has a name of its own.
//!
//! In a step file time is what the sequence has more of: an axis that the step file has as long as the sequence file is none, where
//! another input goes along time. Which lengths are one is said by names, in either file; what nothing says is tried.

mod past;
mod time;

use anyhow::{Result, bail};

use super::axes::quoted;
use super::clues::Time;
use super::flow::{Meaning, Weight};
use super::{Dim, Finder, Kind, Port, Role, Sum};
use time::{Found, groups};

/// A length that is not T.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Length {
    /// As messages name it.
    pub(crate) name: String,
    /// As many entries as the sequence has steps, of which every step reads all.
    pub(crate) as_time: bool,
    /// The size of a run that asks something else.
    pub(crate) usual: usize,
    /// Sizes at which both files run, ascending.
    pub(crate) sizes: Vec<usize>,
    /// Of states that grow: how many entries they have before the first step.
    pub(crate) begins: Option<usize>,
    /// What it is the sum of, if it is one.
    pub(crate) sum: Option<Sum>,
}

/// What an axis is that has a length and is not time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Length(usize),
    Fixed(usize),
}

impl Finder<'_> {
    /// Finds the lengths that are not T.
    ///
    /// # Errors
    /// Where it cannot be told which of several lengths is time.
    pub(super) fn find_lengths(&mut self, pairs: &[(Port, Port)]) -> Result<()> {
        let found = self.with_lengths(pairs);
        let time = match self.kind {
            Kind::Step => self.time_of_step(pairs, &found)?,
            Kind::Same => self.time_of_same(pairs, &found)?,
        };
        for at in &time {
            for side in 0..2 {
                self.time_names[side].extend(found[*at].names[side].clone());
            }
        }
        let own: Vec<usize> = (0..found.len()).filter(|i| !time.contains(i)).collect();
        for group in groups(&found, &own) {
            self.own_group(pairs, &found, &group)?;
        }
        Ok(())
    }

    /// Axes that have a length, as each input says by itself.
    fn with_lengths(&self, pairs: &[(Port, Port)]) -> Vec<Found> {
        let mut all = vec![];
        for (pair, (x, y)) in pairs.iter().enumerate() {
            if let Some(spec) = self.request.inputs.get(&x.name)
                && let Some(roles) = &spec.dims
            {
                for (axis, role) in roles.iter().enumerate() {
                    let said = match role {
                        Role::Time => None,
                        Role::Length(i) => spec.lengths.get(*i).cloned(),
                        _ => continue,
                    };
                    all.push(self.found(pair, (x, y), axis, Some(said)));
                }
            } else if let Ok(Time::Axis(axis)) = self.time_axis(x, y, false)
                && self.own_at(0, x, axis).is_none()
            {
                all.push(self.found(pair, (x, y), axis, None));
            }
        }
        all
    }

    fn found(
        &self,
        pair: usize,
        (x, y): (&Port, &Port),
        axis: usize,
        said: Option<Option<String>>,
    ) -> Found {
        let ranks = [x, y].map(|p| p.dims.as_ref().map(Vec::len));
        let time = match &said {
            None => Some(axis),
            Some(_) => self
                .given(x)
                .and_then(|roles| roles.iter().position(|r| *r == Role::Time)),
        };
        let there = match (ranks, time) {
            ([Some(a), Some(b)], Some(t)) if a == b + 1 => {
                (axis != t).then(|| axis - usize::from(axis > t))
            }
            _ => Some(axis),
        };
        let dim = |port: &Port, axis: Option<usize>| port.dims.as_ref()?.get(axis?).cloned();
        let dims = [dim(x, Some(axis)), dim(y, there)];
        let runs = |side: usize, port: &Port, axis: Option<usize>| {
            let mut clues = self.flows[side].clues.iter();
            clues.any(|c| {
                c.input == port.name
                    && Some(c.axis) == axis
                    && c.meaning == Meaning::Time
                    && matches!(c.weight, Weight::Strong | Weight::Sum)
            })
        };
        Found {
            pair,
            axis,
            there,
            names: dims.each_ref().map(|d| match d {
                Some(Dim::Symbol(name)) => Some(name.clone()),
                _ => None,
            }),
            sizes: dims
                .each_ref()
                .map(|d| d.as_ref().and_then(|d| self.fixed(d))),
            said,
            runs: runs(0, x, Some(axis)) || runs(1, y, there),
        }
    }

    /// Axes of one length that is not T.
    fn own_group(
        &mut self,
        pairs: &[(Port, Port)],
        found: &[Found],
        group: &[usize],
    ) -> Result<()> {
        let mut size: Option<(usize, usize)> = None;
        for i in group {
            for side in 0..2 {
                match (size, found[*i].sizes[side]) {
                    (Some((m, j)), Some(n)) if m != n => {
                        let of = |i: usize| &pairs[found[i].pair].0.name;
                        bail!(
                            "`{}` and `{}` have one length, which is {m} in one place and {n} in the other (axis {})",
                            of(j),
                            of(*i),
                            found[*i].axis
                        );
                    }
                    (None, Some(n)) => size = Some((n, *i)),
                    _ => {}
                }
            }
        }
        let first = &found[group[0]];
        let x = &pairs[first.pair].0;
        let name = group.iter().find_map(|i| found[*i].name());
        let name = name.map_or_else(
            || format!("axis {} of {}", first.axis, x.name),
            String::clone,
        );
        let of_time = |f: &Found| {
            self.kind == Kind::Step
                && f.names[0]
                    .as_ref()
                    .is_some_and(|n| self.time_names[0].contains(n))
        };
        let as_time = group.iter().any(|i| of_time(&found[*i]));
        let own = match size {
            Some((n, _)) => Own::Fixed(n),
            None => Own::Length(self.new_length(name, as_time)),
        };
        for i in group {
            let f = &found[*i];
            let (x, y) = &pairs[f.pair];
            self.own[0].insert((x.name.clone(), f.axis), own);
            if let Some(there) = f.there {
                self.own[1].insert((y.name.clone(), there), own);
            }
            for side in 0..2 {
                if let Some(name) = &f.names[side]
                    && !self.time_names[side].contains(name)
                {
                    self.own_names[side].insert(name.clone(), own);
                }
            }
            if let Some(Some(name)) = &f.said {
                if let Own::Length(k) = own {
                    self.said_sum(k, name);
                }
                self.said_names.insert(name.clone(), own);
            }
        }
        Ok(())
    }

    pub(super) fn new_length(&mut self, name: String, as_time: bool) -> usize {
        self.lengths.push(Length {
            name,
            as_time,
            usual: 1,
            sizes: vec![],
            begins: None,
            sum: None,
        });
        self.lengths.len() - 1
    }

    /// What an axis is, if it has a length that is not T.
    pub(super) fn own_at(&self, side: usize, port: &Port, axis: usize) -> Option<Own> {
        let by_axis = self.own[side].get(&(port.name.clone(), axis));
        let by_name = match port.dims.as_ref()?.get(axis)? {
            Dim::Symbol(name) => self.own_names[side].get(name),
            _ => None,
        };
        by_axis.or(by_name).copied()
    }

    /// What `--input` says of an input, with the lengths that it names.
    pub(super) fn given_roles(&mut self, port: &Port) -> Option<Vec<Role>> {
        let request = self.request;
        let spec = request.inputs.get(&port.name)?;
        let one = |role: &Role| {
            let Role::Length(i) = role else {
                return *role;
            };
            let name = spec.lengths.get(*i).cloned().unwrap_or_default();
            let known = self.said_names.get(&name).or_else(|| {
                let mut sides = self.own_names.iter();
                sides.find_map(|names| names.get(&name))
            });
            let own = match known {
                Some(own) => *own,
                None => {
                    let length = self.new_length(name.clone(), false);
                    self.said_sum(length, &name);
                    let own = Own::Length(length);
                    self.said_names.insert(name, own);
                    own
                }
            };
            own.role()
        };
        Some(spec.dims.as_ref()?.iter().map(one).collect())
    }

    /// Says which axes of an input have a length that is not T.
    pub(super) fn lengths_note(&mut self, x: &Port, roles: &[Role]) {
        for (axis, role) in roles.iter().enumerate() {
            let dim = x.dims.as_ref().and_then(|d| d.get(axis));
            let shown = dim.map_or(String::new(), |d| format!(" (`{d}`)"));
            let note = match role {
                Role::Length(k) if self.lengths[*k].as_time => format!(
                    "`{}` has as many entries along axis {axis}{shown} as there are steps, and every step reads all of them",
                    x.name
                ),
                // That is said when it is known what it is the sum of.
                Role::Length(k) if self.is_sum(*k) => continue,
                Role::Length(_) => {
                    format!("axis {axis}{shown} of `{}` has a length of its own", x.name)
                }
                Role::Fixed(n) if self.own_at(0, x, axis).is_some() => {
                    format!("axis {axis}{shown} of `{}` has {n} entries", x.name)
                }
                _ => continue,
            };
            self.notes.push(note);
        }
    }

    /// The option that gives an axis a length of its own.
    pub(super) fn own_line(&self, port: &Port, axis: usize) -> Option<String> {
        let name = match port.dims.as_ref()?.get(axis)? {
            Dim::Symbol(name) if super::super::flags::is_length(name) => name.clone(),
            _ => "S".to_owned(),
        };
        self.sized_line(port, axis, &name)
    }

    pub(super) fn sized_line(&self, port: &Port, axis: usize, word: &str) -> Option<String> {
        let dims = port.dims.as_ref()?;
        let mut rows = 0;
        let one = |(i, dim): (usize, &Dim)| match self.fixed(dim) {
            _ if i == axis => word.to_owned(),
            Some(n) => n.to_string(),
            None => {
                rows += 1;
                "B".into()
            }
        };
        let list: Vec<String> = dims.iter().enumerate().map(one).collect();
        let text = format!("{}={}", port.name, list.join(","));
        (rows < 2).then(|| format!("--input {}", quoted(&text)))
    }
}

impl Own {
    pub(super) fn role(self) -> Role {
        match self {
            Self::Length(i) => Role::Length(i),
            Self::Fixed(n) => Role::Fixed(n),
        }
    }
}
