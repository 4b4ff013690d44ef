//! What stands around the mixer of a block.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::CellConfig;
use crate::error::{ModelError, Result};
use crate::layers::{Gated, Layer};

/// What stands around the mixer. Written as a table, or as the name of its kind where its keys are the usual ones.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BlockConfig {
    /// The mixer's own linear maps, nothing else.
    #[default]
    Plain,
    /// Mamba's: `out(gate(mixer(silu(conv(x))), z))`, x and z by one linear map.
    Mamba(GatedConfig),
}

/// Keys of Mamba's block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GatedConfig {
    /// k, steps that the convolution sees.
    pub kernel: usize,
    /// Whether the convolution has a bias.
    pub conv_bias: bool,
    /// Whether the linear maps have a bias.
    pub bias: bool,
}

impl Default for GatedConfig {
    fn default() -> Self {
        Self {
            kernel: 4,
            conv_bias: true,
            bias: false,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    Mamba,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    kind: Kind,
    #[serde(default, deserialize_with = "super::keys::given")]
    kernel: Option<usize>,
    #[serde(default, deserialize_with = "super::keys::given")]
    conv_bias: Option<bool>,
    #[serde(default, deserialize_with = "super::keys::given")]
    bias: Option<bool>,
}

impl TryFrom<Keys> for BlockConfig {
    type Error = String;

    fn try_from(keys: Keys) -> std::result::Result<Self, String> {
        let there = [
            ("kernel", keys.kernel.is_some()),
            ("conv_bias", keys.conv_bias.is_some()),
            ("bias", keys.bias.is_some()),
        ];
        let usual = GatedConfig::default();
        match (keys.kind, there.into_iter().find(|(_, there)| *there)) {
            (Kind::Plain, Some((key, _))) => {
                Err(format!("{key} is no key of the plain block; leave it out"))
            }
            (Kind::Plain, None) => Ok(Self::Plain),
            (Kind::Mamba, _) => Ok(Self::Mamba(GatedConfig {
                kernel: keys.kernel.unwrap_or(usual.kernel),
                conv_bias: keys.conv_bias.unwrap_or(usual.conv_bias),
                bias: keys.bias.unwrap_or(usual.bias),
            })),
        }
    }
}

impl<'de> Deserialize<'de> for BlockConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = BlockConfig;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a block: \"plain\", \"mamba\" or a table with `kind`")
            }
            fn visit_str<E: serde::de::Error>(
                self,
                name: &str,
            ) -> std::result::Result<BlockConfig, E> {
                let kind = Kind::deserialize(StrDeserializer::<E>::new(name))?;
                Ok(match kind {
                    Kind::Plain => BlockConfig::Plain,
                    Kind::Mamba => BlockConfig::Mamba(GatedConfig::default()),
                })
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                map: A,
            ) -> std::result::Result<BlockConfig, A::Error> {
                let keys = Keys::deserialize(MapAccessDeserializer::new(map))?;
                BlockConfig::try_from(keys).map_err(serde::de::Error::custom)
            }
        }
        from.deserialize_any(Either)
    }
}

impl BlockConfig {
    /// Whether it is the plain one.
    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// The mixer with what stands around it: from `[B, T, M]` to `[B, T, M]`, M = `width`; one of `layers`, its norms with `eps`.
    ///
    /// # Errors
    /// The first key whose value makes no layer.
    pub fn layer(
        &self,
        cell: &CellConfig,
        width: usize,
        layers: usize,
        eps: f64,
    ) -> Result<Box<dyn Layer>> {
        match self {
            Self::Plain => cell.layer(width),
            Self::Mamba(keys) => {
                self.validate()?;
                Ok(Box::new(Gated {
                    mixer: cell.mixer(width, eps)?,
                    channels: cell.channels(width)?,
                    kernel: keys.kernel,
                    conv_bias: keys.conv_bias,
                    bias: keys.bias,
                    layers,
                }))
            }
        }
    }

    /// Checks everything that types do not.
    ///
    /// # Errors
    /// The first key whose value makes no block.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Mamba(keys) if !(1..=4096).contains(&keys.kernel) => Err(ModelError::config(
                "block.kernel",
                "must be between 1 and 4096",
            )),
            _ => Ok(()),
        }
    }
}
