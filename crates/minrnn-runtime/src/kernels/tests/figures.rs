//! Speed beside what the machine can do: `cargo test -p minrnn-runtime --lib --release figures -- --ignored --nocapture`.
#![allow(clippy::print_stdout, reason = "the table is what it is run for")]

use std::hint::black_box;
use std::time::Instant;

use pulp::{Simd, WithSimd};

use super::super::aligned::Aligned;
use super::super::{
    Binary, Cpu, Matrix, MatrixU8, Operand, Rows, RowsMut, Unary, binary, recurrence, round_to_f16,
    sum, unary,
};
use super::Random;

/// Seconds of one call: the best of several rounds, each long enough for the clock.
fn time(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    f();
    let once = start.elapsed().as_secs_f64().max(1e-9);
    let calls = (0.002 / once).clamp(1.0, 1e6) as usize;
    let round = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..calls {
            f();
        }
        start.elapsed().as_secs_f64() / calls as f64
    };
    (0..15).map(|_| round(&mut f)).fold(f64::INFINITY, f64::min)
}

/// Independent chains of fused multiply-adds.
struct Peak(usize);

impl WithSimd for Peak {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat_f32s(1.0); 12];
        let (a, b) = (
            simd.splat_f32s(black_box(0.999)),
            simd.splat_f32s(black_box(0.001)),
        );
        for _ in 0..self.0 {
            for s in &mut sums {
                *s = simd.mul_add_f32s(*s, a, b);
            }
        }
        sums.into_iter()
            .map(|s| simd.reduce_sum_f32s(s))
            .sum::<f32>()
    }
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// Reads all, in as many streams as a product of one row.
struct Read<'a>(&'a [f32]);

impl WithSimd for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat_f32s(0.0); 6];
        // Not a power of two: the streams would meet in the same sets of the caches.
        const LONG: usize = 384 * 16 + 16;
        for part in self.0.chunks_exact(6 * LONG) {
            let stream = |i: usize| S::as_simd_f32s(&part[i * LONG..][..LONG]).0;
            let streams = [0, 1, 2, 3, 4, 5].map(stream);
            for i in 0..streams[0].len() {
                for (s, stream) in sums.iter_mut().zip(streams) {
                    *s = simd.add_f32s(*s, stream[i]);
                }
            }
        }
        sums.into_iter()
            .map(|s| simd.reduce_sum_f32s(s))
            .sum::<f32>()
    }
}

/// FLOP/s of the registers, bytes/s of a read from memory.
fn machine(cpu: Cpu) -> (f64, f64) {
    let steps = 10_000;
    let lanes = cpu.run(Lanes);
    let peak = time(|| {
        black_box(cpu.run(Peak(steps)));
    });
    let large = vec![1.0_f32; 25 << 20];
    let read = time(|| {
        black_box(cpu.run(Read(&large)));
    });
    (
        (2 * 12 * lanes * steps) as f64 / peak,
        4.0 * large.len() as f64 / read,
    )
}

fn product(cpu: Cpu, k: usize, n: usize, rows: usize, bytes: usize, peak: f64, read: f64) {
    let mut random = Random(1);
    // So many copies that the weights come from where they would in a model of this size.
    let copies = (bytes / (4 * k * n)).max(1);
    let weights = random.values(k * n);
    let all: Vec<_> = (0..copies).map(|_| Matrix::pack(k, n, &weights)).collect();
    let x = random.values(rows * k);
    let mut out = vec![0.0; rows * n];
    let mut i = 0;
    let seconds = time(|| {
        i = (i + 1) % all.len();
        all[i].product(
            cpu,
            Rows::dense(&x, rows),
            None,
            RowsMut::dense(black_box(&mut out), rows),
        );
    });
    let flops = (2 * rows * k * n) as f64 / seconds;
    let rate = (4 * k * n) as f64 / seconds;
    println!(
        "{:7} {rows:4} x [{k:4},{n:5}] in {:5} KB: {:9.3} us {:7.1} GFLOP/s {:4.0}% {:7.1} GB/s {:4.0}%",
        cpu.name(),
        (copies * all[0].bytes()) >> 10,
        seconds * 1e6,
        flops / 1e9,
        100.0 * flops / peak,
        rate / 1e9,
        100.0 * rate / read,
    );
}

fn product_of_bytes(cpu: Cpu, k: usize, n: usize, rows: usize, bytes: usize) {
    let mut random = Random(1);
    let copies = (bytes / (k * n)).max(1);
    let mut some = |n: usize| (0..n).map(|_| random.bits() as u8).collect::<Vec<_>>();
    let (weights, x) = (some(k * n), some(rows * k));
    let all: Vec<_> = (0..copies)
        .map(|_| MatrixU8::pack(k, n, &weights, 77))
        .collect();
    let mut out = vec![0; rows * n];
    let mut i = 0;
    let seconds = time(|| {
        i = (i + 1) % all.len();
        all[i].product(
            cpu,
            Rows::dense(&x, rows),
            99,
            RowsMut::dense(black_box(&mut out), rows),
        );
    });
    println!(
        "{:7} u8 {rows:4} x [{k:4},{n:5}] in {:5} KB: {:9.3} us {:7.1} GOP/s {:7.1} GB/s",
        cpu.name(),
        (copies * all[0].bytes()) >> 10,
        seconds * 1e6,
        (2 * rows * k * n) as f64 / seconds / 1e9,
        (k * n) as f64 / seconds / 1e9,
    );
}

fn pointwise(cpu: Cpu, what: &str, n: usize, f: impl FnMut()) {
    let seconds = time(f);
    println!(
        "{:7} {what:12} {n}: {:8.1} ns, {:6.2} ns for 16",
        cpu.name(),
        seconds * 1e9,
        seconds * 1e9 * 16.0 / n as f64
    );
}

#[test]
#[ignore = "a measurement"]
fn figures() {
    for cpu in Cpu::all() {
        if cpu.name() == "scalar" {
            continue;
        }
        let (peak, read) = machine(cpu);
        println!(
            "{}: {:.1} GFLOP/s, {:.1} GB/s read",
            cpu.name(),
            peak / 1e9,
            read / 1e9
        );
        let shapes = [(384, 1536), (768, 384), (384, 384), (1536, 384)];
        for (k, n) in shapes {
            // As a part of a model: 26.8 MB of weights, beyond the caches' reach for one step after the other.
            for rows in [1, 2, 4, 8, 12, 64] {
                product(cpu, k, n, rows, 100 << 20, peak, read);
            }
            product(cpu, k, n, 1, 0, peak, read);
            for rows in [4, 8, 12, 16, 64, 256] {
                product(cpu, k, n, rows, 0, peak, read);
            }
        }
        for (k, n) in [(64, 128), (64, 64), (1024, 1024), (4096, 96), (33, 1)] {
            for rows in [1, 64] {
                product(cpu, k, n, rows, 0, peak, read);
            }
        }
        for (k, n) in [(384, 1536), (1536, 384), (64, 128)] {
            for rows in [1, 4, 64] {
                product_of_bytes(cpu, k, n, rows, 100 << 20);
                product_of_bytes(cpu, k, n, rows, 0);
            }
        }
        let n = 384;
        let values = Random(2).values(n);
        let [mut x, mut out, mut h] = [(); 3].map(|()| Aligned::new(n, 0.0));
        x.get_mut().copy_from_slice(&values);
        let (x, out, h) = (x.get(), out.get_mut(), h.get_mut());
        for op in [
            Unary::Exp,
            Unary::Log,
            Unary::Erf,
            Unary::Tanh,
            Unary::Sigmoid,
            Unary::Softplus,
            Unary::Floor,
            Unary::Relu,
        ] {
            pointwise(cpu, &format!("{op:?}"), n, || {
                unary(cpu, op, x, black_box(&mut *out));
            });
        }
        pointwise(cpu, "Add", n, || {
            binary(
                cpu,
                Binary::Add,
                Operand::Slice(x),
                Operand::Scalar(1.0),
                black_box(&mut *out),
            );
        });
        pointwise(cpu, "f16", n, || {
            round_to_f16(cpu, x, black_box(&mut *out));
        });
        pointwise(cpu, "sum", n, || {
            black_box(sum(cpu, black_box(x)));
        });
        pointwise(cpu, "recurrence", n, || {
            let out = RowsMut::one(black_box(&mut *out));
            recurrence(cpu, h, Rows::one(x), Rows::one(x), out);
        });
        let tail = 100;
        pointwise(cpu, "Exp", tail, || {
            unary(cpu, Unary::Exp, &x[..tail], black_box(&mut out[..tail]));
        });
    }
}
