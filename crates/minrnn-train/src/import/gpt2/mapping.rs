//! Which tensor of a GPT-2 becomes which of ours, and the model that they make.

use minrnn_model::config::{
    Attention, BlockConfig, CellConfig, HeadConfig, InitConfig, InputConfig, MlpConfig,
    ModelConfig, NormConfig,
};
use minrnn_model::stated::Stated;

use super::Biases;
use crate::import::ratio;
use crate::import::rows::{How, Rows};
use crate::import::settings::Gpt2;
use crate::import::state_space::HEAD;

/// The mapping. `before`: what stands before their names; `turned`: whether their linear weights are `[out, in]`.
pub(super) fn rows(before: &'static str, s: &Gpt2, biases: Biases, turned: bool) -> Rows {
    let map = Map {
        before,
        turned,
        biases,
        rows: Rows::default(),
    };
    map.whole(s)
}

/// The mapping in the making.
struct Map {
    before: &'static str,
    /// Whether their linear weights are `[out, in]`.
    turned: bool,
    biases: Biases,
    rows: Rows,
}

impl Map {
    fn whole(mut self, s: &Gpt2) -> Rows {
        let (m, inner) = (s.width, s.inner);
        self.copied("wte.weight", "input.embedding.weight", &[s.vocab, m]);
        self.copied("wpe.weight", "input.position.weight", &[s.positions, m]);
        for i in 0..s.layers {
            self.norm(&format!("h.{i}.ln_1"), &format!("layers.{i}.norm"), m);
            self.norm(&format!("h.{i}.ln_2"), &format!("layers.{i}.ff.norm"), m);
            for (theirs, ours, sizes) in [
                ("attn.c_attn", "mixer.in", [m, 3 * m]),
                ("attn.c_proj", "mixer.out", [m, m]),
                ("mlp.c_fc", "ff.mlp.up", [m, inner]),
                ("mlp.c_proj", "ff.mlp.down", [inner, m]),
            ] {
                self.linear(
                    &format!("h.{i}.{theirs}"),
                    &format!("layers.{i}.{ours}"),
                    sizes,
                );
            }
        }
        self.norm("ln_f", "head.norm", m);
        if s.tied {
            // The same table again, if it is there; the caller compares the two.
            self.rows.unused.insert(HEAD.into());
        } else {
            let from = vec![(HEAD.to_owned(), vec![s.vocab, m])];
            let how = How::Transposed(vec![0]);
            self.rows.add("head.weight", &[m, s.vocab], how, from);
        }
        self.rows
    }

    fn copied(&mut self, theirs: &str, ours: &str, sizes: &[usize]) {
        let from = vec![(format!("{}{theirs}", self.before), sizes.to_vec())];
        self.rows.add(ours, sizes, How::Copied, from);
    }

    fn norm(&mut self, theirs: &str, ours: &str, width: usize) {
        self.copied(
            &format!("{theirs}.weight"),
            &format!("{ours}.weight"),
            &[width],
        );
        let bias = format!("{ours}.bias");
        if self.biases.norms {
            self.copied(&format!("{theirs}.bias"), &bias, &[width]);
        } else {
            self.rows.add(bias, &[width], How::Zeros, vec![]);
        }
    }

    /// A linear map from k to n channels.
    fn linear(&mut self, theirs: &str, ours: &str, [k, n]: [usize; 2]) {
        let (weight, own) = (format!("{theirs}.weight"), format!("{ours}.weight"));
        if self.turned {
            let from = vec![(format!("{}{weight}", self.before), vec![n, k])];
            self.rows.add(own, &[k, n], How::Transposed(vec![0]), from);
        } else {
            self.copied(&weight, &own, &[k, n]);
        }
        if self.biases.linear {
            self.copied(&format!("{theirs}.bias"), &format!("{ours}.bias"), &[n]);
        }
    }
}

pub(super) fn config(s: &Gpt2, biases: Biases) -> ModelConfig {
    ModelConfig {
        width: s.width,
        layers: s.layers,
        input: Some(InputConfig {
            vocab: Some(s.vocab),
            ..InputConfig::default()
        }),
        cell: CellConfig::Attention(Attention {
            heads: s.heads,
            bias: biases.linear,
            ..Attention::default()
        }),
        block: BlockConfig::Plain,
        norm: NormConfig::Layer,
        norm_eps: Stated::left_out(s.eps),
        conv: None,
        mlp: Some(MlpConfig {
            expansion: ratio(s.inner, s.width),
            activation: s.activation,
            gated: false,
            bias: biases.linear,
        }),
        residual: true,
        dropout: 0.0,
        positions: Some(s.positions),
        init: InitConfig::Gpt2,
        head: HeadConfig {
            width: Some(s.vocab),
            tied: s.tied,
            ..HeadConfig::default()
        },
    }
}
