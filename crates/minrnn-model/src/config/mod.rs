//! Configuration of a model. Unknown keys are refused; TOML errors carry the line.

mod aaren;
mod attention;
mod block;
mod cell;
mod diagonal;
mod feedback;
mod hyena;
mod keys;
mod minimal;
mod selective;
mod signed;

pub use aaren::Aaren;
pub use attention::Attention;
pub use block::{BlockConfig, GatedConfig};
pub use cell::CellConfig;
pub use diagonal::{H3, S4d};
pub use feedback::Rnn;
pub use hyena::Hyena;
pub use keys::{CellKind, InitialState};
pub use minimal::Minimal;
pub use selective::{Mamba, Mamba2};
pub use signed::Signed;

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};
use crate::graph::OutputKind;
use crate::layers::{Activation, Norm};
use crate::stated::Stated;

/// A model. Input and head may be left out where a task determines them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// M, the model's width.
    pub width: usize,
    /// L, number of blocks.
    pub layers: usize,
    /// What goes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputConfig>,
    /// What mixes over time.
    #[serde(default)]
    pub cell: CellConfig,
    /// What stands around what mixes.
    #[serde(default, skip_serializing_if = "BlockConfig::is_plain")]
    pub block: BlockConfig,
    /// Norm before each part of a block and before the head; `"none"` for no norm.
    #[serde(default)]
    pub norm: NormConfig,
    /// Epsilon of the norms, added to the mean square or the variance under the root.
    #[serde(default = "norm_eps", skip_serializing_if = "is_norm_eps")]
    pub norm_eps: Stated<f64>,
    /// Causal convolution before the cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conv: Option<ConvConfig>,
    /// Feed-forward layer after the cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlp: Option<MlpConfig>,
    /// Whether each part of a block is added to its input.
    #[serde(default = "yes")]
    pub residual: bool,
    /// Dropout probability after each part of a block and after the embedding, and of the weights of attention.
    #[serde(default)]
    pub dropout: f64,
    /// N, rows of a learned table of positions that is added to what goes in; a sequence of more steps is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positions: Option<usize>,
    /// How matrices begin.
    #[serde(default, skip_serializing_if = "InitConfig::is_usual")]
    pub init: InitConfig,
    /// What comes out.
    #[serde(default)]
    pub head: HeadConfig,
}

/// How matrices begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitConfig {
    /// As each layer has it.
    #[default]
    Usual,
    /// GPT-2's: all normal with deviation 0.02, those that end a part of a block with that over the root of the number of parts.
    Gpt2,
}

impl InitConfig {
    fn is_usual(&self) -> bool {
        *self == Self::Usual
    }
}

/// What goes into a model: `vocab` for token ids, or `features` for real values.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// V, number of tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab: Option<usize>,
    /// F, features a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<usize>,
    /// Mean of each feature, subtracted first (a buffer of the model).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of each feature, divided by (a buffer of the model).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// Name of each feature, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

/// Norms of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormConfig {
    /// RMSNorm.
    #[default]
    Rms,
    /// LayerNorm.
    Layer,
    /// None.
    None,
}

impl NormConfig {
    /// The layer with its epsilon, if any.
    pub fn layer(self, eps: f64) -> Option<Norm> {
        match self {
            Self::Rms => Some(Norm::Rms { eps }),
            Self::Layer => Some(Norm::Layer { eps }),
            Self::None => None,
        }
    }
}

/// A causal convolution: depthwise over `kernel` steps, then pointwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvConfig {
    /// k, steps it sees.
    pub kernel: usize,
    /// Whether a linear map over the channels follows.
    #[serde(default = "yes")]
    pub pointwise: bool,
    /// Whether both have a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Whether a norm (the model's, if it has any) comes before it.
    #[serde(default = "normed", skip_serializing_if = "is_yes")]
    pub norm: Stated<bool>,
}

/// A feed-forward layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpConfig {
    /// Inner channels / M.
    #[serde(default = "four")]
    pub expansion: f64,
    /// The activation.
    #[serde(default = "gelu")]
    pub activation: Activation,
    /// Whether a second linear part multiplies the activated one.
    #[serde(default)]
    pub gated: bool,
    /// Whether the linear maps have a bias.
    #[serde(default = "yes")]
    pub bias: bool,
}

/// What comes out of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadConfig {
    /// C, classes or values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// What they mean.
    pub kind: Stated<OutputKind>,
    /// One output a step, or one a sequence.
    pub steps: Stated<HeadSteps>,
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether its matrix is the table of embeddings: as many classes as tokens, in the same order.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tied: bool,
    /// Name of each class or value, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// Of values: mean of each in the data, added last (a buffer of the model).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// Of values: standard deviation of each in the data, multiplied by before the mean is added (a buffer of the model).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            width: None,
            kind: Stated::left_out(OutputKind::Logits),
            steps: Stated::left_out(HeadSteps::Every),
            bias: false,
            tied: false,
            names: None,
            mean: None,
            std: None,
        }
    }
}

/// Which steps have an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadSteps {
    /// Every step: `[B, T, C]`.
    Every,
    /// The last step of each row: `[B, C]`.
    Last,
}

fn yes() -> bool {
    true
}

// Defaults of keys younger than the format are not written: configurations without them keep their bytes.
fn normed() -> Stated<bool> {
    Stated::left_out(true)
}
fn is_yes(value: &Stated<bool>) -> bool {
    **value
}
fn norm_eps() -> Stated<f64> {
    Stated::left_out(Norm::EPS)
}
fn is_norm_eps(value: &Stated<f64>) -> bool {
    **value == Norm::EPS
}
fn four() -> f64 {
    4.0
}
fn gelu() -> Activation {
    Activation::Gelu
}

impl ModelConfig {
    /// D, channels of the recurrent state.
    ///
    /// # Errors
    /// An expansion that gives no whole number of channels.
    pub fn channels(&self) -> Result<usize> {
        self.cell.channels(self.width)
    }

    /// Checks everything that types do not.
    ///
    /// # Errors
    /// The first key whose value makes no model, and what would mend it.
    pub fn validate(&self) -> Result<()> {
        let fail = |key: &str, what: &str| Err(ModelError::config(key, what));
        if !(1..=1 << 20).contains(&self.width) {
            return fail("width", "must be between 1 and 1048576");
        }
        // The graph has some fifty nodes a layer, and a file of a line can ask for any number of them.
        if !(1..=1 << 10).contains(&self.layers) {
            return fail("layers", "must be between 1 and 1024");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return fail("dropout", "must be at least 0 and below 1");
        }
        // Positive in f32 too: a row of zeros would be 0/0.
        if !(f64::from(f32::MIN_POSITIVE)..=1.0).contains(&*self.norm_eps) {
            return fail("norm_eps", "must be between 1.2e-38 and 1");
        }
        if let Some(positions) = self.positions {
            if !(2..=1 << 20).contains(&positions) {
                let what = format!(
                    "is {positions}; it must be between 2 and 1048576, the steps of the longest sequence"
                );
                return fail("positions", &what);
            }
            if let CellConfig::Attention(keys) = &self.cell {
                keys.validate_positions(positions)?;
            }
        }
        self.cell
            .with_positions(self.positions)
            .validate(self.width)?;
        self.block.validate()?;
        if self
            .conv
            .as_ref()
            .is_some_and(|c| !(1..=4096).contains(&c.kernel))
        {
            return fail("conv.kernel", "must be between 1 and 4096");
        }
        if let Some(mlp) = &self.mlp {
            whole("mlp.expansion", self.width, mlp.expansion)?;
        }
        Ok(())
    }
}

/// `width * expansion` as a whole number of channels.
pub(crate) fn whole(key: &str, width: usize, expansion: f64) -> Result<usize> {
    let channels = width as f64 * expansion;
    let near = channels.round();
    // A quotient of two whole numbers, rounded to float64, times one of them is off by the last place at most.
    if !(1.0..=1e7).contains(&near) || (channels - near).abs() > 2.0 * f64::EPSILON * near {
        let what = format!(
            "times width {width} is {channels}; it must be a whole number of channels, 1 to 10000000"
        );
        return Err(ModelError::config(key, what));
    }
    Ok(near as usize)
}
