//! A Decision Transformer: return, state and action are three model steps of one control step, each a row of features of which the first three say
//! what it is. Traced once, it is the same in the oracle, in candle, on the tape, in exported files and in the runtime.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor as Candle};
use minrnn_cli::verify::{Export, Options as VerifyOptions, verify};
use minrnn_model::Result;
use minrnn_model::compare::Comparison;
use minrnn_model::graph::{Graph, Input, OutputKind, Unary, Value};
use minrnn_model::layers::{Activation, Attention, Linear, Mlp, Norm, Positions, Straight};
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_onnx::export::{DirOptions, write_export};
use minrnn_runtime::{Execution, Input as Given, Session};
use minrnn_train::optim::AdamWConfig;
use minrnn_train::run::{self, Weights};
use minrnn_train::tape::cpu::{Engine, EngineOptions};
use minrnn_train::tape::{Inputs, Wanted};

/// Numbers of a state and of an action, and channels of a row: what it is, then its numbers.
const STATE: usize = 2;
const ACTION: usize = 1;
const WIDTH: usize = 3 + STATE;
/// Control steps that there are positions for.
const LONGEST: usize = 20;

/// An embedding for each kind, and a linear map of its own: the features times each kind.
fn embedded(g: &mut Graph, x: Value) -> Result<Value> {
    let kind = g.narrow(x, 0, 3)?;
    let value = g.narrow(x, 3, STATE)?;
    let each = g.repeat(kind, 1, STATE)?;
    let tiled = g.repeat(value, STATE, 3)?;
    let typed = g.mul(each, tiled)?;
    g.scope("input", |g| {
        let kinds = g.apply(&Linear::new("kind", 8, false), kind)?;
        let values = g.apply(&Linear::new("value", 8, false), typed)?;
        let h = g.add(kinds, values)?;
        let count = 3 * LONGEST;
        g.apply(&Positions { count }, h)
    })
}

fn block(g: &mut Graph, x: Value) -> Result<Value> {
    let norm = Norm::Layer { eps: Norm::EPS };
    let mixer = Box::new(Attention {
        channels: 8,
        heads: 2,
        lag: 3 * LONGEST - 1,
        dropout: 0.0,
    });
    let attention = Straight {
        mixer,
        channels: 8,
        bias: true,
    };
    let y = g.apply(&norm, x)?;
    let y = g.apply(&attention, y)?;
    let x = g.add(x, y)?;
    g.scope("ff", |g| {
        let y = g.apply(&norm, x)?;
        let mlp = Mlp {
            hidden: 32,
            activation: Activation::Gelu,
            gated: false,
            bias: true,
        };
        let y = g.apply(&mlp, y)?;
        g.add(x, y)
    })
}

fn traced() -> (Model, Params) {
    let tokens = serde_json::json!({ "tokens": ["return", "state", "action"] });
    let input = Input::Features { width: WIDTH };
    let model = Model::trace(input, OutputKind::Values, tokens, |g, x| {
        let mut h = embedded(g, x)?;
        for i in 0..2 {
            h = g.block(i, |g| block(g, h))?;
        }
        g.scope("head", |g| {
            let y = g.apply(&Linear::new("", ACTION, true), h)?;
            g.unary(Unary::Tanh, y)
        })
    });
    let model = model.unwrap();
    let params = Params::init(model.graph(), 5);
    (model, params)
}

/// Rows of so many control steps: return, state, action.
fn control(steps: usize) -> Vec<Vec<f32>> {
    let mut rng = Rng::named(1, "control");
    let row = |kind: usize| {
        let mut row = vec![0.0f32; WIDTH];
        row[kind] = 1.0;
        let filled = if kind == 1 { STATE } else { 1 };
        (0..filled).for_each(|i| row[3 + i] = rng.normal() as f32);
        row
    };
    (0..3 * steps).map(|i| i % 3).map(row).collect()
}

#[track_caller]
fn close(what: &str, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    let mut c = Comparison::default();
    std::iter::zip(got, want).for_each(|(g, w)| c.push(f64::from(*g), *w, tolerance));
    assert!(c.holds(), "{what}: {c:?}");
}

/// The output of each row, in float64.
fn by_oracle(model: &Model, params: &Params, rows: &[Vec<f32>]) -> Vec<f64> {
    let all = rows.concat();
    let run = Run::new(1, rows.len(), Data::Features(&all));
    let trace = oracle::run(model.graph(), &params.to_f64(), &run);
    trace.unwrap().output.data
}

/// By candle, and its gradients of the mean square, by the parameter's number.
fn by_candle(
    model: &Model,
    params: &Params,
    rows: &[Vec<f32>],
) -> (Vec<f32>, Vec<(usize, Vec<f64>)>) {
    let weights = Weights::new(model.graph(), params, DType::F32, &Device::Cpu).unwrap();
    let input = Candle::from_vec(rows.concat(), (1, rows.len(), WIDTH), &Device::Cpu).unwrap();
    let output = run::run(model.graph(), &weights, &run::Run::new(&input)).unwrap();
    let output = output.output;
    let loss = output.sqr().and_then(|y| y.mean_all()).unwrap();
    let grads = loss.backward().unwrap();
    let flat = |t: &Candle| -> Vec<f32> { t.flatten_all().and_then(|t| t.to_vec1()).unwrap() };
    let grad = |(i, var): (usize, &candle_core::Var)| {
        let grad = flat(grads.get(var).expect("a gradient"));
        (i, grad.into_iter().map(f64::from).collect())
    };
    (flat(&output), weights.vars().map(grad).collect())
}

#[test]
fn oracle_candle_and_tape_compute_one_function() {
    let (model, params) = traced();
    let rows = control(LONGEST);
    let want = by_oracle(&model, &params, &rows);
    let (output, grads) = by_candle(&model, &params, &rows);
    close("candle", &output, &want, 1e-5);
    let rule = AdamWConfig::default().rule().unwrap();
    let options = EngineOptions { rule, seed: 0 };
    let mut engine = Engine::new(model.graph(), &params, options).unwrap();
    let all = rows.concat();
    let inputs = Inputs {
        batch: 1,
        time: rows.len(),
        ids: &[],
        features: &all,
        wanted: Wanted::Zeros,
        weights: None,
        lens: None,
    };
    engine.evaluate(inputs).unwrap();
    close("tape", engine.output().unwrap(), &want, 1e-5);
    let first = engine.step(inputs, 0, 1, 1e-2).unwrap().loss;
    let squares = want.iter().map(|y| y * y).sum::<f64>() / want.len() as f64;
    close("the loss", &[first], &[squares], 1e-6);
    let own = engine.gradients();
    assert_eq!(engine.trained().len(), grads.len());
    for (i, grad) in &grads {
        let name = &model.graph().params()[*i].name;
        close(&format!("the gradient of {name}"), &own[*i], grad, 1e-5);
    }
    let mut loss = first;
    for step in 1..20 {
        loss = engine.step(inputs, step, step + 1, 1e-2).unwrap().loss;
    }
    assert!(loss < first / 2.0, "{first} to {loss}");
}

fn exported(model: &Model, params: &Params, dir: &Path) {
    write_export(dir, model, params, &DirOptions::default()).unwrap();
}

/// Its files hold by the judge and every engine, and its file of a step answers at the state's token: three calls are one control step.
#[test]
fn its_files_take_one_token_a_model_step() {
    let (model, params) = traced();
    let dir = tempfile::tempdir().unwrap();
    exported(&model, &params, dir.path());
    let export = Export::open(dir.path()).unwrap();
    let options = VerifyOptions {
        probe_steps: 1,
        ..VerifyOptions::quick()
    };
    let report = verify(&export, &model, &params, &options, &mut |_, _, _| ()).unwrap();
    assert!(report.holds, "{}", report.table());
    let open = |form: &str| {
        let file = dir.path().join(format!("model.{form}.onnx"));
        minrnn_runtime::Model::open(file).unwrap()
    };
    let (parallel, step) = (open("parallel"), Arc::new(open("step")));
    assert_eq!(parallel.execution(), Execution::Exact);
    assert_eq!(step.execution(), Execution::Exact);
    let rows = control(5);
    let all = rows.concat();
    let input = Given::Features {
        values: &all,
        batch: 1,
        time: rows.len(),
        width: WIDTH,
    };
    let begin = parallel.initial_state(1).unwrap();
    let (whole, _) = parallel.run(input, &begin).unwrap();
    let want = by_oracle(&model, &params, &rows);
    close("the runtime", &whole.values, &want, 1e-5);
    let mut session = Session::new(step, 1).unwrap();
    for (t, row) in rows.iter().enumerate() {
        let out = session.step_features(row).unwrap();
        assert_eq!(out.values, whole.values[t..t + 1], "step {t}");
    }
}
