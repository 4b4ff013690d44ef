//! An export's folder, written so that at no time a half-written file stands where a good one was.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use minrnn_model::model::Model as Network;
use minrnn_model::params::Params;

use super::manifest::{FormFile, manifest};
use super::{ExportError, ExportOptions, Form, card, export_graph, golden, weights_sha256};

/// What to write into a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct DirOptions {
    /// Which forms; at least one.
    pub forms: Vec<Form>,
    /// The rest of the options; its `form` and `config` are set for each file.
    pub options: ExportOptions,
    /// The text of each token, for the manifest.
    pub vocabulary: Option<Vec<String>>,
}

impl Default for DirOptions {
    fn default() -> Self {
        Self {
            forms: Form::ALL.to_vec(),
            options: ExportOptions::default(),
            vocabulary: None,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// Every file, in the order written.
    pub files: Vec<PathBuf>,
    /// Hash over all parameters.
    pub weights_sha256: String,
}

/// Exports `model` into the folder `dir`: `model.{form}.onnx`, `golden.safetensors`, `README.md`, `manifest.json`.
///
/// Everything is made and checked before the first byte is written; then each file is written whole into a temporary folder
/// beside, synced, and renamed into place, the manifest last. Files of another export in `dir` that this one does not write
/// (a form that is not asked for) are removed before the manifest that no longer lists them is in place.
///
/// # Errors
/// Those of [`export_graph`]; a vocabulary of another size than the model's; files that cannot be written.
pub fn write_export(
    dir: &Path,
    model: &Network,
    params: &Params,
    options: &DirOptions,
) -> Result<Exported, ExportError> {
    let files = render(model, params, options)?;
    let parent = match dir.parent() {
        Some(p) if p != Path::new("") => p,
        _ => Path::new("."),
    };
    fs::create_dir_all(dir).map_err(ExportError::io("create", dir))?;
    let staging = tempfile::Builder::new()
        .prefix(".minrnn-export-")
        .tempdir_in(parent)
        .map_err(ExportError::io("create a temporary folder in", parent))?;
    for (name, bytes) in &files {
        write_synced(&staging.path().join(name), bytes)?;
    }
    let mut written = vec![];
    for (name, _) in &files {
        if name == MANIFEST {
            remove_stale(dir, &files)?;
        }
        let to = dir.join(name);
        fs::rename(staging.path().join(name), &to)
            .map_err(ExportError::io("rename into place", &to))?;
        written.push(to);
    }
    sync_dir(dir)?;
    Ok(Exported {
        files: written,
        weights_sha256: weights_sha256(model.graph(), params),
    })
}

const MANIFEST: &str = "manifest.json";

fn file_name(form: Form) -> String {
    format!("model.{}.onnx", form.name())
}

/// Names and bytes of all files, the manifest last.
fn render(
    model: &Network,
    params: &Params,
    dir: &DirOptions,
) -> Result<Vec<(String, Vec<u8>)>, ExportError> {
    let graph = model.graph();
    let wrong = |option, what: String| Err(ExportError::Option { option, what });
    if dir.forms.is_empty() {
        return wrong("forms", "name at least one of parallel, scan, step".into());
    }
    if let (Some(words), minrnn_model::graph::Input::Tokens { vocab }) =
        (&dir.vocabulary, graph.input())
        && words.len() != vocab
    {
        return wrong(
            "vocabulary",
            format!("has {} entries, the model {vocab} tokens", words.len()),
        );
    }
    let mut forms = dir.forms.clone();
    forms.sort_unstable();
    forms.dedup();
    let mut made = vec![];
    for form in forms {
        let options = ExportOptions {
            form,
            config: model.config().clone(),
            ..dir.options.clone()
        };
        let onnx = export_graph(graph, params, &options)?;
        let bytes = onnx.encode();
        made.push((options, onnx, bytes));
    }
    let list: Vec<FormFile> = made
        .iter()
        .map(|(options, model, bytes)| FormFile {
            options,
            model,
            file: file_name(options.form),
            bytes,
        })
        .collect();
    let manifest = manifest(
        graph,
        params,
        model.config(),
        &list,
        dir.vocabulary.as_deref(),
    );
    let card = card::card(graph, model.config(), &weights_sha256(graph, params), &list);
    let manifest = super::json::canonical(&manifest) + "\n";
    let golden = golden::golden(graph, params)?;
    let mut files: Vec<(String, Vec<u8>)> = made
        .into_iter()
        .map(|(options, _, bytes)| (file_name(options.form), bytes))
        .collect();
    files.push(("golden.safetensors".to_owned(), golden));
    files.push(("README.md".to_owned(), card.into_bytes()));
    files.push((MANIFEST.to_owned(), manifest.into_bytes()));
    Ok(files)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    let mut file = File::create(path).map_err(ExportError::io("create", path))?;
    file.write_all(bytes)
        .map_err(ExportError::io("write", path))?;
    file.sync_all().map_err(ExportError::io("sync", path))
}

/// Forms that an earlier export left and this one does not have would be of other weights.
fn remove_stale(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<(), ExportError> {
    for form in Form::ALL {
        let name = file_name(form);
        let path = dir.join(&name);
        if files.iter().all(|(n, _)| *n != name) && path.exists() {
            fs::remove_file(&path).map_err(ExportError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Renames last only once the folder itself is on disk; where folders cannot be opened as files there is nothing to do.
fn sync_dir(dir: &Path) -> Result<(), ExportError> {
    match File::open(dir) {
        Ok(folder) if cfg!(unix) => folder.sync_all().map_err(ExportError::io("sync", dir)),
        _ => Ok(()),
    }
}
