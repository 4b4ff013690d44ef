//! The tiles that `kernels.cuh` has, by what they are for.

use super::shape::{Job, Pass, Tile, by, tile};

/// One channel at a time, for rows that are not aligned.
pub(super) const ANY: Tile = tile([32, 15, 8, 1, 8, 2, 0], 0);

/// The tiles for one pass and one width of elements.
pub(super) struct Table {
    /// For any shape whose rows are aligned; for small ones the best.
    pub(super) small: Tile,
    /// For many channels and short sequences.
    pub(super) wide: Option<Tile>,
    /// For many channels and any length: a carry goes on tile by tile.
    pub(super) streams: Tile,
    /// For few channels and long sequences: carries go on group by group.
    pub(super) few: Tile,
    /// In the place of small and of wide ones, where clusters are.
    pub(super) small_by: Option<Tile>,
    pub(super) wide_by: Option<Tile>,
}

/// The tiles for a job. `eight`: small ones are cut by eight warps in the place of seven, [`Tile::even`].
///
/// Of 512 steps, tiles of 16 lanes by seven warps (56 steps) make ten, of which the last has 8 steps to do, and by eight (64) make
/// eight. A carry that goes on tile by tile (a group of 1) takes the warps' maps in the same order however many a tile has: wide
/// tiles of seven and of eight warps give the same bits. Small ones, whose maps are joined tile by tile, do not.
pub(super) fn table(job: Job, eight: bool) -> Table {
    let thin = job.parts < 3;
    let warps = if eight { 8 } else { 7 };
    let blocks = if thin { 3 } else { 2 };
    match (job.pass, job.elem) {
        (Pass::Forward, 4) => Table {
            small: tile([8, 7, 4, 4, 8, 4, 0], 0),
            wide: Some(tile([16, 8, 4, 4, 1, 3, 0], 0)),
            streams: tile([32, 7, 8, 2, 1, 3, 2], 0),
            few: tile([8, 7, 8, 4, 8, 2, 1], 0),
            small_by: None,
            wide_by: Some(by(2, tile([16, 8, 4, 4, 1, 3, 0], 0))),
        },
        (Pass::Forward, _) => Table {
            small: tile([8, warps, 4, 4, 8, 4, 0], 0),
            wide: Some(tile([32, 8, 4, 4, 1, 4, 0], 0)),
            streams: tile([16, 15, 8, 4, 1, 1, 2], 0),
            few: tile([8, 7, 8, 4, 8, 2, 2], 0),
            small_by: eight.then_some(by(2, tile([8, 16, 4, 4, 8, 2, 0], 0))),
            wide_by: None,
        },
        (Pass::Backward, 4) => Table {
            small: tile([8, 7, 4, 4, 8, 2, 0], 0),
            // By eight warps the compiler spills 92 words of a minLSTM.
            wide: Some(tile([16, if thin { 8 } else { 7 }, 4, 4, 1, 2, 0], 0)),
            streams: tile([32, 15, 4, 2, 1, 1, 2], 0),
            few: tile([8, 7, 4, 4, 8, 2, 1], 0),
            small_by: None,
            // A minGRU, which reads both parts back; a scan reads one of its two.
            wide_by: Some(if thin && job.part_bytes == 8 {
                by(4, tile([8, 8, 4, 4, 8, 2, 0], 0))
            } else {
                by(8, tile([8, 4, 4, 4, 8, 6, 0], 2))
            }),
        },
        (Pass::Backward, _) => Table {
            small: tile([8, warps, 4, 4, 8, blocks, 0], 1),
            wide: Some(tile([32, 8, 4, 4, 1, blocks, 0], 1)),
            streams: tile([16, 15, 4, 4, 1, 1, 2], 0),
            few: tile([8, 7, 4, 4, 8, 2, 2], 0),
            small_by: (eight && thin).then_some(by(2, tile([8, 16, 4, 4, 8, 2, 0], 2))),
            wide_by: None,
        },
    }
}

impl Table {
    /// Every tile that could be chosen.
    #[cfg(test)]
    pub(super) fn all(&self, job: Job) -> Vec<Tile> {
        if !job.aligned {
            return vec![ANY];
        }
        let mut tiles = vec![ANY, self.small];
        if job.all {
            tiles.extend(self.wide);
            tiles.extend([self.streams, self.few]);
            tiles.extend(self.small_by);
            tiles.extend(self.wide_by);
        }
        tiles
    }
}
