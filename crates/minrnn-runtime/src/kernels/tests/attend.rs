//! Attention: with every instruction set the bits of plain loops, wherever the rows lie.

use super::super::attend::{Attend, attend};
use super::super::{Cpu, Rows, Unary, unary};

/// Numbers of every sign, different for each seed.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let value = |i: usize| ((i as f32 + 1.0) * (0.37 + 0.11 * seed as f32)).sin() * 2.0;
    (0..count).map(value).collect()
}

/// Over rows `[k | v]`, oldest first, by the law: chains of fused multiply-adds, sums from the first.
fn plainly(q: &[f32], rows: &[&[f32]], heads: usize) -> Vec<f32> {
    let (d, p) = (q.len(), q.len() / heads);
    let mut out = vec![];
    for from in (0..d).step_by(p) {
        let score =
            |row: &&[f32]| (from..from + p).fold(0.0f32, |sum, c| q[c].mul_add(row[c], sum));
        let scores: Vec<f32> = rows.iter().map(score).collect();
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let below: Vec<f32> = scores.iter().map(|s| s - most).collect();
        let mut weights = vec![0.0; rows.len()];
        unary(Cpu::scalar(), Unary::Exp, &below, &mut weights);
        let sum = weights.iter().fold(0.0f32, |sum, w| sum + w);
        for c in d + from..d + from + p {
            let mut value = 0.0f32;
            for (w, row) in weights.iter().zip(rows) {
                value = (w / sum).mul_add(row[c], value);
            }
            out.push(value);
        }
    }
    out
}

#[test]
fn attention_is_its_law_on_every_machine_and_wherever_its_rows_lie() {
    let mut checked = 0;
    for (d, heads) in [(1, 1), (6, 2), (18, 1), (64, 4), (40, 40)] {
        for lag in [1, 7, 30] {
            let (q, all) = (numbers(d, 1), numbers(2 * d * (lag + 12), 2));
            let row = |i: usize| &all[i * 2 * d..(i + 1) * 2 * d];
            // The step's own row, and how many it sees.
            for (at, n) in [(lag, 1), (lag + 3, 2), (lag + 11, lag + 1), (lag + 5, 1000)] {
                let count = n.min(lag + 1);
                let rows: Vec<&[f32]> = (at + 1 - count..=at).map(row).collect();
                let want = plainly(&q, &rows, heads);
                // All rows but some last ones are of the past.
                for present in 1..=(at - lag + 1) {
                    let first = at + 1 - present;
                    let x = Attend {
                        q: &q,
                        past: &all[(first - lag) * 2 * d..first * 2 * d],
                        present: Rows::new(&all[first * 2 * d..], present, 2 * d, 2 * d),
                        n: n as f32,
                        heads,
                    };
                    for cpu in Cpu::all() {
                        let (mut scratch, mut got) = (vec![f32::NAN; lag + 1], vec![f32::NAN; d]);
                        attend(cpu, &x, &mut scratch, &mut got);
                        assert_eq!(
                            got,
                            want,
                            "{d} {heads} {lag} {at} {n} {present} {}",
                            cpu.name()
                        );
                        checked += 1;
                    }
                }
            }
        }
    }
    assert!(checked > 100);
}
