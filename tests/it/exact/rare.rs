//! What no configuration makes, and a graph may be: a table that is the head too, and long windows, whose resets are counted.

use minrnn_model::graph::{Holds, Input, Op, OutputKind, StateInit, Unary};
use minrnn_model::model::Model;
use minrnn_model::params::{Init, Params, Role};
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Lowering, Target, Weights, write_export,
};

use super::{check, fixed_scales, referee};

fn weight() -> Role {
    Role::Weight {
        init: Init::Uniform { bound: 1.0 },
        decay: true,
    }
}

/// The table that ids are looked up in, turned, makes the logits.
fn tied() -> Model {
    let model = Model::trace(
        Input::Tokens { vocab: 7 },
        OutputKind::Logits,
        serde_json::json!({}),
        |g, x| {
            let table = g.param("table", &[7, 5], weight())?;
            let x = g.op(Op::Embed { table }, &[x])?;
            let h = g.block(0, |g| {
                let a = g.unary(Unary::Sigmoid, x)?;
                g.recurrence("h", a, x, StateInit::Zero)
            })?;
            let table = g.read(table)?;
            g.matmul_transposed(h, table)
        },
    );
    model.unwrap()
}

/// Of 20 steps back two are read: what lies between is not followed step by step.
fn far() -> Model {
    let model = Model::trace(
        Input::Features { width: 3 },
        OutputKind::Values,
        serde_json::json!({}),
        |g, x| {
            g.block(0, |g| {
                let begin = g.param("begin", &[3], weight())?;
                let window = Holds::Window { lag: 20 };
                let state = g.state("far", 3, window, StateInit::Learned(begin))?;
                let late = g.op(Op::Delay { state, by: 20 }, &[x])?;
                let early = g.op(Op::Delay { state, by: 3 }, &[x])?;
                let sum = g.add(late, early)?;
                let a = g.unary(Unary::Sigmoid, sum)?;
                g.recurrence("h", a, sum, StateInit::Constant(0.5))
            })
        },
    );
    model.unwrap()
}

/// All forms of a model against each other and against the referee.
fn hold(model: &Model, options: ExportOptions, what: &str) {
    let params = Params::init(model.graph(), 17);
    let options = DirOptions {
        options: ExportOptions {
            max_seq_len: 128,
            ..options
        },
        ..DirOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    write_export(dir.path(), model, &params, &options).unwrap();
    check(dir.path(), what);
    referee::hold(dir.path(), what);
}

#[test]
fn a_table_that_is_the_head_too() {
    let model = tied();
    for (what, weights) in [
        ("f32", Weights::F32),
        ("f16", Weights::F16),
        ("bf16", Weights::Bf16),
        ("int8", Weights::Int8(Activations::Row)),
        ("int8 by fixed scales", fixed_scales(model.graph())),
    ] {
        let options = ExportOptions {
            weights,
            target: Target::OnnxRuntime,
            ..ExportOptions::default()
        };
        hold(&model, options, &format!("tied, {what}"));
    }
}

#[test]
fn a_long_window_with_resets() {
    let model = far();
    for lowering in [Lowering::Blocked, Lowering::BlockedScan, Lowering::OddEven] {
        for lengths in [false, true] {
            let options = ExportOptions {
                lowering,
                target: lowering.target(),
                lengths,
                reset: true,
                ..ExportOptions::default()
            };
            let what = format!("far, {}, lengths: {lengths}", lowering.name());
            hold(&model, options, &what);
        }
    }
}
