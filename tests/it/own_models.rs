//! Models of one's own, traced, exported and verified: what configurations never write.

use minrnn_cli::verify::{Export, Options, verify};
use minrnn_model::Result;
use minrnn_model::graph::{Graph, Holds, Input, Op, OutputKind, StateInit, Unary, Value};
use minrnn_model::model::Model;
use minrnn_model::params::{Init, Params, Role};
use minrnn_onnx::export::{DirOptions, ExportOptions, Lowering, write_export};

type Body = fn(&mut Graph, Value) -> Result<Value>;

/// `x[t] + x[t - lag]`, no recurrence.
fn echo(g: &mut Graph, x: Value) -> Result<Value> {
    let init = Init::Normal { std: 1.0 };
    let begin = g.param("begin", &[3], Role::Weight { init, decay: false })?;
    window(g, x, 20, StateInit::Learned(begin))
}

fn window(g: &mut Graph, x: Value, lag: usize, init: StateInit) -> Result<Value> {
    g.block(0, |g| {
        let state = g.state("conv", 3, Holds::Window { lag }, init)?;
        let far = g.op(Op::Delay { state, by: lag }, &[x])?;
        let near = g.op(Op::Delay { state, by: 3 }, &[x])?;
        let y = g.add(far, near)?;
        g.add(x, y)
    })
}

/// No state at all.
fn plain(g: &mut Graph, x: Value) -> Result<Value> {
    g.unary(Unary::Tanh, x)
}

/// A window of 33 rows before a recurrence.
fn both(g: &mut Graph, x: Value) -> Result<Value> {
    let y = window(g, x, 33, StateInit::Constant(0.5))?;
    let a = g.unary(Unary::Sigmoid, y)?;
    g.block(1, |g| g.recurrence("h", a, y, StateInit::Zero))
}

/// One value is a and b.
fn one_for_both(g: &mut Graph, x: Value) -> Result<Value> {
    let x = g.unary(Unary::Sigmoid, x)?;
    g.block(0, |g| g.recurrence("h", x, x, StateInit::Constant(1.0)))
}

#[track_caller]
fn holds(body: Body, options: ExportOptions) {
    let json = serde_json::json!({ "input": { "features": 3 } });
    let input = Input::Features { width: 3 };
    let model = Model::trace(input, OutputKind::Values, json, body).unwrap();
    let params = Params::init(model.graph(), 1);
    let dir = tempfile::tempdir().unwrap();
    let what = DirOptions {
        options,
        ..DirOptions::default()
    };
    write_export(dir.path(), &model, &params, &what).unwrap();
    let export = Export::open(dir.path()).unwrap();
    let options = Options {
        longest: Some(70),
        probe_steps: 256,
        ..Options::quick()
    };
    let report = verify(&export, &model, &params, &options, &mut |_, _, _| ()).unwrap();
    assert!(report.holds, "{}", report.table());
    let portable = report
        .notes
        .iter()
        .find(|n| n.contains("not computed exactly"));
    assert!(portable.is_none(), "{portable:?}");
}

fn resets() -> ExportOptions {
    ExportOptions {
        reset: true,
        lengths: true,
        ..ExportOptions::default()
    }
}

/// Blocks are of recurrences: without one there is no longest length, and none is stated.
#[test]
fn a_model_without_a_recurrence_takes_any_length() {
    let odd_even = ExportOptions {
        lowering: Lowering::OddEven,
        ..ExportOptions::default()
    };
    for body in [plain as Body, echo] {
        holds(body, ExportOptions::default());
        holds(body, odd_even.clone());
    }
}

/// Of long windows not every row is read, and resets reach them by doubling.
#[test]
fn long_windows_begin_anew() {
    for body in [echo as Body, both] {
        holds(body, resets());
        let fixed = ExportOptions {
            seq_len: Some(40),
            ..resets()
        };
        holds(body, fixed);
    }
}

#[test]
fn a_and_b_may_be_one_value() {
    holds(one_for_both, ExportOptions::default());
    holds(one_for_both, resets());
}
