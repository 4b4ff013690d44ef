//! Random small graphs of every primitive: the oracle against candle and against exported files in the judge, whole and step by step,
//! with given states, lengths and resets.

mod draw;
mod narrow;

use candle_core::{DType, Device, Tensor};
use minrnn_model::graph::{Graph, Input, Law, Op, Span};
use minrnn_model::oracle::{self, Data, Trace};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_onnx::eval::{Array, Inputs, Limits, Session};
use minrnn_onnx::export::{ExportOptions, Form, Lowering, Target, export_graph};
use minrnn_onnx::ir;
use minrnn_train::run::{self, Weights};
use proptest::prelude::*;

/// Inputs of a run.
struct Case {
    batch: usize,
    time: usize,
    ids: Vec<u32>,
    features: Vec<f32>,
    states: Vec<Vec<f64>>,
    lens: Option<Vec<usize>>,
    reset: Option<Vec<bool>>,
}

impl Case {
    fn new(
        graph: &Graph,
        (batch, time): (usize, usize),
        lens: bool,
        reset: bool,
        seed: u64,
    ) -> Self {
        let mut rng = Rng::named(seed, "case");
        let f32s = |n: usize, rng: &mut Rng| -> Vec<f32> {
            (0..n).map(|_| rng.range(-1.5, 1.5) as f32).collect()
        };
        let features = f32s(batch * time * 3, &mut rng);
        let states = graph.states().iter().map(|s| {
            // Steps so far.
            if s.name.ends_with(".n") {
                return (0..batch).map(|_| rng.below(9) as f64).collect();
            }
            let values = f32s(batch * s.len(), &mut rng);
            // Counts are whole numbers.
            let count = s.name.ends_with(".n");
            let whole = |v: f64| if count { (4.0 * v.abs()).floor() } else { v };
            values.into_iter().map(f64::from).map(whole).collect()
        });
        let mut states: Vec<Vec<f64>> = states.collect();
        graph.begun(&mut states, batch);
        Self {
            batch,
            time,
            states,
            features,
            ids: (0..batch * time).map(|_| rng.below(5) as u32).collect(),
            lens: lens.then(|| (0..batch).map(|_| 1 + rng.below(time)).collect()),
            reset: reset.then(|| (0..batch * time).map(|_| rng.below(4) == 0).collect()),
        }
    }

    fn data(&self, graph: &Graph) -> Data<'_> {
        match graph.input() {
            Input::Tokens { .. } => Data::Tokens(&self.ids),
            Input::Features { .. } => Data::Features(&self.features),
        }
    }

    fn oracle(&self, graph: &Graph, params: &Params) -> Trace {
        let run = oracle::Run {
            states: Some(&self.states),
            lens: self.lens.as_deref(),
            reset: self.reset.as_deref(),
            bounds: true,
            ..oracle::Run::new(self.batch, self.time, self.data(graph))
        };
        oracle::run(graph, params, &run).unwrap()
    }

    /// Steps `from..to` with other states; lengths are left out.
    fn piece(&self, (from, to): (usize, usize), states: Vec<Vec<f64>>) -> Self {
        fn cut<T: Copy>(all: &[T], time: usize, n: usize, (from, to): (usize, usize)) -> Vec<T> {
            let rows = all.chunks(time * n);
            rows.flat_map(|row| row[from * n..to * n].to_vec())
                .collect()
        }
        let of = (from, to);
        Self {
            batch: self.batch,
            time: to - from,
            ids: cut(&self.ids, self.time, 1, of),
            features: cut(&self.features, self.time, 3, of),
            states,
            lens: None,
            reset: self.reset.as_ref().map(|r| cut(r, self.time, 1, of)),
        }
    }

    fn candle(&self, graph: &Graph, params: &Params) -> Vec<Vec<f64>> {
        let (b, t) = (self.batch, self.time);
        let weights = Weights::new(graph, params, DType::F64, &Device::Cpu).unwrap();
        let input = match graph.input() {
            Input::Tokens { .. } => Tensor::from_slice(&self.ids, (b, t), &Device::Cpu),
            Input::Features { width } => {
                Tensor::from_slice(&self.features, (b, t, width), &Device::Cpu)
            }
        };
        let states: Vec<Tensor> = std::iter::zip(&self.states, graph.states())
            .map(|(v, s)| {
                Tensor::from_slice(v, [vec![b], s.shape()].concat(), &Device::Cpu).unwrap()
            })
            .collect();
        let lens: Option<Vec<u32>> = self
            .lens
            .as_ref()
            .map(|l| l.iter().map(|n| *n as u32).collect());
        let input = input.unwrap();
        let run = run::Run {
            states: Some(&states),
            lens: lens.as_deref(),
            reset: self.reset.as_deref(),
            ..run::Run::new(&input)
        };
        let outcome = run::run(graph, &weights, &run).unwrap();
        let all = std::iter::once(&outcome.output).chain(&outcome.states);
        all.map(|t| t.flatten_all().unwrap().to_vec1().unwrap())
            .collect()
    }

    fn inputs(&self, graph: &Graph, sequence: bool) -> Inputs {
        let mut inputs = Inputs::new();
        let steps = if sequence {
            vec![self.batch, self.time]
        } else {
            vec![self.batch]
        };
        let ints = |dtype, dims: &[usize], v: Vec<i128>| Array::from_ints(dtype, dims, &v).unwrap();
        let floats =
            |dims: &[usize], v: &[f64]| Array::from_floats(ir::DType::F32, dims, v).unwrap();
        match graph.input() {
            Input::Tokens { .. } => {
                let ids = self.ids.iter().map(|i| i128::from(*i)).collect();
                inputs.insert("input_ids".into(), ints(ir::DType::I64, &steps, ids));
            }
            Input::Features { width } => {
                let values: Vec<f64> = self.features.iter().map(|v| f64::from(*v)).collect();
                inputs.insert(
                    "features".into(),
                    floats(&[&steps[..], &[width]].concat(), &values),
                );
            }
        }
        for (spec, values) in std::iter::zip(graph.states(), &self.states) {
            let dims = [vec![self.batch], spec.shape()].concat();
            inputs.insert(spec.input_name(), floats(&dims, values));
        }
        if let Some(lens) = &self.lens {
            let lens = lens.iter().map(|n| *n as i128).collect();
            inputs.insert("lengths".into(), ints(ir::DType::I64, &[self.batch], lens));
        }
        if let Some(reset) = &self.reset {
            let reset = reset.iter().map(|r| i128::from(*r)).collect();
            inputs.insert("reset".into(), ints(ir::DType::Bool, &steps, reset));
        }
        inputs
    }

    /// Output and states of a file: in float64, and with every result rounded to f32.
    fn judge(&self, graph: &Graph, file: &Session, sequence: bool) -> Vec<[Vec<f64>; 2]> {
        let outputs = file
            .run(&self.inputs(graph, sequence), &Limits::default())
            .unwrap();
        let states = graph.states().iter().map(|s| s.output_name());
        let names = std::iter::once(graph.output().kind.tensor_name().to_owned()).chain(states);
        let read = |a: &Array| a.floats().unwrap().to_vec();
        names
            .map(|name| {
                let y = outputs.get(&name).unwrap();
                [read(y.exact()), read(y.stepwise())]
            })
            .collect()
    }
}

fn session(graph: &Graph, params: &Params, options: &ExportOptions) -> Session {
    let model = export_graph(graph, params, options).unwrap();
    Session::open(&model, None).unwrap()
}

fn tensors(trace: &Trace) -> Vec<&oracle::Tensor> {
    std::iter::once(&trace.output)
        .chain(&trace.states)
        .collect()
}

#[track_caller]
fn near(what: &str, got: &[f64], want: &[f64], allowed: impl Fn(usize) -> f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in std::iter::zip(got, want).enumerate() {
        let off = (g - w).abs();
        assert!(
            off <= allowed(i),
            "{what} [{i}]: {g} for {w}, off by {off:e} of {:e}",
            allowed(i)
        );
    }
}

/// In float64 nothing but the order of sums differs; in f32 no more than the bound.
#[track_caller]
fn right(what: &str, got: &[[Vec<f64>; 2]], want: &Trace) {
    for (i, ([exact, stepwise], w)) in std::iter::zip(got, tensors(want)).enumerate() {
        let largest = w.data.iter().fold(1.0f64, |m, v| m.max(v.abs()));
        near(
            &format!("{what}, value {i} in float64"),
            exact,
            &w.data,
            |_| 1e-9 * largest,
        );
        near(
            &format!("{what}, value {i} in f32"),
            stepwise,
            &w.data,
            |i| 1.1 * w.bound[i] + 4.0 * oracle::UNIT * w.data[i].abs() + 1e-30,
        );
    }
}

fn options(graph_lowering: Lowering, case: &Case) -> ExportOptions {
    ExportOptions {
        lowering: graph_lowering,
        block: 4,
        max_seq_len: 64,
        lengths: case.lens.is_some(),
        reset: case.reset.is_some(),
        // Rules of engines are another test's business; Sin, CumSum and the rest are in ONNX Runtime.
        target: Target::OnnxRuntime,
        ..ExportOptions::default()
    }
}

fn held(graph: &Graph, case: &Case, params: &Params) {
    let want = case.oracle(graph, params);
    for (i, (got, w)) in std::iter::zip(case.candle(graph, params), tensors(&want)).enumerate() {
        near(&format!("candle, value {i}"), &got, &w.data, |i| {
            1e-9 * (1.0 + w.data[i].abs())
        });
    }
    let linear = graph.nodes().iter().all(|n| match n.op {
        Op::Recur { law, .. } => law == Law::Linear,
        _ => true,
    });
    let mut all = vec![
        options(Lowering::Blocked, case),
        options(
            match linear {
                true => Lowering::KoggeStone,
                false => Lowering::BlockedScan,
            },
            case,
        ),
    ];
    all.push(ExportOptions {
        form: Form::Scan,
        fused_cells: true,
        ..options(Lowering::Blocked, case)
    });
    let forms = Form::of(graph);
    for options in all.iter().filter(|o| forms.contains(&o.form)) {
        let file = session(graph, params, options);
        right(
            options.lowering_name(graph),
            &case.judge(graph, &file, true),
            &want,
        );
    }
    streamed(graph, case, params);
}

/// Pieces of one step, by the oracle and by the file of the form `step`, against the whole.
fn streamed(graph: &Graph, case: &Case, params: &Params) {
    let whole = Case {
        lens: None,
        states: case.states.clone(),
        reset: case.reset.clone(),
        ids: case.ids.clone(),
        features: case.features.clone(),
        ..*case
    };
    let want = whole.oracle(graph, params);
    let file = session(
        graph,
        params,
        &ExportOptions {
            form: Form::Step,
            ..options(Lowering::Blocked, &whole)
        },
    );
    let width = graph.width(graph.output().value);
    let timed = graph.span(graph.output().value) == Span::Step;
    let (mut states, mut own) = (whole.states.clone(), whole.states.clone());
    for t in 0..whole.time {
        let piece = whole.piece((t, t + 1), states);
        let step = piece.oracle(graph, params);
        let got = whole.piece((t, t + 1), own).judge(graph, &file, false);
        let rows = want
            .output
            .data
            .chunks(want.output.data.len() / whole.batch);
        let at: Vec<f64> = rows
            .flat_map(|r| r[t * width * usize::from(timed)..][..width].to_vec())
            .collect();
        if timed || t + 1 == whole.time {
            near("oracle by steps", &step.output.data, &at, |i| {
                1e-9 * (1.0 + at[i].abs())
            });
            near("file of a step", &got[0][0], &at, |i| {
                1e-5 * (1.0 + at[i].abs())
            });
        }
        states = step.states.iter().map(|s| s.data.clone()).collect();
        own = got.into_iter().skip(1).map(|[exact, _]| exact).collect();
    }
    for (i, (s, w)) in std::iter::zip(states, &want.states).enumerate() {
        near(&format!("state {i} after steps"), &s, &w.data, |i| {
            1e-9 * (1.0 + w.data[i].abs())
        });
    }
}

fn steps() -> impl Strategy<Value = Vec<draw::Step>> {
    proptest::collection::vec(any::<draw::Step>(), 3..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_computes_the_same(
        steps in steps(),
        tokens: bool,
        last: bool,
        size in (1usize..3, prop_oneof![1usize..10, 1usize..40]),
        lens: bool,
        reset: bool,
        seed: u64,
    ) {
        let graph = draw::graph(tokens, last, &steps);
        let params = Params::init(&graph, seed);
        held(&graph, &Case::new(&graph, size, lens, reset, seed), &params);
    }
}
