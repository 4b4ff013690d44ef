//! The instructions that cross time steps, as a program without time and a chunk of time have them.

use super::instr::Folded;
use crate::info::Law;
use crate::kernels::{Rows, RowsMut, Scan};

/// What can go wrong while running: nothing that the checks before do not already refuse in a sound file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An id that the table has no row for.
    Id { id: i64, rows: usize },
    /// Another thread of the same run failed.
    Stopped,
    /// A defect of this crate.
    Panicked(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id { id, rows } => write!(f, "id {id} of a table of {rows} rows"),
            Self::Stopped => write!(f, "another thread of the run failed"),
            Self::Panicked(words) => write!(f, "a panic: {words}"),
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
    fn remember(&mut self, _: usize, _: Rows<'_>) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
    fn capture(&mut self, _: usize, _: Rows<'_>) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }
}
