//! Attention over a window: scores, weights, their dropout and the sums in one kernel, which keeps nothing of T x T; the backward pass computes
//! the scores again.

use minrnn_kernels::Elem;
use minrnn_kernels::attend::{self as kernel, Mask as Weights, Size, WIDEST_HEAD_ON_GPU, slow};
use minrnn_kernels::dropout::Draw;
use minrnn_model::graph::{Graph, Node, Op, Value};

use super::Unknown;
use super::begin::first;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::options::Carry;
use crate::tape::place::{Mask, Place};
use crate::tape::planner::{Planner, SlotId, scratch};
use crate::tape::units;

/// q and the rows `[k | v]`, or their gradients.
#[derive(Debug, Clone, Copy)]
enum Rows {
    /// `[B,T,D]`, and `[B,T,2D]`.
    Apart(Place, Place),
    /// `[B,T,3D]`.
    Packed(Place),
}

/// What an attention reads.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    rows: Rows,
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
pub(in crate::tape) struct AttendGrad {
    inputs: Inputs,
    y: Place,
    sums: Place,
    pub(in crate::tape) dy: Place,
    to: Rows,
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

/// The value `[q | k | v]` that the arguments of an attention are cut out of, if nothing else reads these: then they need not be. A window that
/// is carried on is kept from rows by themselves.
fn packed(p: &Planner<'_>, node: &Node) -> Option<Value> {
    let (graph, d) = (p.graph, node.width);
    let part = |i: usize, from: usize, width: usize| {
        let part = graph.node(node.inputs[i]);
        let readers = graph.nodes().iter().flat_map(|n| &n.inputs);
        let alone = readers.filter(|v| **v == node.inputs[i]).count() == 1;
        let start = matches!(part.op, Op::Narrow { start, .. } if start == from);
        (alone && start && part.width == width).then(|| part.inputs[0])
    };
    let (q, kv) = (part(0, 0, d)?, part(1, d, 2 * d)?);
    let whole = q == kv && graph.width(q) == 3 * d && p.options.carry == Carry::None;
    // Linear layers that are read in parts have no slot.
    (whole && p.made(q).is_some()).then_some(q)
}

/// Whether a value is part of what an attention reads as a whole.
pub(super) fn reads_packed(p: &Planner<'_>, value: usize) -> bool {
    let reader = |n: &&Node| {
        matches!(n.op, Op::Attend { .. }) && n.inputs[..2].iter().any(|v| v.index() == value)
    };
    let reader = p.graph.nodes().iter().find(reader);
    reader.is_some_and(|n| packed(p, n).is_some())
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
    let from: Vec<SlotId> = match packed(p, node) {
        Some(x) => vec![p.computed(x)],
        None => [0, 1].map(|i| p.computed(node.inputs[i])).to_vec(),
    };
    let n = p.slot(node.inputs[2]);
    let n = p.cast(n, Elem::F32);
    // A window begins with zeros that no step sees.
    let window = match p.options.carry {
        Carry::On => first(p, state).map(|b| b.0),
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
        rows: match from[..] {
            [q, kv] => Rows::Apart(p.read(q), p.read(kv)),
            _ => Rows::Packed(p.read(from[0])),
        },
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
        let to = match inputs.rows {
            Rows::Apart(q, kv) => Rows::Apart(p.buffer(q.len, compute), p.buffer(kv.len, compute)),
            Rows::Packed(x) => Rows::Packed(p.buffer(x.len, compute)),
        };
        let scratch = scratch!(p, |_| kernel::cuda::scratch_len(
            size, compute, joined, true
        ));
        p.launch(AttendGrad {
            inputs,
            y: out,
            sums,
            dy,
            to,
            scratch,
        });
        for (slot, place) in from.into_iter().zip(to.places().into_iter().flatten()) {
            p.give(slot, place, false);
        }
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

impl Rows {
    fn places(&self) -> [Option<Place>; 2] {
        match *self {
            Self::Apart(q, kv) => [Some(q), Some(kv)],
            Self::Packed(x) => [Some(x), None],
        }
    }

    /// q and kv by themselves.
    fn read(&self, h: &Host, d: usize) -> [Vec<f64>; 2] {
        match *self {
            Self::Apart(q, kv) => [h.read(q), h.read(kv)],
            Self::Packed(x) => {
                let x = h.read(x);
                let cut = |from: usize, to: usize| {
                    let rows = x.chunks_exact(3 * d);
                    rows.flat_map(|row| row[from..to].to_vec()).collect()
                };
                [cut(0, d), cut(d, 3 * d)]
            }
        }
    }

    fn write(&self, h: &mut Host, d: usize, [q, kv]: [Vec<f64>; 2]) {
        match *self {
            Self::Apart(to_q, to_kv) => {
                h.write(to_q, &q);
                h.write(to_kv, &kv);
            }
            Self::Packed(to) => {
                let rows = q.chunks_exact(d).zip(kv.chunks_exact(2 * d));
                let x: Vec<f64> = rows.flat_map(|(q, kv)| [q, kv].concat()).collect();
                h.write(to, &x);
            }
        }
    }

    /// As the kernels of the CPU take them.
    fn slices<T>(&self, first: T, second: T) -> kernel::cpu::Rows<T> {
        match self {
            Self::Apart(..) => kernel::cpu::Rows::Apart(first, second),
            Self::Packed(_) => kernel::cpu::Rows::Packed(first),
        }
    }

    #[cfg(feature = "cuda")]
    fn views<'m>(&self, m: &'m Machine, d: usize) -> Result<[kernel::cuda::Rows<'m>; 2]> {
        use kernel::cuda::Rows as On;
        Ok(match *self {
            Self::Apart(q, kv) => [On::alone(m.view(q)?, d), On::alone(m.view(kv)?, 2 * d)],
            Self::Packed(x) => On::packed(m.view(x)?, d),
        })
    }
}

impl Inputs {
    fn all(&self) -> [Option<Place>; 4] {
        let [first, second] = self.rows.places();
        [first, second, Some(self.n), self.window]
    }

    fn weights(&self, (seed, step): (u64, u64)) -> Option<Weights> {
        self.mask.map(|Mask { p, site }| {
            let site = site as usize;
            Weights::new(Draw { seed, step, site }, p, self.size)
        })
    }

    fn read(&self, h: &Host) -> Values {
        let [q, kv] = self.rows.read(h, self.size.channels);
        Values {
            q,
            kv,
            n: h.read(self.n),
            window: h.opt(self.window),
            mask: self.weights(h.seed_and_step),
        }
    }

    fn slices<'m>(&self, [q, kv, n, window]: [&'m [f32]; 4]) -> kernel::cpu::Inputs<'m> {
        kernel::cpu::Inputs {
            rows: self.rows.slices(q, kv),
            n,
            window: self.window.map(|_| window),
        }
    }

    #[cfg(feature = "cuda")]
    fn views<'m>(&self, m: &'m Machine, scratch: Place) -> Result<kernel::cuda::Inputs<'m>> {
        let [q, kv] = self.rows.views(m, self.size.channels)?;
        Ok(kernel::cuda::Inputs {
            q,
            kv,
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
        let mut places = places!(self.y, self.sums, self.dy =>; self.scratch);
        places.writes = self.to.places().into_iter().flatten().collect();
        places.reads.extend(self.inputs.all().into_iter().flatten());
        places
    }
    fn host(&self, h: &mut Host) {
        let (values, dy) = (self.inputs.read(h), h.read(self.dy));
        let mask = values.mask.as_ref();
        let (dq, dkv) = slow::attend_grad(&values.inputs(), self.inputs.size, mask, &dy);
        self.to.write(h, self.inputs.size.channels, [dq, dkv]);
    }
    fn cpu(&self, m: &mut Cpu) {
        let mask = self.inputs.weights(m.seed_and_step);
        let [q, kv, n, window] = self.inputs.all();
        let reads = [q, kv, n, window, Some(self.sums), Some(self.dy)];
        let ([q, kv, n, window, sums, dy], [dq, dkv]) = m.memory.access(reads, self.to.places());
        let to = self.to.slices(dq, dkv);
        let inputs = self.inputs.slices([q, kv, n, window]);
        let size = self.inputs.size;
        kernel::cpu::backward(&inputs, size, mask.as_ref(), [sums, dy], to);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let inputs = self.inputs.views(m, self.scratch)?;
        let [dq, dkv] = self.to.views(m, self.inputs.size.channels)?;
        let grads = kernel::cuda::Grads {
            y: m.view(self.y)?,
            sums: m.view(self.sums)?,
            dy: m.view(self.dy)?,
            dq,
            dkv,
        };
        kernel::cuda::backward(&m.gpu, &inputs, &grads)
    }
}
