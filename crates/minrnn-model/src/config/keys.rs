//! All keys of all mixers, read into one flat list first, so that what is unknown is told with its line; which of them a kind has is
//! held then.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::graph::Candidate;
use crate::layers::Diagonal;

/// Where a state begins when the caller has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitialState {
    /// Zeros.
    Zero,
    /// A learned vector.
    Learned,
}

/// The kinds of [`CellConfig`](super::CellConfig).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// minGRU.
    MinGru,
    /// minLSTM.
    MinLstm,
    /// minGRU whose channels can turn their sign.
    SignedMinGru,
    /// Mamba's selective state space, S6.
    Mamba,
    /// Mamba-2's selective state space, SSD.
    Mamba2,
    /// The diagonal state space, S4D.
    S4d,
    /// H3.
    H3,
    /// Attention of a learned query as a recurrence.
    Aaren,
    /// Hyena.
    Hyena,
    /// Causal attention over a window.
    Attention,
    /// GRU.
    Gru,
    /// LSTM.
    Lstm,
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
    #[serde(deserialize_with = "given")]
    pub(super) diagonal: Option<Diagonal>,
    #[serde(deserialize_with = "given")]
    pub(super) taps: Option<usize>,
    #[serde(deserialize_with = "rates")]
    pub(super) rate: Option<[f64; 2]>,
    #[serde(deserialize_with = "given")]
    pub(super) longest: Option<usize>,
    #[serde(deserialize_with = "given")]
    pub(super) filter_width: Option<usize>,
    #[serde(deserialize_with = "given")]
    pub(super) heads: Option<usize>,
    #[serde(deserialize_with = "given")]
    pub(super) window: Option<usize>,
}

impl Keys {
    /// A key that is there still.
    pub(super) fn left(&self) -> Option<&'static str> {
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
            ("diagonal", self.diagonal.is_some()),
            ("taps", self.taps.is_some()),
            ("rate", self.rate.is_some()),
            ("longest", self.longest.is_some()),
            ("filter_width", self.filter_width.is_some()),
            ("heads", self.heads.is_some()),
            ("window", self.window.is_some()),
        ];
        all.into_iter()
            .find(|(_, there)| *there)
            .map(|(key, _)| key)
    }
}

impl CellKind {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinGru => "min_gru",
            Self::MinLstm => "min_lstm",
            Self::SignedMinGru => "signed_min_gru",
            Self::Mamba => "mamba",
            Self::Mamba2 => "mamba2",
            Self::S4d => "s4d",
            Self::H3 => "h3",
            Self::Aaren => "aaren",
            Self::Hyena => "hyena",
            Self::Attention => "attention",
            Self::Gru => "gru",
            Self::Lstm => "lstm",
        }
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
