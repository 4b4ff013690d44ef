//! Weights trained in PyTorch become a checkpoint.
//!
//! Two layouts are known: the Python package minGRU-pytorch, and the code of the paper's authors. The architecture is found
//! from names and shapes ([`Row`] is the mapping), every tensor of the file must have its place, and the model is the same
//! function: weights are moved, or changed where the two sides write one function in two ways (`gamma + 1`).
//! Files are data: nothing that a file contains is ever executed.

mod cell;
mod error;
mod found;
mod lm;
mod names;
mod rows;
mod separate;
mod source;
#[cfg(test)]
mod tests;
mod tokenizer;
mod vocabulary;

use std::path::Path;

use minrnn_model::config::ModelConfig;
use minrnn_model::layers::Activation;
use minrnn_model::model::Model;
use minrnn_model::params::Params;

pub use error::{ImportError, ImportProblem};
pub use found::Layout;
pub use rows::{How, Row};
pub use vocabulary::vocabulary;

use crate::checkpoint::Checkpoint;
use crate::data::Vocabulary;
use error::Result;
use found::{CellFound, PaperCell, Tensors};
use rows::Rows;
use source::{Dtype, Source};

/// What a file does not say by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// The layout that the file must have; `None`: any.
    pub layout: Option<Layout>,
    /// The entry of an archive with the weights; `None`: `model`, `state_dict` or `model_state_dict`, or the archive itself.
    pub key: Option<String>,
    /// Only tensors with names below this one, as `rnn` for `rnn.to_out.weight`.
    pub prefix: Option<String>,
    /// Characters by token number.
    pub vocabulary: Option<Vec<String>>,
    /// Epsilon of the norms; `None`: that of the layout's code in float32.
    pub norm_eps: Option<f64>,
    /// Activation of the feed-forward layers; `None`: GELU by the error function, as in both layouts' code.
    pub activation: Option<Activation>,
    /// Whether a minLSTM's gates are normalised.
    pub normalize_gates: Option<bool>,
    /// Whether the head is the embedding.
    pub tie: bool,
}

/// An imported model.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Whose layout it was.
    pub layout: Layout,
    /// Format of the file, and where in it the weights were.
    pub format: String,
    /// What was found, in words.
    pub architecture: String,
    /// The model.
    pub config: ModelConfig,
    /// The mapping, in the order of the model.
    pub rows: Vec<Row>,
    /// What people must know about it.
    pub notes: Vec<String>,
    /// To be saved.
    pub checkpoint: Checkpoint,
}

/// What is to be done.
struct Plan {
    what: String,
    config: ModelConfig,
    rows: Rows,
    notes: Vec<String>,
}

/// Reads a file of another implementation. Writes nothing.
///
/// # Errors
/// [`ImportError`] naming the file, and the tensor, the byte or the option that is wrong.
pub fn import(path: &Path, options: &Options) -> Result<Imported, ImportError> {
    let read = || {
        let source = Source::open(path, options.key.as_deref())?;
        import_source(&source, options)
    };
    read().map_err(|problem| problem.at(path))
}

fn import_source(source: &Source, options: &Options) -> Result<Imported> {
    let named = names::short(&source.tensors, options.prefix.as_deref())?;
    let tensors = &named.tensors;
    let (cell, plan) = plan(tensors, options)?;
    check_size(source, tensors, &plan.rows)?;
    let model = Model::from_config(&plan.config)?;
    check_vocabulary(&plan.config, options)?;
    let params = plan.rows.apply(source, &named.long, tensors)?;
    let values = params
        .iter()
        .map(|(n, t)| (n.clone(), (t.shape.clone(), t.data.clone())));
    Params::from_named(model.graph(), values.collect())?;
    let mut notes = notes(tensors, &cell, &plan, options);
    if !named.cut.is_empty() {
        notes.insert(0, format!("names without their prefix `{}`", named.cut));
    }
    let record = serde_json::json!({ "layout": cell.layout.name(), "format": source.format });
    Ok(Imported {
        layout: cell.layout,
        format: source.format.clone(),
        architecture: format!("{}, {}", kind(&cell), plan.what),
        checkpoint: Checkpoint {
            config: serde_json::json!({ "import": record, "model": model.config() }),
            params,
            optimizer: None,
            trainer: None,
            vocabulary: options.vocabulary.clone(),
        },
        config: plan.config,
        rows: plan.rows.rows,
        notes,
    })
}

fn plan(tensors: &Tensors, options: &Options) -> Result<(CellFound, Plan)> {
    if let Some(name) = tensors
        .keys()
        .find(|n| n.contains(".to_qkv.") || n.starts_with("to_qkv."))
    {
        return Err(ImportProblem::Unsupported {
            what: format!("the hybrid of minGRU and attention (tensor `{name}`)"),
            message: "attention is no recurrence, and no minrnn model has it".into(),
        });
    }
    let prefix = match (
        found::has_cell(tensors, ""),
        found::has_cell(tensors, "layers.0.2."),
    ) {
        (true, _) => "",
        (_, true) => "layers.0.2.",
        _ => return Err(unknown(tensors)),
    };
    let cell = found::cell(tensors, prefix)?;
    if let Some(wanted) = options.layout.filter(|l| *l != cell.layout) {
        let message = format!(
            "{}: the file has the layout {}",
            wanted.name(),
            cell.layout.name()
        );
        return Err(ImportProblem::option("--layout", message));
    }
    let plan = if prefix.is_empty() {
        cell::alone(tensors, &cell, options)?
    } else {
        lm::whole(tensors, &cell, options)?
    };
    Ok((cell, plan))
}

fn unknown(tensors: &Tensors) -> ImportProblem {
    if let Some(problem) = separate::layers(tensors) {
        return problem;
    }
    let cells = tensors.keys().find(|n| n.contains("to_hidden_and_"));
    let names: Vec<_> = tensors.keys().take(6).map(|n| format!("`{n}`")).collect();
    ImportProblem::format(match cells {
        Some(name) => format!(
            "`{name}` is a recurrent layer inside of a model that is not known; --prefix {} takes this layer alone",
            name.split(".to_hidden_and_").next().unwrap_or_default()
        ),
        None => format!(
            "no tensor is named as in a layout that is known (lucidrains: minGRU-pytorch; minrnns: BorealisAI/minRNNs); the file has {}",
            names.join(", ")
        ),
    })
}

/// Tensors may share a storage (tied weights), but a small file does not hold a large model.
fn check_size(source: &Source, tensors: &Tensors, rows: &Rows) -> Result<()> {
    let limit = source.len().saturating_mul(8);
    let values = |name: &String| tensors.get(name).map_or(0, |i| i.shape.iter().product());
    let from = rows.rows.iter().flat_map(|r| &r.from);
    let total = from.fold(0_usize, |n, (name, _)| n.saturating_add(values(name)));
    let made = rows.rows.iter().fold(0_usize, |n, r| {
        n.saturating_add(r.shape.iter().fold(1, |n, d| n.saturating_mul(*d)))
    });
    if total > limit || made > limit.saturating_mul(16) {
        let message = format!(
            "{total} weights are said to be in a file of {} bytes",
            source.len()
        );
        return Err(ImportProblem::format(message));
    }
    Ok(())
}

fn check_vocabulary(config: &ModelConfig, options: &Options) -> Result<()> {
    let vocab = config.input.as_ref().and_then(|i| i.vocab);
    let (Some(tokens), Some(vocab)) = (&options.vocabulary, vocab) else {
        return Ok(());
    };
    let fail = |message: String| Err(ImportProblem::option("--vocab", message));
    if tokens.len() != vocab {
        return fail(format!(
            "{} characters are given, the model has {vocab} tokens",
            tokens.len()
        ));
    }
    if config.head.width != Some(vocab) {
        return fail("the model's output is not the next token".into());
    }
    match Vocabulary::from_tokens(tokens) {
        Ok(_) => Ok(()),
        Err(e) => fail(e.to_string()),
    }
}

fn kind(cell: &CellFound) -> &'static str {
    match cell.kind {
        PaperCell::MinGru => "minGRU",
        PaperCell::MinLstm => "minLSTM",
    }
}

fn notes(tensors: &Tensors, cell: &CellFound, plan: &Plan, options: &Options) -> Vec<String> {
    let mut notes = plan.notes.clone();
    let has = |dtype: &[Dtype]| tensors.values().any(|i| dtype.contains(&i.dtype));
    if has(&[Dtype::F64]) {
        notes.push("float64 weights are rounded to float32".into());
    }
    let own_eps = plan
        .rows
        .rows
        .iter()
        .any(|r| r.name == "head.norm.weight" && r.how == How::Copied);
    if has(&[Dtype::F16, Dtype::Bf16]) && own_eps && options.norm_eps.is_none() {
        notes.push(format!(
            "the weights are half precision, and torch.nn.RMSNorm takes its epsilon from the type it runs in: {:e} of float32 is \
             taken; --norm-eps gives another",
            lm::F32_EPSILON
        ));
    }
    if (cell.layout, cell.kind) == (Layout::Lucidrains, PaperCell::MinLstm) {
        notes.push(
            "minGRU-pytorch's minLSTM (as of 0.2.1) treats a carried state in two ways: as it is for a single step, and through g for \
             longer sequences. The imported model takes it as it is, in every form; without a carried state both are equal"
                .into(),
        );
    }
    notes
}

/// The factor that gives `part` channels for `width`.
fn ratio(part: usize, width: usize) -> f64 {
    part as f64 / width as f64
}
