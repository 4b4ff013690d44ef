//! How many steps a file takes in one call, and which input says how long rows are.

use anyhow::{Result, bail};

use super::lengths::Own;
use super::propose::{Proposal, propose};
use super::{Ends, Fill, Filled, Finder, Interface, Kind, Link, Port, Role, State};

impl Interface {
    /// Steps of whole calls of both files.
    pub(crate) fn call(&self) -> usize {
        let [a, b] = self.frames.map(|n| n.unwrap_or(1).max(1));
        multiple(a, b)
    }

    /// Lengths are multiples of this.
    pub(crate) fn unit(&self) -> usize {
        multiple(self.call(), self.grain)
    }

    /// The shortest sequence.
    pub(crate) fn shortest(&self) -> usize {
        let unit = self.unit();
        self.least.max(1).div_ceil(unit) * unit
    }

    /// The length nearest to `time` that both files take, no shorter than the shortest.
    pub(crate) fn steps(&self, time: usize) -> usize {
        let unit = self.unit();
        (time / unit * unit).max(self.shortest())
    }
}

/// The least common multiple.
fn multiple(a: usize, b: usize) -> usize {
    let mut all = a;
    while !all.is_multiple_of(b.max(1)) {
        all += a;
    }
    all
}

impl Finder<'_> {
    /// Steps in one call of each file, `None` for any number; and the only length, where there is one.
    pub(super) fn frames(&self, states: &[State]) -> Result<([Option<usize>; 2], Option<usize>)> {
        let both = |s: &State| s.first.0.is_some() && s.first.1.is_some();
        // Whether a file can go on where its last call ended.
        let goes_on = [
            !states.is_empty() && states.iter().all(both),
            !states.is_empty() || self.kind == Kind::Step,
        ];
        let (mut frames, mut length) = ([None; 2], None);
        for side in 0..2 {
            match self.steps[side] {
                Some(n) if goes_on[side] => frames[side] = Some(n),
                Some(n) => match length {
                    Some(m) if m != n => bail!(
                        "{} takes {m} steps and {} takes {n}; with states (--state IN=OUT) they could be called again and again",
                        self.files[0].name(),
                        self.files[1].name()
                    ),
                    _ => length = Some(n),
                },
                None => {}
            }
        }
        if let Some(length) = length
            && let Some(n) = frames
                .iter()
                .flatten()
                .find(|n| !length.is_multiple_of(**n))
        {
            bail!(
                "one file takes {length} steps and no more, the other {n} steps a call: {length} is no multiple of {n}"
            );
        }
        Ok((frames, length))
    }

    /// Remembers how many steps a file takes in one call.
    pub(super) fn takes(&mut self, side: usize, steps: usize, name: &str) -> Result<()> {
        match self.steps[side] {
            Some(n) if n != steps => bail!(
                "{}: `{name}` has {steps} steps, another input {n}; say which is time by --input {name}=..",
                self.files[side].name()
            ),
            _ => self.steps[side] = Some(steps),
        }
        Ok(())
    }

    /// Inputs of two step files have no axis of time: each call gets its own values.
    pub(super) fn by_steps(&mut self, links: &mut [Link], states: &[State]) {
        let both = |s: &State| s.first.0.is_some() && s.first.1.is_some();
        let fed = !states.is_empty() && states.iter().all(both);
        if self.kind != Kind::Same || !fed || links.iter().any(|l| l.time().is_some()) {
            return;
        }
        for link in links.iter_mut() {
            let at = link
                .roles
                .iter()
                .position(|r| *r == Role::Batch)
                .map_or(0, |i| i + 1);
            link.roles.insert(at, Role::Time);
            link.lacks = [true, true];
        }
        self.steps = [Some(1), Some(1)];
        self.notes
            .push("no input has an axis of time: both files are called step by step".into());
    }

    /// Takes the inputs that say how long each row is out of the ports: an operator reads them as that, or they are called so.
    pub(super) fn lengths(&self, side: usize, ports: &mut Vec<Port>) -> Vec<(usize, Port, Fill)> {
        let (found, rest) = ports.drain(..).partition(|p| self.is_lengths(side, p));
        *ports = rest;
        let found: Vec<Port> = found;
        let each = found.into_iter();
        each.map(|port| (side, port, Fill::Lengths)).collect()
    }

    /// What an input is filled with, and what the lengths of rows are those of.
    pub(super) fn filled(
        &mut self,
        (side, port, fill): (usize, Port, Fill),
        pairs: &[(Port, Port)],
    ) -> Result<Filled> {
        let of = match &fill {
            Fill::Lengths => self.ends(side, &port, pairs),
            Fill::Sum(text) => Ends::Length(self.valued(text)),
            Fill::Total => Ends::Length(self.total_of(side, &port)?),
            Fill::Number(_) | Fill::Time => Ends::Time,
        };
        let file = self.files[side].name();
        if fill == Fill::Lengths && !self.request.values.contains_key(&port.name) {
            self.notes.push(match of {
                Ends::Time | Ends::Unknown => format!(
                    "`{}` of {file}: rows of unequal length; what stands behind the end of a row is not compared",
                    port.name
                ),
                Ends::Length(_) | Ends::Fixed(_) => format!(
                    "`{}` of {file}: how much each row has of what every step reads",
                    port.name
                ),
            });
        }
        Ok(Filled {
            side,
            roles: self.filled_roles(side, &port)?,
            name: port.name,
            fill,
            of,
        })
    }

    /// Which length rows end within: the one that an operator walks as far as the input says, the one of the input that it is called after;
    /// that of the memory, where the step file takes it too.
    fn ends(&self, side: usize, port: &Port, pairs: &[(Port, Port)]) -> Ends {
        let of = |own: Option<Own>| match own {
            Some(Own::Length(k)) => Ends::Length(k),
            Some(Own::Fixed(n)) => Ends::Fixed(n),
            None => Ends::Time,
        };
        let inputs = self.files[side].inputs();
        let along = self.flows[side].lengths.get(&port.name);
        if let Some((name, axis)) = along.and_then(|all| all.first())
            && let Some(x) = inputs.iter().find(|p| p.name == *name)
        {
            return of(self.own_at(side, x, *axis));
        }
        let called = |p: &&Port| {
            let rest = port.name.strip_prefix(p.name.as_str());
            rest.is_some_and(|rest| rest.starts_with(['_', '.']))
        };
        let own = |p: &Port| {
            let rank = p.dims.as_ref().map_or(0, Vec::len);
            (0..rank).find_map(|axis| self.own_at(side, p, axis))
        };
        if let Some(x) = inputs.iter().find(called) {
            return of(own(x));
        }
        let mut all: Vec<Own> = pairs
            .iter()
            .filter_map(|(x, y)| own([x, y][side]))
            .collect();
        all.dedup();
        let both = self
            .files
            .iter()
            .all(|f| f.inputs().iter().any(|p| p.name == port.name));
        match all.as_slice() {
            [] => Ends::Time,
            [one] if both && self.kind == Kind::Step => of(Some(*one)),
            _ => Ends::Unknown,
        }
    }

    fn is_lengths(&self, side: usize, port: &Port) -> bool {
        let integer = port
            .elem
            .is_some_and(|e| !e.is_float() && e != super::Elem::Bool);
        let row = port.dims.as_ref().is_some_and(|d| d.len() == 1);
        let not = self.request.inputs.contains_key(&port.name) || self.is_total_value(side, port);
        if !integer || !row || not {
            return false;
        }
        let name = port.name.to_lowercase();
        let called = ["lengths", "lens", "length", "len"].iter().any(|end| {
            name == *end || name.ends_with(&format!("_{end}")) || name.ends_with(&format!(".{end}"))
        });
        // What an output gives back is a count that goes on, no length.
        let file = self.files[side];
        let back = propose(
            std::slice::from_ref(port),
            file.outputs(),
            &self.flows[side],
        );
        self.flows[side].lengths.contains_key(&port.name)
            || called && !matches!(back.as_slice(), [Proposal::State(_)])
    }
}
