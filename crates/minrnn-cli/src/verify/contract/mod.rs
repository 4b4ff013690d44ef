//! An export folder, held against its manifest and against itself before anything runs, and against the model that it is of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::vocabulary::Vocabulary;
use minrnn_onnx::export::{ExportOptions, is_of_this_version, is_unfinished, options};
use minrnn_onnx::ir;
use minrnn_runtime as runtime;
use serde_json::Value as Json;

mod belongs;
mod beside;
mod elsewhere;
mod folder;
mod form;
mod json;
mod keys;
mod longest;
mod manifest;
mod outline;
mod unlisted;
mod weights;
mod words;

pub use belongs::OtherModel;
use folder::read;
use form::FormFile;
use manifest::{MANIFEST, Manifest};
pub(crate) use unlisted::graphs_below;

use super::Off;

/// A file that breaks its contract: what, where, what would mend it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", file.display())]
pub struct ContractError {
    /// The file.
    pub file: PathBuf,
    /// What is broken, and what would mend it.
    pub what: String,
}

type Result<T> = std::result::Result<T, ContractError>;

fn broken(file: impl Into<PathBuf>, what: impl Into<String>) -> ContractError {
    ContractError {
        file: file.into(),
        what: what.into(),
    }
}

/// An export folder whose files keep their contract.
#[derive(Debug)]
pub struct Export {
    dir: PathBuf,
    manifest: Manifest,
    forms: BTreeMap<String, FormFile>,
    off: Off,
    /// What its files may ask for, bytes; `None`: as the runtime has it.
    memory: Option<u64>,
}

impl Export {
    /// Reads the folder and checks names, shapes and hashes, and that the files say of themselves what the manifest says. Where an
    /// export was finished meanwhile, reads that.
    ///
    /// # Errors
    /// The first file that breaks its contract; a folder whose export is being written, or was stopped.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_without(dir, Off::default())
    }

    /// The same without some checks, which [`super::verify`] leaves out too: for tests of what the others find.
    ///
    /// # Errors
    /// As [`Export::open`].
    pub fn open_without(dir: &Path, off: Off) -> Result<Self> {
        let manifest = || std::fs::read(dir.join(MANIFEST)).ok();
        let before = manifest();
        Self::open_once(dir, &off).or_else(|error| match manifest() {
            now if now != before && now.is_some() => Self::open_once(dir, &off),
            None if is_unfinished(dir) => Err(broken(
                dir,
                "an export is being written into this folder, or was stopped: export again",
            )),
            _ => Err(error),
        })
    }

    fn open_once(dir: &Path, off: &Off) -> Result<Self> {
        let manifest = Manifest::open(dir, off)?;
        let mut forms = BTreeMap::new();
        for (name, entry) in &manifest.forms {
            forms.insert(
                name.clone(),
                form::open(dir, name, (entry, &manifest), off)?,
            );
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            manifest,
            forms,
            off: off.clone(),
            memory: None,
        })
    }

    /// The same whose files may ask for `memory` bytes ([`runtime::Options::memory`]) where one is given.
    #[must_use]
    pub fn with_memory(self, memory: Option<u64>) -> Self {
        Self { memory, ..self }
    }

    /// Options with the memory that was given.
    pub(super) fn within(&self, mut options: runtime::Options) -> runtime::Options {
        options.memory = self.memory.unwrap_or(options.memory);
        options
    }

    /// The model that the manifest's configuration describes.
    ///
    /// # Errors
    /// A configuration that describes no model; one with a layer that only another program knows.
    pub fn model(&self) -> Result<Model> {
        let fail = |what: String| broken(self.dir.join(MANIFEST), what);
        if let Some(name) = self.own_layer() {
            let what = format!(
                "config: the model has a layer of its own, `{name}`; verify it in the program that defines it (minrnn_cli::verify)"
            );
            return Err(fail(what));
        }
        let config: ModelConfig = serde_json::from_value(self.manifest.config.clone())
            .map_err(|e| fail(format!("config: {e}")))?;
        Model::from_config(&config).map_err(|e| fail(format!("config: {e}")))
    }

    /// Names of the features, in order, where the model has names for them.
    pub(crate) fn feature_names(&self) -> Option<Vec<String>> {
        names(&self.manifest.features)
    }

    /// Names of the classes or of the values that come out, in order; of a text model its characters.
    pub(crate) fn output_names(&self) -> Option<Vec<String>> {
        let named = names(&self.manifest.classes).or_else(|| names(&self.manifest.targets));
        let words = self.vocabulary().and_then(Vocabulary::characters);
        named.or_else(|| words.map(<[String]>::to_vec))
    }

    /// What the model was made from, as the manifest says it.
    pub(crate) fn config(&self) -> &Json {
        &self.manifest.config
    }

    /// The name of the layer that only another program knows.
    fn own_layer(&self) -> Option<&str> {
        let name = self.manifest.config.pointer("/cell/name");
        name.and_then(Json::as_str)
    }

    /// Hash over the parameters of the checkpoint that the files were made from.
    pub fn weights_sha256(&self) -> &str {
        &self.manifest.weights_sha256
    }

    /// Hash of `manifest.json`, which has those of all other files.
    pub fn manifest_sha256(&self) -> &str {
        &self.manifest.sha256
    }

    /// What the tokens are, for text models.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        self.manifest.words.as_ref()
    }

    /// The token after which a text is over, where the manifest names one.
    pub fn end_of_stream(&self) -> Option<u64> {
        self.manifest.end()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Means and standard deviations by which the model normalises its features, by feature; `None`: it takes them as they are.
    pub(crate) fn statistics(&self) -> Option<[Vec<f64>; 2]> {
        let all = |key: &str| -> Option<Vec<f64>> {
            let list = self.manifest.config.get("input")?.get(key)?.as_array()?;
            list.iter().map(serde_json::Value::as_f64).collect()
        };
        Some([all("mean")?, all("std")?])
    }

    /// Names of the forms, in order of the alphabet.
    pub fn forms(&self) -> impl Iterator<Item = &str> {
        self.forms.keys().map(String::as_str)
    }

    /// Forms and their files, in order of the alphabet.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.forms
            .iter()
            .map(|(name, f)| (name.as_str(), f.path.as_path()))
    }

    /// Whether the export has the form, and the runtime does not have the operators of its lowering.
    pub fn is_for_other_engines(&self, form: &str) -> bool {
        self.forms
            .get(form)
            .is_some_and(FormFile::is_for_other_engines)
    }

    /// A form in the runtime, which checks it against its metadata once more; `None` if the export has no such form.
    ///
    /// # Errors
    /// What the runtime finds.
    pub fn load(&self, form: &str) -> Result<Option<runtime::Model>> {
        self.runtime(form, &runtime::Options::default())
    }

    /// A form in tract, untouched; `None` if the export has no such form.
    ///
    /// # Errors
    /// What the runtime finds.
    pub fn load_portable(&self, form: &str) -> Result<Option<runtime::Model>> {
        self.runtime(form, &runtime::Options::with_plans(64))
    }

    /// A form, as the runtime's referee runs it; the inner error: why it cannot.
    pub(super) fn load_referee(
        &self,
        form: &str,
    ) -> Result<std::result::Result<runtime::Model, String>> {
        let file = self.forms.get(form);
        let file = file.ok_or_else(|| broken(&self.dir, format!("has no form `{form}`")))?;
        let options = self.within(runtime::Options::referee());
        match runtime::Model::from_bytes_of(&file.path, &file.bytes, &options) {
            Ok(model) => Ok(Ok(model)),
            Err(e) if e.kind() == runtime::ErrorKind::Load => Ok(Err(chain(&e))),
            Err(e) => Err(file.of_runtime(&e)),
        }
    }

    fn runtime(&self, form: &str, options: &runtime::Options) -> Result<Option<runtime::Model>> {
        let Some(file) = self.forms.get(form) else {
            return Ok(None);
        };
        let options = self.within(options.clone());
        let model = runtime::Model::from_bytes_of(&file.path, &file.bytes, &options);
        model
            .map(Some)
            .map_err(|e| match file.is_for_other_engines() {
                false => file.of_runtime(&e),
                true => broken(&file.path, self.elsewhere(form)),
            })
    }

    /// The graph of a form, and the options that it was made with as far as it tells; `None` if the export has no such form.
    pub(super) fn told(&self, form: &str) -> Result<Option<(&ir::Model, ExportOptions)>> {
        let Some(file) = self.forms.get(form) else {
            return Ok(None);
        };
        let told = options(&file.model).map_err(|e| broken(&file.path, chain(&e)))?;
        Ok(Some((&file.model, told)))
    }

    /// Checks that are left out.
    pub(super) fn off(&self) -> &Off {
        &self.off
    }

    /// The longest sequence that all forms take; `None`: any.
    pub(super) fn longest(&self) -> Option<usize> {
        self.forms.values().filter_map(|f| f.longest).min()
    }

    /// Whether all files say that this version wrote them.
    pub(super) fn is_of_this_version(&self) -> bool {
        self.forms.values().all(|f| is_of_this_version(&f.model))
    }

    /// The only T that its files take, where there is only one.
    pub(crate) fn only_length(&self) -> Option<usize> {
        self.fixed().1
    }

    /// Fixed batch and fixed length, where files have them.
    pub(super) fn fixed(&self) -> (Option<usize>, Option<usize>) {
        let dim = |form: &FormFile, i: usize| match form
            .model
            .graph
            .inputs
            .first()?
            .dims
            .as_ref()?
            .get(i)?
        {
            ir::Dim::Fixed(n) => usize::try_from(*n).ok(),
            _ => None,
        };
        let batch = self.forms.values().find_map(|f| dim(f, 0));
        let sequence = self.forms.iter().filter(|(name, _)| *name != "step");
        (batch, sequence.clone().find_map(|(_, f)| dim(f, 1)))
    }

    /// Bytes of the golden trace.
    pub(super) fn golden(&self) -> Result<(PathBuf, Vec<u8>)> {
        let path = self.dir.join("golden.safetensors");
        let bytes = read(&path)?;
        Ok((path, bytes))
    }
}

fn names(list: &Option<Json>) -> Option<Vec<String>> {
    let list = list.as_ref()?.as_array()?;
    list.iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// An error with its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(e) = source {
        let words = e.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = e.source();
    }
    text
}
