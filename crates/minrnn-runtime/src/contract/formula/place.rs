//! Steps, rows and channels as functions of a tensor's indices.

use super::per_axis::PerAxis;

/// `base` and each index times its own step; below 0 it is 0 where there is a `floor`.
///
/// Settled: an axis of one entry has the step 0, and a floor stands only where it changes something and not everything. Two
/// settled places of tensors of one shape are equal exactly if they are equal everywhere, but for floors of which one never
/// is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) base: i64,
    pub(super) steps: PerAxis,
    pub(super) floor: bool,
}

impl Place {
    /// The same everywhere.
    pub(super) fn fixed(base: i64, rank: usize) -> Self {
        Self {
            base,
            steps: PerAxis::none(rank),
            floor: false,
        }
    }

    /// `base` plus the index along `axis`.
    pub(super) fn along(axis: usize, base: i64, rank: usize) -> Self {
        let mut place = Self::fixed(base, rank);
        if let Some(step) = place.steps.get_mut(axis) {
            *step = 1;
        }
        place
    }

    /// Least and most of it, the floor aside. `None`: out of reach, or of no entry.
    pub(super) fn range(&self, dims: &[usize]) -> Option<(i64, i64)> {
        let (mut least, mut most) = (self.base, self.base);
        for (step, dim) in self.steps.iter().zip(dims) {
            let last = i64::try_from(*dim).ok()?.checked_sub(1).filter(|n| *n >= 0);
            let end = step.checked_mul(last?)?;
            least = least.checked_add(end.min(0))?;
            most = most.checked_add(end.max(0))?;
        }
        Some((least, most))
    }

    /// `None`: out of reach.
    pub(super) fn settled(&self, dims: &[usize]) -> Option<Self> {
        if self.steps.len() != dims.len() {
            return None;
        }
        let mut place = self.clone();
        for (step, dim) in place.steps.iter_mut().zip(dims) {
            if *dim == 1 {
                *step = 0;
            }
        }
        let (least, most) = place.range(dims)?;
        if place.floor && least >= 0 {
            place.floor = false;
        } else if place.floor && most <= 0 {
            return Some(Self::fixed(0, dims.len()));
        }
        Some(place)
    }

    /// Of a tensor with axes before the first.
    pub(super) fn lifted(&self, rank: usize) -> Option<Self> {
        let new = rank.checked_sub(self.steps.len())?;
        let mut steps = PerAxis::none(rank);
        steps.get_mut(new..)?.copy_from_slice(&self.steps);
        Some(Self {
            steps,
            ..self.clone()
        })
    }

    /// Of a tensor whose axes stand in another order.
    pub(super) fn ordered(&self, order: &[usize]) -> Option<Self> {
        let mut steps = PerAxis::none(order.len());
        for (step, axis) in steps.iter_mut().zip(order) {
            *step = *self.steps.get(*axis)?;
        }
        Some(Self {
            steps,
            ..self.clone()
        })
    }

    /// Of the entries `start`, `start + every`, .. along `axis`; a negative `start` is an index before the first.
    pub(super) fn cut(&self, axis: usize, start: i64, every: i64) -> Option<Self> {
        let mut place = self.clone();
        let step = place.steps.get_mut(axis)?;
        place.base = place.base.checked_add(step.checked_mul(start)?)?;
        *step = step.checked_mul(every)?;
        Some(place)
    }

    /// The same with another step along `axis`.
    pub(super) fn with_step(&self, axis: usize, step: i64) -> Option<Self> {
        let mut place = self.clone();
        *place.steps.get_mut(axis)? = step;
        Some(place)
    }

    /// Later by `by` everywhere.
    pub(super) fn later(&self, by: i64) -> Option<Self> {
        Some(Self {
            base: self.base.checked_add(by)?,
            ..self.clone()
        })
    }

    /// How much later `other` is, where that is the same everywhere and no floor is in the way.
    pub(super) fn until(&self, other: &Self) -> Option<i64> {
        let same = self.steps == other.steps && !self.floor && !other.floor;
        other.base.checked_sub(self.base).filter(|_| same)
    }

    /// Of the same values, row-major, in another shape. `None` where it is no such function of the new indices.
    pub(super) fn reshaped(&self, from: &[usize], to: &[usize]) -> Option<Self> {
        let long = |dims: &[usize]| -> Vec<usize> {
            let axes = 0..dims.len();
            axes.filter(|a| dims[*a] != 1).collect()
        };
        let (old, new) = (long(from), long(to));
        let (mut i, mut j) = (0, 0);
        let mut steps = PerAxis::none(to.len());
        while i < old.len() || j < new.len() {
            let (first_i, first_j) = (i, j);
            let (mut p, mut q) = (*from.get(*old.get(i)?)?, *to.get(*new.get(j)?)?);
            (i, j) = (i + 1, j + 1);
            while p != q {
                if p < q {
                    p = p.checked_mul(*from.get(*old.get(i)?)?)?;
                    i += 1;
                } else {
                    q = q.checked_mul(*to.get(*new.get(j)?)?)?;
                    j += 1;
                }
            }
            let mut each = self.unit(&old[first_i..i], from)?;
            for axis in new[first_j..j].iter().rev() {
                steps[*axis] = each;
                each = each.checked_mul(i64::try_from(to[*axis]).ok()?)?;
            }
        }
        Some(Self {
            steps,
            ..self.clone()
        })
    }

    /// The step from one entry to the next where these axes are one.
    fn unit(&self, axes: &[usize], dims: &[usize]) -> Option<i64> {
        let (last, outer) = axes.split_last()?;
        let unit = *self.steps.get(*last)?;
        let mut whole = unit.checked_mul(i64::try_from(*dims.get(*last)?).ok()?)?;
        for axis in outer.iter().rev() {
            if *self.steps.get(*axis)? != whole {
                return None;
            }
            whole = whole.checked_mul(i64::try_from(*dims.get(*axis)?).ok()?)?;
        }
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(base: i64, steps: &[i64], floor: bool) -> Place {
        Place {
            base,
            steps: steps.into(),
            floor,
        }
    }

    #[test]
    fn a_reshape_keeps_every_value() {
        let values = |p: &Place, dims: &[usize]| -> Vec<i64> {
            let count: usize = dims.iter().product();
            let at = |mut n: usize| {
                let mut value = p.base;
                for (dim, step) in dims.iter().zip(p.steps.iter()).rev() {
                    value += step * (n % dim) as i64;
                    n /= dim;
                }
                value
            };
            (0..count).map(at).collect()
        };
        let cases: [(&[usize], &[i64], &[usize]); 5] = [
            (&[2, 48, 6], &[0, 1, 0], &[2, 3, 16, 6]),
            (&[2, 3, 16, 6], &[0, 16, 1, 0], &[2, 48, 6]),
            (&[2, 3, 1, 6], &[7, 2, 9, 1], &[2, 1, 3, 6, 1]),
            (&[4, 6], &[6, 1], &[2, 2, 3, 2]),
            (&[2, 3, 4], &[100, 4, 1], &[2, 6, 2]),
        ];
        for (from, steps, to) in cases {
            let old = place(5, steps, false).settled(from).unwrap();
            let new = old.reshaped(from, to).unwrap();
            assert_eq!(values(&old, from), values(&new, to), "{from:?} {to:?}");
        }
        // Steps that do not run on from row to row.
        assert_eq!(place(0, &[5, 1], false).reshaped(&[2, 3], &[6]), None);
        assert_eq!(place(0, &[1], false).reshaped(&[6], &[4]), None);
    }

    #[test]
    fn floors_settle() {
        assert_eq!(
            place(-3, &[1], true).settled(&[4]),
            Some(place(0, &[0], false))
        );
        assert_eq!(
            place(0, &[1], true).settled(&[4]),
            Some(place(0, &[1], false))
        );
        assert_eq!(
            place(-1, &[1], true).settled(&[4]),
            Some(place(-1, &[1], true))
        );
        assert_eq!(
            place(2, &[9], false).settled(&[1]),
            Some(place(2, &[0], false))
        );
        assert_eq!(place(i64::MAX, &[1], false).settled(&[4]), None);
    }
}
