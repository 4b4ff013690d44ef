//! A model at work: `minrnn generate` and `minrnn run`.

use std::path::PathBuf;

use clap::ValueEnum;
use minrnn_train::data::Delimiter;

use super::numbers::{delimiter, memory, one_or_more};

/// Let a text model write, from a checkpoint or from exported files.
///
/// Text comes as it is made, token by token: a character each, unless the model was trained on others. At temperature 0 always the likeliest one (the first of equals), else by chance: with
/// --top-k among the K likeliest, with --top-p among the fewest of the likeliest (of those K) whose probability together reaches P,
/// at the temperature. The same seed writes the same text, by every engine.
#[derive(Debug, clap::Args)]
pub(crate) struct Generate {
    /// Folder of a checkpoint, of a run (then its `best`) or of an export
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Text to go on from [default: a line break, or the vocabulary's first token, which is not printed]
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Tokens to write; fewer where the end of stream that an export names comes first
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = one_or_more)]
    pub(crate) length: usize,
    /// Divides the logits: 0 takes the likeliest token, 1 the model's own probabilities
    #[arg(
        long,
        value_name = "F",
        default_value_t = 0.8,
        allow_hyphen_values = true
    )]
    pub(crate) temperature: f64,
    /// Choose among the K likeliest tokens only; of equals those that come first in the vocabulary [default: all]
    #[arg(long, value_name = "K", value_parser = one_or_more)]
    pub(crate) top_k: Option<usize>,
    /// Choose among the fewest of the likeliest tokens whose probability together reaches P, more than 0 and less than 1 [default: all]
    #[arg(long, value_name = "P", allow_hyphen_values = true)]
    pub(crate) top_p: Option<f64>,
    /// End where this text was written; it is not printed, and in the prompt it ends nothing. May be repeated: the first that comes
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
    /// Seed of the choice of tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// What computes [default: candle for a checkpoint, step for an export]
    #[arg(long, value_name = "NAME")]
    pub(crate) engine: Option<EngineChoice>,
    /// Bytes that a file of an export may ask for in a call of 8 rows times steps, beyond 8 for each byte of the file; K, M and G are known [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = memory)]
    pub(crate) memory: Option<u64>,
}

/// Run token ids or features through an export.
///
/// Input: a CSV file with the model's features as columns, a row a step, or an .npz or .safetensors file with x (or features) [N, T, F] and, where sequences end earlier,
/// lengths [N]; each sequence is run by itself, from the model's initial state. Or an .npy file with int64 or int32 token ids [T] or [B, T], or float32 features [T, F] or [B, T, F]; or - for
/// token ids of one sequence on stdin, separated by blanks. What comes out is [B, T, C], or [B, C] for a model that answers once a sequence:
/// by --out FILE.csv labels and probabilities of classes, or values, with their names; by .npz the same as arrays; by .npy logits or values alone.
/// With --lengths each row ends at its own step: its state, and the answer of a model that answers once, are those of that step;
/// of the steps behind it, whatever stands there, nothing is printed, and NaN is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// Folder of an export
    #[arg(value_name = "EXPORT_DIR")]
    pub(crate) dir: PathBuf,
    /// What goes in: a .csv, .npz, .safetensors or .npy file, or - for token ids on stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Of a CSV file: the column that tells which sequence a row belongs to [default: all rows are one sequence]
    #[arg(long, value_name = "NAME")]
    pub(crate) id_column: Option<String>,
    /// Of a CSV file: what stands between the cells of a row: , ; | or tab [default: ,]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub(crate) delimiter: Option<Delimiter>,
    /// Of a CSV file: its first row names no columns, which are called 1, 2, 3, .. then
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Of a CSV, .npz or .safetensors file: a column or an array that nothing uses, and which would be refused; * stands for all others; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) ignore: Vec<String>,
    /// Steps of each row, each from 1 to T, where rows are padded: an .npy file of integers [B], a text file, or a list such as 9,5,7. Needed where the
    /// export has an input lengths
    #[arg(long, value_name = "FILE|LIST")]
    pub(crate) lengths: Option<PathBuf>,
    /// Which file of the export runs [default: the first of parallel, scan, step that it has and that runs here]
    #[arg(long, value_name = "FORM")]
    pub(crate) form: Option<RunForm>,
    /// State to begin with, as --save-state wrote it [default: the model's initial state]
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Write the state after the last step, to go on from with any form of this export
    #[arg(long, value_name = "FILE")]
    pub(crate) save_state: Option<PathBuf>,
    /// Write what comes out, by the ending: .csv, .npz, or .npy (float32) [default: print it, of a CSV, .npz or .safetensors file as CSV, else one step a line, rows apart by an empty line]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Bytes that a file of an export may ask for in a call of 8 rows times steps, beyond 8 for each byte of the file; K, M and G are known [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = memory)]
    pub(crate) memory: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunForm {
    Parallel,
    Scan,
    Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineChoice {
    /// The trainer's own engine, from a checkpoint
    Candle,
    /// model.step.onnx, one character a call; the prompt at once where the export has a sequence form
    Step,
    /// model.parallel.onnx over the whole text again for each character: slow, for comparison
    Parallel,
}
