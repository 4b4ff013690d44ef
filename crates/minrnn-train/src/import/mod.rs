//! Weights trained in PyTorch become a checkpoint.
//!
//! Five layouts are known: the Python package minGRU-pytorch, the code of the paper's authors, Mamba, Mamba-2 and GPT-2 of the package
//! transformers, nanoGPT, and GRU and LSTM of torch.nn. The architecture is found from names and shapes, of transformers from the `config.json` beside the weights ([`Row`] is the
//! mapping), every tensor of the file must have its place, and the model is the same
//! function: weights are moved, or changed where the two sides write one function in two ways (`gamma + 1`).
//! Files are data: nothing that a file contains is ever executed.

mod cell;
mod error;
mod found;
mod gpt2;
#[cfg(test)]
mod gpt2_tests;
mod lists;
mod lm;
mod names;
mod notes;
mod rows;
mod separate;
mod settings;
mod size;
mod source;
mod state_space;
#[cfg(test)]
mod tests;
mod tokenizer;
mod torch_rnn;
mod vocabulary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minrnn_model::config::ModelConfig;
use minrnn_model::layers::Activation;
use minrnn_model::model::Model;
use minrnn_model::params::Params;

pub use error::{ImportError, ImportProblem};
pub use found::Layout;
pub use rows::{How, Row};
pub use vocabulary::vocabulary;

use crate::checkpoint::{Checkpoint, TensorData};
use crate::data::Vocabulary;
use error::Result;
use found::{CellFound, PaperCell, Tensors};
use rows::Rows;
use settings::{Gpt2, Settings};
use source::Source;

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
    /// Heads of the attention of a nanoGPT; `None`: as its `model_args` say.
    pub heads: Option<usize>,
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

/// Reads a file of another implementation, or a folder as the package transformers saves one. Writes nothing.
///
/// # Errors
/// [`ImportError`] naming the file, and the tensor, the byte or the option that is wrong.
pub fn import(path: &Path, options: &Options) -> Result<Imported, ImportError> {
    let file = weights(path);
    let read = || {
        let source = Source::open(&file, options.key.as_deref())?;
        import_source(&source, options, &|of| settings(&file, of))
    };
    read().map_err(|problem| problem.at(&file))
}

/// The file with the weights, in a folder the one that is there.
fn weights(path: &Path) -> PathBuf {
    let inside = [
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
    ];
    let inside = inside.map(|name| path.join(name));
    inside
        .into_iter()
        .find(|file| file.is_file())
        .unwrap_or_else(|| path.to_owned())
}

/// No configuration is longer, bytes.
const MOST_SETTINGS: u64 = 1 << 20;

/// The text of the `config.json` beside a file with the weights of such a model.
fn settings(file: &Path, of: &str) -> Result<Vec<u8>> {
    let path = file.with_file_name("config.json");
    let size = std::fs::metadata(&path).map(|about| about.len());
    let text = match size {
        Ok(size) if size > MOST_SETTINGS => Err(format!("has {size} bytes")),
        Ok(_) => crate::data::read_data(&path).map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    };
    match text {
        Ok(text) => Ok(text),
        Err(e) => Err(ImportProblem::format(format!(
            "the weights are of a {of} of the package transformers, and its config.json, which must lie beside them, cannot be read: {e}"
        ))),
    }
}

/// What was found, and what is to be done.
struct Found {
    layout: Layout,
    /// Of the paper's two layouts.
    cell: Option<CellFound>,
    what: String,
    plan: Plan,
}

fn import_source(
    source: &Source,
    options: &Options,
    settings: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<Imported> {
    let named = names::short(&source.tensors, options.prefix.as_deref())?;
    let tensors = &named.tensors;
    let found = if state_space::is(tensors) {
        state_spaces(tensors, options, &Settings::read(&settings("Mamba")?)?)?
    } else if let Some(of) = gpt2::find(tensors) {
        attention(source, &named, &of, options, settings)?
    } else if torch_rnn::is(tensors) {
        of_torch(tensors, options)?
    } else {
        plan(tensors, &named.cut, options)?
    };
    if let Some(wanted) = options.layout.filter(|l| *l != found.layout) {
        let (wanted, has) = (wanted.name(), found.layout.name());
        let message = format!("{wanted}: the file has the layout {has}");
        return Err(ImportProblem::option("--layout", message));
    }
    if options.heads.is_some() && found.layout != Layout::NanoGpt {
        let message = "is for a nanoGPT, and the file has none; leave it out";
        return Err(ImportProblem::option("--heads", message));
    }
    let plan = &found.plan;
    size::check(source, tensors, &plan.rows)?;
    let model = Model::from_config(&plan.config)?;
    check_vocabulary(&plan.config, options)?;
    let params = plan.rows.apply(source, &named.long, tensors)?;
    check_tied(source, &named, plan, &params)?;
    let values = params
        .iter()
        .map(|(n, t)| (n.clone(), (t.shape.clone(), t.data.clone())));
    Params::from_named(model.graph(), values.collect())?;
    let mut notes = notes::of(tensors, &found, options);
    if !named.cut.is_empty() {
        notes.insert(0, format!("names without their prefix `{}`", named.cut));
    }
    let record = serde_json::json!({ "layout": found.layout.name(), "format": source.format });
    Ok(Imported {
        layout: found.layout,
        format: source.format.clone(),
        architecture: found.what,
        checkpoint: Checkpoint {
            config: serde_json::json!({ "import": record, "model": model.config() }),
            params,
            optimizer: None,
            trainer: None,
            raw: None,
            states: None,
            vocabulary: options.vocabulary.clone().map(Into::into),
        },
        config: found.plan.config,
        rows: found.plan.rows.rows,
        notes,
    })
}

fn state_spaces(tensors: &Tensors, options: &Options, settings: &Settings) -> Result<Found> {
    let plan = state_space::whole(tensors, settings, options)?;
    Ok(Found {
        layout: Layout::Transformers,
        cell: None,
        what: plan.what.clone(),
        plan,
    })
}

/// GPT-2 of transformers, or nanoGPT.
fn attention(
    source: &Source,
    named: &names::Named,
    of: &gpt2::Named<'_>,
    options: &Options,
    settings: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<Found> {
    let (layout, plan) = if of.is_of_transformers()? {
        let settings = Gpt2::read(&settings("GPT-2")?)?;
        (
            Layout::Transformers,
            of.of_transformers(&settings, options)?,
        )
    } else {
        not_of_transformers(of, options, settings)?;
        for name in of.masks() {
            let mask = &named.tensors[&name];
            let values = source.values(named.name(&name), mask)?;
            gpt2::check_mask(&name, &mask.shape, &values)?;
        }
        let beside = gpt2::Beside {
            arguments: source.arguments.clone(),
            tied: same_as_table(source, named, &of.table())?,
        };
        (Layout::NanoGpt, of.of_nano_gpt(&beside, options)?)
    };
    Ok(Found {
        layout,
        cell: None,
        what: plan.what.clone(),
        plan,
    })
}

/// Refuses linear weights as nanoGPT has them beside a configuration of a GPT-2 of transformers, unless the layout is said.
fn not_of_transformers(
    of: &gpt2::Named<'_>,
    options: &Options,
    settings: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<()> {
    let beside = || {
        settings("GPT-2")
            .ok()
            .filter(|text| settings::is_gpt2(text))
    };
    if options.layout == Some(Layout::NanoGpt) || beside().is_none() {
        return Ok(());
    }
    Err(ImportProblem::tensor(
        &of.first(),
        "is [3 width, width], as nanoGPT has it, and config.json beside the weights says `model_type` = \"gpt2\", whose linear weights are [in, out]: turn them, or say --layout nanogpt if the weights are of a nanoGPT",
    ))
}

/// Whether a head is not there, or is the table of embeddings, bit for bit.
fn same_as_table(source: &Source, named: &names::Named, table: &str) -> Result<bool> {
    let head = state_space::HEAD;
    let tensors = &named.tensors;
    let (Some(own), Some(other)) = (tensors.get(head), tensors.get(table)) else {
        return Ok(true);
    };
    if own.shape != other.shape {
        return Ok(false);
    }
    let values = |name: &str, info| source.values(named.name(name), info);
    Ok(values(head, own)? == values(table, other)?)
}

fn of_torch(tensors: &Tensors, options: &Options) -> Result<Found> {
    let plan = torch_rnn::whole(tensors, options)?;
    Ok(Found {
        layout: Layout::Torch,
        cell: None,
        what: plan.what.clone(),
        plan,
    })
}

/// A head that is said to be the embedding, and is in the file all the same, must be it.
fn check_tied(
    source: &Source,
    named: &names::Named,
    plan: &Plan,
    params: &BTreeMap<String, TensorData>,
) -> Result<()> {
    let head = state_space::HEAD;
    let Some(info) = named.tensors.get(head).filter(|_| plan.config.head.tied) else {
        return Ok(());
    };
    let values = source.values(named.name(head), info)?;
    let table = &params["input.embedding.weight"];
    if info.shape == table.shape && values == table.data {
        return Ok(());
    }
    Err(ImportProblem::tensor(
        head,
        "differs from the embedding, and config.json says that it is the embedding (`tie_word_embeddings` = true, or no such key): write `tie_word_embeddings`: false if the head is one of its own",
    ))
}

fn plan(tensors: &Tensors, cut: &str, options: &Options) -> Result<Found> {
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
        _ => return Err(unknown(tensors, cut)),
    };
    let cell = found::cell(tensors, prefix)?;
    let plan = if prefix.is_empty() {
        cell::alone(tensors, &cell, options)?
    } else {
        lm::whole(tensors, &cell, options)?
    };
    Ok(Found {
        layout: cell.layout,
        what: format!("{}, {}", kind(&cell), plan.what),
        cell: Some(cell),
        plan,
    })
}

/// `cut`: what was cut off the names in the file.
fn unknown(tensors: &Tensors, cut: &str) -> ImportProblem {
    if let Some(problem) = separate::layers(tensors) {
        return problem;
    }
    let cells = tensors.keys().find(|n| n.contains("to_hidden_and_"));
    if let Some((prefix, what)) = torch_rnn::below(tensors).or_else(|| gpt2::below(tensors)) {
        return ImportProblem::format(format!(
            "{what} lies under a name of its own: --prefix {cut}{prefix} takes it alone"
        ));
    }
    if let Some(at) = torch_rnn::cell(tensors) {
        return ImportProblem::format(format!(
            "`{at}weight_ih` is of a cell that is called step by step (torch.nn.GRUCell, LSTMCell); torch.nn.GRU and torch.nn.LSTM of one layer have the same rows under the names `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`: save it under these"
        ));
    }
    let names: Vec<_> = tensors.keys().take(6).map(|n| format!("`{n}`")).collect();
    ImportProblem::format(match cells {
        Some(name) => format!(
            "`{name}` is a recurrent layer inside of a model that is not known; --prefix {cut}{} takes this layer alone",
            name.split(".to_hidden_and_").next().unwrap_or_default()
        ),
        None => format!(
            "no tensor is named as in a layout that is known (lucidrains: minGRU-pytorch; minrnns: BorealisAI/minRNNs; transformers: Mamba, Mamba-2 and GPT-2; nanogpt: nanoGPT; torch: torch.nn.GRU and torch.nn.LSTM); the file has {}",
            names.join(", ")
        ),
    })
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

/// The factor that gives `part` channels for `width`.
fn ratio(part: usize, width: usize) -> f64 {
    part as f64 / width as f64
}
