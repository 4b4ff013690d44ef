//! How a scan is spread over threads, as in `selective_scan.cu`.

use super::super::Size;
use crate::Elem;
use crate::cuda::shape::{blocks as checked_blocks, product};
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
    pub(super) fn shared(self, size: Size) -> u32 {
        let states = self.threads * self.per;
        ((size.every() / SUB + 2 * SUB) * states * Elem::F32.size()) as u32
    }
    pub(super) fn grid(self, op: &'static str, size: Size) -> Result<(u32, u32, u32)> {
        let all = product(op, &[size.batch, size.groups, self.blocks])?;
        Ok((checked_blocks(op, all)?, 1, 1))
    }
    pub(super) fn call<'g>(self, gpu: &'g Gpu, pass: &str, elem: Elem) -> Result<Call<'g>> {
        let (elem, lanes, per) = (elem.suffix(), self.lanes, self.per);
        let name = format!("selective_scan_{pass}_{elem}_{lanes}_{per}");
        Call::new(gpu, Module::SelectiveScan, &name)
    }
    /// Steps of a launch of the backward pass, a multiple of [`Size::every`]: its sums over blocks take about as much memory as four values
    /// `[B,T,D]`, or as those of the tiled pass where the sizes are its own.
    pub(super) fn segment(self, size: Size) -> usize {
        let steps = match tiled(size) {
            true => size.time * blocks(size) / self.blocks,
            false => 4 * size.time * size.channels / (2 * self.blocks * size.read()),
        };
        let every = size.every();
        (steps / every * every).max(every).min(size.time)
    }
}

/// Of the tiled kernels: states of a channel; steps of a stretch ([`Size::every`]); threads, and channels, of a block.
pub(super) const STATES: usize = 16;
pub(super) const STRETCH: usize = 16;
pub(super) const CHANNELS: usize = 128;

/// Blocks that fill a GPU. Sums depend on it, so it is one number for all of them.
const FULL: usize = 396;

/// Whether sizes are those of `tiled.cuh`: channels with 16 states and a step size of their own.
pub(super) fn tiled(size: Size) -> bool {
    size.states == STATES
        && size.head_channels() == 1
        && !size.shared
        && size.group_channels().is_multiple_of(4)
}

/// Blocks of the tiled kernels of a group of a sequence.
pub(super) fn blocks(size: Size) -> usize {
    size.group_channels().div_ceil(CHANNELS)
}

/// Segments of time that are computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segments {
    /// How many there are.
    pub(super) count: usize,
    /// Stretches of each; the last one may have fewer.
    pub(super) length: usize,
}

impl Segments {
    /// As many as fill a GPU, of at least four stretches.
    pub(super) fn new(size: Size) -> Self {
        let all = size.batch * size.groups * blocks(size);
        let stretches = size.time.div_ceil(STRETCH);
        let most = (FULL / all).min(stretches / 4).max(1);
        let length = stretches.div_ceil(most);
        let count = stretches.div_ceil(length);
        Self { count, length }
    }
    pub(super) fn whole(size: Size) -> Self {
        let length = size.time.div_ceil(STRETCH);
        Self { count: 1, length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_fill_a_gpu_and_cover_all_of_time() {
        let size = |batch, time, channels| Size {
            batch,
            time,
            channels,
            states: 16,
            heads: channels,
            groups: 1,
            shared: false,
        };
        for (size, count, length) in [
            (size(64, 4096, 768), 1, 256),
            (size(64, 4096, 128), 6, 43),
            (size(1, 4096, 768), 64, 4),
            (size(1, 17, 4), 1, 2),
            (size(1, 130, 4), 2, 5),
        ] {
            assert_eq!(Segments::new(size), Segments { count, length });
            assert!(tiled(size) && count * length >= size.time.div_ceil(STRETCH));
        }
    }
}
