use proptest::prelude::*;

use super::super::{Cpu, MatrixU8, Rows, RowsMut};
use super::{Random, SIZES};

struct Case {
    k: usize,
    n: usize,
    rows: usize,
    x: Vec<u8>,
    x_zero: u8,
    w: Vec<u8>,
    zero: u8,
}

impl Case {
    fn new(seed: u64, rows: usize, k: usize, n: usize) -> Self {
        let mut random = Random(seed);
        let mut bytes = |n: usize| (0..n).map(|_| random.bits() as u8).collect::<Vec<_>>();
        Self {
            k,
            n,
            rows,
            x: bytes(rows * k),
            x_zero: bytes(1)[0],
            w: bytes(k * n),
            zero: bytes(1)[0],
        }
    }

    /// The definition, where nothing can overflow.
    fn twin(&self) -> Vec<i64> {
        let mut out = Vec::new();
        for r in 0..self.rows {
            for c in 0..self.n {
                let term = |i: usize| {
                    let x = i64::from(self.x[r * self.k + i]) - i64::from(self.x_zero);
                    let w = i64::from(self.w[i * self.n + c]) - i64::from(self.zero);
                    x * w
                };
                out.push((0..self.k).map(term).sum());
            }
        }
        out
    }

    fn check(&self) {
        let Self { k, n, rows, .. } = *self;
        let expected = self.twin();
        let m = MatrixU8::pack(k, n, &self.w, self.zero);
        for cpu in Cpu::all() {
            let mut out = vec![i32::MIN; rows * n];
            m.product(
                cpu,
                Rows::new(&self.x, rows, k, k),
                self.x_zero,
                RowsMut::new(&mut out, rows, n, n),
            );
            let got: Vec<_> = out.iter().map(|&v| i64::from(v)).collect();
            assert!(got == expected, "{} [{rows}, {k}] x [{k}, {n}]", cpu.name());
        }
    }
}

#[test]
fn products_of_bytes_are_exact() {
    for (i, rows) in [1, 2, 3, 5, 12, 13, 64].into_iter().enumerate() {
        for (j, &k) in SIZES.iter().enumerate() {
            for (l, &n) in SIZES.iter().enumerate() {
                if (i + j + l) % 3 == 0 && rows * k * n < 2_000_000 {
                    Case::new((i * 1000 + j * 31 + l) as u64, rows, k, n).check();
                }
            }
        }
    }
}

/// The largest numbers, of both signs, as long as their sum fits.
#[test]
fn extreme_bytes_are_exact() {
    for (byte, x_zero, w, zero) in [
        (255, 0, 255, 0),
        (0, 255, 255, 0),
        (255, 0, 0, 255),
        (0, 255, 0, 255),
        (255, 255, 255, 0),
    ] {
        for k in [1, 257, 33_000] {
            let case = Case {
                k,
                n: 35,
                rows: 2,
                x: vec![byte; 2 * k],
                x_zero,
                w: vec![w; k * 35],
                zero,
            };
            case.check();
        }
    }
}

#[test]
fn byte_weights_are_held_once() {
    let bytes = 384 * 1536;
    let m = MatrixU8::pack(384, 1536, &vec![1; bytes], 0);
    assert!((bytes..bytes + 100).contains(&m.bytes()), "{}", m.bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn products_of_bytes_of_any_shape_are_exact(
        rows in 0_usize..30, k in 0_usize..700, n in 0_usize..150, seed: u64,
    ) {
        Case::new(seed, rows, k, n).check();
    }
}
