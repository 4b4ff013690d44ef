//! What the axes of an input are: rows, time, or of a fixed size.

use anyhow::{Result, bail};

use super::super::unused::agree;
use super::clues::{Hint, Time, counted, hints, is_rows, mixes, time};
use super::flow::{Meaning, Weight};
use super::{Dim, Finder, Kind, Port, Role};

impl Finder<'_> {
    pub(super) fn given(&self, port: &Port) -> Option<&Vec<Role>> {
        self.request.inputs.get(&port.name)?.dims.as_ref()
    }

    /// What a file says about each axis of an input: its names, its graph, and what is known of other inputs by the same names.
    pub(super) fn said(&self, side: usize, port: &Port) -> Vec<Vec<Hint>> {
        let dims = port.dims.as_deref().unwrap_or_default();
        let one = |(axis, dim): (usize, &Dim)| {
            let mut all = hints(self.files[side], &self.flows[side], port, axis);
            if let Dim::Symbol(name) = dim
                && let Some((meaning, of)) = self.known[side].get(name)
                && *of != port.name
            {
                let what = match meaning {
                    Meaning::Time => "the time",
                    Meaning::Rows => "the batch",
                };
                all.push(Hint {
                    meaning: *meaning,
                    weight: Weight::Strong,
                    words: format!("is called `{name}`, as is {what} of `{of}`"),
                });
            }
            all
        };
        dims.iter().enumerate().map(one).collect()
    }

    fn dims<'p>(&self, side: usize, port: &'p Port) -> Result<&'p [Dim]> {
        match &port.dims {
            Some(dims) => Ok(dims),
            None => bail!(
                "input `{}` of {}: its shape is not declared; give it as --input {}=B,T,..",
                port.name,
                self.files[side].name(),
                port.name
            ),
        }
    }

    /// Where the first file's input has its axis of time.
    pub(super) fn time_axis(&self, x: &Port, y: &Port, lone: bool) -> Result<Time> {
        if let Some(roles) = self.given(x) {
            let at = roles.iter().position(|r| *r == Role::Time);
            return Ok(at.map_or(Time::Nowhere, Time::Axis));
        }
        let dims = self.dims(0, x)?;
        if self.kind == Kind::Step {
            return self.step_axis((x, dims), self.dims(1, y)?);
        }
        let mut all = self.said(0, x);
        let mut free: Vec<bool> = dims.iter().map(|d| self.fixed(d).is_none()).collect();
        if let Some(other) = &y.dims {
            if other.len() != dims.len() {
                bail!(
                    "`{}` has the shape [{}] in {}, `{}` has [{}] in {}",
                    x.name,
                    shown(dims),
                    self.files[0].name(),
                    y.name,
                    shown(other),
                    self.files[1].name()
                );
            }
            for (i, (more, dim)) in self.said(1, y).into_iter().zip(other).enumerate() {
                all[i].extend(more);
                free[i] &= self.fixed(dim).is_none();
            }
        }
        let found = time(&all, &free, lone).map_err(|why| self.contradiction(x, dims, &why))?;
        let other = y.dims.as_deref().unwrap_or_default();
        Ok(match found {
            Time::Nowhere if self.fed => self.frames_apart(dims, other).unwrap_or(Time::Nowhere),
            known => known,
        })
    }

    /// Two step files of which one takes more frames a call: the only axis that differs.
    fn frames_apart(&self, a: &[Dim], b: &[Dim]) -> Option<Time> {
        let differs = |(i, (a, b)): (usize, (&Dim, &Dim))| {
            let (m, n) = (self.fixed(a)?, self.fixed(b)?);
            (m != n).then_some((i, m, n))
        };
        let mut all = a.iter().zip(b).enumerate().filter_map(differs);
        let (axis, m, n) = all.next().filter(|_| a.len() == b.len())?;
        let multiple = n > 0 && m.is_multiple_of(n) || m > 0 && n.is_multiple_of(m);
        (multiple && all.next().is_none()).then_some(Time::Axis(axis))
    }

    fn contradiction(&self, x: &Port, dims: &[Dim], why: &str) -> anyhow::Error {
        let lines: Vec<String> = (0..dims.len())
            .filter(|i| dims[*i] != Dim::Fixed(1))
            .filter_map(|i| self.line(&x.name, dims, Some(i)))
            .collect();
        let lines = match lines.as_slice() {
            [] => format!("--input {}=..", x.name),
            some => some.join(" or "),
        };
        anyhow::anyhow!(
            "input `{}` [{}]: {why}; say which axis is time, by {lines}",
            x.name,
            shown(dims)
        )
    }

    /// The option that says what the axes are, if time is that one.
    pub(super) fn line(&self, name: &str, dims: &[Dim], time: Option<usize>) -> Option<String> {
        let mut rows = 0;
        let one = |(i, dim): (usize, &Dim)| match self.fixed(dim) {
            _ if Some(i) == time => "T".into(),
            Some(n) => n.to_string(),
            None => {
                rows += 1;
                "B".into()
            }
        };
        let list: Vec<String> = dims.iter().enumerate().map(one).collect();
        (rows < 2).then(|| format!("--input {}", quoted(&format!("{name}={}", list.join(",")))))
    }

    /// Time is the axis that the step file lacks, or has with one entry.
    fn step_axis(&self, (x, dims): (&Port, &[Dim]), step: &[Dim]) -> Result<Time> {
        let all = self.said(0, x);
        let free: Vec<bool> = dims.iter().map(|d| self.fixed(d).is_none()).collect();
        let said = time(&all, &free, false).map_err(|why| self.contradiction(x, dims, &why))?;
        let strong = |axis: usize, meaning: Meaning| {
            let is = |h: &&Hint| h.meaning == meaning && h.weight == Weight::Strong;
            all[axis].iter().find(is)
        };
        let sure = match said {
            Time::Axis(k) => {
                let is = |h: &&Hint| h.meaning == Meaning::Time && h.weight > Weight::Weak;
                all[k].iter().find(is).map(|h| (k, h))
            }
            _ => None,
        };
        let fit = |axis: usize| self.score(dims, step, axis, sure.map(|(k, _)| k) == Some(axis));
        // An axis of rows that is fixed in the step file is one of rows all the same.
        let rows = |axis: usize| dims.len() == step.len() && is_rows(&all[axis]);
        let scores: Vec<(usize, usize)> = (0..dims.len())
            .filter(|i| !rows(*i))
            .filter_map(|i| Some((fit(i)?, i)))
            .collect();
        if let Some((k, hint)) = sure {
            if scores.iter().any(|(_, i)| *i == k) {
                return Ok(Time::Axis(k));
            }
            bail!(
                "input `{}` [{}]: axis {k} {}, but {} has [{}], which is not the same for one step of that axis; say what they are by --input {}=..",
                x.name,
                shown(dims),
                hint.words,
                self.files[1].name(),
                shown(step),
                x.name
            );
        }
        let Some((best, _)) = scores.iter().max() else {
            if dims.len() == step.len() {
                return Ok(Time::Nowhere);
            }
            bail!(
                "input `{}` has shapes [{}] and [{}], of which none is the other without time",
                x.name,
                shown(dims),
                shown(step)
            );
        };
        let axes: Vec<usize> = scores
            .iter()
            .filter(|(s, _)| s == best)
            .map(|(_, i)| *i)
            .collect();
        let lines = |axes: &[usize]| -> String {
            let lines: Vec<String> = axes
                .iter()
                .filter_map(|i| self.line(&x.name, dims, Some(*i)))
                .collect();
            lines.join(" or ")
        };
        match (axes.as_slice(), said) {
            ([axis], _) => match strong(*axis, Meaning::Rows) {
                Some(rows) => bail!(
                    "input `{}` has shapes [{}] and [{}], as if axis {axis} were time, but it {}; say which axis is time, by {}",
                    x.name,
                    shown(dims),
                    shown(step),
                    rows.words,
                    lines(&axes)
                ),
                None => Ok(Time::Axis(*axis)),
            },
            (_, Time::Axis(k)) if axes.contains(&k) => Ok(Time::Axis(k)),
            _ => bail!(
                "input `{}` has shapes [{}] and [{}]: time may be any of the axes {axes:?}; say which by {}",
                x.name,
                shown(dims),
                shown(step),
                lines(&axes)
            ),
        }
    }

    /// How well the other dimensions fit, if this one is the time; `None`: not at all. `sure`: whatever else, it is known to be.
    fn score(&self, dims: &[Dim], step: &[Dim], axis: usize, sure: bool) -> Option<usize> {
        let fits = |a: &Dim, b: &Dim| !matches!((a, b), (Dim::Fixed(m), Dim::Fixed(n)) if m != n);
        // A name that a program counted out is another one's in another file.
        let equal = |a: &Dim, b: &Dim| {
            a == b && !matches!(a, Dim::Unknown) && !matches!(a, Dim::Symbol(s) if counted(s))
        };
        let without = |all: &[Dim]| -> Vec<Dim> { [&all[..axis], &all[axis + 1..]].concat() };
        let rest = if dims.len() == step.len() {
            // Fewer steps than the sequence has; where time is known, as many or any number too.
            let fewer = match (self.fixed(&dims[axis]), self.fixed(&step[axis])) {
                (Some(m), Some(n)) => n < m && m.is_multiple_of(n) || sure && m.is_multiple_of(n),
                (None, Some(_)) => true,
                (_, None) => sure,
            };
            fewer.then(|| without(step))?
        } else if dims.len() == step.len() + 1 {
            step.to_vec()
        } else {
            return None;
        };
        let others = without(dims);
        let pairs = || others.iter().zip(&rest);
        pairs()
            .all(|(a, b)| fits(a, b))
            .then(|| pairs().filter(|(a, b)| equal(a, b)).count())
    }

    /// What the axes of an input are that one value fills.
    pub(super) fn filled_roles(&mut self, side: usize, port: &Port) -> Result<Vec<Role>> {
        let dims = self.dims(side, port)?.to_vec();
        let free: Vec<bool> = dims.iter().map(|d| self.fixed(d).is_none()).collect();
        let found = time(&self.said(side, port), &free, false);
        let found = found.map_err(|why| self.contradiction(port, &dims, &why))?;
        let time = match found {
            Time::Axis(axis) if free[axis] => Some(axis),
            _ => None,
        };
        self.roles((side, port), None, time)
    }

    /// Remembers what the names of an input's dimensions stand for.
    pub(super) fn learn(
        &mut self,
        side: usize,
        port: &Port,
        axis: Option<usize>,
        meaning: Meaning,
    ) {
        let dims = port.dims.as_deref().unwrap_or_default();
        if let Some(Dim::Symbol(name)) = axis.and_then(|a| dims.get(a)) {
            let known = self.known[side].entry(name.clone());
            known.or_insert_with(|| (meaning, port.name.clone()));
        }
    }

    /// What the axes of an input are that is in both files, or in one.
    pub(super) fn roles(
        &mut self,
        (side, x): (usize, &Port),
        y: Option<&Port>,
        time: Option<usize>,
    ) -> Result<Vec<Role>> {
        for port in [Some(x), y].into_iter().flatten() {
            self.refuse_empty(port)?;
        }
        if let Some(roles) = self.given(x).cloned() {
            let dims = x.dims.clone().unwrap_or_default();
            let sizes: Vec<Option<usize>> = dims.iter().map(|d| self.fixed(d)).collect();
            agree(&x.name, &roles, &sizes)?;
            for (role, size) in roles.iter().zip(&sizes) {
                if let (Role::Batch, Some(n)) = (role, size) {
                    self.only_batch(*n, &x.name)?;
                }
            }
            return Ok(roles);
        }
        let dims = self.dims(side, x)?.to_vec();
        let said = self.said(side, x);
        let other = y.and_then(|y| y.dims.clone()).unwrap_or_default();
        let said_there = y.map(|y| self.said(1 - side, y)).unwrap_or_default();
        // Where the axis is in the other file, which may lack time.
        let there = |i: usize| match time {
            Some(t) if other.len() + 1 == dims.len() => (i != t).then(|| i - usize::from(i > t)),
            _ => Some(i),
        };
        let mut roles = vec![];
        let mut batch: Option<Dim> = None;
        for (i, dim) in dims.iter().enumerate() {
            let twin = there(i).filter(|_| other.len() + 1 >= dims.len());
            if Some(i) == time {
                roles.push(Role::Time);
                self.learn(side, x, Some(i), Meaning::Time);
                continue;
            }
            let twin_dim = twin.and_then(|j| other.get(j));
            let fixed = match (self.fixed(dim), twin_dim.and_then(|d| self.fixed(d))) {
                (Some(m), Some(n)) if m != n => bail!(
                    "`{}` has {m} entries along axis {i} in one file, {n} in the other",
                    x.name
                ),
                (known @ Some(_), _) | (_, known) => known,
            };
            // What a step file says of an axis that the sequence has fixed may be about its own time.
            let also = self.kind == Kind::Same || self.fixed(dim).is_none();
            let beside = twin.filter(|_| also).and_then(|j| said_there.get(j));
            let is_batch = is_rows(&said[i]) || beside.is_some_and(|h| is_rows(h));
            roles.push(match fixed {
                Some(n) if is_batch => {
                    self.only_batch(n, &x.name)?;
                    Role::Batch
                }
                Some(n) => Role::Fixed(n),
                None if batch.as_ref().is_none_or(|b| b == dim && *b != Dim::Unknown) => {
                    if let Some(hint) = mixes(&said[i]) {
                        let why = format!("axis {i}, which would hold the rows, {}", hint.words);
                        return Err(self.contradiction(x, &dims, &why));
                    }
                    batch = Some(dim.clone());
                    self.learn(side, x, Some(i), Meaning::Rows);
                    if let Some(y) = y {
                        self.learn(1 - side, y, twin, Meaning::Rows);
                    }
                    Role::Batch
                }
                None => bail!("input `{}` has the free dimensions [{}]; give --dim NAME=N or --input {}=B,T,..", x.name, shown(&dims), x.name),
            });
        }
        Ok(roles)
    }

    /// Only a state may begin empty.
    fn refuse_empty(&self, port: &Port) -> Result<()> {
        for dim in port.dims.iter().flatten() {
            if let Dim::Symbol(name) = dim
                && self.request.dims.get(name) == Some(&0)
            {
                bail!(
                    "--dim {name}=0: input `{}` has `{name}` too, and no values then; only a state may be empty. Give its shape by --input NAME=DIMS",
                    port.name
                );
            }
        }
        Ok(())
    }

    /// How many steps each file takes in one call of an input that has time, where that is fixed.
    pub(super) fn steps_of(&mut self, x: &Port, y: &Port, axis: usize, lacks: bool) -> Result<()> {
        let fixed = |p: &Port| p.dims.as_ref().and_then(|d| self.fixed(d.get(axis)?));
        let sides = [
            fixed(x),
            match (self.kind, lacks) {
                (_, true) => Some(1),
                (Kind::Same, _) => fixed(y),
                // A step file that takes any number of steps is given one.
                (Kind::Step, _) => Some(fixed(y).unwrap_or(1)),
            },
        ];
        for (side, port) in [x, y].into_iter().enumerate() {
            if let Some(n) = sides[side] {
                self.takes(side, n, &port.name)?;
            }
        }
        Ok(())
    }
}

pub(super) fn shown(dims: &[Dim]) -> String {
    dims.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// For a shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-=:,+/".contains(c);
    if text.chars().all(plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
