//! What `config.json` says of a Mamba.

use super::{Keys, refused};
use crate::import::error::Result;

/// Keys that change nothing of what a finished model computes: first values, training, generation, who wrote it, and what the package
/// itself does not read.
const IDLE: &[&str] = &[
    "_name_or_path",
    "bos_token_id",
    "chunk_size",
    "d_model",
    "dtype",
    "eos_token_id",
    "fused_add_norm",
    "initializer_range",
    "n_layer",
    "norm_before_gate",
    "pad_token_id",
    "pad_vocab_size_multiple",
    "rescale_prenorm_residual",
    "residual_in_fp32",
    "ssm_cfg",
    "time_step_floor",
    "time_step_init_scheme",
    "time_step_max",
    "time_step_min",
    "time_step_scale",
    "torch_dtype",
    "transformers_version",
    "use_associative_scan",
    "use_cache",
    "use_mambapy",
];

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::import) enum Family {
    Mamba,
    Mamba2,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::import) struct Settings {
    pub(in crate::import) family: Family,
    pub(in crate::import) vocab: usize,
    /// M.
    pub(in crate::import) width: usize,
    pub(in crate::import) layers: usize,
    /// D.
    pub(in crate::import) channels: usize,
    /// N.
    pub(in crate::import) states: usize,
    /// k.
    pub(in crate::import) kernel: usize,
    pub(in crate::import) conv_bias: bool,
    pub(in crate::import) bias: bool,
    pub(in crate::import) eps: f64,
    pub(in crate::import) tied: bool,
    /// R, of Mamba.
    pub(in crate::import) rank: usize,
    /// P and G, of Mamba-2.
    pub(in crate::import) head_channels: usize,
    pub(in crate::import) groups: usize,
}

impl Settings {
    /// From the text of the file.
    ///
    /// # Errors
    /// Another model, a key that is not known, a value that no minrnn model has.
    pub(in crate::import) fn read(text: &[u8]) -> Result<Self> {
        let mut keys = Keys::read(text)?;
        let known = [("mamba", Family::Mamba), ("mamba2", Family::Mamba2)];
        let family = keys.model(&known, &["MambaForCausalLM", "Mamba2ForCausalLM"])?;
        let settings = keys.settings(family)?;
        keys.held(family, &settings)?;
        keys.all_known(IDLE)?;
        Ok(settings)
    }
}

impl Keys {
    /// Where a key is missing, the value is that of the package's own class.
    fn settings(&mut self, family: Family) -> Result<Settings> {
        let second = family == Family::Mamba2;
        let width = self.needed("hidden_size")?;
        let expand = self.take("expand", "it must be a positive number", |v| {
            v.as_f64().filter(|e| *e > 0.0 && *e < 1e6)
        })?;
        // The package rounds down too.
        let channels = (expand.unwrap_or(2.0) * width as f64) as usize;
        let rank = match self.text("time_step_rank") {
            Some("auto") => self.take("time_step_rank", "", |_| Some(None))?.flatten(),
            _ => self.count("time_step_rank")?,
        };
        let eps = self.epsilon()?;
        Ok(Settings {
            family,
            width,
            channels,
            vocab: self.needed("vocab_size")?,
            layers: self.needed("num_hidden_layers")?,
            states: self
                .count("state_size")?
                .unwrap_or(if second { 128 } else { 16 }),
            kernel: self.count("conv_kernel")?.unwrap_or(4),
            conv_bias: self.flag("use_conv_bias", true)?,
            bias: self.flag("use_bias", false)?,
            eps,
            tied: self.flag("tie_word_embeddings", !second)?,
            rank: rank.unwrap_or(width.div_ceil(16)),
            head_channels: if second {
                self.count("head_dim")?.unwrap_or(64)
            } else {
                1
            },
            groups: if second {
                self.count("n_groups")?.unwrap_or(8)
            } else {
                1
            },
        })
    }

    /// What must have one value.
    fn held(&mut self, family: Family, s: &Settings) -> Result<()> {
        self.take("hidden_act", "known is `silu`", |v| {
            matches!(v.as_str()?, "silu" | "swish").then_some(())
        })?;
        self.take("rms_norm", "known are models with RMSNorm", |v| {
            v.as_bool()?.then_some(())
        })?;
        for key in ["intermediate_size", "d_inner"] {
            let wanted = format!("`expand` times `hidden_size` is {}", s.channels);
            self.take(key, &wanted, |v| {
                (v.as_u64()? == s.channels as u64).then_some(())
            })?;
        }
        if family == Family::Mamba2 {
            let wanted = format!(
                "{} channels are in heads of {}",
                s.channels, s.head_channels
            );
            let heads = self.count("num_heads")?.unwrap_or(128);
            if heads.checked_mul(s.head_channels) != Some(s.channels) {
                return Err(refused("num_heads", &heads.into(), &wanted));
            }
            self.take(
                "time_step_limit",
                "known are step sizes without limit, [0, Infinity]",
                |v| {
                    let [low, high] = v.as_array()?.as_slice() else {
                        return None;
                    };
                    let infinite = high.is_null() || high.get("__float__")?.as_str()? == "Infinity";
                    (low.as_f64()? <= 0.0 && infinite).then_some(())
                },
            )?;
        }
        Ok(())
    }
}
