//! Two runs held to each other, over many cases: a row for each tensor.

use minrnn_model::compare::{Comparison, Worst};

use super::case::{Case, Ran, Two};
use super::costs::Channels;
use super::growth::Growth;
use super::measure::{Furthest, Measure, on_edge};
use super::noise::Noise;
use super::report::{JUDGE, Place, Row};
use super::rounding::{Held, Rounding, rounds, tensors};
use super::show::number;
use super::tensor::{Reading, Tensor};
use super::way::Draw;
use crate::verify::argmax;
use crate::verify::picture::ByLength;
use crate::verify::who::Who;

/// A check in the making: one row for each tensor.
#[derive(Debug, Clone)]
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
    /// See [`Furthest::offset`] and [`Furthest::noisy`].
    offset: Option<(f64, f64)>,
    noisy: usize,
    /// Values that fail in cases in which every row has steps.
    full: usize,
    /// By channel the value that both files have there as long as nothing else was seen; whether something was.
    first: Vec<Option<f64>>,
    moves: bool,
    growth: Growth,
}

impl Counts {
    /// Whether values move: they are not one number in a channel, in both files.
    fn look(&mut self, tensors: [&Tensor; 2], channels: Channels) {
        for t in tensors {
            let values = t.settled().values(Reading::Exact);
            for (i, v) in values.into_iter().enumerate() {
                let at = channels.at(i);
                if self.first.len() <= at {
                    self.first.resize(at + 1, None);
                }
                self.moves |= *self.first[at].get_or_insert(v) != v;
            }
        }
    }
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
                still: false,
                no_number: 0,
                nowhere: None,
                beyond: 0,
                outside: None,
                tipped: 0,
                open: false,
                grows: None,
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

    /// What is held to what.
    pub(super) fn held(&self) -> Held {
        self.held
    }

    /// Compares whole tensors of one case; a tensor that one file does not have is left out. Whether all hold. `noise`: by how much values
    /// move where last places before them do, where that is known.
    pub(super) fn add_within(
        &mut self,
        case: &Case,
        (first, second): (&Ran, &Ran),
        costs: &Rounding,
        noise: Option<&Noise>,
    ) -> bool {
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
                    draw: case.draw,
                    most: (case.draw == Draw::Large && self.held == Held::Meaning)
                        .then(|| costs.at_most(case, i, elems)),
                    allowed: match case.draw {
                        // The usual inputs are held to the file that loses less: these show other paths.
                        Draw::Small | Draw::Centred | Draw::Silent => costs.at_most(case, i, elems),
                        _ => costs.allowed(self.held, case, i, elems),
                    },
                    channels: costs.channels(i, a.shape()),
                    noise: noise.and_then(|n| n.of(i)),
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
        measure: &Measure<'_>,
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
        if !counts.moves {
            counts.look([a, b], measure.channels);
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
                draw: case.draw,
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
        row.tipped += at.tipped;
        row.beyond += at.beyond;
        counts.growth.add(case.time, &at);
        if let Some(index) = at.outside {
            let place = || format!("{:?} ({})", a.index(index), case.name());
            row.outside.get_or_insert_with(place);
        }
        counts.offset = counts.offset.or(at.offset);
        counts.noisy += at.noisy;
        if !case.lengths.iter().flatten().any(|n| *n == 0) {
            counts.full += c.failing;
        }
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

    /// Values that last places before them move by more than the measured tolerance, by tensor: they were held to that.
    pub(super) fn noisy(&self) -> impl Iterator<Item = (&str, usize)> {
        let rows = self.rows.iter().filter(|(.., counts)| counts.noisy > 0);
        rows.map(|(row, _, counts)| (row.tensor.as_str(), counts.noisy))
    }

    /// Values of which float64 has a number and the type has none, by tensor: how many of how many, and the first place.
    pub(super) fn outside(&self) -> impl Iterator<Item = (&str, [usize; 2], &str)> {
        self.rows.iter().filter_map(|(row, c, _)| {
            let place = row.outside.as_deref()?;
            Some((row.tensor.as_str(), [row.beyond, c.count], place))
        })
    }

    /// Whether nothing failed where every row has steps.
    pub(super) fn holds_for_full_rows(&self) -> bool {
        self.rows.iter().all(|(.., counts)| counts.full == 0)
    }

    /// Whether nothing failed.
    pub(super) fn holds(&self) -> bool {
        self.rows.iter().all(|(_, c, _)| c.failing == 0)
    }

    /// The rows of tensors that were compared.
    pub(crate) fn rows(self) -> Vec<Row> {
        let share = |[all, same]: [usize; 2]| (all > 0).then(|| same as f64 / all as f64);
        let held = self.held;
        let row = |(row, c, counts): (Row, Comparison, Counts)| Row {
            values: c.count,
            failing: c.failing,
            max_abs: c.max_abs,
            max_ulp: c.max_ulp,
            min_tolerance: c.min_tolerance,
            zeros: counts.zeros.map(|n| n as f64 / c.count.max(1) as f64),
            argmax: share(counts.logits),
            still: row.by == JUDGE && !counts.moves && c.count > 0,
            // A tensor of no values has the right ones.
            holds: c.failing == 0,
            // An engine rounds, and may be on the other side as a whole.
            open: held == Held::Meaning && row.tipped * FEW > c.count,
            grows: counts.growth.whole_up_to(),
            ..row
        };
        self.rows
            .into_iter()
            .filter(|(r, ..)| r.cases > 0)
            .map(row)
            .collect()
    }
}

/// One of so many values may be apart by a decision that rounding tips.
const FEW: usize = 100;

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
