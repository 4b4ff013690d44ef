//! Times the recurrences, forward and backward, beside their slow twins and a copy of as many bytes.
//!
//! `cargo run --release -p minrnn-kernels --example bench_scan [B T D]`. Every kernel is checked
//! against its twin before it is timed. Bytes: each input read once, each output written once.

#![allow(
    clippy::print_stdout,
    reason = "a table on the terminal is the purpose"
)]

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, Var};
use minrnn_kernels::{
    Candidate, linear_scan, linear_scan_backward, min_gru, min_gru_backward, min_lstm,
    min_lstm_backward,
};

/// The gradient of the first variable, given h and its gradient.
type Backward<'a> = &'a dyn Fn(&[Var], &Tensor, &Tensor) -> Result<Tensor>;

/// h; or, given the gradient of h, the gradient of the first variable.
type Twin<'a> = &'a dyn Fn(&[Vec<f64>], Option<&[f64]>) -> Vec<f64>;

/// What is timed: the variables, the operation, its backward pass, the twin, and elements moved forward and backward.
struct Subject<'a> {
    name: &'static str,
    vars: Vec<Var>,
    fast: &'a dyn Fn(&[Var]) -> Result<Tensor>,
    back: Backward<'a>,
    slow: Twin<'a>,
    moved: [usize; 2],
}

/// The least of the times that runs take within some 0.4 s, in seconds.
fn best(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let (start, mut least) = (Instant::now(), f64::MAX);
    while start.elapsed().as_secs_f64() < 0.4 {
        let begin = Instant::now();
        run()?;
        least = least.min(begin.elapsed().as_secs_f64());
    }
    Ok(least)
}

fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |m, d| if m.is_nan() || d <= m { m } else { d })
}

fn report(subject: &Subject<'_>) -> Result<()> {
    let inputs = subject.vars.iter().map(|v| values(v));
    let inputs: Vec<_> = inputs.collect::<Result<_>>()?;
    let h = (subject.fast)(&subject.vars)?;
    let dh = h.randn_like(0.0, 1.0)?;
    let got = values(&(subject.back)(&subject.vars, &h, &dh)?)?;
    let dh_values = values(&dh)?;
    let error = largest_difference(&values(&h)?, &(subject.slow)(&inputs, None));
    let grad_error = largest_difference(&got, &(subject.slow)(&inputs, Some(&dh_values)));
    if !(error < 1e-2 && grad_error < 1e-2) {
        return Err(candle_core::Error::msg(format!(
            "{}: off by {error}, {grad_error}",
            subject.name
        )));
    }

    for (pass, elements) in ["forward", "backward"].into_iter().zip(subject.moved) {
        let backward = pass == "backward";
        let twin = best(|| {
            std::hint::black_box((subject.slow)(&inputs, backward.then_some(&dh_values[..])));
            Ok(())
        })?;
        let kernel = best(|| {
            if backward {
                std::hint::black_box((subject.back)(&subject.vars, &h, &dh)?);
            } else {
                std::hint::black_box((subject.fast)(&subject.vars)?);
            }
            Ok(())
        })?;
        let from = vec![1f32; elements / 2];
        let mut to = vec![0f32; elements / 2];
        let copy = best(|| {
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&mut to);
            Ok(())
        })?;
        let gigabytes = elements as f64 * 4e-9;
        println!(
            "{:12} {pass:9} twin {:8.2} ms  kernel {:8.2} ms ({:6.2} GB/s)  copy {:8.2} ms ({:6.2} GB/s)  kernel/copy {:5.2}  twin/kernel {:6.1}",
            subject.name,
            twin * 1e3,
            kernel * 1e3,
            gigabytes / kernel,
            copy * 1e3,
            gigabytes / copy,
            kernel / copy,
            twin / kernel,
        );
    }
    Ok(())
}

fn main() -> Result<()> {
    let sizes = std::env::args().skip(1).map(|x| x.parse::<usize>());
    let sizes: Vec<_> = sizes
        .collect::<std::result::Result<_, _>>()
        .map_err(candle_core::Error::wrap)?;
    let (b, t, d) = match sizes[..] {
        [b, t, d] => (b, t, d),
        [] => (16, 512, 384),
        _ => return Err(candle_core::Error::msg("give B T D, or nothing")),
    };
    let (dims, n, cpu) = ([b, t, d], b * t * d, &Device::Cpu);
    println!(
        "B {b}, T {t}, D {d}, f32, {} threads",
        rayon::current_num_threads()
    );
    let var = |shape: (usize, usize, usize)| Var::randn(0f32, 1.0, shape, cpu);
    let h0 = || Var::zeros((b, d), DType::F32, cpu);
    use minrnn_kernels::{linear_scan::slow as scan, min_gru::slow as gru, min_lstm::slow as lstm};

    let decay = Var::rand(0f32, 1.0, (b, t, d), cpu)?;
    report(&Subject {
        name: "linear_scan",
        vars: vec![decay, var((b, t, d))?, h0()?],
        fast: &|x| linear_scan(&x[0], &x[1], &x[2]),
        back: &|x, h, dh| Ok(linear_scan_backward(&x[0], &x[1], &x[2], h, dh)?[0].clone()),
        slow: &|x, dh| {
            let h = scan::linear_scan(&x[0], &x[1], &x[2], dims);
            dh.map_or(h.clone(), |dh| {
                scan::linear_scan_grad(&x[0], &x[2], &h, dh, dims).0
            })
        },
        moved: [3 * n, 5 * n],
    })?;
    let kind = Candidate::G;
    report(&Subject {
        name: "min_gru",
        vars: vec![var((b, t, 2 * d))?, h0()?],
        fast: &|x| min_gru(&x[0], &x[1], kind),
        back: &|x, h, dh| Ok(min_gru_backward(&x[0], &x[1], kind, h, dh)?.0),
        slow: &|x, dh| match dh {
            None => gru::min_gru(&x[0], &x[1], kind, dims),
            Some(dh) => gru::min_gru_grad(&x[0], &x[1], kind, dh, dims).0,
        },
        moved: [3 * n, 6 * n],
    })?;
    report(&Subject {
        name: "min_lstm",
        vars: vec![var((b, t, 3 * d))?, h0()?],
        fast: &|x| min_lstm(&x[0], &x[1], kind, true),
        back: &|x, h, dh| Ok(min_lstm_backward(&x[0], &x[1], kind, true, h, dh)?.0),
        slow: &|x, dh| match dh {
            None => lstm::min_lstm(&x[0], &x[1], kind, true, dims),
            Some(dh) => lstm::min_lstm_grad(&x[0], &x[1], kind, true, dh, dims).0,
        },
        moved: [4 * n, 8 * n],
    })
}
