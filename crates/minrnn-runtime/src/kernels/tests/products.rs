use proptest::prelude::*;

use super::super::{Cpu, Matrix, Rows, RowsMut};
use super::{Random, SIZES, assert_same};

const ROWS: [usize; 8] = [1, 2, 3, 5, 12, 13, 64, 100];

struct Case {
    k: usize,
    n: usize,
    rows: usize,
    x: Vec<f32>,
    w: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Case {
    fn new(seed: u64, rows: usize, k: usize, n: usize, bias: bool) -> Self {
        let mut random = Random(seed);
        Self {
            k,
            n,
            rows,
            x: random.values(rows * k),
            w: random.values(k * n),
            bias: bias.then(|| random.values(n)),
        }
    }

    /// The definition.
    fn twin(&self) -> Vec<f32> {
        let mut out = Vec::new();
        for x in 0..self.rows {
            for n in 0..self.n {
                let mut acc = 0.0_f32;
                for k in 0..self.k {
                    acc = self.x[x * self.k + k].mul_add(self.w[k * self.n + n], acc);
                }
                out.push(match &self.bias {
                    Some(b) => acc + b[n],
                    None => acc,
                });
            }
        }
        out
    }

    fn run(&self, cpu: Cpu) -> Vec<f32> {
        let m = Matrix::pack(self.k, self.n, &self.w);
        let mut out = vec![f32::NAN; self.rows * self.n];
        m.product(
            cpu,
            Rows::new(&self.x, self.rows, self.k, self.k),
            self.bias.as_deref(),
            RowsMut::new(&mut out, self.rows, self.n, self.n),
        );
        out
    }

    fn what(&self, cpu: Cpu) -> String {
        let Self { k, n, rows, .. } = self;
        format!("{} [{rows}, {k}] x [{k}, {n}]", cpu.name())
    }
}

#[test]
fn products_are_their_definition() {
    for (i, &rows) in ROWS.iter().enumerate() {
        for (j, &k) in SIZES.iter().enumerate() {
            // All pairs of K and N would take minutes in the scalar twin: each K meets a third of the N.
            for (l, &n) in SIZES.iter().enumerate() {
                if (i + j + l) % 3 != 0 || rows * k * n > 2_000_000 {
                    continue;
                }
                let case = Case::new((i * 1000 + j * 31 + l) as u64, rows, k, n, l % 2 == 0);
                let expected = case.twin();
                for cpu in Cpu::all() {
                    assert_same(&case.run(cpu), &expected, case.what(cpu));
                }
            }
        }
    }
}

/// So many rows that they are cut into chunks, and so many panels that tiles of all widths occur.
#[test]
fn large_products_are_their_definition() {
    for (rows, k, n) in [
        (100, 1537, 70),
        (2, 1025, 230),
        (1, 64, 1000),
        (7, 0, 3),
        (0, 5, 5),
    ] {
        let case = Case::new(7, rows, k, n, true);
        let expected = case.twin();
        for cpu in Cpu::all() {
            assert_same(&case.run(cpu), &expected, case.what(cpu));
        }
    }
}

#[test]
fn a_row_alone_is_the_row_in_a_batch() {
    for (k, n) in [(384, 96), (100, 33), (17, 1)] {
        let case = Case::new(3, 100, k, n, true);
        let m = Matrix::pack(k, n, &case.w);
        for cpu in Cpu::all() {
            let all = case.run(cpu);
            for r in 0..case.rows {
                let mut one = vec![0.0; n];
                let x = Rows::one(&case.x[r * k..][..k]);
                m.product(cpu, x, case.bias.as_deref(), RowsMut::one(&mut one));
                assert_same(&one, &all[r * n..][..n], format!("{} row {r}", cpu.name()));
            }
        }
    }
}

/// Against f64, within the bound of a chain of K roundings.
#[test]
fn products_are_near_the_exact_ones() {
    for (rows, k, n) in [(13, 384, 100), (1, 1536, 33), (3, 31, 17)] {
        let case = Case::new(11, rows, k, n, false);
        let got = case.run(Cpu::detect());
        for r in 0..rows {
            for c in 0..n {
                let (mut exact, mut size) = (0.0, 0.0);
                for i in 0..k {
                    let term = f64::from(case.x[r * k + i]) * f64::from(case.w[i * n + c]);
                    exact += term;
                    size += term.abs();
                }
                let error = (f64::from(got[r * n + c]) - exact).abs();
                let bound = k as f64 * f64::from(f32::EPSILON) / 2.0 * size;
                assert!(error <= bound, "[{r}, {c}]: {error:e} above {bound:e}");
            }
        }
    }
}

#[test]
fn gaps_between_rows_are_neither_read_nor_written() {
    let (rows, k, n, x_stride, out_stride) = (14, 33, 47, 40, 50);
    let case = Case::new(5, rows, k, n, true);
    let expected = case.twin();
    let mut x = vec![f32::NAN; rows * x_stride];
    for (to, from) in x.chunks_mut(x_stride).zip(case.x.chunks(k)) {
        to[..k].copy_from_slice(from);
    }
    let m = Matrix::pack(k, n, &case.w);
    for cpu in Cpu::all() {
        let mut out = vec![-7.0; rows * out_stride];
        let to = RowsMut::new(&mut out, rows, n, out_stride);
        let from = Rows::new(&x, rows, k, x_stride);
        m.product(cpu, from, case.bias.as_deref(), to);
        for (got, expected) in out.chunks(out_stride).zip(expected.chunks(n)) {
            assert_same(&got[..n], expected, cpu.name());
            assert_same(&got[n..], &[-7.0; 3], "the gap");
        }
    }
}

#[test]
fn weights_are_held_once() {
    let m = Matrix::pack(384, 1536, &vec![1.0; 384 * 1536]);
    let bytes = 384 * 1536 * 4;
    assert!((bytes..bytes + 100).contains(&m.bytes()), "{}", m.bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn products_of_any_shape_are_their_definition(
        rows in 0_usize..30, k in 0_usize..80, n in 0_usize..150, bias: bool, seed: u64,
    ) {
        let case = Case::new(seed, rows, k, n, bias);
        let expected = case.twin();
        for cpu in Cpu::all() {
            assert_same(&case.run(cpu), &expected, case.what(cpu));
        }
    }
}
