//! What can be chosen for an export.

use serde_json::Value as Json;

use super::ExportError;

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
    /// Blocks of 16 steps, blocks of blocks, ..: about two passes over the sequence.
    #[default]
    Blocked,
    /// Doubling distances: log2(T) passes.
    KoggeStone,
}

/// How to export a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportOptions {
    /// What the file takes.
    pub form: Form,
    /// How the form `parallel` computes; the other forms ignore it.
    pub lowering: Lowering,
    /// A fixed batch; `None`: the dimension `batch`.
    pub batch: Option<usize>,
    /// A fixed sequence length; `None`: the dimension `seq_len`. The form `step` has none and ignores it.
    pub seq_len: Option<usize>,
    /// With a free sequence length, how long it can be at most in the form `parallel`. What goes beyond is an error of
    /// the engine. `blocked` takes up to the next power of 16, 256 at least, and says that number in the metadata.
    pub max_seq_len: usize,
    /// Version of the operator set, 13 to 17.
    pub opset: i64,
    /// What the model was made from, for the metadata: a JSON object.
    pub config: Json,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            form: Form::Parallel,
            lowering: Lowering::Blocked,
            batch: None,
            seq_len: None,
            max_seq_len: 65_536,
            opset: 17,
            config: Json::Object(serde_json::Map::new()),
        }
    }
}

/// Longest sequence that a graph can be made for.
const MAX_SEQ_LEN: usize = 1 << 30;

/// Longest free sequence of the doubling scan: it pads by half of that, and its guard has a table of that length.
const MAX_FREE_KOGGE_STONE: usize = 1 << 20;

impl ExportOptions {
    /// The lowering's name in metadata.
    pub fn lowering_name(&self) -> &'static str {
        match (self.form, self.lowering) {
            (Form::Scan, _) => "scan",
            (Form::Step, _) => "step",
            (Form::Parallel, Lowering::Blocked) => "blocked",
            (Form::Parallel, Lowering::KoggeStone) => "kogge-stone",
        }
    }

    pub(super) fn validate(&self) -> Result<(), ExportError> {
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
        if free && self.lowering == Lowering::KoggeStone && self.max_seq_len > MAX_FREE_KOGGE_STONE
        {
            let what = format!(
                "is at most {MAX_FREE_KOGGE_STONE} for kogge-stone; use blocked, or fix seq_len"
            );
            return fail("max_seq_len", what);
        }
        if !crate::check::OPSETS.contains(&self.opset) {
            let (low, high) = (crate::check::OPSETS.start(), crate::check::OPSETS.end());
            return fail(
                "opset",
                format!("is {}; this exporter writes {low} to {high}", self.opset),
            );
        }
        if !self.config.is_object() {
            return fail("config", "must be a JSON object".to_owned());
        }
        Ok(())
    }
}
