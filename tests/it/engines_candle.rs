//! candle-onnx, an engine with few operators and its own reading of them: exported files against the oracle.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use minrnn_model::compare::Comparison;
use minrnn_model::graph::Input;
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run, Trace};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_onnx::export::{ExportOptions, Form, Lowering, export_graph};

use crate::golden::read::{Golden, files};

const BATCH: usize = 2;
/// Two whole blocks of the blocked scan and a part of one.
const TIME: usize = 37;
/// A value may be off by its running bound, and by no more than this of the tensor's `1 + max|y|`: through several layers the
/// bound, which assumes that no errors cancel, grows to the size of the values themselves. The rule of `tests/engines/check.py`.
const RELATIVE: f64 = 1e-5;

struct Case {
    model: Model,
    params: Params,
    ids: Vec<u32>,
    features: Vec<f32>,
    states: Vec<Vec<f32>>,
}

impl Case {
    fn new(golden: &Golden) -> Self {
        let model = Model::from_config(&golden.config).expect("a model");
        let params = golden.params(&model);
        let mut rng = Rng::named(5, "candle");
        let (mut ids, mut features) = (vec![], vec![]);
        match model.graph().input() {
            Input::Tokens { vocab } => {
                ids.extend((0..BATCH * TIME).map(|_| rng.below(vocab) as u32))
            }
            Input::Features { width } => {
                features.extend((0..BATCH * TIME * width).map(|_| rng.normal() as f32))
            }
        }
        let state =
            |rng: &mut Rng, len: usize| (0..BATCH * len).map(|_| rng.normal() as f32).collect();
        let states = model
            .graph()
            .states()
            .iter()
            .map(|s| state(&mut rng, s.len()))
            .collect();
        Self {
            model,
            params,
            ids,
            features,
            states,
        }
    }

    /// What is true, with the error that f32 may make.
    fn oracle(&self) -> Trace {
        let data = if self.features.is_empty() {
            Data::Tokens(&self.ids)
        } else {
            Data::Features(&self.features)
        };
        let states: Vec<Vec<f64>> = self
            .states
            .iter()
            .map(|s| s.iter().map(|v| f64::from(*v)).collect())
            .collect();
        let run = Run {
            states: Some(&states),
            bounds: true,
            ..Run::new(BATCH, TIME, data)
        };
        oracle::run(self.model.graph(), &self.params.to_f64(), &run).expect("runs")
    }

    /// The file of these options, as candle-onnx reads it.
    fn export(&self, options: ExportOptions) -> candle_onnx::onnx::ModelProto {
        let onnx = export_graph(self.model.graph(), &self.params, &options).expect("exports");
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), onnx.encode()).expect("written");
        candle_onnx::read_file(file.path()).expect("reads")
    }

    /// The input: name, and the tensor `[B, T, ..]`.
    fn input(&self) -> (&'static str, Tensor) {
        match self.model.graph().input() {
            Input::Tokens { .. } => {
                let ids: Vec<i64> = self.ids.iter().map(|i| i64::from(*i)).collect();
                ("input_ids", tensor(ids, &[BATCH, TIME]))
            }
            Input::Features { width } => (
                "features",
                tensor(self.features.clone(), &[BATCH, TIME, width]),
            ),
        }
    }

    fn first_states(&self) -> Vec<Tensor> {
        let specs = self.model.graph().states().iter().zip(&self.states);
        specs
            .map(|(s, v)| tensor(v.clone(), &[vec![BATCH], s.shape()].concat()))
            .collect()
    }

    /// One run: the output, and the states after it.
    fn eval(
        &self,
        file: &candle_onnx::onnx::ModelProto,
        input: Tensor,
        states: Vec<Tensor>,
    ) -> (Tensor, Vec<Tensor>) {
        let graph = self.model.graph();
        let names = graph.states().iter().map(|s| s.input_name());
        let mut feed: HashMap<String, Tensor> = names.zip(states).collect();
        feed.insert(self.input().0.to_owned(), input);
        let results = candle_onnx::simple_eval(file, feed).expect("runs");
        let results: BTreeMap<String, Tensor> = results.into_iter().collect();
        let output = results[graph.output().kind.tensor_name()].clone();
        (
            output,
            graph
                .states()
                .iter()
                .map(|s| results[&s.output_name()].clone())
                .collect(),
        )
    }

    /// Output and states against the oracle's.
    fn check(&self, what: &str, output: &Tensor, states: &[Tensor], want: &Trace) {
        let got = std::iter::once(output).chain(states);
        for (i, (got, want)) in got
            .zip(std::iter::once(&want.output).chain(&want.states))
            .enumerate()
        {
            let got = got
                .flatten_all()
                .and_then(|t| t.to_vec1::<f32>())
                .expect("f32");
            let size = want.data.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            let mut c = Comparison::default();
            c.extend(&got, &want.data, |i| {
                want.bound[i].min(RELATIVE * (1.0 + size))
            });
            assert!(c.holds(), "{what}: result {i}: {c:?}");
        }
    }
}

fn tensor<T: candle_core::WithDType>(values: Vec<T>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).expect("as many values as the shape says")
}

fn cases() -> impl Iterator<Item = (String, Case)> {
    let read = |(name, bytes): (String, Vec<u8>)| {
        (name, Case::new(&Golden::read(&bytes).expect("golden data")))
    };
    files().into_iter().map(read)
}

#[test]
fn whole_sequences_are_the_oracles() {
    for (name, case) in cases() {
        let blocked = ExportOptions {
            max_seq_len: 256,
            ..ExportOptions::default()
        };
        // The doubling scan with a free T needs Pad, of which candle-onnx knows the mode `reflect` only.
        let doubling = ExportOptions {
            lowering: Lowering::KoggeStone,
            seq_len: Some(TIME),
            ..ExportOptions::default()
        };
        for options in [blocked, doubling] {
            let what = format!("{name}, {}", options.lowering_name());
            let (output, states) =
                case.eval(&case.export(options), case.input().1, case.first_states());
            case.check(&what, &output, &states, &case.oracle());
        }
    }
}

#[test]
fn steps_are_the_oracles() {
    for (name, case) in cases() {
        let step = case.export(ExportOptions {
            form: Form::Step,
            ..ExportOptions::default()
        });
        let (input, mut states, mut rows) = (case.input().1, case.first_states(), vec![]);
        for t in 0..TIME {
            let now = input
                .narrow(1, t, 1)
                .and_then(|x| x.squeeze(1))
                .and_then(|x| x.contiguous())
                .expect("a step");
            let (row, next) = case.eval(&step, now, states);
            rows.push(row);
            states = next;
        }
        let last = case.model.graph().is_last_step();
        let output = if last {
            rows.pop().expect("T > 0")
        } else {
            Tensor::stack(&rows, 1).expect("rows of one shape")
        };
        case.check(&name, &output, &states, &case.oracle());
    }
}
