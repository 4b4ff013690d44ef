//! The norm of the gradient, and the update of all parameters at once by the optimizer's rule.

use minrnn_kernels::Elem;
#[cfg(feature = "cuda")]
use minrnn_kernels::adamw;
#[cfg(feature = "cuda")]
use minrnn_kernels::loss_scale;
use minrnn_kernels::loss_scale::{LossScale, WORDS};

use crate::optim::{Leaf, Room, Step, Work};
use crate::tape::cpu::{self, Machine as Cpu, Trouble};
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::options::Target;
use crate::tape::place::{Place, Space};
use crate::tape::planner::{Planner, scratch};

/// Norm of all gradients, clip factor, and whether all is finite.
#[derive(Debug)]
struct GradNorm {
    grads: Place,
    /// What is looked at too, where there is one.
    loss: Option<Place>,
    /// What the gradients were multiplied by.
    scale: Option<Place>,
    scratch: Place,
}

/// Behind the norm: the factor on the loss moves, or the step is left out.
#[derive(Debug)]
struct MoveScale {
    scale: Place,
}

/// The rule on all parameters at once, with the copy of them in the compute type.
#[derive(Debug)]
struct Update {
    len: usize,
    slots: usize,
    /// For the matrices of hidden layers.
    scratch: Option<Place>,
}

/// Slots that a rule may have on the CPU.
const SLOTS: usize = 4;

const REPORT: Place = Place {
    space: Space::Report,
    offset: 0,
    len: 2,
    elem: Elem::F32,
};

/// Adds the update of the parameters.
pub(in crate::tape) fn update(p: &mut Planner<'_>, room: Room) {
    let len = p.layout.trained_len;
    if len == 0 {
        return;
    }
    let scratch = scratch!(p, |gpu| adamw::cuda::scratch_len(gpu, len));
    p.launch(GradNorm {
        grads: Place::new(Space::Grads, len, Elem::F32),
        loss: (p.options.target != Target::None).then(|| Place::new(Space::Loss, 1, Elem::F32)),
        scale: p.scale(),
        scratch,
    });
    if let Some(scale) = p.scale() {
        let scale = Place {
            len: WORDS,
            ..scale
        };
        p.launch(MoveScale { scale });
    }
    let groups = room.matrices.then(|| p.layout.hidden_groups());
    let scratch = groups.map(|_groups| scratch!(p, |_gpu| of_matrices(&_groups)));
    p.launch(Update {
        len,
        slots: room.slots,
        scratch,
    });
}

/// Scratch of the largest group of matrices: one is updated after the other.
#[cfg(feature = "cuda")]
fn of_matrices(groups: &[([usize; 2], Vec<usize>)]) -> usize {
    let each = groups
        .iter()
        .map(|(size, of)| minrnn_kernels::muon::cuda::scratch_len(*size, of.len()));
    each.max().unwrap_or(0)
}

impl Kernel for GradNorm {
    fn places(&self) -> Places {
        places!(self.grads, self.loss, self.scale => REPORT; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let norm = h.read(self.grads).iter().map(|g| g * g).sum::<f64>();
        let scale = h.opt(self.scale).map_or(1.0, |s| s[0]);
        let norm = norm.sqrt() / scale;
        let clip = h.rule.clip_norm().filter(|c| norm > *c);
        h.write(REPORT, &[norm, clip.map_or(1.0, |c| c / norm) / scale]);
    }
    fn cpu(&self, m: &mut Cpu) {
        let (loss, squares) = (m.loss(), m.squares());
        let norm = squares.iter().map(|s| s.1).sum::<f64>().sqrt();
        let limit = m.rule.clip_norm().filter(|limit| norm > *limit);
        let clip = limit.map_or(1.0, |limit| limit / norm);
        let first = |wrong: &dyn Fn(f64) -> bool| squares.iter().find(|s| wrong(s.1)).map(|s| s.0);
        let largest = f64::from(f32::MAX);
        m.trouble = match loss.is_finite() {
            false => Some(Trouble::Loss),
            true => first(&|s| !s.is_finite()).map(Trouble::Gradient),
        };
        if m.trouble.is_none() {
            m.trouble = first(&|s| s * clip * clip > largest).map(Trouble::Square);
        }
        m.report = cpu::Report {
            grad_norm: norm,
            clip,
        };
        m.memory.write(REPORT, &[norm as f32, clip as f32]);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let norm = adamw::cuda::Norm {
            grads: m.view(self.grads)?,
            segments: m.store.segments()?,
            loss: m.opt(self.loss)?,
            clip_norm: m.rule.clip_norm(),
            scratch: m.view(self.scratch)?,
            scale: m.opt(self.scale)?,
            report: m.store.view(Space::Report)?,
            latch: m.store.view(Space::Latch)?,
            control: m.store.view(Space::Control)?,
        };
        adamw::cuda::norm(&m.gpu, &norm)
    }
}

impl Kernel for MoveScale {
    fn places(&self) -> Places {
        places!(self.scale, REPORT => self.scale)
    }
    fn host(&self, h: &mut Host) {
        let mut words = h.loss_scale();
        let (now, finite) = (LossScale::of(&words), h.read(REPORT)[0].is_finite());
        let next = now.after(finite);
        // A twin knows no trouble: a step that is in some is left out as one whose factor moves.
        words[..2].copy_from_slice(&next.unwrap_or(now).words()[..2]);
        (words[3], words[4]) = (now.scale, f32::from(u8::from(!finite)));
        words[5] += words[4];
        h.set_f32(Space::Scale, &words);
    }
    fn cpu(&self, _: &mut Cpu) {
        // No plan in float16 runs on a CPU.
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let step = loss_scale::cuda::Step {
            block: m.view(self.scale)?,
            latch: m.store.view(Space::Latch)?,
            control: m.store.view(Space::Control)?,
            numbers: m.store.view(Space::Numbers)?,
        };
        loss_scale::cuda::step(&m.gpu, &step)
    }
}

impl Kernel for Update {
    fn places(&self) -> Places {
        let flat = |space| Place::new(space, self.len, Elem::F32);
        let mut places = places!(flat(Space::Grads), REPORT => flat(Space::Params));
        let slots = (0..self.slots).map(|i| flat(Space::Slot(i)));
        places.writes.extend(slots);
        places.scratch.extend(self.scratch);
        places
    }
    fn host(&self, h: &mut Host) {
        let (lr, number) = h.rate;
        let [norm, clip] = h.read(REPORT)[..] else {
            unreachable!("a report of two")
        };
        // What was left out by the factor on the loss.
        if !norm.is_finite() {
            return;
        }
        let (rule, layout) = (h.rule.clone(), h.layout.clone());
        for i in layout.trained {
            let place = |space| Place {
                space,
                offset: layout.offsets[i],
                len: layout.lens[i],
                elem: Elem::F32,
            };
            let mut values = h.read(place(Space::Params));
            let grad = h.read(place(Space::Grads));
            let kind = layout.kinds[i];
            let count = rule.slots(kind).len();
            let slots = (0..count).map(|s| h.read(place(Space::Slot(s))));
            let mut slots: Vec<Vec<f64>> = slots.collect();
            let leaf = Leaf {
                shape: &layout.shapes[i],
                kind,
                values: &mut values,
                grad: &grad,
                slots: slots.iter_mut().map(Vec::as_mut_slice).collect(),
            };
            rule.twin(Step { number, lr, clip }, leaf);
            h.write(place(Space::Params), &values);
            for (s, values) in slots.iter().enumerate() {
                h.write(place(Space::Slot(s)), values);
            }
        }
        h.refresh_shadow();
    }
    fn cpu(&self, m: &mut Cpu) {
        if m.trouble.is_some() {
            return;
        }
        let (lr, number) = m.rate;
        let clip = m.report.clip;
        for i in m.layout.trained.clone() {
            let leaf = |space| m.layout.leaf(space, i);
            let mut writes = [None; 1 + SLOTS];
            writes[0] = Some(leaf(Space::Params));
            let kind = m.layout.kinds[i];
            let count = m.rule.slots(kind).len();
            for (slot, to) in writes[1..][..count].iter_mut().enumerate() {
                *to = Some(leaf(Space::Slot(slot)));
            }
            let ([grad], [values, slots @ ..]) =
                (m.memory).access([Some(leaf(Space::Grads))], writes);
            let leaf = Leaf {
                shape: &m.layout.shapes[i],
                kind,
                values,
                grad,
                slots: slots.into_iter().take(count).collect(),
            };
            let mut work = Work {
                packed: &mut m.packed,
                values: &mut m.work,
            };
            m.rule.update(Step { number, lr, clip }, leaf, &mut work);
        }
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        m.rule.update_cuda(m, m.opt(self.scratch)?)
    }
}
