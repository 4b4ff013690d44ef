//! How far apart two right files may be: measured, not chosen.
//!
//! The judge runs each file in float64 and, beside it, with every operation rounded to its type. The distance is what its
//! types cost that file, measured by channel and size of the values (`costs`), so that large ones do not excuse the others. With it goes
//! the one ruler: twice the cost, and `4 eps max|y|`, of values of that channel and size.
//! - What two files *mean* (float64 against float64) may differ by that: a constant that one exporter folded is rounded once,
//!   which is less than the rounding of the operations that it stands for.
//! - What they come to when *rounded*, and what an *engine* gives of a file, by four times that: they add in other orders, so
//!   one may round a few times worse.
//!
//! Between two files it is the smaller cost that counts: a file that loses its digits does not widen its own tolerance.

use minrnn_model::ruler::{self, ACROSS, Seen};
use minrnn_onnx::eval::Array;

use super::case::{Case, Ran};
use super::costs::{Channels, Costs, Scales, Which};
use super::port::Elem;
use super::tensor::{Reading, Tensor};
use super::way::Draw;

/// The part of the size of values that rounding may cost before what it hides is told of.
const PART: f64 = 0.01;

/// What is held to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Two files in float64.
    Meaning,
    /// Two files, every operation rounded.
    Rounded,
    /// An engine to the judge, both on the file of that side.
    Engine(usize),
}

/// What was seen of two files.
#[derive(Debug, Default)]
pub(super) struct Rounding {
    /// By file, and how inputs are drawn: of each tensor.
    seen: [Seen<Draw, Vec<Costs>>; 2],
    /// The same, of what engines may round beside that.
    inside: [Seen<Draw, Vec<Costs>>; 2],
    /// By tensor, its axis of time.
    times: Vec<Option<usize>>,
    /// A tolerance that the caller chose.
    given: Option<f64>,
}

/// What is allowed of a tensor in a case.
#[derive(Debug)]
pub(super) struct Allowed {
    scales: Scales,
    eps: f64,
    /// Steps of the case.
    time: usize,
    /// How many times as much as the ruler says.
    across: f64,
    /// The least that is allowed: an engine may take denormal numbers for 0.
    least: f64,
    given: Option<f64>,
}

impl Rounding {
    /// `times`: the axis of time of each tensor, where it has one.
    pub(super) fn new(given: Option<f64>, times: Vec<Option<usize>>) -> Self {
        Self {
            given,
            times,
            ..Self::default()
        }
    }

    /// Where the channels of a tensor lie.
    pub(super) fn channels(&self, tensor: usize, dims: &[usize]) -> Channels {
        Channels::of(dims, self.times.get(tensor).copied().flatten())
    }

    /// Remembers a run of the judge on file `side`.
    pub(super) fn learn(&mut self, side: usize, case: &Case, ran: &Ran) {
        for (i, t) in tensors(ran).enumerate() {
            if let Some(t) = t {
                self.add(side, case, i, [t.value.exact(), t.value.stepwise()]);
            }
        }
    }

    /// Remembers a run in which operators are rounded as engines fuse them.
    pub(super) fn learn_inside(&mut self, side: usize, case: &Case, ran: &Ran) {
        for (i, t) in tensors(ran).enumerate() {
            if let Some(t) = t {
                let channels = self.channels(i, t.value.exact().dims());
                let all = self.inside[side].of(kind(case), case.longest());
                if all.len() <= i {
                    all.resize_with(i + 1, Costs::default);
                }
                all[i].learn(t.value.exact(), t.value.stepwise(), channels);
            }
        }
    }

    /// Remembers a run beside the same without the rounding of short floats.
    pub(super) fn learn_from(&mut self, side: usize, case: &Case, ran: &Ran, plain: &Ran) {
        for (i, pair) in tensors(ran).zip(tensors(plain)).enumerate() {
            if let (Some(a), Some(b)) = pair {
                self.add(side, case, i, [a.value.exact(), b.value.exact()]);
            }
        }
    }

    fn add(&mut self, side: usize, case: &Case, tensor: usize, [a, b]: [&Array; 2]) {
        let channels = self.channels(tensor, a.dims());
        self.of(side, (kind(case), case.longest()), tensor)
            .learn(a, b, channels);
    }

    fn of(&mut self, side: usize, (draw, time): (Draw, usize), tensor: usize) -> &mut Costs {
        let all = self.seen[side].of(draw, time);
        if all.len() <= tensor {
            all.resize_with(tensor + 1, Costs::default);
        }
        &mut all[tensor]
    }

    /// Remembers that values as large as `value` of the one channel of one tensor cost that.
    #[cfg(test)]
    pub(super) fn saw(&mut self, side: usize, time: usize, (value, cost): (f64, f64)) {
        self.of(side, (Draw::Usual, time), 0).saw(value, cost);
    }

    /// What is allowed of a tensor of a case: of what is held to what, of types `elems`. Runs with inputs of that kind that are no longer
    /// count.
    pub(super) fn allowed(
        &self,
        held: Held,
        case: &Case,
        tensor: usize,
        elems: [Elem; 2],
    ) -> Allowed {
        self.by(Which::Smaller, held, case, (tensor, elems))
    }

    /// The same by the file that loses more, which may be all digits.
    pub(super) fn at_most(&self, case: &Case, tensor: usize, elems: [Elem; 2]) -> Allowed {
        self.by(Which::Larger, Held::Meaning, case, (tensor, elems))
    }

    fn by(
        &self,
        which: Which,
        held: Held,
        case: &Case,
        (tensor, elems): (usize, [Elem; 2]),
    ) -> Allowed {
        // Between frames of zeros the numbers are the usual ones.
        let beside = (case.draw == Draw::Silent).then_some(Draw::Usual);
        let of = |all: &mut Costs, seen: &Seen<Draw, Vec<Costs>>| {
            for draw in std::iter::once(kind(case)).chain(beside) {
                for tensors in seen.up_to(draw, case.longest()) {
                    if let Some(costs) = tensors.get(tensor) {
                        all.merge(costs);
                    }
                }
            }
        };
        let merged = |side: usize| {
            let mut all = Costs::default();
            of(&mut all, &self.seen[side]);
            if matches!(held, Held::Engine(_)) {
                of(&mut all, &self.inside[side]);
            }
            all
        };
        let sides: Vec<Costs> = match held {
            Held::Engine(side) => vec![merged(side)],
            _ => vec![merged(0), merged(1)],
        };
        Allowed {
            scales: Scales::new(&sides, which),
            eps: elems.map(place).into_iter().fold(0.0, f64::max),
            time: case.longest(),
            across: match held {
                Held::Meaning => 1.0,
                Held::Rounded | Held::Engine(_) => ACROSS,
            },
            least: match held {
                Held::Engine(_) => f64::from(f32::MIN_POSITIVE),
                _ => 0.0,
            },
            given: self.given,
        }
    }
}

impl Allowed {
    /// The tolerance of a value of a channel, and whether it says something: half as large as the values, it does not.
    pub(super) fn of(&self, channel: usize, value: f64) -> (f64, bool) {
        if let Some(given) = self.given {
            return (given, true);
        }
        let value = if value.is_finite() { value.abs() } else { 0.0 };
        let seen = self.scales.at(channel, value);
        let largest = seen.map_or(value, |s| s.largest.max(value));
        // Nothing finite was measured: a recurrence whose gates are in [0, 1] errs by eps T times the largest value at most.
        let unknown = self.eps * self.time as f64 * largest;
        let cost = seen.and_then(|s| s.error).unwrap_or(unknown);
        let tolerance = self.across * ruler::tolerance(cost, self.eps, largest);
        let tolerance = tolerance.max(self.least);
        let size = seen.map_or(0.0, |s| s.smallest);
        (tolerance, size == 0.0 || tolerance < size / 2.0)
    }
}

impl Allowed {
    /// Whether two values are apart by what float64 tells, and only a tolerance that is a large part of their size passes them.
    pub(super) fn hides(&self, channel: usize, [x, y]: [f64; 2]) -> bool {
        let value = x.abs().max(y.abs());
        let size = self.scales.at(channel, value).map_or(0.0, |s| s.smallest);
        let (tolerance, _) = self.of(channel, value);
        let apart = (x - y).abs();
        self.given.is_none()
            && apart > self.half_of_the_digits() * size
            && tolerance > PART * size
            && apart.is_finite()
    }

    /// Whether a value of a channel was seen to cost no more than its own last places: nothing before it lost digits.
    pub(super) fn is_rounding_alone(&self, channel: usize, value: f64) -> bool {
        let seen = self.scales.at(channel, value.abs());
        let cost = seen.and_then(|s| s.error);
        self.given.is_none() && cost.is_some_and(|c| c <= 2.0 * self.eps * value.abs())
    }

    /// Half of the digits of the type.
    pub(super) fn half_of_the_digits(&self) -> f64 {
        self.eps.sqrt()
    }
}

/// What the runs of a case speak for.
fn kind(case: &Case) -> Draw {
    match case.draw.is_apart() {
        true => case.draw,
        false => Draw::Usual,
    }
}

/// Relative size of the last place that is vouched for. The judge computes in float64 itself, so of values of that type half of
/// the digits.
fn place(elem: Elem) -> f64 {
    match elem {
        Elem::F64 => f64::EPSILON.sqrt(),
        Elem::F16 => 2f64.powi(-10),
        Elem::BF16 => 2f64.powi(-7),
        _ => f64::from(f32::EPSILON),
    }
}

/// Whether rounding was seen at all in a tensor.
pub(super) fn rounds(t: &Tensor) -> bool {
    t.array(Reading::Exact).floats().is_some() && t.value.dtype() != Elem::F64
}

/// Outputs, then states.
pub(super) fn tensors(ran: &Ran) -> impl Iterator<Item = Option<&Tensor>> {
    ran.outputs
        .iter()
        .map(Some)
        .chain(ran.states.iter().map(Option::as_ref))
}
