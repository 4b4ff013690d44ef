use super::*;
use crate::compare::Comparison;
use crate::config::ModelConfig;
use crate::graph::{Input, StateInit};
use crate::model::Model;
use crate::params::Params;
use crate::rng::Rng;
use crate::trial::{Case, How, carried, cut, join, spans};

fn model(toml: &str) -> (Model, Vec<Vec<f64>>) {
    let config: ModelConfig = toml::from_str(toml).unwrap();
    let model = Model::from_config(&config).unwrap();
    let mut params = Params::init(model.graph(), 7).to_f64();
    // Biases and states begin at zero; give every parameter values of its own.
    let mut rng = Rng::named(9, "spread");
    params
        .iter_mut()
        .flatten()
        .for_each(|p| *p += 0.2 * rng.range(-1.0, 1.0));
    (model, params)
}

const FULL: &str = "width = 6\nlayers = 2\n[input]\nvocab = 5\n[head]\nwidth = 3\n[conv]\nkernel = 4\n[mlp]\nexpansion = 2\n";

fn variants() -> Vec<(Model, Vec<Vec<f64>>)> {
    let cells = [
        "kind = 'min_gru'\nexpansion = 2",
        "kind = 'min_lstm'\ncandidate = 'linear'\ninitial_state = 'learned'",
        "kind = 'min_lstm'\nnormalize_gates = false\ntime_scale = [1.0, 50.0]",
    ];
    cells
        .iter()
        .map(|c| model(&format!("{FULL}[cell]\n{c}\n")))
        .collect()
}

fn case(graph: &Graph, seed: u64, size: (usize, usize)) -> Case {
    Case::of(graph.input(), size, &mut Rng::named(seed, "ids"))
}

#[track_caller]
fn same(got: &[f64], want: &[f64]) {
    let mut c = Comparison::default();
    assert_eq!(got.len(), want.len());
    got.iter()
        .zip(want)
        .for_each(|(g, w)| c.push(*g, *w, 1e-12));
    assert!(c.holds(), "{c:?}");
}

fn states_of(trace: &Trace) -> Vec<Vec<f64>> {
    trace.states.iter().map(|s| s.data.clone()).collect()
}

#[test]
fn chunks_with_carried_state_equal_the_whole() {
    for (m, p) in variants() {
        let g = m.graph();
        let case = case(g, 1, (3, 11));
        let whole = case.trace(g, &p, How::default()).unwrap();
        let first = initial_states(g, &p, case.batch);
        let (parts, last) = carried(spans(&[1, 2, 1, 7]), first, |(from, to), states| {
            let part = case.cut(from, to, None);
            let how = How {
                states: Some(&states),
                ..How::default()
            };
            let trace = part.trace(g, &p, how)?;
            let states = states_of(&trace);
            crate::Result::Ok(((to - from, trace.output.data), states))
        })
        .unwrap();
        same(&join(g, case.batch, parts), &whole.output.data);
        same(&last.concat(), &states_of(&whole).concat());
    }
}

#[test]
fn padding_changes_nothing_before_a_rows_end() {
    for (m, p) in variants() {
        let g = m.graph();
        let lens = [9, 4, 1];
        let mut case = case(g, 2, (3, 9));
        case.lengths = Some(lens.to_vec());
        let padded = states_of(&case.trace(g, &p, How::default()).unwrap());
        for (row, len) in lens.into_iter().enumerate() {
            let alone = case.rows(row..row + 1).cut(0, len, None);
            let alone = alone.trace(g, &p, How::default()).unwrap();
            for (all, one) in padded.iter().zip(states_of(&alone)) {
                same(&all[row * one.len()..(row + 1) * one.len()], &one);
            }
        }
    }
}

#[test]
fn a_reset_begins_anew() {
    for (m, p) in variants() {
        let g = m.graph();
        let mut case = case(g, 3, (1, 10));
        let plain = case.clone();
        case.reset = Some((0..10).map(|t| t == 4 || t == 6).collect());
        let packed = case.trace(g, &p, How::default()).unwrap();
        for (from, to) in spans(&[4, 2, 4]) {
            let alone = plain.cut(from, to, None);
            let alone = alone.trace(g, &p, How::default()).unwrap();
            let wanted = cut(&packed.output.data, (1, 10), (from, to));
            same(&wanted, &alone.output.data);
            if to == 10 {
                same(&states_of(&packed).concat(), &states_of(&alone).concat());
            }
        }
    }
}

#[test]
fn min_gru_is_the_papers_equation() {
    let m = Model::trace(
        Input::Features { width: 2 },
        crate::graph::OutputKind::Values,
        serde_json::Value::Null,
        |g, x| {
            use crate::layers::{Candidate, Gates, MinGru};
            let cell = MinGru {
                candidate: Candidate::G,
            }
            .cell(StateInit::Zero);
            g.block(0, |g| g.apply(&*cell, x))
        },
    )
    .unwrap();
    let kv = [
        0.3f32, -0.7, -1.2, 0.4, 2.0, 0.0, -200.0, 3.0, 200.0, -200.0,
    ];
    let got = run(m.graph(), &[], &Run::new(1, 5, Data::Features(&kv))).unwrap();
    let mut h = 0.0;
    let want: Vec<f64> = kv
        .chunks(2)
        .map(|kv| {
            let (k, v) = (f64::from(kv[0]), f64::from(kv[1]));
            let z = 1.0 / (1.0 + (-k).exp());
            h = (1.0 - z) * h
                + z * if v >= 0.0 {
                    v + 0.5
                } else {
                    1.0 / (1.0 + (-v).exp())
                };
            h
        })
        .collect();
    same(&got.output.data, &want);
}

#[test]
fn the_bound_covers_f32_and_no_more_than_it_must() {
    let (batch, time, d) = (1, 4096, 4);
    let m = Model::trace(
        Input::Features { width: 2 * d },
        crate::graph::OutputKind::Values,
        serde_json::Value::Null,
        |g, x| {
            let [a, b] = g.split::<2>(x)?;
            g.block(0, |g| g.recurrence("h", a, b, StateInit::Zero))
        },
    )
    .unwrap();
    let mut rng = Rng::named(1, "ab");
    let x: Vec<f32> = (0..batch * time * 2 * d)
        .map(|i| {
            if i % (2 * d) < d {
                1.0 - rng.uniform().powi(9) as f32
            } else {
                rng.range(-1.0, 1.0) as f32
            }
        })
        .collect();
    let r = Run {
        bounds: true,
        ..Run::new(batch, time, Data::Features(&x))
    };
    let trace = run(m.graph(), &[], &r).unwrap();
    let mut h = vec![0f32; d];
    let mut c = Comparison::default();
    for t in 0..time {
        for j in 0..d {
            h[j] = x[t * 2 * d + j] * h[j] + x[t * 2 * d + d + j];
            c.push(
                f64::from(h[j]),
                trace.output.data[t * d + j],
                trace.output.bound[t * d + j],
            );
        }
    }
    assert!(c.holds() && c.differing > 0, "{c:?}");
    let worst = trace.output.bound.iter().fold(0.0, |m: f64, e| m.max(*e));
    assert!(worst < 1e-2, "a bound that large says nothing: {worst}");
}

/// Errors that a deep model amplifies beyond all numbers are bounds that say nothing, and no numbers that are none: nothing would equal them.
#[test]
fn bounds_beyond_all_numbers_are_infinite() {
    for (model, mut params) in variants() {
        params.iter_mut().flatten().for_each(|p| *p *= 1e60);
        let graph = model.graph();
        let case = case(graph, 5, (2, 37));
        let run = Run {
            bounds: true,
            ..Run::new(2, 37, Data::Tokens(&case.ids))
        };
        let mut beyond = false;
        walk(graph, &params, &run, &mut |_, t| {
            assert!(t.bound.iter().all(|b| !b.is_nan()));
            beyond |= t.bound.contains(&f64::INFINITY);
        })
        .unwrap();
        assert!(beyond, "some of them are");
    }
}

#[test]
fn wrong_inputs_are_refused() {
    let (m, p) = &variants()[0];
    let check = |r: Run, wanted: &str| {
        let e = run(m.graph(), p, &r)
            .expect_err("must be refused")
            .to_string();
        assert!(e.contains(wanted), "{e}");
    };
    check(
        Run::new(1, 0, Data::Tokens(&[])),
        "at least one row and one step",
    );
    check(Run::new(1, 2, Data::Tokens(&[1])), "wanted B*T = 2");
    check(
        Run::new(1, 1, Data::Tokens(&[5])),
        "the vocabulary has 5 tokens",
    );
    check(Run::new(1, 1, Data::Features(&[1.0])), "takes token ids");
    check(
        Run {
            lens: Some(&[3]),
            ..Run::new(1, 2, Data::Tokens(&[1, 1]))
        },
        "lens must have",
    );
    check(
        Run {
            states: Some(&[]),
            ..Run::new(1, 1, Data::Tokens(&[1]))
        },
        "states given do not fit",
    );
}

/// Values of all new functions by their definitions, and f32 within the bounds.
#[test]
fn functions_and_their_bounds() {
    use crate::graph::{Binary, Unary};
    let scaled = |x: f64, e: f64| (x + e).ln() - x.ln();
    let (y, e) = functions::unary(Unary::Log, 2.0, 0.5);
    same(&[y], &[2f64.ln()]);
    assert!(e >= scaled(2.0, -0.5).abs() && e < 0.5 / 1.5 + 1e-6, "{e}");
    assert_eq!(functions::unary(Unary::Log, 0.5, 0.5).1, f64::INFINITY);
    let (y, e) = functions::unary(Unary::Sin, 3.0, 1e-3);
    same(&[y], &[3f64.sin()]);
    assert!((1e-3..1.1e-3).contains(&e));
    same(&[functions::unary(Unary::Cos, 3.0, 0.0).0], &[3f64.cos()]);
    let (y, e) = functions::binary(Binary::Max, (1.0, 0.1), (2.0, 0.01));
    assert_eq!((y, e), (2.0, 0.1), "the larger bound, whichever is larger");
    let unbounded = (2.0, f64::INFINITY);
    for (_, e) in [
        functions::binary(Binary::Mul, unbounded, (3.0, 0.0)),
        functions::binary(Binary::Mul, (3.0, 0.0), unbounded),
    ] {
        assert_eq!(e, f64::INFINITY, "no bound is no number that is none");
    }
}

/// Softplus, tied tables, groups and repeats against plain loops.
#[test]
fn operations_on_channels_and_parameters_are_their_definitions() {
    use crate::graph::{Graph, OutputKind, Unary};
    use crate::params::{Init, Role};
    let role = || Role::Weight {
        init: Init::linear(4),
        decay: true,
    };
    let graph = Graph::trace(Input::Features { width: 4 }, OutputKind::Values, |g, x| {
        let table = g.param("table", &[3, 4], role())?;
        let shift = g.param("shift", &[2, 4], role())?;
        let row = g.read_row(shift, 1)?;
        let positive = g.unary(Unary::Exp, row)?;
        let x = g.mul(positive, x)?;
        let sums = g.sum(x, 2)?;
        let each = g.repeat(sums, 1, 2)?;
        let tile = g.repeat(sums, 2, 2)?;
        let outer = g.mul(each, tile)?;
        let table = g.read(table)?;
        let doubled = g.affine(table, 2.0, 0.0)?;
        let (a, b) = (
            g.matmul_transposed(outer, table)?,
            g.matmul_transposed(outer, doubled)?,
        );
        g.op(Op::Concat, &[a, b])
    })
    .unwrap();
    let params = Params::init(&graph, 3);
    let x = [0.5f32, -1.0, 2.0, 0.25, 1.0, 0.125, -3.0, 0.75];
    let run = super::run(&graph, &params, &Run::new(1, 2, Data::Features(&x))).unwrap();
    let p = params.to_f64();
    let mut want = vec![];
    for x in x.chunks(4) {
        let x: Vec<f64> = x
            .iter()
            .zip(&p[1][4..])
            .map(|(x, s)| f64::from(*x) * s.exp())
            .collect();
        let s = [x[0] + x[1], x[2] + x[3]];
        let outer = [s[0] * s[0], s[0] * s[1], s[1] * s[0], s[1] * s[1]];
        let rows = p[0]
            .chunks(4)
            .map(|t| t.iter().zip(outer).map(|(t, o)| t * o).sum::<f64>());
        let rows: Vec<f64> = rows.collect();
        want.extend(rows.iter().copied().chain(rows.iter().map(|v| 2.0 * v)));
    }
    same(&run.output.data, &want);
}

/// A window that begins with a constant or a learned row, cut anywhere, with lengths and resets.
#[test]
fn windows_begin_with_what_they_are_told() {
    use crate::graph::{Graph, Holds, OutputKind};
    use crate::params::Role;
    let values = vec![7.0, 8.0];
    let graph = Graph::trace(Input::Features { width: 2 }, OutputKind::Values, |g, x| {
        g.block(0, |g| {
            let p = g.param("begin", &[2], Role::Buffer { values })?;
            let learned = g.state("a", 2, Holds::Window { lag: 3 }, StateInit::Learned(p))?;
            let fixed = g.state("b", 2, Holds::Window { lag: 2 }, StateInit::Constant(-1.0))?;
            let a = g.op(
                Op::Delay {
                    state: learned,
                    by: 3,
                },
                &[x],
            )?;
            let b = g.op(
                Op::Delay {
                    state: fixed,
                    by: 1,
                },
                &[x],
            )?;
            g.op(Op::Concat, &[a, b])
        })
    })
    .unwrap();
    let params = Params::init(&graph, 0);
    let x: Vec<f32> = (1..=5).flat_map(|t| [t as f32, 10.0 * t as f32]).collect();
    let reset = [false, false, false, true, false];
    let run = Run {
        lens: Some(&[4]),
        reset: Some(&reset),
        ..Run::new(1, 5, Data::Features(&x))
    };
    let trace = super::run(&graph, &params, &run).unwrap();
    let want = [
        [7.0, 8.0, -1.0, -1.0],
        [7.0, 8.0, 1.0, 10.0],
        [7.0, 8.0, 2.0, 20.0],
        [7.0, 8.0, -1.0, -1.0],
        [7.0, 8.0, 4.0, 40.0],
    ];
    assert_eq!(trace.output.data, want.concat());
    assert_eq!(trace.states[0].data, [7.0, 8.0, 7.0, 8.0, 4.0, 40.0]);
    assert_eq!(trace.states[1].data, [-1.0, -1.0, 4.0, 40.0]);
}

/// What a window leaves is one pass over it: with a pass for each of its rows, this would take minutes.
#[test]
fn a_wide_window_costs_one_pass() {
    use crate::graph::{Graph, Holds, OutputKind};
    let lag = 100_000;
    let graph = Graph::trace(Input::Features { width: 1 }, OutputKind::Values, |g, x| {
        g.block(0, |g| {
            let state = g.state("past", 1, Holds::Window { lag }, StateInit::Zero)?;
            g.op(Op::Delay { state, by: lag }, &[x])
        })
    })
    .unwrap();
    let x: Vec<f32> = (0..lag + 1).map(|t| (t % 97) as f32).collect();
    let run = Run::new(1, lag + 1, Data::Features(&x));
    let trace = super::run(&graph, &[], &run).unwrap();
    assert_eq!(trace.output.data[lag], f64::from(x[0]));
    let want: Vec<f64> = x[1..].iter().map(|v| f64::from(*v)).collect();
    assert_eq!(trace.states[0].data, want);
}
