//! The memory of the slow twins of launches: plain float64 loops over an arena. What a launch means is said in its file of `op`.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::{bf16, f16};
use minrnn_kernels::loss_scale::{LossScale, WORDS};
use minrnn_kernels::{Elem, Size};

use super::arena::Buffer;
use super::layout::Layout;
use super::place::{Mask, Place, Space};
use crate::optim::Rule;
use crate::run::dropout_mask;

/// Host memory that launches run in.
#[derive(Debug)]
pub struct Host {
    pub(super) layout: Layout,
    compute: Elem,
    buffers: Vec<Buffer>,
    arena: Vec<u8>,
    spaces: BTreeMap<Space, Vec<u8>>,
    /// Seed and step of dropout.
    pub seed_and_step: (u64, u64),
    /// The optimizer's rule.
    pub(super) rule: Arc<dyn Rule>,
    /// Learning rate and number of the update, from 1.
    pub rate: (f64, u64),
}

impl Host {
    /// Memory of an arena of so many bytes and what lies beside it; parameters zero, buffers poisoned. `compute`: the compute type.
    pub(super) fn new(
        layout: Layout,
        compute: Elem,
        (buffers, arena): (Vec<Buffer>, usize),
        rule: Arc<dyn Rule>,
    ) -> Self {
        let mut spaces = BTreeMap::new();
        let total = layout.total;
        let slots = (0..rule.room().slots).map(Space::Slot);
        for space in [Space::Params, Space::Grads].into_iter().chain(slots) {
            spaces.insert(space, vec![0; total * 4]);
        }
        spaces.insert(Space::Shadow, vec![0; total * 2]);
        spaces.insert(Space::Loss, vec![0xFF; 4]);
        spaces.insert(Space::Correct, vec![0xFF; 4]);
        spaces.insert(Space::Report, vec![0; 8]);
        let mut host = Self {
            arena: vec![0xFF; arena],
            layout,
            compute,
            buffers,
            spaces,
            seed_and_step: (0, 0),
            rule,
            rate: (0.0, 1),
        };
        host.set_loss_scale(LossScale::default());
        host
    }

    /// Puts a factor on the loss in the place of 1.
    pub fn set_loss_scale(&mut self, scale: LossScale) {
        self.set_f32(Space::Scale, &scale.words());
    }

    /// The words of the factor on the loss.
    pub(super) fn loss_scale(&self) -> Vec<f32> {
        let words = self.read(Place::new(Space::Scale, WORDS, Elem::F32));
        words.into_iter().map(|w| w as f32).collect()
    }

    /// Puts values into a space.
    pub fn set_f32(&mut self, space: Space, values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.spaces.insert(space, bytes);
    }

    /// Puts numbers into a space.
    pub fn set_u32(&mut self, space: Space, values: &[u32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.spaces.insert(space, bytes);
    }

    /// Makes the copy of the parameters in the compute type.
    pub fn refresh_shadow(&mut self) {
        let total = self.layout.total;
        let from = self.read(Place::new(Space::Params, total, Elem::F32));
        let elem = self.compute;
        if elem != Elem::F32 {
            self.write(Place::new(Space::Shadow, total, elem), &from);
        }
    }

    fn bytes(&self, place: Place) -> &[u8] {
        let (from, len) = (
            place.offset * place.elem.size(),
            place.len * place.elem.size(),
        );
        match place.space {
            Space::Buffer(i) => {
                let buffer = self.buffers[i];
                assert!(from + len <= buffer.bytes, "{place:?} beyond its buffer");
                &self.arena[buffer.offset + from..][..len]
            }
            space => &self.spaces[&space][from..][..len],
        }
    }

    /// The values of a place.
    pub fn read(&self, place: Place) -> Vec<f64> {
        let bytes = self.bytes(place);
        match place.elem {
            Elem::F32 => bytes
                .chunks_exact(4)
                .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                .collect(),
            Elem::Bf16 => bytes
                .chunks_exact(2)
                .map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f64())
                .collect(),
            Elem::F16 => bytes
                .chunks_exact(2)
                .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f64())
                .collect(),
            Elem::U32 => self.read_u32(place).into_iter().map(f64::from).collect(),
        }
    }

    /// The numbers of a place.
    pub fn read_u32(&self, place: Place) -> Vec<u32> {
        let bytes = self.bytes(place).chunks_exact(4);
        bytes
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    /// The values of a place, if there is one.
    pub(super) fn opt(&self, place: Option<Place>) -> Option<Vec<f64>> {
        place.map(|p| self.read(p))
    }

    /// Writes values, rounded to the place's type.
    pub fn write(&mut self, place: Place, values: &[f64]) {
        assert_eq!(values.len(), place.len, "{place:?}");
        let bytes: Vec<u8> = match place.elem {
            Elem::F32 => values
                .iter()
                .flat_map(|v| (*v as f32).to_le_bytes())
                .collect(),
            Elem::Bf16 => values
                .iter()
                .flat_map(|v| bf16::from_f32(*v as f32).to_le_bytes())
                .collect(),
            Elem::F16 => values
                .iter()
                .flat_map(|v| f16::from_f32(*v as f32).to_le_bytes())
                .collect(),
            Elem::U32 => values
                .iter()
                .flat_map(|v| (*v as u32).to_le_bytes())
                .collect(),
        };
        let from = place.offset * place.elem.size();
        let to = match place.space {
            Space::Buffer(i) => &mut self.arena[self.buffers[i].offset + from..],
            space => &mut self.spaces.get_mut(&space).expect("spaces are made first")[from..],
        };
        to[..bytes.len()].copy_from_slice(&bytes);
    }

    /// Writes values, or adds them to what is there.
    pub(super) fn put(&mut self, place: Place, values: &[f64], add: bool) {
        if !add {
            return self.write(place, values);
        }
        let old = self.read(place);
        let sum: Vec<f64> = old.iter().zip(values).map(|(a, b)| a + b).collect();
        self.write(place, &sum);
    }

    pub(super) fn write_opt(&mut self, place: Option<Place>, values: &[f64]) {
        if let Some(place) = place {
            self.write(place, values);
        }
    }

    /// The beginning of a recurrence, or zeros.
    pub(super) fn begin(&self, h0: Option<Place>, size: Size) -> Vec<f64> {
        self.opt(h0).unwrap_or_else(|| vec![0.0; size.b * size.d])
    }

    /// Norm of the gradient and the factor from clipping.
    #[cfg(test)]
    pub(super) fn report(&self) -> (f64, f64) {
        let report = self.read(Place::new(Space::Report, 2, Elem::F32));
        (report[0], report[1])
    }

    /// Values with a dropout on them.
    pub(super) fn masked(&self, mask: Option<Mask>, mut values: Vec<f64>) -> Vec<f64> {
        if let Some(mask) = mask {
            let (seed, step) = self.seed_and_step;
            let factors = dropout_mask(seed, step, mask.site as usize, mask.p, values.len());
            values
                .iter_mut()
                .zip(factors)
                .for_each(|(v, f)| *v *= f64::from(f));
        }
        values
    }
}
