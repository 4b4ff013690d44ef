//! Embeddings of token ids, with a dropout behind them.

use minrnn_kernels::Elem;
use minrnn_kernels::embedding as kernel;
use minrnn_model::graph::{Node, Op};

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::{Mask, Place};
use crate::tape::planner::{Planner, scratch};

/// `y = table[ids]`, then dropout.
#[derive(Debug)]
struct Embed {
    ids: Place,
    table: Place,
    mask: Option<Mask>,
    y: Place,
    rows: usize,
    width: usize,
    vocab: usize,
}

/// Gradient of the table.
#[derive(Debug)]
struct EmbedGrad {
    ids: Place,
    dy: Place,
    mask: Option<Mask>,
    dtable: Place,
    scratch: Place,
    rows: usize,
    width: usize,
    vocab: usize,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    embed(p, node, None, value)
}

/// Only ids that are the model's input have a kernel.
pub(in crate::tape) fn embed(
    p: &mut Planner<'_>,
    node: &Node,
    mask: Option<Mask>,
    value: usize,
) -> Option<()> {
    let Op::Embed { table } = node.op else {
        return None;
    };
    let ids = p.slots[p.slot(node.inputs[0])].place;
    if ids.elem != Elem::U32 {
        return None;
    }
    let mask = p.mask(mask);
    let y = p.make(value, Elem::F32, Elem::F32, true);
    let (rows, width) = p.matrix(y);
    let vocab = p.layout.lens[table.index()] / width;
    p.launch(Embed {
        ids,
        table: p.param(table),
        mask,
        y: p.slots[y].place,
        rows,
        width,
        vocab,
    });
    p.back(move |p| {
        let Some(dy) = p.grad_any(y) else { return };
        let dtable = p.whole(table);
        let scratch = scratch!(p, |gpu| kernel::cuda::scratch_len(gpu, rows, width, vocab));
        p.launch(EmbedGrad {
            ids,
            dy,
            mask,
            dtable: dtable.to,
            scratch,
            rows,
            width,
            vocab,
        });
        p.add_rest(dtable);
    });
    Some(())
}

impl Kernel for Embed {
    fn places(&self) -> Places {
        places!(self.ids, self.table => self.y)
    }
    fn host(&self, h: &mut Host) {
        let table = h.read(self.table);
        let ids = h.read_u32(self.ids).into_iter();
        let rows = ids.flat_map(|id| table[id as usize * self.width..][..self.width].to_vec());
        let rows = h.masked(self.mask, rows.collect());
        h.write(self.y, &rows);
    }
    fn cpu(&self, m: &mut Cpu) {
        let mask = m.mask(self.mask);
        let ([table], [y]) = m.memory.access([Some(self.table)], [Some(self.y)]);
        kernel::cpu::forward(table, m.words.of(self.ids), mask, y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let size = kernel::cuda::Size {
            n: self.rows,
            m: self.width,
            v: self.vocab,
        };
        let (ids, table, y) = (m.view(self.ids)?, m.view(self.table)?, m.view(self.y)?);
        kernel::cuda::forward(&m.gpu, ids, table, y, m.mask(self.mask)?, size)
    }
}

impl Kernel for EmbedGrad {
    fn places(&self) -> Places {
        places!(self.ids, self.dy => self.dtable; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let width = self.width;
        let dy = h.masked(self.mask, h.read(self.dy));
        let mut sums = vec![0.0; self.dtable.len];
        for (row, id) in h.read_u32(self.ids).into_iter().enumerate() {
            for j in 0..width {
                sums[id as usize * width + j] += dy[row * width + j];
            }
        }
        h.write(self.dtable, &sums);
    }
    fn cpu(&self, m: &mut Cpu) {
        let mask = m.mask(self.mask);
        let ([dy], [dtable]) = m.memory.access([Some(self.dy)], [Some(self.dtable)]);
        kernel::cpu::backward(dy, m.words.of(self.ids), mask, dtable, &mut m.work);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        kernel::cuda::backward(
            &m.gpu,
            m.view(self.ids)?,
            m.view(self.dy)?,
            m.mask(self.mask)?,
            m.view(self.dtable)?,
            m.view(self.scratch)?,
            kernel::cuda::Size {
                n: self.rows,
                m: self.width,
                v: self.vocab,
            },
        )
    }
}
