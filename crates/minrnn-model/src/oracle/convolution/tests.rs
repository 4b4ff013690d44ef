//! Convolutions and limits against plain loops.

use super::super::{Data, Run, run};
use crate::compare::Comparison;
use crate::graph::{Graph, Holds, Input, Op, OutputKind, StateInit, Unary};
use crate::params::{Init, Params, Role};

fn weight() -> Role {
    let init = Init::Uniform { bound: 1.0 };
    Role::Weight { init, decay: false }
}

/// A convolution whose taps are sines of a parameter, of a window that begins with `init`.
fn graph(rows: usize, width: usize, begin: f32) -> Graph {
    Graph::trace(Input::Features { width }, OutputKind::Values, |g, x| {
        let taps = g.param("taps", &[rows, width], weight())?;
        let taps = g.read(taps)?;
        let taps = g.unary(Unary::Sin, taps)?;
        g.block(0, |g| {
            let holds = Holds::Window { lag: rows - 1 };
            let init = StateInit::Constant(begin);
            let state = g.state("conv", width, holds, init)?;
            g.op(Op::Conv { state }, &[x, taps])
        })
    })
    .unwrap()
}

fn numbers(count: usize, scale: f32) -> Vec<f32> {
    let mut rng = crate::rng::Rng::named(5, "convolution");
    (0..count).map(|_| scale * rng.normal() as f32).collect()
}

#[test]
fn a_convolution_is_its_sum_with_lengths_and_resets() {
    let (rows, width, time, begin) = (4, 2, 7, 0.5f32);
    let graph = graph(rows, width, begin);
    let params = Params::init(&graph, 1);
    let x = numbers(2 * time * width, 1.0);
    let mut reset = [false; 14];
    (reset[3], reset[9]) = (true, true);
    let lens = [7, 5];
    let past: Vec<f64> = (0..2 * 6).map(|i| f64::from(i) - 3.0).collect();
    let states = vec![past.clone()];
    let run_of = Run {
        states: Some(&states),
        lens: Some(&lens),
        reset: Some(&reset),
        ..Run::new(2, time, Data::Features(&x))
    };
    let trace = run(&graph, &params, &run_of).unwrap();
    let taps: Vec<f64> = params.to_f64()[0].iter().map(|v| v.sin()).collect();
    let begun = |row: usize, t: usize| (0..=t).rev().find(|t| reset[row * time + t]);
    let value = |row: usize, t: usize, j: usize, c: usize| match t.checked_sub(j) {
        Some(at) if at >= begun(row, t).unwrap_or(0) => f64::from(x[(row * time + at) * width + c]),
        _ if begun(row, t).is_some() => f64::from(begin),
        _ => past[row * 6 + (3 + t - j) * width + c],
    };
    for (row, len) in lens.into_iter().enumerate() {
        for t in 0..time {
            for c in 0..width {
                let terms = (0..rows).map(|j| taps[j * width + c] * value(row, t, j, c));
                let wanted: f64 = terms.sum();
                let got = trace.output.data[(row * time + t) * width + c];
                assert!((got - wanted).abs() < 1e-12, "row {row}, step {t}");
            }
        }
        for (i, got) in trace.states[0].data[row * 6..row * 6 + 6]
            .chunks(2)
            .enumerate()
        {
            let wanted = value(row, len - 1, 2 - i, 0);
            assert_eq!(got[0], wanted, "window of row {row}");
        }
    }
}

/// Pieces of a sequence give what the whole gives, and f32 sums in any order are within the bounds.
#[test]
fn pieces_are_the_whole_and_f32_is_within_the_bounds() {
    let (rows, width, time) = (40, 3, 90);
    let graph = graph(rows, width, 0.0);
    let params = Params::init(&graph, 2);
    let x = numbers(time * width, 3.0);
    let run_of = Run {
        bounds: true,
        ..Run::new(1, time, Data::Features(&x))
    };
    let whole = run(&graph, &params, &run_of).unwrap();
    let mut states: Option<Vec<Vec<f64>>> = None;
    let mut joined = vec![];
    for piece in x.chunks(13 * width) {
        let one = Run {
            states: states.as_deref(),
            ..Run::new(1, piece.len() / width, Data::Features(piece))
        };
        let trace = run(&graph, &params, &one).unwrap();
        joined.extend(trace.output.data);
        states = Some(trace.states.into_iter().map(|s| s.data).collect());
    }
    assert_eq!(joined, whole.output.data);
    let taps: Vec<f32> = params.get(0).iter().map(|v| v.sin()).collect();
    let mut c = Comparison::default();
    for t in 0..time {
        for channel in 0..width {
            let terms = (0..rows.min(t + 1))
                .map(|j| taps[j * width + channel] * x[(t - j) * width + channel]);
            let at = t * width + channel;
            let sum: f32 = terms.fold(0.0, |s, v| s + v);
            c.push(
                f64::from(sum),
                whole.output.data[at],
                whole.output.bound[at],
            );
        }
    }
    assert!(c.holds() && c.differing > 0, "{c:?}");
    let worst = whole.output.bound.iter().fold(0.0, |m: f64, e| m.max(*e));
    assert!(worst < 1e-3, "a bound that large says nothing: {worst}");
}

#[test]
fn a_step_beyond_the_limit_is_refused_and_a_reset_begins_anew() {
    let graph = Graph::trace(Input::Features { width: 2 }, OutputKind::Values, |g, x| {
        g.block(0, |g| {
            let inside = g.limited("n", x, 5)?;
            g.div(x, inside)
        })
    });
    let graph = graph.unwrap();
    assert_eq!(graph.longest(), Some(5));
    let x = numbers(2 * 7 * 2, 1.0);
    let of = |time: usize, lens: Option<&[usize]>, reset: Option<&[bool]>| {
        let run_of = Run {
            lens,
            reset,
            ..Run::new(2, time, Data::Features(&x[..2 * time * 2]))
        };
        run(&graph, &[], &run_of).map(|t| t.output.data)
    };
    let exact: Vec<f64> = x[..20].iter().map(|v| f64::from(*v)).collect();
    assert_eq!(of(5, None, None).unwrap(), exact);
    let e = of(6, None, None).unwrap_err().to_string();
    assert!(
        e.contains("step 5 of row 0") && e.contains("takes 5 steps"),
        "{e}"
    );
    assert!(of(6, Some(&[5, 4]), None).is_ok(), "rows end before");
    let mut reset = [false; 14];
    reset[3] = true;
    assert!(of(7, Some(&[7, 5]), Some(&reset)).is_ok());
    assert!(of(7, None, Some(&reset)).is_err(), "the second row goes on");
    let states = vec![vec![4.0, 5.0]];
    let run_of = Run {
        states: Some(&states),
        ..Run::new(2, 1, Data::Features(&x[..4]))
    };
    let e = run(&graph, &[], &run_of).unwrap_err().to_string();
    assert!(e.contains("row 1 is number 6"), "{e}");
}

#[test]
fn what_is_no_convolution_is_refused() {
    let refused = |rows: usize, lag: usize, taps_width: usize, wanted: &str| {
        let traced = Graph::trace(Input::Features { width: 3 }, OutputKind::Values, |g, x| {
            let taps = g.param("taps", &[rows, taps_width], weight())?;
            let taps = g.read(taps)?;
            g.block(0, |g| {
                let state = g.state("conv", 3, Holds::Window { lag }, StateInit::Zero)?;
                g.op(Op::Conv { state }, &[x, taps])
            })
        });
        let e = traced.expect_err(wanted).to_string();
        assert!(e.contains(wanted), "{e}");
    };
    refused(4, 2, 3, "one row less than there are taps");
    refused(4, 3, 2, "takes taps of 3 channels, got 2");
    let traced = Graph::trace(Input::Features { width: 3 }, OutputKind::Values, |g, x| {
        g.block(0, |g| g.convolution("conv", x, x))
    });
    let e = traced.expect_err("taps of the input").to_string();
    assert!(e.contains("computed from parameters alone"), "{e}");
    let traced = Graph::trace(Input::Features { width: 3 }, OutputKind::Values, |g, x| {
        g.op(Op::Limit { most: 4 }, &[x])
    });
    let e = traced.expect_err("three numbers").to_string();
    assert!(e.contains("one number a step, got 3"), "{e}");
}
