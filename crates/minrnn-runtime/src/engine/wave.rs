//! What the chunks of one run share: states that one leaves for the next, and what is taken out of steps.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Program;
use super::instr::{Capture, Carry, Start};
use super::registers::Registers;
use super::rows::BLOCK;

/// Rows of a chunk, at least: shorter ones would read the weights too often.
const LEAST: usize = 16;

/// The data input, row-major.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data<'a> {
    Ids(&'a [i64]),
    Features(&'a [f32]),
}

/// A whole sequence for each row of the batch.
pub(crate) struct Sequence<'a> {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) data: Data<'a>,
    pub(crate) lengths: Option<&'a [i64]>,
    pub(crate) reset: Option<&'a [bool]>,
    /// States before, by slot.
    pub(crate) states: &'a [Vec<f32>],
    /// Values of the data output.
    pub(crate) out: &'a mut [f32],
    /// States after, by slot.
    pub(crate) next: &'a mut [Vec<f32>],
}

/// A carry between chunks of one group of rows.
pub(super) struct Cell {
    pub(super) state: Mutex<Left>,
    pub(super) moved: Condvar,
}

/// What a chunk left.
pub(super) struct Left {
    /// The chunk that may read `values`.
    pub(super) chunk: usize,
    /// `[rows of the group, steps, width]`.
    pub(super) values: Vec<f32>,
}

/// What all chunks of one run share.
pub(super) struct Wave<'a> {
    pub(super) carries: &'a [Carry],
    pub(super) captures: &'a [Capture],
    /// By group, then by carry.
    pub(super) cells: Vec<Vec<Cell>>,
    /// By capture, `[B, offsets, width]`.
    pub(super) taken: Vec<Mutex<Vec<f32>>>,
    /// Whether a chunk ended early: nobody waits any more.
    pub(super) stopped: AtomicBool,
    pub(super) time: usize,
    lengths: Option<&'a [i64]>,
}

/// How a run is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// Rows of the batch in a group.
    pub(super) group: usize,
    pub(super) groups: usize,
    /// Steps of a chunk.
    pub(super) steps: usize,
    pub(super) chunks: usize,
}

impl Cut {
    pub(super) fn of(batch: usize, time: usize, threads: usize) -> Self {
        let fair = (batch * time).div_ceil(threads.max(1));
        let rows = fair.clamp(LEAST, BLOCK);
        let steps = rows.min(time);
        let group = (rows / steps).clamp(1, batch);
        Self {
            group,
            groups: batch.div_ceil(group),
            steps,
            chunks: time.div_ceil(steps),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Wave<'a> {
    pub(super) fn new(
        program: &'a Program,
        batch: &Registers,
        cut: Cut,
        run_of: &Sequence<'a>,
    ) -> Self {
        let start = |carry: &Carry, row: usize| match &carry.start {
            Start::View(view) => batch.row(*view, row).to_vec(),
            Start::Fixed(values) => values.to_vec(),
        };
        let cell = |carry: &Carry, group: usize| {
            let rows = group * cut.group..((group + 1) * cut.group).min(run_of.batch);
            Cell {
                state: Mutex::new(Left {
                    chunk: 0,
                    values: rows.flat_map(|row| start(carry, row)).collect(),
                }),
                moved: Condvar::new(),
            }
        };
        let cells = (0..cut.groups)
            .map(|g| program.carries.iter().map(|c| cell(c, g)).collect())
            .collect();
        let mut wave = Self {
            carries: &program.carries,
            captures: &program.captures,
            cells,
            taken: vec![],
            stopped: AtomicBool::new(false),
            time: run_of.time,
            lengths: run_of.lengths,
        };
        for capture in &program.captures {
            let width = capture.offsets.len() * capture.width;
            let mut values = vec![0.0; run_of.batch * width];
            if let Some(carry) = capture.past {
                for (row, to) in values.chunks_exact_mut(width).enumerate() {
                    wave.fill_from_past(capture, row, &start(&program.carries[carry], row), to);
                }
            }
            wave.taken.push(Mutex::new(values));
        }
        wave
    }

    /// The end of a row, by which a capture counts.
    pub(super) fn end(&self, capture: &Capture, row: usize) -> i64 {
        match self.lengths {
            Some(lengths) if capture.ragged => lengths[row],
            _ => self.time as i64,
        }
    }

    /// Entries before the first step.
    fn fill_from_past(&self, capture: &Capture, row: usize, past: &[f32], to: &mut [f32]) {
        let end = self.end(capture, row);
        let steps = (past.len() / capture.width) as i64;
        for (offset, to) in capture
            .offsets
            .iter()
            .zip(to.chunks_exact_mut(capture.width))
        {
            let at = end + offset;
            if at < 0 && at + steps >= 0 {
                let from = (at + steps) as usize * capture.width;
                to.copy_from_slice(&past[from..from + capture.width]);
            }
        }
    }
}
