//! Laws of recurrences: their values, bounds and beginnings by the oracle, and what is refused.

use crate::Result;
use crate::graph::{Graph, Holds, Input, Law, Op, OutputKind, StateInit, Value};
use crate::layers::{Diagonal, Space};
use crate::oracle::{self, Data, Run, Trace};

fn traced(width: usize, body: impl FnOnce(&mut Graph, Value) -> Result<Value>) -> Result<Graph> {
    Graph::trace(Input::Features { width }, OutputKind::Values, |g, x| {
        // A recurrence takes values of nodes, an input with a node of its own.
        let x = g.affine(x, 1.0, 0.0)?;
        g.block(0, |g| body(g, x))
    })
}

fn run(graph: &Graph, x: &[f32], reset: Option<&[bool]>) -> Trace {
    let width = match graph.input() {
        Input::Features { width } => width,
        Input::Tokens { .. } => 1,
    };
    let params: Vec<Vec<f64>> = vec![];
    let run = Run {
        reset,
        bounds: true,
        ..Run::new(1, x.len() / width, Data::Features(x))
    };
    oracle::run(graph, &params, &run).expect("runs")
}

#[test]
fn the_largest_of_all_steps_and_of_the_one_before() {
    let graph = traced(1, |g, x| {
        let h = g.recur("m", Law::Max, &[x], StateInit::Constant(-2.0))?;
        let before = g.before(h)?;
        g.op(Op::Concat, &[h, before])
    });
    let graph = graph.expect("good");
    let x = [-3.0, -1.0, -1.5, 4.0, 2.0];
    let out = run(&graph, &x, None);
    let pairs = [-2.0, -2.0, -1.0, -2.0, -1.0, -1.0, 4.0, -1.0, 4.0, 4.0];
    assert_eq!(out.output.data, pairs);
    assert_eq!(out.states[0].data, [4.0]);
    // A reset is the initial value again, also for what looks back.
    let reset = [false, false, true, false, true];
    let out = run(&graph, &x, Some(&reset));
    let pairs = [-2.0, -2.0, -1.0, -2.0, -1.5, -2.0, 4.0, -1.5, 2.0, -2.0];
    assert_eq!(out.output.data, pairs);
}

#[test]
fn complex_numbers_turn_and_their_bound_does_not_run_away() {
    let graph = traced(4, |g, x| {
        let a = g.narrow(x, 0, 2)?;
        let b = g.narrow(x, 2, 2)?;
        g.recur("h", Law::Complex, &[a, b], StateInit::Constant(1.0))
    });
    let graph = graph.expect("good");
    // h = 1 + i, times i, plus 2: 1 + i; then times 1 - i, minus i: 2 - i.
    let x = [0.0, 1.0, 2.0, 0.0, 1.0, -1.0, 0.0, -1.0];
    let out = run(&graph, &x, None);
    assert_eq!(out.output.data, [1.0, 1.0, 2.0, -1.0]);
    assert_eq!(out.states[0].data, [2.0, -1.0]);
    // A thousand turns by a decay of modulus 1: parts by themselves would be off by a factor of 1.4 more a step.
    let turn: Vec<f32> = (0..1000).flat_map(|_| [0.8f32, 0.6, 0.001, 0.0]).collect();
    let out = run(&graph, &turn, None);
    let worst = out.output.bound.iter().fold(0.0f64, |m, e| m.max(*e));
    assert!(worst < 1e-3 && worst > 0.0, "{worst}");
}

#[test]
fn what_a_law_or_a_delay_of_it_cannot_take_is_refused() {
    let odd = traced(3, |g, x| {
        g.recur("h", Law::Complex, &[x, x], StateInit::Zero)
    });
    let one = traced(2, |g, x| g.recur("h", Law::Complex, &[x], StateInit::Zero));
    let two = traced(2, |g, x| g.recur("h", Law::Max, &[x, x], StateInit::Zero));
    let none = traced(2, |g, _| g.recur("h", Law::Max, &[], StateInit::Zero));
    let no_recurrence = traced(2, |g, x| g.before(x));
    let far = traced(2, |g, x| {
        let h = g.recur("h", Law::Max, &[x], StateInit::Zero)?;
        let state = g.node(h).op.state().expect("its state");
        g.op(Op::Delay { state, by: 2 }, &[h])
    });
    let other = traced(2, |g, x| {
        let h = g.recur("h", Law::Max, &[x], StateInit::Zero)?;
        let state = g.node(h).op.state().expect("its state");
        g.op(Op::Delay { state, by: 1 }, &[x])
    });
    let before_it_is = traced(2, |g, x| {
        let state = g.state("h", 2, Holds::Value, StateInit::Zero)?;
        g.op(Op::Delay { state, by: 1 }, &[x])
    });
    for (graph, says) in [
        (odd, "halves of real and imaginary parts"),
        (one, "takes 2 argument(s), got 1"),
        (two, "takes 1 argument(s), got 2"),
        (none, "at least one argument"),
        (no_recurrence, "takes a recurrence, got Affine"),
        (far, "by 1: what it was the step before"),
        (other, "by 1: what it was the step before"),
        (before_it_is, "by 1: what it was the step before"),
    ] {
        let e = graph.map(drop).expect_err(says).to_string();
        assert!(e.contains(says), "{says}: {e}");
    }
}

/// The diagonal state space of the package popgym, in float64 (`tests/golden/diagonal/popgym.py`): its convolution with the response.
#[test]
fn a_diagonal_state_space_is_that_of_a_package() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/golden/diagonal/popgym.json")).unwrap();
    let n = |key: &str| golden[key].as_u64().unwrap() as usize;
    let (channels, pairs, batch, time) = (n("channels"), n("pairs"), n("batch"), n("time"));
    let wave = |count: usize, k: f64, scale: f64, shift: f64| -> Vec<f64> {
        let one = |i: usize| shift + scale * libm::sin(i as f64 * k + 0.3);
        (0..count).map(one).collect()
    };
    let wide = channels * pairs;
    let by_name = [
        ("log_dt", wave(channels, 1.1, 0.5, -1.0)),
        ("A_log", wave(wide, 0.7, 0.8, 0.0)),
        ("A_im", wave(wide, 1.3, 4.0, 2.0)),
        (
            "C",
            [wave(wide, 0.9, 1.0, 0.0), wave(wide, 1.7, 1.0, 0.0)].concat(),
        ),
        ("D", wave(channels, 2.3, 1.0, 0.0)),
    ];
    let space = Space {
        channels,
        states: 2 * pairs,
        diagonal: Diagonal::Lin,
        step: (1e-3, 1e-1),
    };
    let input = Input::Features { width: channels };
    let graph = Graph::trace(input, OutputKind::Values, |g, x| {
        g.block(0, |g| g.apply(&space, x))
    })
    .unwrap();
    let of = |name: &str| {
        let found = by_name.iter().find(|(n, _)| name.ends_with(n));
        found.expect(name).1.clone()
    };
    let params: Vec<Vec<f64>> = graph.params().iter().map(|p| of(&p.name)).collect();
    assert_eq!(params.len(), by_name.len());
    let x: Vec<f32> = wave(batch * time * channels, 0.61, 1.0, 0.0)
        .iter()
        .map(|v| *v as f32)
        .collect();
    let run = Run::new(batch, time, Data::Features(&x));
    let found = oracle::run(&graph, &params[..], &run).unwrap().output.data;
    let wanted: Vec<f64> = golden["y"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect();
    let mut c = crate::compare::Comparison::default();
    // Inputs are rounded to f32 here, and are not there.
    std::iter::zip(&found, &wanted).for_each(|(g, w)| c.push(*g, *w, 1e-6));
    assert_eq!(
        (found.len(), wanted.len()),
        (c.count, batch * time * channels)
    );
    assert!(c.holds(), "{c:?}");
}
