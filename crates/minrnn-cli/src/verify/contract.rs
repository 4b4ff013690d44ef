//! An export folder, held against its manifest and against itself before anything runs.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::check;
use minrnn_onnx::export::{Stored, Weights, read as read_stored, weights_sha256};
use minrnn_onnx::ir;
use minrnn_runtime as runtime;
use serde::Deserialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

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

/// `manifest.json` as far as it is needed here.
#[derive(Debug, Clone, Deserialize)]
struct Manifest {
    schema: String,
    weights_sha256: String,
    forms: BTreeMap<String, FormEntry>,
    states: Json,
    head: String,
    config: Json,
    vocabulary: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
struct FormEntry {
    file: String,
    sha256: String,
    /// Weights beside the graph.
    weights: Option<Beside>,
    max_seq_len: Option<usize>,
    inputs: Json,
    outputs: Json,
}

#[derive(Debug, Clone, Deserialize)]
struct Beside {
    file: String,
    sha256: String,
}

/// One form of the export.
#[derive(Debug)]
struct FormFile {
    path: PathBuf,
    bytes: Vec<u8>,
    model: ir::Model,
    longest: Option<usize>,
}

/// An export folder whose files keep their contract.
#[derive(Debug)]
pub struct Export {
    dir: PathBuf,
    manifest: Manifest,
    forms: BTreeMap<String, FormFile>,
}

/// Name of the manifest in an export folder.
const MANIFEST: &str = "manifest.json";

impl Export {
    /// Reads the folder and checks names, shapes and hashes.
    ///
    /// # Errors
    /// The first file that breaks its contract.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let fail = |what: String| {
            Err(ContractError {
                file: path.clone(),
                what,
            })
        };
        let text = read(&path)?;
        let manifest: Manifest = match serde_json::from_slice(&text) {
            Ok(manifest) => manifest,
            Err(e) => return fail(format!("is no manifest of an export: {e}")),
        };
        if manifest.schema != "minrnn.manifest/1" {
            return fail(format!(
                "has schema `{}`; this program reads minrnn.manifest/1",
                manifest.schema
            ));
        }
        if manifest.forms.is_empty() {
            return fail("lists no forms; export again".into());
        }
        let mut forms = BTreeMap::new();
        for (name, entry) in &manifest.forms {
            forms.insert(name.clone(), open_form(dir, name, entry, &manifest)?);
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            manifest,
            forms,
        })
    }

    /// The model that the manifest's configuration describes.
    ///
    /// # Errors
    /// A configuration that describes no model; one with a layer that only another program knows.
    pub fn model(&self) -> Result<Model> {
        let fail = |what: String| ContractError {
            file: self.dir.join(MANIFEST),
            what,
        };
        let config = self.manifest.config.clone();
        if let Some(name) = config.pointer("/cell/name").and_then(Json::as_str) {
            let what = format!(
                "config: the model has a layer of its own, `{name}`; verify it in the program that defines it (minrnn_cli::verify)"
            );
            return Err(fail(what));
        }
        let config: ModelConfig =
            serde_json::from_value(config).map_err(|e| fail(format!("config: {e}")))?;
        Model::from_config(&config).map_err(|e| fail(format!("config: {e}")))
    }

    /// The parameters in the files, the same in each of them.
    ///
    /// # Errors
    /// A file whose parameters are not those of the model, or differ from its hash or from another file.
    pub fn params(&self, model: &Model) -> Result<Params> {
        Ok(self.stored(model)?.params)
    }

    /// The parameters with their type, and how states go in and out: the same in each file.
    ///
    /// # Errors
    /// As [`Export::params`].
    pub fn stored(&self, model: &Model) -> Result<Stored> {
        let mut first: Option<(&str, Stored)> = None;
        for (name, form) in &self.forms {
            let fail = |what: String| {
                Err(ContractError {
                    file: form.path.clone(),
                    what,
                })
            };
            let stored = match read_stored(&form.model, model.graph(), &self.dir) {
                Ok(stored) => stored,
                Err(e) => return fail(chain(&e)),
            };
            let params = &stored.params;
            if let Some((other, expected)) = &first {
                let same = |i: &usize| expected.params.get(*i) == params.get(*i);
                if let Some(i) = (0..params.len()).find(|i| !same(i)) {
                    let spec = &model.graph().params()[i].name;
                    return fail(format!(
                        "parameter `{spec}` is not the same as in the {other} file; export all forms again"
                    ));
                }
            }
            let found = weights_sha256(model.graph(), params);
            // Narrow weights are not the ones that the hash is of.
            if stored.weights == Weights::F32 && found != self.manifest.weights_sha256 {
                let said = &self.manifest.weights_sha256;
                return fail(format!(
                    "its weights have the hash {found}, it claims {said}; export again"
                ));
            }
            first.get_or_insert((name, stored));
        }
        first
            .map(|(_, stored)| stored)
            .ok_or_else(|| ContractError {
                file: self.dir.clone(),
                what: "has no forms".into(),
            })
    }

    /// Hash over the parameters of the checkpoint that the files were made from.
    pub fn weights_sha256(&self) -> &str {
        &self.manifest.weights_sha256
    }

    /// Text of each token, for text models.
    pub fn vocabulary(&self) -> Option<&[String]> {
        self.manifest.vocabulary.as_deref()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
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
        let fail = |what: String| ContractError {
            file: self.dir.clone(),
            what,
        };
        let file = self.forms.get(form);
        let file = file.ok_or_else(|| fail(format!("has no form `{form}`")))?;
        let options = runtime::Options::referee();
        match runtime::Model::from_bytes_in(&self.dir, &file.bytes, &options) {
            Ok(model) => Ok(Ok(model)),
            Err(e) if e.kind() == runtime::ErrorKind::Load => Ok(Err(chain(&e))),
            Err(e) => Err(fail(chain(&e))),
        }
    }

    fn runtime(&self, form: &str, options: &runtime::Options) -> Result<Option<runtime::Model>> {
        let Some(file) = self.forms.get(form) else {
            return Ok(None);
        };
        let model = runtime::Model::from_bytes_in(&self.dir, &file.bytes, options);
        model.map(Some).map_err(|e| ContractError {
            file: file.path.clone(),
            what: chain(&e),
        })
    }

    /// The longest sequence that all forms take; `None`: any.
    pub(super) fn longest(&self) -> Option<usize> {
        self.forms.values().filter_map(|f| f.longest).min()
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

fn read(path: &Path) -> Result<Vec<u8>> {
    let fail = |what: String| ContractError {
        file: path.to_path_buf(),
        what,
    };
    let unread = |e: std::io::Error| fail(format!("cannot be read: {e}"));
    // A pipe or a device has no end to wait for.
    if !std::fs::metadata(path).map_err(unread)?.is_file() {
        return Err(fail("is no plain file".into()));
    }
    std::fs::read(path).map_err(unread)
}

/// Whether a manifest's word names a file of the folder: no path, not the folder itself or the one above, no link.
fn is_own(dir: &Path, name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    let link = || {
        dir.join(name)
            .symlink_metadata()
            .is_ok_and(|m| !m.is_file())
    };
    plain && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0']) && !link()
}

/// The weights beside a graph are those of the export. Read in pieces: they may be large.
fn check_beside(dir: &Path, beside: &Beside) -> Result<()> {
    let path = dir.join(&beside.file);
    let fail = |what: String| ContractError {
        file: path.clone(),
        what,
    };
    if !is_own(dir, &beside.file) {
        return Err(fail("must be a file of the folder".into()));
    }
    let mut hash = Sha256::new();
    let mut file = std::fs::File::open(&path).map_err(|e| {
        fail(format!(
            "cannot be read: {e}; the graphs need it beside them"
        ))
    })?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => hash.update(&piece[..n]),
            Err(e) => return Err(fail(format!("cannot be read: {e}"))),
        }
    }
    let found: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    if found == beside.sha256 {
        return Ok(());
    }
    Err(fail(format!(
        "has the sha256 {found}, the manifest says {}; the file was changed after the export",
        beside.sha256
    )))
}

fn open_form(dir: &Path, name: &str, entry: &FormEntry, manifest: &Manifest) -> Result<FormFile> {
    if !is_own(dir, &entry.file) {
        let what = format!(
            "forms.{name}.file is `{}`; it must be a file of the folder",
            entry.file
        );
        return Err(ContractError {
            file: dir.join(MANIFEST),
            what,
        });
    }
    let path = dir.join(&entry.file);
    let bytes = read(&path)?;
    let fail = |what: String| {
        Err(ContractError {
            file: path.clone(),
            what,
        })
    };
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    if hash != entry.sha256 {
        return fail(format!(
            "has the sha256 {hash}, the manifest says {}; the file was changed after the export",
            entry.sha256
        ));
    }
    if let Some(beside) = &entry.weights {
        check_beside(dir, beside)?;
    }
    let model = match ir::Model::decode(&bytes) {
        Ok(model) => model,
        Err(e) => return fail(chain(&e)),
    };
    if let Err(e) = check::check(&model) {
        return fail(chain(&e));
    }
    let expect = |key: &str, want: &str| {
        let found = model.metadata(key);
        if found == Some(want) {
            return Ok(());
        }
        let what = format!("metadata `{key}` is {found:?}, the manifest says `{want}`");
        Err(ContractError {
            file: path.clone(),
            what,
        })
    };
    expect("minrnn.form", name)?;
    expect("minrnn.head", &manifest.head)?;
    expect("minrnn.weights", &manifest.weights_sha256)?;
    for (key, want) in [
        ("minrnn.states", &manifest.states),
        ("minrnn.config", &manifest.config),
    ] {
        let found = model
            .metadata(key)
            .and_then(|text| serde_json::from_str::<Json>(text).ok());
        if found.as_ref() != Some(want) {
            return fail(format!(
                "metadata `{key}` is not what the manifest says; export again"
            ));
        }
    }
    for (what, list, want) in [
        ("inputs", &model.graph.inputs, &entry.inputs),
        ("outputs", &model.graph.outputs, &entry.outputs),
    ] {
        let found: Json = list.iter().map(signature).collect();
        if found != *want {
            return fail(format!("its {what} are {found}, the manifest says {want}"));
        }
    }
    Ok(FormFile {
        path,
        bytes,
        model,
        longest: entry.max_seq_len,
    })
}

fn signature(value: &ir::ValueInfo) -> Json {
    let dim = |d: &ir::Dim| match d {
        ir::Dim::Fixed(n) => Json::from(*n),
        ir::Dim::Symbol(s) => Json::from(s.clone()),
        ir::Dim::Unknown => Json::Null,
    };
    let shape: Option<Vec<Json>> = value
        .dims
        .as_ref()
        .map(|dims| dims.iter().map(dim).collect());
    serde_json::json!({ "name": value.name, "dtype": value.dtype.map(|d| d.name()), "shape": shape })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_files_of_its_own_folder() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("export");
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        for file in ["a.onnx", "sub/b.onnx", "../c.onnx"] {
            std::fs::write(dir.join(file), b"x").unwrap();
        }
        assert!(is_own(&dir, "a.onnx") && is_own(&dir, "not there"));
        for name in [
            "",
            ".",
            "..",
            "/",
            "../c.onnx",
            "sub/b.onnx",
            "sub",
            "sub/../../c.onnx",
            "/etc/passwd",
            ".hidden",
            "sub\\b.onnx",
            "C:a.onnx",
            "a.onnx\0",
        ] {
            assert!(!is_own(&dir, name), "{name}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../c.onnx", dir.join("link.onnx")).unwrap();
            assert!(!is_own(&dir, "link.onnx"));
        }
    }
}
