//! Groups and repeats of channels. Shapes here have no number for batch and time: a 0 in a Reshape keeps a dimension.

use minrnn_model::graph::{Binary, Node, Op, Reduction, Span, Value};

use super::Lower;
use crate::builder::Val;

/// A value that repeats another: its channels are `[groups, times, block]`, the source's `[groups, 1, block]`.
#[derive(Debug, Clone, Copy)]
struct Repeated {
    source: Value,
    groups: usize,
    times: usize,
    block: usize,
}

/// Axes that the channels are cut into, and what each argument has in their place.
type Cut = (Vec<usize>, [Vec<usize>; 2]);

impl Lower<'_> {
    /// Dimensions before the channels, as a Reshape keeps them.
    fn lead(&self, value: Value) -> Vec<i64> {
        match self.graph.span(value) {
            Span::Model { rows } => vec![rows as i64],
            Span::Step if !self.is_step() => vec![0, 0],
            Span::Row | Span::Step => vec![0],
        }
    }

    /// The channels of a value cut into axes.
    fn cut(&mut self, value: Value, axes: &[usize]) -> Val {
        let x = self.matrix(value);
        let mut dims = self.lead(value);
        dims.extend(axes.iter().map(|n| *n as i64));
        self.b.reshape(x, &dims)
    }

    /// Each group of channels to one.
    pub(super) fn reduce(&mut self, kind: Reduction, source: Value, group: usize) -> Val {
        let width = self.graph.width(source);
        let axis = self.lead(source).len() as i64;
        if group == width {
            let x = self.matrix(source);
            return self.reduction(kind, x, axis);
        }
        let x = self.cut(source, &[width / group, group]);
        let y = self.reduction(kind, x, axis + 1);
        self.b.squeeze(y, axis + 1)
    }

    fn reduction(&mut self, kind: Reduction, x: Val, axis: i64) -> Val {
        match kind {
            Reduction::Sum => self.b.reduce_sum(x, axis),
            Reduction::Mean => self.b.reduce_mean(x, axis),
        }
    }

    /// A repeat as a value of its own.
    pub(super) fn repeat(&mut self, source: Value, block: usize, times: usize) -> Val {
        let width = self.graph.width(source);
        if times == 1 {
            return self.matrix(source);
        }
        let lead = self.lead(source);
        let ones = |n: usize| vec![1i64; n];
        if width == 1 {
            let x = self.matrix(source);
            let dims = self
                .b
                .i64s(&[ones(lead.len()), vec![times as i64]].concat());
            return self.b.expand(x, dims);
        }
        let x = self.cut(source, &[width / block, 1, block]);
        let dims = [ones(lead.len() + 1), vec![times as i64, 1]].concat();
        let dims = self.b.i64s(&dims);
        let y = self.b.expand(x, dims);
        let whole = [lead, vec![(width * times) as i64]].concat();
        self.b.reshape(y, &whole)
    }

    /// The repeat that an argument of an elementwise operation is, unless it was made already, or is alike for all channels.
    fn repeated(&self, value: Value, width: usize) -> Option<Repeated> {
        let node = self.graph.node(value);
        let Op::Repeat { block, times } = node.op else {
            return None;
        };
        let fits = self.values[value.index()].is_none() && node.width == width && times > 1;
        fits.then(|| Repeated {
            source: node.inputs[0],
            groups: width / times / block,
            times,
            block,
        })
    }

    /// An elementwise operation of which an argument repeats channels: the source is broadcast, and the repeat never made.
    pub(super) fn binary_of_repeats(&mut self, f: Binary, node: &Node) -> Option<Val> {
        // Beside one channel for all, nothing would bring the repeat about.
        if node
            .inputs
            .iter()
            .any(|v| self.graph.width(*v) != node.width)
        {
            return None;
        }
        let repeats = [0, 1].map(|i| self.repeated(node.inputs[i], node.width));
        let (axes, own) = match repeats {
            [Some(x), Some(y)] => nested(x, y).unwrap_or_else(|| one_of([Some(x), None])),
            one => one.iter().any(Option::is_some).then(|| one_of(one))?,
        };
        let sides = [0, 1].map(|i| {
            let value = node.inputs[i];
            match repeats[i] {
                Some(repeat) if own[i] != axes => self.side(repeat.source, &own[i]),
                _ => self.side(value, &axes),
            }
        });
        let y = self.apply(f, sides[0], sides[1]);
        let lead = match node.span {
            Span::Model { rows } => vec![rows as i64],
            Span::Step if !self.is_step() => vec![0, 0],
            Span::Row | Span::Step => vec![0],
        };
        Some(self.b.reshape(y, &[lead, vec![node.width as i64]].concat()))
    }

    /// An argument with its channels cut into axes. One row that is computed from parameters alone needs no axes before them.
    fn side(&mut self, value: Value, axes: &[usize]) -> Val {
        if self.graph.span(value) != (Span::Model { rows: 1 }) {
            return self.cut(value, axes);
        }
        let x = self.value(value);
        let dims: Vec<i64> = axes.iter().map(|n| *n as i64).collect();
        self.b.reshape(x, &dims)
    }
}

/// Axes where one argument repeats; the other has them all.
fn one_of(repeats: [Option<Repeated>; 2]) -> Cut {
    let r = repeats.into_iter().flatten().next();
    let (groups, times, block) = r.map_or((1, 1, 1), |r| (r.groups, r.times, r.block));
    let axes = [groups, times, block];
    let own = repeats.map(|r| match r {
        Some(_) => vec![groups, 1, block],
        None => axes.to_vec(),
    });
    squeezed(axes.to_vec(), own)
}

/// Axes where both repeat, the one within the blocks of the other: an outer product is the plainest of these.
fn nested(x: Repeated, y: Repeated) -> Option<Cut> {
    let inner = |a: Repeated, b: Repeated| b.block.is_multiple_of(a.times * a.block);
    let (a, b, turned) = match (inner(x, y), inner(y, x)) {
        (true, _) => (x, y, false),
        (_, true) => (y, x, true),
        _ => return None,
    };
    let within = b.block / (a.times * a.block);
    let axes = vec![b.groups, b.times, within, a.times, a.block];
    let of_a = vec![b.groups, b.times, within, 1, a.block];
    let of_b = vec![b.groups, 1, within, a.times, a.block];
    let own = if turned { [of_b, of_a] } else { [of_a, of_b] };
    Some(squeezed(axes, own))
}

/// Without axes of 1; at least one stays.
fn squeezed(axes: Vec<usize>, own: [Vec<usize>; 2]) -> Cut {
    let keep: Vec<bool> = axes.iter().map(|n| *n > 1).collect();
    let cut = |list: Vec<usize>| -> Vec<usize> {
        let kept = list.iter().zip(&keep).filter(|(_, keep)| **keep);
        kept.map(|(n, _)| *n).collect()
    };
    (cut(axes.clone()), own.map(cut))
}
