//! What is measured: which model, in which form and sizes.

use minrnn_runtime::Info;

/// One line of the table: every engine and every file that can do it takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case {
    /// One step a call, or a whole sequence.
    pub(super) step: bool,
    /// B.
    pub(super) batch: usize,
    /// T of one call; 1 of a step.
    pub(super) seq_len: usize,
    pub(super) threads: usize,
}

/// A step of one row on one thread.
pub(super) const ONE: Case = Case {
    step: true,
    batch: 1,
    seq_len: 1,
    threads: 1,
};

/// Which cases are of interest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes<'a> {
    pub(super) quick: bool,
    pub(super) threads: usize,
    /// T of sequences, where somebody asks for them.
    pub(super) lengths: &'a [usize],
}

/// The cases of a model of which everything is of interest.
pub(super) fn all(sizes: Sizes) -> Vec<Case> {
    let threads = sizes.threads;
    let (batch, usual) = match sizes.quick {
        true => (8, [16, 64]),
        false => (64, [512, 4096]),
    };
    let lengths = match sizes.lengths {
        [] => &usual,
        asked => asked,
    };
    let rows = |threads| Case {
        batch,
        threads,
        ..ONE
    };
    let mut all = vec![ONE, rows(1), rows(threads)];
    all.extend(lengths.iter().map(|seq_len| Case {
        step: false,
        seq_len: *seq_len,
        threads,
        ..ONE
    }));
    all.dedup();
    all
}

impl Case {
    /// Name by which `--only` chooses and messages speak.
    pub(super) fn name(self, model: &str, dtype: &str) -> String {
        let form = if self.step { "step" } else { "sequence" };
        let threads = if self.threads == 1 {
            "thread"
        } else {
            "threads"
        };
        format!(
            "{model} {form} {dtype} B={} T={} {} {threads}",
            self.batch, self.seq_len, self.threads
        )
    }

    /// Whether a file takes these sizes.
    pub(super) fn fits(self, info: &Info) -> bool {
        self == self.within(info) && self.step != info.form.is_sequence()
    }

    /// The sizes nearest to these that the file takes.
    pub(super) fn within(self, info: &Info) -> Self {
        let longest = info.max_seq_len.unwrap_or(usize::MAX);
        let seq_len = if self.step {
            1
        } else {
            info.seq_len.unwrap_or(self.seq_len.min(longest))
        };
        Self {
            batch: info.batch.unwrap_or(self.batch),
            seq_len,
            ..self
        }
    }
}
