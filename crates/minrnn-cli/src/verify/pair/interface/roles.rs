//! The axes of an input, one by one, once it is known which of them is time.

use anyhow::{Result, bail};

use super::super::unused::agree;
use super::axes::shown;
use super::clues::{Hint, is_rows, mixes, named};
use super::flow::Meaning;
use super::lengths::Own;
use super::{Dim, Finder, Kind, Port, Role};

/// What is said of the axes of an input that is in both files, or in one.
struct Sides<'p> {
    side: usize,
    x: &'p Port,
    dims: Vec<Dim>,
    said: Vec<Vec<Hint>>,
    /// The same input of the other file.
    y: Option<&'p Port>,
    other: Vec<Dim>,
    said_there: Vec<Vec<Hint>>,
    time: Option<usize>,
}

impl Sides<'_> {
    /// Where an axis is in the other file, which may lack time.
    fn there(&self, axis: usize) -> Option<usize> {
        let at = match self.time {
            Some(t) if self.other.len() + 1 == self.dims.len() => {
                (axis != t).then(|| axis - usize::from(axis > t))
            }
            _ => Some(axis),
        };
        at.filter(|_| self.other.len() + 1 >= self.dims.len())
    }

    fn twin(&self, axis: usize) -> Option<&Dim> {
        self.other.get(self.there(axis)?)
    }
}

impl Finder<'_> {
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
        if let Some(roles) = self.given_roles(x) {
            let dims = x.dims.clone().unwrap_or_default();
            // Where both files lack time, the option has one axis more.
            if x.dims.is_some() && ![dims.len(), dims.len() + 1].contains(&roles.len()) {
                bail!(
                    "--input {}: says {} axes, and the file declares {}: [{}]",
                    x.name,
                    roles.len(),
                    dims.len(),
                    shown(&dims)
                );
            }
            let sizes: Vec<Option<usize>> = dims.iter().map(|d| self.fixed(d)).collect();
            agree(&x.name, &roles, &sizes)?;
            for (role, size) in roles.iter().zip(&sizes) {
                if let (Role::Batch, Some(n)) = (role, size) {
                    self.only_batch(*n, &x.name)?;
                }
            }
            return Ok(roles);
        }
        let at = Sides {
            side,
            x,
            dims: self.dims(side, x)?.to_vec(),
            said: self.said(side, x),
            y,
            other: y.and_then(|y| y.dims.clone()).unwrap_or_default(),
            said_there: y.map(|y| self.said(1 - side, y)).unwrap_or_default(),
            time,
        };
        let mut roles = vec![];
        for i in 0..at.dims.len() {
            roles.push(self.known_role(&at, i)?);
        }
        self.free_roles(&at, &mut roles)?;
        let roles = roles.into_iter().map(|r| r.unwrap_or(Role::Batch));
        Ok(roles.collect())
    }

    /// What an axis is that is not free; `None`: it is.
    fn known_role(&mut self, at: &Sides<'_>, i: usize) -> Result<Option<Role>> {
        if Some(i) == at.time {
            self.learn(at.side, at.x, Some(i), Meaning::Time);
            return Ok(Some(Role::Time));
        }
        let twin = at.there(i);
        let fixed = match (
            self.fixed(&at.dims[i]),
            at.twin(i).and_then(|d| self.fixed(d)),
        ) {
            (Some(m), Some(n)) if m != n => bail!(
                "`{}` has {m} entries along axis {i} in one file, {n} in the other",
                at.x.name
            ),
            (known @ Some(_), _) | (_, known) => known,
        };
        let own = self.own_at(at.side, at.x, i);
        let own = own.or_else(|| self.own_at(1 - at.side, at.y?, twin?));
        match (own, fixed) {
            (Some(Own::Fixed(n)), Some(m)) if m != n => bail!(
                "`{}` has {m} entries along axis {i}, where another input of that length has {n}",
                at.x.name
            ),
            (Some(Own::Length(k)), Some(m)) => bail!(
                "`{}` has {m} entries along axis {i}, and that length, `{}`, is free in another input; give it by --dim NAME={m} or as a number in --input",
                at.x.name,
                self.lengths[k].name
            ),
            (Some(own), _) => return Ok(Some(own.role())),
            (None, _) => {}
        }
        Ok(match fixed {
            Some(n) if self.holds_rows(at, i) => {
                self.only_batch(n, &at.x.name)?;
                Some(Role::Batch)
            }
            Some(n) => Some(Role::Fixed(n)),
            None => None,
        })
    }

    /// Whether it is known that an axis holds the rows.
    fn holds_rows(&self, at: &Sides<'_>, i: usize) -> bool {
        // What a step file says of an axis that the sequence has fixed may be about its own time.
        let also = self.kind == Kind::Same || self.fixed(&at.dims[i]).is_none();
        let beside = at
            .there(i)
            .filter(|_| also)
            .and_then(|j| at.said_there.get(j));
        is_rows(&at.said[i]) || beside.is_some_and(|h| is_rows(h))
    }

    /// The free axes: one holds the rows, others may have lengths of their own.
    fn free_roles(&mut self, at: &Sides<'_>, roles: &mut [Option<Role>]) -> Result<()> {
        let free: Vec<usize> = (0..roles.len()).filter(|i| roles[*i].is_none()).collect();
        let all = || free.iter().copied();
        let known: Vec<usize> = all().filter(|i| self.holds_rows(at, *i)).collect();
        let quiet: Vec<usize> = all().filter(|i| mixes(&at.said[*i]).is_none()).collect();
        let memory = self.kind == Kind::Step && at.time.is_none();
        let rows = match (known.first(), quiet.first()) {
            (Some(rows), _) => Some(*rows),
            (None, Some(one)) if memory && quiet.len() == 1 => Some(*one),
            _ => free.first().copied(),
        };
        let Some(rows) = rows else {
            return Ok(());
        };
        for i in &free {
            let dim = &at.dims[*i];
            if *i == rows || *dim == at.dims[rows] && *dim != Dim::Unknown {
                if let Some(hint) = mixes(&at.said[*i]) {
                    let why = format!("axis {i}, which would hold the rows, {}", hint.words);
                    return Err(self.contradiction(at.x, &at.dims, &why));
                }
                self.learn(at.side, at.x, Some(*i), Meaning::Rows);
                if let Some(y) = at.y {
                    self.learn(1 - at.side, y, at.there(*i), Meaning::Rows);
                }
                roles[*i] = Some(Role::Batch);
                continue;
            }
            let sure = !known.is_empty() || quiet.len() == 1;
            let length = matches!(dim, Dim::Symbol(s) if named(s) == Some(Meaning::Time));
            let same = at.twin(*i).is_some_and(|d| self.fixed(d).is_none());
            if sure && same && (length || memory && free.len() == 2) {
                roles[*i] = Some(self.own_axis(at, *i));
                continue;
            }
            bail!(
                "input `{}` has the free dimensions [{}]; give --dim NAME=N or --input {}=B,T,..{}",
                at.x.name,
                shown(&at.dims),
                at.x.name,
                match self.own_line(at.x, *i) {
                    Some(line) if memory => format!(", or {line} for a length of its own"),
                    _ => String::new(),
                }
            );
        }
        Ok(())
    }

    /// A length that no input before has.
    fn own_axis(&mut self, at: &Sides<'_>, axis: usize) -> Role {
        let name = match &at.dims[axis] {
            Dim::Symbol(name) => name.clone(),
            _ => format!("axis {axis} of {}", at.x.name),
        };
        let own = Own::Length(self.new_length(name, false));
        let y = at.y.zip(at.there(axis));
        let ports = [
            Some((at.side, at.x, axis)),
            y.map(|(y, j)| (1 - at.side, y, j)),
        ];
        for (side, port, axis) in ports.into_iter().flatten() {
            self.own[side].insert((port.name.clone(), axis), own);
            if let Some(Dim::Symbol(name)) = port.dims.as_ref().and_then(|d| d.get(axis)) {
                self.own_names[side].insert(name.clone(), own);
            }
        }
        own.role()
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
