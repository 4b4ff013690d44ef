//! `minrnn import`.

use std::path::PathBuf;

use clap::ValueEnum;

/// Make a checkpoint of weights trained in PyTorch.
///
/// Layouts: `lucidrains`, the Python package minGRU-pytorch (its language model, or a layer alone); `minrnns`, the code of the
/// paper's authors (BorealisAI/minRNNs); `transformers`, Mamba, Mamba-2 and GPT-2 of that Python package, whose config.json lies beside the
/// weights; `nanogpt`, a checkpoint of nanoGPT; `torch`, torch.nn.GRU and torch.nn.LSTM. The architecture is found from the names and shapes of the tensors; what they do not say has a flag here. Every tensor must have its place, or nothing is written. Nothing that the file contains is executed.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// A .safetensors file, or what torch.save wrote of a state_dict (.pt, .pth, .bin, .tar), or a folder that transformers wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Folder for the checkpoint; it is replaced if an earlier import made it
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Layout that the file must have [default: whichever it has]
    #[arg(long, value_name = "NAME")]
    pub(crate) layout: Option<LayoutChoice>,
    /// JSON with the characters in the order of their numbers, a list or an object from characters to numbers; `minrnn generate` needs it
    #[arg(long, value_name = "FILE.json")]
    pub(crate) vocab: Option<PathBuf>,
    /// Entry of a .pt file with the weights [default: model, state_dict or model_state_dict, or the file itself]
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// Only tensors with names below this one, e.g. rnn for rnn.to_out.weight
    #[arg(long, value_name = "NAME")]
    pub(crate) prefix: Option<String>,
    /// Whether a minLSTM's gates are normalised to a sum of 1: use_coeff_norm of a minrnns training run, which no tensor shows
    #[arg(long, value_name = "BOOL")]
    pub(crate) normalize_gates: Option<bool>,
    /// Heads of the attention of a nanoGPT, which no tensor shows [default: n_head of the model_args beside its weights]
    #[arg(long, value_name = "N")]
    pub(crate) heads: Option<usize>,
    /// The head is the embedding (tied weights); for files without a tensor of their own for it
    #[arg(long)]
    pub(crate) tie: bool,
    /// Epsilon of the norms [default: what the layout's code has in float32]
    #[arg(long, value_name = "F")]
    pub(crate) norm_eps: Option<f64>,
    /// Activation of the feed-forward layers [default: gelu, as in both layouts' code]
    #[arg(long, value_name = "NAME")]
    pub(crate) activation: Option<ActivationChoice>,
    /// Print what was found as JSON, schema minrnn.import/1
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutChoice {
    /// The Python package minGRU-pytorch
    Lucidrains,
    /// BorealisAI/minRNNs, the code of the paper's authors
    Minrnns,
    /// Mamba, Mamba-2 and GPT-2 of the Python package transformers: a folder with config.json, or its weights
    Transformers,
    /// A checkpoint of nanoGPT
    #[value(name = "nanogpt")]
    NanoGpt,
    /// torch.nn.GRU and torch.nn.LSTM, any number of layers, one direction
    Torch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ActivationChoice {
    /// By the error function
    Gelu,
    /// By tanh
    GeluTanh,
    /// x * sigmoid(x)
    Silu,
}
