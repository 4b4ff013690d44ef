//! Rows of a table by numbers that were computed: positions.

use minrnn_kernels::Elem;
use minrnn_kernels::embedding as kernel;
use minrnn_model::graph::{Node, Op};

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, scratch};

/// `y = table[at]`; NaN where there is no such row.
#[derive(Debug)]
struct Rows {
    /// Whole numbers, f32, one a row.
    at: Place,
    table: Place,
    y: Place,
    /// The same as integers.
    ids: Place,
    width: usize,
}

/// Gradient of the table.
#[derive(Debug)]
struct RowsGrad {
    at: Place,
    dy: Place,
    dtable: Place,
    ids: Place,
    scratch: Place,
    width: usize,
}

#[cfg_attr(
    not(feature = "cuda"),
    allow(unused_variables, reason = "scratch of GPUs alone needs them")
)]
pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Embed { table } = node.op else {
        return None;
    };
    let slot = p.slot(node.inputs[0]);
    if p.slots[slot].place.elem == Elem::U32 || p.slots[slot].width != 1 {
        return None;
    }
    // bf16 is exact up to 256 only; numbers that count are f32 already.
    let slot = p.cast(slot, Elem::F32);
    let at = p.read(slot);
    let y = p.make(value, Elem::F32, Elem::F32, true);
    let (rows, width) = p.matrix(y);
    let out = p.slots[y].place;
    lookup(p, at, p.param(table), out, width);
    p.back(move |p| {
        let Some(dy) = p.grad_any(y) else { return };
        let dtable = p.whole(table);
        let vocab = dtable.to.len / width;
        let ids = scratch!(p, |_| rows);
        let scratch = scratch!(p, |gpu| kernel::cuda::scratch_len(gpu, rows, width, vocab));
        p.launch(RowsGrad {
            at,
            dy,
            dtable: dtable.to,
            ids,
            scratch,
            width,
        });
        p.add_rest(dtable);
    });
    Some(())
}

/// Adds the launch of `y = table[at]`.
pub(super) fn lookup(p: &mut Planner<'_>, at: Place, table: Place, y: Place, width: usize) {
    let ids = scratch!(p, |_| at.len);
    p.launch(Rows {
        at,
        table,
        y,
        ids,
        width,
    });
}

/// A number as that of a row.
fn row(at: f64, rows: usize) -> Option<usize> {
    let inside = at >= 0.0 && at < rows as f64 && at.fract() == 0.0;
    inside.then_some(at as usize)
}

#[cfg(feature = "cuda")]
fn size(at: Place, table: Place, width: usize) -> kernel::cuda::Size {
    kernel::cuda::Size {
        n: at.len,
        m: width,
        v: table.len / width,
    }
}

/// The scratch as integers.
#[cfg(feature = "cuda")]
fn integers(ids: Place) -> Place {
    Place {
        elem: Elem::U32,
        ..ids
    }
}

impl Kernel for Rows {
    fn places(&self) -> Places {
        places!(self.at, self.table => self.y; self.ids)
    }
    fn host(&self, h: &mut Host) {
        let (table, width) = (h.read(self.table), self.width);
        let of = |at: f64| match row(at, table.len() / width) {
            Some(row) => table[row * width..][..width].to_vec(),
            None => vec![f64::NAN; width],
        };
        let y: Vec<f64> = h.read(self.at).into_iter().flat_map(of).collect();
        h.write(self.y, &y);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([at, table], [y]) = m
            .memory
            .access([Some(self.at), Some(self.table)], [Some(self.y)]);
        kernel::cpu::forward_numbers(table, at, y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (at, table, y) = (m.view(self.at)?, m.view(self.table)?, m.view(self.y)?);
        let ids = m.view(integers(self.ids))?;
        kernel::cuda::numbers(&m.gpu, at, ids)?;
        kernel::cuda::forward(
            &m.gpu,
            ids,
            table,
            y,
            None,
            size(self.at, self.table, self.width),
        )
    }
}

impl Kernel for RowsGrad {
    fn places(&self) -> Places {
        Places {
            scratch: vec![self.ids, self.scratch],
            ..places!(self.at, self.dy => self.dtable)
        }
    }
    fn host(&self, h: &mut Host) {
        let (dy, width) = (h.read(self.dy), self.width);
        let mut sums = vec![0.0; self.dtable.len];
        for (at, dy) in h.read(self.at).into_iter().zip(dy.chunks_exact(width)) {
            if let Some(row) = row(at, self.dtable.len / width) {
                let to = &mut sums[row * width..][..width];
                to.iter_mut().zip(dy).for_each(|(s, d)| *s += d);
            }
        }
        h.write(self.dtable, &sums);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([at, dy], [dtable]) = m
            .memory
            .access([Some(self.at), Some(self.dy)], [Some(self.dtable)]);
        kernel::cpu::backward_numbers(dy, at, dtable, &mut m.work);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let ids = m.view(integers(self.ids))?;
        kernel::cuda::numbers(&m.gpu, m.view(self.at)?, ids)?;
        kernel::cuda::backward(
            &m.gpu,
            ids,
            m.view(self.dy)?,
            None,
            m.view(self.dtable)?,
            m.view(self.scratch)?,
            size(self.at, self.dtable, self.width),
        )
    }
}
