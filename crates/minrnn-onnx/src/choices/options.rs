//! What can be chosen for an export.

use std::collections::BTreeMap;

use minrnn_model::graph::Graph;
use minrnn_model::oracle::Rounding;
use serde_json::Value as Json;

use super::{ExportError, Target};

/// What a file takes: whole sequences or one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// `[B, T, ..]`, the recurrence as a parallel scan.
    Parallel,
    /// `[B, T, ..]`, the recurrence as the ONNX operator Scan.
    Scan,
    /// `[B, ..]`, one step.
    Step,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 3] = [Self::Parallel, Self::Scan, Self::Step];

    /// The forms that a graph has, in order: all of them, but for feedback of any kind (a fold), which has no `parallel` form.
    pub fn of(graph: &Graph) -> Vec<Self> {
        let has = |form: &Self| *form != Self::Parallel || graph.folds().is_empty();
        Self::ALL.into_iter().filter(has).collect()
    }

    /// The form's name in metadata and file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Scan => "scan",
            Self::Step => "step",
        }
    }
}

/// How the form `parallel` computes the recurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Lowering {
    /// Blocks of C steps, blocks of blocks, ..: about two passes over the sequence.
    #[default]
    Blocked,
    /// Blocks of C steps, their carries by the operator Scan: no longest sequence.
    BlockedScan,
    /// Doubling distances, log2(T) passes; values moved by Pad.
    KoggeStone,
    /// Doubling distances, log2(T) passes; values moved by Slice and Concat.
    KoggeStoneConcat,
    /// Pairs, pairs of pairs, ..: the least work, and the most levels.
    OddEven,
    /// The operator LinearAttention: one node, in the few engines that have it. Of a selective scan with heads that of `com.microsoft`, in
    /// the form `step` too; of other recurrences that of opset 27.
    LinearAttention,
}

impl Lowering {
    /// All lowerings.
    pub const ALL: [Self; 6] = [
        Self::Blocked,
        Self::BlockedScan,
        Self::KoggeStone,
        Self::KoggeStoneConcat,
        Self::OddEven,
        Self::LinearAttention,
    ];

    /// The name in metadata and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::BlockedScan => "blocked-scan",
            Self::KoggeStone => "kogge-stone",
            Self::KoggeStoneConcat => "kogge-stone-concat",
            Self::OddEven => "odd-even",
            Self::LinearAttention => "linear-attention",
        }
    }

    /// The target with the most engines that takes it with any T.
    pub fn target(self) -> Target {
        match self {
            Self::Blocked | Self::BlockedScan | Self::OddEven => Target::Portable,
            Self::KoggeStone | Self::KoggeStoneConcat | Self::LinearAttention => {
                Target::OnnxRuntime
            }
        }
    }

    /// The first opset that has its operators.
    pub fn opset(self) -> i64 {
        match self {
            Self::LinearAttention => 27,
            _ => *crate::check::OPSETS.start(),
        }
    }
}

/// The type that weights are stored in, and products with them are computed in. The recurrence, norms, gates and all other
/// operations are f32, as are inputs, outputs and states.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Weights {
    /// f32.
    #[default]
    F32,
    /// f16; products of f16 with f16 activations.
    F16,
    /// bf16, made f32 by the graph before products.
    Bf16,
    /// 8 bits with a scale for each column (tables: for each row); products of integers with 8-bit activations.
    Int8(Activations),
}

impl Weights {
    /// The name in metadata and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8(_) => "int8",
        }
    }
}

impl Weights {
    /// What products do to their arguments.
    pub fn rounding(&self, graph: &Graph) -> Option<Rounding> {
        match self {
            Self::F32 | Self::Bf16 => None,
            Self::F16 => Some(Rounding::F16),
            Self::Int8(Activations::Row) => Some(Rounding::Rows8),
            Self::Int8(Activations::Static(largest)) => {
                let of = |name: &String| f64::from(largest.get(name).copied().unwrap_or(1.0));
                let all = graph.params().iter().map(|p| of(&p.name));
                Some(Rounding::Static8(all.collect()))
            }
        }
    }
}

/// How activations before a product become 8-bit numbers. Never by a scale of the whole tensor: that depends on a row's
/// neighbours in the batch and on where a sequence is cut.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Activations {
    /// Each row by its own largest magnitude.
    #[default]
    Row,
    /// By the largest magnitude seen before each product, by name of the weight; values beyond it are cut off.
    Static(BTreeMap<String, f32>),
}

/// Names of the states' inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateNames {
    /// `state.{i}.h` to `next_state.{i}.h`, `state.{i}.conv [batch, k-1, W]`.
    #[default]
    Minrnn,
    /// Those of onnxruntime-genai: `past_key_values.{i}.recurrent_state` to `present.{i}.recurrent_state`, and
    /// `.conv_state` as `[batch, W, k-1]`.
    Genai,
    /// Those of icefall's streaming models: `cached_h_{i}` to `new_cached_h_{i}`, `cached_conv_{i}`.
    Icefall,
}

impl StateNames {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Minrnn, Self::Genai, Self::Icefall];

    /// The name in metadata and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minrnn => "minrnn",
            Self::Genai => "genai",
            Self::Icefall => "icefall",
        }
    }
}

/// How states go in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateLayout {
    /// One pair for each state.
    #[default]
    Separate,
    /// One pair for each kind: `state.h [batch, L, D]`, `state.conv [batch, L, k-1, W]`, blocks in order.
    Stacked,
}

impl StateLayout {
    /// The name in metadata and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Stacked => "stacked",
        }
    }
}

/// How to export a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportOptions {
    /// What the file takes.
    pub form: Form,
    /// How the form `parallel` computes; the other forms ignore it.
    pub lowering: Lowering,
    /// Steps in a block of `blocked` and `blocked-scan`: 2 to 256.
    pub block: usize,
    /// A fixed batch; `None`: the dimension `batch`.
    pub batch: Option<usize>,
    /// A fixed sequence length; `None`: the dimension `seq_len`. The form `step` has none and ignores it.
    pub seq_len: Option<usize>,
    /// With a free sequence length, how long it can be at most in the form `parallel`. What goes beyond is an error of
    /// the engine. `blocked` takes up to the next power of its block, the block's square at least, and says that number in
    /// the metadata.
    pub max_seq_len: usize,
    /// Version of the operator set, 13 to 28.
    pub opset: i64,
    /// Type of the weights.
    pub weights: Weights,
    /// Norms as single operators where the opset has them (LayerNormalization from 17, RMSNormalization from 23).
    pub fused_norms: bool,
    /// GRU and LSTM as single operators in the form `scan`, where weights are f32 and there is neither an input `lengths` nor an input
    /// `reset`; else they are a Scan.
    pub fused_cells: bool,
    /// Names of states.
    pub state_names: StateNames,
    /// States one by one or stacked.
    pub state_layout: StateLayout,
    /// An input `lengths` int64 `[batch]` in sequence forms, each between 1 and T: states and last-step outputs are those
    /// of each row's end.
    pub lengths: bool,
    /// An input `reset` bool `[batch, seq_len]` (`step`: `[batch]`): where it is true, states are their initial values again
    /// before the step.
    pub reset: bool,
    /// For which engines: the checker holds the file to what they can run, and it goes into the metadata.
    pub target: Target,
    /// What the model was made from, for the metadata: a JSON object.
    pub config: Json,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            form: Form::Parallel,
            lowering: Lowering::Blocked,
            block: 16,
            batch: None,
            seq_len: None,
            max_seq_len: 65_536,
            opset: 17,
            weights: Weights::F32,
            fused_norms: false,
            fused_cells: false,
            state_names: StateNames::Minrnn,
            state_layout: StateLayout::Separate,
            lengths: false,
            reset: false,
            target: Target::Portable,
            config: Json::Object(serde_json::Map::new()),
        }
    }
}

/// Longest sequence that a graph can be made for.
const MAX_SEQ_LEN: usize = 1 << 30;

/// Longest free sequence of the doubling scan: it pads by half of that, and its guard has a table of that length.
const MAX_FREE_KOGGE_STONE: usize = 1 << 20;

impl ExportOptions {
    /// The lowering's name in the metadata of a file of `graph`.
    pub fn lowering_name(&self, graph: &Graph) -> &'static str {
        match (self.form, self.lowering) {
            (Form::Scan, _) => "scan",
            (Form::Step, lowering) if lowering.is_of_steps(graph) => lowering.name(),
            (Form::Step, _) => "step",
            (Form::Parallel, lowering) => lowering.name(),
        }
    }

    /// Whether they make a file, as far as that is known without a model.
    ///
    /// # Errors
    /// [`ExportError::Option`]: the first that does not, and what would.
    pub fn validate(&self) -> Result<(), ExportError> {
        let fail = |option, what: String| Err(ExportError::Option { option, what });
        let lengths = [
            ("batch", self.batch),
            ("seq_len", self.seq_len),
            ("max_seq_len", Some(self.max_seq_len)),
        ];
        for (option, n) in lengths {
            if n == Some(0) || n.is_some_and(|n| n > MAX_SEQ_LEN) {
                return fail(option, format!("must be between 1 and {MAX_SEQ_LEN}"));
            }
        }
        let free = self.form == Form::Parallel && self.seq_len.is_none();
        let doubling = matches!(
            self.lowering,
            Lowering::KoggeStone | Lowering::KoggeStoneConcat
        );
        if free && doubling && self.max_seq_len > MAX_FREE_KOGGE_STONE {
            let what = format!(
                "is at most {MAX_FREE_KOGGE_STONE} for kogge-stone; use blocked, or fix seq_len"
            );
            return fail("max_seq_len", what);
        }
        if !(2..=256).contains(&self.block) {
            return fail(
                "block",
                format!("is {}; must be between 2 and 256", self.block),
            );
        }
        if !crate::check::OPSETS.contains(&self.opset) {
            let (low, high) = (crate::check::OPSETS.start(), crate::check::OPSETS.end());
            return fail(
                "opset",
                format!("is {}; this exporter writes {low} to {high}", self.opset),
            );
        }
        if self.lengths && self.form == Form::Step {
            return fail(
                "lengths",
                "a step has no length; leave it out for the form step".into(),
            );
        }
        if self.form == Form::Step && self.state_names == StateNames::Genai {
            let what = "genai feeds sequences, also of one token, to one graph; export the form parallel or scan";
            return fail("state_names", what.into());
        }
        if !self.config.is_object() {
            return fail("config", "must be a JSON object".to_owned());
        }
        Ok(())
    }
}
