//! Small models of every kind, and runs of them.

use minrnn_model::config::ModelConfig;
use minrnn_model::graph::{Graph, Input};
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run, Tensor};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;

use crate::eval::{self, Env, Flat as Array};
use crate::export::{ExportOptions, Form, Lowering, export_graph};
use crate::ir;

/// Name and configuration.
pub(super) const CONFIGS: &[(&str, &str)] = &[
    (
        "bare",
        "width = 3\nlayers = 1\nnorm = \"none\"\nresidual = false\n[input]\nfeatures = 2\n[cell]\nbias = false\n[head]\nwidth = 2\nkind = \"values\"",
    ),
    (
        "gru",
        "width = 4\nlayers = 2\n[input]\nvocab = 5\n[cell]\nexpansion = 1.5\n[conv]\nkernel = 4\n[mlp]\nexpansion = 2.0\n[head]\nwidth = 5\nbias = true",
    ),
    (
        "lstm",
        "width = 4\nlayers = 2\nnorm = \"layer\"\ndropout = 0.25\n[input]\nfeatures = 3\nmean = [0.5, -1.0, 2.0]\nstd = [2.0, 0.5, 1.0]\n[cell]\nkind = \"min_lstm\"\ncandidate = \"linear\"\ninitial_state = \"learned\"\n[conv]\nkernel = 3\npointwise = false\n[mlp]\nexpansion = 2.0\nactivation = \"silu\"\ngated = true\n[head]\nwidth = 3\nkind = \"values\"\nsteps = \"last\"",
    ),
    (
        "plain_lstm",
        "width = 4\nlayers = 1\n[input]\nvocab = 3\n[cell]\nkind = \"min_lstm\"\nnormalize_gates = false\noutput_projection = false\n[conv]\nkernel = 1\n[mlp]\nexpansion = 1.0\nactivation = \"gelu_tanh\"\n[head]\nwidth = 4",
    ),
    (
        "mamba",
        "width = 4\nlayers = 1\nblock = \"mamba\"\n[input]\nvocab = 5\n[cell]\nkind = \"mamba\"\nstates = 3\n[head]\nwidth = 5\ntied = true",
    ),
    (
        "mamba2",
        "width = 4\nlayers = 1\nblock = \"mamba\"\n[input]\nfeatures = 2\n[cell]\nkind = \"mamba2\"\nstates = 3\nhead_channels = 2\ngroups = 2\n[head]\nwidth = 3\nkind = \"values\"\nsteps = \"last\"",
    ),
    (
        "attention",
        "width = 4\nlayers = 2\nnorm = \"layer\"\npositions = 300\ninit = \"gpt2\"\n[input]\nvocab = 5\n[cell]\nkind = \"attention\"\nheads = 2\nbias = true\n[mlp]\n[head]\nwidth = 5\ntied = true",
    ),
];

/// A model with weights drawn wide enough that gates open and close.
pub(super) fn model(name: &str) -> (Model, Params) {
    let (_, text) = CONFIGS.iter().find(|(n, _)| *n == name).unwrap();
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let mut params = Params::init(model.graph(), 7);
    for (i, spec) in model.graph().params().iter().enumerate() {
        let mut rng = Rng::named(11, &spec.name);
        let wide = if spec.name.contains("rnn.in") {
            4.0
        } else {
            1.0
        };
        params
            .get_mut(i)
            .iter_mut()
            .for_each(|v| *v = *v * wide as f32 + 0.2 * rng.normal() as f32);
    }
    (model, params)
}

pub(super) fn export(
    model: &Model,
    params: &Params,
    change: impl FnOnce(&mut ExportOptions),
) -> ir::Model {
    let mut options = ExportOptions {
        config: model.config().clone(),
        max_seq_len: 256,
        ..ExportOptions::default()
    };
    change(&mut options);
    export_graph(model.graph(), params, &options).unwrap()
}

/// Every way to export a graph that takes any T up to 256.
pub(super) fn sequence_options(graph: &Graph) -> Vec<(&'static str, ExportOptions)> {
    let base = ExportOptions {
        max_seq_len: 256,
        ..ExportOptions::default()
    };
    let lowered = |lowering: Lowering| ExportOptions {
        lowering,
        target: lowering.target(),
        opset: lowering.opset().max(17),
        ..base.clone()
    };
    let mut all: Vec<(&str, ExportOptions)> = Lowering::ALL
        .into_iter()
        .filter(|l| l.takes(graph))
        .map(|l| (l.name(), lowered(l)))
        .collect();
    all.push((
        "blocked of 4",
        ExportOptions {
            block: 4,
            ..base.clone()
        },
    ));
    all.push((
        "scan",
        ExportOptions {
            form: Form::Scan,
            ..base
        },
    ));
    all
}

/// Input and states of one run.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) ids: Vec<u32>,
    pub(super) features: Vec<f32>,
    pub(super) states: Vec<Vec<f32>>,
}

impl Case {
    pub(super) fn new(graph: &Graph, batch: usize, time: usize, seed: u64) -> Self {
        let mut rng = Rng::named(seed, "case");
        let mut normal = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<_>>();
        let states = graph
            .states()
            .iter()
            // Steps so far are whole numbers.
            .map(|s| match s.name.ends_with(".n") {
                true => normal(batch).iter().map(|v| v.abs().trunc()).collect(),
                false => normal(batch * s.len()),
            })
            .collect();
        let (mut ids, mut features) = (vec![], vec![]);
        match graph.input() {
            Input::Tokens { vocab } => {
                ids = normal(batch * time)
                    .iter()
                    .map(|x| (x.abs() * 7.0) as u32 % vocab as u32)
                    .collect()
            }
            Input::Features { width } => features = normal(batch * time * width),
        }
        Self {
            batch,
            time,
            ids,
            features,
            states,
        }
    }

    /// Steps `from..to` of the input, with the states given.
    pub(super) fn piece(&self, from: usize, to: usize, states: Vec<Vec<f32>>) -> Self {
        let cut =
            |n: usize| move |row: usize| (row * self.time + from) * n..(row * self.time + to) * n;
        let width = self.features.len() / (self.batch * self.time);
        let ids = if self.ids.is_empty() {
            vec![]
        } else {
            (0..self.batch)
                .flat_map(|r| self.ids[cut(1)(r)].to_vec())
                .collect()
        };
        let features = (0..self.batch)
            .flat_map(|r| self.features[cut(width)(r)].to_vec())
            .collect();
        Self {
            batch: self.batch,
            time: to - from,
            ids,
            features,
            states,
        }
    }

    pub(super) fn oracle(&self, graph: &Graph, params: &Params) -> oracle::Trace {
        let data = if self.ids.is_empty() {
            Data::Features(&self.features)
        } else {
            Data::Tokens(&self.ids)
        };
        let states: Vec<Vec<f64>> = self
            .states
            .iter()
            .map(|s| s.iter().map(|v| f64::from(*v)).collect())
            .collect();
        let run = Run {
            states: Some(&states),
            bounds: true,
            ..Run::new(self.batch, self.time, data)
        };
        oracle::run(graph, &params.to_f64(), &run).unwrap()
    }

    /// What the exported graph takes.
    fn env(&self, graph: &Graph, sequence: bool) -> Env {
        let mut env = self.data_env(graph, sequence);
        for (spec, values) in graph.states().iter().zip(&self.states) {
            env.insert(
                spec.input_name(),
                Array::f32(&[vec![self.batch], spec.shape()].concat(), values.clone()),
            );
        }
        env
    }

    /// Its token ids or features.
    pub(super) fn data_env(&self, graph: &Graph, sequence: bool) -> Env {
        let mut env = Env::new();
        let dims = if sequence {
            vec![self.batch, self.time]
        } else {
            vec![self.batch]
        };
        match graph.input() {
            Input::Tokens { .. } => {
                let ids = self.ids.iter().map(|i| i64::from(*i)).collect();
                env.insert("input_ids".into(), Array::i64(&dims, ids));
            }
            Input::Features { width } => {
                env.insert(
                    "features".into(),
                    Array::f32(&[&dims[..], &[width]].concat(), self.features.clone()),
                );
            }
        }
        env
    }

    pub(super) fn run(&self, graph: &Graph, onnx: &ir::Model) -> Result<Out, String> {
        let sequence = onnx.metadata("minrnn.form") != Some("step");
        assert!(sequence || self.time == 1);
        let env = eval::run(onnx, &self.env(graph, sequence))?;
        let get = |name: &str| env[name].floats().to_vec();
        let states = graph
            .states()
            .iter()
            .map(|s| get(&s.output_name()))
            .collect();
        Ok(Out {
            output: get(graph.output().kind.tensor_name()),
            states,
            env,
        })
    }
}

/// What a graph gave.
pub(super) struct Out {
    pub(super) output: Vec<f32>,
    pub(super) states: Vec<Vec<f32>>,
    pub(super) env: Env,
}

/// Holds values against the oracle: within twice its bound for an f32 engine, which is of first order and for a sequential
/// sum, and, as that bound takes every rounding for the worst one, within some 170 units in the last place of the largest.
#[track_caller]
pub(super) fn within(what: &str, got: &[f32], want: &[f64], bound: &[f64]) {
    let mut c = minrnn_model::compare::Comparison::default();
    let largest = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    c.extend(got, want, |i| {
        (2.0 * bound[i]).min(1e-5 * (1.0 + largest)) + 4.0 * oracle::UNIT * largest
    });
    assert!(c.holds(), "{what}: {c:?}");
}

/// The same, for a value of the oracle.
#[track_caller]
pub(super) fn right(what: &str, got: &[f32], want: &Tensor) {
    within(what, got, &want.data, &want.bound);
}
