//! How a scan is spread over threads, as in `diagonal_scan.cu`.

use super::super::{EVERY, Size};
use crate::Elem;
use crate::cuda::shape::{blocks, product};
use crate::cuda::{Call, Gpu, Module, Result};

/// Steps between states in shared memory, as in `diagonal_scan.cu`.
const SUB: usize = 8;

/// Threads of a block, at most.
const THREADS: usize = 128;

/// How states are spread over threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    /// Threads of a channel.
    pub(super) lanes: usize,
    /// Complex states of a thread.
    pub(super) per: usize,
    /// Threads of a block.
    pub(super) threads: usize,
    /// Blocks of a sequence.
    pub(super) blocks: usize,
}

impl Tile {
    pub(super) fn new(size: Size) -> Self {
        let (lanes, per) = match size.pairs {
            0..=4 => (4, 1),
            5..=8 => (8, 1),
            9..=16 => (8, 2),
            17..=32 => (8, 4),
            33..=64 => (16, 4),
            _ => (32, 4),
        };
        let threads = THREADS.min((size.channels * lanes).next_multiple_of(32));
        Self {
            lanes,
            per,
            threads,
            blocks: size.channels.div_ceil(threads / lanes),
        }
    }
    /// Bytes of shared memory of the backward pass.
    pub(super) fn shared(self) -> u32 {
        let states = 2 * self.per * self.threads;
        ((EVERY / SUB + SUB) * states * Elem::F32.size()) as u32
    }
    pub(super) fn grid(self, op: &'static str, size: Size) -> Result<(u32, u32, u32)> {
        let all = product(op, &[size.batch, self.blocks])?;
        Ok((blocks(op, all)?, 1, 1))
    }
    pub(super) fn call<'g>(self, gpu: &'g Gpu, pass: &str, elem: Elem) -> Result<Call<'g>> {
        let (elem, lanes, per) = (elem.suffix(), self.lanes, self.per);
        let name = format!("diagonal_scan_{pass}_{elem}_{lanes}_{per}");
        Call::new(gpu, Module::DiagonalScan, &name)
    }
}
