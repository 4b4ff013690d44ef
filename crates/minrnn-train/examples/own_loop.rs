//! A loss and a loop of one's own: the model and its gradients from here, the rest as you like. A band instead of a value: nine of ten
//! readings of a noisy wave are to lie below what the model says.
//!
//! `cargo run --release -p minrnn-train --example own_loop -- [FOLDER]`, then `minrnn export FOLDER --out export`.

use std::error::Error;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_train::checkpoint::{Checkpoint, TensorData};
use minrnn_train::optim::{AdamWConfig, Kind, Optimizer, Parameter};
use minrnn_train::run::{Run, Weights, run};

const MODEL: &str =
    "width = 16\nlayers = 1\n[input]\nfeatures = 1\n[head]\nwidth = 1\nkind = 'values'";
const QUANTILE: f64 = 0.9;
const SIZE: (usize, usize) = (16, 64);

/// A wave with noise `[B, T, 1]`, and the reading one step later.
fn batch(rng: &mut Rng) -> candle_core::Result<(Tensor, Tensor)> {
    let (rows, time) = SIZE;
    let mut values = vec![];
    for _ in 0..rows {
        let begin = rng.range(0.0, 6.3);
        values.extend(
            (0..=time).map(|t| ((begin + t as f64 / 5.0).sin() + 0.3 * rng.normal()) as f32),
        );
    }
    let all = Tensor::from_vec(values, (rows, time + 1, 1), &Device::Cpu)?;
    Ok((all.narrow(1, 0, time)?, all.narrow(1, 1, time)?))
}

/// The pinball loss: what is above costs nine times what is below, so that the model says the quantile.
fn pinball(said: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
    let over = (target - said)?;
    ((&over * QUANTILE)?.maximum(&(over * (QUANTILE - 1.0))?))?.mean_all()
}

/// Trains, saves a checkpoint, and gives the share of new readings that lie below what the model says.
fn train(folder: &Path, steps: usize) -> Result<f64, Box<dyn Error>> {
    let config: ModelConfig = toml::from_str(MODEL)?;
    let model = Model::from_config(&config)?;
    let graph = model.graph();
    let weights = Weights::new(graph, &Params::init(graph, 0), DType::F32, &Device::Cpu)?;
    let kinds = Kind::of(graph);
    let parameters = weights.vars().map(|(at, var)| Parameter {
        name: graph.params()[at].name.clone(),
        var: var.clone(),
        kind: kinds[at],
    });
    let mut optimizer = Optimizer::new(parameters.collect(), AdamWConfig::default().rule()?)?;
    let mut rng = Rng::named(0, "waves");
    for _ in 0..steps {
        let (input, target) = batch(&mut rng)?;
        let said = run(graph, &weights, &Run::new(&input))?.output;
        optimizer.step_of(&pinball(&said, &target)?, 1e-2)?;
    }
    let named = weights.to_params(graph)?.to_named(graph).into_iter();
    let checkpoint = Checkpoint {
        config: serde_json::json!({ "model": model.config() }),
        params: named
            .map(|(n, (shape, data))| (n, TensorData { shape, data }))
            .collect(),
        optimizer: None,
        trainer: None,
        raw: None,
        states: None,
        vocabulary: None,
    };
    checkpoint.save(folder)?;
    let (input, target) = batch(&mut rng)?;
    let said = run(graph, &weights, &Run::new(&input))?.output;
    let below = target.le(&said)?.to_dtype(DType::F64)?.mean_all()?;
    Ok(below.to_scalar::<f64>()?)
}

#[expect(clippy::print_stdout, reason = "an example shows what it did")]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "own_loop".into());
    let below = train(Path::new(&folder), 400)?;
    println!(
        "{:.1} % of new readings lie below what the model says; {folder} is a checkpoint",
        100.0 * below
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn nine_of_ten_readings_lie_below() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("run");
        let below = super::train(&path, 300).expect("it trains");
        assert!((0.85..0.95).contains(&below), "{below}");
        let saved = minrnn_train::checkpoint::Checkpoint::load(&path).expect("a checkpoint");
        minrnn_train::checkpoint::load_model(&saved, &path).expect("of a model");
    }
}
