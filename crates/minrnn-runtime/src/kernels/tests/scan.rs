//! The scan as one operation against the row operations one by one: the same bits, in any instructions, however steps are cut.

use super::super::{
    Binary, Cpu, Decay, Operand, Reduction, Rows, RowsMut, Scan, Unary, binary, recurrence, reduce,
    scan, unary,
};
use super::Random;

/// D, N, heads, groups.
const SIZES: &[[usize; 4]] = &[
    [1, 1, 1, 1],
    [6, 3, 3, 1],
    [4, 16, 4, 2],
    [12, 8, 3, 3],
    [6, 24, 2, 2],
    [10, 33, 5, 5],
    [300, 16, 300, 1],
    [64, 128, 2, 1],
];
const STEPS: usize = 7;

struct Values {
    steps: Vec<f32>,
    rates: Option<Vec<f32>>,
    keep: Option<Vec<f32>>,
    x: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    h: Vec<f32>,
}

impl Values {
    fn new([d, n, heads, groups]: [usize; 4], rates: bool, keep: bool) -> Self {
        let mut random = Random(d as u64 * 31 + n as u64);
        let mut normal = |count: usize| random.values(count);
        let wide = STEPS * if rates { d } else { heads };
        Self {
            steps: normal(wide).iter().map(|v| v.abs()).collect(),
            rates: rates.then(|| normal(d * n).iter().map(|v| -v.abs()).collect()),
            keep: keep.then(|| (0..STEPS).map(|t| f32::from(t != 3)).collect()),
            x: normal(STEPS * d),
            b: normal(STEPS * groups * n),
            c: normal(STEPS * groups * n),
            h: normal(d * n),
        }
    }

    fn scan(&self, n: usize) -> Scan<'_> {
        let rows = |v| Rows::dense(v, STEPS);
        Scan {
            decay: match &self.rates {
                Some(rates) => Decay::Rates {
                    steps: rows(&self.steps),
                    rates,
                },
                None => Decay::Heads(rows(&self.steps)),
            },
            keep: self.keep.as_deref().map(rows),
            x: rows(&self.x),
            b: rows(&self.b),
            c: rows(&self.c),
            states: n,
        }
    }

    /// Outputs, then the last state, operation by operation.
    fn plain(&self, cpu: Cpu, [d, n, heads, groups]: [usize; 4]) -> Vec<f32> {
        let wide = d * n;
        let (mut h, mut y) = (self.h.clone(), vec![]);
        let product = |a: &[f32], b: &[f32]| {
            let mut out = vec![0.0; wide];
            binary(
                cpu,
                Binary::Mul,
                Operand::Slice(a),
                Operand::Slice(b),
                &mut out,
            );
            out
        };
        let each =
            |row: &[f32], times: usize| -> Vec<f32> { (0..wide).map(|i| row[i / times]).collect() };
        let runs = |row: &[f32]| -> Vec<f32> {
            let place = |i: usize| i / n / (d / groups) * n + i % n;
            (0..wide).map(|i| row[place(i)]).collect()
        };
        for t in 0..STEPS {
            let row = |v: &[f32]| v[t * v.len() / STEPS..(t + 1) * v.len() / STEPS].to_vec();
            let mut a = match &self.rates {
                Some(rates) => {
                    let size = product(&each(&row(&self.steps), n), rates);
                    let mut a = vec![0.0; wide];
                    unary(cpu, Unary::Exp, &size, &mut a);
                    a
                }
                None => each(&row(&self.steps), d / heads * n),
            };
            if let Some(keep) = &self.keep {
                a = product(&a, &vec![keep[t]; wide]);
            }
            let fed = product(&each(&row(&self.x), n), &runs(&row(&self.b)));
            let mut all = vec![0.0; wide];
            let [a, fed] = [&a, &fed].map(|v| Rows::one(v));
            recurrence(cpu, &mut h, a, fed, RowsMut::one(&mut all));
            let read = product(&all, &runs(&row(&self.c)));
            y.extend(read.chunks_exact(n).map(|v| reduce(cpu, Reduction::Sum, v)));
        }
        [y, h].concat()
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn one_operation_has_the_bits_of_all() {
    for size in SIZES {
        let [d, n, ..] = *size;
        for (rates, keep) in [(false, false), (true, false), (false, true), (true, true)] {
            let values = Values::new(*size, rates, keep);
            let want = values.plain(Cpu::scalar(), *size);
            for cpu in Cpu::all() {
                assert_eq!(bits(&values.plain(cpu, *size)), bits(&want));
                for cut in [1, 3, STEPS] {
                    let (mut h, mut y) = (values.h.clone(), vec![0.0; STEPS * d]);
                    let mut at = 0;
                    while at < STEPS {
                        let count = cut.min(STEPS - at);
                        let part = values.scan(n).part(at, count);
                        let out = RowsMut::dense(&mut y[at * d..(at + count) * d], count);
                        let before = h.clone();
                        // From elsewhere, or in place.
                        let from = (at == 0).then_some(&before[..]);
                        if from.is_some() {
                            h.fill(f32::NAN);
                        }
                        scan(cpu, &part, from, &mut h, out);
                        at += count;
                    }
                    let got = [y, h].concat();
                    let what = format!("{size:?} {rates} {keep} {} in {cut}", cpu.name());
                    assert_eq!(bits(&got), bits(&want), "{what}");
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "a scan")]
fn shapes_that_do_not_fit_are_a_panic() {
    let values = Values::new([4, 16, 4, 2], true, false);
    let mut scan_of = values.scan(16);
    scan_of.states = 8;
    let (mut h, mut y) = (values.h.clone(), vec![0.0; STEPS * 4]);
    scan(
        Cpu::scalar(),
        &scan_of,
        None,
        &mut h,
        RowsMut::dense(&mut y, STEPS),
    );
}
