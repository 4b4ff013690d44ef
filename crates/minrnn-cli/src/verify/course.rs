//! How far a verification is, in work that is about in proportion to the time it takes.

use minrnn_model::trial::Case;

use super::Observer;

/// Parts of a verification, one after the other.
pub(super) struct Course<'a, 'b> {
    observe: &'a mut Observer<'b>,
    done: usize,
    /// Of the part that runs.
    now: usize,
    total: usize,
}

impl<'a, 'b> Course<'a, 'b> {
    /// `parts`: the work of all.
    pub(super) fn new(
        observe: &'a mut Observer<'b>,
        parts: impl IntoIterator<Item = usize>,
    ) -> Self {
        Self {
            observe,
            done: 0,
            now: 0,
            total: parts.into_iter().sum(),
        }
    }

    /// What ran until now is done; so much work begins.
    pub(super) fn begin(&mut self, work: usize, what: &str) {
        self.done += std::mem::replace(&mut self.now, work);
        (self.observe)(self.done.min(self.total), self.total, what);
    }

    /// All is done.
    pub(super) fn end(&mut self) {
        (self.observe)(self.total, self.total, "done");
    }
}

// Work is counted in steps of one row through every engine and form, a quarter of a millisecond for a small model.

/// A case step by step alone.
pub(super) fn single_steps(case: &Case) -> usize {
    case.batch * case.time / 2
}

/// A case in all engines and forms: whole, in pieces and step by step; `planned`: with plans for its length alone.
pub(super) fn all_forms(case: &Case, planned: bool) -> usize {
    let plans = if planned { 1500 } else { 40 };
    plans + case.batch * case.time
}

/// A probe of so many steps: one small cell.
pub(super) fn probe(steps: usize) -> usize {
    1000 + steps / 16
}
