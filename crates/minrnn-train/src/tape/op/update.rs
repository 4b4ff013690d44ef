//! The norm of the gradient, and the update of all parameters at once by the optimizer's rule.

use minrnn_kernels::Elem;
#[cfg(feature = "cuda")]
use minrnn_kernels::adamw;

#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Place, Places, Space, places};
use crate::tape::planner::{Planner, scratch};

/// Norm of all gradients, clip factor, and whether all is finite.
#[derive(Debug)]
struct GradNorm {
    grads: Place,
    scratch: Place,
}

/// AdamW on all parameters at once.
#[derive(Debug)]
struct AdamW {
    len: usize,
    decayed: usize,
}

const REPORT: Place = Place {
    space: Space::Report,
    offset: 0,
    len: 2,
    elem: Elem::F32,
};

/// Adds the update of the parameters.
pub(in crate::tape) fn update(p: &mut Planner<'_>) {
    let (len, decayed) = (p.layout.trained_len, p.layout.decayed_len);
    if len == 0 {
        return;
    }
    let scratch = scratch!(p, |gpu| adamw::cuda::scratch_len(gpu, len));
    p.launch(GradNorm {
        grads: Place::new(Space::Grads, len, Elem::F32),
        scratch,
    });
    p.launch(AdamW { len, decayed });
}

impl Kernel for GradNorm {
    fn places(&self) -> Places {
        places!(self.grads => REPORT; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let norm = h.read(self.grads).iter().map(|g| g * g).sum::<f64>();
        let norm = norm.sqrt();
        let clip = h.update.clip_norm.filter(|c| norm > *c);
        h.write(REPORT, &[norm, clip.map_or(1.0, |c| c / norm)]);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let loss = Place::new(Space::Loss, 1, Elem::F32);
        let norm = adamw::cuda::Norm {
            grads: m.view(self.grads)?,
            segments: m.store.segments()?,
            loss: m.has(Space::Loss).then(|| m.view(loss)).transpose()?,
            clip_norm: m.optimizer.clip_norm,
            scratch: m.view(self.scratch)?,
            report: m.store.view(Space::Report)?,
            latch: m.store.view(Space::Latch)?,
            control: m.store.view(Space::Control)?,
        };
        adamw::cuda::norm(&m.gpu, &norm)
    }
}

impl AdamW {
    fn flat(&self, space: Space) -> Place {
        Place::new(space, self.len, Elem::F32)
    }
}

impl Kernel for AdamW {
    fn places(&self) -> Places {
        let [params, first, second] =
            [Space::Params, Space::Slot(0), Space::Slot(1)].map(|s| self.flat(s));
        places!(self.flat(Space::Grads), REPORT => params, first, second)
    }
    fn host(&self, h: &mut Host) {
        let [mut w, g, mut m, mut v] =
            [Space::Params, Space::Grads, Space::Slot(0), Space::Slot(1)]
                .map(|s| h.read(self.flat(s)));
        let clip = h.read(REPORT)[1];
        let (lr, t) = h.rate;
        let u = h.update;
        let (one, two) = (1.0 - u.beta1.powi(t as i32), 1.0 - u.beta2.powi(t as i32));
        for i in 0..self.len {
            let g = g[i] * clip;
            m[i] = u.beta1 * m[i] + (1.0 - u.beta1) * g;
            v[i] = u.beta2 * v[i] + (1.0 - u.beta2) * g * g;
            let decay = if i < self.decayed {
                u.weight_decay
            } else {
                0.0
            };
            w[i] = (1.0 - lr * decay) * w[i] - lr / one * m[i] / ((v[i] / two).sqrt() + u.eps);
        }
        h.write(self.flat(Space::Params), &w);
        h.write(self.flat(Space::Slot(0)), &m);
        h.write(self.flat(Space::Slot(1)), &v);
        h.refresh_shadow();
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (store, o) = (&m.store, &m.optimizer);
        let flat = |space| store.view(space)?.slice(0, self.len);
        let update = adamw::cuda::Update {
            params: flat(Space::Params)?,
            grads: flat(Space::Grads)?,
            first: flat(Space::Slot(0))?,
            second: flat(Space::Slot(1))?,
            shadow: match store.compute {
                Elem::F32 => None,
                _ => Some(flat(Space::Shadow)?),
            },
            decayed: self.decayed,
            beta1: o.beta1,
            beta2: o.beta2,
            eps: o.eps,
            weight_decay: o.weight_decay,
            report: store.view(Space::Report)?,
            latch: store.view(Space::Latch)?,
            control: store.view(Space::Control)?,
        };
        adamw::cuda::update(&m.gpu, &update)
    }
}
