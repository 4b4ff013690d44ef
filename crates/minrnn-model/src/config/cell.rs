//! Which mixer a block has: one variant a kind, each with the keys of its own and one function that makes the layer.
//!
//! Keys are read into one flat list first, so that what is unknown is told with its line; which of them a kind has is held then.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::whole;
use crate::error::{ModelError, Result};
use crate::graph::{Candidate, Layer};
use crate::layers::{Gates, MinGru, MinLstm, Recurrent};

/// What mixes over time in a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", from = "Keys")]
pub enum CellConfig {
    /// minGRU.
    MinGru(Minimal),
    /// minLSTM.
    MinLstm(Minimal),
}

/// The kinds of [`CellConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// minGRU.
    MinGru,
    /// minLSTM.
    MinLstm,
}

/// Keys of the paper's two cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Minimal {
    /// D / M.
    pub expansion: f64,
    /// Activation of the candidate.
    pub candidate: Candidate,
    /// minLSTM: whether gates are normalised to a sum of 1 (minGRU's always are).
    pub normalize_gates: bool,
    /// Whether linear maps of the layer have a bias.
    pub bias: bool,
    /// Shortest and longest time scale, in steps, that gates begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_scale: Option<[f64; 2]>,
    /// Where the state begins.
    pub initial_state: InitialState,
    /// Whether a linear map leads from D back to M; must be `true` where D differs from M.
    pub output_projection: bool,
}

/// Where a state begins when the caller has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitialState {
    /// Zeros.
    Zero,
    /// A learned vector.
    Learned,
}

/// All keys of all kinds, as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    kind: CellKind,
    expansion: f64,
    candidate: Candidate,
    normalize_gates: bool,
    bias: bool,
    #[serde(deserialize_with = "shortest_and_longest")]
    time_scale: Option<[f64; 2]>,
    initial_state: InitialState,
    output_projection: bool,
}

impl Default for Keys {
    fn default() -> Self {
        let Minimal {
            expansion,
            candidate,
            normalize_gates,
            bias,
            time_scale,
            initial_state,
            output_projection,
        } = Minimal::default();
        Self {
            kind: CellKind::MinGru,
            expansion,
            candidate,
            normalize_gates,
            bias,
            time_scale,
            initial_state,
            output_projection,
        }
    }
}

impl From<Keys> for CellConfig {
    fn from(keys: Keys) -> Self {
        let minimal = Minimal {
            expansion: keys.expansion,
            candidate: keys.candidate,
            normalize_gates: keys.normalize_gates,
            bias: keys.bias,
            time_scale: keys.time_scale,
            initial_state: keys.initial_state,
            output_projection: keys.output_projection,
        };
        match keys.kind {
            CellKind::MinGru => Self::MinGru(minimal),
            CellKind::MinLstm => Self::MinLstm(minimal),
        }
    }
}

impl Default for Minimal {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            candidate: Candidate::G,
            normalize_gates: true,
            bias: true,
            time_scale: None,
            initial_state: InitialState::Zero,
            output_projection: true,
        }
    }
}

impl Default for CellConfig {
    fn default() -> Self {
        Self::MinGru(Minimal::default())
    }
}

impl CellConfig {
    /// Which kind.
    pub fn kind(&self) -> CellKind {
        match self {
            Self::MinGru(_) => CellKind::MinGru,
            Self::MinLstm(_) => CellKind::MinLstm,
        }
    }

    /// D, channels of the state, for M = `width`.
    ///
    /// # Errors
    /// An expansion that gives no whole number of channels.
    pub fn channels(&self, width: usize) -> Result<usize> {
        match self {
            Self::MinGru(keys) | Self::MinLstm(keys) => keys.channels(width),
        }
    }

    /// The layer, from `[B, T, M]` to `[B, T, M]`, M = `width`.
    ///
    /// # Errors
    /// The first key whose value makes no layer.
    pub fn layer(&self, width: usize) -> Result<Box<dyn Layer>> {
        self.validate(width)?;
        match self {
            Self::MinGru(keys) => keys.layer(
                width,
                MinGru {
                    candidate: keys.candidate,
                },
            ),
            Self::MinLstm(keys) => keys.layer(
                width,
                MinLstm {
                    candidate: keys.candidate,
                    normalize: keys.normalize_gates,
                },
            ),
        }
    }

    /// Checks everything that types do not.
    ///
    /// # Errors
    /// The first key whose value makes no layer, and what would mend it.
    pub fn validate(&self, width: usize) -> Result<()> {
        match self {
            Self::MinGru(keys) => {
                keys.validate(width)?;
                if !keys.normalize_gates {
                    return Err(ModelError::config(
                        "cell.normalize_gates",
                        "is for min_lstm; the gates of min_gru always have the sum 1",
                    ));
                }
                Ok(())
            }
            Self::MinLstm(keys) => keys.validate(width),
        }
    }
}

impl Minimal {
    fn channels(&self, width: usize) -> Result<usize> {
        whole("cell.expansion", width, self.expansion)
    }

    fn layer(&self, width: usize, gates: impl Gates + 'static) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Recurrent {
            gates,
            channels: self.channels(width)?,
            bias: self.bias,
            time_scale: self.time_scale.map(|[min, max]| (min, max)),
            learned_state: self.initial_state == InitialState::Learned,
            projection: self.output_projection,
        }))
    }

    fn validate(&self, width: usize) -> Result<()> {
        let fail = |key: &str, what: &str| Err(ModelError::config(key, what));
        if self.channels(width)? != width && !self.output_projection {
            return fail(
                "cell.output_projection",
                "must be true where cell.expansion is not 1",
            );
        }
        if let Some([min, max]) = self.time_scale {
            // Beyond, f32 takes the gate for 0 or 1.
            if !(min <= max && min >= 0.01 && max <= 1e7) {
                return fail(
                    "cell.time_scale",
                    "must be two numbers of steps from 0.01 to 1e7, the shorter first",
                );
            }
            if !self.bias {
                return fail(
                    "cell.time_scale",
                    "is set by the bias of the gates; set cell.bias = true",
                );
            }
        }
        Ok(())
    }
}

/// Formats hand out the first two of three numbers without a word.
fn shortest_and_longest<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<[f64; 2]>, D::Error> {
    let Some(numbers) = Option::<Vec<f64>>::deserialize(from)? else {
        return Ok(None);
    };
    let pair = <[f64; 2]>::try_from(numbers);
    pair.map(Some).map_err(|numbers| {
        let count = numbers.len();
        D::Error::custom(format!(
            "time_scale has {count} numbers, expected two: the shortest and the longest number of steps"
        ))
    })
}
