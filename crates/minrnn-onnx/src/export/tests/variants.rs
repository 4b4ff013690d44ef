//! Everything that can be chosen beside the lowering: types, states, lengths, resets, fused norms, opsets.

use minrnn_model::graph::Graph;
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use proptest::prelude::*;

use super::models::{CONFIGS, Case, model, right, within};
use crate::eval::{self, Flat as Array};
use crate::export::{
    Activations, ExportOptions, Form, Lowering, StateLayout, StateNames, Store, Target, Weights,
    export_graph, ports, read,
};

fn options(form: Form) -> ExportOptions {
    ExportOptions {
        form,
        max_seq_len: 256,
        target: Target::OnnxRuntime,
        ..ExportOptions::default()
    }
}

/// Lengths of rows and resets of a case.
#[derive(Default, Clone)]
struct Extra {
    lengths: Option<Vec<usize>>,
    reset: Option<Vec<bool>>,
}

struct Got {
    output: Vec<f32>,
    states: Vec<Vec<f32>>,
}

/// Runs an export through the evaluator, whatever its states are called.
fn run(case: &Case, graph: &Graph, params: &Params, o: &ExportOptions, extra: &Extra) -> Got {
    let onnx = export_graph(graph, params, o).unwrap();
    let ports = ports(graph, o).unwrap();
    let mut env = case.data_env(graph, o.form != Form::Step);
    for port in &ports {
        let values = port.gather(graph, case.batch, |i| case.states[i].as_slice());
        let dims = [vec![case.batch], port.shape.clone()].concat();
        env.insert(port.input.clone(), Array::f32(&dims, values));
    }
    if o.lengths {
        let lengths = extra.lengths.clone().unwrap();
        let lengths = lengths.iter().map(|n| *n as i64).collect();
        env.insert("lengths".into(), Array::i64(&[case.batch], lengths));
    }
    if o.reset {
        let dims = if o.form == Form::Step {
            vec![case.batch]
        } else {
            vec![case.batch, case.time]
        };
        env.insert(
            "reset".into(),
            Array::bools(&dims, extra.reset.clone().unwrap()),
        );
    }
    let env = eval::run(&onnx, &env).unwrap();
    let mut states = vec![vec![]; graph.states().len()];
    for port in &ports {
        for (at, values) in port.scatter(graph, case.batch, env[&port.output].floats()) {
            states[at] = values;
        }
    }
    Got {
        output: env[graph.output().kind.tensor_name()].floats().to_vec(),
        states,
    }
}

fn oracle_of(
    case: &Case,
    graph: &Graph,
    params: &Params,
    o: &ExportOptions,
    extra: &Extra,
) -> oracle::Trace {
    let data = if case.ids.is_empty() {
        Data::Features(&case.features)
    } else {
        Data::Tokens(&case.ids)
    };
    let wide = |v: &Vec<f32>| v.iter().map(|x| f64::from(*x)).collect();
    let states: Vec<Vec<f64>> = case.states.iter().map(wide).collect();
    let rounding = o.weights.rounding(graph);
    let run = Run {
        states: Some(&states),
        lens: extra.lengths.as_deref(),
        reset: extra.reset.as_deref(),
        bounds: true,
        rounding: rounding.as_ref(),
        ..Run::new(case.batch, case.time, data)
    };
    let stored = Store::plan(graph, params, &o.weights, None).unwrap();
    let stored = |param, at, v| stored.rounded(param, at, v);
    oracle::run(graph, oracle::Weights::Rounded(params, &stored), &run).unwrap()
}

/// Each with its own lengths and resets.
fn extra(case: &Case, o: &ExportOptions, seed: u64) -> Extra {
    let mut rng = Rng::named(seed, "extra");
    let lengths = o
        .lengths
        .then(|| (0..case.batch).map(|_| 1 + rng.below(case.time)).collect());
    let steps = case.batch * case.time;
    let reset = o
        .reset
        .then(|| (0..steps).map(|_| rng.below(4) == 0).collect());
    Extra { lengths, reset }
}

#[track_caller]
fn holds(
    what: &str,
    model: &Model,
    params: &Params,
    o: &ExportOptions,
    case: &Case,
    extra: &Extra,
) {
    let graph = model.graph();
    let want = oracle_of(case, graph, params, o, extra);
    let mut got = run(case, graph, params, o, extra);
    let (mut output, mut bound) = (want.output.data.clone(), want.output.bound.clone());
    if let (Some(lengths), false) = (&extra.lengths, graph.is_last_step()) {
        let width = graph.width(graph.output().value);
        for (row, n) in lengths.iter().enumerate() {
            let behind = (row * case.time + n) * width..(row + 1) * case.time * width;
            got.output[behind.clone()].fill(0.0);
            output[behind.clone()].fill(0.0);
            bound[behind].fill(0.0);
        }
    }
    within(what, &got.output, &output, &bound);
    for (i, s) in graph.states().iter().enumerate() {
        right(
            &format!("{what} {}", s.name),
            &got.states[i],
            &want.states[i],
        );
    }
}

#[test]
fn states_by_any_name_and_layout() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        for names in StateNames::ALL {
            for layout in [StateLayout::Separate, StateLayout::Stacked] {
                for form in Form::ALL {
                    let o = ExportOptions {
                        state_names: names,
                        state_layout: layout,
                        ..options(form)
                    };
                    let time = if form == Form::Step { 1 } else { 19 };
                    let case = Case::new(model.graph(), 2, time, 3);
                    match export_graph(model.graph(), &params, &o) {
                        Ok(_) => holds(
                            &format!("{name} {names:?} {layout:?} {form:?}"),
                            &model,
                            &params,
                            &o,
                            &case,
                            &Extra::default(),
                        ),
                        Err(e) => {
                            let genai = names == StateNames::Genai;
                            assert!(
                                genai && e.to_string().contains("genai"),
                                "{name} {names:?}: {e}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn fused_norms_and_every_opset() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        for opset in crate::check::OPSETS {
            for lowering in [Lowering::Blocked, Lowering::KoggeStone] {
                let o = ExportOptions {
                    opset,
                    lowering,
                    fused_norms: true,
                    ..options(Form::Parallel)
                };
                let case = Case::new(model.graph(), 2, 9, opset as u64);
                holds(
                    &format!("{name} {opset}"),
                    &model,
                    &params,
                    &o,
                    &case,
                    &Extra::default(),
                );
            }
        }
    }
}

/// Where an argument is near the middle of two steps, f32 and float64 may round it differently: the widths here are small enough
/// that with these seeds none is.
#[test]
fn narrow_types_compute_what_they_say() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let graph = model.graph();
        let largest = graph
            .params()
            .iter()
            .map(|p| (p.name.clone(), 2.0))
            .collect();
        let types = [
            Weights::F16,
            Weights::Bf16,
            Weights::Int8(Activations::Row),
            Weights::Int8(Activations::Static(largest)),
        ];
        for weights in types {
            for form in Form::ALL {
                let o = ExportOptions {
                    weights: weights.clone(),
                    ..options(form)
                };
                let time = if form == Form::Step { 1 } else { 18 };
                let case = Case::new(graph, 2, time, 8);
                let want = oracle_of(&case, graph, &params, &o, &Extra::default());
                let plain = case.oracle(graph, &params);
                let got = run(&case, graph, &params, &o, &Extra::default());
                let moved = want.output.data.iter().zip(&plain.output.data);
                let moved = moved.fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
                assert!(
                    moved > 1e-6 && moved < 2.0,
                    "{name} {form:?} {}: {moved}",
                    weights.name()
                );
                // A few values alone may have been moved by less than one of them is.
                let bound = vec![2.0 * moved; want.output.data.len()];
                let mut c = minrnn_model::compare::Comparison::default();
                c.extend(&got.output, &want.output.data, |i| bound[i]);
                assert!(c.holds(), "{name} {form:?} {}: {c:?}", weights.name());
            }
        }
    }
}

#[test]
fn what_is_stored_is_read_back() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let graph = model.graph();
        for weights in [
            Weights::F32,
            Weights::F16,
            Weights::Bf16,
            Weights::Int8(Activations::Row),
        ] {
            for layout in [StateLayout::Separate, StateLayout::Stacked] {
                let o = ExportOptions {
                    weights: weights.clone(),
                    state_layout: layout,
                    ..options(Form::Scan)
                };
                let onnx = export_graph(graph, &params, &o).unwrap();
                let stored = read(&onnx, graph, std::path::Path::new("")).unwrap();
                let store = Store::plan(graph, &params, &weights, None).unwrap();
                let mut rounded = params.clone();
                for param in 0..params.len() {
                    let values = rounded.get_mut(param).iter_mut().enumerate();
                    values.for_each(|(at, v)| *v = store.rounded(param, at, *v));
                }
                assert_eq!(stored.params, rounded, "{name} {}", weights.name());
                assert_eq!(stored.weights, weights);
                assert_eq!(stored.ports, ports(graph, &o).unwrap());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Rows that end and begin anew anywhere, in any form and lowering, at any length.
    #[test]
    fn lengths_and_resets_are_the_oracles(
        which in 0..CONFIGS.len(),
        form in 0usize..3,
        lowering in 0..Lowering::ALL.len(),
        time in 1usize..40,
        lengths in any::<bool>(),
        reset in any::<bool>(),
        fixed in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let (model, params) = model(CONFIGS[which].0);
        let (form, lowering) = (Form::ALL[form], Lowering::ALL[lowering]);
        prop_assume!(lowering.takes(model.graph()));
        let time = if form == Form::Step { 1 } else { time };
        let o = ExportOptions {
            lowering,
            opset: lowering.opset().max(17),
            lengths: lengths && form != Form::Step,
            reset,
            seq_len: fixed.then_some(time),
            ..options(form)
        };
        let case = Case::new(model.graph(), 3, time, seed);
        let extra = extra(&case, &o, seed);
        holds(&format!("{form:?} {lowering:?} T={time}"), &model, &params, &o, &case, &extra);
    }
}
