//! Element types: which are evaluated, how floats are rounded to them, what their integers hold.

use crate::ir::DType;

/// Whether values of the type are evaluated.
pub(super) fn known(dtype: DType) -> bool {
    dtype.is_float() || int_range(dtype).is_some()
}

/// Smallest and largest integer of a type; `None` if it holds no integers. A boolean is 0 or 1.
pub(super) fn int_range(dtype: DType) -> Option<(i128, i128)> {
    let signed = |bits: u32| (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1);
    let unsigned = |bits: u32| (0, (1i128 << bits) - 1);
    Some(match dtype {
        DType::Bool => (0, 1),
        DType::I2 => signed(2),
        DType::I4 => signed(4),
        DType::I8 => signed(8),
        DType::I16 => signed(16),
        DType::I32 => signed(32),
        DType::I64 => signed(64),
        DType::U2 => unsigned(2),
        DType::U4 => unsigned(4),
        DType::U8 => unsigned(8),
        DType::U16 => unsigned(16),
        DType::U32 => unsigned(32),
        DType::U64 => unsigned(64),
        _ => return None,
    })
}

/// An integer in a type: what does not fit loses its high bits; a boolean is whether it is not zero.
pub(super) fn wrap(dtype: DType, n: i128) -> i128 {
    match int_range(dtype) {
        _ if dtype == DType::Bool => i128::from(n != 0),
        // Within the type's size before anything is subtracted: the number may be the last one of its own type.
        Some((low, high)) if n < low || n > high => {
            let size = high - low + 1;
            (n.rem_euclid(size) - low).rem_euclid(size) + low
        }
        _ => n,
    }
}

/// To the nearest value of a float type, ties to even; what is too large becomes infinite.
pub(super) fn round(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F32 => f64::from(x as f32),
        DType::F16 => round_to(x, 11, -14, 65_504.0),
        DType::BF16 => round_to(x, 8, -126, f64::from(half::bf16::MAX.to_f32())),
        _ => x,
    }
}

/// Relative size of the last place: half of it is the largest error of one rounding.
pub(super) fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        DType::F32 => 2f64.powi(-23),
        _ => 2f64.powi(-52),
    }
}

/// To `digits` binary digits, with steps that grow no finer below `2^smallest`.
fn round_to(x: f64, digits: i32, smallest: i32, largest: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    let step = 2f64.powi(exponent.max(smallest) - (digits - 1));
    let rounded = (x / step).round_ties_even() * step;
    match rounded.abs() > largest {
        true => f64::INFINITY.copysign(x),
        false => rounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_integers_lose_their_high_bits_too() {
        assert_eq!(wrap(DType::I64, i128::MAX), -1);
        assert_eq!(wrap(DType::I64, i128::MIN), 0);
        assert_eq!(wrap(DType::I8, 200), -56);
        assert_eq!(wrap(DType::U8, -1), 255);
        assert_eq!(wrap(DType::U64, i128::MAX), i128::from(u64::MAX));
    }

    #[test]
    fn halves_round_to_nearest_even() {
        // 2048 has steps of 2, the largest is 65504, the smallest 2^-24.
        let cases = [
            (2049.0, 2048.0),
            (2051.0, 2052.0),
            // A tie of f16 but for what only f64 holds.
            (2049.0 + 1e-12, 2050.0),
            (65_519.0, 65_504.0),
            (65_520.0, f64::INFINITY),
            (-1e9, f64::NEG_INFINITY),
            (2f64.powi(-25), 0.0),
            (3.0 * 2f64.powi(-25), 2f64.powi(-23)),
            (1.0 + 2f64.powi(-11), 1.0),
            (1.0 + 3.0 * 2f64.powi(-11), 1.0 + 2f64.powi(-9)),
        ];
        for (x, want) in cases {
            assert_eq!(round(DType::F16, x), want, "{x}");
        }
        assert!(round(DType::F16, f64::NAN).is_nan());
    }

    proptest::proptest! {
        #[test]
        fn short_floats_round_as_their_bits_do(bits in 0u16..=u16::MAX) {
            let (f16, bf16) = (half::f16::from_bits(bits), half::bf16::from_bits(bits));
            for (dtype, x) in [(DType::F16, f16.to_f64()), (DType::BF16, bf16.to_f64())] {
                proptest::prop_assert!(x.is_nan() || round(dtype, x) == x);
            }
        }

        #[test]
        fn integers_lose_their_high_bits(n: i64) {
            proptest::prop_assert_eq!(wrap(DType::I8, n.into()), i128::from(n as i8));
            proptest::prop_assert_eq!(wrap(DType::U32, n.into()), i128::from(n as u32));
            proptest::prop_assert_eq!(wrap(DType::U64, n.into()), i128::from(n as u64));
        }
    }
}
