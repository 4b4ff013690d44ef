//! The checks of an export by name, and which are left out: to show of a fault which of them finds it, and of a check that it finds one.

use std::collections::BTreeSet;

/// What an export is held to. Each is in force unless it is left out by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// Files have the hashes and sizes that the manifest says.
    Hashes,
    /// The manifest has the keys of its schema, each of its kind, and no others.
    Keys,
    /// Vocabulary, preprocessing and end of stream follow from each other and the configuration.
    Words,
    /// No file of an export lies in the folder that the manifest does not list.
    Unlisted,
    /// Form, head, lowering, types, target and layout of states: the file says what the manifest says.
    Metadata,
    /// The same of the longest length.
    Longest,
    /// The same of the operator set.
    Opset,
    /// The file has the hash of the manifest's vocabulary.
    Vocabulary,
    /// States, configuration and names: the file says what the manifest says.
    Description,
    /// The same of the scales of activations.
    Activations,
    /// Inputs and outputs of the file are those of the manifest.
    Ports,
    /// The graph keeps the rules of the target that it says it is for.
    Target,
    /// Weights beside the graph are read from the file that the manifest lists.
    Beside,
    /// Statistics of the data are those of the configuration.
    Statistics,
    /// What a file says of itself follows from configuration and weights.
    Outline,
    /// All forms take and give the same.
    Interface,
    /// A sequence file takes no longer sequence than it says.
    End,
    /// Parameters are the same in each file.
    Alike,
    /// Parameters have the hash that the export claims.
    WeightsHash,
    /// Parameters are the checkpoint's, rounded as an export rounds them, bit for bit.
    Checkpoint,
    /// The graph of a file is the one that this version writes.
    Graphs,
    /// `golden.safetensors` is what the oracle computes.
    Golden,
    /// Forms in tract and in the trainer's own engine, against the oracle and against each other.
    Portable,
    /// Forms in the runtime's executor, against each other, its referee, and a new export of narrow weights.
    Exact,
    /// Rows of their own lengths, and resets, against the oracle.
    Extras,
    /// The model's cells alone, with extreme gates, over long sequences.
    Probes,
}

/// Checks that are left out; usually none.
#[derive(Debug, Clone, Default)]
pub struct Off(BTreeSet<Check>);

impl Off {
    /// Leaves these out.
    pub fn these(checks: &[Check]) -> Self {
        Self(checks.iter().copied().collect())
    }

    /// Whether it is left out.
    pub(super) fn has(&self, check: Check) -> bool {
        self.0.contains(&check)
    }

    /// Whether nothing is left that runs a file.
    pub(super) fn nothing_runs(&self) -> bool {
        use Check::{Exact, Extras, Portable, Probes};
        [Portable, Exact, Extras, Probes]
            .iter()
            .all(|c| self.has(*c))
    }

    /// What the check says, unless it is left out.
    pub(super) fn hold<E>(
        &self,
        check: Check,
        holds: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        if self.has(check) { Ok(()) } else { holds() }
    }
}
