//! `minrnn verify`.

use std::path::PathBuf;

use super::Engines;
use super::numbers::{memory, one_or_more};
use crate::verify::pair::{Fill, InputSpec, StateSpec, dim_spec, input_spec, map_spec, value_spec};

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
    /// Bytes that a file of an export may ask for in a call of 8 rows times steps, beyond 8 for each byte of the file; K, M and G are known [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = memory, conflicts_with_all = ["sequence", "against", "bisect"])]
    pub(crate) memory: Option<u64>,
    #[command(flatten)]
    pub(crate) engines: Engines,
    #[command(flatten)]
    pub(crate) pair: Pair,
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
    /// A state of the step file, input and output; may be repeated. VALUE: zero, a number or FILE.npy. first: its names in the other file, if they are others; A+B: two tensors that are one in the other file; counts: it counts the steps [default: as the metadata of a minrnn file says]
    #[arg(
        long,
        value_name = "IN=OUT[:batch=AXIS,axis=AXIS,init=VALUE,first=IN=OUT,counts=true]"
    )]
    pub(crate) state: Vec<StateSpec>,
    /// States from a file: tables [[state]] with input, output, batch, initial, first, counts
    #[arg(long, value_name = "FILE.toml", conflicts_with = "state")]
    pub(crate) states: Option<PathBuf>,
    /// Size of a named dimension
    #[arg(long, value_name = "NAME=N", value_parser = dim_spec)]
    pub(crate) dim: Vec<(String, usize)>,
    /// Shape of an input, of B, T, numbers and names of other lengths (x=B,T,64, m=B,S,64), and the range of its integers, or of its floats (x=:float=0..1)
    #[arg(long, value_name = "NAME=DIMS[:int=LOW..HIGH]", value_parser = input_spec)]
    pub(crate) input: Vec<(String, InputSpec)>,
    /// Fill an input with a number, the number of steps, another length (P+T), or random lengths of rows
    #[arg(long, value_name = "NAME=N|T|P+T|lengths", value_parser = value_spec)]
    pub(crate) value: Vec<(String, Fill)>,
    /// A name of the first file and one of the second that mean the same input or output
    #[arg(long, value_name = "A=B", value_parser = map_spec)]
    pub(crate) map: Vec<(String, String)>,
    /// An output that is not compared; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) ignore_output: Vec<String>,
    /// Absolute tolerance, in the place of the measured one
    #[arg(long, value_name = "F")]
    pub(crate) tolerance: Option<f64>,
}
