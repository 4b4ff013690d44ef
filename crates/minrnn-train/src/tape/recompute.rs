//! Values that the backward pass computes again, instead of finding them kept.
//!
//! A value that the backward pass reads lives through everything between. Where the launch that makes it costs little and gives the same bits each
//! time ([`Kernel::again`](super::launch::Kernel::again)), it may run once more, right before the first launch of the backward pass that touches
//! its value: the memory is free in between. It is the same launch over the same places, with what it reads unchanged, so nothing that is
//! computed changes. Dropout draws from the step's number and its site, thus the same mask.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::arena::{Buffer, Life, lives};
use super::launch::{Launch, Places};
use super::options::Recompute;
use super::place::{Place, Space};

/// Bytes of a step from which on values are computed again: a smaller one has room wherever such steps run, and nothing to gain by it.
const LARGE: usize = 4 << 30;

/// Smaller values than this part of the step stay.
const PART: usize = 64;

/// A value is computed again only where the step takes less by this share of the bytes that this reads and writes.
const WORTH: usize = 4;

/// The launches of a step before any is repeated.
pub(super) struct Step<'a> {
    places: Vec<Vec<Place>>,
    writes: Vec<Vec<Place>>,
    buffers: &'a [Buffer],
    keep: &'a [usize],
    backward: usize,
    /// Launches that can be repeated, by the buffer that each writes.
    makers: BTreeMap<usize, Maker>,
}

/// Who touches what in a step.
struct Use {
    /// Spaces that something before the optimizer writes.
    changed: BTreeSet<Space>,
    /// Launches of the forward pass that write a buffer.
    writers: Vec<usize>,
    /// Whether the backward pass touches it.
    later: Vec<bool>,
}

/// A launch that can be repeated.
struct Maker {
    launch: usize,
    /// Buffers that it reads.
    inputs: Vec<usize>,
    /// Bytes of all that it reads and writes.
    moved: usize,
}

/// An order of launches, by their numbers in the step.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// What runs; numbers that stand here twice are repeated.
    pub(super) launches: Vec<usize>,
    /// Buffers that are written anew, and where in `launches`.
    again: BTreeMap<usize, usize>,
}

impl<'a> Step<'a> {
    /// Of all launches, with where the backward pass and the optimizer begin, and the buffers that are read after the last one.
    pub(super) fn new(
        launches: &[Launch],
        buffers: &'a [Buffer],
        (backward, optimizer): (usize, usize),
        keep: &'a [usize],
    ) -> Self {
        let all: Vec<Places> = launches.iter().map(|l| l.kernel().places()).collect();
        let mut step = Self {
            places: launches.iter().map(Launch::places).collect(),
            writes: all.iter().map(|p| p.writes.clone()).collect(),
            buffers,
            keep,
            backward,
            makers: BTreeMap::new(),
        };
        let before_update = step.writes[..optimizer].iter().flatten();
        let mut use_of = Use {
            changed: before_update.map(|p| p.space).collect(),
            writers: vec![0; buffers.len()],
            later: vec![false; buffers.len()],
        };
        for place in step.writes[..backward].iter().flatten() {
            place
                .buffer()
                .into_iter()
                .for_each(|b| use_of.writers[b] += 1);
        }
        for place in step.places[backward..optimizer].iter().flatten() {
            place
                .buffer()
                .into_iter()
                .for_each(|b| use_of.later[b] = true);
        }
        for (launch, places) in all.iter().enumerate().take(backward) {
            if launches[launch].kernel().again() {
                step.add_maker(launch, places, &use_of);
            }
        }
        step
    }

    /// Adds a launch of the forward pass that writes one whole buffer, alone, of buffers and of what nothing changes.
    fn add_maker(&mut self, launch: usize, places: &Places, use_of: &Use) {
        let ([to], []) = (&places.writes[..], &places.scratch[..]) else {
            return;
        };
        let Some(buffer) = to.buffer().filter(|b| !self.keep.contains(b)) else {
            return;
        };
        let whole = to.offset == 0 && bytes(to) == self.buffers[buffer].bytes;
        let own = places.reads.iter().any(|p| p.space == to.space);
        let fixed = |p: &Place| p.buffer().is_some() || !use_of.changed.contains(&p.space);
        let once = use_of.writers[buffer] == 1 && use_of.later[buffer];
        if once && whole && !own && places.reads.iter().all(fixed) {
            let maker = Maker {
                launch,
                inputs: places.reads.iter().filter_map(|p| p.buffer()).collect(),
                moved: places.reads.iter().map(bytes).sum::<usize>() + bytes(to),
            };
            self.makers.insert(buffer, maker);
        }
    }

    /// The order by a rule.
    pub(super) fn order(&self, rule: Recompute) -> Order {
        let kept = Order {
            launches: (0..self.places.len()).collect(),
            again: BTreeMap::new(),
        };
        match rule {
            Recompute::Nothing => kept,
            Recompute::All => {
                let (mut chosen, mut order) = (BTreeSet::new(), kept);
                for buffer in self.makers.keys() {
                    chosen.insert(*buffer);
                    match self.repeated(&chosen) {
                        Some(more) => order = more,
                        None => drop(chosen.remove(buffer)),
                    }
                }
                order
            }
            Recompute::Large if self.peak(&kept).0 < LARGE => kept,
            Recompute::Large => self.smaller(kept),
        }
    }

    /// Repeats what makes the most room at the fullest launch for the bytes that it moves, until nothing helps there; then undoes what was not
    /// worth it.
    fn smaller(&self, kept: Order) -> Order {
        let (mut chosen, mut refused) = (BTreeSet::new(), BTreeSet::new());
        let mut order = kept;
        let (mut peak, mut at) = self.peak(&order);
        while let Some(buffer) =
            self.best(&order, at, |b| chosen.contains(b) || refused.contains(b))
        {
            chosen.insert(buffer);
            let more = self.repeated(&chosen);
            match more.map(|more| (self.peak(&more), more)) {
                Some(((lower, where_to), more)) if lower <= peak => {
                    (peak, at, order) = (lower, where_to, more);
                    refused.clear();
                }
                _ => {
                    chosen.remove(&buffer);
                    refused.insert(buffer);
                }
            }
        }
        let mut costly: Vec<usize> = chosen.iter().copied().collect();
        costly.sort_by_key(|b| Reverse(self.cost(*b)));
        for buffer in costly {
            chosen.remove(&buffer);
            let less = self.repeated(&chosen);
            match less.map(|less| (self.peak(&less).0, less)) {
                Some((higher, less)) if higher < peak + self.makers[&buffer].moved / WORTH => {
                    (peak, order) = (higher, less);
                }
                _ => drop(chosen.insert(buffer)),
            }
        }
        order
    }

    /// Of the buffers that lie idle at a place of an order between the passes, the one that costs the least.
    fn best(&self, order: &Order, at: usize, not: impl Fn(&usize) -> bool) -> Option<usize> {
        // The last time that the forward pass touches each, and the first that the backward pass does.
        let (mut last, mut first) = (vec![None; self.buffers.len()], BTreeMap::new());
        for (place, i) in order.launches.iter().enumerate() {
            for buffer in self.places[*i].iter().filter_map(|p| p.buffer()) {
                if place < self.backward {
                    last[buffer] = Some(place);
                } else {
                    first.entry(buffer).or_insert(place);
                }
            }
        }
        let idle = |buffer: &usize| {
            let before = last[*buffer].is_some_and(|last| last < at);
            before && first.get(buffer).is_some_and(|first| at < *first)
        };
        let large = |b: &usize| self.buffers[*b].bytes * PART >= LARGE;
        let free = (self.makers.keys().copied()).filter(|b| large(b) && !not(b) && idle(b));
        free.min_by_key(|b| (self.cost(*b), *b))
    }

    /// Bytes that are moved for a thousand bytes of room.
    fn cost(&self, buffer: usize) -> usize {
        self.makers[&buffer].moved.saturating_mul(1000) / self.buffers[buffer].bytes
    }

    /// The order with these buffers written anew; `None` where one is made of something that is no longer there.
    fn repeated(&self, chosen: &BTreeSet<usize>) -> Option<Order> {
        let mut order = Order {
            launches: (0..self.backward).collect(),
            again: BTreeMap::new(),
        };
        let mut changed = BTreeSet::new();
        for (i, places) in self.places.iter().enumerate().skip(self.backward) {
            for buffer in places.iter().filter_map(|p| p.buffer()) {
                self.repeat(buffer, chosen, &changed, &mut order)?;
            }
            order.launches.push(i);
            changed.extend(self.writes[i].iter().filter_map(|p| p.buffer()));
        }
        Some(order)
    }

    /// Writes a buffer anew, if it is to be and was not yet, after what it is made of.
    fn repeat(
        &self,
        buffer: usize,
        chosen: &BTreeSet<usize>,
        changed: &BTreeSet<usize>,
        order: &mut Order,
    ) -> Option<()> {
        if !chosen.contains(&buffer) || order.again.contains_key(&buffer) {
            return Some(());
        }
        let maker = self.makers.get(&buffer)?;
        for input in &maker.inputs {
            self.repeat(*input, chosen, changed, order)?;
            if changed.contains(input) {
                return None;
            }
        }
        order.again.insert(buffer, order.launches.len());
        order.launches.push(maker.launch);
        Some(())
    }

    /// When the buffers hold something in an order.
    pub(super) fn lives(&self, order: &Order) -> Vec<Life> {
        let places = order.launches.iter().map(|i| &self.places[*i][..]);
        lives(self.buffers.len(), places, self.keep, &order.again)
    }

    /// The most bytes that buffers hold at once in an order, and where that is first.
    fn peak(&self, order: &Order) -> (usize, usize) {
        let end = order.launches.len();
        let (mut begins, mut ends) = (vec![0; end + 1], vec![0; end + 2]);
        for (life, buffer) in self.lives(order).iter().zip(self.buffers) {
            for (first, last) in life {
                begins[*first] += buffer.bytes;
                ends[last + 1] += buffer.bytes;
            }
        }
        let (mut live, mut peak) = (0, (0, 0));
        for at in 0..=end {
            live = live + begins[at] - ends[at];
            if live > peak.0 {
                peak = (live, at);
            }
        }
        peak
    }
}

fn bytes(place: &Place) -> usize {
    place.len * place.elem.size()
}
