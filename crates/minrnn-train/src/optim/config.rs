//! The optimizer as a file chooses it.

use std::fmt;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::adamw::AdamWConfig;
use super::muon::{Muon, MuonConfig};
use super::rule::Rule;
use crate::error::{Result, TrainError};

/// Options of the optimizer: AdamW, or with [`OptimizerConfig::muon`] Muon for the matrices of hidden layers beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Memory of the mean gradient.
    pub beta1: f64,
    /// Memory of the mean squared gradient.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decay of the weights, times the learning rate, for parameters that decay.
    pub weight_decay: f64,
    /// The gradient of all parameters together is scaled down to this norm where it is longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Muon for the matrices of hidden layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muon: Option<MuonConfig>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        AdamWConfig::default().into()
    }
}

impl From<AdamWConfig> for OptimizerConfig {
    fn from(adamw: AdamWConfig) -> Self {
        let AdamWConfig {
            beta1,
            beta2,
            eps,
            weight_decay,
            clip_norm,
        } = adamw;
        Self {
            beta1,
            beta2,
            eps,
            weight_decay,
            clip_norm,
            muon: None,
        }
    }
}

impl OptimizerConfig {
    /// Its name in a file.
    pub fn name(&self) -> &'static str {
        match self.muon {
            None => "adamw",
            Some(_) => "muon",
        }
    }

    /// AdamW's part.
    pub fn adamw(&self) -> AdamWConfig {
        AdamWConfig {
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm,
        }
    }

    /// The rule with these numbers, where `lr` is the highest learning rate that its steps are given.
    ///
    /// # Errors
    /// As [`OptimizerConfig::validate`].
    pub fn rule(&self, lr: f64) -> Result<Arc<dyn Rule>> {
        self.validate()?;
        let adamw = self.adamw();
        Ok(match &self.muon {
            None => Arc::new(adamw),
            Some(muon) => Arc::new(Muon::new(adamw, muon, lr)),
        })
    }

    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        self.adamw().validate()?;
        self.muon.as_ref().map_or(Ok(()), MuonConfig::validate)
    }

    /// Refuses Muon for a model that has nothing for it.
    pub(crate) fn refuse_idle(&self, graph: &minrnn_model::graph::Graph) -> Result<()> {
        if self.muon.is_none() || graph.hidden_matrices().contains(&true) {
            return Ok(());
        }
        Err(TrainError::config(
            "train.optimizer.muon",
            "is of the matrices of hidden layers, and this model has none; leave it out: AdamW trains all of it",
        ))
    }

    /// Reads the table, or the name of an optimizer, which means its table with nothing in it.
    pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = OptimizerConfig;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("\"adamw\", \"muon\", or a table of options")
    }

    fn visit_str<E: Error>(self, name: &str) -> std::result::Result<OptimizerConfig, E> {
        let muon = match name {
            "adamw" => None,
            "muon" => Some(MuonConfig::default()),
            _ => return Err(E::invalid_value(Unexpected::Str(name), &self)),
        };
        Ok(OptimizerConfig {
            muon,
            ..OptimizerConfig::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        map: A,
    ) -> std::result::Result<OptimizerConfig, A::Error> {
        OptimizerConfig::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        #[serde(default, deserialize_with = "OptimizerConfig::read")]
        optimizer: OptimizerConfig,
    }

    fn read(text: &str) -> std::result::Result<OptimizerConfig, String> {
        let file: std::result::Result<File, _> = toml::from_str(text);
        file.map(|f| f.optimizer).map_err(|e| e.to_string())
    }

    #[test]
    fn a_name_is_a_table_with_nothing_in_it() {
        let plain = OptimizerConfig::default();
        assert_eq!(read("").unwrap(), plain);
        assert_eq!(read("optimizer = 'adamw'").unwrap(), plain);
        let muon = read("optimizer = 'muon'").unwrap();
        assert_eq!(muon, read("[optimizer.muon]").unwrap());
        assert_eq!(muon.muon, Some(MuonConfig::default()));
        let both = read("[optimizer]\nclip_norm = 1.0\nmuon = { lr = 0.02 }").unwrap();
        assert_eq!(both.clip_norm, Some(1.0));
        assert_eq!(both.muon.unwrap().lr, Some(0.02));
    }

    #[test]
    fn what_is_none_is_refused_by_name() {
        let other = read("optimizer = 'sgd'").unwrap_err();
        assert!(other.contains("sgd") && other.contains("muon"), "{other}");
        let key = read("[optimizer]\nbeta3 = 1").unwrap_err();
        assert!(key.contains("beta3") && key.contains("muon"), "{key}");
        for (text, field) in [
            ("momentum = 1.0", "muon.momentum"),
            ("lr = 0.0", "muon.lr"),
            ("lr = inf", "muon.lr"),
            ("weight_decay = -0.1", "muon.weight_decay"),
        ] {
            let config = read(&format!("[optimizer.muon]\n{text}")).unwrap();
            let error = config.rule(1e-3).unwrap_err().to_string();
            assert!(error.contains(field), "{text}: {error}");
        }
    }

    #[test]
    fn adamw_is_written_as_it_always_was() {
        let text = serde_json::to_string(&OptimizerConfig::default()).unwrap();
        assert_eq!(
            text,
            r#"{"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0.01}"#
        );
        assert_eq!(
            text,
            serde_json::to_string(&AdamWConfig::default()).unwrap()
        );
    }
}
