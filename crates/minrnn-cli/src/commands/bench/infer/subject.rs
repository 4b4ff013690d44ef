//! The models that are measured, as exported files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Form, Lowering, Target, Weights, write_export,
};
use minrnn_runtime::{self as runtime, Info};
use minrnn_train::data::read_data;
use serde_json::Value as Json;

use super::case::{Case, ONE, Sizes, all};
use crate::files::{self, MANIFEST};

/// A language model as large as the paper's: 3 layers, width 384, expansion 2, with convolution and feed-forward layer.
const LM: &str = "width = 384\nlayers = 3\n[input]\nvocab = 65\n[cell]\nkind = 'min_gru'\nexpansion = 2.0\n[conv]\nkernel = 4\n\
                  [mlp]\nexpansion = 4.0\n[head]\nwidth = 65\n";
/// Features in, values out: norms and cells.
const CONTROLLER: &str = "width = 64\nlayers = 2\n[input]\nfeatures = 8\n[cell]\nkind = 'min_gru'\n[head]\nwidth = 4\nkind = 'values'\n";
/// The same with convolution and feed-forward layer.
const CONTROLLER_MLP: &str = "width = 64\nlayers = 2\n[input]\nfeatures = 8\n[cell]\nkind = 'min_gru'\n[conv]\nkernel = 4\n\
                              [mlp]\nexpansion = 2.0\n[head]\nwidth = 4\nkind = 'values'\n";

/// As large a language model of Mamba's blocks, 16 states a channel.
const MAMBA: &str = "width = 384\nlayers = 3\nblock = 'mamba'\n[input]\nvocab = 65\n[cell]\nkind = 'mamba'\n[head]\nwidth = 65\n";
/// And of Mamba-2's: 12 heads of 64 channels, 128 states a channel.
const MAMBA2: &str = "width = 384\nlayers = 3\nblock = 'mamba'\n[input]\nvocab = 65\n[cell]\nkind = 'mamba2'\n[head]\nwidth = 65\n";

/// The same width and depth with the other mixers, and small models of PyTorch's cells: one step of one row is measured.
const OTHERS: [(&str, &str); 7] = [
    (
        "signed-min-gru",
        "width = 384\nlayers = 3\n[input]\nvocab = 65\n[cell]\nkind = 'signed_min_gru'\n[head]\nwidth = 65\n",
    ),
    (
        "aaren",
        "width = 384\nlayers = 3\n[input]\nvocab = 65\n[cell]\nkind = 'aaren'\nhead_channels = 64\n[head]\nwidth = 65\n",
    ),
    (
        "s4d",
        "width = 384\nlayers = 3\n[input]\nvocab = 65\n[cell]\nkind = 's4d'\nstates = 64\n[head]\nwidth = 65\n",
    ),
    (
        "attention",
        "width = 384\nlayers = 3\nnorm = 'layer'\n[input]\nvocab = 65\n[cell]\nkind = 'attention'\nheads = 6\nwindow = 256\nbias = true\n[mlp]\n[head]\nwidth = 65\n",
    ),
    (
        "h3",
        "width = 384\nlayers = 3\n[input]\nvocab = 65\n[cell]\nkind = 'h3'\nstates = 64\ntaps = 4\n[head]\nwidth = 65\n",
    ),
    (
        "gru",
        "width = 64\nlayers = 2\n[input]\nfeatures = 8\n[cell]\nkind = 'gru'\n[head]\nwidth = 4\nkind = 'values'\n",
    ),
    (
        "lstm",
        "width = 64\nlayers = 2\n[input]\nfeatures = 8\n[cell]\nkind = 'lstm'\n[head]\nwidth = 4\nkind = 'values'\n",
    ),
];

/// A model with its files.
pub(super) struct Subject {
    pub(super) name: String,
    /// Type of the weights.
    pub(super) dtype: String,
    /// Parameters, where the model was made here.
    pub(super) parameters: Option<usize>,
    pub(super) files: Vec<File>,
}

/// One file of an export.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// What tables call it.
    pub(super) form: String,
    pub(super) path: PathBuf,
    /// Of the file and of the weights beside it.
    pub(super) bytes: u64,
    /// Whether minrnn-runtime is measured with it; the rest are other ways for other engines to compute the same.
    pub(super) own: bool,
    pub(super) info: Info,
}

/// A model made here, and the cases of interest.
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) dtype: &'static str,
    config: &'static str,
    /// The form of whole sequences that ours is measured with: of wide states the form parallel holds those of all steps.
    sequence: Form,
    pub(super) cases: Vec<Case>,
}

/// The models of the table.
pub(super) fn specs(sizes: Sizes) -> Vec<Spec> {
    let spec = |name, dtype, config, cases| Spec {
        name,
        dtype,
        config,
        sequence: Form::Parallel,
        cases,
    };
    let one = || vec![ONE];
    // States of 49 and of 393 KB a layer: the longer sequences say nothing more.
    let wide = |name, config, sequence| Spec {
        sequence,
        ..spec(name, "f32", config, wide_cases(sizes))
    };
    let others = OTHERS.map(|(name, config)| spec(name, "f32", config, one()));
    let first = [
        spec("lm", "f32", LM, all(sizes)),
        spec("lm", "int8", LM, one()),
        spec("controller", "f32", CONTROLLER, one()),
        spec("controller-mlp", "f32", CONTROLLER_MLP, one()),
        wide("mamba", MAMBA, Form::Parallel),
        wide("mamba2", MAMBA2, Form::Scan),
    ];
    first.into_iter().chain(others).collect()
}

/// A step of one row, and the shortest of the sequences.
fn wide_cases(sizes: Sizes) -> Vec<Case> {
    let all = all(sizes);
    let sequence = all.iter().find(|c| !c.step);
    std::iter::once(ONE).chain(sequence.copied()).collect()
}

/// Exports the model with initial weights of a fixed seed into folders below `folder`; for `rivals` also the files that are made
/// for ONNX Runtime, which minrnn is not measured with.
pub(super) fn export(spec: &Spec, folder: &Path, rivals: bool) -> Result<Subject> {
    let config: ModelConfig = toml::from_str(spec.config)?;
    let model = Model::from_config(&config)?;
    let params = Params::init(model.graph(), 1);
    let sequences = spec.cases.iter().filter(|c| !c.step);
    let lengths: Vec<usize> = sequences.map(|c| c.seq_len).collect();
    let mut forms = vec![];
    if !lengths.is_empty() {
        forms.push(spec.sequence);
        let scan = rivals && spec.sequence != Form::Scan;
        forms.extend(scan.then_some(Form::Scan));
    }
    if spec.cases.iter().any(|c| c.step) {
        forms.push(Form::Step);
    }
    // Files of int8 for tract are such that both engines take them.
    let (target, weights) = match spec.dtype {
        "int8" => (Target::Tract, Weights::Int8(Activations::Row)),
        _ => (Target::Portable, Weights::F32),
    };
    let dir = folder.join(format!("{}-{}", spec.name, spec.dtype));
    let write = |dir: &Path, forms: Vec<Form>, options| {
        let options = DirOptions {
            forms,
            options,
            ..DirOptions::default()
        };
        write_export(dir, &model, &params, &options)
            .with_context(|| format!("cannot export the model {}", spec.name))
    };
    write(&dir, forms, of_target(target, weights))?;
    let mut files = files_of(&dir)?;
    let theirs = |length: Option<usize>, lowering| ExportOptions {
        batch: Some(1),
        seq_len: length,
        lowering,
        ..of_target(Target::OnnxRuntime, Weights::F32)
    };
    let fixed = |form: &str| format!("{form} for onnxruntime, B and T fixed");
    let blocked = rivals && spec.sequence == Form::Parallel;
    for length in lengths.iter().filter(|_| blocked) {
        let dir = folder.join(format!("{}-{length}", spec.name));
        let options = theirs(Some(*length), Target::OnnxRuntime.choices().lowering);
        write(&dir, vec![Form::Parallel], options)?;
        files.extend(files_of(&dir)?.into_iter().map(|file| File {
            form: fixed("parallel"),
            own: false,
            ..file
        }));
    }
    if rivals && Lowering::LinearAttention.is_of_steps(model.graph()) {
        let whole = lengths.iter().map(|t| (Form::Parallel, Some(*t)));
        for (form, length) in whole.chain([(Form::Step, None)]) {
            let dir = folder.join(format!("{}-attention-{}", spec.name, length.unwrap_or(1)));
            write(&dir, vec![form], theirs(length, Lowering::LinearAttention))?;
            files.extend(by_operator(&files, &dir, (form, length))?);
        }
    }
    Ok(Subject {
        name: spec.name.into(),
        dtype: spec.dtype.into(),
        parameters: Some(params.count()),
        files,
    })
}

/// The file of a folder that has the operator LinearAttention, which only other engines run. Inputs, outputs and states are those of the
/// file of ours that takes the same.
fn by_operator(
    files: &[File],
    dir: &Path,
    (form, length): (Form, Option<usize>),
) -> Result<Option<File>> {
    let sequence = |f: &&File| f.own && f.info.form.is_sequence() == (form != Form::Step);
    let Some(like) = files.iter().find(sequence) else {
        return Ok(None);
    };
    let path = dir.join(format!("model.{}.onnx", form.name()));
    let bytes = std::fs::metadata(&path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    Ok(Some(File {
        form: format!("{} by LinearAttention, for onnxruntime", form.name()),
        bytes,
        own: false,
        info: Info {
            batch: Some(1),
            seq_len: length,
            max_seq_len: None,
            ..like.info.clone()
        },
        path,
    }))
}

fn of_target(target: Target, weights: Weights) -> ExportOptions {
    let choices = target.choices();
    ExportOptions {
        lowering: choices.lowering,
        block: choices.block,
        opset: choices.opset,
        fused_norms: choices.fused_norms,
        fused_cells: choices.fused_cells,
        weights,
        target,
        ..ExportOptions::default()
    }
}

impl Subject {
    /// The files that can do a case.
    pub(super) fn fitting(&self, case: Case) -> Vec<&File> {
        let fits = |file: &&File| case.fits(&file.info);
        self.files.iter().filter(fits).collect()
    }

    /// The cases that its files take, of one file of a kind each.
    ///
    /// # Errors
    /// A length that was asked for and that no file takes.
    pub(super) fn cases(&self, sizes: Sizes) -> Result<Vec<Case>> {
        let mut cases = vec![];
        for case in all(sizes) {
            let is = |f: &&File| f.info.form.is_sequence() != case.step;
            let Some(file) = self.files.iter().find(is) else {
                continue;
            };
            let fitting = case.within(&file.info);
            if fitting.seq_len != case.seq_len && !sizes.lengths.is_empty() && !case.step {
                bail!(
                    "--seq-len {}: {} of {} takes sequences of {} steps{}",
                    case.seq_len,
                    file.form,
                    self.name,
                    fitting.seq_len,
                    if file.info.seq_len.is_none() {
                        " at most"
                    } else {
                        ""
                    }
                );
            }
            cases.push(fitting);
        }
        cases.dedup();
        Ok(cases)
    }
}

/// Somebody's export.
pub(super) fn open(dir: &Path) -> Result<Subject> {
    // Every file is held against the manifest.
    files::open_export(dir)?;
    let manifest = manifest(dir)?;
    let name = dir.canonicalize().ok();
    let name = name.as_deref().unwrap_or(dir).file_name();
    Ok(Subject {
        name: name.map_or("export".into(), |n| n.to_string_lossy().into_owned()),
        dtype: manifest["dtype"].as_str().unwrap_or("f32").into(),
        parameters: None,
        files: files_of(dir)?,
    })
}

fn manifest(dir: &Path) -> Result<Json> {
    let path = dir.join(MANIFEST);
    let text = read_data(&path).with_context(|| format!("cannot read {}", path.display()))?;
    minrnn_model::json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The files that the manifest lists, `parallel` before `scan`.
fn files_of(dir: &Path) -> Result<Vec<File>> {
    let manifest = manifest(dir)?;
    let Some(forms) = manifest["forms"].as_object() else {
        bail!("{} lists no forms", dir.join(MANIFEST).display());
    };
    let mut files = vec![];
    for (form, entry) in forms {
        let size = |name: &Json| match name.as_str() {
            None => Ok(0),
            Some(name) => std::fs::metadata(dir.join(name)).map(|m| m.len()),
        };
        let path = dir.join(entry["file"].as_str().unwrap_or_default());
        files.push(File {
            form: form.clone(),
            bytes: size(&entry["file"])? + size(&entry["weights"]["file"])?,
            own: true,
            info: runtime::Model::open(&path)?.info().clone(),
            path,
        });
    }
    Ok(files)
}
