//! Sums of columns: gradients of what is added to every row.

use minrnn_kernels::column_sum as kernel;
use minrnn_model::graph::Param;

use super::zero::Zero;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, scratch};

/// `out[j] = sum_i x[i,j]`.
#[derive(Debug)]
struct ColumnSum {
    x: Place,
    out: Place,
    scratch: Place,
    rows: usize,
    width: usize,
    add: bool,
}

/// Scratch for sums of the columns of a matrix.
#[cfg_attr(
    not(feature = "cuda"),
    allow(unused_variables, reason = "kernels of GPUs need them")
)]
pub(super) fn sums_scratch(p: &mut Planner<'_>, rows: usize, width: usize) -> Place {
    scratch!(p, |gpu| kernel::cuda::scratch_len(gpu, rows, width))
}

/// Adds the sums of columns of `x` to a row of a parameter's gradient.
pub(in crate::tape) fn column_sum(
    p: &mut Planner<'_>,
    x: Place,
    param: Param,
    row: usize,
    rows: usize,
    width: usize,
) {
    let whole = p.param_grad(param);
    let written = p.write_grad(param);
    let add = written || whole.len != width;
    if add && !written {
        p.launch(Zero { to: whole });
    }
    let out = if add {
        whole.part(row * width, width)
    } else {
        whole
    };
    let scratch = sums_scratch(p, rows, width);
    p.launch(ColumnSum {
        x,
        out,
        scratch,
        rows,
        width,
        add,
    });
}

fn sums(h: &Host, x: Place, width: usize) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    for row in h.read(x).chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
    }
    sums
}

/// In the slow twin: sums of the columns of a matrix as it is in memory.
pub(super) fn write_sums(h: &mut Host, x: Place, to: Option<Place>) {
    if let Some(to) = to {
        let sums = sums(h, x, to.len);
        h.write(to, &sums);
    }
}

impl Kernel for ColumnSum {
    fn places(&self) -> Places {
        places!(self.x => self.out; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let sums = sums(h, self.x, self.width);
        h.put(self.out, &sums, self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x], [out]) = m.memory.access([Some(self.x)], [Some(self.out)]);
        kernel::cpu::sum(x, out, self.add, &mut m.work);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, out, scratch) = (m.view(self.x)?, m.view(self.out)?, m.view(self.scratch)?);
        kernel::cuda::sum(&m.gpu, x, out, self.add, scratch, self.rows, self.width)
    }
}
