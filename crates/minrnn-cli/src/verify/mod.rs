//! The proof: an export's forms compute the same as each other, as the trainer, and as the float64 oracle.

pub(crate) mod against;
mod bisect;
mod check;
pub(crate) mod contender;
mod contract;
mod course;
mod engine;
mod exact;
mod extras;
mod forms;
mod fresh;
mod golden;
mod grade;
mod heard;
mod hold;
mod lengths;
pub(crate) mod pair;
mod picture;
mod plan;
mod portable;
mod probe;
mod proof;
mod range;
mod report;
mod rewind;
mod show;
mod texts;
mod who;

use minrnn_model::model::Model;
use minrnn_model::vocabulary::Vocabulary;

pub use check::{Check, Off};
pub(crate) use contract::graphs_below;
pub use contract::{ContractError, Export, OtherModel};
pub(crate) use heard::{FormHeard, forms_heard, heard};
pub use hold::verify_files;
pub use picture::ByLength;
pub use proof::verify;
pub(crate) use report::argmax;
pub use report::{Grade, Report, Row};
pub use who::Who;

/// How much is verified.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of inputs, states and chunkings.
    pub seed: u64,
    /// Longest sequence; `None`: the longest that the files take.
    pub longest: Option<usize>,
    /// Multiply-adds that one run over the longest sequence may cost; longer lengths are left out, and the report says so.
    pub budget: f64,
    /// Steps of the probes with extreme gates.
    pub probe_steps: usize,
    /// A few lengths, up to some blocks, in the place of all.
    pub quick: bool,
}

impl Options {
    /// What ten seconds allow: a few lengths, up to some blocks of the default lowering, and short probes. The checks are all made.
    pub fn quick() -> Self {
        Self {
            longest: Some(130),
            probe_steps: 1024,
            quick: true,
            ..Self::default()
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            longest: None,
            budget: 2e10,
            probe_steps: 65_536,
            quick: false,
        }
    }
}

/// Progress of a verification: work done, work in all, both in proportion to the time that it takes, and what is running.
pub type Observer<'a> = &'a mut dyn FnMut(usize, usize, &str);

/// Whether an export is of a checkpoint: of its shapes, its configuration and its vocabulary.
///
/// # Errors
/// What differs.
pub fn belongs(
    export: &Export,
    model: &Model,
    vocabulary: Option<&Vocabulary>,
) -> std::result::Result<(), OtherModel> {
    export.is_of(model)?;
    export.has_vocabulary(vocabulary)
}
