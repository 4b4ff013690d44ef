//! A layer's training step (forward, mean square, backward) by candle, with the fused scans of state spaces and without, in turn:
//! `cargo run --release -p minrnn-train --example bench_scans -- [ROUNDS] [cpu | cuda]`; for `cuda` with `--features cuda`.
#![allow(clippy::print_stdout, reason = "a program for measuring")]

use std::error::Error;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_train::run::{Run, Weights, run};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Block, cell, and sequences and steps of a batch.
const CASES: [(&str, &str, [usize; 2]); 4] = [
    ("mamba", "kind = 'mamba'", [4, 256]),
    (
        "mamba",
        "kind = 'mamba2'\nstates = 64\nhead_channels = 32",
        [4, 256],
    ),
    ("plain", "kind = 's4d'\nstates = 64", [4, 256]),
    ("plain", "kind = 'h3'\nstates = 64\ntaps = 4", [4, 256]),
];

/// One case on a device.
struct Bench {
    model: Model,
    weights: Weights,
    input: Tensor,
}

impl Bench {
    fn new(
        (block, cell, [batch, time]): (&str, &str, [usize; 2]),
        device: &Device,
    ) -> Result<Self> {
        let text = format!(
            "width = 128\nlayers = 2\nblock = '{block}'\n[input]\nvocab = 5\n[head]\nwidth = 5\n[cell]\n{cell}"
        );
        let config: ModelConfig = toml::from_str(&text)?;
        let model = Model::from_config(&config)?;
        let params = Params::init(model.graph(), 1);
        let ids: Vec<u32> = (0..batch * time).map(|i| (i * i % 5) as u32).collect();
        Ok(Self {
            weights: Weights::new(model.graph(), &params, DType::F32, device)?,
            input: Tensor::from_vec(ids, (batch, time), device)?,
            model,
        })
    }

    /// Milliseconds of a step.
    fn step(&self, fused: bool) -> Result<f64> {
        let begin = Instant::now();
        let options = Run {
            fused,
            ..Run::new(&self.input)
        };
        let output = run(self.model.graph(), &self.weights, &options)?.output;
        output.sqr()?.mean_all()?.backward()?;
        self.input.device().synchronize()?;
        Ok(begin.elapsed().as_secs_f64() * 1e3)
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rounds = arguments.first().map_or(Ok(5), |n| n.parse::<usize>())?;
    let device = match arguments.get(1).map_or("cpu", String::as_str) {
        "cpu" => Device::Cpu,
        "cuda" => Device::new_cuda(0)?,
        other => return Err(format!("no device `{other}`: cpu or cuda").into()),
    };
    for case in CASES {
        let bench = Bench::new(case, &device)?;
        let mut least = [f64::INFINITY; 2];
        // The first round loads kernels.
        for round in 0..=rounds {
            for (least, fused) in least.iter_mut().zip([true, false]) {
                let ms = bench.step(fused)?;
                if round > 0 {
                    *least = least.min(ms);
                }
            }
        }
        let [fused, primitives] = least;
        println!(
            "{}, B {}, T {}: fused {fused:.2} ms, primitives {primitives:.2} ms, {:.2} times",
            case.1.replace('\n', ", "),
            case.2[0],
            case.2[1],
            primitives / fused
        );
    }
    Ok(())
}
