//! The project's one comparator: equal, or both finite and within tolerance. NaN never passes, nor infinity against a number.

use serde::Serialize;

/// How two tensors differ. Built over whole tensors, in any number of pieces.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Values compared.
    pub count: usize,
    /// Values that differ at all (bit patterns aside: 0.0 equals -0.0).
    pub differing: usize,
    /// Values over the tolerance, or not comparable (NaN, or infinity against a number).
    pub failing: usize,
    /// Largest absolute difference; infinite where values are not comparable.
    pub max_abs: f64,
    /// Largest difference in units in the last place of f32.
    pub max_ulp: u64,
    /// Smallest absolute tolerance by which all values would pass.
    pub min_tolerance: f64,
    /// The worst value.
    pub worst: Option<Worst>,
}

/// The worst of the values compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worst {
    /// Flat index in the order in which values were compared.
    pub index: usize,
    /// What was got.
    pub got: f64,
    /// What was wanted.
    pub want: f64,
}

impl Default for Comparison {
    fn default() -> Self {
        Self {
            count: 0,
            differing: 0,
            failing: 0,
            max_abs: 0.0,
            max_ulp: 0,
            min_tolerance: 0.0,
            worst: None,
        }
    }
}

impl Comparison {
    /// Compares one value with an absolute tolerance.
    pub fn push(&mut self, got: f64, want: f64, tolerance: f64) {
        let index = self.count;
        self.count += 1;
        if got == want {
            return;
        }
        self.differing += 1;
        let comparable = got.is_finite() && want.is_finite();
        let difference = if comparable {
            (got - want).abs()
        } else {
            f64::INFINITY
        };
        // A tolerance that is itself NaN allows nothing.
        let within = comparable && difference <= tolerance;
        if !within {
            self.failing += 1;
        }
        self.max_ulp = self.max_ulp.max(ulp_distance(got as f32, want as f32));
        if difference > self.max_abs || self.worst.is_none() {
            self.max_abs = self.max_abs.max(difference);
            self.min_tolerance = self.max_abs;
            self.worst = Some(Worst { index, got, want });
        }
    }

    /// Compares one integer, exactly. `also`: another value is right as well.
    pub fn push_int(&mut self, got: i128, want: i128, also: bool) {
        let index = self.count;
        self.count += 1;
        if got == want {
            return;
        }
        self.differing += 1;
        self.failing += usize::from(!also);
        let difference = got.abs_diff(want) as f64;
        if difference > self.max_abs || self.worst.is_none() {
            self.max_abs = self.max_abs.max(difference);
            self.min_tolerance = self.max_abs;
            let (got, want) = (got as f64, want as f64);
            self.worst = Some(Worst { index, got, want });
        }
    }

    /// Compares two slices, the tolerance given for each index.
    ///
    /// # Panics
    /// Slices of different lengths: a comparison of parts would hide the rest.
    pub fn extend(&mut self, got: &[f32], want: &[f64], tolerance: impl Fn(usize) -> f64) {
        assert_eq!(got.len(), want.len(), "whole tensors are compared");
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            self.push(f64::from(*g), *w, tolerance(i));
        }
    }

    /// Compares two f32 slices for equality.
    ///
    /// # Panics
    /// Slices of different lengths.
    pub fn extend_exact(&mut self, got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len(), "whole tensors are compared");
        for (g, w) in got.iter().zip(want) {
            self.push(f64::from(*g), f64::from(*w), 0.0);
        }
    }

    /// Whether all values passed, and there were any.
    pub fn holds(&self) -> bool {
        self.count > 0 && self.failing == 0
    }

    /// Takes in another comparison, whose indices follow.
    pub fn merge(&mut self, other: &Self) {
        if other.worst.is_some() && (other.max_abs > self.max_abs || self.worst.is_none()) {
            self.worst = other.worst.clone().map(|w| Worst {
                index: w.index + self.count,
                ..w
            });
        }
        self.count += other.count;
        self.differing += other.differing;
        self.failing += other.failing;
        self.max_abs = self.max_abs.max(other.max_abs);
        self.max_ulp = self.max_ulp.max(other.max_ulp);
        self.min_tolerance = self.min_tolerance.max(other.min_tolerance);
    }
}

/// Compares two slices with `atol + rtol * |want|`.
///
/// # Panics
/// Slices of different lengths.
pub fn close(got: &[f32], want: &[f64], atol: f64, rtol: f64) -> Comparison {
    let mut c = Comparison::default();
    c.extend(got, want, |i| atol + rtol * want[i].abs());
    c
}

/// Compares two slices for equality.
///
/// # Panics
/// Slices of different lengths.
pub fn exact(got: &[f32], want: &[f32]) -> Comparison {
    let mut c = Comparison::default();
    c.extend_exact(got, want);
    c
}

/// How many f32 values lie between two; the largest number for NaN.
pub fn ulp_distance(a: f32, b: f32) -> u64 {
    if a.is_nan() || b.is_nan() {
        return u64::MAX;
    }
    let ordered = |x: f32| {
        let bits = i64::from(x.to_bits() as i32);
        if bits < 0 {
            i64::from(i32::MIN) - bits
        } else {
            bits
        }
    };
    ordered(a).abs_diff(ordered(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_float64_does_not_tell_apart_differ() {
        let mut c = Comparison::default();
        c.push_int(1 << 60, 1 << 60, false);
        assert!(c.holds());
        c.push_int((1 << 60) + 1, 1 << 60, true);
        assert!(c.holds() && c.max_abs == 1.0);
        c.push_int((1 << 60) + 1, 1 << 60, false);
        assert!(!c.holds() && c.failing == 1 && c.differing == 2);
    }

    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;

    #[test]
    fn what_is_not_a_number_never_passes() {
        for (got, want) in [
            (NAN, 1.0),
            (1.0, NAN),
            (NAN, NAN),
            (1.0, INF),
            (INF, 1.0),
            (INF, -INF),
        ] {
            let mut c = Comparison::default();
            c.push(got, want, 1e300);
            assert!(!c.holds(), "{got} against {want}");
            assert_eq!(c.max_abs, INF, "{got} against {want}");
        }
        let mut c = Comparison::default();
        c.push(INF, INF, 0.0);
        assert!(c.holds(), "equal infinities are equal");
        c.push(1.0, 1.5, NAN);
        assert!(!c.holds(), "a NaN tolerance allows nothing");
    }

    #[test]
    fn nothing_compared_does_not_hold() {
        assert!(!Comparison::default().holds());
    }

    #[test]
    fn worst_and_tolerance_are_found() {
        let c = close(&[1.0, 2.5, 3.0], &[1.0, 2.0, 3.25], 0.3, 0.0);
        assert_eq!(
            (c.differing, c.failing, c.max_abs, c.min_tolerance),
            (2, 1, 0.5, 0.5)
        );
        assert_eq!(
            c.worst,
            Some(Worst {
                index: 1,
                got: 2.5,
                want: 2.0
            })
        );
        let mut all = close(&[0.0], &[0.0], 0.0, 0.0);
        all.merge(&c);
        assert_eq!(all.worst.as_ref().map(|w| w.index), Some(2));
    }

    #[test]
    fn ulps_cross_zero() {
        assert_eq!(ulp_distance(0.0, -0.0), 0);
        assert_eq!(ulp_distance(f32::from_bits(1), -f32::from_bits(1)), 2);
        assert_eq!(ulp_distance(1.0, 1.0 + f32::EPSILON), 1);
        assert_eq!(ulp_distance(f32::NAN, 1.0), u64::MAX);
    }
}
