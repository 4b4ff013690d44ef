//! What a model is run on, and how a run is held to the oracle's.

use candle_core::{DType, Device, Tensor};
use minrnn_model::compare::Comparison;
use minrnn_model::graph::{Graph, Input};
use minrnn_model::oracle::{self, Data};
use minrnn_model::rng::Rng;

use crate::run::{Outcome, Run, Weights, run};

pub(crate) struct Case {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) ids: Vec<u32>,
    pub(crate) features: Vec<f32>,
    pub(crate) states: Option<Vec<Vec<f64>>>,
    pub(crate) lens: Option<Vec<usize>>,
    pub(crate) reset: Option<Vec<bool>>,
}

impl Case {
    pub(crate) fn new(graph: &Graph, batch: usize, time: usize, seed: u64, extras: bool) -> Self {
        let mut rng = Rng::named(seed, "case");
        let ids = (0..batch * time).map(|_| rng.below(5) as u32).collect();
        let features = (0..batch * time * 3)
            .map(|_| rng.range(-2.0, 2.0) as f32)
            .collect();
        // Sums of weights, which are divided by, are positive; counts are whole numbers.
        let counts: Vec<usize> = graph.counters().iter().map(|s| s.index()).collect();
        let state = |rng: &mut Rng, (at, s): (usize, &minrnn_model::graph::StateSpec)| {
            if counts.contains(&at) {
                return (0..batch).map(|_| rng.below(7) as f64).collect();
            }
            let low = if s.name.ends_with(".c") { 0.5 } else { -1.0 };
            (0..s.len() * batch)
                .map(|_| f64::from(rng.range(low, 1.0) as f32))
                .collect()
        };
        let states = extras.then(|| {
            graph
                .states()
                .iter()
                .enumerate()
                .map(|s| state(&mut rng, s))
                .collect()
        });
        let lens = extras.then(|| (0..batch).map(|_| 1 + rng.below(time)).collect());
        let reset = (extras && seed % 2 == 1)
            .then(|| (0..batch * time).map(|_| rng.below(4) == 0).collect());
        Self {
            batch,
            time,
            ids,
            features,
            states,
            lens,
            reset,
        }
    }

    pub(in crate::run) fn oracle(&self, graph: &Graph, params: &[Vec<f64>]) -> oracle::Trace {
        let data = match graph.input() {
            Input::Tokens { .. } => Data::Tokens(&self.ids),
            Input::Features { .. } => Data::Features(&self.features),
        };
        let run = oracle::Run {
            states: self.states.as_deref(),
            lens: self.lens.as_deref(),
            reset: self.reset.as_deref(),
            ..oracle::Run::new(self.batch, self.time, data)
        };
        oracle::run(graph, params, &run).unwrap()
    }

    /// The input as a tensor on a device.
    pub(crate) fn input(&self, graph: &Graph, device: &Device) -> Tensor {
        let (b, t) = (self.batch, self.time);
        match graph.input() {
            Input::Tokens { .. } => Tensor::from_slice(&self.ids, (b, t), device).unwrap(),
            Input::Features { width } => {
                Tensor::from_slice(&self.features, (b, t, width), device).unwrap()
            }
        }
    }

    pub(in crate::run) fn candle(
        &self,
        graph: &Graph,
        weights: &Weights,
        dtype: DType,
        fused: bool,
    ) -> Outcome {
        let device = weights.device();
        let input = self.input(graph, device);
        let state = |(v, s): (&Vec<f64>, &minrnn_model::graph::StateSpec)| {
            let shape = [vec![self.batch], s.shape()].concat();
            let state = Tensor::from_slice(v, shape, &Device::Cpu).unwrap();
            state.to_dtype(dtype).unwrap().to_device(device).unwrap()
        };
        let states: Option<Vec<Tensor>> = self
            .states
            .as_ref()
            .map(|v| v.iter().zip(graph.states()).map(state).collect());
        let lens: Option<Vec<u32>> = self
            .lens
            .as_ref()
            .map(|l| l.iter().map(|n| *n as u32).collect());
        let r = Run {
            states: states.as_deref(),
            lens: lens.as_deref(),
            reset: self.reset.as_deref(),
            fused,
            ..Run::new(&input)
        };
        run(graph, weights, &r).unwrap()
    }
}

pub(crate) fn floats(t: &Tensor) -> Vec<f64> {
    t.to_device(&Device::Cpu)
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[track_caller]
pub(in crate::run) fn compare(what: &str, got: &Outcome, want: &oracle::Trace, tolerance: f64) {
    let pairs =
        std::iter::once((&got.output, &want.output)).chain(got.states.iter().zip(&want.states));
    let mut c = Comparison::default();
    for (g, w) in pairs {
        let g = floats(g);
        assert_eq!(g.len(), w.data.len(), "{what}");
        g.iter()
            .zip(&w.data)
            .for_each(|(g, w)| c.push(*g, *w, tolerance * (1.0 + w.abs())));
    }
    assert!(c.holds(), "{what}: {c:?}");
}
