//! An export's folder, written so that at no time a half-written file stands where a good one was.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use minrnn_model::model::Model as Network;
use minrnn_model::params::Params;
use minrnn_model::vocabulary::{TOKENIZER, Vocabulary};
use sha2::{Digest, Sha256};

use super::averaged;
use super::lock::{Lock, MANIFEST};
use super::manifest::{Data, FormFile, manifest};
use super::weights::hex;
use super::{
    Averaged, ExportError, ExportOptions, Form, Store, card, golden, ports, weights,
    weights_sha256, words,
};

/// Where the weights are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// In each form's file up to 64 MiB; above, in one file for all forms where the target reads such.
    #[default]
    Auto,
    /// In each form's file.
    Inline,
    /// In a file beside each form's, `model.{form}.data`.
    External,
    /// In one file for all forms, `model.data`.
    Shared,
}

/// Weights of more bytes leave the graph's file by [`Placement::Auto`].
const LARGE: u64 = 64 << 20;

/// What to write into a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct DirOptions {
    /// Which forms; at least one. All of them ([`Form::ALL`]) are those that the model has ([`Form::of`]).
    pub forms: Vec<Form>,
    /// The rest of the options; its `form` and `config` are set for each file. `lengths` is left out of `step`.
    pub options: ExportOptions,
    /// Where the weights are.
    pub placement: Placement,
    /// What the tokens are, for the manifest, and what tells it in the files. A tokenizer is written beside them.
    pub vocabulary: Option<Vocabulary>,
    /// The token after which a text has ended, for the manifest and the files' metadata.
    pub end_of_stream: Option<usize>,
    /// What average of a training's weights the weights are, if they are one: for the manifest, the model card and the files' metadata.
    pub average: Option<Averaged>,
    /// What the model was measured to do, and the figure, for the model card.
    pub measured: Vec<(String, String)>,
}

impl Default for DirOptions {
    fn default() -> Self {
        Self {
            forms: Form::ALL.to_vec(),
            options: ExportOptions::default(),
            placement: Placement::Auto,
            vocabulary: None,
            end_of_stream: None,
            average: None,
            measured: vec![],
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// Every file, in the order written, with its size and sha256.
    pub files: Vec<Written>,
    /// Hash over all parameters.
    pub weights_sha256: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// How large.
    pub bytes: u64,
    /// In lower-case hex.
    pub sha256: String,
}

fn file_name(form: Form) -> String {
    format!("model.{}.onnx", form.name())
}

/// Exports `model` into the folder `dir`: `model.{form}.onnx`, weights beside them where the placement says so,
/// `golden.safetensors`, `README.md`, `manifest.json`.
///
/// Everything is made, checked, written and synced in a temporary folder inside of `dir`. Then the old manifest goes, each file
/// is renamed into place, and the new manifest comes last: at any moment the manifest fits its files or there is none
/// ([`super::is_unfinished`]). Files of another export in `dir` that this one does not write (a form that is not asked for)
/// are removed, all others stay. Weights in a file beside are written in pieces: they are in memory once, as the parameters.
///
/// # Errors
/// Those of [`super::export_graph`]; a vocabulary of another size than the model's; another export into the same folder at the
/// same time; files that cannot be written.
pub fn write_export(
    dir: &Path,
    model: &Network,
    params: &Params,
    options: &DirOptions,
) -> Result<Exported, ExportError> {
    check(model, options)?;
    weights::fits(model.graph(), params)?;
    let mut lock = Lock::take(dir)?;
    // Dropped before the lock.
    let staging = lock.staging()?;
    let mut staged = Staged {
        dir: staging.path(),
        files: vec![],
    };
    let weights_sha256 = weights_sha256(model.graph(), params);
    stage(&mut staged, model, params, options, &weights_sha256)?;
    let names: Vec<String> = staged.files.iter().map(|(name, ..)| name.clone()).collect();
    replaceable(dir, &names)?;
    lock.half = true;
    let had = names_tokenizer(dir);
    remove(dir, MANIFEST)?;
    sync_dir(dir)?;
    remove_stale(dir, &names, had)?;
    let mut files = vec![];
    for (name, bytes, sha256) in staged.files {
        if name == MANIFEST {
            sync_dir(dir)?;
        }
        let path = dir.join(&name);
        fs::rename(staging.path().join(&name), &path)
            .map_err(ExportError::io("rename into place", &path))?;
        files.push(Written {
            path,
            bytes,
            sha256,
        });
    }
    sync_dir(dir)?;
    Ok(Exported {
        files,
        weights_sha256,
    })
}

/// A folder where a file is to be would stop the export when the old manifest is gone.
fn replaceable(dir: &Path, names: &[String]) -> Result<(), ExportError> {
    let mut paths = names.iter().map(|name| dir.join(name));
    match paths.find(|path| path.is_dir()) {
        Some(path) => Err(ExportError::io("replace", path)(
            std::io::ErrorKind::IsADirectory.into(),
        )),
        None => Ok(()),
    }
}

fn check(model: &Network, dir: &DirOptions) -> Result<(), ExportError> {
    let wrong = |option, what: String| Err(ExportError::Option { option, what });
    if dir.forms.is_empty() {
        return wrong("forms", "name at least one of parallel, scan, step".into());
    }
    if let Some(average) = dir.average.filter(|a| !a.is_sound()) {
        let what = format!(
            "{} is no average: a decay is between 0 and 1, steps count from 1, and the last comes after the first",
            average.json()
        );
        return wrong("average", what);
    }
    let minrnn_model::graph::Input::Tokens { vocab } = model.graph().input() else {
        return match (&dir.vocabulary, dir.end_of_stream) {
            (None, None) => Ok(()),
            (Some(_), _) => wrong("vocabulary", "the model takes features, not tokens".into()),
            (None, Some(_)) => wrong(
                "end_of_stream",
                "the model takes features, not tokens".into(),
            ),
        };
    };
    if let Some(words) = &dir.vocabulary {
        words::fits(words, vocab).or_else(|what| wrong("vocabulary", what))?;
    }
    match dir.end_of_stream {
        Some(token) if token >= vocab => wrong(
            "end_of_stream",
            format!("is {token}, and the model has {vocab} tokens"),
        ),
        _ => Ok(()),
    }
}

/// Files written into the temporary folder: name, size, sha256.
struct Staged<'a> {
    dir: &'a Path,
    files: Vec<(String, u64, String)>,
}

impl Staged<'_> {
    fn add(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()>,
    ) -> Result<(), ExportError> {
        let path = self.dir.join(name);
        let mut file = File::create(&path).map_err(ExportError::io("create", &path))?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        fill(&mut |piece| {
            hash.update(piece);
            bytes += piece.len() as u64;
            file.write_all(piece)
        })
        .map_err(ExportError::io("write", &path))?;
        file.sync_all().map_err(ExportError::io("sync", &path))?;
        let sha256 = hex(&hash.finalize());
        self.files.push((name.to_owned(), bytes, sha256));
        Ok(())
    }

    fn add_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        self.add(name, |sink| sink(bytes))
    }

    /// The file last written.
    fn last(&self) -> Data {
        let (file, bytes, sha256) = self.files[self.files.len() - 1].clone();
        Data {
            file,
            bytes,
            sha256,
        }
    }
}

/// Writes everything, the manifest last.
fn stage(
    staged: &mut Staged,
    model: &Network,
    params: &Params,
    dir: &DirOptions,
    weights_sha256: &str,
) -> Result<(), ExportError> {
    let graph = model.graph();
    let mut forms = dir.forms.clone();
    forms.sort_unstable();
    forms.dedup();
    if forms == Form::ALL {
        forms = Form::of(graph);
    }
    let placement = placement(dir, 4 * params.count() as u64)?;
    let mut made: Vec<FormFile> = vec![];
    let mut shared: Option<Data> = None;
    for form in forms {
        let options = ExportOptions {
            form,
            lengths: dir.options.lengths && form != Form::Step,
            config: model.config().clone(),
            ..dir.options.clone()
        };
        let beside = match placement {
            Placement::Shared => Some("model.data".to_owned()),
            Placement::External => Some(format!("model.{}.data", form.name())),
            Placement::Auto | Placement::Inline => None,
        };
        let store = Store::plan(graph, params, &options.weights, beside.as_deref())?;
        weights::small_enough(&store)?;
        let mut onnx = super::render(graph, params, &store, weights_sha256, &options)?;
        let words = dir.vocabulary.as_ref().map(super::vocabulary_mark);
        let entry = words.map(|mark| ("minrnn.vocabulary".to_owned(), mark));
        onnx.metadata.extend(entry);
        let end = dir.end_of_stream.map(|token| token.to_string());
        onnx.metadata
            .extend(end.map(|token| ("minrnn.end_of_stream".to_owned(), token)));
        let average = dir.average.map(|average| average.json().to_string());
        onnx.metadata
            .extend(average.map(|average| (averaged::KEY.to_owned(), average)));
        staged.add_bytes(&file_name(form), &onnx.encode())?;
        let file = staged.last();
        let data = match (store.file(), &shared) {
            (None, _) => None,
            (Some(_), Some(data)) => Some(data.clone()),
            (Some((name, _)), None) => {
                staged.add(name, |sink| store.write(params, sink))?;
                let data = staged.last();
                shared = (placement == Placement::Shared).then(|| data.clone());
                Some(data)
            }
        };
        made.push(FormFile::new(options, &onnx, file, data));
    }
    let ports = ports(graph, &made[0].options)?;
    let golden = golden::golden(graph, params, &ports, &made[0].options, weights_sha256)?;
    staged.add_bytes("golden.safetensors", &golden)?;
    let names = super::names::names(graph, model.config())?;
    let card = card::card(&card::Content {
        graph,
        params,
        config: model.config(),
        weights: weights_sha256,
        ports: &ports,
        names: &names,
        forms: &made,
        dir,
    });
    staged.add_bytes("README.md", card.as_bytes())?;
    if let Some(file) = dir.vocabulary.as_ref().and_then(Vocabulary::tokenizer) {
        staged.add_bytes(TOKENIZER, file)?;
    }
    let manifest = manifest(
        graph,
        params,
        model.config(),
        weights_sha256,
        &ports,
        &names,
        &made,
        dir,
    );
    let manifest = super::json::pretty(&manifest) + "\n";
    staged.add_bytes(MANIFEST, manifest.as_bytes())
}

/// Where weights of so many bytes (as f32) go.
fn placement(dir: &DirOptions, bytes: u64) -> Result<Placement, ExportError> {
    let target = dir.options.target;
    let beside = target.choices().external;
    match dir.placement {
        Placement::Auto if bytes > LARGE && beside => Ok(Placement::Shared),
        Placement::Auto => Ok(Placement::Inline),
        Placement::External | Placement::Shared if !beside => Err(ExportError::Option {
            option: "placement",
            what: format!(
                "{} reads no weights from another file; use inline",
                target.name()
            ),
        }),
        chosen => Ok(chosen),
    }
}

/// Files that an earlier export left and this one does not have would be of other weights.
fn remove_stale(dir: &Path, files: &[String], tokenizer: bool) -> Result<(), ExportError> {
    let of = |form: Form| [file_name(form), format!("model.{}.data", form.name())];
    let all = Form::ALL.into_iter().flat_map(of);
    let others = ["model.data".to_owned()].into_iter();
    let others = others.chain(tokenizer.then(|| TOKENIZER.to_owned()));
    for name in all.chain(others) {
        if !files.contains(&name) {
            remove(dir, &name)?;
        }
    }
    Ok(())
}

/// Whether the export that lies there has a tokenizer; one that its manifest does not name is somebody's.
fn names_tokenizer(dir: &Path) -> bool {
    let manifest = fs::read(dir.join(MANIFEST)).ok();
    let manifest: Option<serde_json::Value> =
        manifest.and_then(|m| serde_json::from_slice(&m).ok());
    manifest.is_some_and(|m| m["vocabulary"]["file"] == TOKENIZER)
}

fn remove(dir: &Path, name: &str) -> Result<(), ExportError> {
    let path = dir.join(name);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(ExportError::io("remove", path)(e))
        }
        _ => Ok(()),
    }
}

/// Renames last only once the folder itself is on disk; where folders cannot be opened as files there is nothing to do.
fn sync_dir(dir: &Path) -> Result<(), ExportError> {
    match File::open(dir) {
        Ok(folder) if cfg!(unix) => folder.sync_all().map_err(ExportError::io("sync", dir)),
        _ => Ok(()),
    }
}
