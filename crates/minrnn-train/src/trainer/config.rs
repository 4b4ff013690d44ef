//! A training run as written in a file.

use std::sync::Arc;

use minrnn_model::config::{HeadSteps, InputConfig, ModelConfig, NormConfig};
use minrnn_model::graph::Input;
use minrnn_model::stated::Stated;
use serde::{Deserialize, Serialize};

use super::average::AverageConfig;
use super::loss_scale::LossScaleConfig;
use super::objective::LossConfig;
use super::on_nan::OnNan;
use super::precision::Precision;
use crate::error::{Result, TrainError};
use crate::optim::{OptimizerConfig, Rule};
use crate::schedule::{Decay, Schedule};
use crate::task::{Scales, Task, TaskConfig};

/// A training run: the task, the model, the options of the training. Unknown keys are refused with their line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// What is learned.
    pub task: TaskConfig,
    /// The model; what the task determines (vocabulary, features, classes) may be left out.
    pub model: ModelConfig,
    /// Options of the training.
    pub train: TrainOptions,
}

/// Options of the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainOptions {
    /// Optimizer steps in all.
    pub steps: u64,
    /// B, sequences a step.
    pub batch: usize,
    /// Parts that a step's batch is computed in, one after the other.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Whether the training part is read as `batch` streams side by side, each step beginning with the states that the last one
    /// ended with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carry_state: bool,
    /// Seed of first weights, data order and dropout.
    #[serde(default)]
    pub seed: u64,
    /// Highest learning rate.
    pub lr: f64,
    /// Learning rate at the end of the cosine.
    #[serde(default)]
    pub min_lr: f64,
    /// Steps of the linear warm-up.
    #[serde(default)]
    pub warmup_steps: u64,
    /// How the rate goes on after the warm-up.
    #[serde(default)]
    pub decay: Decay,
    /// The optimizer.
    #[serde(default, deserialize_with = "OptimizerConfig::read")]
    pub optimizer: OptimizerConfig,
    /// What a step makes small.
    #[serde(
        default,
        skip_serializing_if = "LossConfig::is_default",
        deserialize_with = "LossConfig::read"
    )]
    pub loss: LossConfig,
    /// The average of the weights that is evaluated and kept in their place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<AverageConfig>,
    /// What computes the steps.
    #[serde(default, skip_serializing_if = "TrainEngine::is_default")]
    pub engine: TrainEngine,
    /// In which precision a GPU computes; the CPU has f32.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// Of gradients in float16: what the loss is multiplied by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScaleConfig>,
    /// Whether a GPU's matrix products are chosen by time: some per cent faster, but two runs may differ in their last bits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tuned: bool,
    /// Steps between evaluations; 0: only at the end.
    #[serde(default)]
    pub eval_every: u64,
    /// Sequences of an evaluation during training, by which the best is chosen; 0: all. The last evaluation has all.
    #[serde(default)]
    pub eval_samples: u64,
    /// Training stops early once an evaluation's accuracy reaches this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_at_accuracy: Option<f64>,
    /// Training stops early after so many evaluations in a row without a lower loss than the lowest before them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// What a run does once a loss or a gradient is not finite.
    #[serde(default, skip_serializing_if = "OnNan::is_default")]
    pub on_nan: OnNan,
    /// What the learning rate is multiplied by each time it rolls back, 0.5 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roll_back_factor: Option<f64>,
    /// How often it rolls back at most, 3 times by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roll_back_times: Option<u64>,
    /// Bytes of main memory that the run may take; `None`: any number. Of the machine, so no file says it: the program does.
    #[serde(skip)]
    pub memory: Option<u64>,
}

fn one() -> usize {
    1
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

/// What computes the steps of a training. Both compute the same, each with its own rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainEngine {
    /// The tape where it knows the whole model, else candle.
    #[default]
    Auto,
    /// The tape: planned, fused, on GPUs captured; models that it knows.
    Tape,
    /// candle's tensors, with this workspace's kernels as custom operations: every model, on the CPU and on GPUs.
    Candle,
}

impl TrainEngine {
    /// As written in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tape => "tape",
            Self::Candle => "candle",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl TrainConfig {
    /// Holds what needs no data to be known, before they are read.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the key, [`TrainError::Model`].
    pub fn validate(&self) -> Result<()> {
        self.train.validate()?;
        if let TaskConfig::Sequences(options) = &self.task
            && options.seq_len.is_some()
            && !self.train.carry_state
        {
            let message = "cuts sequences into pieces whose states are carried on, and train.carry_state is false: sequences are trained whole; leave it out, or set that";
            return Err(TrainError::config("task.seq_len", message));
        }
        Ok(self.model.validate()?)
    }
}

impl TrainOptions {
    /// The learning rates.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            decay: self.decay,
            lr: self.lr,
            min_lr: self.min_lr,
            warmup_steps: self.warmup_steps,
            total_steps: self.steps,
        }
    }

    /// The optimizer's rule.
    ///
    /// # Errors
    /// As [`OptimizerConfig::validate`].
    pub fn rule(&self) -> Result<Arc<dyn Rule>> {
        self.optimizer.rule(self.lr)
    }

    pub(super) fn validate(&self) -> Result<()> {
        if self.batch == 0 || self.batch > 1 << 20 {
            return Err(TrainError::config(
                "train.batch",
                format!("is {}, expected 1 to 1048576", self.batch),
            ));
        }
        if self.accumulate == 0 || self.accumulate > self.batch {
            return Err(TrainError::config(
                "train.accumulate",
                format!(
                    "is {}, expected 1 to train.batch, {}: a step's batch is computed in so many parts",
                    self.accumulate, self.batch
                ),
            ));
        }
        if self.steps == 0 {
            return Err(TrainError::config(
                "train.steps",
                "is 0, expected at least 1",
            ));
        }
        if self
            .stop_at_accuracy
            .is_some_and(|a| !(0.0..=1.0).contains(&a))
        {
            return Err(TrainError::config(
                "train.stop_at_accuracy",
                "must be between 0 and 1",
            ));
        }
        if self.patience == Some(0) {
            return Err(TrainError::config(
                "train.patience",
                "is 0, and would end the run at its first evaluation; give at least 1, or leave it out",
            ));
        }
        self.check_roll_back()?;
        if let Some(scale) = &self.loss_scale {
            scale.check(self.precision)?;
        }
        if let Some(average) = &self.average {
            average.validate(self.steps)?;
        }
        self.optimizer.validate()?;
        self.schedule().validate()
    }
}

/// Refuses what somebody stated of norms in a model that has none. Checkpoints of older versions may have it, and go on.
pub(super) fn refuse_idle_norms(model: &ModelConfig) -> Result<()> {
    if model.norm != NormConfig::None {
        return Ok(());
    }
    let refuse = |field: &str, what: &str| {
        let message = format!("{what}, and model.norm is \"none\"; leave it out, or choose a norm");
        Err(TrainError::config(field, message))
    };
    if model.norm_eps.is_stated() {
        return refuse("model.norm_eps", "is of the norms");
    }
    match &model.conv {
        Some(conv) if conv.norm.is_stated() && *conv.norm => refuse(
            "model.conv.norm",
            "is the model's norm before the convolution",
        ),
        _ => Ok(()),
    }
}

/// The model's configuration with what the task determines filled in: kinds, sizes, names, statistics.
///
/// # Errors
/// [`TrainError::Config`] where the configuration says something else than the task.
pub fn resolve(config: &ModelConfig, task: &dyn Task) -> Result<ModelConfig> {
    let shape = task.shape();
    let mut model = config.clone();
    let mut input = model.input.take().unwrap_or_default();
    match shape.input {
        Input::Tokens { vocab } => {
            agree("model.input.vocab", &mut input.vocab, vocab)?;
            absent("model.input.features", input.features.is_some(), "tokens")?;
        }
        Input::Features { width } => {
            agree("model.input.features", &mut input.features, width)?;
            absent("model.input.vocab", input.vocab.is_some(), "features")?;
            normalise(&mut input, task);
            let names = task.feature_names();
            agree_names("model.input.names", &mut input.names, names)?;
        }
    }
    model.input = Some(input);
    agree("model.head.width", &mut model.head.width, shape.width)?;
    let steps = if shape.per_step {
        HeadSteps::Every
    } else {
        HeadSteps::Last
    };
    agree_stated("model.head.kind", &mut model.head.kind, shape.output)?;
    agree_stated("model.head.steps", &mut model.head.steps, steps)?;
    if let Some(n) = task.target_normalisation() {
        model.head.mean.get_or_insert_with(|| n.mean.clone());
        model.head.std.get_or_insert_with(|| n.std.clone());
    }
    let names = task.target_names();
    agree_names("model.head.names", &mut model.head.names, names)?;
    Ok(model)
}

/// Whether float32 can compute with the task's values as a complete configuration of a model normalises them.
pub(super) fn check_values(model: &ModelConfig, task: &dyn Task) -> Result<()> {
    let features = model
        .input
        .as_ref()
        .map_or_else(Scales::default, |input| Scales {
            mean: input.mean.as_deref(),
            std: input.std.as_deref(),
        });
    let targets = Scales {
        mean: model.head.mean.as_deref(),
        std: model.head.std.as_deref(),
    };
    task.check_values(features, targets)
}

/// Names that the data has are those of the model.
fn agree_names(
    field: &str,
    found: &mut Option<Vec<String>>,
    wanted: Option<&[String]>,
) -> Result<()> {
    match (found.as_deref(), wanted) {
        (Some(found), Some(wanted)) if found != wanted => {
            let message = format!("is {found:?}, the data has {wanted:?}; leave it out");
            Err(TrainError::config(field, message))
        }
        (None, Some(wanted)) => {
            *found = Some(wanted.to_vec());
            Ok(())
        }
        _ => Ok(()),
    }
}

fn agree(field: &str, found: &mut Option<usize>, wanted: usize) -> Result<()> {
    match *found {
        Some(n) if n != wanted => Err(TrainError::config(
            field,
            format!("is {n}, the task needs {wanted}; leave it out, or change the task"),
        )),
        _ => {
            *found = Some(wanted);
            Ok(())
        }
    }
}

/// The same of a choice with a default, which the task overrules where it was left out.
fn agree_stated<T: PartialEq + Serialize>(
    field: &str,
    found: &mut Stated<T>,
    wanted: T,
) -> Result<()> {
    if found.is_stated() && *found != wanted {
        let [found, wanted] =
            [&**found, &wanted].map(|choice| serde_json::json!(choice).to_string());
        return Err(TrainError::config(
            field,
            format!("is {found}, the task needs {wanted}; leave it out, or change the task"),
        ));
    }
    *found = wanted.into();
    Ok(())
}

fn absent(field: &str, present: bool, takes: &str) -> Result<()> {
    if present {
        Err(TrainError::config(
            field,
            format!("is set, but the task gives {takes}"),
        ))
    } else {
        Ok(())
    }
}

fn normalise(input: &mut InputConfig, task: &dyn Task) {
    if let Some(n) = task.normalisation() {
        input.mean.get_or_insert_with(|| n.mean.clone());
        input.std.get_or_insert_with(|| n.std.clone());
    }
}
