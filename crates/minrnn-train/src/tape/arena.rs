//! One piece of memory for all buffers of a plan: buffers that are never alive together share bytes.

use std::collections::BTreeMap;

use super::place::Place;

/// Buffers begin at multiples of this many bytes.
const ALIGN: usize = 256;

/// A buffer: its size, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Bytes.
    pub bytes: usize,
    /// First byte in the arena.
    pub offset: usize,
}

/// When a buffer holds something that is still read: from which launch to which, in order; two spans where it is written anew between.
pub(super) type Life = Vec<(usize, usize)>;

/// The lives of all buffers. `launches`: what each reads and writes, in order; `keep`: buffers that are read after the last one; `again`: those
/// that are written anew, and by which launch.
pub(super) fn lives<'a>(
    buffers: usize,
    launches: impl ExactSizeIterator<Item = &'a [Place]>,
    keep: &[usize],
    again: &BTreeMap<usize, usize>,
) -> Vec<Life> {
    let mut lives: Vec<Life> = vec![vec![]; buffers];
    let end = launches.len();
    for (at, places) in launches.enumerate() {
        for i in places.iter().filter_map(|place| place.buffer()) {
            match lives[i].last_mut() {
                Some(span) if span.1 == at || again.get(&i) != Some(&at) => span.1 = at,
                _ => lives[i].push((at, at)),
            }
        }
    }
    for i in keep {
        if let Some(span) = lives[*i].last_mut() {
            span.1 = end;
        }
    }
    lives
}

/// Whether two buffers ever hold something at the same time.
fn meet(one: &Life, other: &Life) -> bool {
    let mut pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    pairs.any(|(a, b)| a.0 <= b.1 && b.0 <= a.1)
}

/// Gives every buffer its place by its life; returns the size of the arena.
pub(super) fn arrange(buffers: &mut [Buffer], lives: &[Life]) -> usize {
    // Large ones first: each goes to the lowest gap between those that live at the same time.
    let mut order: Vec<usize> = (0..buffers.len())
        .filter(|i| !lives[*i].is_empty())
        .collect();
    order.sort_by_key(|i| (std::cmp::Reverse(buffers[*i].bytes), *i));
    let mut placed: Vec<usize> = vec![];
    let mut end = 0;
    for i in order {
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|j| meet(&lives[**j], &lives[i]))
            .map(|j| (buffers[*j].offset, buffers[*j].offset + buffers[*j].bytes))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (from, to) in taken {
            if offset + buffers[i].bytes <= from {
                break;
            }
            offset = offset.max(to.next_multiple_of(ALIGN));
        }
        buffers[i].offset = offset;
        end = end.max(offset + buffers[i].bytes);
        placed.push(i);
    }
    end
}
