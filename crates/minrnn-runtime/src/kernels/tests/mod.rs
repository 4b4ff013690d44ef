//! Every kernel against a twin written in the obvious way, bit for bit, on every instruction set of this machine.

mod attend;
mod bytes;
mod convolution;
mod figures;
mod pointwise;
mod products;
mod reductions;
mod scan;

use super::Cpu;

/// Sizes around the borders of vectors and panels.
const SIZES: [usize; 13] = [1, 2, 3, 15, 16, 17, 31, 33, 64, 96, 100, 112, 384];

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [-1, 1), with a mean that is not zero.
    fn value(&mut self) -> f32 {
        let u = (self.bits() >> 40) as f32 / (1 << 24) as f32;
        1.9 * u - 0.9
    }

    fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.value()).collect()
    }

    /// Any bit pattern: all exponents, subnormal numbers, infinities, NaN.
    fn pattern(&mut self) -> f32 {
        f32::from_bits((self.bits() >> 32) as u32)
    }
}

/// Values where functions change their ways.
fn special() -> Vec<f32> {
    let mut all = vec![
        0.0,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits(0x007f_ffff),
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        f32::EPSILON,
        65504.0,
        65519.996,
        65520.0,
        65536.0,
        2.5,
        3.5,
        0.5,
        8_388_607.5,
        8_388_608.0,
        16_777_217.0,
        2_147_483_600.0,
    ];
    for edge in [
        0.625,
        0.9,
        1.0,
        3.95,
        9.01,
        10.0,
        16.7,
        17.4,
        40.0,
        87.3,
        88.0,
        88.72,
        88.73,
        89.0,
        103.0,
        103.97,
        103.98,
        104.0,
        0.707_106_77,
        0.414_213_56,
        6.1e-5,
        6.103_515_6e-5,
        5.96e-8,
        2.98e-8,
        2.980_232_2e-8,
    ] {
        let edge: f32 = edge;
        all.extend([edge, edge.next_up(), edge.next_down()]);
    }
    let negative: Vec<_> = all.iter().map(|v| -v).collect();
    all.extend(negative);
    all
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[track_caller]
fn assert_same(got: &[f32], expected: &[f32], what: impl std::fmt::Display) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (&g, &e)) in got.iter().zip(expected).enumerate() {
        assert!(same(g, e), "{what}: {g:e} at {i}, expected {e:e}");
    }
}

#[test]
fn the_best_comes_first() {
    let all = Cpu::all();
    assert_eq!(all[0].name(), Cpu::detect().name());
    assert_eq!(all.last().map(|c| c.name()), Some("scalar"));
}
