//! Which axis of a state holds the rows; how many rows there may be; what integers may be.

use anyhow::{Result, bail};

use super::axes::shown;
use super::clues::{is_rows, mixes};
use super::{Dim, Elem, Finder, Link, Port, Role};
use crate::verify::pair::port::integers;
use crate::verify::pair::sizes::BATCHES;
use crate::verify::pair::tables::{Aside, Table, aside};
use crate::verify::pair::tensor::{Reading, Tensor};

/// Rows of an axis that an operator mixes along: as many as show what lies some entries apart.
const MIXED: usize = 33;

impl Finder<'_> {
    /// The files take this many rows only.
    pub(super) fn only_batch(&mut self, n: usize, name: &str) -> Result<()> {
        match self.batch {
            Some(m) if m != n => bail!("`{name}` takes {n} rows only, another input {m}"),
            _ => self.batch = Some(n),
        }
        Ok(())
    }

    /// Numbers of rows to run. An axis that was said to be the batch, and along which an operator runs, is run at more.
    pub(super) fn batches(&mut self, links: &[Link]) -> Vec<usize> {
        let mut all = BATCHES.to_vec();
        for link in links {
            let Some(axis) = link.roles.iter().position(|r| *r == Role::Batch) else {
                continue;
            };
            let of = |side: usize| {
                let mut ports = self.files[side].inputs().iter();
                let port = ports.find(|p| p.name == link.names[side])?;
                let axis = match (link.time(), link.lacks[side]) {
                    (Some(time), true) => axis - usize::from(axis > time),
                    _ => axis,
                };
                mixes(self.said(side, port).get(axis)?).cloned()
            };
            if let Some(hint) = (0..2).find_map(of) {
                self.notes.push(format!(
                    "axis {axis} of `{}`, said to be the batch, {}: run with up to {MIXED} entries",
                    link.names[0], hint.words
                ));
                all.push(MIXED);
            }
        }
        all.dedup();
        all
    }

    /// What the axes of a state are, of the second file.
    pub(super) fn state_axes(&mut self, port: &Port, axis: Option<usize>) -> Result<Vec<Role>> {
        if let Some(roles) = self.given_roles(port) {
            return Ok(roles);
        }
        let Some(dims) = port.dims.clone() else {
            bail!(
                "state `{}`: its shape is not declared; give it as --input {}=B,..",
                port.name,
                port.name
            );
        };
        if let Some(axis) = axis.filter(|a| *a >= dims.len()) {
            bail!(
                "state `{}` has {} dimensions and no axis {axis}",
                port.name,
                dims.len()
            );
        }
        let rows = match axis {
            Some(axis) => Some(axis),
            None => self.state_rows(port, &dims)?,
        };
        // As long as another input of the step file: a weight of each of its entries.
        let own_names = self.own_names[1].clone();
        let own = |dim: &Dim| match dim {
            Dim::Symbol(name) => own_names.get(name).map(|own| own.role()),
            _ => None,
        };
        let mut roles = vec![];
        for (i, dim) in dims.iter().enumerate() {
            roles.push(match self.fixed(dim) {
                Some(n) if Some(i) == rows => {
                    self.only_batch(n, &port.name)?;
                    Role::Batch
                }
                Some(n) => Role::Fixed(n),
                None if Some(i) == rows => Role::Batch,
                None if own(dim).is_some() => own(dim).unwrap_or(Role::Batch),
                None => {
                    let grown = rows.map(|rows| {
                        let line = self.empty_line(port, &dims, rows);
                        format!("; {line}, if it is empty before the first step and grows")
                    });
                    bail!(
                        "state `{}`: dimension {i} (`{dim}`) is free; give its size by --dim {dim}=N or --input {}=..{}",
                        port.name,
                        port.name,
                        grown.unwrap_or_default()
                    )
                }
            });
        }
        Ok(roles)
    }

    /// The axis of a state that holds the rows: as names and the graph say, else the only free one; none, where all is fixed.
    fn state_rows(&self, port: &Port, dims: &[Dim]) -> Result<Option<usize>> {
        let said = self.said(1, port);
        let strong: Vec<usize> = (0..dims.len()).filter(|i| is_rows(&said[*i])).collect();
        let free: Vec<usize> = (0..dims.len())
            .filter(|i| self.fixed(&dims[*i]).is_none() && self.own_at(1, port, *i).is_none())
            .collect();
        match (strong.as_slice(), free.as_slice()) {
            ([one], _) | ([], [one]) => Ok(Some(*one)),
            ([], []) => Ok(None),
            _ => {
                let axes = if strong.is_empty() { &free } else { &strong };
                bail!(
                    "state `{}` [{}]: nothing tells which of the axes {axes:?} holds the rows; say it by :batch=AXIS behind its --state, or by --input {}=B,..",
                    port.name,
                    shown(dims),
                    port.name
                )
            }
        }
    }

    /// The axis of a state that holds the rows, if that is clear.
    pub(super) fn likely_rows(&self, port: &Port, dims: &[Dim]) -> Option<usize> {
        self.state_rows(port, dims).ok().flatten()
    }

    pub(super) fn range(&self, x: &Port, y: &Port, elem: Elem) -> Result<(i64, i64)> {
        let given = [x, y]
            .iter()
            .find_map(|p| self.request.inputs.get(&p.name)?.range);
        if elem.is_float() && !self.is_whole(x, y, elem) || elem == Elem::Bool {
            return Ok((0, 1));
        }
        if elem == Elem::Str {
            bail!(
                "input `{}` takes texts; files are compared by numbers, so give files whose input is what the texts become",
                x.name
            );
        }
        let name = &x.name;
        let Some((least, most)) = held([x, y]) else {
            bail!("input `{name}` is of type {elem}, of which no values are drawn");
        };
        if let Some((low, high)) = given {
            if low < least || high > most {
                bail!(
                    "--input {name}=:int={low}..{high}: `{name}` takes {least} to {most}, by the types that the files declare"
                );
            }
            return Ok((low, high));
        }
        let rows = self.tables(x, y).map(|t| t.map(|t| t.rows));
        match rows.into_iter().flatten().min() {
            Some(rows) if rows > 0 => Ok((0, (rows as i64 - 1).min(most))),
            _ => bail!(
                "input `{name}` takes integers, and no table tells which; give --input {name}=:int=LOW..HIGH"
            ),
        }
    }

    /// Whether floats are drawn as whole numbers: a range of integers was said, or they become rows of a table as they are.
    pub(super) fn is_whole(&self, x: &Port, y: &Port, elem: Elem) -> bool {
        let said = |p: &Port| self.request.inputs.get(&p.name);
        if !elem.is_float()
            || [x, y]
                .into_iter()
                .filter_map(said)
                .any(|s| s.floats.is_some())
        {
            return false;
        }
        let range = [x, y]
            .into_iter()
            .filter_map(said)
            .any(|s| s.range.is_some());
        let plain = |t: &Table| !t.part && !t.changed && t.rows > 0;
        range || self.tables(x, y).iter().flatten().any(plain)
    }

    /// The range that was said for floats.
    pub(super) fn float_range(&self, x: &Port, y: &Port, elem: Elem) -> Result<Option<(f64, f64)>> {
        let said = |p: &&Port| self.request.inputs.get(&p.name)?.floats;
        let Some((low, high)) = [x, y].iter().find_map(said).filter(|_| elem.is_float()) else {
            return Ok(None);
        };
        for end in [low, high] {
            let held = [x.elem, y.elem].into_iter().flatten().all(|elem| {
                let held = Tensor::floats(elem, &[1], &[end]);
                held.is_ok_and(|t| t.values(Reading::Exact)[0].is_finite())
            });
            if !held {
                bail!(
                    "--input {}=..:float={low}..{high}: {end} is beyond the type that the files declare",
                    x.name
                );
            }
        }
        Ok(Some((low, high)))
    }

    fn tables(&self, x: &Port, y: &Port) -> [Option<Table>; 2] {
        [self.files[0].table(&x.name), self.files[1].table(&y.name)]
    }

    /// Integers beside those that the tables have rows for, of those that the types hold; none, if a range was said.
    pub(super) fn aside(&self, x: &Port, y: &Port) -> Vec<Aside> {
        let inputs = &self.request.inputs;
        let said = |p: &Port| inputs.get(&p.name).is_some_and(|s| s.range.is_some());
        let whole = x.elem.is_some_and(|e| !e.is_float());
        let (Some((least, most)), false, true) = (held([x, y]), said(x) || said(y), whole) else {
            return vec![];
        };
        let [first, second] = self.tables(x, y);
        let all = [self.files[0].tables(&x.name), self.files[1].tables(&y.name)];
        let all = aside(
            all.each_ref().map(Vec::as_slice),
            [first.as_ref(), second.as_ref()],
        );
        let held = all.into_iter().filter_map(|a| {
            let few: Vec<i64> = a
                .only
                .iter()
                .copied()
                .filter(|n| (least..=most).contains(n))
                .collect();
            let none = few.is_empty() && !a.only.is_empty();
            let (low, high) = (a.low.max(least), a.high.min(most));
            (low <= high && !none).then_some(Aside {
                low,
                high,
                only: few,
                ..a
            })
        });
        held.collect()
    }
}

/// The integers that two inputs hold both.
fn held(ports: [&Port; 2]) -> Option<(i64, i64)> {
    let [a, b] = ports.map(|p| p.elem.and_then(integers));
    let ((a, b), (c, d)) = (a?, b?);
    (a.max(c) <= b.min(d)).then_some((a.max(c), b.min(d)))
}
