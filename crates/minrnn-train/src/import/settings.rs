//! `config.json` of the package transformers: what it says of a model, and nothing that is not understood.

mod gpt2;
mod mamba;

use serde_json::{Map, Value as Json};

use super::error::{ImportProblem, Result};
pub(super) use gpt2::{Gpt2, POSITIONS};
pub(super) use mamba::{Family, Settings};

/// The keys that nobody has taken yet.
pub(super) struct Keys {
    map: Map<String, Json>,
}

/// Whether the text is the configuration of a GPT-2.
pub(super) fn is_gpt2(text: &[u8]) -> bool {
    Keys::read(text).is_ok_and(|keys| keys.text("model_type") == Some("gpt2"))
}

pub(super) fn refused(key: &str, value: &Json, wanted: &str) -> ImportProblem {
    ImportProblem::Unsupported {
        what: format!("`{key}` = {value} in config.json"),
        message: wanted.into(),
    }
}

impl Keys {
    /// From the text of the file.
    ///
    /// # Errors
    /// Text that is no JSON object.
    pub(super) fn read(text: &[u8]) -> Result<Self> {
        let json: Json = minrnn_model::json::from_slice(&finite(text))
            .map_err(|e| ImportProblem::format(format!("config.json cannot be read: {e}")))?;
        match json {
            Json::Object(map) => Ok(Self { map }),
            _ => Err(ImportProblem::format("config.json is no JSON object")),
        }
    }

    /// Whether a key is there, and has no value.
    pub(super) fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Json::is_null)
    }

    /// A text that has not been taken.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.map.get(key)?.as_str()
    }

    /// The kind of model, which `known` maps; only models with a head, of the classes `heads`.
    ///
    /// # Errors
    /// Another kind, or none.
    pub(super) fn model<T>(&mut self, known: &[(&str, T)], heads: &[&str]) -> Result<T>
    where
        T: Copy,
    {
        let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
        let wanted = format!("known are {}", names.join(" and "));
        let kind = self.take("model_type", &wanted, |v| {
            let name = v.as_str()?;
            known
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, kind)| *kind)
        })?;
        let names: Vec<String> = heads.iter().map(|name| format!("`{name}`")).collect();
        let wanted = format!("known are models with a head, {}", names.join(" and "));
        self.take("architectures", &wanted, |v| {
            let known = |name: &Json| name.as_str().is_some_and(|name| heads.contains(&name));
            v.as_array()?.iter().all(known).then_some(())
        })?;
        kind.ok_or_else(|| ImportProblem::format("config.json has no `model_type`"))
    }

    /// Epsilon of the norms; 1e-5 where it is missing.
    pub(super) fn epsilon(&mut self) -> Result<f64> {
        let wanted = "it must be a number from 1.2e-38 to 1: what the model was trained with";
        let least = f64::from(f32::MIN_POSITIVE);
        let eps = self.take("layer_norm_epsilon", wanted, |v| {
            v.as_f64().filter(|e| (least..=1.0).contains(e))
        })?;
        Ok(eps.unwrap_or(1e-5))
    }

    pub(super) fn take<T>(
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

    pub(super) fn count(&mut self, key: &str) -> Result<Option<usize>> {
        self.take(key, "it must be a whole number, 1 to 268435456", |v| {
            let n = usize::try_from(v.as_u64()?).ok()?;
            (1..=1 << 28).contains(&n).then_some(n)
        })
    }

    pub(super) fn needed(&mut self, key: &str) -> Result<usize> {
        let found = self.count(key)?;
        found.ok_or_else(|| ImportProblem::format(format!("config.json has no `{key}`")))
    }

    pub(super) fn flag(&mut self, key: &str, usual: bool) -> Result<bool> {
        let found = self.take(key, "it must be true or false", Json::as_bool)?;
        Ok(found.unwrap_or(usual))
    }

    /// # Errors
    /// A key that nobody has taken, and that is none of `idle`, which change nothing of what a finished model computes.
    pub(super) fn all_known(&self, idle: &[&str]) -> Result<()> {
        match self
            .map
            .iter()
            .find(|(key, _)| !idle.contains(&key.as_str()))
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
