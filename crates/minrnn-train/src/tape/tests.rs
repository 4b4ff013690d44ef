//! Plans in their slow twins beside candle.

mod plans;
mod refused;
mod update;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use minrnn_kernels::Elem;
use minrnn_model::compare::Comparison;
use minrnn_model::config::ModelConfig;
use minrnn_model::graph::{Fused, Graph, Input, OutputKind, Span};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;

use super::op::{AttendGrad, KNOWN, Known};
use super::{Carry, Launch, NoScratch, Options, Place, Plan, Recompute, Space, Target, Twin};
use crate::optim::{AdamWConfig, MuonConfig, OptimizerConfig, Rule};
use crate::run::attention_tests;
use crate::run::tests::{Case, floats, of_convolutions, of_feedback, of_state_spaces, variants};
use crate::run::{self, Dropout, Run, Weights};

pub(crate) const UPDATE: AdamWConfig = AdamWConfig {
    beta1: 0.9,
    beta2: 0.98,
    eps: 1e-8,
    weight_decay: 0.1,
    clip_norm: Some(0.3),
};
/// The rule for a case of so many steps: both in turn.
pub(crate) fn rule(time: usize) -> Arc<dyn Rule> {
    let muon = MuonConfig {
        lr: Some(0.02),
        ..MuonConfig::default()
    };
    let config = OptimizerConfig {
        muon: (time % 4 >= 2).then_some(muon),
        ..UPDATE.into()
    };
    config.rule(0.01).unwrap()
}

pub(crate) const SEED: u64 = 0x1234_5678_9abc_def0;
pub(crate) const STEP: u64 = 17;

/// Targets and weights beside a case.
pub(crate) struct Wanted {
    pub(crate) classes: Vec<u32>,
    pub(crate) values: Vec<f32>,
    pub(crate) weights: Option<Vec<f32>>,
}

pub(crate) fn wanted(graph: &Graph, case: &Case, weighted: bool) -> Wanted {
    let mut rng = Rng::named(11, "targets");
    let node = graph.node(graph.output().value);
    let rows = case.batch
        * if node.span == Span::Step {
            case.time
        } else {
            1
        };
    Wanted {
        classes: (0..rows).map(|_| rng.below(node.width) as u32).collect(),
        values: (0..rows * node.width)
            .map(|_| rng.range(-1.0, 1.0) as f32)
            .collect(),
        weights: weighted.then(|| (0..rows).map(|i| [1.0, 0.0, 0.5][i % 3]).collect()),
    }
}

pub(crate) fn options(graph: &Graph, case: &Case, w: &Wanted, compute: Elem) -> Options {
    Options {
        batch: case.batch,
        time: case.time,
        compute,
        train: true,
        update: None,
        input_gradient: false,
        target: match graph.output().kind {
            OutputKind::Logits => Target::Classes,
            OutputKind::Values => Target::Values,
        },
        weights: w.weights.is_some(),
        lens: case.lens.is_some(),
        carry: Carry::None,
        recompute: Recompute::Large,
    }
}

/// A host with everything in place.
pub(crate) fn host(
    graph: &Graph,
    params: &Params,
    case: &Case,
    w: &Wanted,
    options: Options,
) -> Twin {
    let plan = Plan::new(graph, options, &NoScratch).unwrap();
    host_of(plan, graph, params, case, w)
}

/// The same of a plan.
pub(crate) fn host_of(plan: Plan, graph: &Graph, params: &Params, case: &Case, w: &Wanted) -> Twin {
    let mut flat = vec![0f32; plan.layout.total];
    for (i, offset) in plan.layout.offsets.iter().enumerate() {
        flat[*offset..][..plan.layout.lens[i]].copy_from_slice(params.get(i));
    }
    let mut host = Twin::new(plan, rule(case.time));
    host.set_f32(Space::Params, &flat);
    host.refresh_shadow();
    match graph.input() {
        Input::Tokens { .. } => host.set_u32(Space::Ids, &case.ids),
        Input::Features { .. } => host.set_f32(Space::Features, &case.features),
    }
    host.set_u32(Space::Targets, &w.classes);
    host.set_f32(Space::TargetValues, &w.values);
    if let Some(weights) = &w.weights {
        host.set_f32(Space::Weights, weights);
    }
    if let Some(lens) = &case.lens {
        host.set_u32(
            Space::Lens,
            &lens.iter().map(|l| *l as u32).collect::<Vec<_>>(),
        );
    }
    let each: usize = graph.states().iter().map(|s| s.len()).sum();
    let mut rng = Rng::named(12, "carried");
    let states = (0..case.batch * each).map(|_| rng.range(0.1, 1.0) as f32);
    let mut states: Vec<f32> = states.collect();
    // Steps are counted in whole numbers.
    for counter in graph.counters() {
        let before = graph.states()[..counter.index()].iter();
        let from = case.batch * before.map(|s| s.len()).sum::<usize>();
        for (sequence, n) in states[from..][..case.batch].iter_mut().enumerate() {
            *n = (2 + sequence) as f32;
        }
    }
    host.set_f32(Space::Carried, &states);
    host.set_f32(Space::Next, &vec![f32::NAN; case.batch * each]);
    host.seed_and_step = (SEED, STEP);
    host.rate = (0.01, 3);
    host
}

/// Loss and gradients by candle in float64.
pub(crate) fn candle(
    graph: &Graph,
    params: &Params,
    case: &Case,
    w: &Wanted,
) -> (f64, Vec<Option<Vec<f64>>>) {
    let weights = Weights::new(graph, params, DType::F64, &Device::Cpu).unwrap();
    let (b, t) = (case.batch, case.time);
    let input = match graph.input() {
        Input::Tokens { .. } => Tensor::from_slice(&case.ids, (b, t), &Device::Cpu),
        Input::Features { width } => {
            Tensor::from_slice(&case.features, (b, t, width), &Device::Cpu)
        }
    }
    .unwrap();
    let lens: Option<Vec<u32>> = case
        .lens
        .as_ref()
        .map(|l| l.iter().map(|n| *n as u32).collect());
    let run = Run {
        lens: lens.as_deref(),
        dropout: Some(Dropout {
            seed: SEED,
            step: STEP,
        }),
        ..Run::new(&input)
    };
    let y = run::run(graph, &weights, &run).unwrap().output;
    let width = y.dim(candle_core::D::Minus1).unwrap();
    let y = y.reshape(((), width)).unwrap();
    let rows = y.dim(0).unwrap();
    let each = w.weights.clone().unwrap_or_else(|| vec![1.0; rows]);
    let each = Tensor::from_vec(each, rows, &Device::Cpu)
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap();
    let loss = match graph.output().kind {
        OutputKind::Logits => {
            let targets = Tensor::from_slice(&w.classes, rows, &Device::Cpu).unwrap();
            minrnn_kernels::cross_entropy(&y, &targets, Some(&each)).unwrap()
        }
        OutputKind::Values => {
            let targets = Tensor::from_slice(&w.values, (rows, width), &Device::Cpu)
                .unwrap()
                .to_dtype(DType::F64)
                .unwrap();
            let square = (y - targets).unwrap().sqr().unwrap();
            let sum = square
                .broadcast_mul(&each.unsqueeze(1).unwrap())
                .unwrap()
                .sum_all()
                .unwrap();
            let count = each.sum_all().unwrap().to_scalar::<f64>().unwrap() * width as f64;
            (sum / count).unwrap()
        }
    };
    let grads = loss.backward().unwrap();
    let mut all = vec![None; graph.params().len()];
    for (i, var) in weights.vars() {
        all[i] = grads.get(var).map(floats);
    }
    (loss.to_scalar::<f64>().unwrap(), all)
}

fn gradient(host: &Twin, p: usize) -> Vec<f64> {
    let layout = &host.plan().layout;
    host.read(Place {
        space: Space::Grads,
        offset: layout.offsets[p],
        len: layout.lens[p],
        elem: Elem::F32,
    })
}

fn loss(host: &Twin) -> f64 {
    host.read(Place::new(Space::Loss, 1, Elem::F32))[0]
}

/// The gradients of an attention's scores are differences, which cancel (with one row, to 0): what they are small beside is the gradient
/// that goes in. 0 for other launches.
pub(crate) fn beside(launch: &Launch, host: &Twin) -> f64 {
    let Some(grad) = launch.of::<AttendGrad>() else {
        return 0.0;
    };
    let squares = host.read(grad.dy).into_iter().map(|d| d * d);
    3.0 * squares.sum::<f64>().sqrt()
}

/// Models with dropout: fused with an embedding, a sum, a sum and its normalisation, and alone.
fn dropped() -> Vec<(&'static str, Model, Params)> {
    let tokens = "[input]\nvocab = 5\n";
    let features = "[input]\nfeatures = 3\n";
    let cases = [
        (
            "dropout",
            "",
            tokens,
            "[conv]\nkernel = 3\n[mlp]\nexpansion = 2\n",
        ),
        ("dropout, last", "", features, "[mlp]\nexpansion = 2\n"),
        ("dropout, no norm", "norm = 'none'\n", tokens, ""),
        ("dropout, no residual", "residual = false\n", features, ""),
        (
            "no dropout, layer norm",
            "norm = 'layer'\n",
            tokens,
            "[conv]\nkernel = 2\n",
        ),
    ];
    let model = |(i, (name, more, input, rest)): (usize, (&'static str, &str, &str, &str))| {
        let p = if name.starts_with("no") { 0.0 } else { 0.3 };
        let steps = if i == 1 { "last" } else { "every" };
        let text = format!(
            "width = 6\nlayers = 2\ndropout = {p}\n{more}{input}[head]\nwidth = 3\nsteps = '{steps}'\n[cell]\nkind = 'min_gru'\n{rest}"
        );
        let config: ModelConfig = toml::from_str(&text).expect(&text);
        let model = Model::from_config(&config).expect(&text);
        let params = Params::init(model.graph(), 3);
        (name, model, params)
    };
    cases.into_iter().enumerate().map(model).collect()
}

/// All models of these tests.
pub(crate) fn models() -> Vec<(&'static str, Model, Params)> {
    let all = variants().into_iter().chain(of_state_spaces());
    let all = all
        .chain(of_feedback())
        .chain(of_convolutions())
        .chain(dropped());
    all.chain(attention_tests::long()).collect()
}

/// Runs every model in the given type, and compares loss and all gradients with candle's by the norm of the error.
fn compare(compute: Elem, tolerance: f64, known: &Known) {
    for (name, model, params) in models() {
        let graph = model.graph();
        for (seed, (batch, time)) in [(2, 7), (1, 1), (3, 4)].into_iter().enumerate() {
            let mut case = Case::new(graph, batch, time, seed as u64, seed == 0);
            (case.states, case.reset) = (None, None);
            let w = wanted(graph, &case, seed % 2 == 0 && !graph.is_last_step());
            let what = format!("{name} B={batch} T={time} {compute:?}");
            let options = options(graph, &case, &w, compute);
            let plan = Plan::with(graph, options, &NoScratch, known).unwrap();
            let mut host = host_of(plan, graph, &params, &case, &w);
            host.run();
            let (want, grads) = candle(graph, &params, &case, &w);
            let mut c = Comparison::default();
            c.push(loss(&host), want, tolerance * (1.0 + want.abs()));
            assert!(c.holds(), "{what} loss: {c:?}");
            let all: f64 = grads
                .iter()
                .flatten()
                .flatten()
                .map(|g| g * g)
                .sum::<f64>()
                .sqrt();
            for (p, grad) in grads.iter().enumerate() {
                let Some(grad) = grad else { continue };
                let got = gradient(&host, p);
                let error = got.iter().zip(grad).map(|(g, w)| (g - w).powi(2));
                let error = error.sum::<f64>().sqrt();
                let spec = &graph.params()[p];
                assert!(
                    error <= tolerance * (all + 1e-3),
                    "{what} {}: error {error:e} of {all:e}",
                    spec.name
                );
            }
        }
    }
}

#[test]
fn plans_give_the_gradients_that_candle_gives() {
    compare(Elem::F32, 2e-5, &KNOWN);
}

/// A fused layer without a kernel is run by its primitives; only the scans of state spaces have some that compute with parameters alone,
/// and only GRU and LSTM have folds.
#[test]
fn layers_without_a_kernel_give_them_by_their_primitives() {
    let scan = Fused::SelectiveScan {
        states: 1,
        head_channels: 1,
        groups: 1,
        shared: false,
    };
    let diagonal = Fused::DiagonalScan { states: 2 };
    let scans = &KNOWN.layers[KNOWN.layers.len() - 3..];
    let [gru, lstm] = [Fused::Gru { bias: true }, Fused::Lstm { bias: true }];
    assert!(scans[0](gru).is_some() && scans[0](lstm).is_some());
    assert!(scans[1](scan).is_some() && scans[2](diagonal).is_some());
    let known = Known {
        layers: scans,
        ..KNOWN
    };
    compare(Elem::F32, 2e-5, &known);
}

#[test]
fn plans_in_16_bits_give_them_within_its_rounding() {
    compare(Elem::Bf16, 0.06, &KNOWN);
    compare(Elem::F16, 0.01, &KNOWN);
}

#[test]
fn the_gradient_of_features_is_that_of_finite_differences() {
    let mut tried = 0;
    for (name, model, params) in variants() {
        let graph = model.graph();
        if !matches!(graph.input(), Input::Features { .. }) {
            continue;
        }
        tried += 1;
        let mut case = Case::new(graph, 2, 3, 0, false);
        let w = wanted(graph, &case, false);
        let options = Options {
            input_gradient: true,
            ..options(graph, &case, &w, Elem::F32)
        };
        let mut first = host(graph, &params, &case, &w, options);
        first.run();
        let got = first.read(first.plan().input_gradient.unwrap());
        let scale = got.iter().fold(1e-3f64, |m, g| m.max(g.abs()));
        for i in (0..case.features.len()).step_by(4) {
            let keep = case.features[i];
            let mut at = |v: f32| {
                case.features[i] = v;
                let mut h = host(graph, &params, &case, &w, options);
                h.run();
                loss(&h)
            };
            let eps = 4e-3f32;
            let difference = (at(keep + eps) - at(keep - eps)) / (2.0 * f64::from(eps));
            case.features[i] = keep;
            let error = (difference - got[i]).abs();
            assert!(error < 0.03 * scale, "{name} {i}: {difference} {}", got[i]);
        }
    }
    assert!(tried > 2);
}
