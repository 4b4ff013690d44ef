//! Inputs and outputs that belong together, and what their axes are.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::axes::{quoted, shown};
use super::clues::Time;
use super::flow::Meaning;
use super::{Elem, Fill, Filled, Finder, Kind, Link, Port, Role, State};

impl Finder<'_> {
    /// Inputs that are no states: in both files, or filled with a value.
    pub(super) fn inputs(
        &mut self,
        states: &[(State, Option<usize>)],
    ) -> Result<(Vec<Link>, Vec<Filled>)> {
        let states: Vec<&State> = states.iter().map(|(state, _)| state).collect();
        let [first, second] = self.files;
        let of_states: [BTreeSet<&str>; 2] = [
            states.iter().filter_map(|s| s.first.0.as_deref()).collect(),
            states.iter().map(|s| s.second.0.as_str()).collect(),
        ];
        let left = |side: usize, ports: &'_ [Port]| -> Vec<Port> {
            let is = |p: &&Port| !of_states[side].contains(p.name.as_str());
            ports.iter().filter(is).cloned().collect()
        };
        let (mut a, mut b) = (left(0, first.inputs()), left(1, second.inputs()));
        let mut to_fill = [self.fill(0, &mut a), self.fill(1, &mut b)].concat();
        self.find_past(&states);
        to_fill.extend(self.lengths(0, &mut a));
        to_fill.extend(self.lengths(1, &mut b));
        let mut pairs = self.pairs(&mut a, &mut b);
        self.find_sums(&states, &pairs);
        to_fill.extend(self.totals(&mut pairs, [&mut a, &mut b]));
        self.find_lengths(&pairs)?;
        if self.kind == Kind::Step {
            self.missing_states(&pairs, [&a, &b], &states)?;
            self.check_guesses(&pairs)?;
        }
        for (side, rest) in [(0, &a), (1, &b)] {
            if let Some(port) = rest.first() {
                let name = &port.name;
                let file = self.files[side].name();
                let hint = if side == 1 && self.kind == Kind::Step {
                    format!(
                        "a state is given as --state {}, ",
                        quoted(&format!("{name}=OUT"))
                    )
                } else {
                    String::new()
                };
                bail!(
                    "{file}: input `{name}` has no counterpart in the other file; {hint}a pair of inputs as --map A=B, a value for it as --value {}{}",
                    quoted(&format!("{name}=N")),
                    self.or_total(port)
                );
            }
        }
        // First those of which much is said: others may use the same names of dimensions.
        let mut lone = !self.fed;
        for (x, y) in &pairs {
            if let Ok(Time::Axis(axis)) = self.time_axis(x, y, false) {
                lone = false;
                self.names_of(x, y, axis);
            }
        }
        let links: Vec<Link> = pairs
            .iter()
            .map(|(x, y)| self.link(x, y, lone))
            .collect::<Result<_>>()?;
        let to_fill = to_fill.into_iter();
        let filled = to_fill
            .map(|one| self.filled(one, &pairs))
            .collect::<Result<_>>()?;
        self.read_sums()?;
        self.sums_note(&links);
        Ok((links, filled))
    }

    /// What the names of dimensions stand for, of an input whose axis of time is known.
    fn names_of(&mut self, x: &Port, y: &Port, time: usize) {
        let ranks = [x, y].map(|p| p.dims.as_ref().map_or(0, Vec::len));
        let there = |i: usize| {
            if ranks[0] == ranks[1] {
                i
            } else {
                i - usize::from(i > time)
            }
        };
        self.learn(0, x, Some(time), Meaning::Time);
        if self.kind == Kind::Same {
            self.learn(1, y, Some(time), Meaning::Time);
        }
        let dims = x.dims.as_deref().unwrap_or_default();
        let mut free = (0..dims.len()).filter(|i| *i != time && self.fixed(&dims[*i]).is_none());
        if let (Some(rows), None) = (free.next(), free.next()) {
            self.learn(0, x, Some(rows), Meaning::Rows);
            self.learn(1, y, Some(there(rows)), Meaning::Rows);
        }
    }

    /// Takes what `--value` fills out of the ports.
    fn fill(&self, side: usize, ports: &mut Vec<Port>) -> Vec<(usize, Port, Fill)> {
        let value = |p: &Port| self.request.values.get(&p.name).cloned();
        let filled = ports
            .iter()
            .filter_map(|p| Some((side, p.clone(), value(p)?)))
            .collect();
        ports.retain(|p| value(p).is_none());
        filled
    }

    /// Pairs by `--map`, by name, and the last one on each side. What is paired is taken out.
    fn pairs(&self, a: &mut Vec<Port>, b: &mut Vec<Port>) -> Vec<(Port, Port)> {
        let mut pairs = vec![];
        for port in b.clone() {
            let Some(name) = self.first_name(&port.name, a) else {
                continue;
            };
            if let Some(at) = a.iter().position(|p| p.name == name) {
                pairs.push((a.remove(at), port.clone()));
                b.retain(|p| p.name != port.name);
            }
        }
        if let ([_], [_]) = (a.as_slice(), b.as_slice()) {
            pairs.extend(a.drain(..).zip(b.drain(..)));
        }
        pairs
    }

    fn link(&mut self, x: &Port, y: &Port, lone: bool) -> Result<Link> {
        let (Some(elem), true) = (
            x.elem,
            x.elem.map(Elem::is_float) == y.elem.map(Elem::is_float),
        ) else {
            bail!(
                "`{}` and `{}` are of different element types",
                x.name,
                y.name
            );
        };
        let time = match self.time_axis(x, y, lone)? {
            Time::Axis(axis) => Some(axis),
            Time::Nowhere => None,
            Time::Open(axes) => return Err(self.open(x, &axes)),
        };
        let roles = self.roles((0, x), Some(y), time)?;
        let lacks = match (&x.dims, &y.dims) {
            (Some(a), Some(b)) => [false, time.is_some() && a.len() == b.len() + 1],
            _ => [false, self.kind == Kind::Step],
        };
        if let Some(axis) = time {
            self.steps_of(x, y, axis, lacks[1])?;
        }
        if let Some(axis) = roles.iter().position(|r| *r == Role::Time) {
            let shown = x
                .dims
                .as_ref()
                .and_then(|d| d.get(axis))
                .map_or(String::new(), |d| format!(" (`{d}`)"));
            self.notes
                .push(format!("time is axis {axis}{shown} of `{}`", x.name));
        } else if self.kind == Kind::Step && !roles.iter().any(|r| self.is_summed(r)) {
            self.notes.push(format!(
                "input `{}` has no axis of time: every step gets the same",
                x.name
            ));
        }
        self.lengths_note(x, &roles);
        let whole = self.is_whole(x, y, elem);
        let floats = self.float_range(x, y, elem)?;
        let range = self.range(x, y, elem);
        let range = range.map_err(|error| self.or_state(y, error));
        let range = range.map_err(|error| match self.or_total(x).as_str() {
            "" => error,
            more => anyhow::anyhow!("{error:#}{more}"),
        })?;
        Ok(Link {
            aside: self.aside(x, y),
            names: [x.name.clone(), y.name.clone()],
            elem,
            roles,
            lacks,
            range,
            whole,
            floats,
        })
    }

    /// Nothing tells which axis is time.
    fn open(&self, x: &Port, axes: &[usize]) -> anyhow::Error {
        let dims = x.dims.as_deref().unwrap_or_default();
        let mut lines: Vec<String> = axes
            .iter()
            .filter_map(|i| self.line(&x.name, dims, Some(*i)))
            .collect();
        if axes.len() == 1 {
            lines.extend(self.line(&x.name, dims, None));
        }
        let what = match axes {
            [one] => format!("whether axis {one} is time or the rows"),
            _ => format!("which of the axes {axes:?} is time"),
        };
        let say = if lines.is_empty() {
            format!("--input {}=..", x.name)
        } else {
            lines.join(" or ")
        };
        anyhow::anyhow!(
            "input `{}` [{}]: nothing tells {what}; say it by {say}",
            x.name,
            shown(dims)
        )
    }

    /// Outputs that are no states.
    pub(super) fn outputs(&mut self, states: &[State]) -> Result<Vec<[String; 2]>> {
        let [first, second] = self.files;
        let no_state = |ports: &[Port], names: BTreeSet<&str>| -> Vec<Port> {
            ports
                .iter()
                .filter(|p| !names.contains(p.name.as_str()))
                .cloned()
                .collect()
        };
        let mut a = no_state(
            first.outputs(),
            states.iter().filter_map(|s| s.first.1.as_deref()).collect(),
        );
        // What a step gives as its state may be what the sequence gives for every step.
        let both = |p: &Port| self.first_name(&p.name, &a).is_some();
        let of_states: BTreeSet<&str> = states.iter().map(|s| s.second.1.as_str()).collect();
        let outputs = second.outputs().iter();
        let mut b: Vec<Port> = outputs
            .filter(|p| !of_states.contains(p.name.as_str()) || both(p))
            .cloned()
            .collect();
        self.ignore(0, &mut a);
        self.ignore(1, &mut b);
        let pairs = self.pairs(&mut a, &mut b);
        if pairs.is_empty() && !states.iter().any(|s| s.first.1.is_some()) {
            bail!(
                "{} and {} have no output in common; name a pair with --map A=B",
                first.name(),
                second.name()
            );
        }
        self.left([&a, &b])?;
        Ok(pairs.into_iter().map(|(x, y)| [x.name, y.name]).collect())
    }
}
