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

/// What in `config.json` a buffer follows from.
fn source_of_buffer(name: &str) -> &'static str {
    match (name.ends_with(".shift") || name.ends_with(".scale"), name) {
        (true, name) if name.starts_with("input.") => {
            "the statistics in config.json (mean and std of model.input)"
        }
        (true, name) if name.starts_with("head.") => {
            "the statistics in config.json (mean and std of model.head)"
        }
        _ => {
            "the keys of model.cell in config.json, which all of it follows from (of Hyena `longest` and the channels),"
        }
    }
}

/// Buffers are what the configuration says, to the last bit: statistics of the data, without which the weights mean nothing, and codes
/// that a layer follows from.
fn check_buffers(checkpoint: &Checkpoint, model: &Model, path: &Path) -> Result<()> {
    for spec in model.graph().params() {
        let Role::Buffer { values } = &spec.role else {
            continue;
        };
        let found = &checkpoint.params[&spec.name].data;
        let differs = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits();
        if let Some(i) = found.iter().zip(values).position(differs) {
            let (name, found, wanted) = (&spec.name, found[i], values[i]);
            let source = source_of_buffer(name);
            let message = format!(
                "`{name}` has {found} at {i}, where {source} give {wanted}; one of the two was changed"
            );
            let problem = CheckpointProblem::Malformed { message };
            return Err(TrainError::checkpoint(path, problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::TensorData;
    use super::*;

    /// A buffer that was changed is told with what it follows from: statistics of the one end or the other, or a layer's own keys.
    #[test]
    fn buffers_are_told_with_what_they_follow_from() {
        let text = "width = 4\nlayers = 1\n[input]\nfeatures = 1\nmean = [1.0]\nstd = [2.0]\n\
            [cell]\nkind = 'hyena'\nlongest = 8\n[head]\nwidth = 1\nkind = 'values'\nmean = [1.0]\nstd = [2.0]\n";
        let config: ModelConfig = toml::from_str(text).unwrap();
        let model = Model::from_config(&config).unwrap();
        let mut seen = vec![];
        for spec in model.graph().params() {
            let Role::Buffer { .. } = &spec.role else {
                continue;
            };
            let named = Params::init(model.graph(), 0)
                .to_named(model.graph())
                .into_iter();
            let mut checkpoint = Checkpoint {
                config: serde_json::json!({ "model": model.config() }),
                params: named
                    .map(|(name, (shape, data))| (name, TensorData { shape, data }))
                    .collect(),
                optimizer: None,
                trainer: None,
                raw: None,
                states: None,
                vocabulary: None,
            };
            checkpoint.params.get_mut(&spec.name).unwrap().data[0] += 1.0;
            let error = load_model(&checkpoint, Path::new("c")).unwrap_err();
            let wanted = match spec.name.split('.').next() {
                Some("input") => "model.input) give",
                Some("head") => "model.head) give",
                _ => "model.cell in config.json",
            };
            let error = error.to_string();
            assert!(error.contains(wanted), "{}: {error}", spec.name);
            seen.push(wanted);
        }
        seen.dedup();
        assert_eq!(seen.len(), 3, "{seen:?}");
    }
}
