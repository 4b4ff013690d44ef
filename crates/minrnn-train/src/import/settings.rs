//! `config.json` of the package transformers: what it says of a Mamba, and nothing that is not understood.

use serde_json::{Map, Value as Json};

use super::error::{ImportProblem, Result};

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
pub(super) enum Family {
    Mamba,
    Mamba2,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) family: Family,
    pub(super) vocab: usize,
    /// M.
    pub(super) width: usize,
    pub(super) layers: usize,
    /// D.
    pub(super) channels: usize,
    /// N.
    pub(super) states: usize,
    /// k.
    pub(super) kernel: usize,
    pub(super) conv_bias: bool,
    pub(super) bias: bool,
    pub(super) eps: f64,
    pub(super) tied: bool,
    /// R, of Mamba.
    pub(super) rank: usize,
    /// P and G, of Mamba-2.
    pub(super) head_channels: usize,
    pub(super) groups: usize,
}

impl Settings {
    /// From the text of the file.
    ///
    /// # Errors
    /// Another model, a key that is not known, a value that no minrnn model has.
    pub(super) fn read(text: &[u8]) -> Result<Self> {
        let text = finite(text);
        let json: Json = minrnn_model::json::from_slice(&text)
            .map_err(|e| ImportProblem::format(format!("config.json cannot be read: {e}")))?;
        let Json::Object(map) = json else {
            return Err(ImportProblem::format("config.json is no JSON object"));
        };
        let mut keys = Keys { map };
        let family = keys.family()?;
        let settings = keys.settings(family)?;
        keys.held(family, &settings)?;
        keys.all_known()?;
        Ok(settings)
    }
}

/// The keys that nobody has taken yet.
struct Keys {
    map: Map<String, Json>,
}

fn refused(key: &str, value: &Json, wanted: &str) -> ImportProblem {
    ImportProblem::Unsupported {
        what: format!("`{key}` = {value} in config.json"),
        message: wanted.into(),
    }
}

impl Keys {
    fn take<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl Fn(&Json) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.map.remove(key) {
            None => Ok(None),
            Some(value) => read(&value)
                .map(Some)
                .ok_or_else(|| refused(key, &value, wanted)),
        }
    }

    fn count(&mut self, key: &str) -> Result<Option<usize>> {
        self.take(key, "it must be a whole number, 1 to 268435456", |v| {
            let n = usize::try_from(v.as_u64()?).ok()?;
            (1..=1 << 28).contains(&n).then_some(n)
        })
    }

    fn needed(&mut self, key: &str) -> Result<usize> {
        let found = self.count(key)?;
        found.ok_or_else(|| ImportProblem::format(format!("config.json has no `{key}`")))
    }

    fn flag(&mut self, key: &str, usual: bool) -> Result<bool> {
        let found = self.take(key, "it must be true or false", Json::as_bool)?;
        Ok(found.unwrap_or(usual))
    }

    fn family(&mut self) -> Result<Family> {
        let wanted = "known are `mamba` and `mamba2`";
        let family = self.take("model_type", wanted, |v| match v.as_str()? {
            "mamba" => Some(Family::Mamba),
            "mamba2" => Some(Family::Mamba2),
            _ => None,
        })?;
        let wanted = "known are models with a head, `MambaForCausalLM` and `Mamba2ForCausalLM`";
        self.take("architectures", wanted, |v| {
            let known = |name: &Json| {
                matches!(
                    name.as_str(),
                    Some("MambaForCausalLM" | "Mamba2ForCausalLM")
                )
            };
            v.as_array()?.iter().all(known).then_some(())
        })?;
        family.ok_or_else(|| ImportProblem::format("config.json has no `model_type`"))
    }

    /// Where a key is missing, the value is that of the package's own class.
    fn settings(&mut self, family: Family) -> Result<Settings> {
        let second = family == Family::Mamba2;
        let width = self.needed("hidden_size")?;
        let expand = self.take("expand", "it must be a positive number", |v| {
            v.as_f64().filter(|e| *e > 0.0 && *e < 1e6)
        })?;
        // The package rounds down too.
        let channels = (expand.unwrap_or(2.0) * width as f64) as usize;
        let rank = match self.map.get("time_step_rank") {
            Some(Json::String(auto)) if auto == "auto" => {
                self.map.remove("time_step_rank");
                None
            }
            _ => self.count("time_step_rank")?,
        };
        let eps = self.take("layer_norm_epsilon", "it must be a positive number", |v| {
            v.as_f64().filter(|e| *e > 0.0)
        })?;
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
            eps: eps.unwrap_or(1e-5),
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

    fn all_known(&self) -> Result<()> {
        match self
            .map
            .iter()
            .find(|(key, _)| !IDLE.contains(&key.as_str()))
        {
            Some((key, value)) => Err(refused(
                key,
                value,
                "the key is not known, and might change what the model computes; take it out if it does not",
            )),
            None => Ok(()),
        }
    }
}

/// Python writes a bare `Infinity`, which is no JSON: null in its place.
fn finite(text: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else {
        return text.to_vec();
    };
    let mut parts = text.split('"');
    let mut made = parts.next().unwrap_or_default().replace("Infinity", "null");
    // Between quotes lies every second part; a quote in a string has a backslash before it.
    let mut inside = true;
    for part in parts {
        made.push('"');
        if inside {
            made.push_str(part);
            let slashes = part.len() - part.trim_end_matches('\\').len();
            inside = slashes % 2 == 1;
        } else {
            made.push_str(&part.replace("Infinity", "null"));
            inside = true;
        }
    }
    made.into_bytes()
}
