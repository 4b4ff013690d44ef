//! Where the places of a plan lie: f32 values in two vectors, numbers beside them.

use std::sync::Arc;

use minrnn_kernels::Elem;

use crate::tape::{Layout, Place, Plan, Space};

/// Elements of a line of the cache; every space begins at one.
const LINE: usize = 16;
/// Places that a launch may have.
const PLACES: usize = 20;

/// Where the inputs and buffers of a plan begin, behind what all plans share.
#[derive(Debug)]
pub(super) struct Addresses {
    inputs: Vec<(Space, usize)>,
    buffers: Vec<usize>,
    end: usize,
}

/// f32 values that begin at a line of the cache.
#[derive(Debug, Default)]
struct Floats {
    values: Vec<f32>,
    begin: usize,
}

impl Floats {
    /// So many zeros.
    fn new(len: usize) -> Self {
        let values = vec![0.0; len + LINE];
        let begin = values.as_ptr().align_offset(LINE * size_of::<f32>());
        Self {
            begin: begin.min(LINE),
            values,
        }
    }

    fn len(&self) -> usize {
        self.values.len().saturating_sub(LINE)
    }
}

/// Parameters and slots, which stay; and gradients with the inputs and the arena of one plan at a time, which are made anew
/// where there is no room or [`Memory::release`] gave them back.
#[derive(Debug)]
pub struct Memory {
    floats: [Floats; 2],
    /// Spaces that all plans have: which of the two, and the first element.
    flats: Vec<(Space, usize, usize)>,
    /// End of the gradients.
    shared: usize,
    addresses: Arc<Addresses>,
}

/// What stays, and what is made anew.
const KEPT: usize = 0;
const ARENA: usize = 1;

/// Elements of a launch's place: which of the two vectors, from where to where, and whose they are.
type Span = [usize; 4];

impl Memory {
    /// For the parameters of a layout and so many slots of an optimizer's rule: zeros.
    pub(super) fn new(layout: &Layout, slots: usize) -> Self {
        let total = layout.total.next_multiple_of(LINE);
        let mut flats = vec![(Space::Grads, ARENA, 0)];
        let mut end = 0;
        let slots = (0..slots).map(Space::Slot);
        for space in [Space::Params].into_iter().chain(slots) {
            flats.push((space, KEPT, end));
            end += total;
        }
        for space in [Space::Loss, Space::Report] {
            flats.push((space, KEPT, end));
            end += LINE;
        }
        Self {
            floats: [Floats::new(end), Floats::default()],
            flats,
            shared: total,
            addresses: Arc::new(Addresses {
                inputs: vec![],
                buffers: vec![],
                end: total,
            }),
        }
    }

    /// Where the places of a plan will lie.
    pub(super) fn addresses(&self, plan: &Plan) -> Addresses {
        let mut sizes: Vec<(Space, usize)> = vec![];
        for place in plan.launches.iter().flat_map(|l| l.places()) {
            let input = matches!(
                place.space,
                Space::Features
                    | Space::TargetValues
                    | Space::Weights
                    | Space::Carried
                    | Space::Next
            );
            let size = place.offset + place.len;
            match sizes.iter_mut().find(|(s, _)| *s == place.space) {
                Some((_, known)) => *known = size.max(*known),
                None if input => sizes.push((place.space, size)),
                None => {}
            }
        }
        let (mut inputs, mut end) = (vec![], self.shared);
        for (space, size) in sizes {
            inputs.push((space, end));
            end += size.next_multiple_of(LINE);
        }
        let element = size_of::<f32>();
        Addresses {
            inputs,
            buffers: (plan.buffers.iter())
                .map(|b| end + b.offset / element)
                .collect(),
            end: end + plan.arena.div_ceil(element),
        }
    }

    /// Takes over the addresses of a plan: gradients, and what other plans left in their inputs and buffers, may be lost.
    pub(super) fn take(&mut self, addresses: &Arc<Addresses>) {
        self.addresses = addresses.clone();
        if self.floats[ARENA].len() < addresses.end {
            // First the old memory, then the new.
            self.release();
            self.floats[ARENA] = Floats::new(addresses.end);
        }
    }

    /// Gives back all but parameters and slots.
    pub(super) fn release(&mut self) {
        self.floats[ARENA] = Floats::default();
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let all = self.floats.iter().map(|f| f.values.len());
        all.sum::<usize>() * size_of::<f32>()
    }

    /// Whether the plan has this input.
    pub(super) fn has(&self, space: Space) -> bool {
        self.addresses.inputs.iter().any(|(s, _)| *s == space)
    }

    /// Where a place lies: which vector, first and last element.
    fn span(&self, place: Place) -> [usize; 3] {
        assert_eq!(place.elem, Elem::F32, "{place:?}: the CPU computes in f32");
        let inputs = self.addresses.inputs.iter();
        let inputs = inputs.map(|(space, at)| (*space, ARENA, *at));
        let (which, base) = match place.space {
            Space::Buffer(i) => (ARENA, self.addresses.buffers[i]),
            space => {
                let mut known = self.flats.iter().copied().chain(inputs);
                let known = known.find(|(s, ..)| *s == space);
                let (_, which, at) = known.expect("a place of the plan or of all plans");
                (which, at)
            }
        };
        let from = self.floats[which].begin + base + place.offset;
        [which, from, from + place.len]
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
        let mut spans: [Span; PLACES] = [[usize::MAX; 4]; PLACES];
        let mut count = 0;
        for (who, place) in reads.into_iter().chain(writes).enumerate() {
            if let Some(place) = place.filter(|p| p.len > 0) {
                let [which, from, to] = self.span(place);
                spans[count] = [which, from, to, who];
                count += 1;
            }
        }
        spans[..count].sort_unstable();
        let mut read: [&[f32]; R] = [&[]; R];
        let mut written: [&mut [f32]; W] = [(); W].map(|()| &mut [][..]);
        let mut spans = &spans[..count];
        for (which, floats) in self.floats.iter_mut().enumerate() {
            let mut rest = Rest {
                values: &mut floats.values,
                at: 0,
            };
            let own = spans.iter().take_while(|s| s[0] == which).count();
            let (mut own, behind) = spans.split_at(own);
            spans = behind;
            while let Some([_, from, to, who]) = own.first() {
                if *who >= R {
                    written[who - R] = rest.take(*from, *to);
                    own = &own[1..];
                    continue;
                }
                // Reads may share memory.
                let (mut next, mut end) = (1, *to);
                while next < own.len() && own[next][3] < R && own[next][1] < end {
                    end = end.max(own[next][2]);
                    next += 1;
                }
                let part: &[f32] = rest.take(*from, end);
                for [_, begin, end, who] in &own[..next] {
                    read[*who] = &part[begin - from..end - from];
                }
                own = &own[next..];
            }
        }
        (read, written)
    }

    /// Values of a place.
    pub fn read(&self, place: Place) -> &[f32] {
        let [which, from, to] = self.span(place);
        &self.floats[which].values[from..to]
    }

    /// Puts values there.
    pub fn write(&mut self, place: Place, values: &[f32]) {
        let [which, from, to] = self.span(place);
        self.floats[which].values[from..to].copy_from_slice(values);
    }

    /// Fills what is made anew with NaN, for tests.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        self.floats[ARENA].values.fill(f32::NAN);
    }
}

/// What is left of a vector behind the parts that were taken.
struct Rest<'a> {
    values: &'a mut [f32],
    at: usize,
}

impl<'a> Rest<'a> {
    fn take(&mut self, from: usize, to: usize) -> &'a mut [f32] {
        assert!(
            from >= self.at,
            "a launch writes what it also has elsewhere"
        );
        let (_, behind) = std::mem::take(&mut self.values).split_at_mut(from - self.at);
        let (part, behind) = behind.split_at_mut(to - from);
        (self.values, self.at) = (behind, to);
        part
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
