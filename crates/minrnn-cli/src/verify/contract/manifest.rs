//! `manifest.json`, held against itself and against what lies in the folder.

use std::collections::BTreeMap;
use std::path::Path;

use minrnn_onnx::export::Form;
use minrnn_train::data::Vocabulary;
use serde::Deserialize;
use serde_json::Value as Json;

use super::folder::read;
use super::{Result, broken, chain};
use crate::verify::{Check, Off};

/// Name of the manifest in an export folder.
pub(super) const MANIFEST: &str = "manifest.json";

/// Schemas of manifests that are read; of 2, names of features, classes and values are new.
const SCHEMAS: [&str; 2] = ["minrnn.manifest/1", "minrnn.manifest/2"];

/// The manifest as far as it is needed here. What the first manifests did not say is what was then the only choice.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Manifest {
    schema: String,
    pub(super) weights_sha256: String,
    #[serde(default = "f32")]
    pub(super) dtype: String,
    #[serde(default = "portable")]
    pub(super) target: String,
    #[serde(default = "minrnn")]
    pub(super) state_names: String,
    #[serde(default = "separate")]
    pub(super) state_layout: String,
    pub(super) forms: BTreeMap<String, FormEntry>,
    pub(super) states: Json,
    pub(super) head: String,
    pub(super) config: Json,
    /// Scales of static int8.
    #[serde(default)]
    pub(super) activations: Option<Json>,
    #[serde(default)]
    pub(super) features: Option<Json>,
    #[serde(default)]
    pub(super) classes: Option<Json>,
    #[serde(default)]
    pub(super) targets: Option<Json>,
    #[serde(default)]
    preprocessing: Option<Json>,
    pub(super) vocabulary: Option<Vec<String>>,
    #[serde(default)]
    end_of_stream: Option<Json>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct FormEntry {
    pub(super) file: String,
    pub(super) sha256: String,
    /// Weights beside the graph.
    pub(super) weights: Option<Beside>,
    pub(super) opset: Option<i64>,
    pub(super) lowering: Option<String>,
    pub(super) max_seq_len: Option<u64>,
    pub(super) inputs: Json,
    pub(super) outputs: Json,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Beside {
    pub(super) file: String,
    pub(super) sha256: String,
    pub(super) bytes: Option<u64>,
}

fn f32() -> String {
    "f32".into()
}
fn portable() -> String {
    "portable".into()
}
fn minrnn() -> String {
    "minrnn".into()
}
fn separate() -> String {
    "separate".into()
}

impl Manifest {
    pub(super) fn open(dir: &Path, off: &Off) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let fail = |what: String| Err(broken(&path, what));
        let text = read(&path)?;
        let manifest: Self = match minrnn_model::json::from_slice(&text) {
            Ok(manifest) => manifest,
            Err(e) => return fail(format!("is no manifest of an export: {e}")),
        };
        if !SCHEMAS.contains(&manifest.schema.as_str()) {
            return fail(format!(
                "has schema `{}`; this program reads {}",
                manifest.schema,
                SCHEMAS.join(" and ")
            ));
        }
        if manifest.forms.is_empty() {
            return fail("lists no forms; export again".into());
        }
        let known = |name: &String| Form::ALL.iter().any(|f| f.name() == name);
        if let Some(name) = manifest.forms.keys().find(|n| !known(n)) {
            let what = format!("lists a form `{name}`; forms are parallel, scan and step");
            return fail(what);
        }
        off.hold(Check::Words, || manifest.words())
            .map_err(|what| broken(&path, what))?;
        off.hold(Check::Unlisted, || manifest.unlisted(dir))?;
        Ok(manifest)
    }

    /// Vocabulary, preprocessing and end of stream go together.
    fn words(&self) -> std::result::Result<(), String> {
        let tokens = self.config.pointer("/input/vocab").and_then(Json::as_u64);
        let kind = |json: &Option<Json>| {
            let kind = json.as_ref().and_then(|p| p["kind"].as_str());
            kind.map(str::to_owned)
        };
        let preprocessing = kind(&self.preprocessing);
        match (&self.vocabulary, preprocessing.as_deref()) {
            (Some(words), kind) => {
                if kind.is_some_and(|k| k != "characters") {
                    return Err(format!(
                        "has a vocabulary, and preprocessing of the kind `{}`; export again",
                        kind.unwrap_or_default()
                    ));
                }
                if tokens.is_some_and(|n| n != words.len() as u64) || tokens.is_none() {
                    return Err(format!(
                        "vocabulary has {} entries, and the model takes {}; export again",
                        words.len(),
                        tokens.map_or("no tokens".into(), |n| format!("{n} tokens"))
                    ));
                }
                Vocabulary::from_tokens(words).map_err(|e| chain(&e))?;
            }
            (None, Some("characters")) => {
                return Err(
                    "has no vocabulary, and preprocessing of the kind `characters` needs one; export again"
                        .into(),
                );
            }
            (None, _) => {}
        }
        self.normalization(preprocessing.as_deref())?;
        let Some(end) = &self.end_of_stream else {
            return Ok(());
        };
        match (end["kind"].as_str(), end["token"].as_u64()) {
            (Some("caller"), None) => Ok(()),
            (Some("token"), Some(token)) if tokens.is_some_and(|n| token < n) => Ok(()),
            _ => Err(format!(
                "end_of_stream is {end}, which is neither the caller's nor a token of the model"
            )),
        }
    }

    /// Features are normalised in the graph where the configuration has their statistics.
    fn normalization(&self, kind: Option<&str>) -> std::result::Result<(), String> {
        let given = |key| self.config.pointer(key).is_some_and(|v| !v.is_null());
        let (Some(said), true) = (&self.preprocessing, given("/input/features")) else {
            return Ok(());
        };
        let wanted = match given("/input/mean") || given("/input/std") {
            true => "in_graph",
            false => "none",
        };
        if kind == Some("features") && said["normalization"] == wanted {
            return Ok(());
        }
        Err(format!(
            "preprocessing is {said}, and by the configuration features with the normalization `{wanted}`"
        ))
    }
}
