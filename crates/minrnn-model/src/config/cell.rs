//! Which mixer a block has: one variant a kind, each with the keys of its own and one function that makes the layer.

use serde::{Deserialize, Serialize};

use super::aaren::Aaren;
use super::attention::Attention;
use super::diagonal::{H3, S4d};
use super::feedback::Rnn;
use super::hyena::Hyena;
use super::keys::{CellKind, Keys};
use super::minimal::Minimal;
use super::selective::{Mamba, Mamba2};
use super::signed::Signed;
use crate::error::{ModelError, Result};
use crate::graph::Layer;
use crate::layers::{Feedback, MinGru, MinLstm, Mixer, Straight};

/// What mixes over time in a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Keys")]
pub enum CellConfig {
    /// minGRU.
    MinGru(Minimal),
    /// minLSTM.
    MinLstm(Minimal),
    /// minGRU whose channels can turn their sign.
    SignedMinGru(Signed),
    /// Mamba's selective state space, S6.
    Mamba(Mamba),
    /// Mamba-2's selective state space, SSD.
    Mamba2(Mamba2),
    /// The diagonal state space, S4D.
    S4d(S4d),
    /// H3.
    H3(H3),
    /// Attention of a learned query as a recurrence.
    Aaren(Aaren),
    /// Hyena.
    Hyena(Hyena),
    /// Causal attention over a window.
    Attention(Attention),
    /// GRU.
    Gru(Rnn),
    /// LSTM.
    Lstm(Rnn),
}

impl TryFrom<Keys> for CellConfig {
    type Error = String;

    fn try_from(mut keys: Keys) -> std::result::Result<Self, String> {
        let kind = keys.kind.unwrap_or(CellKind::MinGru);
        let cell = match kind {
            CellKind::MinGru => Self::MinGru(Minimal::take(&mut keys)),
            CellKind::MinLstm => Self::MinLstm(Minimal::take(&mut keys)),
            CellKind::SignedMinGru => Self::SignedMinGru(Signed::take(&mut keys)),
            CellKind::Mamba => Self::Mamba(Mamba::take(&mut keys)),
            CellKind::Mamba2 => Self::Mamba2(Mamba2::take(&mut keys)),
            CellKind::S4d => Self::S4d(S4d::take(&mut keys)),
            CellKind::H3 => Self::H3(H3::take(&mut keys)),
            CellKind::Aaren => Self::Aaren(Aaren::take(&mut keys)),
            CellKind::Hyena => Self::Hyena(Hyena::take(&mut keys)),
            CellKind::Attention => Self::Attention(Attention::take(&mut keys)),
            CellKind::Gru => Self::Gru(Rnn::take(&mut keys)),
            CellKind::Lstm => Self::Lstm(Rnn::take(&mut keys)),
        };
        match keys.left() {
            Some(key) => Err(format!("{key} is no key of {}; leave it out", kind.name())),
            None => Ok(cell),
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
            Self::SignedMinGru(_) => CellKind::SignedMinGru,
            Self::Mamba(_) => CellKind::Mamba,
            Self::Mamba2(_) => CellKind::Mamba2,
            Self::S4d(_) => CellKind::S4d,
            Self::H3(_) => CellKind::H3,
            Self::Aaren(_) => CellKind::Aaren,
            Self::Hyena(_) => CellKind::Hyena,
            Self::Attention(_) => CellKind::Attention,
            Self::Gru(_) => CellKind::Gru,
            Self::Lstm(_) => CellKind::Lstm,
        }
    }

    /// D, channels of the state, for M = `width`.
    ///
    /// # Errors
    /// An expansion that gives no whole number of channels.
    pub fn channels(&self, width: usize) -> Result<usize> {
        match self {
            Self::MinGru(keys) | Self::MinLstm(keys) => keys.channels(width),
            Self::SignedMinGru(keys) => keys.channels(width),
            Self::Mamba(keys) => keys.channels(width),
            Self::Mamba2(keys) => keys.channels(width),
            Self::S4d(keys) => keys.channels(width),
            Self::H3(keys) => keys.channels(width),
            Self::Aaren(keys) => keys.channels(width),
            Self::Hyena(keys) => keys.channels(width),
            Self::Attention(keys) => keys.channels(width),
            Self::Gru(keys) | Self::Lstm(keys) => keys.channels(width),
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
            Self::SignedMinGru(keys) => keys.layer(width),
            Self::Mamba(keys) => straight(keys.mixer(width)?, keys.bias),
            Self::S4d(keys) => straight(keys.mixer(width)?, keys.bias),
            Self::H3(keys) => straight(keys.mixer(width)?, keys.bias),
            Self::Aaren(keys) => straight(keys.mixer(width)?, keys.bias),
            Self::Hyena(keys) => straight(keys.mixer(width)?, keys.bias),
            Self::Attention(keys) => straight(keys.mixer(width)?, keys.bias),
            Self::Gru(keys) => keys.layer(width, Feedback::Gru),
            Self::Lstm(keys) => keys.layer(width, Feedback::Lstm),
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
        if let Self::Mamba(Mamba { bias: true, .. })
        | Self::Mamba2(Mamba2 { bias: true, .. })
        | Self::S4d(S4d { bias: true, .. })
        | Self::H3(H3 { bias: true, .. })
        | Self::Aaren(Aaren { bias: true, .. })
        | Self::Hyena(Hyena { bias: true, .. })
        | Self::Attention(Attention { bias: true, .. }) = self
        {
            return Err(ModelError::config(
                "cell.bias",
                "is for the linear maps of the plain block; set block.bias",
            ));
        }
        match self {
            Self::MinGru(keys) => keys.mixer(width, min_gru(keys)),
            Self::MinLstm(keys) => keys.mixer(width, min_lstm(keys)),
            Self::SignedMinGru(keys) => keys.mixer(width),
            Self::Mamba(keys) => keys.mixer(width),
            Self::Mamba2(keys) => keys.mixer(width, eps),
            Self::S4d(keys) => keys.mixer(width),
            Self::H3(keys) => keys.mixer(width),
            Self::Aaren(keys) => keys.mixer(width),
            Self::Hyena(keys) => keys.mixer(width),
            Self::Attention(keys) => keys.mixer(width),
            Self::Gru(keys) => keys.mixer(width, Feedback::Gru),
            Self::Lstm(keys) => keys.mixer(width, Feedback::Lstm),
        }
    }

    /// The same where what is left out is as the model's positions have it: the window of attention.
    #[must_use]
    pub fn with_positions(&self, positions: Option<usize>) -> Self {
        let mut cell = self.clone();
        if let Self::Attention(keys) = &mut cell {
            keys.window = keys.window.or(positions);
        }
        cell
    }

    /// The same with the model's dropout, which attention has on its weights too.
    #[must_use]
    pub fn with_dropout(&self, dropout: f64) -> Self {
        let mut cell = self.clone();
        if let Self::Attention(keys) = &mut cell {
            keys.dropout = dropout;
        }
        cell
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
            Self::SignedMinGru(keys) => keys.validate(width),
            Self::Mamba(keys) => keys.validate(width),
            Self::Mamba2(keys) => keys.validate(width),
            Self::S4d(keys) => keys.validate(width),
            Self::H3(keys) => keys.validate(width),
            Self::Aaren(keys) => keys.validate(width),
            Self::Hyena(keys) => keys.validate(width),
            Self::Attention(keys) => keys.validate(width),
            Self::Gru(keys) | Self::Lstm(keys) => keys.validate(width),
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
