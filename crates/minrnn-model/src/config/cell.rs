//! Which mixer a block has: one variant a kind, each with the keys of its own and one function that makes the layer.
//!
//! Keys are read into one flat list first, so that what is unknown is told with its line; which of them a kind has is held then.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::minimal::{InitialState, Minimal};
use super::selective::{Mamba, Mamba2};
use crate::error::{ModelError, Result};
use crate::graph::{Candidate, Layer};
use crate::layers::{MinGru, MinLstm, Mixer, Straight};

/// What mixes over time in a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Keys")]
pub enum CellConfig {
    /// minGRU.
    MinGru(Minimal),
    /// minLSTM.
    MinLstm(Minimal),
    /// Mamba's selective state space, S6.
    Mamba(Mamba),
    /// Mamba-2's selective state space, SSD.
    Mamba2(Mamba2),
}

/// The kinds of [`CellConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// minGRU.
    MinGru,
    /// minLSTM.
    MinLstm,
    /// Mamba's selective state space, S6.
    Mamba,
    /// Mamba-2's selective state space, SSD.
    Mamba2,
}

/// All keys of all kinds, as they are written; a kind takes its own, and what is left is refused.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Keys {
    #[serde(deserialize_with = "given")]
    pub(super) kind: Option<CellKind>,
    #[serde(deserialize_with = "given")]
    pub(super) expansion: Option<f64>,
    #[serde(deserialize_with = "given")]
    pub(super) candidate: Option<Candidate>,
    #[serde(deserialize_with = "given")]
    pub(super) normalize_gates: Option<bool>,
    #[serde(deserialize_with = "given")]
    pub(super) bias: Option<bool>,
    #[serde(deserialize_with = "shortest_and_longest")]
    pub(super) time_scale: Option<[f64; 2]>,
    #[serde(deserialize_with = "given")]
    pub(super) initial_state: Option<InitialState>,
    #[serde(deserialize_with = "given")]
    pub(super) output_projection: Option<bool>,
    #[serde(deserialize_with = "given")]
    pub(super) states: Option<usize>,
    #[serde(deserialize_with = "given")]
    pub(super) rank: Option<usize>,
    #[serde(deserialize_with = "step_sizes")]
    pub(super) step: Option<[f64; 2]>,
    #[serde(deserialize_with = "given")]
    pub(super) head_channels: Option<usize>,
    #[serde(deserialize_with = "given")]
    pub(super) groups: Option<usize>,
    #[serde(deserialize_with = "given")]
    pub(super) norm_groups: Option<usize>,
    #[serde(deserialize_with = "rates")]
    pub(super) rate: Option<[f64; 2]>,
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
            ("states", self.states.is_some()),
            ("rank", self.rank.is_some()),
            ("step", self.step.is_some()),
            ("head_channels", self.head_channels.is_some()),
            ("groups", self.groups.is_some()),
            ("norm_groups", self.norm_groups.is_some()),
            ("rate", self.rate.is_some()),
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
            CellKind::Mamba => Self::Mamba(Mamba::take(&mut keys)),
            CellKind::Mamba2 => Self::Mamba2(Mamba2::take(&mut keys)),
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
            Self::Mamba => "mamba",
            Self::Mamba2 => "mamba2",
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
            Self::Mamba(_) => CellKind::Mamba,
            Self::Mamba2(_) => CellKind::Mamba2,
        }
    }

    /// D, channels of the state, for M = `width`.
    ///
    /// # Errors
    /// An expansion that gives no whole number of channels.
    pub fn channels(&self, width: usize) -> Result<usize> {
        match self {
            Self::MinGru(keys) | Self::MinLstm(keys) => keys.channels(width),
            Self::Mamba(keys) => keys.channels(width),
            Self::Mamba2(keys) => keys.channels(width),
        }
    }

    /// The layer of a plain block, from `[B, T, M]` to `[B, T, M]`, M = `width`.
    ///
    /// # Errors
    /// The first key whose value makes no layer.
    pub fn layer(&self, width: usize) -> Result<Box<dyn Layer>> {
        self.validate(width)?;
        let straight = |mixer, bias| -> Result<Box<dyn Layer>> {
            Ok(Box::new(Straight {
                mixer,
                channels: self.channels(width)?,
                bias,
            }))
        };
        match self {
            Self::MinGru(keys) => keys.layer(width, min_gru(keys)),
            Self::MinLstm(keys) => keys.layer(width, min_lstm(keys)),
            Self::Mamba(keys) => straight(keys.mixer(width)?, keys.bias),
            Self::Mamba2(keys) => match keys.norm_groups {
                None => straight(keys.mixer(width, 1.0)?, keys.bias),
                Some(_) => Err(ModelError::config(
                    "cell.norm_groups",
                    "is for Mamba's block, whose gate has a norm; set block.kind = \"mamba\" or leave it out",
                )),
            },
        }
    }

    /// What stands in the middle of a block with linear maps of its own, from `[B, T, D]` to `[B, T, D]`; norms with `eps`.
    ///
    /// # Errors
    /// The first key whose value makes no mixer, or has no use there.
    pub fn mixer(&self, width: usize, eps: f64) -> Result<Box<dyn Mixer>> {
        self.validate(width)?;
        if let Self::Mamba(Mamba { bias: true, .. }) | Self::Mamba2(Mamba2 { bias: true, .. }) =
            self
        {
            return Err(ModelError::config(
                "cell.bias",
                "is for the linear maps of the plain block; set block.bias",
            ));
        }
        match self {
            Self::MinGru(keys) => keys.mixer(width, min_gru(keys)),
            Self::MinLstm(keys) => keys.mixer(width, min_lstm(keys)),
            Self::Mamba(keys) => keys.mixer(width),
            Self::Mamba2(keys) => keys.mixer(width, eps),
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
            Self::Mamba(keys) => keys.validate(width),
            Self::Mamba2(keys) => keys.validate(width),
        }
    }
}

fn min_gru(keys: &Minimal) -> MinGru {
    MinGru {
        candidate: keys.candidate,
    }
}

fn min_lstm(keys: &Minimal) -> MinLstm {
    MinLstm {
        candidate: keys.candidate,
        normalize: keys.normalize_gates,
    }
}

fn shortest_and_longest<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<[f64; 2]>, D::Error> {
    pair(
        from,
        "time_scale",
        "the shortest and the longest number of steps",
    )
}

fn step_sizes<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<[f64; 2]>, D::Error> {
    pair(from, "step", "the smallest and the largest step size")
}

fn rates<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<[f64; 2]>, D::Error> {
    pair(from, "rate", "the smallest and the largest decay")
}

/// Formats hand out the first two of three numbers without a word.
fn pair<'de, D: Deserializer<'de>>(
    from: D,
    key: &str,
    which: &str,
) -> std::result::Result<Option<[f64; 2]>, D::Error> {
    let Some(numbers) = Option::<Vec<f64>>::deserialize(from)? else {
        return Ok(None);
    };
    let pair = <[f64; 2]>::try_from(numbers);
    pair.map(Some).map_err(|numbers| {
        let count = numbers.len();
        D::Error::custom(format!("{key} has {count} numbers, expected two: {which}"))
    })
}

/// What is there has a value: JSON could say null.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
