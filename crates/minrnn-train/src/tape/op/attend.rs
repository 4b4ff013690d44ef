//! Attention over a window: scores, weights, their dropout and the sums in one kernel, which keeps nothing of T x T; the backward pass computes
//! the scores again.

use minrnn_kernels::Elem;
use minrnn_kernels::attend::{self as kernel, Mask as Weights, Size, WIDEST_HEAD_ON_GPU, slow};
use minrnn_kernels::dropout::Draw;
use minrnn_model::graph::{Graph, Node, Op};

use super::Unknown;
use super::begin::first;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::{Mask, Place};
use crate::tape::planner::{Planner, scratch};
use crate::tape::units;

/// What an attention reads.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    q: Place,
    kv: Place,
    /// Steps since the begin, f32.
    n: Place,
    /// The rows before the run, f32, where states are carried on.
    window: Option<Place>,
    mask: Option<Mask>,
    size: Size,
}

/// y, and the logarithms of the sums of exponentials, which the backward pass reads.
#[derive(Debug)]
struct Attend {
    inputs: Inputs,
    y: Place,
    sums: Option<Place>,
    scratch: Place,
}

/// Its gradients. The rows before the run get none.
#[derive(Debug)]
struct AttendGrad {
    inputs: Inputs,
    y: Place,
    sums: Place,
    dy: Place,
    dq: Place,
    dkv: Place,
    scratch: Place,
}

/// # Errors
/// The first attention whose heads are too wide for the kernels of GPUs.
pub(super) fn none_for_gpus(graph: &Graph) -> std::result::Result<(), Unknown> {
    let wide = |n: &Node| match n.op {
        Op::Attend { heads, .. } => n.width / heads > WIDEST_HEAD_ON_GPU,
        _ => false,
    };
    match graph.nodes().iter().position(wide) {
        None => Ok(()),
        Some(at) => {
            let mut unknown = Unknown::new(graph, at);
            let most = format!(" of heads of more than {WIDEST_HEAD_ON_GPU} channels on GPUs");
            unknown.what.push_str(&most);
            Err(unknown)
        }
    }
}

#[cfg_attr(
    not(feature = "cuda"),
    allow(unused_variables, reason = "scratch of GPUs alone needs them")
)]
pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Attend { state, heads, .. } = node.op else {
        return None;
    };
    let compute = p.compute();
    let [q, kv] = [0, 1].map(|i| p.computed(node.inputs[i]));
    let n = p.slot(node.inputs[2]);
    let n = p.cast(n, Elem::F32);
    // A window begins with zeros that no step sees.
    let window = match p.options.carry {
        crate::tape::Carry::On => first(p, state).map(|b| b.0),
        _ => None,
    };
    let y = p.make(value, compute, compute, true);
    p.slots[y].kept = true;
    let size = Size {
        batch: p.options.batch,
        time: p.options.time,
        channels: p.slots[y].width,
        heads,
        lag: p.graph.state_spec(state).lag().unwrap_or(0),
    };
    let inputs = Inputs {
        q: p.read(q),
        kv: p.read(kv),
        n: p.read(n),
        window,
        mask: p.mask(units::mask(p.graph, value)),
        size,
    };
    let sums = (p.options.train).then(|| p.buffer(size.sums(), Elem::F32));
    let joined = window.is_some();
    let scratch = scratch!(p, |_| kernel::cuda::scratch_len(
        size, compute, joined, false
    ));
    let out = p.slots[y].place;
    p.launch(Attend {
        inputs,
        y: out,
        sums,
        scratch,
    });
    let Some(sums) = sums else { return Some(()) };
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else { return };
        let [dq, dkv] = [inputs.q, inputs.kv].map(|x| p.buffer(x.len, compute));
        let scratch = scratch!(p, |_| kernel::cuda::scratch_len(
            size, compute, joined, true
        ));
        p.launch(AttendGrad {
            inputs,
            y: out,
            sums,
            dy,
            dq,
            dkv,
            scratch,
        });
        p.give(q, dq, false);
        p.give(kv, dkv, false);
    });
    Some(())
}

/// The values of what an attention reads.
struct Values {
    q: Vec<f64>,
    kv: Vec<f64>,
    n: Vec<f64>,
    window: Option<Vec<f64>>,
    mask: Option<Weights>,
}

impl Values {
    fn inputs(&self) -> slow::Inputs<'_> {
        slow::Inputs {
            q: &self.q,
            kv: &self.kv,
            n: &self.n,
            window: self.window.as_deref(),
        }
    }
}

impl Inputs {
    fn all(&self) -> [Option<Place>; 4] {
        [Some(self.q), Some(self.kv), Some(self.n), self.window]
    }

    fn weights(&self, (seed, step): (u64, u64)) -> Option<Weights> {
        self.mask.map(|Mask { p, site }| {
            let site = site as usize;
            Weights::new(Draw { seed, step, site }, p, self.size)
        })
    }

    fn read(&self, h: &Host) -> Values {
        Values {
            q: h.read(self.q),
            kv: h.read(self.kv),
            n: h.read(self.n),
            window: h.opt(self.window),
            mask: self.weights(h.seed_and_step),
        }
    }

    fn slices<'m>(&self, [q, kv, n, window]: [&'m [f32]; 4]) -> kernel::cpu::Inputs<'m> {
        kernel::cpu::Inputs {
            q,
            kv,
            n,
            window: self.window.map(|_| window),
        }
    }

    #[cfg(feature = "cuda")]
    fn views<'m>(&self, m: &'m Machine, scratch: Place) -> Result<kernel::cuda::Inputs<'m>> {
        Ok(kernel::cuda::Inputs {
            q: m.view(self.q)?,
            kv: m.view(self.kv)?,
            n: m.view(self.n)?,
            window: m.opt(self.window)?,
            mask: m.mask(self.mask)?,
            scratch: m.view(scratch)?,
            precision: m.precision,
            size: self.size,
        })
    }
}

impl Kernel for Attend {
    fn places(&self) -> Places {
        Places {
            reads: self.inputs.all().into_iter().flatten().collect(),
            ..places!(=> self.y, self.sums; self.scratch)
        }
    }
    fn host(&self, h: &mut Host) {
        let values = self.inputs.read(h);
        let mask = values.mask.as_ref();
        let (y, sums) = slow::attend(&values.inputs(), self.inputs.size, mask);
        h.write(self.y, &y);
        h.write_opt(self.sums, &sums);
    }
    fn cpu(&self, m: &mut Cpu) {
        let mask = self.inputs.weights(m.seed_and_step);
        let writes = [Some(self.y), self.sums];
        let (reads, [y, sums]) = m.memory.access(self.inputs.all(), writes);
        let inputs = self.inputs.slices(reads);
        let sums = self.sums.map(|_| sums);
        kernel::cpu::forward(&inputs, self.inputs.size, mask.as_ref(), y, sums);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let inputs = self.inputs.views(m, self.scratch)?;
        kernel::cuda::forward(&m.gpu, &inputs, m.view(self.y)?, m.opt(self.sums)?)
    }
}

impl Kernel for AttendGrad {
    fn places(&self) -> Places {
        let mut places = places!(self.y, self.sums, self.dy => self.dq, self.dkv; self.scratch);
        places.reads.extend(self.inputs.all().into_iter().flatten());
        places
    }
    fn host(&self, h: &mut Host) {
        let (values, dy) = (self.inputs.read(h), h.read(self.dy));
        let mask = values.mask.as_ref();
        let (dq, dkv) = slow::attend_grad(&values.inputs(), self.inputs.size, mask, &dy);
        h.write(self.dq, &dq);
        h.write(self.dkv, &dkv);
    }
    fn cpu(&self, m: &mut Cpu) {
        let mask = self.inputs.weights(m.seed_and_step);
        let [q, kv, n, window] = self.inputs.all();
        let reads = [q, kv, n, window, Some(self.sums), Some(self.dy)];
        let writes = [Some(self.dq), Some(self.dkv)];
        let ([q, kv, n, window, sums, dy], grads) = m.memory.access(reads, writes);
        let inputs = self.inputs.slices([q, kv, n, window]);
        let size = self.inputs.size;
        kernel::cpu::backward(&inputs, size, mask.as_ref(), [sums, dy], grads);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let inputs = self.inputs.views(m, self.scratch)?;
        let grads = kernel::cuda::Grads {
            y: m.view(self.y)?,
            sums: m.view(self.sums)?,
            dy: m.view(self.dy)?,
            dq: m.view(self.dq)?,
            dkv: m.view(self.dkv)?,
        };
        kernel::cuda::backward(&m.gpu, &inputs, &grads)
    }
}
