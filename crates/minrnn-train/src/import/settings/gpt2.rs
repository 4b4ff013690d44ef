//! What `config.json` says of a GPT-2.

use minrnn_model::layers::Activation;
use serde_json::Value as Json;

use super::{Keys, refused};
use crate::import::error::Result;

/// Keys that change nothing of what a finished model computes: first values, training, generation, heads of other classes, who wrote it.
const IDLE: &[&str] = &[
    "_name_or_path",
    "_num_labels",
    "attn_pdrop",
    "bos_token_id",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "gradient_checkpointing",
    "initializer_range",
    "output_past",
    "pad_token_id",
    "resid_pdrop",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// Rows that a table of positions may have, where they are the window of the attention too.
pub(in crate::import) const POSITIONS: std::ops::RangeInclusive<usize> = 2..=1 << 16;

/// A GPT-2, or a nanoGPT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::import) struct Gpt2 {
    pub(in crate::import) vocab: usize,
    /// M.
    pub(in crate::import) width: usize,
    pub(in crate::import) layers: usize,
    pub(in crate::import) heads: usize,
    /// Rows of the table of positions.
    pub(in crate::import) positions: usize,
    /// Channels within the feed-forward layers.
    pub(in crate::import) inner: usize,
    pub(in crate::import) activation: Activation,
    pub(in crate::import) eps: f64,
    pub(in crate::import) tied: bool,
}

impl Gpt2 {
    /// From the text of the file.
    ///
    /// # Errors
    /// Another model, a key that is not known, a value that no minrnn model has.
    pub(in crate::import) fn read(text: &[u8]) -> Result<Self> {
        let mut keys = Keys::read(text)?;
        keys.model(&[("gpt2", ())], &["GPT2LMHeadModel"])?;
        let settings = keys.gpt2()?;
        keys.held_of_gpt2(&settings)?;
        keys.all_known(IDLE)?;
        Ok(settings)
    }
}

impl Keys {
    /// Where a key is missing, the value is that of the package's own class.
    fn gpt2(&mut self) -> Result<Gpt2> {
        let width = self.needed("n_embd")?;
        let inner = match self.is_null("n_inner") {
            true => self.take("n_inner", "", |_| Some(None))?.flatten(),
            false => self.count("n_inner")?,
        };
        let activation = self.activation()?;
        Ok(Gpt2 {
            width,
            vocab: self.needed("vocab_size")?,
            layers: self.needed("n_layer")?,
            heads: self.needed("n_head")?,
            positions: self.needed("n_positions")?,
            inner: inner.unwrap_or(width.saturating_mul(4)),
            activation: activation.unwrap_or(Activation::GeluTanh),
            eps: self.epsilon()?,
            tied: self.flag("tie_word_embeddings", true)?,
        })
    }

    fn activation(&mut self) -> Result<Option<Activation>> {
        let wanted = "known are `gelu_new` and `gelu_pytorch_tanh` (by tanh), `gelu` (by the error function) and `silu` or `swish`; train the model with one of these";
        self.take("activation_function", wanted, |v| match v.as_str()? {
            "gelu_new" | "gelu_pytorch_tanh" => Some(Activation::GeluTanh),
            "gelu" => Some(Activation::Gelu),
            "silu" | "swish" => Some(Activation::Silu),
            _ => None,
        })
    }

    /// What must have one value.
    fn held_of_gpt2(&mut self, s: &Gpt2) -> Result<()> {
        if !s.width.is_multiple_of(s.heads) {
            let wanted = format!(
                "it must divide `n_embd`, {}; write what the model was trained with",
                s.width
            );
            return Err(refused("n_head", &s.heads.into(), &wanted));
        }
        if !POSITIONS.contains(&s.positions) {
            let mend = match s.positions < *POSITIONS.start() {
                true => "a model of one position sees nothing before it, and has no equal here",
                false => "cut `wpe.weight` to fewer rows, and write their number",
            };
            let wanted = format!(
                "a step sees as many steps as there are positions, {} to {}; {mend}",
                POSITIONS.start(),
                POSITIONS.end()
            );
            return Err(refused("n_positions", &s.positions.into(), &wanted));
        }
        let wanted = format!("`n_positions` is {}", s.positions);
        self.take("n_ctx", &wanted, |v| {
            (v.as_u64()? == s.positions as u64).then_some(())
        })?;
        for (key, usual, wanted) in [
            (
                "scale_attn_weights",
                true,
                "known are scores that are divided by the root of a head's channels, true; multiply the queries of `c_attn` (weight and bias) by that root, and write true",
            ),
            (
                "scale_attn_by_inverse_layer_idx",
                false,
                "known are scores of one scale in all layers, false; divide the queries of layer i, counted from 1, in `c_attn` (weight and bias) by i, and write false",
            ),
            (
                "reorder_and_upcast_attn",
                false,
                "known are scores in the type of the model, false; all of ours are float32, where it changes nothing but roundings: write false",
            ),
            (
                "add_cross_attention",
                false,
                "known are models that read one sequence, false; a model that reads a second one has no equal here",
            ),
        ] {
            self.take(key, wanted, |v: &Json| {
                (v.as_bool()? == usual).then_some(())
            })?;
        }
        Ok(())
    }
}
