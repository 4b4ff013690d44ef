//! A tile, and how it is cut for a job: pure arithmetic.

use super::Size;

/// Forward or backward in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Forward,
    Backward,
}

impl Pass {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Forward => "fwd",
            Self::Backward => "bwd",
        }
    }
}

/// What is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) pass: Pass,
    pub(crate) size: Size,
    /// Bytes of an element of h.
    pub(crate) elem: usize,
    /// Parts of the cell, and bytes of one channel of those that the pass reads.
    pub(crate) parts: usize,
    pub(crate) part_bytes: usize,
    /// Whether there are kernels for every tile, not only for those that serve any shape.
    pub(crate) all: bool,
    /// Whether four channels can be loaded at once: D is a multiple of 4 and every row is aligned to that.
    pub(crate) aligned: bool,
}

/// What the device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) multiprocessors: usize,
    /// Bytes of shared memory of a multiprocessor, and what a block may have of it.
    pub(crate) shared: usize,
    pub(crate) shared_block: usize,
    /// Whether up to 8 blocks can be a cluster, and the kernels were built for that.
    pub(crate) clusters: bool,
}

/// A tile: `lanes` lanes of `vec` channels side by side, `warps` warps of `32 / lanes` slots of `steps` steps each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile {
    lanes: usize,
    pub(super) warps: usize,
    steps: usize,
    pub(super) vec: usize,
    /// Tiles of time whose maps are folded before a carry goes on; 0: a tile has all steps.
    pub(super) group: usize,
    /// Blocks that a multiprocessor has registers for.
    blocks: usize,
    /// Tiles on their way into shared memory; 0: one tile a block, straight into registers.
    pub(super) stages: usize,
    /// Backward: 0 where gates are kept from before the hand-over to behind it, 1 where they are computed twice, 2 where inputs wait for that in
    /// shared memory.
    again: usize,
    /// Blocks of a cluster, each with one tile, one behind the other in time.
    pub(super) cluster: usize,
}

pub(super) const fn tile(
    [lanes, warps, steps, vec, group, blocks, stages]: [usize; 7],
    again: usize,
) -> Tile {
    Tile {
        lanes,
        warps,
        steps,
        vec,
        group,
        blocks,
        stages,
        again,
        cluster: 1,
    }
}

/// So many of them are a cluster.
pub(super) const fn by(cluster: usize, tile: Tile) -> Tile {
    Tile { cluster, ..tile }
}

impl Tile {
    /// Whether a cluster has no block without work, where it has whole sequences: those that were timed. Other lengths keep their tiles,
    /// and so their bits.
    pub(super) fn is_even(&self, steps: usize) -> bool {
        self.group == 1 || steps == self.cluster * self.rows()
    }

    /// Whether a sequence is cut without a rest, and a launch into few enough blocks that one that is nearly empty would show.
    pub(super) fn even(self, size: Size, limits: Limits) -> bool {
        let places = limits.multiprocessors * self.blocks;
        size.t.is_multiple_of(self.rows()) && self.total(size) <= 2 * places
    }

    /// From the line that writes its kernel in `kernels.cuh`.
    #[cfg(test)]
    pub(super) fn written(pass: Pass, line: &str) -> Option<Self> {
        let (name, numbers) = line.strip_suffix(')')?.split_once('(')?;
        let mut numbers: Vec<usize> = (numbers.split(',').map(|n| n.trim().parse()))
            .collect::<std::result::Result<_, _>>()
            .ok()?;
        let cluster = match name.strip_suffix("_BY") {
            Some(_) => numbers.pop()?,
            None => 1,
        };
        let again = match pass {
            Pass::Forward => 0,
            Pass::Backward => numbers.pop()?,
        };
        let tile = by(cluster, tile(*numbers.first_chunk::<7>()?, again));
        (numbers.len() == 7 && tile.line(pass) == line).then_some(tile)
    }

    /// The line that writes its kernel.
    #[cfg(test)]
    pub(super) fn line(self, pass: Pass) -> String {
        let name = self.name(pass);
        let (numbers, by) = match name.split_once("_by_") {
            Some((numbers, blocks)) => (format!("{numbers}_{blocks}"), "_BY"),
            None => (name, ""),
        };
        let pass = format!("{pass:?}").to_uppercase();
        format!("{pass}{by}({})", numbers.replace('_', ", "))
    }

    /// Channels that a lane has side by side.
    #[cfg(test)]
    pub(super) fn vec(self) -> usize {
        self.vec
    }

    /// Blocks of its cluster.
    #[cfg(test)]
    pub(super) fn cluster(self) -> usize {
        self.cluster
    }

    /// The last words of the kernel's name.
    pub(crate) fn name(self, pass: Pass) -> String {
        let Self {
            lanes,
            warps,
            steps,
            vec,
            group,
            blocks,
            stages,
            again,
            cluster,
        } = self;
        let mut name = format!("{lanes}_{warps}_{steps}_{vec}_{group}_{blocks}_{stages}");
        if pass == Pass::Backward {
            name += &format!("_{again}");
        }
        if cluster > 1 {
            name += &format!("_by_{cluster}");
        }
        name
    }

    pub(super) fn channels(self) -> usize {
        self.lanes * self.vec
    }
    /// Steps of time.
    pub(crate) fn rows(self) -> usize {
        self.warps * (32 / self.lanes) * self.steps
    }
    /// Tiles of time.
    pub(super) fn tiles(self, size: Size) -> usize {
        size.t.div_ceil(self.rows())
    }
    /// Tiles in all; of a cluster some may lie behind all steps.
    pub(crate) fn total(self, size: Size) -> usize {
        let tiles = self.tiles(size).next_multiple_of(self.cluster);
        tiles * size.b * size.d.div_ceil(self.channels())
    }
    /// Threads of a block: where there is something to hand on, one warp more than those with data.
    pub(crate) fn threads(self) -> u32 {
        32 * (self.warps as u32 + u32::from(self.group > 0))
    }
    /// Whether it can serve so many steps.
    #[cfg(test)]
    pub(super) fn reaches(self, steps: usize) -> bool {
        let whole = self.group == 0 || self.cluster > 1 && self.group > 1;
        !whole || steps <= self.cluster * self.rows()
    }
    /// Values a channel that come from the other blocks of a cluster.
    fn inbox(self) -> usize {
        match (self.cluster, self.group) {
            (1, _) => 0,
            (_, 1) => 1,
            (blocks, _) => 2 * (blocks - 1),
        }
    }
    /// Bytes of shared memory of a block: the maps of its warps, what comes from other blocks, the tiles on their way or that wait.
    pub(crate) fn shared(self, job: Job) -> usize {
        let read = match job.pass {
            Pass::Forward => job.part_bytes,
            Pass::Backward => job.part_bytes + 2 * job.elem,
        };
        let maps = 16 + (8 * self.warps + 4 * self.inbox()) * self.channels();
        let tiles = self.stages + usize::from(self.again == 2);
        maps + tiles * 32 * self.warps * self.steps * self.vec * read
    }
    /// Blocks of a launch. Where a block takes several tiles, all blocks must be on the device at once: a tile waits for
    /// earlier ones, whichever block has them.
    pub(crate) fn grid(self, job: Job, limits: Limits) -> usize {
        let total = self.total(job.size);
        if self.stages == 0 {
            return total;
        }
        /// What the driver keeps of each block's shared memory.
        const KEPT: usize = 1024;
        let fit = limits.shared / (self.shared(job) + KEPT);
        total.min(limits.multiprocessors * self.blocks.min(fit).max(1))
    }
    /// Words of scratch: 4 of the protocol, the maps of the tiles, the carries of the groups.
    pub(crate) fn scratch(self, size: Size) -> usize {
        let tiles = self.tiles(size);
        if tiles <= self.cluster {
            return 4;
        }
        let maps = if self.group > 1 { 4 * tiles } else { 0 };
        4 + (maps + 2 * tiles.div_ceil(self.group)) * size.b * size.d
    }
}
