//! One piece of memory for all buffers of a plan: buffers that are never alive together share bytes.

use super::place::{Place, Space};

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

/// Gives every buffer its place; returns the size of the arena. `launches`: what each reads and writes, in order; `keep`: buffers that are
/// read after the last one.
pub(super) fn arrange(buffers: &mut [Buffer], launches: &[Vec<Place>], keep: &[usize]) -> usize {
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; buffers.len()];
    for (at, places) in launches.iter().enumerate() {
        for place in places {
            if let Space::Buffer(i) = place.space {
                let span = spans[i].get_or_insert((at, at));
                span.1 = at;
            }
        }
    }
    for i in keep {
        if let Some(span) = &mut spans[*i] {
            span.1 = launches.len();
        }
    }
    // Large ones first: each goes to the lowest gap between those that live at the same time.
    let mut order: Vec<usize> = (0..buffers.len()).filter(|i| spans[*i].is_some()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(buffers[*i].bytes), *i));
    let mut placed: Vec<usize> = vec![];
    let mut end = 0;
    for i in order {
        let Some((begin, last)) = spans[i] else {
            continue;
        };
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|j| spans[**j].is_some_and(|(b, l)| b <= last && begin <= l))
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
