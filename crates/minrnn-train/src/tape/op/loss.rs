//! What the output is compared with: losses with their gradients, targets met.

use minrnn_kernels::{Elem, cross_entropy, mean_square};

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::options::Target;
use crate::tape::place::{Place, Space};
use crate::tape::planner::{Planner, SlotId, scratch};

/// Mean cross-entropy and its gradient, this one times a scale.
#[derive(Debug)]
struct CrossEntropy {
    logits: Place,
    targets: Place,
    weights: Option<Place>,
    loss: Place,
    dlogits: Option<Place>,
    scale: Option<Place>,
    scratch: Place,
    rows: usize,
    width: usize,
}

/// Targets that are the largest logit.
#[derive(Debug)]
struct Correct {
    logits: Place,
    targets: Place,
    weights: Option<Place>,
    out: Place,
    scratch: Place,
    rows: usize,
    width: usize,
}

/// Mean squared error and its gradient, this one times a scale; `dy` may be `y`.
#[derive(Debug)]
struct MeanSquare {
    y: Place,
    targets: Option<Place>,
    weights: Option<Place>,
    loss: Place,
    dy: Option<Place>,
    scale: Option<Place>,
    scratch: Place,
    rows: usize,
    width: usize,
}

/// The loss, with the gradient of the output in training.
pub(in crate::tape) fn loss(p: &mut Planner<'_>, output: SlotId) {
    let y = p.slots[output].place;
    let (rows, width) = p.matrix(output);
    let weights = Place::new(Space::Weights, rows, Elem::F32);
    let weights = p.options.weights.then_some(weights);
    match p.options.target {
        Target::None => {}
        Target::Classes => classes(p, output, weights),
        Target::Values | Target::Zeros => {
            let dy = in_place(p, output);
            let targets = Place::new(Space::TargetValues, rows * width, Elem::F32);
            let scratch = scratch!(p, |gpu| mean_square::cuda::scratch_len(gpu, rows, width));
            p.launch(MeanSquare {
                y,
                targets: (p.options.target == Target::Values).then_some(targets),
                weights,
                loss: Place::new(Space::Loss, 1, Elem::F32),
                dy,
                scale: p.scale(),
                scratch,
                rows,
                width,
            });
        }
    }
}

fn classes(p: &mut Planner<'_>, output: SlotId, weights: Option<Place>) {
    let logits = p.slots[output].place;
    let (rows, width) = p.matrix(output);
    let targets = Place::new(Space::Targets, rows, Elem::U32);
    if !p.options.train {
        let scratch = scratch!(p, |gpu| cross_entropy::cuda::scratch_len(gpu, rows, width));
        p.launch(Correct {
            logits,
            targets,
            weights,
            out: Place::new(Space::Correct, 1, Elem::U32),
            scratch,
            rows,
            width,
        });
    }
    let dlogits = gradient(p, output);
    let scratch = scratch!(p, |gpu| cross_entropy::cuda::scratch_len(gpu, rows, width));
    p.launch(CrossEntropy {
        logits,
        targets,
        weights,
        loss: Place::new(Space::Loss, 1, Elem::F32),
        dlogits,
        scale: p.scale(),
        scratch,
        rows,
        width,
    });
}

/// In training: where the gradient of the output goes.
fn gradient(p: &mut Planner<'_>, output: SlotId) -> Option<Place> {
    p.options.train.then(|| {
        let place = p.fresh(output);
        p.own(output, place);
        place
    })
}

/// The same in the memory of the output, where nothing else reads that.
fn in_place(p: &mut Planner<'_>, output: SlotId) -> Option<Place> {
    let slot = p.slots[output];
    let own = slot.place.buffer().is_some() && slot.place.elem == slot.grad_elem;
    if !p.options.train || !own || slot.readers > 0 || slot.kept {
        return gradient(p, output);
    }
    p.own(output, slot.place);
    Some(slot.place)
}

/// What the gradient of the loss is multiplied by.
fn factor(h: &Host, scale: Option<Place>) -> f64 {
    h.opt(scale).map_or(1.0, |s| s[0])
}

/// The weights of the targets, or ones.
fn weights(h: &Host, weights: Option<Place>, rows: usize) -> Vec<f64> {
    h.opt(weights).unwrap_or_else(|| vec![1.0; rows])
}

impl Kernel for CrossEntropy {
    fn places(&self) -> Places {
        places!(self.logits, self.targets, self.weights, self.scale => self.loss, self.dlogits; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let (y, t) = (h.read(self.logits), h.read_u32(self.targets));
        let w = weights(h, self.weights, self.rows);
        h.write(self.loss, &[cross_entropy::slow::cross_entropy(&y, &t, &w)]);
        if let Some(to) = self.dlogits {
            let (d, _) = cross_entropy::slow::cross_entropy_grad(&y, &t, &w, factor(h, self.scale));
            h.write(to, &d);
        }
    }
    fn cpu(&self, m: &mut Cpu) {
        m.prepare(0, self.rows);
        let m = m.parts();
        let reads = [Some(self.logits), self.weights];
        let ([logits, weights], [loss, dlogits]) =
            m.memory.access(reads, [Some(self.loss), self.dlogits]);
        let step = cross_entropy::cpu::Step {
            logits,
            targets: m.words.of(self.targets),
            weights: match self.weights {
                Some(_) => weights,
                None => &m.ones[..self.rows],
            },
            dlogits,
            width: self.width,
        };
        loss[0] = cross_entropy::cpu::step(step, m.work) as f32;
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let step = cross_entropy::cuda::Step {
            logits: m.view(self.logits)?,
            targets: m.view(self.targets)?,
            weights: m.opt(self.weights)?,
            loss: m.view(self.loss)?,
            dlogits: m.opt(self.dlogits)?,
            scale: m.opt(self.scale)?,
            scratch: m.view(self.scratch)?,
            n: self.rows,
            v: self.width,
        };
        cross_entropy::cuda::step(&m.gpu, &step)
    }
}

impl Kernel for Correct {
    fn places(&self) -> Places {
        places!(self.logits, self.targets, self.weights => self.out; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let (y, t) = (h.read(self.logits), h.read_u32(self.targets));
        let w = weights(h, self.weights, self.rows);
        let right = |r: usize| {
            let row = &y[r * self.width..][..self.width];
            let best = (0..self.width).fold(0, |m, i| if row[i] > row[m] { i } else { m });
            w[r] != 0.0 && best == t[r] as usize
        };
        let count = (0..self.rows).filter(|r| right(*r)).count();
        h.write(self.out, &[count as f64]);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([logits, weights], []) = (m.memory).access([Some(self.logits), self.weights], []);
        let weights = self.weights.map(|_| weights);
        let targets = m.words.of(self.targets);
        m.words.correct = cross_entropy::cpu::correct(logits, targets, weights);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let correct = cross_entropy::cuda::Correct {
            logits: m.view(self.logits)?,
            targets: m.view(self.targets)?,
            weights: m.opt(self.weights)?,
            out: m.view(self.out)?,
            scratch: m.view(self.scratch)?,
            n: self.rows,
            v: self.width,
        };
        cross_entropy::cuda::correct(&m.gpu, &correct)
    }
}

impl Kernel for MeanSquare {
    fn places(&self) -> Places {
        places!(self.y, self.targets, self.weights, self.scale => self.loss, self.dy; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let (y, width) = (h.read(self.y), self.width);
        let t = h.opt(self.targets).unwrap_or_else(|| vec![0.0; y.len()]);
        let w = weights(h, self.weights, self.rows);
        let total = w.iter().sum::<f64>().max(f64::from(f32::MIN_POSITIVE)) * width as f64;
        let d = |i: usize| y[i] - t[i];
        let sum = (0..y.len()).map(|i| w[i / width] * d(i) * d(i));
        h.write(self.loss, &[sum.sum::<f64>() / total]);
        if let Some(dy) = self.dy {
            let total = total / factor(h, self.scale);
            let grads = (0..y.len()).map(|i| 2.0 * w[i / width] * d(i) / total);
            h.write(dy, &grads.collect::<Vec<_>>());
        }
    }
    fn cpu(&self, m: &mut Cpu) {
        let y = Some(self.y).filter(|_| self.dy != Some(self.y));
        let reads = [y, self.targets, self.weights];
        let ([values, targets, weights], [loss, dy]) =
            m.memory.access(reads, [Some(self.loss), self.dy]);
        let step = mean_square::cpu::Step {
            y: y.map(|_| values),
            targets: self.targets.map(|_| targets),
            weights: self.weights.map(|_| weights),
            dy,
            width: self.width,
        };
        loss[0] = mean_square::cpu::step(step) as f32;
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let step = mean_square::cuda::Step {
            y: m.view(self.y)?,
            targets: m.opt(self.targets)?,
            weights: m.opt(self.weights)?,
            loss: m.view(self.loss)?,
            dy: m.opt(self.dy)?,
            scale: m.opt(self.scale)?,
            scratch: m.view(self.scratch)?,
            n: self.rows,
            w: self.width,
        };
        mean_square::cuda::step(&m.gpu, &step)
    }
}
