//! How the two files run a case: in one call, or in calls of as many steps as a file takes, with the states carried along.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use minrnn_model::trial::{self, Span, carried, spans};

use super::case::{Case, Ran, Two, shape};
use super::file::By;
use super::interface::{Ends, Part};
use super::port::Elem;
use super::spec::Fill;
use super::tensor::Tensor;

impl Two {
    /// The second file over all steps: call by call, or at once.
    pub(crate) fn second(&self, by: By, case: &Case) -> Result<Ran> {
        self.whole(1, by, case)
    }

    /// A file over all steps of the case: at once, or in calls of the steps that it takes.
    pub(crate) fn whole(&self, side: usize, by: By, case: &Case) -> Result<Ran> {
        if let Some(lengths) = case.lengths.as_ref().filter(|_| !self.reads_lengths(side)) {
            return self.row_by_row(side, by, case, lengths);
        }
        let wanted = self.wanted(side);
        let Some(steps) = self.face.frames[side] else {
            let results = self.tensors(side, by, case, &wanted)?;
            let ran = self.ran(side, vec![results])?;
            return match &case.lengths {
                Some(lengths) => self.up_to_ends(ran, lengths),
                None => Ok(ran),
            };
        };
        let count = self.face.outputs.len();
        let begin = self.start(case)?;
        let (calls, _) = carried(trial::steps(case.time, steps), begin, |span, states| {
            let results = self.part(side, by, case, span, &states, &wanted)?;
            let next = results.get(count..).unwrap_or_default().to_vec();
            anyhow::Ok((results, next))
        })?;
        self.ran(side, calls)
    }

    /// What calls gave, put together.
    fn ran(&self, side: usize, mut calls: Vec<Vec<Tensor>>) -> Result<Ran> {
        let count = self.face.outputs.len();
        let last = calls.last_mut().context("no step ran")?;
        let mut results = last.split_off(count.min(last.len())).into_iter();
        let states = self.face.states.iter().map(|s| match side {
            0 => s.first.1.as_ref().and_then(|_| results.next()),
            _ => results.next(),
        });
        let states = states.collect();
        let mut outputs = vec![];
        for (i, shape) in self.shapes.iter().enumerate() {
            let parts = calls.iter().filter_map(|c| c.get(i).cloned());
            let parts: Vec<Tensor> = parts
                .map(|t| shape.aligned(side, t))
                .collect::<Result<_>>()?;
            outputs.push(join(parts, shape.time)?);
        }
        Ok(Ran { outputs, states })
    }

    /// Step `t` of the second file, for the tensors wanted.
    pub(crate) fn step(
        &self,
        by: By,
        case: &Case,
        t: usize,
        states: &[Tensor],
        wanted: &[&str],
    ) -> Result<Vec<Tensor>> {
        let steps = self.face.frames[1].unwrap_or(1);
        self.part(1, by, case, (t, (t + steps).min(case.time)), states, wanted)
    }

    /// A file over some steps of the case, in one call.
    fn part(
        &self,
        side: usize,
        by: By,
        case: &Case,
        (from, to): (usize, usize),
        states: &[Tensor],
        wanted: &[&str],
    ) -> Result<Vec<Tensor>> {
        let links = self.face.links.iter().zip(&case.data);
        let others = self.face.others_of(to - from, &case.others, states);
        let data = links.map(|(link, x)| {
            let x = self.face.grown(link, x.clone(), &others)?;
            match link.time() {
                Some(axis) if link.lacks[side] => x.cut(axis, from, to)?.squeeze(axis),
                // Whole, however long it is: lengths may differ.
                Some(_) if (from, to) == (0, case.time) => Ok(x),
                Some(axis) => x.cut(axis, from, to),
                None => Ok(x),
            }
        });
        let data: Vec<Tensor> = data.collect::<Result<_>>()?;
        let ran = self.call(
            side,
            by,
            (case, to - from, &others),
            (&data, states),
            wanted,
        );
        ran.with_context(|| match (from, to) {
            (0, to) if to == case.time => case.name(),
            _ => format!("{}, step {from}", case.name()),
        })
    }

    /// A file over all steps in one call, for the tensors wanted; only the first call, if it takes fewer steps than there are.
    pub(crate) fn tensors(
        &self,
        side: usize,
        by: By,
        case: &Case,
        wanted: &[&str],
    ) -> Result<Vec<Tensor>> {
        let states = self.start(case)?;
        let steps = self.face.frames[side].unwrap_or(case.time).min(case.time);
        self.part(side, by, case, (0, steps), &states, wanted)
    }

    /// The first file in pieces, its states given back from one to the next.
    pub(crate) fn pieces(&self, by: By, case: &Case, pieces: &[usize]) -> Result<Ran> {
        self.spans(case, spans(pieces), |_, part| self.whole(0, by, part))
    }

    /// A case in spans, each by `run` from the states that the one before left; `run` is told which one it is.
    fn spans(
        &self,
        case: &Case,
        spans: impl IntoIterator<Item = Span>,
        run: impl Fn(usize, &Case) -> Result<Ran>,
    ) -> Result<Ran> {
        let begin = case.states.clone();
        let mut last = vec![];
        let mut count = 0;
        let (parts, _) = carried(spans, begin, |(from, to), states| {
            let ran = run(count, &case.cut(self, from, to, states)?)?;
            count += 1;
            last = ran.states;
            let states: Option<Vec<Tensor>> = last.iter().cloned().collect();
            anyhow::Ok((ran.outputs, states))
        })?;
        let outputs = self.shapes.iter().enumerate().map(|(i, shape)| {
            let parts = parts.iter().filter_map(|outputs| outputs.get(i).cloned());
            join(parts.collect(), shape.time)
        });
        Ok(Ran {
            outputs: outputs.collect::<Result<_>>()?,
            states: last,
        })
    }

    /// The begin through the first file, the rest through the second.
    pub(crate) fn then_steps(&self, case: &Case, at: usize) -> Result<Ran> {
        self.spans(case, spans(&[at, case.time - at]), |span, part| {
            self.whole(usize::from(span > 0), By::Judge, part)
        })
    }

    /// The second file to the end, back to the state of step `at`, and on again: what the second time gave.
    pub(crate) fn rewound(&self, by: By, case: &Case, at: usize) -> Result<Ran> {
        self.spans(case, spans(&[at, case.time - at]), |span, part| {
            if span > 0 {
                self.second(by, part)?;
            }
            self.second(by, part)
        })
    }

    /// Names of outputs and last states of a file; a tensor that holds several states stands there once for each.
    pub(crate) fn wanted(&self, side: usize) -> Vec<&str> {
        let outputs = self.face.outputs.iter().map(|names| names[side].as_str());
        let states = self.face.states.iter().filter_map(|s| match side {
            0 => s.first.1.as_deref(),
            _ => Some(s.second.1.as_str()),
        });
        outputs.chain(states).collect()
    }

    fn call(
        &self,
        side: usize,
        by: By,
        (case, time, others): (&Case, usize, &[usize]),
        (data, states): (&[Tensor], &[Tensor]),
        wanted: &[&str],
    ) -> Result<Vec<Tensor>> {
        let mut given: Vec<(&str, Tensor)> = vec![];
        for f in self.face.filled.iter().filter(|f| f.side == side) {
            let shape = shape(&f.roles, case.batch, time, others);
            let value = match (&f.fill, f.of) {
                (Fill::Number(n), _) => *n,
                (Fill::Sum(_), Ends::Length(k)) => match &self.face.lengths[k].sum {
                    Some(sum) => sum.number(time, others),
                    None => others[k] as f64,
                },
                (Fill::Lengths | Fill::Total, Ends::Length(k)) => others[k] as f64,
                (Fill::Lengths, Ends::Fixed(n)) => n as f64,
                (Fill::Time | Fill::Lengths | Fill::Sum(_) | Fill::Total, _) => time as f64,
            };
            let mut values = vec![value; shape.iter().product()];
            let ends = match f.of {
                Ends::Length(k) if f.fill == Fill::Lengths => {
                    case.ends.get(k).filter(|all| !all.is_empty())
                }
                _ => case.lengths.as_ref().filter(|_| f.ends_rows()),
            };
            if let Some(all) = ends {
                values = all.iter().map(|n| *n as f64).collect();
            }
            let filled = Tensor::floats(Elem::F64, &shape, &values)?;
            given.push((f.name.as_str(), filled));
        }
        for (i, (link, t)) in self.face.links.iter().zip(data).enumerate() {
            if case.own && self.keeps(i) {
                continue;
            }
            given.push((link.names[side].as_str(), t.clone()));
        }
        given.extend(self.states_for(side, states)?);
        let feeds: Vec<(&str, &Tensor)> = given.iter().map(|(n, t)| (*n, t)).collect();
        let mut results = self.files[side].run(by, &feeds, wanted)?;
        // A state that is a part of a tensor is cut out of it, where the call is one for the states.
        let usual = self.wanted(side);
        if wanted.len() >= usual.len() && wanted[..usual.len()] == usual[..] {
            let known = self
                .face
                .states
                .iter()
                .filter(|s| side == 1 || s.first.1.is_some());
            let at = self.face.outputs.len();
            for (t, state) in results.iter_mut().skip(at).zip(known) {
                if let Some(part) = &state.parts[side] {
                    *t = part.of(t)?;
                }
            }
        }
        Ok(results)
    }

    /// States by the names that a file has for them; those that are parts of one tensor put together.
    fn states_for(&self, side: usize, states: &[Tensor]) -> Result<Vec<(&str, Tensor)>> {
        let mut given = vec![];
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let all = || {
            let both = self.face.states.iter().zip(states);
            both.filter_map(move |(s, t)| match side {
                0 => s.first.0.as_deref().map(|n| (n, s.parts[0].as_ref(), t)),
                _ => Some((s.second.0.as_str(), s.parts[1].as_ref(), t)),
            })
        };
        for (name, part, t) in all() {
            let Some(part) = part else {
                given.push((name, t.clone()));
                continue;
            };
            if !done.insert(name) {
                continue;
            }
            let mut parts: Vec<(usize, Tensor)> = vec![];
            for (_, p, t) in all().filter(|(n, ..)| *n == name) {
                if let Some(Part {
                    from,
                    alone,
                    axis,
                    unit,
                    ..
                }) = p
                {
                    let t = match unit {
                        Some(axis) => t.clone().unsqueeze(*axis)?,
                        None => t.clone(),
                    };
                    let t = match *alone {
                        true => t.unsqueeze(*axis)?,
                        false => t,
                    };
                    parts.push((*from, t));
                }
            }
            parts.sort_by_key(|(from, _)| *from);
            let parts: Vec<Tensor> = parts.into_iter().map(|(_, t)| t).collect();
            given.push((name, Tensor::join(&parts, part.axis)?));
        }
        Ok(given)
    }
}

impl Part {
    /// This part of a tensor.
    fn of(&self, t: &Tensor) -> Result<Tensor> {
        let part = t.cut(self.axis, self.from, self.to)?;
        let part = match self.alone {
            true => part.squeeze(self.axis)?,
            false => part,
        };
        match self.unit {
            Some(axis) => part.squeeze(axis),
            None => Ok(part),
        }
    }
}

/// Outputs of single calls as one: along the axis of time; without one, the last call's.
fn join(mut parts: Vec<Tensor>, axis: Option<usize>) -> Result<Tensor> {
    match axis {
        Some(axis) if parts.len() > 1 => Tensor::join(&parts, axis),
        _ => parts.pop().context("no step ran"),
    }
}
