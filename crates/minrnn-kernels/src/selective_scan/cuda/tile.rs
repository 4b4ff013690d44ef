//! How a scan is spread over threads, as in `selective_scan.cu`.

use super::super::{EVERY, Size};
use crate::Elem;
use crate::cuda::shape::{blocks, product};
use crate::cuda::{Call, Gpu, Module, Result};

/// Steps between states in shared memory, as in `selective_scan.cu`.
const SUB: usize = 8;

/// How states are spread over threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    /// Threads of a channel.
    pub(super) lanes: usize,
    /// States of a thread.
    pub(super) per: usize,
    /// Threads of a block.
    pub(super) threads: usize,
    /// Blocks of a group.
    pub(super) blocks: usize,
}

impl Tile {
    pub(super) fn new(size: Size, backward: bool) -> Self {
        let (lanes, per) = match size.states {
            0..=4 => (4, 1),
            5..=16 => (16, 1),
            17..=32 => (32, 1),
            33..=64 => (32, 2),
            65..=128 => (32, 4),
            _ => (32, 8),
        };
        let most = match (backward, per) {
            (false, _) => 128,
            (true, 1 | 2) => 512,
            (true, _) => 1024 / per,
        };
        let channels = size.group_channels();
        let threads = most.min((channels * lanes).next_multiple_of(32));
        Self {
            lanes,
            per,
            threads,
            blocks: channels.div_ceil(threads / lanes),
        }
    }
    /// Bytes of shared memory of the backward pass.
    pub(super) fn shared(self) -> u32 {
        let states = self.threads * self.per;
        ((EVERY / SUB + 2 * SUB) * states * Elem::F32.size()) as u32
    }
    pub(super) fn grid(self, op: &'static str, size: Size) -> Result<(u32, u32, u32)> {
        let all = product(op, &[size.batch, size.groups, self.blocks])?;
        Ok((blocks(op, all)?, 1, 1))
    }
    pub(super) fn call<'g>(self, gpu: &'g Gpu, pass: &str, elem: Elem) -> Result<Call<'g>> {
        let (elem, lanes, per) = (elem.suffix(), self.lanes, self.per);
        let name = format!("selective_scan_{pass}_{elem}_{lanes}_{per}");
        Call::new(gpu, Module::SelectiveScan, &name)
    }
    /// Steps of a launch of the backward pass, a multiple of [`EVERY`]: its sums over blocks take about as much memory as four values
    /// `[B,T,D]`.
    pub(super) fn segment(self, size: Size) -> usize {
        let step = 2 * self.blocks * size.read();
        let steps = 4 * size.time * size.channels / step;
        (steps / EVERY * EVERY).max(EVERY).min(size.time)
    }
}
