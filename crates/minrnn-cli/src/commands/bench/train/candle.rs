//! The same steps by candle on the GPU: its tensors, our kernels as its operations, f32.

use std::time::Instant;

use anyhow::Result;
use candle_core::{DType, Tensor, Var};
use minrnn_kernels::cross_entropy;
use minrnn_kernels::cuda::Gpu;
use minrnn_model::graph::Graph;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_train::optim::{AdamWConfig, Kind, Optimizer, Parameter};
use minrnn_train::run::{self, Dropout, Run, Weights};

use super::{Language, Layer};
use super::{REPEATS, Row, median};

/// Memory that the device has taken since `free` bytes were left: candle's pool keeps what it freed.
fn taken(gpu: &Gpu, free: usize) -> usize {
    gpu.memory().map_or(0, |(now, _)| free.saturating_sub(now))
}

/// Forward, mean square, backward with the gradient of the input.
pub(super) fn layer(gpu: &Gpu, kind: Layer, shape: [usize; 3]) -> Result<Row> {
    let free = gpu.memory().map_or(0, |(free, _)| free);
    let device = gpu.to_candle()?;
    let [batch, time, width] = shape;
    let model = kind.model(time, width)?;
    let params = Params::init(model.graph(), 0);
    let weights = Weights::new(model.graph(), &params, DType::F32, &device)?;
    let input = Var::from_tensor(&Tensor::rand(-1.7f32, 1.7, (batch, time, width), &device)?)?;
    let mut times = vec![];
    for i in 0..REPEATS + 3 {
        device.synchronize()?;
        let start = Instant::now();
        let output = run::run(model.graph(), &weights, &Run::new(&input))?.output;
        let grads = output.sqr()?.mean_all()?.backward()?;
        device.synchronize()?;
        drop(grads);
        if i >= 3 {
            times.push(start.elapsed().as_secs_f32() * 1e3);
        }
    }
    Ok(row(kind.name(), shape, median(times), taken(gpu, free)))
}

/// Whole optimizer steps with new batches, by the clock.
pub(super) fn language(gpu: &Gpu) -> Result<Row> {
    let free = gpu.memory().map_or(0, |(free, _)| free);
    let device = gpu.to_candle()?;
    let model = Language::MinGru.model()?;
    let (batch, time) = (64, 256);
    let params = Params::init(model.graph(), 0);
    let weights = Weights::new(model.graph(), &params, DType::F32, &device)?;
    let rule = AdamWConfig {
        clip_norm: Some(0.25),
        ..AdamWConfig::default()
    };
    let mut optimizer = Optimizer::new(parameters(model.graph(), &weights), rule.rule()?)?;
    let mut rng = Rng::named(1, "bench");
    let mut times = vec![];
    for step in 0..REPEATS as u64 + 3 {
        let ids: Vec<u32> = (0..batch * time).map(|_| rng.below(65) as u32).collect();
        let start = Instant::now();
        let input = Tensor::from_vec(ids, (batch, time), &device)?;
        let r = Run {
            dropout: Some(Dropout { seed: 0, step }),
            ..Run::new(&input)
        };
        let output = run::run(model.graph(), &weights, &r)?.output;
        let logits = output.reshape((batch * time, 65))?;
        let loss = cross_entropy(&logits, &input.flatten_all()?, None)?;
        optimizer.step_of(&loss, 1e-3)?;
        device.synchronize()?;
        if step >= 3 {
            times.push(start.elapsed().as_secs_f32() * 1e3);
        }
    }
    let shape = [batch, time, 384];
    Ok(row(
        "language model",
        shape,
        median(times),
        taken(gpu, free),
    ))
}

fn parameters(graph: &Graph, weights: &Weights) -> Vec<Parameter> {
    let kinds = Kind::of(graph);
    let parameter = |(i, var): (usize, &Var)| Parameter {
        name: graph.params()[i].name.clone(),
        var: var.clone(),
        kind: kinds[i],
    };
    weights.vars().map(parameter).collect()
}

fn row(name: &str, shape: [usize; 3], ms: f64, peak_bytes: usize) -> Row {
    Row {
        model: name.to_owned(),
        engine: "candle".to_owned(),
        shape,
        dtype: "f32",
        ms,
        peak_bytes,
        launches: None,
    }
}
