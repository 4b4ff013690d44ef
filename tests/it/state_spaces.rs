//! Mamba, Mamba-2 and GPT-2 of other implementations: the package transformers' outputs for models that it saved (`tests/golden/transformers`),
//! and, for every golden model of a state space or of attention as a recurrence, candle and the exported files by the judge.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor as Candle};
use minrnn_model::compare::Comparison;
use minrnn_model::config::ModelConfig;
use minrnn_model::graph::{Graph, Input, Law, Node, Op, StateSpec};
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run};
use minrnn_model::params::Params;
use minrnn_onnx::eval::{Array, Inputs, Limits, Session};
use minrnn_onnx::export::{ExportError, ExportOptions, Form, Lowering, Target, export_graph};
use minrnn_onnx::ir;
use minrnn_train::checkpoint::load_model;
use minrnn_train::import::{Imported, Layout, Options, import};
use minrnn_train::run::{self, Weights};
use safetensors::{Dtype, SafeTensors};

use crate::golden::read::{Golden, Values, files};

/// Both sides compute one function in float64, in other orders: 1e-16 a rounding, some hundred of them.
const MOVED: f64 = 1e-11;
/// Between their float32 and float64.
const THEIR_F32: f64 = 1e-4;
/// The files have constants as f32: an epsilon of 1e-5 is off by 3e-8 of itself.
const CONSTANTS: f64 = 1e-6;
/// States go from step to step as f32: some dozen of them, through norms of values that nearly cancel.
const CARRIED: f64 = 1e-5;

#[track_caller]
fn close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}: whole tensors are compared");
    let size = want.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let mut c = Comparison::default();
    std::iter::zip(got, want).for_each(|(g, w)| c.push(*g, *w, tolerance * size));
    assert!(c.holds(), "{what}: {c:?}");
}

/// Input and states of one run.
struct Case<'a> {
    graph: &'a Graph,
    batch: usize,
    time: usize,
    /// Token ids, or features.
    input: Vec<f64>,
    states: Vec<Vec<f64>>,
}

/// Output and states.
type Result = (Vec<f64>, Vec<Vec<f64>>);

impl Case<'_> {
    fn tokens(&self) -> Vec<u32> {
        self.input.iter().map(|v| *v as u32).collect()
    }

    fn oracle(&self, params: &Params) -> Result {
        let (ids, features) = (self.tokens(), self.input.iter().map(|v| *v as f32));
        let features: Vec<f32> = features.collect();
        let data = match self.graph.input() {
            Input::Tokens { .. } => Data::Tokens(&ids),
            Input::Features { .. } => Data::Features(&features),
        };
        let run = Run {
            states: Some(&self.states),
            ..Run::new(self.batch, self.time, data)
        };
        let trace = oracle::run(self.graph, &params.to_f64(), &run).expect("runs");
        let states = trace.states.into_iter().map(|s| s.data).collect();
        (trace.output.data, states)
    }

    fn candle(&self, params: &Params) -> Result {
        let weights = Weights::new(self.graph, params, DType::F64, &Device::Cpu).expect("weights");
        let (b, t) = (self.batch, self.time);
        let input = match self.graph.input() {
            Input::Tokens { .. } => Candle::from_vec(self.tokens(), (b, t), &Device::Cpu),
            Input::Features { width } => {
                Candle::from_slice(&self.input, (b, t, width), &Device::Cpu)
                    .and_then(|x| x.to_dtype(DType::F32))
            }
        };
        let state = |(v, s): (&Vec<f64>, &StateSpec)| {
            let shape = [vec![b], s.shape()].concat();
            Candle::from_slice(v, shape, &Device::Cpu).expect("a tensor")
        };
        let states: Vec<Candle> = std::iter::zip(&self.states, self.graph.states())
            .map(state)
            .collect();
        let run = run::Run {
            states: Some(&states),
            ..run::Run::new(input.as_ref().expect("a tensor"))
        };
        let out = run::run(self.graph, &weights, &run).expect("runs");
        let floats = |t: &Candle| {
            let flat = t.to_dtype(DType::F64).and_then(|t| t.flatten_all());
            flat.and_then(|t| t.to_vec1()).expect("values")
        };
        (floats(&out.output), out.states.iter().map(floats).collect())
    }

    /// The whole by a file of a sequence form, or of the step form one step after the other.
    fn judge(&self, file: &Session, sequence: bool) -> Result {
        let pieces = if sequence { 1 } else { self.time };
        let mut states = self.states.clone();
        let mut outputs: Vec<Vec<f64>> = vec![];
        for t in 0..pieces {
            let inputs = self.inputs(&states, (!sequence).then_some(t));
            let out = file.run(&inputs, &Limits::default()).expect("runs");
            let get = |name: &str| {
                let y = out.get(name).expect("is there").exact();
                y.floats().expect("floats").to_vec()
            };
            outputs.push(get(self.graph.output().kind.tensor_name()));
            let names = self.graph.states().iter().map(|s| s.output_name());
            states = names.map(|n| get(&n)).collect();
        }
        if sequence || self.graph.is_last_step() {
            return (outputs.pop().expect("a step"), states);
        }
        let width = outputs[0].len() / self.batch;
        let row = |b: usize| outputs.iter().map(move |o| &o[b * width..(b + 1) * width]);
        let joined = (0..self.batch).flat_map(row).flatten().copied().collect();
        (joined, states)
    }

    /// Of a whole sequence, or of step `step`.
    fn inputs(&self, states: &[Vec<f64>], step: Option<usize>) -> Inputs {
        let width = self.input.len() / (self.batch * self.time);
        let mut dims = vec![self.batch];
        let mut values = self.input.clone();
        match step {
            None => dims.push(self.time),
            Some(t) => {
                let rows = self.input.chunks(width * self.time);
                let at = t * width..(t + 1) * width;
                values = rows.flat_map(|r| &r[at.clone()]).copied().collect();
            }
        }
        let floats = |dims: &[usize], v: &[f64]| {
            Array::from_floats(ir::DType::F32, dims, v).expect("its shape")
        };
        let mut inputs = Inputs::new();
        match self.graph.input() {
            Input::Tokens { .. } => {
                let ids: Vec<i128> = values.iter().map(|v| *v as i128).collect();
                let ids = Array::from_ints(ir::DType::I64, &dims, &ids).expect("its shape");
                inputs.insert("input_ids".into(), ids);
            }
            Input::Features { width } => {
                dims.push(width);
                inputs.insert("features".into(), floats(&dims, &values));
            }
        }
        for (spec, values) in self.graph.states().iter().zip(states) {
            let shape = [vec![self.batch], spec.shape()].concat();
            inputs.insert(spec.input_name(), floats(&shape, values));
        }
        inputs
    }
}

/// A file of every way to export, and whether it takes sequences.
fn exports(model: &Model, params: &Params) -> Vec<(&'static str, Session, bool)> {
    let base = ExportOptions {
        max_seq_len: 64,
        ..ExportOptions::default()
    };
    let lowered = |lowering: Lowering| ExportOptions {
        lowering,
        target: lowering.target(),
        opset: lowering.opset().max(17),
        ..base.clone()
    };
    let linear = |n: &Node| match n.op {
        Op::Recur { law, .. } => law == Law::Linear,
        _ => true,
    };
    let linear = model.graph().nodes().iter().all(linear);
    let takes = |l: &Lowering| linear || matches!(l, Lowering::Blocked | Lowering::BlockedScan);
    let mut all: Vec<_> = Lowering::ALL
        .into_iter()
        .filter(takes)
        .map(|l| (l.name(), lowered(l)))
        .collect();
    for (name, form) in [("scan", Form::Scan), ("step", Form::Step)] {
        let options = ExportOptions {
            form,
            ..base.clone()
        };
        all.push((name, options));
    }
    let forms = Form::of(model.graph());
    all.retain(|(_, options)| forms.contains(&options.form));
    if !model.graph().folds().is_empty() {
        let options = ExportOptions {
            form: Form::Scan,
            target: Target::OnnxRuntime,
            fused_cells: true,
            ..base.clone()
        };
        all.push(("operators", options));
    }
    let open = |(name, options): (&'static str, ExportOptions)| {
        let file = match export_graph(model.graph(), params, &options) {
            // The operator takes the logarithm of the decay, and not every decay has one.
            Err(ExportError::Option { option, .. })
                if options.lowering == Lowering::LinearAttention =>
            {
                assert_eq!(option, "lowering");
                return None;
            }
            file => file.expect("exports"),
        };
        let sequence = options.form != Form::Step;
        Some((name, Session::open(&file, None).expect(name), sequence))
    };
    all.into_iter().filter_map(open).collect()
}

#[track_caller]
fn same(what: &str, got: &Result, want: &Result, tolerance: f64) {
    close(&format!("{what}, output"), &got.0, &want.0, tolerance);
    assert_eq!(got.1.len(), want.1.len(), "{what}");
    for (i, (g, w)) in std::iter::zip(&got.1, &want.1).enumerate() {
        close(&format!("{what}, state {i}"), g, w, tolerance);
    }
}

#[test]
fn candle_and_the_exported_files_equal_the_independent_implementation() {
    let mut seen = 0;
    for (name, bytes) in files().into_iter().chain(crate::attention::files()) {
        let kinds = [
            "mamba",
            "aaren",
            "s4d",
            "h3",
            "hyena",
            "nano",
            "gpt2",
            "torch_gru",
            "torch_lstm",
        ];
        if !kinds.iter().any(|kind| name.contains(kind)) {
            continue;
        }
        let golden = Golden::read(&bytes).expect("golden data");
        let model = Model::from_config(&golden.config).expect("a model");
        let params = golden.params(&model);
        let tensor = |name: &str| golden.tensors[name].clone();
        let input = match model.graph().input() {
            Input::Tokens { .. } => "input_ids",
            Input::Features { .. } => "features",
        };
        let (shape, input) = tensor(input);
        let states = model.graph().states();
        let given = |s: &StateSpec| tensor(&format!("given.{}", s.input_name())).1;
        let after = |s: &StateSpec| tensor(&format!("given.{}", s.output_name())).1;
        let case = Case {
            graph: model.graph(),
            batch: shape[0],
            time: shape[1],
            input,
            states: states.iter().map(given).collect(),
        };
        let want = (tensor("given.output").1, states.iter().map(after).collect());
        same(
            &format!("{name}, candle"),
            &case.candle(&params),
            &want,
            MOVED,
        );
        for (form, file, sequence) in exports(&model, &params) {
            let got = case.judge(&file, sequence);
            let tolerance = if sequence { CONSTANTS } else { CARRIED };
            same(&format!("{name}, {form}"), &got, &want, tolerance);
        }
        seen += 1;
    }
    assert!(seen >= 17, "the golden data are complete");
}

/// The shapes of mamba-130m with values of their own: candle, and the forms that hold one step at a time, by the judge.
#[test]
#[ignore = "some 8 GB of memory"]
fn a_model_as_large_as_mamba_130m_is_the_same_in_its_files() {
    let text = "width = 768\nlayers = 24\nblock = 'mamba'\n[input]\nvocab = 50280\n[head]\nwidth = 50280\ntied = true\n[cell]\nkind = 'mamba'\n";
    let config: ModelConfig = toml::from_str(text).expect(text);
    let model = Model::from_config(&config).expect(text);
    let params = Params::init(model.graph(), 5);
    let count: usize = (0..params.len()).map(|p| params.get(p).len()).sum();
    assert_eq!(count, 129_135_360, "that of the published model");
    let states = model.graph().states();
    let case = Case {
        graph: model.graph(),
        batch: 1,
        time: 2,
        input: vec![17.0, 50_279.0],
        states: states.iter().map(|s| vec![0.125; s.len()]).collect(),
    };
    let want = case.candle(&params);
    for (form, name) in [(Form::Scan, "scan"), (Form::Step, "step")] {
        let options = ExportOptions {
            form,
            ..ExportOptions::default()
        };
        let file = export_graph(model.graph(), &params, &options).expect("exports");
        let file = Session::open(&file, None).expect(name);
        let sequence = form != Form::Step;
        let tolerance = if sequence { CONSTANTS } else { CARRIED };
        same(name, &case.judge(&file, sequence), &want, tolerance);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/transformers")
}

/// What the package gave, by model.
fn theirs() -> Vec<(String, BTreeMap<String, Values>)> {
    let names = [
        "gpt2_in_an_archive",
        "gpt2_tied",
        "mamba2_groups",
        "mamba2_tied",
        "mamba_in_shards",
        "mamba_tied",
    ];
    let read = |name: &str| {
        let path = folder().join(name).join("golden.safetensors");
        let bytes = std::fs::read(&path).expect("readable");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensors = file.tensors().into_iter().map(|(name, view)| {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => numbers(data, |b| f64::from(f32::from_le_bytes(b))),
                Dtype::F64 => numbers(data, f64::from_le_bytes),
                Dtype::I64 => numbers(data, |b| i64::from_le_bytes(b) as f64),
                other => panic!("{name} is {other}"),
            };
            (name, (view.shape().to_vec(), values))
        });
        (name.to_owned(), tensors.collect())
    };
    names.into_iter().map(read).collect()
}

fn numbers<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|b| f(*b)).collect()
}

fn imported(name: &str) -> (Imported, Model, Params) {
    let path = folder().join(name);
    let imported = import(&path, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let (model, params) = load_model(&imported.checkpoint, &path).expect("a checkpoint");
    (imported, model, params)
}

#[test]
fn imported_models_are_what_transformers_runs_in_every_form() {
    for (name, tensors) in theirs() {
        let (imported, model, params) = imported(&name);
        assert_eq!(imported.layout, Layout::Transformers, "{name}");
        let (shape, input) = tensors["input_ids"].clone();
        let states = model.graph().states();
        let zeros = |s: &StateSpec| vec![0.0; shape[0] * s.len()];
        let case = Case {
            graph: model.graph(),
            batch: shape[0],
            time: shape[1],
            input,
            states: states.iter().map(zeros).collect(),
        };
        let after = |s: &StateSpec| {
            let name = s.input_name().replace("state.", "");
            tensors[&format!("state.{name}.f64")].1.clone()
        };
        let want = (
            tensors["logits.f64"].1.clone(),
            states.iter().map(after).collect(),
        );
        let got = case.oracle(&params);
        same(&format!("{name}, oracle"), &got, &want, MOVED);
        close(&name, &got.0, &tensors["logits.f32"].1, THEIR_F32);
        same(
            &format!("{name}, candle"),
            &case.candle(&params),
            &want,
            MOVED,
        );
        for (form, file, sequence) in exports(&model, &params) {
            let got = case.judge(&file, sequence);
            let tolerance = if sequence { CONSTANTS } else { CARRIED };
            same(&format!("{name}, {form}"), &got, &want, tolerance);
        }
        // They go on token by token, by another path of their code.
        let (shape, input) = tensors["next.input_ids"].clone();
        let next = Case {
            input,
            time: shape[1],
            states: got.1,
            ..case
        };
        let got = next.oracle(&params);
        close(&name, &got.0, &tensors["next.logits.f64"].1, MOVED);
    }
}

#[test]
fn every_tensor_of_theirs_has_its_place() {
    for (name, tensors) in theirs() {
        let (imported, model, params) = imported(&name);
        let (shape, input) = tensors["input_ids"].clone();
        let zeros = |s: &StateSpec| vec![0.0; shape[0] * s.len()];
        let case = Case {
            graph: model.graph(),
            batch: shape[0],
            time: shape[1],
            input,
            states: model.graph().states().iter().map(zeros).collect(),
        };
        let before = case.oracle(&params).0;
        for (i, spec) in model.graph().params().iter().enumerate() {
            let row = imported.rows.iter().find(|r| r.name == spec.name);
            assert!(
                row.is_some_and(|r| !r.from.is_empty()),
                "{name}: {}",
                spec.name
            );
            let mut changed = params.clone();
            // A norm does not see what all channels have more.
            let values = changed.get_mut(i).iter_mut().enumerate();
            values.for_each(|(i, v)| *v += 0.01 * (1 + i % 3) as f32);
            let after = case.oracle(&changed).0;
            let moved = std::iter::zip(&after, &before).any(|(a, b)| (a - b).abs() > 1e-7);
            assert!(moved, "{name}: {} changes nothing", spec.name);
        }
    }
}

/// A copy of a model of theirs, its `config.json` changed by the JSON text `from` to `to`.
fn with(name: &str, from: &str, to: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(folder().join(name)).expect("is there") {
        let path = entry.expect("readable").path();
        let own = dir.path().join(path.file_name().expect("a name"));
        std::fs::copy(&path, own).expect("copied");
    }
    let path = dir.path().join("config.json");
    let text = std::fs::read_to_string(&path).expect("text");
    assert!(text.contains(from), "{from}");
    std::fs::write(&path, text.replace(from, to)).expect("written");
    match import(dir.path(), &Options::default()) {
        Ok(imported) => format!("{:?}", imported.notes),
        Err(e) => e.problem.to_string(),
    }
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    for (name, from, to, says) in [
        (
            "mamba_tied",
            "\"silu\"",
            "\"gelu\"",
            "`hidden_act` = \"gelu\"",
        ),
        (
            "mamba_tied",
            "\"mamba\"",
            "\"jamba\"",
            "`model_type` = \"jamba\"",
        ),
        (
            "mamba_tied",
            "MambaForCausalLM",
            "MambaModel",
            "`architectures`",
        ),
        (
            "mamba_tied",
            "\"use_cache\"",
            "\"rotary\"",
            "`rotary` = true",
        ),
        (
            "mamba_tied",
            "\"state_size\": 4",
            "\"state_size\": 5",
            "A_log` has shape [16, 4]",
        ),
        (
            "mamba_tied",
            "\"use_bias\": false",
            "\"use_bias\": true",
            "in_proj.bias",
        ),
        (
            "mamba_tied",
            "\"tie_word_embeddings\": true",
            "\"tie_word_embeddings\": false",
            "missing: `lm_head.weight`",
        ),
        (
            "mamba_tied",
            "\"intermediate_size\": 16",
            "\"intermediate_size\": 24",
            "`intermediate_size` = 24",
        ),
        (
            "mamba_tied",
            "\"vocab_size\": 11",
            "\"vocab_size\": -11",
            "`vocab_size` = -11",
        ),
        (
            "mamba_tied",
            "\"vocab_size\": 11",
            "\"vocab_size\": 11, \"vocab_size\": 11",
            "config.json cannot be read",
        ),
        (
            "mamba_in_shards",
            "\"num_hidden_layers\": 3",
            "\"num_hidden_layers\": 2",
            "unexpected: `backbone.layers.2",
        ),
        (
            "mamba2_groups",
            "\"n_groups\": 2",
            "\"n_groups\": 3",
            "conv1d.bias` has shape [28]",
        ),
        (
            "mamba2_groups",
            "\"num_heads\": 4",
            "\"num_heads\": 8",
            "`num_heads` = 8",
        ),
        ("mamba2_groups", "    0.0,", "    0.1,", "`time_step_limit`"),
        (
            "mamba2_groups",
            "\"__float__\": \"Infinity\"",
            "\"__float__\": \"0.5\"",
            "`time_step_limit`",
        ),
        (
            "mamba2_tied",
            "\"tie_word_embeddings\": true",
            "\"tie_word_embeddings\": true, \"rms_norm\": false",
            "`rms_norm` = false",
        ),
        (
            "gpt2_tied",
            "\"gelu_new\"",
            "\"relu\"",
            "`activation_function` = \"relu\"",
        ),
        (
            "gpt2_tied",
            "GPT2LMHeadModel",
            "GPT2DoubleHeadsModel",
            "`architectures`",
        ),
        (
            "gpt2_tied",
            "\"model_type\": \"gpt2\"",
            "\"model_type\": \"gpt_neo\"",
            "`model_type` = \"gpt_neo\"",
        ),
        (
            "gpt2_tied",
            "\"n_head\": 2",
            "\"n_head\": 3",
            "`n_head` = 3",
        ),
        (
            "gpt2_tied",
            "\"n_positions\": 18",
            "\"n_positions\": 18, \"n_ctx\": 17",
            "`n_ctx` = 17",
        ),
        (
            "gpt2_tied",
            "\"n_positions\": 18",
            "\"n_positions\": 17",
            "transformer.wpe.weight` has shape [18, 8]",
        ),
        (
            "gpt2_tied",
            "\"n_layer\": 2",
            "\"n_layer\": 1",
            "unexpected: `transformer.h.1",
        ),
        (
            "gpt2_tied",
            "\"scale_attn_weights\": true",
            "\"scale_attn_weights\": false",
            "`scale_attn_weights` = false",
        ),
        (
            "gpt2_tied",
            "\"scale_attn_by_inverse_layer_idx\": false",
            "\"scale_attn_by_inverse_layer_idx\": true",
            "`scale_attn_by_inverse_layer_idx` = true",
        ),
        (
            "gpt2_tied",
            "\"add_cross_attention\": false",
            "\"add_cross_attention\": true",
            "`add_cross_attention` = true",
        ),
        (
            "gpt2_tied",
            "\"use_cache\"",
            "\"rotary\"",
            "`rotary` = true",
        ),
        (
            "gpt2_tied",
            "\"tie_word_embeddings\": true",
            "\"tie_word_embeddings\": false",
            "missing: `lm_head.weight`",
        ),
        (
            "gpt2_in_an_archive",
            "\"tie_word_embeddings\": false",
            "\"tie_word_embeddings\": true",
            "tensor `lm_head.weight` differs from the embedding",
        ),
    ] {
        let found = with(name, from, to);
        assert!(found.contains(says), "{name}, {to}: {found}");
    }
    // What Python writes for a limit that is none, in its older way; names in text are left alone.
    let old = "{\n      \"__float__\": \"Infinity\"\n    }";
    assert!(with("mamba2_groups", old, "Infinity").contains("each of the groups"));
    let name = "\"_name_or_path\": \"an \\\"Infinity\\\" \\\\\", \"use_cache\"";
    assert_eq!(with("mamba_tied", "\"use_cache\"", name), "[]");
}
