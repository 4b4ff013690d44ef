//! Where the places of a plan lie: all f32 values in one vector, numbers beside it.

use std::sync::Arc;

use minrnn_kernels::Elem;

use crate::tape::{Layout, Place, Plan, Space};

/// Elements of a line of the cache; every space begins at one.
const LINE: usize = 16;
/// Places that a launch may have.
const PLACES: usize = 16;

/// Where the inputs and buffers of a plan begin, behind what all plans share.
#[derive(Debug)]
pub(super) struct Addresses {
    inputs: Vec<(Space, usize)>,
    buffers: Vec<usize>,
    end: usize,
}

/// Parameters, gradients and slots, and behind them the inputs and the arena of one plan at a time.
#[derive(Debug)]
pub struct Memory {
    floats: Vec<f32>,
    /// First element at a line of the cache.
    begin: usize,
    flats: Vec<(Space, usize)>,
    /// End of what all plans share.
    shared: usize,
    addresses: Arc<Addresses>,
}

impl Memory {
    /// For the parameters of a layout and so many slots of an optimizer's rule: zeros.
    pub(super) fn new(layout: &Layout, slots: usize) -> Self {
        let total = layout.total.next_multiple_of(LINE);
        let flats = [Space::Params, Space::Grads].into_iter();
        let flats = flats.chain((0..slots).map(Space::Slot)).enumerate();
        let mut flats: Vec<(Space, usize)> = flats.map(|(i, s)| (s, i * total)).collect();
        let mut shared = flats.len() * total;
        for space in [Space::Loss, Space::Report] {
            flats.push((space, shared));
            shared += LINE;
        }
        let mut memory = Self {
            floats: vec![],
            begin: 0,
            flats,
            shared,
            addresses: Arc::new(Addresses {
                inputs: vec![],
                buffers: vec![],
                end: shared,
            }),
        };
        memory.grow(shared);
        memory
    }

    /// Where the places of a plan will lie.
    pub(super) fn addresses(&self, plan: &Plan) -> Addresses {
        let mut inputs: Vec<(Space, usize)> = vec![];
        let mut end = self.shared;
        let places = plan.launches.iter().flat_map(|l| l.places());
        let mut sizes: Vec<(Space, usize)> = vec![];
        for place in places {
            if !matches!(
                place.space,
                Space::Features | Space::TargetValues | Space::Weights
            ) {
                continue;
            }
            let size = place.offset + place.len;
            match sizes.iter_mut().find(|(s, _)| *s == place.space) {
                Some((_, known)) => *known = size.max(*known),
                None => sizes.push((place.space, size)),
            }
        }
        for (space, size) in sizes {
            inputs.push((space, end));
            end += size.next_multiple_of(LINE);
        }
        let element = size_of::<f32>();
        Addresses {
            inputs,
            buffers: plan
                .buffers
                .iter()
                .map(|b| end + b.offset / element)
                .collect(),
            end: end + plan.arena.div_ceil(element),
        }
    }

    /// Takes over the addresses of a plan: what other plans left in their inputs and buffers is lost.
    pub(super) fn take(&mut self, addresses: &Arc<Addresses>) {
        self.addresses = addresses.clone();
        self.grow(addresses.end);
    }

    /// Room for so many elements; what all plans share stays.
    fn grow(&mut self, end: usize) {
        if self.begin + end <= self.floats.len() {
            return;
        }
        let mut floats = vec![0.0; end + LINE];
        let begin = floats.as_ptr().align_offset(LINE * size_of::<f32>());
        let begin = begin.min(LINE);
        if !self.floats.is_empty() {
            let kept = &self.floats[self.begin..][..self.shared];
            floats[begin..][..self.shared].copy_from_slice(kept);
        }
        (self.floats, self.begin) = (floats, begin);
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.floats.len() * size_of::<f32>()
    }

    /// Whether the plan has this input.
    pub(super) fn has(&self, space: Space) -> bool {
        self.addresses.inputs.iter().any(|(s, _)| *s == space)
    }

    /// First and last element of a place.
    fn span(&self, place: Place) -> [usize; 2] {
        assert_eq!(place.elem, Elem::F32, "{place:?}: the CPU computes in f32");
        let base = match place.space {
            Space::Buffer(i) => self.addresses.buffers[i],
            space => {
                let known = self.flats.iter().chain(&self.addresses.inputs);
                let mut known = known.filter(|(s, _)| *s == space);
                known.next().expect("a place of the plan or of all plans").1
            }
        };
        let from = self.begin + base + place.offset;
        [from, from + place.len]
    }

    /// What a launch reads and writes; an absent place is empty. Writes must not touch anything else.
    ///
    /// # Panics
    /// If they do.
    pub(in crate::tape) fn access<const R: usize, const W: usize>(
        &mut self,
        reads: [Option<Place>; R],
        writes: [Option<Place>; W],
    ) -> ([&[f32]; R], [&mut [f32]; W]) {
        let mut spans = [[usize::MAX, 0, 0]; PLACES];
        let mut count = 0;
        for (who, place) in reads.into_iter().chain(writes).enumerate() {
            if let Some(place) = place.filter(|p| p.len > 0) {
                let [from, to] = self.span(place);
                spans[count] = [from, to, who];
                count += 1;
            }
        }
        let spans = &mut spans[..count];
        spans.sort_unstable();
        let mut read: [&[f32]; R] = [&[]; R];
        let mut written: [&mut [f32]; W] = [(); W].map(|()| &mut [][..]);
        let (mut rest, mut at) = (self.floats.as_mut_slice(), 0);
        let mut i = 0;
        while i < count {
            let [from, mut to, who] = spans[i];
            assert!(from >= at, "a launch writes what it also has elsewhere");
            let mut next = i + 1;
            if who < R {
                // Reads may share memory.
                while next < count && spans[next][2] < R && spans[next][0] < to {
                    to = to.max(spans[next][1]);
                    next += 1;
                }
            }
            let (_, behind) = std::mem::take(&mut rest).split_at_mut(from - at);
            let (part, behind) = behind.split_at_mut(to - from);
            (rest, at) = (behind, to);
            if who < R {
                let part: &[f32] = part;
                for [begin, end, who] in &spans[i..next] {
                    read[*who] = &part[begin - from..end - from];
                }
            } else {
                written[who - R] = part;
            }
            i = next;
        }
        (read, written)
    }

    /// Values of a place.
    pub fn read(&self, place: Place) -> &[f32] {
        let [from, to] = self.span(place);
        &self.floats[from..to]
    }

    /// Puts values there.
    pub fn write(&mut self, place: Place, values: &[f32]) {
        let [from, to] = self.span(place);
        self.floats[from..to].copy_from_slice(values);
    }

    /// Fills what belongs to the plan with NaN, for tests.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        let from = self.begin + self.shared;
        self.floats[from..].fill(f32::NAN);
    }
}

/// Ids, targets, lengths, and how many targets were met.
#[derive(Debug, Default)]
pub(in crate::tape) struct Words {
    ids: Vec<u32>,
    targets: Vec<u32>,
    lens: Vec<u32>,
    pub(in crate::tape) correct: u32,
}

impl Words {
    /// Those of a place.
    pub(in crate::tape) fn of(&self, place: Place) -> &[u32] {
        match place.space {
            Space::Ids => &self.ids,
            Space::Targets => &self.targets,
            Space::Lens => &self.lens,
            space => unreachable!("{space:?} holds no numbers"),
        }
    }

    /// Puts them there.
    pub(super) fn set(&mut self, space: Space, values: &[u32]) {
        let to = match space {
            Space::Ids => &mut self.ids,
            Space::Targets => &mut self.targets,
            Space::Lens => &mut self.lens,
            space => unreachable!("{space:?} holds no numbers"),
        };
        to.clear();
        to.extend_from_slice(values);
    }
}
