//! What the axes of an input are: rows, time, or of a fixed size.

use anyhow::{Result, bail};

use super::clues::{Hint, Time, counted, hints, is_rows, time};
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
                    named: true,
                });
            }
            // An axis of another length is none of time, whatever it is called and whoever runs along it; nor is one beside that of time.
            let named =
                |dim: &Dim| matches!(dim, Dim::Symbol(s) if self.time_names[side].contains(s));
            if self.own_at(side, port, axis).is_some() {
                all.retain(|h| h.meaning != Meaning::Time || h.weight == Weight::Mixes);
            } else if dims.iter().any(named) && !named(dim) {
                all.retain(|h| h.meaning != Meaning::Time || !h.named);
            }
            all
        };
        dims.iter().enumerate().map(one).collect()
    }

    pub(super) fn dims<'p>(&self, side: usize, port: &'p Port) -> Result<&'p [Dim]> {
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
        let mut free: Vec<bool> = self.free(0, x, dims);
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
                free[i] &= self.fixed(dim).is_none() && self.own_at(1, y, i).is_none();
            }
        }
        let found = time(&all, &free, lone).map_err(|why| self.contradiction(x, dims, &why))?;
        let other = y.dims.as_deref().unwrap_or_default();
        Ok(match found {
            Time::Nowhere if self.fed => self.frames_apart(dims, other).unwrap_or(Time::Nowhere),
            known => known,
        })
    }

    /// Axes that may be time or rows: of no fixed size, and of no length of their own.
    fn free(&self, side: usize, port: &Port, dims: &[Dim]) -> Vec<bool> {
        let one = |(axis, dim): (usize, &Dim)| {
            self.fixed(dim).is_none() && self.own_at(side, port, axis).is_none()
        };
        dims.iter().enumerate().map(one).collect()
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

    pub(super) fn contradiction(&self, x: &Port, dims: &[Dim], why: &str) -> anyhow::Error {
        let mut lines: Vec<String> = vec![];
        for axis in (0..dims.len()).filter(|i| dims[*i] != Dim::Fixed(1)) {
            let line = self.line(&x.name, dims, Some(axis));
            lines.extend(line.filter(|l| !lines.contains(l)));
        }
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
        // One name is one length.
        let alike = |dim: &Dim| {
            let named = matches!(dim, Dim::Symbol(_));
            named && time.is_some_and(|t| dim == &dims[t])
        };
        let one = |(i, dim): (usize, &Dim)| match self.fixed(dim) {
            _ if Some(i) == time || alike(dim) => "T".into(),
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
        let free = self.free(0, x, dims);
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
            .filter(|i| !rows(*i) && self.own_at(0, x, *i).is_none())
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
        let free = self.free(side, port, &dims);
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
