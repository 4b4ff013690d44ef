//! One piece of memory for all buffers of a plan: buffers that are never alive together share bytes.

use super::launch::{Launch, Place, Space};

/// Buffers begin at multiples of this many bytes.
const ALIGN: usize = 256;

/// A buffer: its size, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Bytes.
    pub bytes: usize,
    /// First byte in the arena.
    pub offset: usize,
}

/// Gives every buffer its place; returns the size of the arena. `keep`: buffers that are read after the last launch.
pub(super) fn arrange(buffers: &mut [Buffer], launches: &[Launch], keep: &[usize]) -> usize {
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; buffers.len()];
    for (at, launch) in launches.iter().enumerate() {
        for place in launch.places() {
            if let Space::Buffer(i) = place.space {
                let span = spans[i].get_or_insert((at, at));
                span.1 = at;
            }
        }
    }
    for i in keep {
        if let Some(span) = &mut spans[*i] {
            span.1 = launches.len();
        }
    }
    // Large ones first: each goes to the lowest gap between those that live at the same time.
    let mut order: Vec<usize> = (0..buffers.len()).filter(|i| spans[*i].is_some()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(buffers[*i].bytes), *i));
    let mut placed: Vec<usize> = vec![];
    let mut end = 0;
    for i in order {
        let Some((begin, last)) = spans[i] else {
            continue;
        };
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|j| spans[**j].is_some_and(|(b, l)| b <= last && begin <= l))
            .map(|j| (buffers[*j].offset, buffers[*j].offset + buffers[*j].bytes))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (from, to) in taken {
            if offset + buffers[i].bytes <= from {
                break;
            }
            offset = offset.max(to.next_multiple_of(ALIGN));
        }
        buffers[i].offset = offset;
        end = end.max(offset + buffers[i].bytes);
        placed.push(i);
    }
    end
}

impl Launch {
    /// Every place that it reads or writes.
    pub fn places(&self) -> Vec<Place> {
        use Launch as L;
        let mut all: Vec<Option<Place>> = vec![];
        let mut some = |places: &[Place]| all.extend(places.iter().map(|p| Some(*p)));
        match self {
            L::Zero { to } => some(&[*to]),
            L::Embed { ids, table, y, .. } => some(&[*ids, *table, *y]),
            L::EmbedGrad {
                ids,
                dy,
                dtable,
                scratch,
                ..
            } => some(&[*ids, *dy, *dtable, *scratch]),
            L::Matmul { a, b, bias, c, .. } => {
                some(&[*a, *b, *c]);
                all.push(*bias);
            }
            L::ColumnSum {
                x, out, scratch, ..
            } => some(&[*x, *out, *scratch]),
            L::Norm {
                x,
                branch,
                weight,
                bias,
                y,
                stats,
                ..
            } => {
                some(&[*x, *weight, *y, *stats]);
                all.extend([*bias, branch.map(|b| b.0), branch.map(|b| b.2)]);
            }
            L::NormGrad {
                s,
                weight,
                stats,
                dy,
                dsum,
                ds,
                branch,
                sums,
                dweight,
                dbias,
                scratch,
                ..
            } => {
                some(&[*s, *weight, *stats, *dy, *ds, *dweight, *scratch]);
                all.extend([*dsum, *dbias, *sums, branch.map(|b| b.0)]);
            }
            L::AddDropout { x, a, y, .. } => {
                some(&[*a, *y]);
                all.push(*x);
            }
            L::Conv {
                x,
                state,
                weight,
                bias,
                y,
                ..
            } => {
                some(&[*x, *weight, *y]);
                all.extend([*state, *bias]);
            }
            L::ConvGrad {
                x,
                state,
                weight,
                dy,
                dx,
                dweight,
                dbias,
                dstate,
                scratch,
                ..
            } => {
                some(&[*x, *weight, *dy, *dx, *dweight, *scratch]);
                all.extend([*state, *dbias, *dstate]);
            }
            L::Activation { x, y, .. } | L::Map1 { x, y, .. } | L::Mean { x, y, .. } => {
                some(&[*x, *y])
            }
            L::ActivationGrad {
                x, dy, dx, sums, ..
            } => {
                some(&[*x, *dy, *dx]);
                all.extend([sums.map(|s| s.0), sums.map(|s| s.1)]);
            }
            L::Map1Grad { x, dy, dx, .. } => some(&[*x, *dy, *dx]),
            L::Cell {
                x, h0, h, scratch, ..
            } => {
                some(&[*x, *h, *scratch]);
                all.push(*h0);
            }
            L::CellGrad {
                x,
                h0,
                h,
                dh,
                dx,
                dh0,
                scratch,
                ..
            } => {
                some(&[*x, *h, *dh, *dx, *scratch]);
                all.extend([*h0, *dh0]);
            }
            L::Scan {
                a,
                b,
                h0,
                h,
                scratch,
                ..
            } => {
                some(&[*a, *b, *h, *scratch]);
                all.push(*h0);
            }
            L::ScanGrad {
                a,
                h0,
                h,
                dh,
                da,
                db,
                dh0,
                scratch,
                ..
            } => {
                some(&[*a, *h, *dh, *da, *db, *scratch]);
                all.extend([*h0, *dh0]);
            }
            L::Map2 { a, b, y, .. } => some(&[*a, *b, *y]),
            L::Map2Grad { a, b, dy, dx, .. } => some(&[*a, *b, *dy, *dx]),
            L::Vec { x, p, y, .. } => some(&[*x, *p, *y]),
            L::MeanGrad { dy, dx, .. } => some(&[*dy, *dx]),
            L::CopyColumns { from, to, .. } => some(&[from.place, to.place]),
            L::Delay { x, state, y, .. } => {
                some(&[*x, *y]);
                all.push(*state);
            }
            L::DelayGrad { dy, dx, dstate, .. } => {
                some(&[*dy, *dx]);
                all.push(*dstate);
            }
            L::Last { x, lens, y, .. } => {
                some(&[*x, *y]);
                all.push(*lens);
            }
            L::LastGrad { dy, lens, dx, .. } => {
                some(&[*dy, *dx]);
                all.push(*lens);
            }
            L::Repeat { p, y, .. } => some(&[*p, *y]),
            L::CrossEntropy {
                logits,
                targets,
                weights,
                loss,
                dlogits,
                scratch,
                ..
            } => {
                some(&[*logits, *targets, *loss, *scratch]);
                all.extend([*weights, *dlogits]);
            }
            L::Correct {
                logits,
                targets,
                weights,
                out,
                scratch,
                ..
            } => {
                some(&[*logits, *targets, *out, *scratch]);
                all.push(*weights);
            }
            L::MeanSquare {
                y,
                targets,
                weights,
                loss,
                dy,
                scratch,
                ..
            } => {
                some(&[*y, *loss, *scratch]);
                all.extend([*targets, *weights, *dy]);
            }
            L::GradNorm { grads, scratch } => some(&[*grads, *scratch]),
            L::AdamW { .. } => {}
        }
        all.into_iter().flatten().collect()
    }
}

impl Launch {
    /// Its name, a product's with its sizes.
    pub fn title(&self) -> String {
        if let Self::Matmul { m, n, k, .. } = self {
            return format!("Matmul [{m},{k}] x [{k},{n}]");
        }
        let all = format!("{self:?}");
        all.split([' ', '{']).next().unwrap_or_default().to_owned()
    }

    /// The places that it writes.
    pub fn writes(&self) -> Vec<Place> {
        use Launch as L;
        match *self {
            L::Zero { to } => vec![to],
            L::Embed { y, .. }
            | L::AddDropout { y, .. }
            | L::Conv { y, .. }
            | L::Activation { y, .. }
            | L::Map1 { y, .. }
            | L::Map2 { y, .. }
            | L::Vec { y, .. }
            | L::Mean { y, .. }
            | L::Delay { y, .. }
            | L::Last { y, .. }
            | L::Repeat { y, .. } => vec![y],
            L::EmbedGrad { dtable, .. } => vec![dtable],
            L::Matmul { c, .. } => vec![c],
            L::ColumnSum { out, .. } | L::Correct { out, .. } => vec![out],
            L::Norm {
                branch, y, stats, ..
            } => [Some(y), Some(stats), branch.map(|b| b.2)]
                .into_iter()
                .flatten()
                .collect(),
            L::NormGrad {
                ds,
                branch,
                sums,
                dweight,
                dbias,
                ..
            } => [Some(ds), Some(dweight), dbias, sums, branch.map(|b| b.0)]
                .into_iter()
                .flatten()
                .collect(),
            L::ConvGrad {
                dx,
                dweight,
                dbias,
                dstate,
                ..
            } => [Some(dx), Some(dweight), dbias, dstate]
                .into_iter()
                .flatten()
                .collect(),
            L::ActivationGrad { dx, sums, .. } => [Some(dx), sums.map(|s| s.0)]
                .into_iter()
                .flatten()
                .collect(),
            L::Map1Grad { dx, .. }
            | L::Map2Grad { dx, .. }
            | L::MeanGrad { dx, .. }
            | L::LastGrad { dx, .. } => vec![dx],
            L::Cell { h, .. } | L::Scan { h, .. } => vec![h],
            L::CellGrad { dx, dh0, .. } => [Some(dx), dh0].into_iter().flatten().collect(),
            L::ScanGrad { da, db, dh0, .. } => {
                [Some(da), Some(db), dh0].into_iter().flatten().collect()
            }
            L::CopyColumns { to, .. } => vec![to.place],
            L::DelayGrad { dx, dstate, .. } => [Some(dx), dstate].into_iter().flatten().collect(),
            L::CrossEntropy { loss, dlogits, .. } => {
                [Some(loss), dlogits].into_iter().flatten().collect()
            }
            L::MeanSquare { loss, dy, .. } => [Some(loss), dy].into_iter().flatten().collect(),
            L::GradNorm { .. } => vec![Place::new(Space::Report, 2, minrnn_kernels::Elem::F32)],
            L::AdamW { len, .. } => [Space::Params, Space::First, Space::Second]
                .map(|s| Place::new(s, len, minrnn_kernels::Elem::F32))
                .to_vec(),
        }
    }
}
