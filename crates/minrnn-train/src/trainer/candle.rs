//! The trainer's steps by candle.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use minrnn_model::graph::Graph;
use minrnn_model::params::Params;

use super::accumulate::{masks, parts};
use super::aim::Aim;
use super::backend::{Backend, Report};
use super::config::TrainConfig;
use super::loss::Tensors;
use super::objective::LossConfig;
use crate::error::{Result, TrainError};
use crate::host::scalar;
use crate::optim::{Kind, Optimizer, OptimizerState, Parameter};
use crate::run::{self, Dropout, Run, Weights};
use crate::task::Batch;

/// A model as tensors on a device.
#[derive(Debug)]
pub(super) struct Candle {
    graph: Graph,
    weights: Weights,
    optimizer: Optimizer,
    aim: Aim,
    loss: LossConfig,
    /// Parts of a batch.
    accumulate: usize,
}

impl Candle {
    pub(super) fn new(
        config: &TrainConfig,
        graph: &Graph,
        params: &Params,
        device: &Device,
    ) -> Result<Self> {
        let weights = Weights::new(graph, params, DType::F32, device)?;
        let kinds = Kind::of(graph);
        let parameters = weights.vars().map(|(i, var)| Parameter {
            name: graph.params()[i].name.clone(),
            var: var.clone(),
            kind: kinds[i],
        });
        let optimizer = Optimizer::new(parameters.collect(), config.train.rule()?)?;
        Ok(Self {
            graph: graph.clone(),
            weights,
            optimizer,
            aim: Aim::new(graph),
            loss: config.train.loss.clone(),
            accumulate: config.train.accumulate,
        })
    }
}

impl Candle {
    /// A step whose batch is computed in parts: the sum of their gradients is that of the whole.
    fn in_parts(&mut self, batch: &Batch, dropout: Dropout, lr: f64) -> Result<Report> {
        let mut sum: Option<(Tensor, GradStore)> = None;
        let parts = parts(batch, self.accumulate, &self.loss);
        for (i, (part, share)) in parts.iter().enumerate() {
            let step = Some((masks(dropout, i), &self.loss));
            let (loss, _) = forward(self.aim.graph(), &self.weights, part, step)?;
            let loss = (loss * *share)?;
            let grads = loss.backward()?;
            let loss = loss.detach();
            sum = Some(match sum.take() {
                None => (loss, grads),
                Some((before, all)) => ((before + loss)?, self.added(all, &grads)?),
            });
        }
        let Some((loss, grads)) = sum else {
            return Err(TrainError::config("train.batch", "has no sequence"));
        };
        let (loss, report) = self.optimizer.step_with(&grads, &loss, lr)?;
        Ok(Report {
            loss,
            grad_norm: report.grad_norm,
        })
    }

    /// Gradients of the parameters, added.
    fn added(&self, mut all: GradStore, more: &GradStore) -> Result<GradStore> {
        for (_, var) in self.weights.vars() {
            let sum = match (all.get(var), more.get(var)) {
                (Some(a), Some(b)) => (a + b)?,
                (None, Some(b)) => b.clone(),
                (_, None) => continue,
            };
            all.insert(var, sum);
        }
        Ok(all)
    }
}

impl Backend for Candle {
    fn params(&self) -> Result<Params> {
        Ok(self.weights.to_params(&self.graph)?)
    }

    fn state_dict(&self) -> Result<OptimizerState> {
        self.optimizer.state_dict()
    }

    fn load_state_dict(&mut self, state: &OptimizerState) -> Result<()> {
        self.optimizer.load_state_dict(state)
    }

    fn step(&mut self, batch: &Batch, dropout: Dropout, lr: f64) -> Result<Option<Report>> {
        let batch = self.aim.batch(batch);
        if self.accumulate > 1 {
            return self.in_parts(&batch, dropout, lr).map(Some);
        }
        let (loss, _) = forward(
            self.aim.graph(),
            &self.weights,
            &batch,
            Some((dropout, &self.loss)),
        )?;
        let (loss, report) = self.optimizer.step_of(&loss, lr)?;
        Ok(Some(Report {
            loss,
            grad_norm: report.grad_norm,
        }))
    }

    fn evaluate(&self, batch: &Batch) -> Result<(f64, Option<usize>)> {
        let (loss, correct) = forward(&self.graph, &self.weights, batch, None)?;
        Ok((scalar(&loss)?, correct))
    }
}

/// The loss of a step, with dropout; or that of an evaluation, with the number of targets met.
fn forward(
    graph: &Graph,
    weights: &Weights,
    batch: &Batch,
    step: Option<(Dropout, &LossConfig)>,
) -> Result<(Tensor, Option<usize>)> {
    let tensors = Tensors::new(batch, weights.device())?;
    let run = Run {
        lens: batch.lens.as_deref(),
        reset: batch.reset.as_deref(),
        dropout: step.map(|(dropout, _)| dropout),
        ..Run::new(&tensors.input)
    };
    let output = run::run(graph, weights, &run)?.output;
    if let Some((_, loss)) = step {
        return Ok((tensors.objective(&output, loss)?, None));
    }
    let output = output.detach();
    Ok((tensors.loss(&output)?, tensors.correct(&output)?))
}

#[cfg(all(test, feature = "cuda"))]
mod cuda_tests {
    //! They need a GPU; without one they say so and pass.
    #![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

    use crate::host::transfers;
    use crate::trainer::{TrainConfig, TrainEngine, Trainer};

    const TEXT: &str = r#"
        [task]
        kind = "selective_copying"
        length = 60
        data_tokens = 4
        vocab = 8
        eval_samples = 8

        [model]
        width = 16
        layers = 2
        dropout = 0.1

        [model.conv]
        kernel = 4

        [model.mlp]
        expansion = 2

        [train]
        steps = 6
        batch = 5
        lr = 1e-3

        [train.optimizer]
        clip_norm = 0.5
    "#;

    #[allow(clippy::print_stderr, reason = "a test that could not run says so")]
    fn gpu() -> Option<super::super::Device> {
        match super::super::Device::cuda(0) {
            Ok(device) => Some(device),
            Err(error) => {
                eprintln!("not run: {error}");
                None
            }
        }
    }

    /// Losses of the steps, the norms of their gradients, and the transfers that they took.
    fn steps(engine: TrainEngine, device: &super::super::Device) -> (Vec<[f64; 2]>, usize) {
        steps_with("", engine, device)
    }

    /// The same with more options of the optimizer.
    fn steps_with(
        more: &str,
        engine: TrainEngine,
        device: &super::super::Device,
    ) -> (Vec<[f64; 2]>, usize) {
        let mut config: TrainConfig = toml::from_str(&format!("{TEXT}\n{more}")).unwrap();
        config.train.engine = engine;
        let mut trainer = Trainer::new(&config, device).unwrap();
        let before = transfers();
        let log = |_| {
            let log = trainer.step().unwrap();
            [log.loss, log.grad_norm]
        };
        let logs = (0..6).map(log).collect();
        (logs, transfers() - before)
    }

    #[test]
    fn a_step_of_candle_on_a_gpu_brings_one_tensor_to_the_host() {
        let Some(device) = gpu() else { return };
        assert_eq!(steps(TrainEngine::Candle, &device).1, 6);
    }

    #[test]
    fn muon_on_a_gpu_trains_as_on_the_cpu_and_the_same_bits_twice() {
        let Some(device) = gpu() else { return };
        let by = |engine, device| steps_with("muon = { lr = 5e-3 }", engine, device).0;
        let cpu = by(TrainEngine::Auto, &super::super::Device::Cpu);
        for engine in [TrainEngine::Candle, TrainEngine::Tape] {
            let got = by(engine, &device);
            for (got, want) in got.iter().flatten().zip(cpu.iter().flatten()) {
                let near = (got - want).abs() <= 2e-4 * (1.0 + want.abs());
                assert!(near, "{engine:?}: {got}, wanted {want}");
            }
            assert_eq!(got, by(engine, &device), "{engine:?}");
        }
    }

    #[test]
    fn candle_on_a_gpu_trains_as_the_tape_and_as_the_cpu() {
        let Some(device) = gpu() else { return };
        let (cpu, _) = steps(TrainEngine::Auto, &super::super::Device::Cpu);
        for engine in [TrainEngine::Candle, TrainEngine::Tape] {
            let (got, _) = steps(engine, &device);
            for (step, (got, want)) in got.iter().zip(&cpu).enumerate() {
                for (got, want) in got.iter().zip(want) {
                    let near = (got - want).abs() <= 1e-4 * (1.0 + want.abs());
                    assert!(near, "{engine:?}, step {step}: {got}, wanted {want}");
                }
            }
        }
        assert_eq!(
            steps(TrainEngine::Candle, &device),
            steps(TrainEngine::Candle, &device)
        );
    }
}
