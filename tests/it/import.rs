//! Weights of other implementations, imported, against the outputs that those implementations gave (`tests/golden/import/`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor as Candle};
use minrnn_model::compare::Comparison;
use minrnn_model::graph::Input;
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run, Trace};
use minrnn_model::params::Params;
use minrnn_train::checkpoint::{Checkpoint, load_model};
use minrnn_train::import::{How, Imported, Options, import};
use minrnn_train::run::{self, Weights};
use safetensors::{Dtype, SafeTensors};

/// Where every weight is moved only, both sides compute one function in float64, in other orders: 1e-15 a rounding, some hundred
/// roundings, log space on their side.
const MOVED: f64 = 1e-11;
/// Where weights are made (`gamma + 1`, folded norms), each is rounded to float32 once: 6e-8 of itself, some dozen of them.
const MADE: f64 = 2e-6;
/// Between their float32 and float64: theirs, not ours; the import of a wrong file would be off by 1e-1 and more.
const THEIR_F32: f64 = 1e-4;

/// Outputs of one model.
struct Golden {
    weights: PathBuf,
    options: Options,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/import")
}

fn read(path: &Path) -> Golden {
    let bytes = std::fs::read(path).expect("readable");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("safetensors");
    let about = header.metadata().as_ref().expect("metadata")["minrnn.import"].clone();
    let about: serde_json::Value = serde_json::from_str(&about).expect("JSON");
    assert_eq!(about["layout"], "1", "{}", path.display());
    let flags = &about["flags"];
    let options = Options {
        prefix: flags["prefix"].as_str().map(str::to_owned),
        normalize_gates: flags["normalize_gates"].as_bool(),
        heads: flags["heads"].as_u64().map(|n| n as usize),
        tie: flags["tie"].as_bool().unwrap_or(false),
        ..Options::default()
    };
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let values = |name: &str| {
        let view = file.tensor(name).expect("is there");
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from(f32::from_le_bytes(*b)))
                .collect(),
            Dtype::F64 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b))
                .collect(),
            Dtype::I64 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b) as f64)
                .collect(),
            other => panic!("{name} is {other}"),
        };
        (view.shape().to_vec(), values)
    };
    Golden {
        weights: folder().join(about["weights"].as_str().expect("a name")),
        options,
        tensors: file
            .names()
            .into_iter()
            .map(|n| (n.to_owned(), values(n)))
            .collect(),
    }
}

/// All models by name.
fn all() -> Vec<(String, Golden)> {
    let ending = ".golden.safetensors";
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("tests/golden/import is there")
        .filter_map(|e| {
            Some(
                e.ok()?
                    .file_name()
                    .to_str()?
                    .strip_suffix(ending)?
                    .to_owned(),
            )
        })
        .collect();
    names.sort();
    assert!(names.len() >= 19, "the golden data are complete");
    let golden = |n: &String| read(&folder().join(format!("{n}{ending}")));
    names.iter().map(|n| (n.clone(), golden(n))).collect()
}

fn imported(golden: &Golden) -> (Imported, Model, Params) {
    let imported = import(&golden.weights, &golden.options).unwrap_or_else(|e| panic!("{e}"));
    let (model, params) = load_model(&imported.checkpoint, &golden.weights).expect("a checkpoint");
    (imported, model, params)
}

/// How far from f64 the imported function may be.
fn tolerance(imported: &Imported) -> f64 {
    let moved = |how: &How| {
        !matches!(
            how,
            How::PlusOne | How::Activated | How::Scaled | How::Folded(..) | How::FoldedBias(..)
        )
    };
    if imported.rows.iter().all(|r| moved(&r.how))
        && !imported.notes.iter().any(|n| n.contains("float64"))
    {
        MOVED
    } else {
        MADE
    }
}

fn close(got: &[f64], want: &[f64], tolerance: f64) -> Comparison {
    assert_eq!(got.len(), want.len(), "whole tensors are compared");
    let size = want.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let mut c = Comparison::default();
    got.iter()
        .zip(want)
        .for_each(|(g, w)| c.push(*g, *w, tolerance * size));
    c
}

/// Runs the oracle on a tensor of the file.
fn oracle(
    golden: &Golden,
    input: &str,
    model: &Model,
    params: &Params,
    states: Option<&[Vec<f64>]>,
) -> Trace {
    let (shape, values) = &golden.tensors[input];
    let ids: Vec<u32> = values.iter().map(|v| *v as u32).collect();
    let features: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    let data = match model.graph().input() {
        Input::Tokens { .. } => Data::Tokens(&ids),
        Input::Features { .. } => Data::Features(&features),
    };
    let run = Run {
        states,
        bounds: true,
        ..Run::new(shape[0], shape[1], data)
    };
    oracle::run(model.graph(), &params.to_f64(), &run).expect("runs")
}

fn input(model: &Model) -> &'static str {
    match model.graph().input() {
        Input::Tokens { .. } => "input_ids",
        Input::Features { .. } => "features",
    }
}

#[test]
fn the_oracle_gives_their_outputs() {
    for (name, golden) in all() {
        let (imported, model, params) = imported(&golden);
        let got = oracle(&golden, input(&model), &model, &params, None)
            .output
            .data;
        let c = close(&got, &golden.tensors["output.f64"].1, tolerance(&imported));
        assert!(c.holds(), "{name}, float64: {c:?}");
        let c = close(&got, &golden.tensors["output.f32"].1, THEIR_F32);
        assert!(c.holds(), "{name}, float32: {c:?}");
    }
}

#[test]
fn candle_gives_them_within_the_oracles_bound() {
    for (name, golden) in all() {
        let (_, model, params) = imported(&golden);
        let truth = oracle(&golden, input(&model), &model, &params, None).output;
        let (shape, values) = &golden.tensors[input(&model)];
        let x = Candle::from_slice(values, shape.as_slice(), &Device::Cpu).expect("a tensor");
        let x = match model.graph().input() {
            Input::Tokens { .. } => x.to_dtype(DType::U32),
            Input::Features { .. } => x.to_dtype(DType::F32),
        };
        let weights =
            Weights::new(model.graph(), &params, DType::F32, &Device::Cpu).expect("weights");
        let out = run::run(
            model.graph(),
            &weights,
            &run::Run::new(&x.expect("its type")),
        )
        .expect("runs");
        let got: Vec<f32> = out
            .output
            .flatten_all()
            .and_then(|t| t.to_vec1())
            .expect("values");
        let mut c = Comparison::default();
        assert!(got.len() == truth.data.len() && truth.bound.len() == got.len());
        for ((g, t), b) in got.iter().zip(&truth.data).zip(&truth.bound) {
            c.push(f64::from(*g), *t, *b);
        }
        assert!(c.holds(), "{name}: {c:?}");
    }
}

/// Our channels begin with theirs; what a lone layer without projection has beyond them stays unused.
fn padded(state: &(Vec<usize>, Vec<f64>), width: usize) -> Vec<f64> {
    let own = state.0[1];
    let row = |r: &[f64]| [r, &vec![0.0; width - own]].concat();
    state.1.chunks(own).flat_map(row).collect()
}

#[test]
fn a_carried_state_enters_as_in_their_sequential_path() {
    let mut lstm = 0;
    for (name, golden) in all() {
        let Some(state) = golden.tensors.get("state") else {
            continue;
        };
        let (imported, model, params) = imported(&golden);
        let width = model.graph().states()[0].width;
        let states = [padded(state, width)];
        let got = oracle(&golden, "features", &model, &params, Some(&states))
            .output
            .data;
        let path = |p: &str| close(&got, &golden.tensors[&format!("carried.{p}.f64")].1, MOVED);
        assert!(
            path("sequential").holds(),
            "{name}: {:?}",
            path("sequential")
        );
        // minGRU-pytorch 0.2.1: the parallel path of minLSTM puts the state through g.
        let is_lstm = name.contains("lstm");
        assert_eq!(
            path("parallel").holds(),
            !is_lstm,
            "{name}: {:?}",
            path("parallel")
        );
        let says = imported.notes.iter().any(|n| n.contains("carried state"));
        assert_eq!(says, is_lstm, "{name}: {:?}", imported.notes);
        lstm += usize::from(is_lstm);
    }
    assert!(lstm >= 2);
}

/// Given states, one of each kind a layer, enter and leave as PyTorch's do.
#[test]
fn layers_of_torch_go_on_from_given_states() {
    let mut seen = 0;
    for (name, golden) in all().into_iter().filter(|(n, _)| n.starts_with("torch_")) {
        let (_, model, params) = imported(&golden);
        let of = |what: String| golden.tensors[&what].1.clone();
        let specs = model.graph().states();
        let given: Vec<Vec<f64>> = specs
            .iter()
            .map(|s| of(format!("begun.{}", s.name)))
            .collect();
        let got = oracle(&golden, "features", &model, &params, Some(&given));
        let c = close(&got.output.data, &of("begun.output.f64".into()), MOVED);
        assert!(c.holds(), "{name}: {c:?}");
        for (spec, after) in specs.iter().zip(&got.states) {
            let want = of(format!("begun.next.{}.f64", spec.name));
            let c = close(&after.data, &want, MOVED);
            assert!(c.holds(), "{name}, {}: {c:?}", spec.name);
            seen += 1;
        }
    }
    assert!(seen >= 12, "the golden data are complete");
}

/// What no model of ours has is named, with the tensor that says so.
#[test]
fn layers_of_torch_that_are_other_models_are_refused() {
    let of = |tensors: &[(&str, [usize; 2])]| {
        let data: Vec<Vec<u8>> = tensors
            .iter()
            .map(|(_, s)| vec![0; 4 * s[0] * s[1]])
            .collect();
        let views = tensors.iter().zip(&data).map(|((name, shape), data)| {
            let view = safetensors::tensor::TensorView::new(Dtype::F32, shape.to_vec(), data);
            ((*name).to_owned(), view.unwrap())
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weights.safetensors");
        std::fs::write(&path, bytes).unwrap();
        import(&path, &Options::default())
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let (i, h) = (("weight_ih_l0", [12, 3]), ("weight_hh_l0", [12, 4]));
    let says = of(&[i, h, ("weight_ih_l0_reverse", [12, 3])]);
    assert!(
        says.contains("bidirectional") && says.contains("weight_ih_l0_reverse"),
        "{says}"
    );
    let says = of(&[
        ("weight_ih_l0", [16, 3]),
        ("weight_hh_l0", [16, 2]),
        ("weight_hr_l0", [2, 4]),
    ]);
    assert!(
        says.contains("proj_size") && says.contains("weight_hr_l0"),
        "{says}"
    );
    let says = of(&[("weight_ih_l0", [4, 3]), ("weight_hh_l0", [4, 4])]);
    assert!(says.contains("torch.nn.RNN"), "{says}");
    let says = of(&[("weight_ih_l0", [10, 3]), ("weight_hh_l0", [10, 2])]);
    assert!(says.contains("5 gates of 2 rows"), "{says}");
    let says = of(&[i, h, ("weight_ih_l2", [12, 4])]);
    assert!(says.contains("weight_ih_l2"), "{says}");
    let says = of(&[i, h, ("bias_ih_l0", [12, 1])]);
    assert!(says.contains("bias_hh_l0"), "{says}");
}

#[test]
fn models_go_on_from_their_states() {
    let mut seen = 0;
    for (name, golden) in all() {
        let Some((_, want)) = golden.tensors.get("next.output.f64") else {
            continue;
        };
        let (imported, model, params) = imported(&golden);
        let before = oracle(&golden, "input_ids", &model, &params, None).states;
        let states: Vec<Vec<f64>> = before.into_iter().map(|s| s.data).collect();
        let got = oracle(&golden, "next.input_ids", &model, &params, Some(&states))
            .output
            .data;
        let c = close(&got, want, tolerance(&imported));
        assert!(c.holds(), "{name}: {c:?}");
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn every_weight_has_its_place() {
    // Each tensor of theirs, changed alone, changes the output; otherwise the mapping could have lost it.
    for (name, golden) in all() {
        let (imported, model, params) = imported(&golden);
        let own = input(&model);
        let before = oracle(&golden, own, &model, &params, None).output.data;
        for (i, spec) in model.graph().params().iter().enumerate() {
            let row = imported
                .rows
                .iter()
                .find(|r| r.name == spec.name)
                .expect("a row");
            if row.from.is_empty() {
                continue;
            }
            let mut changed = params.clone();
            // A norm does not see what all channels have more.
            let values = changed.get_mut(i).iter_mut().enumerate();
            values.for_each(|(i, v)| *v += 0.01 * (1 + i % 3) as f32);
            let after = oracle(&golden, own, &model, &changed, None).output.data;
            assert!(
                !close(&after, &before, MADE).holds(),
                "{name}: {}",
                spec.name
            );
        }
    }
}

#[test]
fn what_is_saved_is_what_was_imported() {
    let (_, golden) = all().swap_remove(8);
    let (imported, model, params) = imported(&golden);
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("model");
    imported.checkpoint.save(&path).expect("saved");
    let again = Checkpoint::load(&path).expect("loaded");
    assert_eq!(again, imported.checkpoint);
    assert!(load_model(&again, &path).expect("a model") == (model, params));
}
