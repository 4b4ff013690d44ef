//! `minrnn export`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;

/// Export a checkpoint to ONNX.
///
/// Forms: `parallel` and `scan` take whole sequences, `step` one step. All forms have the same weights and the same states: a sequence may be cut anywhere, each piece run by any form.
/// Beside the ONNX files: `manifest.json`, `golden.safetensors` (inputs and right outputs), `README.md` (a model card).
/// A flag that would change nothing is refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Folder of a checkpoint, or of a run (then its `best`)
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: PathBuf,
    /// Folder for the files; files of an earlier export in it are replaced
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Which form to write
    #[arg(long, value_name = "FORM", default_value = "all")]
    pub(crate) form: FormChoice,
    /// Engine that the files are for: it sets the defaults of the flags below, and the checker holds the files to what it can run
    #[arg(long, value_name = "NAME", default_value = "portable", value_parser = names(&TARGETS))]
    pub(crate) target: String,
    /// T of the sequence forms, in steps: a number, or dynamic
    #[arg(long, value_name = "N", default_value = "dynamic")]
    pub(crate) seq_len: Size,
    /// B of all forms, in rows: a number, or dynamic
    #[arg(long, value_name = "N", default_value = "dynamic")]
    pub(crate) batch: Size,
    /// Longest T of the parallel form when it is dynamic, in steps; blocked takes up to the next power of its block
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    pub(crate) max_seq_len: usize,
    /// How the parallel form computes the recurrence [default: the target's]
    #[arg(long, value_name = "NAME", value_parser = names(&LOWERINGS))]
    pub(crate) lowering: Option<String>,
    /// Steps in a block of blocked and blocked-scan [default: the target's, 16]
    #[arg(long, value_name = "C")]
    pub(crate) block: Option<usize>,
    /// Operator set [default: the target's, 17, or the first that has the lowering's operators]
    #[arg(long, value_name = "N")]
    pub(crate) opset: Option<i64>,
    /// Type of the weights; the recurrence, norms, gates and states stay f32
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = ["f32", "f16", "bf16", "int8"])]
    pub(crate) dtype: String,
    /// With --dtype int8, activations to 8 bits: row (each row by its own largest value) or static (calibrated on the training part of --eval)
    #[arg(long, value_name = "HOW", default_value = "row", value_parser = ["row", "static"])]
    pub(crate) activations: String,
    /// Measure what the type of the weights costs: loss and accuracy on the validation part of the data that the checkpoint was trained on, or of this training configuration
    #[arg(long, value_name = "CONFIG.toml", num_args = 0..=1)]
    pub(crate) eval: Option<Option<PathBuf>>,
    /// Windows of the validation part that --eval takes, from the first on [default: all]
    #[arg(long, value_name = "N", requires = "eval", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) eval_samples: Option<u64>,
    /// Replaces a value of the configuration of --eval, e.g. --set 'task.path="a.txt"'; may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "eval")]
    pub(crate) set: Vec<String>,
    /// Where weights are: inline, external (a file beside each form), shared (one file for all forms), or auto (inline up to 64 MiB)
    #[arg(long, value_name = "WHERE", default_value = "auto", value_parser = ["auto", "inline", "external", "shared"])]
    pub(crate) weights: String,
    /// Names of states: minrnn, genai (onnxruntime-genai), icefall
    #[arg(long, value_name = "NAMES", default_value = "minrnn", value_parser = ["minrnn", "genai", "icefall"])]
    pub(crate) state_names: String,
    /// States one by one, or those of a kind stacked into one tensor [B, L, D]
    #[arg(long, value_name = "HOW", default_value = "separate", value_parser = ["separate", "stacked"])]
    pub(crate) state_layout: String,
    /// Sequence forms take an input lengths [B]: states and last-step outputs at each row's own end
    #[arg(long)]
    pub(crate) lengths: bool,
    /// All forms take an input reset [B, T] (step: [B]): where it is true, states begin anew
    #[arg(long)]
    pub(crate) reset: bool,
    /// Token after which a text has ended, for the manifest: a number, or the text of a token
    #[arg(long, value_name = "TOKEN")]
    pub(crate) end_of_stream: Option<String>,
}

/// A dimension of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) Option<usize>);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("dynamic", _) => Ok(Self(None)),
            (_, Ok(n)) if n > 0 => Ok(Self(Some(n))),
            _ => Err("expected a number of at least 1, or dynamic".into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormChoice {
    Parallel,
    Scan,
    Step,
    All,
}

/// Name and help of each target.
const TARGETS: [(&str, &str); 7] = [
    (
        "portable",
        "every engine below, and the reference evaluator of ONNX",
    ),
    ("onnxruntime", "ONNX Runtime on CPUs"),
    ("tract", "tract"),
    ("candle", "candle-onnx: no form scan"),
    ("openvino", "OpenVINO on CPUs"),
    ("web", "ONNX Runtime in browsers and node: weights inline"),
    ("rten", "rten: no form scan"),
];

/// Name and help of each lowering.
const LOWERINGS: [(&str, &str); 6] = [
    (
        "blocked",
        "blocks of C steps, blocks of blocks: few passes over the sequence",
    ),
    (
        "blocked-scan",
        "blocks of C steps, carried by the operator Scan: any length",
    ),
    ("kogge-stone", "doubling distances, log2(T) passes, by Pad"),
    (
        "kogge-stone-concat",
        "doubling distances by Slice and Concat",
    ),
    ("odd-even", "pairs, pairs of pairs: the least work"),
    (
        "linear-attention",
        "the operator LinearAttention of opset 27: one node, for onnxruntime",
    ),
];

fn names(all: &'static [(&'static str, &'static str)]) -> clap::builder::PossibleValuesParser {
    let value = |(name, help): &(&'static str, &'static str)| {
        clap::builder::PossibleValue::new(*name).help(*help)
    };
    all.iter().map(value).collect::<Vec<_>>().into()
}
