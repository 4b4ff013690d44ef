//! What a file says about itself, once it has been checked.

use serde_json::Value;

use crate::range::FeatureRange;

/// The form of an exported graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Whole sequences, the recurrence as a log-depth or blocked scan of plain nodes.
    Parallel,
    /// Whole sequences, the recurrence as ONNX's `Scan`.
    Scan,
    /// One time step a call.
    Step,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::Parallel, Self::Scan, Self::Step];

    /// The word in `minrnn.form`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Scan => "scan",
            Self::Step => "step",
        }
    }

    /// Whether the graph takes whole sequences.
    pub fn is_sequence(self) -> bool {
        self != Self::Step
    }
}

/// How the recurrence `h[t] = a[t] * h[t-1] + b[t]` is written in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lowering {
    /// Blocks of fixed length, carried by a recursion over block totals.
    Blocked,
    /// Log-depth doubling (Kogge and Stone 1973).
    KoggeStone,
    /// Blocks, and a Scan over them.
    BlockedScan,
    /// Doubling distances by Slice and Concat.
    KoggeStoneConcat,
    /// Pairs of pairs.
    OddEven,
    /// The operator LinearAttention, which tract does not have.
    LinearAttention,
    /// ONNX operator `Scan`.
    Scan,
    /// One multiplication and one addition.
    Step,
}

impl Lowering {
    /// The word in `minrnn.lowering`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::BlockedScan => "blocked-scan",
            Self::KoggeStone => "kogge-stone",
            Self::KoggeStoneConcat => "kogge-stone-concat",
            Self::OddEven => "odd-even",
            Self::LinearAttention => "linear-attention",
            Self::Scan => "scan",
            Self::Step => "step",
        }
    }

    /// The form this lowering makes; `LinearAttention` may make the form `step` too.
    pub fn form(self) -> Form {
        match self {
            Self::Scan => Form::Scan,
            Self::Step => Form::Step,
            _ => Form::Parallel,
        }
    }
}

/// The type of the numbers that products work with. The rest is f32 in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// f32.
    F32,
    /// IEEE half.
    F16,
    /// bfloat16, 8 bits of precision.
    Bf16,
    /// 8-bit integers with a scale for each output.
    Int8,
}

impl Dtype {
    pub(crate) const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Int8];

    /// The word in `minrnn.dtype`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

/// Which time steps have an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Each step: `[batch, seq_len, C]` (`[batch, C]` in the step form).
    PerStep,
    /// The last step only: `[batch, C]`.
    Last,
}

impl Head {
    /// The word in `minrnn.head`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerStep => "per_step",
            Self::Last => "last",
        }
    }
}

/// The data input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSpec {
    /// `input_ids`, int64 `[batch, seq_len]` (`[batch]` in the step form).
    Tokens {
        /// Number of token kinds, from `/input/vocab` of the configuration; `None` if it does not say.
        vocab: Option<usize>,
    },
    /// `features`, f32 `[batch, seq_len, width]` (`[batch, width]` in the step form).
    Features {
        /// Values a step.
        width: usize,
    },
}

impl InputSpec {
    /// The name of the graph input.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens { .. } => "input_ids",
            Self::Features { .. } => "features",
        }
    }
}

/// The data output: `logits` or `values`, f32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSpec {
    /// `logits` or `values`.
    pub name: String,
    /// C, the last dimension.
    pub width: usize,
}

/// What a state holds before the first step.
#[derive(Debug, Clone, PartialEq)]
pub enum Init {
    /// Zero.
    Zero,
    /// The same values for each row of the batch, row-major in the state's shape.
    Values(Vec<f32>),
}

/// One state: an f32 tensor that goes in as `input` and comes out as `output`.
#[derive(Debug, Clone, PartialEq)]
pub struct StateSpec {
    /// Name of the graph input, such as `state.0.h`.
    pub input: String,
    /// Name of the graph output, such as `next_state.0.h`.
    pub output: String,
    /// Shape without the batch: `[D]`, or `[k-1, W]` for a convolution.
    pub shape: Vec<usize>,
    /// Initial value.
    pub init: Init,
    /// Whether it counts the steps since the begin: whole numbers from 0 on, which with the steps of a call stay within the longest
    /// sequence.
    pub counts: bool,
}

impl StateSpec {
    /// Values a row of the batch. The contract check holds this far below any overflow.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a row holds no value. Never so in a checked file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a recurrence makes of its state at each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// `h[t] = a[t] * h[t-1] + b[t]`.
    Linear,
    /// `h[t] = max(h[t-1], b[t])`; with an `a`, `max(h[t-1] + a[t], b[t])`.
    Max,
    /// The linear law of complex numbers, `[re | im]` in the channels.
    Complex,
}

impl Law {
    /// Its name in metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Max => "max",
            Self::Complex => "complex",
        }
    }

    /// One step, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Linear => "h0 * a + b",
            Self::Max => "max(h0, b), or max(h0 + a, b) where there is an a,",
            Self::Complex => "h0 * a + b of complex numbers",
        }
    }
}

/// The tensor names of one lowered recurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrence {
    /// Its law.
    pub law: Law,
    /// The decay, `[batch, T, D]` (`[batch, D]` in the step form); of the law max what is added to the state, where there is something.
    pub a: Option<String>,
    /// What is added or compared, `[batch, T, D]` (`[batch, D]` in the step form).
    pub b: String,
    /// State before the first step, `[batch, D]`.
    pub h0: String,
    /// All states, same shape as `b`.
    pub h: String,
    /// The state after the last step, `[batch, D]`.
    pub h_last: String,
}

impl Recurrence {
    /// The names that it is made of, with what they are called: `a` if there is one, `b`, `h0`.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let a = self.a.iter().map(|a| ("a", a));
        a.chain([("b", &self.b), ("h0", &self.h0)])
    }
}

/// A checked description of an exported file.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// The form of the graph.
    pub form: Form,
    /// How the recurrence is lowered.
    pub lowering: Lowering,
    /// Which steps have an output.
    pub head: Head,
    /// The data input.
    pub input: InputSpec,
    /// Features that the file takes as numbers, where it makes them float16; `None`: all.
    pub range: Option<FeatureRange>,
    /// The data output.
    pub output: OutputSpec,
    /// The states, in the order of `minrnn.states`.
    pub states: Vec<StateSpec>,
    /// The only batch the file takes, if it was exported with a fixed one.
    pub batch: Option<usize>,
    /// The only T the file takes, if it was exported with a fixed one.
    pub seq_len: Option<usize>,
    /// The longest T the file takes; `None`: no limit.
    pub max_seq_len: Option<usize>,
    /// The lowered recurrences, in layer order.
    pub recurrences: Vec<Recurrence>,
    /// Whether `a`, `b`, `h` of the recurrences have a padded T.
    pub padded: bool,
    /// Whether it takes `lengths`.
    pub lengths: bool,
    /// Whether it takes `reset`.
    pub reset: bool,
    /// sha256 over all parameters, lower-case hex: the same in all forms of one model.
    pub weights_sha256: String,
    /// What the weights were rounded to.
    pub dtype: Dtype,
    /// What the model was made from.
    pub config: Value,
    /// Of a text model, what tells its vocabulary: `bytes`, or a sha256 in lower-case hex ([`crate::text::Vocabulary::of_export`]).
    pub vocabulary: Option<String>,
    /// The token after which a text is over, where the export names one.
    pub end_of_stream: Option<u32>,
}

impl Info {
    /// The longest T of one call: a fixed T, the stated limit, or 1 in the step form; `None`: no limit.
    pub fn longest(&self) -> Option<usize> {
        match self.form {
            Form::Step => Some(1),
            _ => self.seq_len.or(self.max_seq_len),
        }
    }
}
