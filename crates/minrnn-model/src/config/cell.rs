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
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Keys")]
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

/// All keys of all kinds, as they are written; a kind takes its own, and what is left is refused.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    #[serde(deserialize_with = "given")]
    kind: Option<CellKind>,
    #[serde(deserialize_with = "given")]
    expansion: Option<f64>,
    #[serde(deserialize_with = "given")]
    candidate: Option<Candidate>,
    #[serde(deserialize_with = "given")]
    normalize_gates: Option<bool>,
    #[serde(deserialize_with = "given")]
    bias: Option<bool>,
    #[serde(deserialize_with = "shortest_and_longest")]
    time_scale: Option<[f64; 2]>,
    #[serde(deserialize_with = "given")]
    initial_state: Option<InitialState>,
    #[serde(deserialize_with = "given")]
    output_projection: Option<bool>,
}

impl Keys {
    /// A key that is there still.
    fn left(&self) -> Option<&'static str> {
        let all = [
            ("expansion", self.expansion.is_some()),
            ("candidate", self.candidate.is_some()),
            ("normalize_gates", self.normalize_gates.is_some()),
            ("bias", self.bias.is_some()),
            ("time_scale", self.time_scale.is_some()),
            ("initial_state", self.initial_state.is_some()),
            ("output_projection", self.output_projection.is_some()),
        ];
        all.into_iter()
            .find(|(_, there)| *there)
            .map(|(key, _)| key)
    }
}

impl TryFrom<Keys> for CellConfig {
    type Error = String;

    fn try_from(mut keys: Keys) -> std::result::Result<Self, String> {
        let kind = keys.kind.unwrap_or(CellKind::MinGru);
        let cell = match kind {
            CellKind::MinGru => Self::MinGru(Minimal::take(&mut keys)),
            CellKind::MinLstm => Self::MinLstm(Minimal::take(&mut keys)),
        };
        match keys.left() {
            Some(key) => Err(format!("{key} is no key of {}; leave it out", kind.name())),
            None => Ok(cell),
        }
    }
}

impl CellKind {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinGru => "min_gru",
            Self::MinLstm => "min_lstm",
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
    fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            candidate: keys.candidate.take().unwrap_or(usual.candidate),
            normalize_gates: keys.normalize_gates.take().unwrap_or(usual.normalize_gates),
            bias: keys.bias.take().unwrap_or(usual.bias),
            time_scale: keys.time_scale.take(),
            initial_state: keys.initial_state.take().unwrap_or(usual.initial_state),
            output_projection: keys
                .output_projection
                .take()
                .unwrap_or(usual.output_projection),
        }
    }

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

/// What is there has a value: JSON could say null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
