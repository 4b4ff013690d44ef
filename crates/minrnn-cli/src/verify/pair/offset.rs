//! Channels whose values are far larger than what varies in them, as a sum with a large constant is.
//!
//! There the last place of a value is as large as a part of what varies, or larger, and a tolerance by the size of the values would let
//! another weight pass. Where no more is lost than these last places, float64 tells the two apart: a constant that was folded in another
//! type moves all values alike, a weight moves what varies.

use super::costs::Channels;
use super::rounding::Allowed;

/// How many times as large values are as what varies in them.
const FAR: f64 = 100.0;
/// What float64 itself does not tell apart, of the size of the values: its digits but for those that thousands of operations take.
const NOISE: f64 = f64::EPSILON * 65_536.0;
/// Values of a channel by which it is known what varies.
const ENOUGH: usize = 24;

/// A channel in two files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offset {
    /// By how much the two are apart on the whole.
    moved: f64,
    /// By how much values may be apart beside that.
    allowed: f64,
    /// The largest value.
    pub(super) size: f64,
    /// By how much values differ from each other.
    pub(super) varies: f64,
}

impl Offset {
    /// The most that two values of the channel may be apart.
    pub(super) fn tolerance(&self) -> f64 {
        self.moved.abs() + self.allowed
    }
}

/// By channel, those that are such; `x` and `y` are the values of the two files in float64.
pub(super) fn offsets(
    x: &[f64],
    y: &[f64],
    channels: Channels,
    allowed: &Allowed,
) -> Vec<Option<Offset>> {
    let mut all: Vec<Vec<(f64, f64)>> = vec![];
    for (i, pair) in x.iter().copied().zip(y.iter().copied()).enumerate() {
        let channel = channels.at(i);
        if all.len() <= channel {
            all.resize_with(channel + 1, Vec::new);
        }
        all[channel].push(pair);
    }
    let one = |(channel, values): (usize, &Vec<(f64, f64)>)| {
        let finite = values.iter().all(|(x, y)| x.is_finite() && y.is_finite());
        if values.len() < ENOUGH || !finite {
            return None;
        }
        let size = values
            .iter()
            .fold(0.0, |m: f64, (x, y)| m.max(x.abs()).max(y.abs()));
        let varies = spread(values.iter().map(|v| v.0)).min(spread(values.iter().map(|v| v.1)));
        let far = varies > 0.0 && size > FAR * varies;
        let noise = NOISE * size;
        (far && allowed.is_rounding_alone(channel, size)).then(|| Offset {
            moved: values.iter().map(|(x, y)| x - y).sum::<f64>() / values.len() as f64,
            allowed: noise.max(allowed.half_of_the_digits() * varies),
            size,
            varies,
        })
    };
    all.iter().enumerate().map(one).collect()
}

fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::NEG_INFINITY, f64::max);
    most - values.fold(f64::INFINITY, f64::min)
}
