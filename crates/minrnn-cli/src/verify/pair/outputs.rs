//! Which axes of the outputs are time and rows: found by running the files at several sizes.

use anyhow::{Result, bail};
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::file::By;
use super::interface::Kind;
use super::shape::{Form, Shape};
use super::sizes::BATCHES;

/// Shapes of the outputs of one run.
type Shapes = Vec<Vec<usize>>;

impl Two {
    /// The axes of all outputs.
    pub(super) fn find_shapes(&self) -> Result<Vec<Shape>> {
        let batch = self.face.batch.unwrap_or(BATCHES[1]);
        let unit = self.face.unit();
        let shortest = self.face.shortest();
        let lengths = self
            .face
            .length
            .map_or_else(|| two_lengths(unit, shortest, self.most), |n| [n, n]);
        let whole = (0..2).find(|side| self.face.frames[*side].is_none());
        let mut grown: Vec<Shapes> = vec![];
        let mut wider = None;
        if let Some(side) = whole {
            for time in lengths {
                grown.push(self.shapes_of(side, (batch, time))?);
            }
            if (0..2).any(|side| self.reads_lengths(side)) && self.face.batch.is_none() {
                wider = Some(self.shapes_of(side, (batch + 1, lengths[1]))?);
            }
        }
        let mut calls: [Option<(usize, Shapes)>; 2] = [None, None];
        for (side, call) in calls.iter_mut().enumerate() {
            if let Some(steps) = self.face.frames[side] {
                *call = Some((steps, self.shapes_of(side, (batch, steps))?));
            }
        }
        let one = |i: usize| {
            let grown: Vec<&[usize]> = grown.iter().map(|s| s[i].as_slice()).collect();
            let calls = calls
                .each_ref()
                .map(|c| c.as_ref().map(|(n, s)| (*n, s[i].as_slice())));
            let mut shape = match grown.as_slice() {
                [a, b] => self.of_whole(i, [*a, *b], lengths, calls)?,
                _ => self.of_calls(calls, batch),
            };
            if let (Some(wider), [_, b]) = (&wider, grown.as_slice()) {
                shape.rows = grows(b, &wider[i]);
            }
            Ok(shape)
        };
        (0..self.face.outputs.len()).map(one).collect()
    }

    /// By tensor, outputs and then states, the axis of time.
    pub(super) fn times(&self) -> Vec<Option<usize>> {
        let states = self.face.states.iter().map(|_| None);
        self.shapes.iter().map(|s| s.time).chain(states).collect()
    }

    /// Shapes of the outputs of one call.
    fn shapes_of(&self, side: usize, size: (usize, usize)) -> Result<Shapes> {
        let case = Case::random(self, size, &mut Rng::named(0, "shapes"))?;
        let count = self.face.outputs.len();
        let wanted = self.wanted(side);
        let results = self.tensors(side, By::Judge, &case, &wanted)?;
        Ok(results
            .iter()
            .take(count)
            .map(|t| t.shape().to_vec())
            .collect())
    }

    /// Of an output that some file gives for whole sequences.
    fn of_whole(
        &self,
        i: usize,
        [a, b]: [&[usize]; 2],
        lengths: [usize; 2],
        calls: [Option<(usize, &[usize])>; 2],
    ) -> Result<Shape> {
        let call = calls.iter().flatten().next().copied();
        // Of one length alone, too, where no more was asked for.
        let only = self.face.length;
        let only = only.or((lengths[0] == lengths[1]).then_some(lengths[0]));
        let time = match only {
            None => grows(a, b),
            Some(length) => fixed_axis(a, call, length),
        };
        let ratio = match time {
            Some(axis) if only.is_none() => {
                reduced(b[axis].saturating_sub(a[axis]), lengths[1] - lengths[0])
            }
            _ => (1, 1),
        };
        let forms = calls.map(|call| match (call, time) {
            (Some((_, s)), Some(axis)) => form(b, s, axis),
            _ => Form::Same,
        });
        if let (Kind::Step, Some(axis), None) = (self.kind, time, only)
            && (b.len() != a.len() || ratio.0 == 0)
        {
            bail!(
                "output `{}` has shapes {a:?} and {b:?} for T = {lengths:?}: axis {axis} is no time",
                self.face.outputs[i][0]
            );
        }
        Ok(Shape {
            time,
            rows: None,
            ratio,
            forms,
        })
    }

    /// Of an output that both files give call by call.
    fn of_calls(&self, calls: [Option<(usize, &[usize])>; 2], batch: usize) -> Shape {
        let [Some((m, a)), Some((n, b))] = calls else {
            return Shape::default();
        };
        let long = if a.len() < b.len() { b } else { a };
        let usual = self.face.links.iter().find_map(|l| l.time()).unwrap_or(0);
        let both_lack = self.face.links.iter().any(|l| l.lacks == [true, true]);
        let time = if m != n && a.len() == b.len() {
            (0..a.len()).find(|k| a[*k] != b[*k])
        } else if both_lack {
            Some(usual.min(long.len()))
        } else {
            let fits = |k: &usize| long.get(*k) == Some(&m) && (m != batch || *k != 0);
            Some(usual)
                .filter(fits)
                .or_else(|| (0..long.len()).find(fits))
        };
        let rank = long.len();
        let form = |s: &[usize]| match time {
            Some(_) if both_lack || s.len() + 1 == rank => Form::Lacks,
            _ => Form::Same,
        };
        let ratio = time.and_then(|axis| Some(reduced(*long.get(axis)?, m)));
        Shape {
            time,
            rows: None,
            ratio: if both_lack {
                (1, 1)
            } else {
                ratio.unwrap_or((1, 1))
            },
            forms: [form(a), form(b)],
        }
    }

    /// Whether every output has as many entries along time as there are steps, so that pieces of it can be put together.
    pub(super) fn step_by_step(&self) -> bool {
        self.shapes
            .iter()
            .all(|s| s.time.is_none() || s.ratio == (1, 1))
    }

    /// Whether single rows can be run, and cut out of what came.
    pub(super) fn rows_apart(&self) -> bool {
        self.face.batch.is_none()
            && self.face.length.is_none()
            && self.face.frames[0].is_none()
            && self.step_by_step()
            && !self.shapes.is_empty()
            && self.shapes.iter().all(|s| s.rows.is_some())
    }
}

/// Two lengths that a file takes, some steps apart where it can be.
fn two_lengths(unit: usize, shortest: usize, most: usize) -> [usize; 2] {
    // Windows may be as far apart as they are wide.
    if shortest > unit {
        return [
            shortest,
            (3 * shortest).min(most / unit * unit).max(shortest),
        ];
    }
    let long = (17.max(2 * unit).min(most) / unit * unit).max(unit);
    let short = long.saturating_sub(8).max(1).div_ceil(unit) * unit;
    let before = if short < long { short } else { long - unit };
    [before.max(unit), long]
}

/// The first axis that differs.
fn grows(a: &[usize], b: &[usize]) -> Option<usize> {
    (0..a.len().min(b.len())).find(|k| a[*k] != b[*k])
}

fn form(whole: &[usize], call: &[usize], axis: usize) -> Form {
    let without = [&whole[..axis], &whole[axis + 1..]].concat();
    if call.len() == whole.len() {
        let others = [&call[..axis], &call[axis + 1..]].concat();
        if others == without {
            return Form::Same;
        }
    }
    if call == without.as_slice() {
        return Form::Lacks;
    }
    // The same but for axes of one entry, with the time of one call.
    let many =
        |dims: &[usize]| -> Vec<usize> { dims.iter().copied().filter(|n| *n != 1).collect() };
    let rest: usize = without.iter().product();
    let all: usize = call.iter().product();
    if rest > 0 && all.is_multiple_of(rest) {
        let mut one = whole.to_vec();
        one[axis] = all / rest;
        if many(&one) == many(call) {
            let mut axes = (0..call.len()).filter(|k| call[*k] != 1);
            let axis = |n: &usize| (*n != 1).then(|| axes.next()).flatten();
            return Form::Shaped(one.iter().map(axis).collect());
        }
    }
    Form::Same
}

fn reduced(a: usize, b: usize) -> (usize, usize) {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    let by = x.max(1);
    (a / by, b / by)
}

/// Where only one length runs: the axis of that length without which a step's shape is left.
fn fixed_axis(whole: &[usize], call: Option<(usize, &[usize])>, time: usize) -> Option<usize> {
    let fits = |axis: &usize| {
        let without = [&whole[..*axis], &whole[*axis + 1..]].concat();
        let one = |steps: usize| [&whole[..*axis], &[steps], &whole[*axis + 1..]].concat();
        whole[*axis] == time && call.is_none_or(|(n, s)| *s == without || *s == one(n))
    };
    (0..whole.len())
        .rev()
        .find(|axis| *axis == 1 && fits(axis))
        .or_else(|| (0..whole.len()).find(fits))
}
