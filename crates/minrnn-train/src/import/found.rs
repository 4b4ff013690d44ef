//! What a file's names and shapes say about the model.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{ImportProblem, Result};
use super::source::Info;

/// Whose implementation wrote the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The Python package minGRU-pytorch.
    Lucidrains,
    /// The code of the paper's authors, repository BorealisAI/minRNNs.
    Minrnns,
    /// Mamba, Mamba-2 and GPT-2 of the Python package transformers.
    Transformers,
    /// The repository nanoGPT.
    NanoGpt,
    /// GRU and LSTM of torch.nn.
    Torch,
}

impl Layout {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lucidrains => "lucidrains",
            Self::Minrnns => "minrnns",
            Self::Transformers => "transformers",
            Self::NanoGpt => "nanogpt",
            Self::Torch => "torch",
        }
    }
}

/// The cells of the layouts that are found by names and shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PaperCell {
    MinGru,
    MinLstm,
}

/// The norms of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NormStyle {
    /// `torch.nn.RMSNorm`: `weight`.
    Weight,
    /// `F.normalize(x) * sqrt(M) * (gamma + 1)`.
    Gamma,
    /// A wrapped `torch.nn.BatchNorm1d`.
    Batch,
}

/// Tensors by name, without what wrappers put in front.
pub(super) type Tensors = BTreeMap<String, Info>;

/// The sizes of a tensor of rank N.
pub(super) fn shape<const N: usize>(tensors: &Tensors, name: &str) -> Result<[usize; N]> {
    let Some(info) = tensors.get(name) else {
        return Err(ImportProblem::tensor(
            name,
            "is missing; without it the model's sizes are unknown",
        ));
    };
    let found = &info.shape;
    match <[usize; N]>::try_from(found.as_slice()) {
        Ok(sizes) if sizes.iter().all(|d| (1..=1 << 28).contains(d)) => Ok(sizes),
        _ => Err(ImportProblem::tensor(
            name,
            format!("has shape {found:?}, expected {N} sizes, each at least 1"),
        )),
    }
}

/// The tensor with the cell's packed weights, below `prefix`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CellFound {
    pub(super) layout: Layout,
    pub(super) kind: PaperCell,
    /// Its name below `prefix`.
    pub(super) packed: &'static str,
    /// Inputs.
    pub(super) width: usize,
    /// D.
    pub(super) channels: usize,
    /// Whether there is `to_out`.
    pub(super) projection: bool,
    /// Whether there is `init_hidden_state`.
    pub(super) learned: bool,
}

const PACKED: &str = "to_hidden_and_gate";
const PACKED_LSTM: &str = "to_hidden_and_f_i_gate";

/// Whether a cell is there at all.
pub(super) fn has_cell(tensors: &Tensors, prefix: &str) -> bool {
    [PACKED, PACKED_LSTM]
        .iter()
        .any(|name| tensors.contains_key(&format!("{prefix}{name}.weight")))
}

pub(super) fn cell(tensors: &Tensors, prefix: &str) -> Result<CellFound> {
    let has = |name: &str| tensors.contains_key(&format!("{prefix}{name}"));
    let lstm = has("to_hidden_and_f_i_gate.weight");
    let packed = if lstm { PACKED_LSTM } else { PACKED };
    let weight = format!("{prefix}{packed}.weight");
    let [rows, width] = shape(tensors, &weight)?;
    let biased = has(&format!("{packed}.bias"));
    let layout = if biased && !lstm {
        Layout::Minrnns
    } else {
        Layout::Lucidrains
    };
    let projection = has("to_out.weight");
    let out = || -> Result<usize> {
        let [_, channels] = shape(tensors, &format!("{prefix}to_out.weight"))?;
        Ok(channels)
    };
    let (kind, parts) = match layout {
        Layout::Lucidrains if lstm => (PaperCell::MinLstm, 3),
        Layout::Lucidrains => (PaperCell::MinGru, 2),
        // Both cells have one name there; the projection, which is always present, tells D.
        Layout::Minrnns if rows == out()?.saturating_mul(3) => (PaperCell::MinLstm, 3),
        Layout::Minrnns | Layout::Transformers | Layout::NanoGpt | Layout::Torch => {
            (PaperCell::MinGru, 2)
        }
    };
    let channels = if projection { out()? } else { rows / parts };
    if channels.checked_mul(parts) != Some(rows) {
        let message =
            format!("has {rows} rows, which are not {parts} blocks of {channels} channels");
        return Err(ImportProblem::tensor(&weight, message));
    }
    Ok(CellFound {
        layout,
        kind,
        packed,
        width,
        channels,
        projection,
        learned: has("init_hidden_state"),
    })
}

/// Number of blocks `layers.0.`, `layers.1.`, ..
pub(super) fn layers(tensors: &Tensors) -> Result<usize> {
    let numbers: BTreeSet<usize> = tensors
        .keys()
        .filter_map(|n| n.strip_prefix("layers.")?.split('.').next()?.parse().ok())
        .collect();
    match numbers.iter().enumerate().find(|(i, n)| i != *n) {
        Some((gap, _)) => Err(ImportProblem::format(format!(
            "there are blocks `layers.{}`, but no `layers.{gap}`",
            numbers.last().copied().unwrap_or(0)
        ))),
        None => Ok(numbers.len()),
    }
}

/// Which norm the module `name` is.
pub(super) fn norm(tensors: &Tensors, name: &str) -> Result<NormStyle> {
    let has = |end: &str| tensors.contains_key(&format!("{name}.{end}"));
    match (has("weight"), has("gamma"), has("norm.running_var")) {
        (true, ..) => Ok(NormStyle::Weight),
        (_, true, _) => Ok(NormStyle::Gamma),
        (.., true) => Ok(NormStyle::Batch),
        _ => Err(ImportProblem::tensor(
            name,
            "is no norm that is known: `weight`, `gamma` or `norm.running_var` is missing",
        )),
    }
}
