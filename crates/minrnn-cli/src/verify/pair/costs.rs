//! What rounding costs values of one size in one channel.
//!
//! One large channel, or a column that is masked by -1e9, must not excuse the values beside it. So what is measured is measured
//! by channel (the last axis that is not time) and by size (factors of 4): a value is held to what values of its channel cost that
//! are smaller than itself or up to some hundred times as large. Values near 0 are counted as large as the lower quarter of their
//! channel, since what cancels keeps the error of its terms. A channel of few values may be right by luck: there all channels
//! speak for it, by size.

use minrnn_onnx::eval::Array;

/// Values of a channel by which its errors are known; with fewer, all channels speak for it.
const ENOUGH: usize = 24;

/// Of one size in one channel.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    band: i16,
    /// Values that are not 0: a 0 that is exact measures nothing.
    count: usize,
    /// The largest distance.
    cost: f64,
    /// The largest value.
    largest: f64,
    /// Whether rounding left a number nowhere near: infinity, or none.
    broken: bool,
}

/// By channel, what was seen of each size.
#[derive(Debug, Clone, Default)]
pub(super) struct Costs {
    channels: Vec<Vec<Seen>>,
}

/// How many sizes larger a value may be to be a peer: what is up to some 100 times as large is held to the same.
const REACH: i16 = 3;

/// The size of a value: one number for a factor of 4.
fn band(value: f64) -> i16 {
    let exponent = ((value.to_bits() >> 52) & 0x7ff) as i16;
    if value == 0.0 { 0 } else { exponent >> 1 }
}

/// Where the values of a channel lie in a tensor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channels {
    count: usize,
    inner: usize,
}

impl Channels {
    /// Along the last axis that is not time.
    pub(super) fn of(dims: &[usize], time: Option<usize>) -> Self {
        let axis = (0..dims.len()).rev().find(|axis| Some(*axis) != time);
        let (count, inner) = match axis {
            Some(axis) => (dims[axis], dims[axis + 1..].iter().product()),
            None => (1, 1),
        };
        Self {
            count: count.max(1),
            inner: usize::max(inner, 1),
        }
    }

    pub(super) fn at(self, flat: usize) -> usize {
        flat / self.inner % self.count
    }
}

impl Costs {
    /// Takes in the distance of two readings, `exact` the one that says how large values are. What is no number measures nothing.
    pub(super) fn learn(&mut self, exact: &Array, other: &Array, channels: Channels) {
        let (Some(a), Some(b)) = (exact.floats(), other.floats()) else {
            return;
        };
        for (i, (x, y)) in a.iter().zip(b).enumerate() {
            let distance = if x == y { 0.0 } else { (x - y).abs() };
            if x.is_finite() {
                let seen = Seen {
                    band: band(*x),
                    count: usize::from(*x != 0.0),
                    cost: if distance.is_finite() { distance } else { 0.0 },
                    largest: x.abs(),
                    broken: !distance.is_finite(),
                };
                self.put(channels.at(i), seen);
            }
        }
    }

    fn put(&mut self, channel: usize, more: Seen) {
        if self.channels.len() <= channel {
            self.channels.resize_with(channel + 1, Vec::new);
        }
        let all = &mut self.channels[channel];
        let at = match all.iter().position(|s| s.band == more.band) {
            Some(at) => at,
            None => {
                all.push(more);
                return;
            }
        };
        let seen = &mut all[at];
        seen.count += more.count;
        seen.cost = seen.cost.max(more.cost);
        seen.largest = seen.largest.max(more.largest);
        seen.broken |= more.broken;
    }

    /// Takes in what other runs measured.
    pub(super) fn merge(&mut self, other: &Self) {
        for (channel, all) in other.channels.iter().enumerate() {
            for s in all {
                self.put(channel, *s);
            }
        }
    }

    /// Values of a channel that are not 0.
    fn count(&self, channel: usize) -> usize {
        self.of(channel).iter().map(|s| s.count).sum()
    }

    fn of(&self, channel: usize) -> &[Seen] {
        self.channels.get(channel).map_or(&[], Vec::as_slice)
    }

    /// Remembers values of the one channel of which each costs that.
    #[cfg(test)]
    pub(super) fn saw(&mut self, value: f64, cost: f64) {
        let of = |v: f64| Array::from_floats(super::port::Elem::F64, &[ENOUGH], &[v; ENOUGH]);
        let (exact, other) = (of(value).unwrap(), of(value + cost).unwrap());
        self.learn(&exact, &other, Channels::of(&[ENOUGH, 1], None));
    }
}

/// What the values of one size and below cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    band: i16,
    /// Of one of the files; `None`: nothing was measured.
    pub(super) error: Option<f64>,
    /// The largest value, of the file that has larger ones.
    pub(super) largest: f64,
    /// Of the file that has smaller ones.
    pub(super) smallest: f64,
}

/// Whose cost counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Of the file that loses less.
    Smaller,
    /// Of the one that loses more.
    Larger,
}

/// By size, each with what is below it; the sizes below the first count as the first.
#[derive(Debug, Clone, Default)]
struct Scale {
    costs: Vec<Cost>,
}

impl Scale {
    /// Of what files measured in a channel.
    fn new(sides: &[&[Seen]], which: Which) -> Self {
        let floor = floor(sides);
        let bands = sides.iter().flat_map(|s| s.iter().map(|s| s.band));
        let mut bands: Vec<i16> = bands.filter(|b| *b > floor).collect();
        bands.push(floor);
        bands.sort_unstable();
        bands.dedup();
        let costs = bands.into_iter().map(|band| {
            let below = |side: &&[Seen]| {
                let seen = side.iter().filter(|s| s.band <= band);
                let cost = |s: &Seen| match (s.broken, which) {
                    (true, Which::Larger) => f64::INFINITY,
                    _ => s.cost,
                };
                seen.map(|s| (cost(s), s.largest))
                    .reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))
            };
            let measured: Vec<(f64, f64)> = sides.iter().filter_map(below).collect();
            let largest = measured.iter().map(|m| m.1);
            Cost {
                band,
                error: measured.iter().map(|m| m.0).reduce(match which {
                    Which::Smaller => f64::min,
                    Which::Larger => f64::max,
                }),
                largest: largest.clone().fold(0.0, f64::max),
                smallest: largest.reduce(f64::min).unwrap_or(0.0),
            }
        });
        let mut costs: Vec<Cost> = costs.collect();
        // What loses its digits in one value may lose them in all.
        if which == Which::Larger {
            costs.drain(..costs.len().saturating_sub(1));
        }
        Self { costs }
    }

    fn at(&self, value: f64) -> Option<Cost> {
        let floor = self.costs.first().map_or(0, |c| c.band);
        let band = band(value).max(floor) + REACH;
        let below = self.costs.iter().rev().find(|c| c.band <= band);
        below.or(self.costs.first()).copied()
    }
}

/// The size below which a quarter of the values lies.
fn floor(sides: &[&[Seen]]) -> i16 {
    let mut all: Vec<(i16, usize)> = vec![];
    for seen in sides.iter().flat_map(|s| s.iter()) {
        all.push((seen.band, seen.count));
    }
    all.sort_unstable();
    let total: usize = all.iter().map(|(_, n)| n).sum();
    let mut below = 0;
    for (band, n) in all {
        below += n;
        if 4 * below >= total && below > 0 {
            return band;
        }
    }
    0
}

/// What values may cost, by channel and size.
#[derive(Debug, Clone, Default)]
pub(super) struct Scales {
    /// `None`: too few values.
    channels: Vec<Option<Scale>>,
    /// All channels together.
    every: Scale,
}

impl Scales {
    /// Of what files measured, the same tensor in each.
    pub(super) fn new(sides: &[Costs], which: Which) -> Self {
        let count = sides.iter().map(|s| s.channels.len()).max().unwrap_or(0);
        let mut pool: Vec<Costs> = vec![Costs::default(); sides.len()];
        let mut channels = vec![];
        for channel in 0..count {
            let seen: Vec<&[Seen]> = sides.iter().map(|s| s.of(channel)).collect();
            let lowest = floor(&seen);
            for (all, side) in pool.iter_mut().zip(&seen) {
                for s in *side {
                    let band = s.band.max(lowest);
                    all.put(0, Seen { band, ..*s });
                }
            }
            let known = sides.iter().all(|s| s.count(channel) >= ENOUGH);
            channels.push(known.then(|| Scale::new(&seen, which)));
        }
        let pool: Vec<&[Seen]> = pool.iter().map(|c| c.of(0)).collect();
        Self {
            channels,
            every: Scale::new(&pool, which),
        }
    }

    /// Of a value as large as this one.
    pub(super) fn at(&self, channel: usize, value: f64) -> Option<Cost> {
        let own = self.channels.get(channel).and_then(Option::as_ref);
        own.unwrap_or(&self.every).at(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two thirds of a channel are masked: what is left of it is held to what it costs itself, in every channel and for all.
    #[test]
    fn what_is_large_does_not_excuse_what_is_small() {
        let mut costs = Costs::default();
        for _ in 0..2 {
            costs.saw(-1e9, 32.0);
        }
        costs.saw(0.75, 2e-7);
        let scales = Scales::new(&[costs.clone(), costs], Which::Smaller);
        for channel in [0, 7] {
            let error = |value| scales.at(channel, value).unwrap().error.unwrap();
            assert!((error(0.75) - 2e-7).abs() < 1e-12, "{}", error(0.75));
            assert_eq!(error(1e9), 32.0);
            // As near to 0 as it is, it is a value of that channel.
            assert!((error(1e-12) - 2e-7).abs() < 1e-12);
        }
    }

    /// A channel of two values says nothing of its own.
    #[test]
    fn few_values_are_held_to_all_channels() {
        let of =
            |v: [f64; 4]| Array::from_floats(super::super::port::Elem::F64, &[2, 2], &v).unwrap();
        let mut costs = Costs::default();
        let at = Channels::of(&[2, 2], None);
        costs.learn(&of([1.0, 2.0, 3.0, 4.0]), &of([1.0, 2.0, 3.0, 4.25]), at);
        let scales = Scales::new(&[costs], Which::Smaller);
        let seen = scales.at(0, 1.0).unwrap();
        assert_eq!((seen.error, seen.largest), (Some(0.25), 4.0));
    }
}
