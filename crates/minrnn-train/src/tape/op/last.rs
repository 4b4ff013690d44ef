//! The last step of each row.

use minrnn_kernels::elementwise::cpu as elementwise;
#[cfg(feature = "cuda")]
use minrnn_kernels::elementwise::cuda as kernel;
use minrnn_kernels::{Elem, Size};
use minrnn_model::graph::{Node, Op};

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::{Place, Space};
use crate::tape::planner::Planner;

/// `[B,T,W]` to `[B,W]`: with lengths, step `len - 1`.
#[derive(Debug)]
struct Last {
    x: Place,
    lens: Option<Place>,
    y: Place,
    size: Size,
}

/// `dx`: dy at the last step, else 0 (or what is there, with `add`).
#[derive(Debug)]
struct LastGrad {
    dy: Place,
    lens: Option<Place>,
    dx: Place,
    size: Size,
    add: bool,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Last = node.op else { return None };
    let x = p.slot(node.inputs[0]);
    let y = p.like(x, value);
    let size = p.size(p.slots[y].width);
    let lens = Place::new(Space::Lens, p.options.batch, Elem::U32);
    let lens = p.options.lens.then_some(lens);
    let input = p.read(x);
    p.launch(Last {
        x: input,
        lens,
        y: p.slots[y].place,
        size,
    });
    p.back(move |p| {
        let Some(dy) = p.grad_for(x, y) else { return };
        let (dx, add) = p.target(x);
        p.launch(LastGrad {
            dy,
            lens,
            dx,
            size,
            add,
        });
    });
    Some(())
}

/// The row of `[B T, W]` that is the last of each sequence.
fn rows(h: &Host, lens: Option<Place>, size: Size) -> Vec<usize> {
    let lens = match lens {
        Some(lens) => h.read_u32(lens),
        None => vec![size.t as u32; size.b],
    };
    let rows = lens.into_iter().enumerate();
    rows.map(|(b, len)| b * size.t + len as usize - 1).collect()
}

impl Kernel for Last {
    fn places(&self) -> Places {
        places!(self.x, self.lens => self.y)
    }
    fn host(&self, h: &mut Host) {
        let (x, w) = (h.read(self.x), self.size.d);
        let rows = rows(h, self.lens, self.size).into_iter();
        let values: Vec<f64> = rows.flat_map(|row| x[row * w..][..w].to_vec()).collect();
        h.write(self.y, &values);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x], [y]) = m.memory.access([Some(self.x)], [Some(self.y)]);
        let lens = self.lens.map(|lens| m.words.of(lens));
        elementwise::last(x, lens, y, self.size);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, lens, y) = (m.view(self.x)?, m.opt(self.lens)?, m.view(self.y)?);
        kernel::last(&m.gpu, x, lens, y, self.size)
    }
}

impl Kernel for LastGrad {
    fn places(&self) -> Places {
        places!(self.dy, self.lens => self.dx)
    }
    fn host(&self, h: &mut Host) {
        let (dy, w) = (h.read(self.dy), self.size.d);
        let mut values = vec![0.0; self.dx.len];
        for (b, row) in rows(h, self.lens, self.size).into_iter().enumerate() {
            values[row * w..][..w].copy_from_slice(&dy[b * w..][..w]);
        }
        h.put(self.dx, &values, self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([dy], [dx]) = m.memory.access([Some(self.dy)], [Some(self.dx)]);
        let lens = self.lens.map(|lens| m.words.of(lens));
        elementwise::last_grad(dy, lens, dx, self.size, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (dy, lens, dx) = (m.view(self.dy)?, m.opt(self.lens)?, m.view(self.dx)?);
        kernel::last_grad(&m.gpu, dy, lens, dx, self.add, self.size)
    }
}
