//! What a value of a lowered recurrence is, said in steps.
//!
//! With `a[i]`, `b[i]` of step i, counted from 0, and the state `h(i)` after i steps, `h(0) = h0`:
//! the product `P(l, r) = a[r-1] .. a[l]`, the end `E(l, r)` of the steps l to r that begin with zero, and `h(r)`.
//! Then `P(l, m) P(m, r) = P(l, r)`; `E(l, m) P(m, r) + E(m, r) = E(l, r)`; `h(l) P(l, r) + E(l, r) = h(r)`: whatever order a
//! lowering takes them in, these three make all of it. `P(l, l) = 1`, `E(l, l) = 0`.

use super::place::Place;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `P(from, to)`.
    Product,
    /// `E(from, to)`.
    End,
    /// `h(to)`.
    State,
    /// `h(from) P(from, to)`.
    Decayed,
    /// `E(from, middle) P(middle, to)`.
    DecayedEnd,
}

/// Of one channel of one row of the batch, by index. What is after the last step of all (`to` beyond it) is anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) kind: Kind,
    pub(super) row: Place,
    pub(super) channel: Place,
    pub(super) from: Place,
    pub(super) middle: Place,
    pub(super) to: Place,
}

impl Term {
    /// `P(from, to)` or `E(from, to)`.
    pub(super) fn of_steps(kind: Kind, like: &Self, from: &Place, to: &Place) -> Self {
        Self {
            kind,
            row: like.row.clone(),
            channel: like.channel.clone(),
            from: from.clone(),
            middle: from.clone(),
            to: to.clone(),
        }
    }

    /// `h(to)`.
    pub(super) fn state(row: &Place, channel: &Place, to: &Place) -> Self {
        Self {
            kind: Kind::State,
            row: row.clone(),
            channel: channel.clone(),
            from: to.clone(),
            middle: to.clone(),
            to: to.clone(),
        }
    }

    /// The same with each place changed.
    pub(super) fn each(&self, change: impl Fn(&Place) -> Option<Place>) -> Option<Self> {
        Some(Self {
            kind: self.kind,
            row: change(&self.row)?,
            channel: change(&self.channel)?,
            from: change(&self.from)?,
            middle: change(&self.middle)?,
            to: change(&self.to)?,
        })
    }

    pub(super) fn settled(&self, dims: &[usize]) -> Option<Self> {
        self.each(|p| p.settled(dims))
    }

    fn same_channel(&self, other: &Self) -> bool {
        self.row == other.row && self.channel == other.channel
    }

    /// `self * other`, of one shape.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        self.times_product(other)
            .or_else(|| other.times_product(self))
    }

    fn times_product(&self, product: &Self) -> Option<Self> {
        let fits =
            product.kind == Kind::Product && self.same_channel(product) && self.to == product.from;
        let kind = match self.kind {
            Kind::Product => Kind::Product,
            Kind::State => Kind::Decayed,
            Kind::End => Kind::DecayedEnd,
            Kind::Decayed | Kind::DecayedEnd => return None,
        };
        let mut found = Self {
            kind,
            to: product.to.clone(),
            ..self.clone()
        };
        match kind {
            Kind::DecayedEnd => found.middle = product.from.clone(),
            _ => found.middle = found.from.clone(),
        }
        fits.then_some(found)
    }

    /// `self + other`, of one shape.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        self.plus_end(other).or_else(|| other.plus_end(self))
    }

    fn plus_end(&self, end: &Self) -> Option<Self> {
        let fits = end.kind == Kind::End && self.same_channel(end) && self.to == end.to;
        match self.kind {
            Kind::Decayed if fits && self.from == end.from => {
                Some(Self::state(&self.row, &self.channel, &self.to))
            }
            Kind::DecayedEnd if fits && self.middle == end.from => {
                Some(Self::of_steps(Kind::End, self, &self.from, &self.to))
            }
            _ => None,
        }
    }

    /// For messages.
    pub(super) fn words(&self) -> &'static str {
        match self.kind {
            Kind::Product => "a product of a",
            Kind::End => "b, or steps that begin with zero",
            Kind::State => "h",
            Kind::Decayed => "h times a",
            Kind::DecayedEnd => "b times a",
        }
    }
}
