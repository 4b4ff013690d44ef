//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::verify::contender::{Choice, Programs, Refusal, Roster};
use crate::verify::pair::{Fill, InputSpec, StateSpec, dim_spec, input_spec, map_spec, value_spec};

/// Minimal recurrent networks: trained, exported to ONNX, and proven to compute the same in every form.
#[derive(Debug, Parser)]
#[command(name = "minrnn", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// No progress on stderr, only errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

const EXIT_CODES: &str = "\
Letters in shapes: B batch, T time, F features, C classes or values.
Results go to stdout, progress and errors to stderr.
Exit codes: 0 done and holds; 1 a check did not hold; 2 wrong use or bad input;
stopped by a signal, 128 and its number: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(Quickstart),
    Train(Train),
    Export(Box<Export>),
    Verify(Box<Verify>),
    Generate(Generate),
    Run(Run),
    Inspect(Inspect),
    Diff(Diff),
    Import(Import),
    Bench(Bench),
}

/// Train, export, verify and run a small model in one go.
///
/// It takes minutes on two cores and downloads nothing. The model is a minGRU, the task selective copying (arXiv 2410.01201, section 4.1): 16 data tokens are scattered over
/// a sequence of noise and must be said in their order at its end.
/// Exit code 1 if fewer than 99 % of the tokens of fresh sequences are right, or if the verification does not hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Quickstart {
    /// Folder for everything that is made; it is replaced if an earlier quickstart made it
    #[arg(long, value_name = "DIR", default_value = "quickstart")]
    pub(crate) out: PathBuf,
    /// Seed of weights and data
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

const EXAMPLE: &str = "\
A file to begin with (the next character of a text):

  [task]
  kind = \"text\"            # or selective_copying, or sequences (.npy, .npz, .csv with labels)
  path = \"book.txt\"
  seq_len = 256

  [model]                  # what the task determines (vocabulary, classes) is filled in
  width = 128
  layers = 3

  [model.cell]
  kind = \"min_gru\"         # or min_lstm
  expansion = 2.0

  [train]
  steps = 2000
  batch = 32
  lr = 3e-3
  warmup_steps = 100
  eval_every = 200

The task of labelled feature sequences (README.md has all keys):

  [task]
  kind = \"sequences\"
  path = \"pump.csv\"        # a row a step; or .npz with x, y and lengths; or .npy
  id_column = \"run\"
  feature_columns = [\"flow\", \"pressure\"]
  target_columns = [\"level\"]
  ignore_columns = [\"time\"]
  target = \"values\"        # or classes; values are normalised, unless normalize_targets = false
  per = \"step\"             # or sequence";

/// Train a model as a TOML file says.
///
/// In the folder DIR: `best` is the checkpoint with the lowest validation loss so far (export this one), `last` the
/// newest (--resume goes on from it, bit for bit), `metrics.jsonl` one JSON object for each step and each evaluation.
/// Ctrl-C, SIGTERM and SIGHUP save `last` first; a second one ends at once. Relative paths in the file are relative to the current folder.
///
/// --resume holds CONFIG.toml against the checkpoint. What the model means must be the same: [model] but its dropout, the kind
/// of the task, the vocabulary, the names and the order of features and targets, the seed, and the content of the data.
/// The rest may change (steps, learning rate, batch, seq_len, optimizer, evaluation, precision, device); a note says what that does.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Train {
    /// Tables [task], [model] and [train]; unknown keys are refused
    #[arg(value_name = "CONFIG.toml")]
    pub(crate) config: PathBuf,
    /// Replaces a value of the file, e.g. --set train.steps=100 or --set 'task.path="a.txt"'; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Where to compute: cpu, or cuda, cuda:N (a build with the feature cuda)
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device)]
    pub(crate) device: Device,
    /// Folder of the run [default: runs/ and the name of CONFIG.toml]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Go on where the run in DIR stopped; [model] may be left out
    #[arg(long)]
    pub(crate) resume: bool,
    /// Begin also where the run seems to need more memory than there is
    #[arg(long)]
    pub(crate) force: bool,
    /// With --resume: the data may be others than those of the checkpoint; its vocabulary and statistics stay
    #[arg(long, requires = "resume", conflicts_with = "from")]
    pub(crate) new_data: bool,
    /// Begin a new run with the weights, the vocabulary and the statistics of a checkpoint, a run (its `best`) or an import; [model] may be left out
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "resume")]
    pub(crate) from: Option<PathBuf>,
}

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

/// Prove that files compute the same: those of an export, or any two ONNX files.
///
/// `verify EXPORT_DIR`: the forms of an export, as each other, as the trainer and as float64. Many lengths, batches, states and cuts, each value of each output and state compared. Grades: `exact` is bit for bit;
/// `portable` at most twice as far from the float64 oracle as the step form is, plus 4 eps max|y|; `bound` within the
/// oracle's running error bound. No tolerance is chosen by hand. Exit code 1 if anything does not hold.
///
/// `verify --sequence A.onnx --step B.onnx --state IN=OUT`: a file for whole sequences and a file for one step, of any program.
/// `verify --against REF.onnx EXPORT_DIR_OR_FILE`: two files with the same inputs and outputs. How far apart two right files may be is measured
/// by running each in float64 as well. docs/verify.md says more.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["dir", "sequence"])))]
pub(crate) struct Verify {
    /// Folder of an export; with --against also a file
    #[arg(value_name = "EXPORT_DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Checkpoint to compare with (or a run, then its `best`) [default: the weights in the files]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["sequence", "against", "bisect"])]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Write the report as JSON, schema minrnn.verify/1, of two files minrnn.verify.pair/2; - for stdout, in place of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as Markdown, and FILE.svg beside it: how far each engine and form is off, against T
    #[arg(long, value_name = "FILE.md")]
    pub(crate) report: Option<PathBuf>,
    /// Seed of inputs, states and cuts
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Longest T, in steps [default: the longest that the files take; of two files 1024]
    #[arg(long, value_name = "N", value_parser = one_or_more)]
    pub(crate) max_len: Option<usize>,
    /// Multiply-adds that one run over the longest sequence may cost, inf for any number; longer T are left out, and the report says so
    #[arg(long, value_name = "F", default_value = "2e10", value_parser = budget, conflicts_with_all = ["sequence", "against", "bisect"])]
    pub(crate) budget: f64,
    /// Steps of the probes: the model's cells alone, with gates far open and far closed [default: 65536, with --quick 1024]
    #[arg(long, value_name = "N", value_parser = one_or_more, conflicts_with_all = ["sequence", "against", "bisect"])]
    pub(crate) probe_len: Option<usize>,
    /// All checks, at a few lengths up to T = 130: some ten seconds
    #[arg(long, conflicts_with_all = ["sequence", "against", "bisect"])]
    pub(crate) quick: bool,
    #[command(flatten)]
    pub(crate) engines: Engines,
    #[command(flatten)]
    pub(crate) pair: Pair,
}

/// Engines beside the judge.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Engines, each held to the judge")]
pub(crate) struct Engines {
    /// Ask an engine too: tract, minrnn, candle-onnx (in builds with it), onnxruntime, openvino, reference (the ONNX project's), onnxruntime-node, onnxruntime-web, all (that are here), or a program of yours as NAME=CMD (docs/engines.md); may be repeated. One that is
    /// named decides: exit code 1 if it is wrong, 2 if it runs nothing
    #[arg(long, value_name = "NAME")]
    pub(crate) engine: Vec<Choice>,
    #[command(flatten)]
    pub(crate) programs: EnginePrograms,
}

/// What engines run in.
#[derive(Debug, clap::Args)]
pub(crate) struct EnginePrograms {
    /// Python that has onnxruntime, openvino or onnx [default: python3]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) python: Option<PathBuf>,
    /// Node.js; onnxruntime-node and onnxruntime-web are looked for from the current folder upwards and in NODE_PATH [default: node]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) node: Option<PathBuf>,
    /// How long an engine may take for each answer
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) engine_timeout: Duration,
}

impl EnginePrograms {
    /// Starts what was asked for.
    pub(crate) fn open(&self, choices: &[Choice]) -> Result<Roster, Refusal> {
        let usual = Programs::default();
        let programs = Programs {
            python: self.python.clone().unwrap_or(usual.python),
            node: self.node.clone().unwrap_or(usual.node),
            limit: self.engine_timeout,
        };
        Roster::open(choices, &programs)
    }
}

/// A time to wait.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(n) if (0.1..=86_400.0).contains(&n) => Ok(Duration::from_secs_f64(n)),
        _ => Err("expected seconds, from 0.1 to 86400".into()),
    }
}

/// A number of steps or characters: of none there is nothing to do.
fn one_or_more(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("expected a whole number of at least 1".into()),
    }
}

/// What a run may cost: a NaN, or less than one operation, would leave out every length without a word.
fn budget(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(n) if n >= 1.0 => Ok(n),
        _ => Err("expected a number of at least 1, or inf".into()),
    }
}

/// Two files of any program.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Any two ONNX files")]
pub(crate) struct Pair {
    /// File that takes whole sequences
    #[arg(long, value_name = "A.onnx", requires = "step", conflicts_with_all = ["dir", "against"])]
    pub(crate) sequence: Option<PathBuf>,
    /// File that takes one step of them
    #[arg(long, value_name = "B.onnx", requires = "sequence", conflicts_with_all = ["dir", "against"])]
    pub(crate) step: Option<PathBuf>,
    /// Reference for the file, or for the sequence forms of the export, given as EXPORT_DIR
    #[arg(long, value_name = "REF.onnx", requires = "dir")]
    pub(crate) against: Option<PathBuf>,
    /// Find the first operation that differs; for an export, of its step form against its other forms
    #[arg(long)]
    pub(crate) bisect: bool,
    /// A state of the step file, input and output; may be repeated. VALUE: zero, a number or FILE.npy. first: its names in the other file, if they are others; A+B: two tensors that are one in the other file [default: as the metadata of a minrnn file says]
    #[arg(long, value_name = "IN=OUT[:batch=AXIS,init=VALUE,first=IN=OUT]")]
    pub(crate) state: Vec<StateSpec>,
    /// States from a file: tables [[state]] with input, output, batch, initial, first
    #[arg(long, value_name = "FILE.toml", conflicts_with = "state")]
    pub(crate) states: Option<PathBuf>,
    /// Size of a named dimension
    #[arg(long, value_name = "NAME=N", value_parser = dim_spec)]
    pub(crate) dim: Vec<(String, usize)>,
    /// Shape of an input, of B, T and numbers (x=B,T,64), and the range of its integers
    #[arg(long, value_name = "NAME=DIMS[:int=LOW..HIGH]", value_parser = input_spec)]
    pub(crate) input: Vec<(String, InputSpec)>,
    /// Fill an input with a number, the number of steps, or random lengths of rows
    #[arg(long, value_name = "NAME=N|T|lengths", value_parser = value_spec)]
    pub(crate) value: Vec<(String, Fill)>,
    /// A name of the first file and one of the second that mean the same input or output
    #[arg(long, value_name = "A=B", value_parser = map_spec)]
    pub(crate) map: Vec<(String, String)>,
    /// Absolute tolerance, in the place of the measured one
    #[arg(long, value_name = "F")]
    pub(crate) tolerance: Option<f64>,
}

/// Let a text model write, from a checkpoint or from exported files.
///
/// Characters come as they are made. At temperature 0 always the likeliest one (the first of equals); every engine then
/// writes the same text.
#[derive(Debug, clap::Args)]
pub(crate) struct Generate {
    /// Folder of a checkpoint, of a run (then its `best`) or of an export
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Text to go on from [default: a line break, or the vocabulary's first character, which is not printed]
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Characters to write; fewer where the end of stream that an export names comes first
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = one_or_more)]
    pub(crate) length: usize,
    /// Divides the logits: 0 takes the likeliest character, 1 the model's own probabilities
    #[arg(
        long,
        value_name = "F",
        default_value_t = 0.8,
        allow_hyphen_values = true
    )]
    pub(crate) temperature: f64,
    /// Seed of the choice of characters
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// What computes [default: candle for a checkpoint, step for an export]
    #[arg(long, value_name = "NAME")]
    pub(crate) engine: Option<EngineChoice>,
}

/// Run token ids or features through an export.
///
/// Input: an .npy file with int64 or int32 token ids [T] or [B, T], or float32 features [T, F] or [B, T, F]; or - for
/// token ids of one sequence on stdin, separated by blanks. Output: [B, T, C], or [B, C] for a model that answers once a sequence.
/// With --lengths each row ends at its own step: its state, and the answer of a model that answers once, are those of that step;
/// of the steps behind it, whatever stands there, nothing is printed, and NaN is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// Folder of an export
    #[arg(value_name = "EXPORT_DIR")]
    pub(crate) dir: PathBuf,
    /// What goes in: an .npy file, or - for token ids on stdin
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) input: PathBuf,
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
    /// Write the output as float32 .npy [default: print it, one step a line, rows apart by an empty line]
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) out: Option<PathBuf>,
}

/// Print an ONNX file as text.
///
/// The text is easy to read and to diff. The same model always gives the same text: one node a line, with inferred types; large tensors by hash. Any ONNX file
/// will do, not only those of minrnn.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The file
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) file: PathBuf,
    /// Print what the graph computes, whatever it is called: the text does not change with names of inner values and nodes, nor with the order of independent nodes or of constants
    #[arg(long, conflicts_with = "json")]
    pub(crate) canonical: bool,
    /// Print a summary as JSON instead, schema minrnn.inspect/1: inputs, outputs, metadata, operators
    #[arg(long)]
    pub(crate) json: bool,
}

/// Compare two ONNX files: not their names and order, but what they compute.
///
/// Exit code 0 if they are the same up to names and order, 1 if not. Then: what differs in inputs, outputs, operator sets and metadata; how often operators are used;
/// the first place, from the inputs on, that one graph has and the other has not; or, if nothing else differs, the weights, with their largest difference.
#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// One file
    #[arg(value_name = "A.onnx")]
    pub(crate) left: PathBuf,
    /// The other
    #[arg(value_name = "B.onnx")]
    pub(crate) right: PathBuf,
    /// Print the differences as JSON, schema minrnn.diff/1
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a checkpoint of weights trained in PyTorch.
///
/// Layouts: `lucidrains`, the Python package minGRU-pytorch (its language model, or a layer alone); `minrnns`, the code of the
/// paper's authors (BorealisAI/minRNNs). The architecture is found from the names and shapes of the tensors; what they do not say
/// has a flag here. Every tensor must have its place, or nothing is written. Nothing that the file contains is executed.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// A .safetensors file, or what torch.save wrote of a state_dict (.pt, .pth, .bin, .tar)
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

/// Measure kernels and training steps on a GPU, and inference on the CPU.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) what: BenchWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchWhat {
    /// The recurrences' kernels, forward and backward, against a device copy of the same bytes in the same run; each is checked before it is timed
    Scan(BenchOptions),
    /// Whole training steps: single layers (forward, mean square, backward) and a language model (with clipping and AdamW)
    Train(BenchTrain),
    Infer(BenchInfer),
    Engines(BenchEngines),
}

/// Which engine runs which form of which export: right, refused and why, or wrong.
///
/// Every form of every export in every engine, outputs and states held to the judge of the ONNX standard as `minrnn verify --engine` holds them. Exit code 1 if an engine is wrong.
/// docs/engines.md has the table of the models in this repository.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchEngines {
    /// Folders of exports
    #[arg(value_name = "EXPORT_DIR", required = true)]
    pub(crate) dirs: Vec<PathBuf>,
    /// Only this engine; may be repeated [default: all that are here]
    #[arg(long, value_name = "NAME")]
    pub(crate) engine: Vec<Choice>,
    #[command(flatten)]
    pub(crate) programs: EnginePrograms,
    /// Longest T, in steps
    #[arg(long, value_name = "N", default_value_t = 33, value_parser = at_least_one)]
    pub(crate) max_len: usize,
    /// Seed of inputs and states
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Put the tables into this page, between its marks; else they are printed
    #[arg(long, value_name = "FILE.md")]
    pub(crate) out: Option<PathBuf>,
    /// Write the figures as JSON, schema minrnn.bench.engines/1
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Inference on the CPU: minrnn-runtime, and other engines in turn with it on the same files and inputs.
///
/// Without EXPORT_DIR, models are made with random weights: `lm` (3 layers, width 384, expansion 2, as in the paper), steps of one row and of 64, whole sequences, weights of f32 and int8;
/// `controller` and `controller-mlp` (2 layers, width 64), steps of one row. Steps carry their states. Rounds, in each of which every engine runs for a while; figures are medians of the rounds. What comes
/// out of each run is held to what minrnn gives after as many calls, and minrnn to the judge of the ONNX standard: an engine that is wrong has no time, and exit code 1 if it was named. docs/performance.md says more.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchInfer {
    /// Folders of exports to measure in the place of the models that are made
    #[arg(value_name = "EXPORT_DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    /// Measure this engine too: tract, onnxruntime, openvino, .., all (that are here), or a program of yours as NAME=CMD, as for `minrnn verify`; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) engine: Vec<Choice>,
    #[command(flatten)]
    pub(crate) programs: EnginePrograms,
    /// The engine that others are so many times as fast as [default: onnxruntime where it is measured, else minrnn]
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// Only rows whose name (model, form, type, sizes, threads) contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// T of sequences; may be repeated [default: 512 and 4096, with --quick 16 and 64, or the longest that a file takes]
    #[arg(long, value_name = "N", value_parser = seq_len)]
    pub(crate) seq_len: Vec<usize>,
    /// Threads of the rows with several: sequences, and a step of many rows, which is measured on one as well
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// Rounds [default: 9, with --quick 5]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) rounds: Option<usize>,
    /// Fewer rows and shorter sequences, and a tenth of the time for each: to try it out
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write the figures as JSON, schema minrnn.bench.infer/2
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Steps of a sequence.
fn seq_len(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1_000_000) => Ok(n),
        _ => Err("expected a number from 1 to 1000000".into()),
    }
}

/// A number of threads, rounds or steps.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1024) => Ok(n),
        _ => Err("expected a number from 1 to 1024".into()),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchOptions {
    /// Which GPU: cuda, or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device)]
    pub(crate) device: Device,
    /// Only rows whose name (operation, pass, shape, type) contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// Write the figures as JSON, schema minrnn.bench.scan/1 or minrnn.bench.train/1
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchTrain {
    #[command(flatten)]
    pub(crate) options: BenchOptions,
    /// Show where the language model's step spends its time, launch by launch
    #[arg(long)]
    pub(crate) profile: bool,
    /// Choose the algorithms of matrix products by time, as train.tuned does
    #[arg(long)]
    pub(crate) tuned: bool,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Device {
    Cpu,
    /// CUDA GPU by number.
    Cuda(usize),
}

impl Device {
    /// The trainer's.
    pub(crate) fn open(self) -> anyhow::Result<minrnn_train::trainer::Device> {
        match self {
            Self::Cpu => Ok(minrnn_train::trainer::Device::Cpu),
            Self::Cuda(n) => Ok(minrnn_train::trainer::Device::cuda(n)?),
        }
    }
}

fn device(text: &str) -> Result<Device, String> {
    let number = |n: &str| {
        n.parse()
            .map_err(|_| format!("`{n}` is no number of a GPU"))
    };
    match text.split_once(':') {
        None if text == "cpu" => return Ok(Device::Cpu),
        None if text == "cuda" => Ok(Device::Cuda(0)),
        Some(("cuda", n)) => number(n).map(Device::Cuda),
        _ => Err("no such device; use cpu, cuda or cuda:N".into()),
    }
    .and_then(|device| {
        if cfg!(feature = "cuda") {
            return Ok(device);
        }
        Err("this minrnn was built without CUDA; build it with --features cuda, or use --device cpu".into())
    })
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunForm {
    Parallel,
    Scan,
    Step,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineChoice {
    /// The trainer's own engine, from a checkpoint
    Candle,
    /// model.step.onnx, one character a call; the prompt at once where the export has a sequence form
    Step,
    /// model.parallel.onnx over the whole text again for each character: slow, for comparison
    Parallel,
}
