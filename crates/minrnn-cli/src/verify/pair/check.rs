//! Two runs held to each other, over many cases: a row for each tensor.

use std::collections::BTreeMap;

use minrnn_model::compare::{Comparison, Worst};

use super::case::{Case, Ran, Two};
use super::costs::Channels;
use super::offset::offsets;
use super::report::{Place, Row};
use super::rounding::{Allowed, Held, Rounding, rounds, tensors};
use super::show::number;
use super::tensor::{Reading, Tensor};
use crate::verify::argmax;
use crate::verify::picture::ByLength;
use crate::verify::who::Who;

/// A check in the making: one row for each tensor.
#[derive(Debug)]
pub(crate) struct Check {
    name: String,
    held: Held,
    rows: Vec<(Row, Comparison, Counts)>,
}

/// What is counted over all cases of a tensor.
#[derive(Debug, Clone, Default)]
struct Counts {
    /// Values that are exactly 0, in the first and the second file.
    zeros: [usize; 2],
    /// Rows of logits, and those whose largest is the same one.
    logits: [usize; 2],
    /// See [`Furthest::offset`].
    offset: Option<(f64, f64)>,
}

/// Names of outputs and last states, as the second file has them.
fn names(two: &Two) -> Vec<String> {
    let outputs = two.face.outputs.iter().map(|n| n[1].clone());
    outputs
        .chain(two.face.states.iter().map(|s| s.second.1.clone()))
        .collect()
}

impl Check {
    pub(super) fn new(check: &str, by: &Who, held: Held, two: &Two) -> Self {
        let row = |tensor: String| {
            let row = Row {
                check: check.into(),
                by: by.name.clone(),
                version: by.version.clone(),
                tensor,
                cases: 0,
                values: 0,
                failing: 0,
                max_abs: 0.0,
                max_ulp: 0,
                tolerance: 0.0,
                of_tolerance: 0.0,
                min_tolerance: 0.0,
                worst: None,
                zeros: [0.0; 2],
                on_edge: 0,
                argmax: None,
                holds: false,
                errors_by_length: ByLength::default(),
                decides: true,
                untold: 0,
                no_number: 0,
                nowhere: None,
                said: None,
            };
            (row, Comparison::default(), Counts::default())
        };
        Self {
            name: check.into(),
            held,
            rows: names(two).into_iter().map(row).collect(),
        }
    }

    /// Compares whole tensors of one case; a tensor that one file does not have is left out. Whether all hold.
    pub(super) fn add(&mut self, case: &Case, first: &Ran, second: &Ran, costs: &Rounding) -> bool {
        let mut holds = true;
        for (i, (a, b)) in tensors(first).zip(tensors(second)).enumerate() {
            if let (Some(a), Some(b)) = (a, b) {
                // What is never rounded has one reading.
                if self.held == Held::Rounded && !rounds(a) && !rounds(b) {
                    continue;
                }
                let elems = [a, b].map(|t| t.value.dtype());
                let allowed = Measure {
                    held: self.held,
                    large: case.large,
                    most: (case.large && self.held == Held::Meaning)
                        .then(|| costs.at_most(case, i, elems)),
                    allowed: costs.allowed(self.held, case, i, elems),
                    channels: costs.channels(i, a.shape()),
                };
                holds &= self.compare(i, case, (a, b), &allowed);
            }
        }
        holds
    }

    fn compare(
        &mut self,
        i: usize,
        case: &Case,
        (a, b): (&Tensor, &Tensor),
        measure: &Measure,
    ) -> bool {
        let (row, all, counts) = &mut self.rows[i];
        row.cases += 1;
        let mut c = Comparison::default();
        let mut at = Furthest::default();
        if a.shape() == b.shape() {
            let edges = on_edge(a, b);
            row.on_edge += edges.len();
            at = measure.values((a, b), &edges, &mut c);
            if row.tensor == LOGITS {
                agreement(a, b, &mut counts.logits);
            }
        } else {
            // Tensors of different shapes have no values in common; one comparison that fails stands for them.
            c.push(f64::NAN, 0.0, 0.0);
            at.take(f64::INFINITY, 0.0, c.worst.clone());
            let what = || format!("shapes {:?} and {:?}", a.shape(), b.shape());
            row.said.get_or_insert_with(what);
        }
        for (n, t) in counts.zeros.iter_mut().zip([a, b]) {
            let array = t.value.stepwise();
            *n += array
                .floats()
                .unwrap_or_default()
                .iter()
                .filter(|v| **v == 0.0)
                .count();
            *n += array
                .ints()
                .unwrap_or_default()
                .iter()
                .filter(|v| **v == 0)
                .count();
        }
        let worse = row.worst.is_none() || at.parts > row.of_tolerance;
        if let (Some(Worst { index, got, want }), true) = (&at.worst, worse) {
            let index = match a.shape() == b.shape() {
                true => a.index(*index),
                false => vec![],
            };
            row.worst = Some(Place {
                case: case.name(),
                batch: case.batch,
                time: case.time,
                others: case.others.clone(),
                large: case.large,
                index,
                first: *got,
                second: *want,
            });
            row.tolerance = at.tolerance;
        } else if row.worst.is_none() {
            row.tolerance = row.tolerance.max(at.tolerance);
        }
        row.of_tolerance = row.of_tolerance.max(at.parts);
        row.untold += at.untold;
        row.no_number += at.no_number;
        if let Some(index) = at.nowhere {
            let place = || format!("{:?} ({})", a.index(index), case.name());
            row.nowhere.get_or_insert_with(place);
        }
        counts.offset = counts.offset.or(at.offset);
        row.errors_by_length.add(case.time, c.max_abs);
        all.merge(&c);
        c.failing == 0
    }

    /// What its rows are called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Why values differ that are apart by less than rounding costs values of that size.
    pub(super) fn offsets(&self) -> impl Iterator<Item = String> {
        let found = |(row, _, counts): &(Row, Comparison, Counts)| {
            let (size, varies) = counts.offset?;
            Some(format!(
                "{}, `{}`: values as large as {} vary by {} alone; what varies was compared in float64, and differs by more than half of its digits",
                self.name,
                row.tensor,
                number(size),
                number(varies)
            ))
        };
        self.rows.iter().filter_map(found)
    }

    /// Whether nothing failed.
    pub(super) fn holds(&self) -> bool {
        self.rows.iter().all(|(_, c, _)| c.failing == 0)
    }

    /// The rows of tensors that were compared.
    pub(crate) fn rows(self) -> Vec<Row> {
        let share = |[all, same]: [usize; 2]| (all > 0).then(|| same as f64 / all as f64);
        let row = |(row, c, counts): (Row, Comparison, Counts)| Row {
            values: c.count,
            failing: c.failing,
            max_abs: c.max_abs,
            max_ulp: c.max_ulp,
            min_tolerance: c.min_tolerance,
            zeros: counts.zeros.map(|n| n as f64 / c.count.max(1) as f64),
            argmax: share(counts.logits),
            // A tensor of no values has the right ones.
            holds: c.failing == 0,
            ..row
        };
        self.rows
            .into_iter()
            .filter(|(r, ..)| r.cases > 0)
            .map(row)
            .collect()
    }
}

/// The output of files of minrnn of which the largest value of a row is what people read.
const LOGITS: &str = "logits";

/// Rows along the last axis, and those whose largest value is at the same place.
fn agreement(a: &Tensor, b: &Tensor, [rows, same]: &mut [usize; 2]) {
    let classes = a.shape().last().copied().unwrap_or(0);
    if classes == 0 {
        return;
    }
    let [a, b] = [a, b].map(|t| t.settled().values(Reading::Exact));
    for (a, b) in a.chunks(classes).zip(b.chunks(classes)) {
        *rows += 1;
        *same += usize::from(argmax(a) == argmax(b));
    }
}

/// What else each value that hangs on an edge may be, by position: in the first, in the second.
type Edges = BTreeMap<usize, [Option<f64>; 2]>;

fn on_edge(a: &Tensor, b: &Tensor) -> Edges {
    let mut all = Edges::new();
    for (side, t) in [a, b].into_iter().enumerate() {
        for edge in t.value.edges() {
            let float = edge.other.floats().and_then(|v| v.first().copied());
            let int = edge.other.ints().and_then(|v| v.first().map(|n| *n as f64));
            all.entry(edge.position).or_default()[side] = float.or(int);
        }
    }
    all
}

/// The value that is the furthest off, in units of what is allowed.
#[derive(Debug, Default)]
struct Furthest {
    parts: f64,
    /// What is allowed of it; where nothing differs, the most that is allowed of a value.
    tolerance: f64,
    worst: Option<Worst>,
    /// Values of which the tolerance says nothing.
    untold: usize,
    /// Of values that differ by what varies in them alone: how large they are, and by how much they vary.
    offset: Option<(f64, f64)>,
    /// Values that are no number in either, and the first of them.
    no_number: usize,
    nowhere: Option<usize>,
}

impl Furthest {
    fn take(&mut self, parts: f64, tolerance: f64, worst: Option<Worst>) {
        if parts > self.parts || (self.worst.is_none() && worst.is_some()) {
            *self = Self {
                parts,
                tolerance,
                worst,
                untold: self.untold,
                offset: self.offset,
                no_number: self.no_number,
                nowhere: self.nowhere,
            };
        } else if self.worst.is_none() {
            self.tolerance = self.tolerance.max(tolerance);
        }
    }
}

/// What two tensors are held to each other by.
struct Measure {
    held: Held,
    large: bool,
    allowed: Allowed,
    /// Of large inputs: beyond what is allowed and within this it cannot be told, since one of the files loses its digits there, in
    /// float64 too perhaps.
    most: Option<Allowed>,
    channels: Channels,
}

impl Measure {
    /// Integers exactly, floats within what is allowed. On an edge an integer may be what it would be on the other side, a float as
    /// much farther off as that is.
    fn values(&self, (a, b): (&Tensor, &Tensor), edges: &Edges, c: &mut Comparison) -> Furthest {
        if let (Some(x), Some(y)) = (a.value.stepwise().ints(), b.value.stepwise().ints()) {
            return integers((x, y), edges, c);
        }
        let mut most = Furthest::default();
        let (x, y) = match self.held {
            Held::Rounded => (a.values(Reading::Rounded), b.values(Reading::Rounded)),
            _ => [a, b].map(|t| t.settled().values(Reading::Exact)).into(),
        };
        let steps = [a, b].map(|t| t.values(Reading::Rounded));
        let exact = [a, b].map(|t| t.values(Reading::Exact));
        let offsets = match self.held == Held::Meaning && !self.large {
            true => offsets(&exact[0], &exact[1], self.channels, &self.allowed),
            false => vec![],
        };
        for (index, (got, want)) in x.iter().copied().zip(y).enumerate() {
            if got.is_nan() && want.is_nan() && !self.says_nothing() {
                // There is nothing to hold to each other: neither file is accused, and neither is cleared.
                most.no_number += 1;
                most.nowhere.get_or_insert(index);
                c.push(0.0, 0.0, 0.0);
                continue;
            }
            let moved = edges.get(&index).map_or(0.0, |sides| {
                let far = |k: usize| sides[k].map_or(0.0, |o| (o - steps[k][index]).abs());
                far(0).max(far(1))
            });
            let size = got.abs().max(want.abs());
            let channel = self.channels.at(index);
            let (allowed, mut tells) = self.allowed.of(channel, size);
            let mut tolerance = allowed + moved;
            if let (Some(all), true) = (&self.most, parts(got, want, tolerance) > 1.0) {
                tolerance = all.of(channel, size).0 + moved;
                tells = !(tolerance.is_infinite() || parts(got, want, tolerance) <= 1.0);
            }
            most.untold += usize::from(!tells);
            let (mut got, mut want) = (got, want);
            if let Some(Some(offset)) = offsets.get(channel)
                && offset.tolerance() < tolerance
                && !edges.contains_key(&index)
            {
                tolerance = offset.tolerance();
                (got, want) = (exact[0][index], exact[1][index]);
                if (got - want).abs() > tolerance {
                    most.offset = Some((offset.size, offset.varies));
                }
            }
            let rounded = steps[1][index];
            let (got, want) = match self.nowhere(got, want, rounded) || tolerance.is_infinite() {
                true => (0.0, 0.0),
                false => (got, want),
            };
            c.push(got, want, tolerance);
            let worst = (got != want).then_some(Worst { index, got, want });
            most.take(parts(got, want, tolerance), tolerance, worst);
        }
        most
    }
}

impl Measure {
    /// Whether there is no number in either, where that says nothing against them: an engine that gives none where the judge has
    /// none computes the file rightly, and inputs far beyond the usual may be beyond what both files are for.
    fn nowhere(&self, got: f64, want: f64, rounded: f64) -> bool {
        let engine = matches!(self.held, Held::Engine(_));
        got.is_nan() && ((want.is_nan() && self.says_nothing()) || (rounded.is_nan() && engine))
    }

    fn says_nothing(&self) -> bool {
        self.large || matches!(self.held, Held::Engine(_))
    }
}

fn integers((x, y): (&[i128], &[i128]), edges: &Edges, c: &mut Comparison) -> Furthest {
    let mut most = Furthest::default();
    for (index, (x, y)) in x.iter().zip(y).enumerate() {
        let sides = edges.get(&index).copied().unwrap_or_default();
        let also = sides[0] == Some(*y as f64)
            || sides[1] == Some(*x as f64)
            || sides[0].is_some() && sides[0] == sides[1];
        c.push_int(*x, *y, also);
        let (got, want) = (*x as f64, *y as f64);
        let worst = (x != y).then_some(Worst { index, got, want });
        let parts = if x == y || also { 0.0 } else { f64::INFINITY };
        most.take(parts, 0.0, worst);
    }
    most
}

/// A difference in units of what is allowed.
fn parts(x: f64, y: f64, allowed: f64) -> f64 {
    let apart = (x - y).abs();
    match apart / allowed {
        _ if x == y => 0.0,
        parts if parts.is_nan() || apart.is_nan() => f64::INFINITY,
        parts => parts,
    }
}
