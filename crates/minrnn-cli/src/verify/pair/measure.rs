//! Two tensors of one run held to each other, value by value.

use std::collections::BTreeMap;

use minrnn_model::compare::{Comparison, Worst};

use super::costs::Channels;
use super::offset::offsets;
use super::rounding::{Allowed, Held};
use super::tensor::{Reading, Tensor};
use super::way::Draw;

/// What else each value that hangs on an edge may be, by position: in the first, in the second.
pub(super) type Edges = BTreeMap<usize, [Option<f64>; 2]>;

pub(super) fn on_edge(a: &Tensor, b: &Tensor) -> Edges {
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
pub(super) struct Furthest {
    pub(super) parts: f64,
    /// What is allowed of it; where nothing differs, the most that is allowed of a value.
    pub(super) tolerance: f64,
    pub(super) worst: Option<Worst>,
    /// Values of which the tolerance says nothing.
    pub(super) untold: usize,
    /// Of values that differ by what varies in them alone: how large they are, and by how much they vary.
    pub(super) offset: Option<(f64, f64)>,
    /// Values that are no number in either, and the first of them.
    pub(super) no_number: usize,
    pub(super) nowhere: Option<usize>,
    /// Values that are held to how far they move where last places before them do.
    pub(super) noisy: usize,
    /// Values on an edge that are apart by more than is allowed of others.
    pub(super) tipped: usize,
    /// Values of which float64 has a number and the type, rounded at each operation, has none; the first of them.
    pub(super) beyond: usize,
    pub(super) outside: Option<usize>,
    /// The largest number.
    pub(super) largest: f64,
}

impl Furthest {
    pub(super) fn take(&mut self, parts: f64, tolerance: f64, worst: Option<Worst>) {
        if parts > self.parts || (self.worst.is_none() && worst.is_some()) {
            *self = Self {
                parts,
                tolerance,
                worst,
                untold: self.untold,
                offset: self.offset,
                no_number: self.no_number,
                nowhere: self.nowhere,
                noisy: self.noisy,
                tipped: self.tipped,
                beyond: self.beyond,
                outside: self.outside,
                largest: self.largest,
            };
        } else if self.worst.is_none() {
            self.tolerance = self.tolerance.max(tolerance);
        }
    }
}

/// What two tensors are held to each other by.
pub(super) struct Measure<'a> {
    pub(super) held: Held,
    pub(super) draw: Draw,
    pub(super) allowed: Allowed,
    /// Of large inputs: beyond what is allowed and within this it cannot be told, since one of the files loses its digits there, in
    /// float64 too perhaps.
    pub(super) most: Option<Allowed>,
    pub(super) channels: Channels,
    /// By how much each value moves where last places before it do, where that was asked.
    pub(super) noise: Option<&'a [f64]>,
}

impl Measure<'_> {
    /// Integers exactly, floats within what is allowed. On an edge an integer may be what it would be on the other side, a float as
    /// much farther off as that is.
    pub(super) fn values(
        &self,
        (a, b): (&Tensor, &Tensor),
        edges: &Edges,
        c: &mut Comparison,
    ) -> Furthest {
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
        let offsets = match self.held == Held::Meaning && !self.draw.is_apart() {
            true => offsets(&exact[0], &exact[1], self.channels, &self.allowed),
            false => vec![],
        };
        for (index, (got, want)) in x.iter().copied().zip(y).enumerate() {
            if got.is_finite() {
                most.largest = most.largest.max(got.abs());
            }
            if got.is_nan() && want.is_nan() && !self.says_nothing() {
                // There is nothing to hold to each other: neither file is accused, and neither is cleared.
                most.no_number += 1;
                most.nowhere.get_or_insert(index);
                c.push(0.0, 0.0, 0.0);
                continue;
            }
            let exactly = [exact[0][index], exact[1][index]];
            if self.leaves_range(
                (got, want),
                exactly,
                steps[1][index],
                self.channels.at(index),
            ) {
                most.beyond += 1;
                most.outside.get_or_insert(index);
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
            let tips = moved > 0.0
                && parts(got, want, allowed) > 1.0
                && parts(got, want, tolerance) <= 1.0;
            most.tipped += usize::from(tips && !self.draw.is_strange());
            let moves = self
                .noise
                .and_then(|n| n.get(index))
                .copied()
                .unwrap_or(0.0);
            if moves > tolerance && parts(got, want, tolerance) > 1.0 {
                tolerance = moves;
                most.noisy += usize::from(parts(got, want, tolerance) <= 1.0);
            }
            if let (Some(all), true) = (&self.most, parts(got, want, tolerance) > 1.0) {
                tolerance = all.of(channel, size).0 + moved;
                tells = !(tolerance.is_infinite() || parts(got, want, tolerance) <= 1.0);
            }
            if self.held == Held::Meaning && !self.draw.is_apart() && moved == 0.0 {
                tells &= !self.allowed.hides(channel, exactly);
            }
            most.untold += usize::from(!tells && !matches!(self.draw, Draw::Small | Draw::Silent));
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

impl Measure<'_> {
    /// Whether there is no number in either, where that says nothing against them: an engine that gives none where the judge has
    /// none computes the file rightly, and inputs far beyond the usual may be beyond what both files are for.
    fn nowhere(&self, got: f64, want: f64, rounded: f64) -> bool {
        let engine = matches!(self.held, Held::Engine(_));
        got.is_nan() && ((want.is_nan() && self.says_nothing()) || (rounded.is_nan() && engine))
    }

    /// Whether float64 has a number here and the type has none, so that nothing is shown: of an engine that overflows as the judge does
    /// where every operation is rounded, and of two files that overflow both and mean other numbers.
    fn leaves_range(
        &self,
        (got, want): (f64, f64),
        exact: [f64; 2],
        rounded: f64,
        channel: usize,
    ) -> bool {
        match self.held {
            Held::Engine(_) => {
                let alike = got.is_nan() || rounded.is_nan() || got == rounded;
                !got.is_finite() && !rounded.is_finite() && want.is_finite() && alike
            }
            Held::Meaning if !self.draw.is_apart() => {
                let [x, y] = exact;
                let finite = x.is_finite() && y.is_finite();
                let size = x.abs().max(y.abs());
                got == want
                    && got.is_infinite()
                    && finite
                    && (x - y).abs() > self.allowed.of(channel, size).0
            }
            _ => false,
        }
    }

    fn says_nothing(&self) -> bool {
        self.draw.is_strange() || matches!(self.held, Held::Engine(_))
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
        most.tipped += usize::from(x != y && also);
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
