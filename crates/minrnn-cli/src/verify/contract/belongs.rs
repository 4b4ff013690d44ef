//! Whether an export is of the checkpoint that it is held to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use minrnn_model::config::ModelConfig;
use minrnn_model::graph::Graph;
use minrnn_model::model::Model;
use minrnn_model::vocabulary::Vocabulary;
use minrnn_onnx::export::Averaged;
use serde_json::Value as Json;

use super::Export;
use super::json::same;
use super::words::apart;

/// An export and a checkpoint that do not belong together. The export need not be broken.
#[derive(Debug, thiserror::Error)]
#[error("{} and the checkpoint do not belong together: the export {what}; give the checkpoint that it was made from, or export this one", export.display())]
pub struct OtherModel {
    /// The folder of the export.
    pub export: PathBuf,
    /// What the export has that the checkpoint has not.
    pub what: String,
}

/// Differences that are named.
const NAMED: usize = 4;

impl Export {
    /// Whether the export is of `model`: of the same shapes first, then of the same configuration.
    ///
    /// # Errors
    /// What differs.
    pub(in crate::verify) fn is_of(&self, model: &Model) -> std::result::Result<(), OtherModel> {
        if let (None, Ok(own)) = (self.own_layer(), self.model()) {
            let apart = shapes(own.graph(), model.graph());
            if !apart.is_empty() {
                return Err(self.other(format!("has {}", listed(&apart))));
            }
        }
        let apart = keys(&self.manifest.config, model.config());
        if apart.is_empty() {
            return Ok(());
        }
        Err(self.other(format!("was made with {}", listed(&apart))))
    }

    /// What is to be known of a vocabulary and an end of stream that nothing in the files is tied to.
    pub(in crate::verify) fn untied(&self) -> Vec<String> {
        let mut notes = vec![];
        let (words, end) = (self.vocabulary(), self.end_of_stream());
        if let Some(silent) = words.and_then(|_| self.silent("minrnn.vocabulary")) {
            notes.push(format!(
                "vocabulary: {silent} have no hash of it, as files of older versions: whether its entries are the model's, in their order, only --checkpoint tells"
            ));
        }
        if let Some(silent) = end.and_then(|_| self.silent("minrnn.end_of_stream")) {
            notes.push(format!(
                "end_of_stream: {silent} do not say it, as files of older versions: whether it is the token that the export was made with, nothing tells; export again"
            ));
        }
        notes
    }

    /// Forms whose files do not have the metadata.
    fn silent(&self, key: &str) -> Option<String> {
        let files = self.forms.iter();
        let silent: Vec<String> = files
            .filter(|(_, file)| file.model.metadata(key).is_none())
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        (!silent.is_empty()).then(|| silent.join(", "))
    }

    /// Holds the vocabulary to the checkpoint's.
    ///
    /// # Errors
    /// An entry that differs, is missing or is too many.
    pub fn has_vocabulary(
        &self,
        wanted: Option<&Vocabulary>,
    ) -> std::result::Result<(), OtherModel> {
        let own = self.vocabulary();
        if own == wanted {
            return Ok(());
        }
        let (Some(own), Some(wanted)) = (own, wanted) else {
            let what = match own {
                None => "has no vocabulary, and the checkpoint has one",
                Some(_) => "has a vocabulary, and the checkpoint has none",
            };
            return Err(self.other(what.into()));
        };
        Err(self.other(apart(own, wanted)))
    }
}

impl Export {
    /// Holds what the export says of an average of the weights to what the checkpoint says.
    ///
    /// # Errors
    /// One says that its weights are an average, and the other none or another one.
    pub fn has_average(&self, wanted: Option<&Averaged>) -> std::result::Result<(), OtherModel> {
        let own = self.manifest.averaged();
        if own.as_ref() == wanted {
            return Ok(());
        }
        let words =
            |average: Option<&Averaged>| average.map_or("no average".into(), Averaged::words);
        let (own, wanted) = (words(own.as_ref()), words(wanted));
        Err(self.other(format!(
            "says that its weights are {own}, and the checkpoint that they are {wanted}"
        )))
    }
}

/// Parameters that have another shape, or are in one of two models only.
fn shapes(export: &Graph, checkpoint: &Graph) -> Vec<String> {
    let of = |graph: &Graph| -> BTreeMap<String, Vec<usize>> {
        let specs = graph.params().iter();
        specs.map(|s| (s.name.clone(), s.shape.clone())).collect()
    };
    let (ours, theirs) = (of(export), of(checkpoint));
    let mut apart = vec![];
    for (name, shape) in &ours {
        match theirs.get(name) {
            Some(other) if other == shape => {}
            Some(other) => apart.push(format!("`{name}` {shape:?}, the checkpoint {other:?}")),
            None => apart.push(format!("`{name}` {shape:?}, the checkpoint none")),
        }
    }
    let missing = theirs.iter().filter(|(name, _)| !ours.contains_key(*name));
    apart.extend(missing.map(|(name, shape)| format!("no `{name}`, the checkpoint {shape:?}")));
    apart
}

/// Keys of two configurations that differ. Dropout means nothing to an export.
fn keys(export: &Json, checkpoint: &Json) -> Vec<String> {
    let [ours, theirs] = [export, checkpoint].map(|config| {
        let full = serde_json::from_value::<ModelConfig>(config.clone())
            .and_then(serde_json::to_value)
            .unwrap_or_else(|_| config.clone());
        let mut leaves = BTreeMap::new();
        flatten("", &full, &mut leaves);
        leaves.remove("dropout");
        leaves
    });
    let none = Json::Null;
    let mut names: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    names.sort();
    names.dedup();
    let pairs = names.into_iter().map(|name| {
        let of = |leaves: &BTreeMap<String, Json>| leaves.get(name).unwrap_or(&none).clone();
        (name, of(&ours), of(&theirs))
    });
    let apart = pairs.filter(|(_, a, b)| !same(a, b));
    apart
        .map(|(name, a, b)| format!("`{name}` {}, the checkpoint with {}", brief(&a), brief(&b)))
        .collect()
}

fn flatten(path: &str, value: &Json, leaves: &mut BTreeMap<String, Json>) {
    let Json::Object(map) = value else {
        leaves.insert(path.to_owned(), value.clone());
        return;
    };
    for (key, value) in map {
        let path = match path {
            "" => key.clone(),
            _ => format!("{path}.{key}"),
        };
        flatten(&path, value, leaves);
    }
}

fn brief(value: &Json) -> String {
    let text = match value {
        Json::Null => "nothing".into(),
        other => other.to_string(),
    };
    match text.chars().count() {
        0..=60 => text,
        _ => text.chars().take(60).chain("...".chars()).collect(),
    }
}

fn listed(apart: &[String]) -> String {
    let some = apart[..apart.len().min(NAMED)].join("; ");
    match apart.len().saturating_sub(NAMED) {
        0 => some,
        more => format!("{some}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_compared_key_by_key() {
        let a = serde_json::json!({ "width": 8, "cell": { "kind": "x", "expansion": 1.0 }, "dropout": 0.1 });
        let b = serde_json::json!({ "width": 8, "cell": { "kind": "y", "expansion": 1 }, "dropout": 0.0, "conv": { "kernel": 4 } });
        assert_eq!(
            keys(&a, &b),
            [
                "`cell.kind` \"x\", the checkpoint with \"y\"",
                "`conv.kernel` nothing, the checkpoint with 4"
            ]
        );
        assert!(keys(&a, &a).is_empty());
    }
}
