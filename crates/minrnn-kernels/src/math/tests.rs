use super::{Float, sigmoids, sum};

/// Distance in units of the last place of `want`.
fn ulps(got: f32, want: f64) -> f64 {
    let near = want as f32;
    let unit = f64::from(f32::from_bits(near.to_bits() + 1)) - f64::from(near);
    (f64::from(got) - want).abs() / unit
}

#[test]
fn exp_is_within_two_ulp_wherever_it_is_normal() {
    let mut worst = 0.0f64;
    for i in 0..2_000_000 {
        let x = -87.336 * (i as f32) / 2_000_000.0;
        worst = worst.max(ulps(x.exp_neg(), libm::exp(f64::from(x))));
    }
    assert!(worst <= 2.0, "{worst} ulp");
    assert!(worst > 0.4, "{worst} ulp: the measure does not measure");
}

#[test]
fn exp_has_the_right_limits() {
    assert_eq!(0f32.exp_neg(), 1.0);
    assert_eq!((-0f32).exp_neg(), 1.0);
    for x in [-87.4f32, -104.0, -200.0, -1e30, f32::MIN, f32::NEG_INFINITY] {
        assert_eq!(x.exp_neg(), 0.0, "{x}");
    }
    assert!((-87.336f32).exp_neg() >= f32::MIN_POSITIVE * 0.99);
    assert!(f32::NAN.exp_neg().is_nan());
    // Tiny arguments, denormal ones too.
    assert_eq!((-1e-40f32).exp_neg(), 1.0);
}

#[test]
fn sigmoid_and_its_complement_keep_their_relative_accuracy() {
    for i in -8700..=8700 {
        let x = i as f32 / 100.0;
        let (s, r) = sigmoids(x);
        let exact = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        assert!(ulps(s, exact(f64::from(x))) <= 3.5, "sigmoid({x})");
        assert!(ulps(r, exact(-f64::from(x))) <= 3.5, "sigmoid(-{x})");
    }
    assert_eq!(sigmoids(200f32), (1.0, 0.0));
    assert_eq!(sigmoids(-200f32), (0.0, 1.0));
    assert_eq!(sigmoids(f32::INFINITY), (1.0, 0.0));
    let (s, r) = sigmoids(f32::NAN);
    assert!(s.is_nan() && r.is_nan());
}

#[test]
fn the_normal_tail_is_accurate_far_out() {
    for i in 0..=1300 {
        let y = i as f32 / 100.0;
        let (tail, bell) = f32::normal_tail(y);
        let (want, want_bell) = f64::normal_tail(f64::from(y));
        // The square in the exponent is rounded once: its error grows with y^2.
        let allowed = 4.0 + f64::from(y * y);
        assert!(ulps(tail, want) <= allowed, "tail of {y}");
        assert!(ulps(bell, want_bell) <= allowed, "bell of {y}");
    }
    assert_eq!(f32::normal_tail(1e30), (0.0, 0.0));
}

#[test]
fn sums_take_every_element_once() {
    for n in 0..70 {
        let x: Vec<f64> = (0..n).map(|i| f64::from(1 << (i % 20))).collect();
        assert_eq!(sum(&x, |x| x), x.iter().sum::<f64>());
    }
}

#[test]
fn the_logarithm_near_1_is_within_three_ulp() {
    let mut worst = 0.0f64;
    for i in 0..=1_000_000 {
        let x = i as f32 / 1_000_000.0;
        for x in [x, x * 1e-6, x * 1e-30] {
            worst = worst.max(ulps(x.ln_1p_unit(), libm::log1p(f64::from(x))));
        }
    }
    assert!(worst <= 3.0 && worst > 0.4, "{worst} ulp");
    assert!(f32::NAN.ln_1p_unit().is_nan());
}
