//! The oracle against golden data of an independent implementation (`tests/golden/`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use minrnn_model::compare::Comparison;
use minrnn_model::config::ModelConfig;
use minrnn_model::graph::Input;
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run, Trace};
use minrnn_model::params::{Params, Role};
use safetensors::{Dtype, SafeTensors};

/// The layout that this test reads.
const VERSION: &str = "1";

/// Of the largest magnitude of the tensor. The oracle rounds to float64 (unit 1.1e-16) some hundred times on the way, the other
/// side once: 1e-14 is the order of what can add up. A constant or a parameter that went through f32 makes 6e-8.
const TOLERANCE: f64 = 1e-12;

struct Golden {
    config: ModelConfig,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
}

impl Golden {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let metadata = header.metadata().clone().unwrap_or_default();
        match metadata.get("minrnn.golden").map(String::as_str) {
            Some(VERSION) => {}
            Some(other) => return Err(format!("golden data of layout {other:?}, wanted {VERSION:?}: run generate.py again")),
            None => return Err("no `minrnn.golden` in the metadata: not golden data".into()),
        }
        let text = metadata.get("config").ok_or("no `config` in the metadata")?;
        let config = toml::from_str(text).map_err(|e| e.to_string())?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let values = |(name, view): (String, safetensors::tensor::TensorView)| {
            let d = view.data();
            let data = match view.dtype() {
                Dtype::F32 => numbers(d, |b| f64::from(f32::from_le_bytes(b))),
                Dtype::F64 => numbers(d, f64::from_le_bytes),
                Dtype::I64 => numbers(d, |b| i64::from_le_bytes(b) as f64),
                other => return Err(format!("{name} is {other:?}")),
            };
            Ok((name, (view.shape().to_vec(), data)))
        };
        Ok(Self { config, tensors: file.tensors().into_iter().map(values).collect::<Result<_, _>>()? })
    }

    fn get(&self, name: &str) -> &(Vec<usize>, Vec<f64>) {
        self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}; there are {:?}", self.tensors.keys()))
    }

    /// The file's weights; buffers as the configuration makes them.
    fn params(&self, model: &Model) -> Params {
        let graph = model.graph();
        let mut named = Params::init(graph, 0).to_named(graph);
        let buffer = |p: &&minrnn_model::params::ParamSpec| matches!(p.role, Role::Buffer { .. });
        let buffers: Vec<_> = graph.params().iter().filter(buffer).map(|p| p.name.clone()).collect();
        named.retain(|name, _| buffers.contains(name));
        for (name, (shape, values)) in &self.tensors {
            if let Some(name) = name.strip_prefix("param.") {
                named.insert(name.into(), (shape.clone(), values.iter().map(|v| *v as f32).collect()));
            }
        }
        Params::from_named(graph, named).expect("the same parameters on both sides")
    }

    /// Compares run `prefix`, the begin of its tensors' names, whole tensors.
    fn compare(&self, prefix: &str, model: &Model, trace: &Trace) -> Vec<(String, Comparison)> {
        let names = model.graph().states().iter().map(|s| format!("{prefix}.{}", s.output_name()));
        let outputs = std::iter::once((format!("{prefix}.output"), &trace.output));
        let found = outputs.chain(names.zip(&trace.states));
        found.map(|(name, tensor)| (name.clone(), close(&tensor.data, &self.get(&name).1))).collect()
    }
}

fn numbers<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|b| f(*b)).collect()
}

fn close(got: &[f64], want: &[f64]) -> Comparison {
    assert_eq!(got.len(), want.len(), "whole tensors are compared");
    let size = want.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let mut c = Comparison::default();
    got.iter().zip(want).for_each(|(g, w)| c.push(*g, *w, TOLERANCE * size));
    c
}

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let entries = std::fs::read_dir(&folder).expect("tests/golden is there");
    let paths = entries.map(|e| e.expect("readable").path()).filter(|p| p.extension().is_some_and(|e| e == "safetensors"));
    let mut files: Vec<_> =
        paths.map(|p| (p.display().to_string(), std::fs::read(&p).expect("readable"))).collect();
    files.sort();
    files
}

/// Runs the oracle on a file: from the model's initial states, and from the file's.
fn compare(golden: &Golden) -> Vec<(String, Comparison)> {
    let model = Model::from_config(&golden.config).expect("a model");
    let params = golden.params(&model).to_f64();
    let tokens = matches!(model.graph().input(), Input::Tokens { .. });
    let (shape, input) = golden.get(if tokens { "input_ids" } else { "features" });
    let ids: Vec<u32> = input.iter().map(|v| *v as u32).collect();
    let features: Vec<f32> = input.iter().map(|v| *v as f32).collect();
    let data = if tokens { Data::Tokens(&ids) } else { Data::Features(&features) };
    let names = model.graph().states().iter().map(|s| format!("given.{}", s.input_name()));
    let states: Vec<_> = names.map(|n| golden.get(&n).1.clone()).collect();
    let run = Run::new(shape[0], shape[1], data);
    let zero = oracle::run(model.graph(), &params, &run).expect("runs");
    let given = oracle::run(model.graph(), &params, &Run { states: Some(&states), ..run }).expect("runs");
    [golden.compare("zero", &model, &zero), golden.compare("given", &model, &given)].concat()
}

#[test]
fn oracle_equals_the_independent_implementation() {
    let files = files();
    assert!(files.len() >= 8, "the golden data are complete");
    for (file, bytes) in files {
        let golden = Golden::read(&bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
        let compared = compare(&golden);
        let wanted = golden.tensors.keys().filter(|n| n.ends_with(".output") || n.contains(".next_state.")).count();
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
        for name in weights.filter(|n| n.ends_with("out.weight") || n.as_str() == "param.head.weight") {
            let mut tensors = golden.tensors.clone();
            let values = &mut tensors.get_mut(name).expect("is there").1;
            values[0] += values[0].abs().max(0.1) * 1e-6;
            let changed = Golden { config: golden.config.clone(), tensors };
            assert!(compare(&changed).iter().any(|(_, c)| !c.holds()), "{file}: {name}");
        }
    }
}

#[test]
fn golden_data_say_their_version() {
    let (_, bytes) = files().swap_remove(0);
    let key = b"\"minrnn.golden\":\"1\"";
    let at = bytes.windows(key.len()).position(|w| w == key).expect("every file carries the field");
    let with = |text: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + key.len()].copy_from_slice(text);
        Golden::read(&bytes).err().expect("must be refused")
    };
    assert!(with(b"\"minrnn.golden\":\"2\"").contains("layout \"2\", wanted \"1\""));
    assert!(with(b"\"minrnn_golden\":\"1\"").contains("not golden data"));
}
