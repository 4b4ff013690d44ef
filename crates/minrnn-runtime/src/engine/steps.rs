//! The instructions that cross time steps, as a program without time and a chunk of time have them.

use super::instr::Folded;
use crate::info::Law;
use crate::kernels::{Attend, Rows, RowsMut, Scan};

/// What can go wrong while running: nothing that the checks before do not already refuse in a sound file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An id that the table has no row for.
    Id { id: i64, rows: usize },
    /// A step of a number that the model has none of.
    Beyond { steps: usize },
    /// Another thread of the same run failed.
    Stopped,
    /// A defect of this crate.
    Panicked(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Beyond { steps } => write!(
                f,
                "a sequence is longer than the model takes, {steps} steps; begin anew before, or use a model of longer sequences"
            ),
            // Token ids were looked at before.
            Self::Id { id, rows } => write!(
                f,
                "row {id} of a table of {rows} rows: more steps than the model has positions; begin anew"
            ),
            Self::Stopped => write!(f, "another thread of the run failed"),
            Self::Panicked(words) => write!(f, "a panic: {words}"),
        }
    }
}

/// Rows of an attention: its arguments beside the past.
pub(super) struct Attention<'a> {
    pub(super) q: Rows<'a>,
    pub(super) kv: Rows<'a>,
    pub(super) n: Rows<'a>,
    pub(super) heads: usize,
}

impl<'a> Attention<'a> {
    /// Row `at`, of whose sequence the rows from `from` on are in the call.
    pub(super) fn row<'p: 'a>(&self, from: usize, at: usize, past: &'p [f32]) -> Attend<'a> {
        Attend {
            q: self.q.row(at),
            past,
            present: self.kv.part(from, at + 1 - from),
            n: self.n.row(at)[0],
            heads: self.heads,
        }
    }
}

/// The instructions that cross time steps.
pub(super) trait Steps {
    fn recur(
        &mut self,
        law: Law,
        carry: usize,
        x: (Option<Rows<'_>>, Rows<'_>),
        out: RowsMut<'_>,
    ) -> Result<(), Fault>;
    fn scan(
        &mut self,
        carry: usize,
        capture: Option<usize>,
        scan: &Scan<'_>,
        out: RowsMut<'_>,
    ) -> Result<(), Fault>;
    fn fold(&mut self, fold: &Folded, x: &[Rows<'_>], out: &mut [RowsMut<'_>])
    -> Result<(), Fault>;
    fn delay(
        &mut self,
        carry: usize,
        by: usize,
        x: Rows<'_>,
        out: RowsMut<'_>,
    ) -> Result<(), Fault>;
    fn conv(
        &mut self,
        carry: usize,
        x: Rows<'_>,
        taps: Rows<'_>,
        out: RowsMut<'_>,
    ) -> Result<(), Fault>;
    fn attend(
        &mut self,
        carry: usize,
        x: &Attention<'_>,
        scores: RowsMut<'_>,
        out: RowsMut<'_>,
    ) -> Result<(), Fault>;
    fn remember(&mut self, carry: usize, x: Rows<'_>) -> Result<(), Fault>;
    fn capture(&mut self, capture: usize, x: Rows<'_>) -> Result<(), Fault>;
}

/// A program without time: a step form, or what is done to states before and after.
pub(super) struct NoSteps;

impl Steps for NoSteps {
    fn recur(
        &mut self,
        _: Law,
        _: usize,
        _: (Option<Rows<'_>>, Rows<'_>),
        _: RowsMut<'_>,
    ) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
    fn scan(
        &mut self,
        _: usize,
        _: Option<usize>,
        _: &Scan<'_>,
        _: RowsMut<'_>,
    ) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
    fn fold(&mut self, _: &Folded, _: &[Rows<'_>], _: &mut [RowsMut<'_>]) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
    fn delay(&mut self, _: usize, _: usize, _: Rows<'_>, _: RowsMut<'_>) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
    fn conv(&mut self, _: usize, _: Rows<'_>, _: Rows<'_>, _: RowsMut<'_>) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
    fn attend(
        &mut self,
        _: usize,
        _: &Attention<'_>,
        _: RowsMut<'_>,
        _: RowsMut<'_>,
    ) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
    fn remember(&mut self, _: usize, _: Rows<'_>) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
    fn capture(&mut self, _: usize, _: Rows<'_>) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
}
