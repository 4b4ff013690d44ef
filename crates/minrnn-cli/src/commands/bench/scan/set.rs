//! A pass of a recurrence with the buffers that it reads and writes.

use anyhow::{Result, bail};
use minrnn_kernels::cuda::{Gpu, View};
use minrnn_kernels::{Candidate, Elem, Size, linear_scan, min_gru, min_lstm};

use crate::commands::bench::memory::Tensor;

/// A recurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    LinearScan,
    MinGru,
    MinLstm,
}

/// Which of its kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rung {
    /// One thread a channel.
    Simple,
    /// The one that training uses.
    Shipped,
}

/// A pass of a recurrence at a size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) op: Op,
    pub(super) backward: bool,
    pub(super) shape: [usize; 3],
    pub(super) elem: Elem,
}

impl Case {
    pub(super) fn name(self) -> &'static str {
        match self.op {
            Op::LinearScan => "linear_scan",
            Op::MinGru => "min_gru",
            Op::MinLstm => "min_lstm",
        }
    }

    pub(super) fn pass(self) -> &'static str {
        if self.backward { "backward" } else { "forward" }
    }

    fn elements(self) -> usize {
        self.shape.iter().product()
    }

    fn size(self) -> Size {
        let [b, t, d] = self.shape;
        Size { b, t, d }
    }

    /// Values for each element that the recurrence takes: `[k | v]`, `[p | q | v]`, or a and b.
    fn parts(self) -> usize {
        match self.op {
            Op::LinearScan => 1,
            Op::MinGru => 2,
            Op::MinLstm => 3,
        }
    }

    /// Bytes that must move: each input read once, each output written once.
    pub(super) fn bytes(self) -> usize {
        let (e, n) = (self.elem.size(), self.elements());
        match (self.op, self.backward) {
            (Op::LinearScan, false) => n * (4 + 2 * e),
            (Op::LinearScan, true) => n * (4 + 2 * e + 4 + e),
            (_, false) => n * e * (self.parts() + 1),
            (_, true) => n * e * (2 * self.parts() + 2),
        }
    }
}

/// One set of buffers.
pub(super) struct Set {
    /// a, for the bare recurrence.
    a: Option<Tensor>,
    /// b, or the packed input.
    x: Tensor,
    h0: Tensor,
    h: Tensor,
    dh: Option<Tensor>,
    da: Option<Tensor>,
    dx: Option<Tensor>,
}

impl Set {
    pub(super) fn new(gpu: &Gpu, case: Case, seed: u64) -> Result<Self> {
        let (n, e) = (case.elements(), case.elem);
        let [b, _, d] = case.shape;
        let bare = case.op == Op::LinearScan;
        let back = |len, elem| -> Result<Option<Tensor>> {
            Ok(match case.backward {
                true => Some(Tensor::new(gpu, len, elem)?),
                false => None,
            })
        };
        let set = Self {
            a: match bare {
                true => Some(Tensor::random(gpu, n, Elem::F32, (0.0, 1.0), seed)?),
                false => None,
            },
            x: Tensor::random(gpu, n * case.parts(), e, (-3.0, 3.0), seed + 1)?,
            h0: Tensor::random(gpu, b * d, Elem::F32, (-1.0, 1.0), seed + 2)?,
            h: Tensor::new(gpu, n, e)?,
            dh: match case.backward {
                true => Some(Tensor::random(gpu, n, e, (-1.0, 1.0), seed + 3)?),
                false => None,
            },
            da: if bare { back(n, Elem::F32)? } else { None },
            dx: back(n * case.parts(), e)?,
        };
        set.forward(gpu, case, Rung::Shipped, None)?;
        Ok(set)
    }

    fn forward(&self, gpu: &Gpu, case: Case, rung: Rung, scratch: Option<&Tensor>) -> Result<()> {
        let (x, h0, h) = (self.x.view()?, Some(self.h0.view()?), self.h.view()?);
        let own;
        let scratch = match scratch {
            Some(scratch) => scratch,
            None => {
                own = scratch_for(gpu, case)?;
                &own
            }
        };
        let (scratch, size, c) = (scratch.view()?, case.size(), Candidate::G);
        match (case.op, rung) {
            (Op::LinearScan, Rung::Shipped) => {
                linear_scan::cuda::forward(gpu, view(&self.a)?, x, h0, h, size, scratch)?
            }
            (Op::LinearScan, Rung::Simple) => {
                linear_scan::cuda::forward_simple(gpu, view(&self.a)?, x, h0, h, size)?
            }
            (Op::MinGru, Rung::Shipped) => min_gru::cuda::forward(gpu, x, h0, h, size, c, scratch)?,
            (Op::MinGru, Rung::Simple) => min_gru::cuda::forward_simple(gpu, x, h0, h, size, c)?,
            (Op::MinLstm, Rung::Shipped) => {
                min_lstm::cuda::forward(gpu, x, h0, h, size, c, true, scratch)?
            }
            (Op::MinLstm, Rung::Simple) => {
                min_lstm::cuda::forward_simple(gpu, x, h0, h, size, c, true)?
            }
        }
        Ok(())
    }

    fn backward(&self, gpu: &Gpu, case: Case, rung: Rung, scratch: &Tensor) -> Result<()> {
        let (x, h0, h) = (self.x.view()?, Some(self.h0.view()?), self.h.view()?);
        let (dh, dx) = (view(&self.dh)?, view(&self.dx)?);
        let (scratch, size, c) = (scratch.view()?, case.size(), Candidate::G);
        match (case.op, rung) {
            (Op::LinearScan, _) => {
                let (a, da) = (view(&self.a)?, view(&self.da)?);
                match rung {
                    Rung::Shipped => {
                        linear_scan::cuda::backward(gpu, a, h0, h, dh, da, dx, None, size, scratch)?
                    }
                    Rung::Simple => {
                        linear_scan::cuda::backward_simple(gpu, a, h0, h, dh, da, dx, None, size)?
                    }
                }
            }
            (Op::MinGru, Rung::Shipped) => {
                min_gru::cuda::backward(gpu, x, h0, h, dh, dx, None, size, c, scratch)?
            }
            (Op::MinGru, Rung::Simple) => {
                min_gru::cuda::backward_simple(gpu, x, h0, h, dh, dx, None, size, c)?
            }
            (Op::MinLstm, Rung::Shipped) => {
                min_lstm::cuda::backward(gpu, x, h0, h, dh, dx, None, size, c, true, scratch)?
            }
            (Op::MinLstm, Rung::Simple) => {
                min_lstm::cuda::backward_simple(gpu, x, h0, h, dh, dx, None, size, c, true)?
            }
        }
        Ok(())
    }

    pub(super) fn run(&self, gpu: &Gpu, case: Case, rung: Rung, scratch: &Tensor) -> Result<()> {
        if case.backward {
            self.backward(gpu, case, rung, scratch)
        } else {
            self.forward(gpu, case, rung, Some(scratch))
        }
    }

    /// What a pass writes.
    pub(super) fn results(&self, case: Case) -> Vec<&Tensor> {
        if case.backward {
            self.da.iter().chain(&self.dx).collect()
        } else {
            vec![&self.h]
        }
    }
}

fn view(tensor: &Option<Tensor>) -> Result<View<'_>> {
    match tensor {
        Some(tensor) => tensor.view(),
        None => bail!("a case without this buffer"),
    }
}

/// Scratch of the recurrence's kernel, zeros.
pub(super) fn scratch_for(gpu: &Gpu, case: Case) -> Result<Tensor> {
    let [b, t, d] = case.shape;
    let len = minrnn_kernels::recurrence::cuda::scratch_len(b, t, d).max(1);
    let scratch = Tensor::new(gpu, len, Elem::F32)?;
    scratch.view()?.fill(gpu, 0)?;
    Ok(scratch)
}
