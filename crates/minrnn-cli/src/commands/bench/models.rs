//! What `minrnn bench train` trains: the layers of the paper's figure 1, GRU and LSTM, two state spaces, Hyena, and a language model.

use anyhow::Result;
use minrnn_model::graph::{Graph, Input, OutputKind, Value};
use minrnn_model::layers::{
    Candidate, Diagonal, Feedback, Gated, Gates, Hyena, MinGru, MinLstm, Recurrent, Rnn, S4d, S6,
    Space, Straight,
};
use minrnn_model::model::Model;

/// A layer that is trained alone, `[B,T,M]` to `[B,T,M]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// A projection and a cell, nothing else: D = M.
    MinGru,
    /// The same.
    MinLstm,
    /// Mamba's block: D = 2M, 16 states a channel, convolution 4.
    Mamba,
    /// Two linear maps around S4D: D = M, 64 states a channel.
    S4d,
    /// PyTorch's GRU, both biases: D = M.
    Gru,
    /// Its LSTM.
    Lstm,
    /// Two linear maps around Hyena: D = M, as many taps as steps.
    Hyena,
}

impl Layer {
    pub(super) const ALL: [Self; 7] = [
        Self::MinGru,
        Self::MinLstm,
        Self::Mamba,
        Self::S4d,
        Self::Gru,
        Self::Lstm,
        Self::Hyena,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MinGru => "layer min_gru",
            Self::MinLstm => "layer min_lstm",
            Self::Mamba => "layer mamba",
            Self::S4d => "layer s4d",
            Self::Gru => "layer gru",
            Self::Lstm => "layer lstm",
            Self::Hyena => "layer hyena",
        }
    }

    /// For steps of so much time.
    pub(super) fn model(self, time: usize, width: usize) -> Result<Model> {
        let body = |g: &mut Graph, x: Value| {
            g.block(0, |g| match self {
                Self::MinGru => cell(g, x, &CELLS.0, width),
                Self::MinLstm => cell(g, x, &CELLS.1, width),
                Self::Mamba => g.apply(&mamba(width), x),
                Self::S4d => g.apply(&s4d(width), x),
                Self::Gru => g.apply(&rnn(Feedback::Gru, width), x),
                Self::Lstm => g.apply(&rnn(Feedback::Lstm, width), x),
                Self::Hyena => g.apply(&hyena(time, width), x),
            })
        };
        Ok(Model::trace(
            Input::Features { width },
            OutputKind::Values,
            serde_json::Value::Null,
            body,
        )?)
    }
}

const CELLS: (MinGru, MinLstm) = (
    MinGru {
        candidate: Candidate::G,
    },
    MinLstm {
        candidate: Candidate::G,
        normalize: true,
    },
);

fn cell(
    g: &mut Graph,
    x: Value,
    gates: &dyn Gates,
    channels: usize,
) -> minrnn_model::Result<Value> {
    let layer = Recurrent {
        gates,
        channels,
        bias: false,
        time_scale: None,
        learned_state: false,
        projection: false,
    };
    g.apply(&layer, x)
}

/// Step sizes that channels begin with, as both papers have them.
const STEP: (f64, f64) = (1e-3, 1e-1);

fn mamba(width: usize) -> Gated {
    let channels = 2 * width;
    Gated {
        mixer: Box::new(S6 {
            channels,
            states: 16,
            rank: width.div_ceil(16),
            step: STEP,
        }),
        channels,
        kernel: 4,
        conv_bias: true,
        bias: false,
        layers: 1,
    }
}

fn s4d(channels: usize) -> Straight {
    Straight {
        mixer: Box::new(S4d(Space {
            channels,
            states: 64,
            diagonal: Diagonal::Lin,
            step: STEP,
        })),
        channels,
        bias: false,
    }
}

fn hyena(longest: usize, channels: usize) -> Straight {
    Straight {
        mixer: Box::new(Hyena {
            channels,
            longest,
            filter_width: 64,
        }),
        channels,
        bias: false,
    }
}

fn rnn(kind: Feedback, channels: usize) -> Rnn {
    Rnn {
        kind,
        channels,
        bias: true,
        learned_state: false,
        projection: false,
    }
}

/// A language model: embedding 65, 3 blocks with RMS norm and feed-forward 4, width 384, dropout 0.2. A Transformer is nanoGPT's: 6 blocks with
/// layer norm, 6 heads, positions, a tied head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// Causal convolution 4, minGRU of expansion 2.
    MinGru,
    /// Mamba in its own block.
    Mamba,
    /// Causal attention to all steps before.
    Transformer,
    /// The same of long sequences.
    LongTransformer,
}

const NANO_GPT: &str = "width = 384\nlayers = 6\ndropout = 0.2\nnorm = 'layer'\ninit = 'gpt2'\n";
const NANO_GPT_PARTS: &str = "[input]\nvocab = 65\n[head]\nwidth = 65\ntied = true\n[cell]\nkind = 'attention'\nheads = 6\n[mlp]\nexpansion = 4.0\n";

impl Language {
    pub(super) const ALL: [Self; 4] = [
        Self::MinGru,
        Self::Mamba,
        Self::Transformer,
        Self::LongTransformer,
    ];

    /// B and T of a step: as many tokens for all.
    pub(super) fn shape(self) -> [usize; 2] {
        match self {
            Self::LongTransformer => [2, 8192],
            _ => [64, 256],
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MinGru => "language model",
            Self::Mamba => "language model mamba",
            Self::Transformer => "language model transformer",
            Self::LongTransformer => "language model transformer, long",
        }
    }

    pub(super) fn model(self) -> Result<Model> {
        let [_, time] = self.shape();
        let own = match self {
            Self::Transformer | Self::LongTransformer => {
                let text = format!("{NANO_GPT}positions = {time}\n{NANO_GPT_PARTS}");
                return Ok(Model::from_config(&toml::from_str(&text)?)?);
            }
            Self::MinGru => "[conv]\nkernel = 4\n[cell]\nkind = 'min_gru'\nexpansion = 2.0\n",
            Self::Mamba => "[cell]\nkind = 'mamba'\nstates = 16\n",
        };
        let block = match self {
            Self::Mamba => "block = 'mamba'\n",
            _ => "",
        };
        let config = format!(
            "width = 384\nlayers = 3\ndropout = 0.2\n{block}[input]\nvocab = 65\n[head]\nwidth = 65\n{own}[mlp]\nexpansion = 4.0\n"
        );
        Ok(Model::from_config(&toml::from_str(&config)?)?)
    }
}
