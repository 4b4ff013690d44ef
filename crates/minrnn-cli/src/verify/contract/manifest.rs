//! `manifest.json`, held against itself and against what lies in the folder.

use std::collections::BTreeMap;
use std::path::Path;

use minrnn_model::vocabulary::Vocabulary;
use minrnn_onnx::export::{Averaged, Form};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::beside::Beside;
use super::folder::{read, sha256};
use super::words::{self, Words};
use super::{Result, broken, keys};
use crate::verify::{Check, Off};

/// Name of the manifest in an export folder.
pub(super) const MANIFEST: &str = "manifest.json";

/// Schemas of manifests that are read; of 2, names of features, classes and values are new.
const SCHEMAS: [&str; 2] = ["minrnn.manifest/1", "minrnn.manifest/2"];

/// The manifest as far as it is needed here. What the first manifests did not say is what was then the only choice.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Manifest {
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
    /// What average the weights are, as it stands there.
    #[serde(default)]
    pub(super) average: Option<Json>,
    #[serde(default)]
    pub(super) features: Option<Json>,
    #[serde(default)]
    pub(super) classes: Option<Json>,
    #[serde(default)]
    pub(super) targets: Option<Json>,
    #[serde(default)]
    preprocessing: Option<Json>,
    vocabulary: Option<Words>,
    /// The vocabulary, from the folder where it is a file.
    #[serde(skip)]
    pub(super) words: Option<Vocabulary>,
    #[serde(default)]
    end_of_stream: Option<Json>,
    /// Of the file.
    #[serde(skip)]
    pub(super) sha256: String,
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
        let none =
            |e: serde_json::Error| broken(&path, format!("is no manifest of an export: {e}"));
        let json: Json = minrnn_model::json::from_slice(&text).map_err(none)?;
        let Some(schema) = json["schema"].as_str() else {
            return fail("is no manifest of an export: it says no schema".into());
        };
        if !SCHEMAS.contains(&schema) {
            return fail(format!(
                "has schema `{schema}`; this program reads {}",
                SCHEMAS.join(" and ")
            ));
        }
        off.hold(Check::Keys, || keys::hold(&json, schema == SCHEMAS[0]))
            .map_err(|what| broken(&path, what))?;
        let mut manifest = Self {
            sha256: sha256(&text),
            ..serde_json::from_value(json).map_err(none)?
        };
        let said = manifest.vocabulary.take();
        manifest.words = said.map(|words| words.open(dir, off)).transpose()?;
        if manifest.forms.is_empty() {
            return fail("lists no forms; export again".into());
        }
        let known = |name: &String| Form::ALL.iter().any(|f| f.name() == name);
        if let Some(name) = manifest.forms.keys().find(|n| !known(n)) {
            let what = format!("lists a form `{name}`; forms are parallel, scan and step");
            return fail(what);
        }
        off.hold(Check::Words, || manifest.go_together())
            .map_err(|what| broken(&path, what))?;
        off.hold(Check::Unlisted, || manifest.unlisted(dir))?;
        Ok(manifest)
    }

    /// Vocabulary, preprocessing and end of stream go together.
    fn go_together(&self) -> std::result::Result<(), String> {
        let tokens = self.tokens();
        if let Some(words) = &self.words {
            words::fits(words, tokens)?;
        }
        self.preprocessed()?;
        if let Some(said) = self
            .average
            .as_ref()
            .filter(|said| Averaged::from_json(said).is_none())
        {
            return Err(format!(
                "average is {said}, which is none: {{\"kind\":\"ema\",\"decay\":D,\"first_step\":N,\"last_step\":N}} or {{\"kind\":\"mean\",\"first_step\":N,\"last_step\":N}}, the last step behind the first; export again"
            ));
        }
        let Some(end) = &self.end_of_stream else {
            return Ok(());
        };
        let wanted = match self.end() {
            Some(token) => json!({ "kind": "token", "token": token }),
            None => json!({ "kind": "caller" }),
        };
        let is_token = self
            .end()
            .is_none_or(|token| tokens.is_some_and(|n| token < n));
        if *end == wanted && is_token {
            return Ok(());
        }
        Err(format!(
            "end_of_stream is {end}, which is neither the caller's, {{\"kind\":\"caller\"}}, nor a token of the model, {{\"kind\":\"token\",\"token\":N}}; export again"
        ))
    }

    /// How many tokens the model knows; none of a model of features.
    fn tokens(&self) -> Option<u64> {
        self.config.pointer("/input/vocab").and_then(Json::as_u64)
    }

    /// The token after which a stream is over, where the manifest names one.
    pub(super) fn end(&self) -> Option<u64> {
        self.end_of_stream.as_ref()?["token"].as_u64()
    }

    /// What average of a training's weights the weights are, if they are one.
    pub(super) fn averaged(&self) -> Option<Averaged> {
        Averaged::from_json(self.average.as_ref()?)
    }

    /// Preprocessing follows from what goes in, the vocabulary and the statistics in the configuration.
    fn preprocessed(&self) -> std::result::Result<(), String> {
        let Some(said) = &self.preprocessing else {
            return Ok(());
        };
        let given = |key| self.config.pointer(key).is_some_and(|v| !v.is_null());
        let (wanted, because) = match (self.takes_features(), &self.words) {
            (true, _) if given("/input/mean") || given("/input/std") => (
                json!({ "kind": "features", "normalization": "in_graph" }),
                "the configuration has statistics of the features",
            ),
            (true, _) => (
                json!({ "kind": "features", "normalization": "none" }),
                "the configuration has no statistics of the features",
            ),
            (false, Some(words)) => (words::preprocessing(words), "there is a vocabulary"),
            (false, None) => (
                json!({ "kind": "token_ids" }),
                "the model takes tokens, and there is no vocabulary",
            ),
        };
        if *said == wanted {
            return Ok(());
        }
        Err(format!(
            "preprocessing is {said}, and must be {wanted}, as {because}; export again"
        ))
    }

    /// By the inputs that are listed, which are the files' own: the configuration may be one that only another program knows.
    fn takes_features(&self) -> bool {
        let ports = self
            .forms
            .values()
            .filter_map(|form| form.inputs.as_array());
        ports.flatten().any(|port| port["name"] == "features")
    }
}
