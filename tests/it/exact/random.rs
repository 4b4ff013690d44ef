//! Any model, any export: exact execution equals the referee and the step file, bit for bit. `PROPTEST_CASES=1000` tries more.

use std::fmt::Write as _;

use minrnn_model::graph::{Graph, Input};
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_model::trial::Case;
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Lowering, StateNames, Target, Weights, write_export,
};
use minrnn_runtime::{Form, Session};
use proptest::prelude::*;
use proptest::sample::select;

use super::referee::Pair;
use super::{fixed_scales, last, random_state, same, same_states};
use crate::runs::{drawn, next, run};

/// Models that are tried where nobody asks for more.
const CASES: u32 = 24;

fn layers() -> impl Strategy<Value = String> {
    let conv = (1usize..5, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(kernel, pointwise, bias, norm)| {
            format!(
                "[conv]\nkernel = {kernel}\npointwise = {pointwise}\nbias = {bias}\nnorm = {norm}\n"
            )
        },
    );
    let activation = select(vec!["gelu", "gelu_tanh", "silu"]);
    let mlp = (select(vec![1.0, 1.5, 3.0]), activation, any::<bool>(), any::<bool>()).prop_map(
        |(expansion, activation, gated, bias)| {
            format!("[mlp]\nexpansion = {expansion:?}\nactivation = \"{activation}\"\ngated = {gated}\nbias = {bias}\n")
        },
    );
    let cell = (
        select(vec!["min_gru", "min_lstm"]),
        select(vec![1.0, 2.0, 2.5]),
        select(vec!["g", "linear"]),
        any::<[bool; 3]>(),
        select(vec!["zero", "learned"]),
    )
        .prop_map(|(kind, expansion, candidate, [normalize, bias, project], state)| {
            let normalize = normalize || kind == "min_gru";
            let project = project || expansion != 1.0;
            format!(
                "[cell]\nkind = \"{kind}\"\nexpansion = {expansion:?}\ncandidate = \"{candidate}\"\nnormalize_gates = {normalize}\n\
                 bias = {bias}\noutput_projection = {project}\ninitial_state = \"{state}\"\n"
            )
        });
    let maybe =
        |s: BoxedStrategy<String>| proptest::option::of(s).prop_map(Option::unwrap_or_default);
    (maybe(conv.boxed()), maybe(mlp.boxed()), cell).prop_map(|(a, b, c)| a + &b + &c)
}

fn config() -> impl Strategy<Value = String> {
    let width = prop_oneof![1usize..40, Just(64)].prop_map(|w| 2 * w);
    let norm = select(vec!["rms", "layer", "none"]);
    let input = prop_oneof![
        (2usize..20).prop_map(|n| format!("vocab = {n}")),
        (1usize..5).prop_map(|n| format!("features = {n}")),
    ];
    let head = (
        1usize..20,
        select(vec!["every", "last"]),
        any::<[bool; 3]>(),
    );
    (width, 1usize..4, norm, any::<bool>(), input, layers(), head).prop_map(
        |(width, count, norm, residual, input, layers, (out, steps, [bias, mean, std]))| {
            let mut text = format!(
                "width = {width}\nlayers = {count}\nnorm = \"{norm}\"\nresidual = {residual}\n"
            );
            write!(
                text,
                "[input]\n{input}\n[head]\nwidth = {out}\nkind = \"values\"\n"
            )
            .unwrap();
            write!(text, "steps = \"{steps}\"\nbias = {bias}\n").unwrap();
            let numbers = |from: f64| (0..out).map(|i| from + i as f64 / 3.0).collect::<Vec<_>>();
            if mean {
                writeln!(text, "mean = {:?}", numbers(700.0)).unwrap();
            }
            if std {
                writeln!(text, "std = {:?}", numbers(0.01)).unwrap();
            }
            text += &layers;
            text
        },
    )
}

fn options() -> impl Strategy<Value = (ExportOptions, bool)> {
    let lowering = select(vec![
        Lowering::Blocked,
        Lowering::BlockedScan,
        Lowering::OddEven,
    ]);
    let weights = select(vec![
        (Weights::F32, false),
        (Weights::F16, false),
        (Weights::Bf16, false),
        (Weights::Int8(Activations::Row), false),
        (Weights::Int8(Activations::Row), true),
    ]);
    let names = select(vec![StateNames::Minrnn, StateNames::Icefall]);
    let opset = select(vec![13, 14, 15, 16, 17, 18, 19, 21, 23, 25, 28]);
    let block = select(vec![2, 3, 4, 7, 16]);
    (lowering, weights, names, opset, block, any::<[bool; 2]>()).prop_map(
        |(lowering, (weights, fixed), state_names, opset, block, [lengths, reset])| {
            let options = ExportOptions {
                // The widest choice of types and opsets.
                target: Target::OnnxRuntime,
                lowering,
                weights,
                state_names,
                opset,
                block,
                lengths,
                reset,
                max_seq_len: 64,
                ..ExportOptions::default()
            };
            (options, fixed)
        },
    )
}

/// Magnitudes that a model's values keep below for its products to be numbers in f16 (65504 at most), whatever is drawn next.
const WITHIN_F16: f64 = 4096.0;

/// Whether random inputs from random states stay far within f16's range: without norms, gated layers square what they get.
fn is_within_f16(graph: &Graph, params: &Params, rng: &mut Rng) -> bool {
    let case = Case::random(graph, (4, 32), true, rng);
    let states: Option<Vec<Vec<f64>>> = case.states.as_ref().map(|all| {
        let double = |s: &Vec<f32>| s.iter().map(|v| f64::from(*v)).collect();
        all.iter().map(double).collect()
    });
    let data = match graph.input() {
        Input::Tokens { .. } => Data::Tokens(&case.ids),
        Input::Features { .. } => Data::Features(&case.features),
    };
    let run = Run {
        states: states.as_deref(),
        ..Run::new(case.batch, case.time, data)
    };
    let mut largest = 0.0f64;
    oracle::walk(graph, params, &run, &mut |_, t| {
        largest = t.data.iter().fold(largest, |m, v| m.max(v.abs()));
    })
    .unwrap();
    largest < WITHIN_F16
}

/// Each form against the referee, and the sequence forms against the step file.
fn hold(dir: &std::path::Path, (batch, time): (usize, usize), rng: &mut Rng) {
    let open = |form: &str| Pair::open(&dir.join(format!("model.{form}.onnx")), form.to_owned());
    let [step, scan, parallel] = ["step", "scan", "parallel"].map(open);
    step.hold(batch, 1, rng);
    let state = random_state(&step.exact, batch, rng);
    let case = drawn(step.exact.info().input, (batch, time), rng);
    let mut session = Session::new(step.exact.into(), batch).unwrap();
    session.set_state(state.clone()).unwrap();
    let mut want = vec![];
    for t in 0..time {
        want = next(&mut session, &case.cut(t, t + 1, None)).values;
    }
    for pair in [scan, parallel] {
        pair.hold(batch, time, rng);
        let start = pair.exact.initial_state(batch).unwrap();
        assert_eq!(start.rows(), state.rows());
        let (out, after) = run(&pair.exact, &case, &state).unwrap();
        let got = match out.shape.len() {
            3 => last(&out, time),
            _ => out.values,
        };
        same(&pair.what, &got, &want);
        same_states(&pair.what, &after, session.state());
        assert_ne!(pair.exact.info().form, Form::Step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES },
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_model_in_any_export(
        config in config(),
        (mut options, fixed) in options(),
        batch in 1usize..5,
        time in 1usize..65,
        seed in any::<u64>(),
    ) {
        let model = Model::from_config(&toml::from_str(&config).unwrap()).unwrap();
        if fixed {
            options.weights = fixed_scales(model.graph());
        }
        let mut rng = Rng::named(seed, "any model");
        let mut params = Params::init(model.graph(), seed);
        for at in 0..params.len() {
            params.get_mut(at).iter_mut().for_each(|v| *v += 0.1 * rng.normal() as f32);
        }
        let narrow = options.weights == Weights::F16;
        prop_assume!(!narrow || is_within_f16(model.graph(), &params, &mut rng.clone()));
        let options = DirOptions { options, ..DirOptions::default() };
        let dir = tempfile::tempdir().unwrap();
        write_export(dir.path(), &model, &params, &options).unwrap();
        hold(dir.path(), (batch, time), &mut rng);
    }
}
