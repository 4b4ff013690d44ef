//! Normalisation, with the residual sum before it.

use minrnn_kernels::Elem;
use minrnn_kernels::norm::{self as kernel, Kind};
use minrnn_model::graph::{Fused, Region};

use super::{Layer, add_dropout, column_sum::write_sums};
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::{Mask, Place};
use crate::tape::planner::{Planner, SlotId, scratch};

/// `s = x + dropout(branch)` (if there is a branch: it, its mask, s), `y = norm(s)`.
#[derive(Debug)]
pub(in crate::tape) struct Norm {
    kind: Kind,
    x: Place,
    branch: Option<(Place, Option<Mask>, Place)>,
    weight: Place,
    bias: Option<Place>,
    eps: f64,
    y: Place,
    stats: Place,
    rows: usize,
    width: usize,
}

/// `ds = dsum + J^T dy`; `da = mask * ds` for the branch.
#[derive(Debug)]
struct NormGrad {
    kind: Kind,
    s: Place,
    weight: Place,
    stats: Place,
    dy: Place,
    dsum: Option<Place>,
    ds: Place,
    branch: Option<(Place, Option<Mask>)>,
    /// Sums of the columns of da.
    sums: Option<Place>,
    dweight: Place,
    dbias: Option<Place>,
    scratch: Place,
    rows: usize,
    width: usize,
}

/// Which normalisation a layer is, if it is one, and its eps.
pub(in crate::tape) fn norm_of(fused: Fused) -> Option<(Kind, f64)> {
    match fused {
        Fused::RmsNorm { eps } => Some((Kind::Rms, eps)),
        Fused::LayerNorm { eps } => Some((Kind::Layer, eps)),
        _ => None,
    }
}

pub(super) fn layer(fused: Fused) -> Option<Layer> {
    norm_of(fused).map(|_| alone as Layer)
}

fn alone(p: &mut Planner<'_>, region: &Region) {
    let s = p.slot(region.inputs[0]);
    add(p, s, None, region);
}

/// Adds the region `index` on the slot `s`, which is the sum of a branch `(x, a, mask)` or made already.
pub(super) fn norm(
    p: &mut Planner<'_>,
    s: SlotId,
    branch: Option<(SlotId, SlotId, Option<Mask>)>,
    index: usize,
) {
    let region = p.graph.regions()[index].clone();
    add(p, s, branch, &region);
}

fn add(
    p: &mut Planner<'_>,
    s: SlotId,
    branch: Option<(SlotId, SlotId, Option<Mask>)>,
    region: &Region,
) {
    let Some((kind, eps)) = norm_of(region.fused) else {
        return;
    };
    let compute = p.compute();
    let y = p.make(region.outputs[0].index(), compute, compute, true);
    let (rows, width) = p.matrix(s);
    let stats = p.buffer(rows * 2, Elem::F32);
    let (weight, bias) = (region.params[0], region.params.get(1).copied());
    let sum = p.slots[s].place;
    // Without being among its readers, this reads the sum in the backward pass.
    p.slots[s].kept |= branch.is_some();
    let (x, with) = match branch {
        None => (p.read(s), None),
        Some((x, a, mask)) => (p.read(x), Some((p.read(a), mask, sum))),
    };
    p.launch(Norm {
        kind,
        x,
        branch: with,
        weight: p.param(weight),
        bias: bias.map(|b| p.param(b)),
        eps,
        y: p.slots[y].place,
        stats,
        rows,
        width,
    });
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else {
            if let Some((x, a, mask)) = branch {
                add_dropout::back(p, Some(x), a, mask, s);
            }
            return;
        };
        let known = p.slots[s].grad;
        let ds = match known {
            Some(grad) if !grad.shared => grad.place,
            _ => p.fresh(s),
        };
        // Without a mask and in the same type, the branch's gradient is that of the sum.
        let da = branch.and_then(|(_, a, mask)| {
            let elem = p.slots[a].grad_elem;
            let alias = mask.is_none() && elem == ds.elem;
            (p.slots[a].wanted && !alias).then(|| (p.buffer(sum.len, elem), mask))
        });
        let own = branch.filter(|_| da.is_some());
        let sums = own.and_then(|(_, a, _)| p.bias_sums(a));
        let dweight = p.whole(weight);
        let dbias = bias.map(|b| p.whole(b));
        let scratch = scratch!(p, |gpu| kernel::cuda::scratch_len(gpu, rows, width));
        p.launch(NormGrad {
            kind,
            s: sum,
            weight: p.param(weight),
            stats,
            dy,
            dsum: known.map(|g| g.place),
            ds,
            branch: da,
            sums,
            dweight: dweight.to,
            dbias: dbias.map(|d| d.to),
            scratch,
            rows,
            width,
        });
        p.add_rest(dweight);
        dbias.into_iter().for_each(|d| p.add_rest(d));
        p.own(s, ds);
        if let Some((x, a, _)) = branch {
            match da {
                Some((da, _)) => p.give(a, da, false),
                None => p.give(a, ds, true),
            }
            p.give(x, ds, da.is_none() && p.slots[a].wanted);
        }
    });
}

impl Kernel for Norm {
    fn places(&self) -> Places {
        let (a, sum) = (self.branch.map(|b| b.0), self.branch.map(|b| b.2));
        places!(self.x, a, self.weight, self.bias => self.y, self.stats, sum)
    }
    fn host(&self, h: &mut Host) {
        let mut s = h.read(self.x);
        if let Some((a, mask, sum)) = self.branch {
            let a = h.masked(mask, h.read(a));
            s.iter_mut().zip(a).for_each(|(s, a)| *s += a);
            h.write(sum, &s);
        }
        let (weight, bias) = (h.read(self.weight), h.opt(self.bias));
        let (mut out, mut all) = (vec![0.0; s.len()], vec![]);
        for (r, row) in s.chunks_exact(self.width).enumerate() {
            let n = self.width as f64;
            let mean = match self.kind {
                Kind::Rms => 0.0,
                Kind::Layer => row.iter().sum::<f64>() / n,
            };
            let square = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            let inverse = 1.0 / (square + self.eps).sqrt();
            all.extend([mean, inverse]);
            for (i, x) in row.iter().enumerate() {
                let bias = bias.as_ref().map_or(0.0, |b| b[i]);
                out[r * self.width + i] = (x - mean) * inverse * weight[i] + bias;
            }
        }
        h.write(self.y, &out);
        h.write(self.stats, &all);
    }
    fn cpu(&self, m: &mut Cpu) {
        let (a, mask, sum) = match self.branch {
            Some((a, mask, sum)) => (Some(a), m.mask(mask), Some(sum)),
            None => (None, None, None),
        };
        let reads = [Some(self.x), a, Some(self.weight), self.bias];
        let writes = [Some(self.y), Some(self.stats), sum];
        let ([x, a, weight, bias], [y, stats, sum]) = m.memory.access(reads, writes);
        kernel::cpu::forward(kernel::cpu::Forward {
            kind: self.kind,
            x,
            branch: (self.branch).map(|_| kernel::cpu::Branch { a, mask, sum }),
            weight,
            bias: self.bias.map(|_| bias),
            eps: self.eps,
            y,
            stats,
        });
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let branch = match self.branch {
            Some((a, mask, sum)) => Some(kernel::cuda::Branch {
                a: m.view(a)?,
                dropout: m.mask(mask)?,
                sum: m.view(sum)?,
            }),
            None => None,
        };
        let forward = kernel::cuda::Forward {
            kind: self.kind,
            x: m.view(self.x)?,
            branch,
            weight: m.view(self.weight)?,
            bias: m.opt(self.bias)?,
            eps: self.eps,
            y: m.view(self.y)?,
            stats: m.view(self.stats)?,
            rows: self.rows,
            width: self.width,
        };
        kernel::cuda::forward(&m.gpu, &forward)
    }
}

impl Kernel for NormGrad {
    fn places(&self) -> Places {
        places!(self.s, self.weight, self.stats, self.dy, self.dsum
            => self.ds, self.dweight, self.dbias, self.sums, self.branch.map(|b| b.0); self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let Self { rows, width, .. } = *self;
        let (s, weight) = (h.read(self.s), h.read(self.weight));
        let (stats, dy) = (h.read(self.stats), h.read(self.dy));
        let mut d = h.opt(self.dsum).unwrap_or_else(|| vec![0.0; rows * width]);
        let (mut dw, mut db) = (vec![0.0; width], vec![0.0; width]);
        let n = width as f64;
        for r in 0..rows {
            let (mean, inverse) = (stats[2 * r], stats[2 * r + 1]);
            let unit = |i: usize| (s[r * width + i] - mean) * inverse;
            let g = |i: usize| dy[r * width + i] * weight[i];
            let along = (0..width).map(|i| g(i) * unit(i)).sum::<f64>() / n;
            let level = match self.kind {
                Kind::Rms => 0.0,
                Kind::Layer => (0..width).map(g).sum::<f64>() / n,
            };
            for i in 0..width {
                dw[i] += dy[r * width + i] * unit(i);
                db[i] += dy[r * width + i];
                d[r * width + i] += inverse * (g(i) - level - unit(i) * along);
            }
        }
        h.write(self.ds, &d);
        h.write(self.dweight, &dw);
        h.write_opt(self.dbias, &db);
        if let Some((da, mask)) = self.branch {
            let d = h.masked(mask, d);
            h.write(da, &d);
            write_sums(h, da, self.sums);
        }
    }
    fn cpu(&self, m: &mut Cpu) {
        if let Some(dsum) = self.dsum {
            m.move_to(dsum, self.ds);
        }
        let (da, mask) = match self.branch {
            Some((da, mask)) => (Some(da), m.mask(mask)),
            None => (None, None),
        };
        let reads = [self.s, self.weight, self.stats, self.dy].map(Some);
        let writes = [Some(self.ds), da, self.sums, Some(self.dweight), self.dbias];
        let ([s, weight, stats, dy], [ds, da, sums, dweight, dbias]) =
            m.memory.access(reads, writes);
        let backward = kernel::cpu::Backward {
            kind: self.kind,
            s,
            weight,
            stats,
            dy,
            ds,
            add: self.dsum.is_some(),
            da,
            mask,
            sums,
            dweight,
            dbias,
        };
        kernel::cpu::backward(backward, &mut m.work);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let branch = match self.branch {
            Some((da, mask)) => Some(kernel::cuda::BranchGrad {
                da: m.view(da)?,
                dropout: m.mask(mask)?,
                sums: m.opt(self.sums)?,
            }),
            None => None,
        };
        let backward = kernel::cuda::Backward {
            kind: self.kind,
            s: m.view(self.s)?,
            weight: m.view(self.weight)?,
            stats: m.view(self.stats)?,
            dy: m.view(self.dy)?,
            dsum: m.opt(self.dsum)?,
            ds: m.view(self.ds)?,
            branch,
            dweight: m.view(self.dweight)?,
            dbias: m.opt(self.dbias)?,
            scratch: m.view(self.scratch)?,
            rows: self.rows,
            width: self.width,
        };
        kernel::cuda::backward(&m.gpu, &backward)
    }
}
