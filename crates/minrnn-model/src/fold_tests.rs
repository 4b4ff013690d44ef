//! Folds: their values, bounds and beginnings by the oracle, and what is refused.

use crate::Result;
use crate::graph::{
    FoldState, Graph, Holds, Input, Law, Op, OutputKind, Span, State, StateInit, Unary, Value,
};
use crate::oracle::{self, Data, Run, Trace};
use crate::params::{Init, Role};

fn traced(width: usize, body: impl FnOnce(&mut Graph, Value) -> Result<Value>) -> Result<Graph> {
    Graph::trace(Input::Features { width }, OutputKind::Values, |g, x| {
        g.block(0, |g| body(g, x))
    })
}

fn one(name: &str, width: usize) -> FoldState<'_> {
    let init = StateInit::Constant(0.5);
    FoldState { name, width, init }
}

/// `h = 2 - h^2 x`, what was before, and the square.
fn logistic(g: &mut Graph, x: Value) -> Result<Value> {
    let mut square = x;
    let made = g.fold(&[one("h", 1)], |g, before| {
        square = g.mul(before[0], before[0])?;
        let product = g.mul(square, x)?;
        Ok(vec![g.affine(product, -1.0, 2.0)?])
    })?;
    let before = g.before(made[0])?;
    g.op(Op::Concat, &[made[0], before, square])
}

fn run(graph: &Graph, x: &[f32], batch: usize, reset: Option<&[bool]>) -> Trace {
    let params: Vec<Vec<f64>> = vec![];
    let run = Run {
        reset,
        bounds: true,
        ..Run::new(batch, x.len() / batch, Data::Features(x))
    };
    oracle::run(graph, &params, &run).expect("runs")
}

#[test]
fn a_step_reads_what_the_step_before_left() {
    let graph = traced(1, logistic).expect("good");
    assert_eq!(graph.states()[0].name, "0.h");
    assert_eq!(graph.folds()[0].nodes, 1..6);
    let out = run(&graph, &[1.0, 1.0, 0.5, 0.0, 2.0, 4.0], 2, None);
    let first = [1.75, 0.5, 0.25, -1.0625, 1.75, 3.0625];
    assert_eq!(out.output.data[..6], first);
    let second = [2.0, 0.5, 0.25, -6.0, 2.0, 4.0, -142.0, -6.0, 36.0];
    assert_eq!(out.output.data[9..], second);
    assert_eq!(out.states[0].data[1], -142.0);
    assert!(out.output.bound[9..].iter().any(|e| *e > 0.0));
    // A reset is the initial value again, also for what was before.
    let reset = [false, true, false, false, false, false];
    let out = run(&graph, &[1.0, 1.0, 0.5, 0.0, 2.0, 4.0], 2, Some(&reset));
    let first = [1.75, 0.5, 0.25, 1.75, 0.5, 0.25];
    assert_eq!(out.output.data[..6], first);
    assert_eq!(out.output.data[9..], second);
}

/// A map that doubles what it is off has a bound that doubles; tanh and sigmoid end it.
#[test]
fn bounds_are_carried_and_end_where_values_do() {
    let graph = traced(1, |g, x| {
        let made = g.fold(&[one("h", 1)], |g, h| {
            let twice = g.affine(h[0], 2.0, 0.0)?;
            Ok(vec![g.add(twice, x)?])
        })?;
        let y = g.fold(&[one("k", 1)], |g, k| {
            let eight = g.affine(k[0], 8.0, 0.0)?;
            let y = g.unary(Unary::Tanh, eight)?;
            Ok(vec![g.sub(y, x)?])
        })?;
        g.op(Op::Concat, &[made[0], y[0]])
    });
    let out = run(&graph.expect("good"), &[0.5; 40], 1, None);
    let bounds: Vec<[f64; 2]> = out.output.bound.chunks(2).map(|c| [c[0], c[1]]).collect();
    assert!(bounds[39][0] > bounds[29][0] * 1000.0);
    assert!(bounds.iter().all(|b| b[1] < 3.0), "{bounds:?}");
}

#[track_caller]
fn refused(what: &str, body: impl FnOnce(&mut Graph, Value) -> Result<Value>) {
    let error = traced(2, body).expect_err(what).to_string();
    assert!(error.contains(what), "{error}");
}

#[test]
fn what_is_no_fold_is_refused() {
    refused("takes at least one state", |g, x| {
        g.fold(&[], |_, _| Ok(vec![x])).map(|v| v[0])
    });
    refused("does not fit the state `0.h` of 3", |g, x| {
        let made = g.fold(&[one("h", 3)], |g, _| Ok(vec![g.unary(Unary::Tanh, x)?]))?;
        Ok(made[0])
    });
    refused("takes a value that its body makes", |g, x| {
        let made = g.fold(&[one("h", 2)], |_, _| Ok(vec![x]))?;
        Ok(made[0])
    });
    refused("its body gives 1 values", |g, _| {
        let states = [one("h", 2), one("c", 2)];
        let made = g.fold(&states, |_, before| Ok(before[..1].to_vec()))?;
        Ok(made[0])
    });
    refused("cannot stand in another fold", |g, _| {
        let made = g.fold(&[one("h", 2)], |g, _| {
            g.fold(&[one("k", 2)], |_, k| Ok(k.to_vec()))
        })?;
        Ok(made[0])
    });
    refused("a fold's body is one step", |g, x| {
        let made = g.fold(&[one("h", 2)], |g, h| {
            g.recur("m", Law::Max, &[h[0]], StateInit::Zero)?;
            Ok(vec![x])
        })?;
        Ok(made[0])
    });
    refused("cannot stand in a fold", |g, _| {
        let made = g.fold(&[one("h", 2)], |g, h| {
            Ok(vec![g.op(Op::Dropout { p: 0.5 }, &[h[0]])?])
        })?;
        Ok(made[0])
    });
    refused("is made by Graph::fold only", |g, x| {
        let state = g.state("h", 2, Holds::Value, StateInit::Zero)?;
        g.op(Op::Fold { state }, &[x])
    });
    refused("is made by Graph::fold only", |g, _| {
        let state = g.state("h", 2, Holds::Value, StateInit::Zero)?;
        g.op(Op::Before { state }, &[])
    });
    refused("is used by more than one recurrence", |g, x| {
        let made = g.fold(&[one("h", 2)], |g, h| Ok(vec![g.add(h[0], x)?]))?;
        let state = State::at(0);
        let law = Law::Max;
        g.op(Op::Recur { state, law }, &[made[0]])
    });
}

#[test]
fn parameters_of_the_body_are_read_once() {
    let graph = traced(2, |g, x| {
        let made = g.fold(&[one("h", 2)], |g, h| {
            let init = Init::Uniform { bound: 1.0 };
            let role = Role::Weight { init, decay: true };
            let w = g.param("w", &[2, 2], role)?;
            let w = g.read(w)?;
            let w = g.unary(Unary::Sin, w)?;
            let y = g.matmul(h[0], w)?;
            Ok(vec![g.add(y, x)?])
        })?;
        Ok(made[0])
    });
    let graph = graph.expect("good");
    let fold = &graph.folds()[0];
    let (steps, models) = graph.read_by(fold);
    assert_eq!((steps.len(), models.len()), (1, 1));
    assert_eq!(graph.span(models[0]), Span::Model { rows: 2 });
    assert!(graph.leaving(fold).is_empty());
}
