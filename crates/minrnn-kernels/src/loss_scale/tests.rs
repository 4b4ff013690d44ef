use super::{HIGHEST, LOWEST, LossScale};
use crate::testing::Rng;

/// Steps with and without gradients beyond float16, drawn by chance: what holds of every factor on the way.
#[test]
fn a_factor_is_halved_by_each_overflow_and_doubled_after_so_many_steps_without() {
    for seed in 0..200 {
        let mut rng = Rng(seed);
        let interval = 1 + rng.below(7) as u32;
        let first = (1u64 << rng.below(41)) as f32;
        let mut now = LossScale {
            scale: first,
            good: 0,
            interval: Some(interval),
        };
        // The same by counting.
        let (mut exponent, mut good) = (i64::from(first.log2() as i32), 0);
        for _ in 0..400 {
            let finite = rng.below(4) > 0;
            match (now.after(finite), finite) {
                (Some(next), true) => {
                    good += 1;
                    if good == interval {
                        (exponent, good) = ((exponent + 1).min(40), 0);
                    }
                    now = next;
                }
                (Some(next), false) => {
                    assert!(now.scale > LOWEST);
                    (exponent, good) = (exponent - 1, 0);
                    now = next;
                }
                (None, true) => panic!("{now:?}: a finite gradient is no trouble"),
                (None, false) => assert_eq!(now.scale, LOWEST),
            }
            assert_eq!(now.scale, (1u64 << exponent) as f32);
            assert_eq!((now.good, now.interval), (good, Some(interval)));
            assert!(LossScale::may_be(f64::from(now.scale)));
            assert!((LOWEST..=HIGHEST).contains(&now.scale));
            // On the device and back.
            assert_eq!(LossScale::of(&now.words()), now);
        }
    }
}

/// As `torch.amp.GradScaler(init_scale=65536, growth_interval=2000)`.
#[test]
fn the_usual_one_goes_as_that_of_pytorch() {
    let mut now = LossScale {
        scale: 65536.0,
        good: 0,
        interval: Some(2000),
    };
    for _ in 0..1999 {
        now = now.after(true).unwrap();
        assert_eq!(now.scale, 65536.0);
    }
    now = now.after(true).unwrap();
    assert_eq!((now.scale, now.good), (131_072.0, 0));
    now = now.after(true).unwrap().after(false).unwrap();
    assert_eq!((now.scale, now.good), (65536.0, 0));
}

#[test]
fn a_fixed_factor_never_moves_and_leaves_no_step_out() {
    let fixed = LossScale {
        scale: 1024.0,
        ..LossScale::default()
    };
    assert_eq!(fixed.after(true), Some(fixed));
    assert_eq!(fixed.after(false), None);
    assert_eq!(LossScale::of(&fixed.words()), fixed);
}

#[test]
fn a_factor_is_a_power_of_two_within_the_limits() {
    for scale in [1.0, 2.0, 65536.0, f64::from(HIGHEST)] {
        assert!(LossScale::may_be(scale), "{scale}");
    }
    for scale in [
        0.0,
        0.5,
        3.0,
        1000.0,
        -2.0,
        f64::NAN,
        f64::INFINITY,
        2.0 * f64::from(HIGHEST),
    ] {
        assert!(!LossScale::may_be(scale), "{scale}");
    }
}
