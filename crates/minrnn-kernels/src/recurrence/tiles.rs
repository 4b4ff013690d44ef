//! Which tile a recurrence takes on a GPU: how `tile.cuh` is cut for a shape, a type and a device.
//!
//! Pure arithmetic, from measurements on an H100 and an H200; every tile computes the same function.

use super::Size;
pub(crate) use super::shape::{Job, Limits, Pass, Tile};
use super::tables::{ANY, Table, table};

/// Microseconds from a carry to the next, and bytes that go through memory in one.
const HOP: f64 = 1.0;
const BYTES: f64 = 3.0e6;
/// From so many elements on a launch is long, or at least not small.
const LONG: usize = 32 << 20;
const MIDDLE: usize = 8 << 20;

impl Tile {
    /// The tile for a job.
    pub(crate) fn choose(job: Job, limits: Limits) -> Self {
        if !job.aligned {
            return ANY;
        }
        let eight = table(job, true).small.even(job.size, limits);
        Self::choose_of(table(job, eight), job, limits)
    }

    fn choose_of(table: Table, job: Job, limits: Limits) -> Self {
        let elements = job.size.elements();
        // A chain of carries has to keep up with the memory.
        let tensors = if job.pass == Pass::Forward { 3 } else { 6 };
        let time = (tensors * job.elem * elements) as f64 / BYTES;
        let keeps_up = |t: &Self| t.tiles(job.size).div_ceil(t.group) as f64 * HOP < 0.8 * time;
        let fits = |t: &Self| t.shared(job) <= limits.shared_block;
        let usable = |t: &Self| job.all && fits(t) && keeps_up(t);
        let long = elements >= LONG;
        let wide = table.wide.filter(|t| elements >= MIDDLE && usable(t));
        let by = |t: Option<Self>| {
            t.filter(|t| limits.clusters && job.all && fits(t) && t.is_even(job.size.t))
        };
        Some(table.streams)
            .filter(|t| long && usable(t))
            .or(wide
                .filter(|_| !long)
                .map(|t| by(table.wide_by).unwrap_or(t)))
            .or(Some(table.few).filter(|t| long && usable(t)))
            .or_else(|| by(table.small_by))
            .unwrap_or(table.small)
    }

    /// Every tile that could serve a job, whatever its size.
    #[cfg(test)]
    pub(super) fn all(job: Job, clusters: bool) -> Vec<Self> {
        let mut all = table(job, false).all(job);
        for tile in table(job, true).all(job) {
            if !all.contains(&tile) {
                all.push(tile);
            }
        }
        all.retain(|t| t.reaches(job.size.t) && (clusters || t.cluster == 1));
        all
    }
}

/// Words of scratch that are enough for every pass, type and device.
pub(crate) fn scratch_len(size: Size) -> usize {
    let mut most = ANY.scratch(size);
    for (pass, elem) in [
        (Pass::Forward, 4),
        (Pass::Forward, 2),
        (Pass::Backward, 4),
        (Pass::Backward, 2),
    ] {
        for (parts, shared) in [(2, usize::MAX), (3, usize::MAX), (2, 0)] {
            let job = Job {
                pass,
                size,
                elem,
                parts,
                part_bytes: parts * elem,
                all: true,
                aligned: true,
            };
            let limits = Limits {
                multiprocessors: 1,
                shared,
                shared_block: shared,
                clusters: false,
            };
            most = most.max(Tile::choose(job, limits).scratch(size));
        }
    }
    most
}

#[cfg(test)]
#[path = "tiles_tests.rs"]
mod tests;
