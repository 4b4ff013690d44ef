//! The oracle against golden data of an independent implementation (`tests/golden/`).

#[path = "../golden/read.rs"]
pub(crate) mod read;

use minrnn_model::compare::Comparison;
use minrnn_model::graph::Input;
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run, Trace};

use read::{Golden, files};

/// Of the largest magnitude of the tensor. The oracle rounds to float64 (unit 1.1e-16) some hundred times on the way, the other
/// side once: 1e-14 is the order of what can add up. A constant or a parameter that went through f32 makes 6e-8.
const TOLERANCE: f64 = 1e-12;

/// Compares the run whose tensors' names begin with `prefix`, whole tensors.
fn compare_run(
    golden: &Golden,
    prefix: &str,
    model: &Model,
    trace: &Trace,
) -> Vec<(String, Comparison)> {
    let names = model
        .graph()
        .states()
        .iter()
        .map(|s| format!("{prefix}.{}", s.output_name()));
    let outputs = std::iter::once((format!("{prefix}.output"), &trace.output));
    let compared = outputs.chain(names.zip(&trace.states)).map(|(name, got)| {
        let c = close(&got.data, &tensor(golden, &name).1);
        (name, c)
    });
    compared.collect()
}

/// A tensor that must be there: shape and values.
fn tensor<'a>(golden: &'a Golden, name: &str) -> &'a (Vec<usize>, Vec<f64>) {
    golden
        .tensors
        .get(name)
        .unwrap_or_else(|| panic!("no tensor {name}; there are {:?}", golden.tensors.keys()))
}

fn close(got: &[f64], want: &[f64]) -> Comparison {
    assert_eq!(got.len(), want.len(), "whole tensors are compared");
    let size = want.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let mut c = Comparison::default();
    got.iter()
        .zip(want)
        .for_each(|(g, w)| c.push(*g, *w, TOLERANCE * size));
    c
}

/// Runs the oracle on a file: from the model's initial states, and from the file's.
pub(crate) fn compare(golden: &Golden) -> Vec<(String, Comparison)> {
    let model = Model::from_config(&golden.config).expect("a model");
    let params = golden.params(&model).to_f64();
    let tokens = matches!(model.graph().input(), Input::Tokens { .. });
    let (shape, input) = tensor(golden, if tokens { "input_ids" } else { "features" });
    let ids: Vec<u32> = input.iter().map(|v| *v as u32).collect();
    let features: Vec<f32> = input.iter().map(|v| *v as f32).collect();
    let data = if tokens {
        Data::Tokens(&ids)
    } else {
        Data::Features(&features)
    };
    let names = model
        .graph()
        .states()
        .iter()
        .map(|s| format!("given.{}", s.input_name()));
    let states: Vec<_> = names.map(|n| tensor(golden, &n).1.clone()).collect();
    let run = Run::new(shape[0], shape[1], data);
    let zero = oracle::run(model.graph(), &params, &run).expect("runs");
    let given = oracle::run(
        model.graph(),
        &params,
        &Run {
            states: Some(&states),
            ..run
        },
    )
    .expect("runs");
    [
        compare_run(golden, "zero", &model, &zero),
        compare_run(golden, "given", &model, &given),
    ]
    .concat()
}

#[test]
fn oracle_equals_the_independent_implementation() {
    let files = files();
    assert!(files.len() >= 8, "the golden data are complete");
    for (file, bytes) in files {
        let golden = Golden::read(&bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
        let compared = compare(&golden);
        let wanted = golden
            .tensors
            .keys()
            .filter(|n| n.ends_with(".output") || n.contains(".next_state."))
            .count();
        assert_eq!(compared.len(), wanted, "{file}: every tensor is compared");
        for (name, c) in compared {
            assert!(c.holds(), "{file}: {name}: {c:?}");
        }
    }
}

#[test]
fn one_changed_weight_is_noticed() {
    for (file, bytes) in files() {
        let golden = Golden::read(&bytes).expect("golden data");
        let weights = golden.tensors.keys().filter(|n| n.starts_with("param."));
        // Not every weight can show: closed gates hide theirs, and tokens that do not occur hide their rows.
        for name in
            weights.filter(|n| n.ends_with("out.weight") || n.as_str() == "param.head.weight")
        {
            let mut tensors = golden.tensors.clone();
            let values = &mut tensors.get_mut(name).expect("is there").1;
            values[0] += values[0].abs().max(0.1) * 1e-6;
            let changed = Golden {
                config: golden.config.clone(),
                tensors,
            };
            assert!(
                compare(&changed).iter().any(|(_, c)| !c.holds()),
                "{file}: {name}"
            );
        }
    }
}

#[test]
fn golden_data_say_their_version() {
    let (_, bytes) = files().swap_remove(0);
    let key = b"\"minrnn.golden\":\"1\"";
    let at = bytes
        .windows(key.len())
        .position(|w| w == key)
        .expect("every file carries the field");
    let with = |text: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + key.len()].copy_from_slice(text);
        Golden::read(&bytes).err().expect("must be refused")
    };
    assert!(with(b"\"minrnn.golden\":\"2\"").contains("layout \"2\", this reads \"1\""));
    assert!(with(b"\"minrnn_golden\":\"1\"").contains("not golden data"));
}
