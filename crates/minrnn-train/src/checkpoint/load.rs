//! Models of checkpoints.

use std::path::Path;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::{Params, Role};

use super::Checkpoint;
use crate::error::{CheckpointProblem, Result, TrainError};

/// The model of a checkpoint. `path` is for messages.
///
/// # Errors
/// [`TrainError::Checkpoint`] if its configuration describes no model, or its tensors are not those of the model.
pub fn load_model(checkpoint: &Checkpoint, path: &Path) -> Result<(Model, Params)> {
    let model = described(checkpoint, path)?;
    let params = params_of(checkpoint, &model, path)?;
    Ok((model, params))
}

/// What the model of a checkpoint was made from. `path` is for messages.
///
/// # Errors
/// [`TrainError::Data`] if its configuration describes no model, or one that only the program that made it knows.
pub fn model_config(checkpoint: &Checkpoint, path: &Path) -> Result<ModelConfig> {
    let json = checkpoint.config.get("model").cloned().unwrap_or_default();
    let bad = |message: String| TrainError::Data {
        path: path.join("config.json"),
        place: "model".into(),
        message,
    };
    if json.pointer("/cell/kind").and_then(|k| k.as_str()) == Some("custom") {
        let name = json
            .pointer("/cell/name")
            .and_then(|n| n.as_str())
            .unwrap_or("?");
        return Err(bad(format!(
            "has a layer of its own, `{name}`; only the program that defines it can load it"
        )));
    }
    serde_json::from_value(json).map_err(|e| bad(format!("is no model configuration: {e}")))
}

fn described(checkpoint: &Checkpoint, path: &Path) -> Result<Model> {
    let config = model_config(checkpoint, path)?;
    Model::from_config(&config).map_err(|e| TrainError::Data {
        path: path.join("config.json"),
        place: "model".into(),
        message: e.to_string(),
    })
}

/// [`load_model`] that moves the parameters out of the checkpoint: a large model is in memory once.
///
/// # Errors
/// As [`load_model`].
pub fn take_model(checkpoint: &mut Checkpoint, path: &Path) -> Result<(Model, Params)> {
    let model = described(checkpoint, path)?;
    checked(checkpoint, &model, path)?;
    let params = std::mem::take(&mut checkpoint.params);
    let named = params.into_iter().map(|(n, t)| (n, (t.shape, t.data)));
    let params = Params::from_named(model.graph(), named.collect())?;
    Ok((model, params))
}

/// The parameters of a checkpoint in the order of a model.
pub(crate) fn params_of(checkpoint: &Checkpoint, model: &Model, path: &Path) -> Result<Params> {
    checked(checkpoint, model, path)?;
    let named = checkpoint
        .params
        .iter()
        .map(|(n, t)| (n.clone(), (t.shape.clone(), t.data.clone())))
        .collect();
    Ok(Params::from_named(model.graph(), named)?)
}

fn checked(checkpoint: &Checkpoint, model: &Model, path: &Path) -> Result<()> {
    let wanted: Vec<_> = model
        .graph()
        .params()
        .iter()
        .map(|s| (s.name.clone(), s.shape.clone()))
        .collect();
    checkpoint.check_against(path, &wanted)?;
    check_buffers(checkpoint, model, path)
}

/// Buffers are what the configuration says, to the last bit: statistics of the data, without which the weights mean nothing.
fn check_buffers(checkpoint: &Checkpoint, model: &Model, path: &Path) -> Result<()> {
    for spec in model.graph().params() {
        let Role::Buffer { values } = &spec.role else {
            continue;
        };
        let found = &checkpoint.params[&spec.name].data;
        let differs = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits();
        if let Some(i) = found.iter().zip(values).position(differs) {
            let (name, found, wanted) = (&spec.name, found[i], values[i]);
            let message = format!(
                "`{name}` has {found} at {i}, where the statistics in config.json (mean and std of model.input and model.head) give {wanted}; one of the two was changed"
            );
            let problem = CheckpointProblem::Malformed { message };
            return Err(TrainError::checkpoint(path, problem));
        }
    }
    Ok(())
}
