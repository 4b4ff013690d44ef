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
