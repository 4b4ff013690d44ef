//! The operators: a file a family, a line an operator.

mod activation;
mod attention;
mod blocks;
pub(super) mod cast;
mod conv;
pub(super) mod cut;
mod einsum;
mod elementwise;
mod gather;
mod layout;
mod linear_attention;
mod loss;
pub(super) mod make;
mod norm;
mod pad;
mod pool;
mod product;
mod quantize;
mod reduce;
mod rnn;
mod rnn_activation;
mod rotary;
mod scatter;
mod softmax;
mod sort;
mod spectral;
mod window;

use super::EvalErrorKind as Fault;
use super::array::Array;
use super::call::{Call, Done, axes, axis};
use crate::ir::{MICROSOFT, is_standard};

/// How an operator depends on floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Float results follow float inputs; other results are decisions.
    Smooth,
    /// Every result is a decision: a small change of an input may make a large one of the result.
    Steps,
    /// Decides between elements of one input.
    Chooses,
    /// Reads shapes of floats, not their values.
    Shape,
    /// Smooth, with steps inside that an engine rounds: whatever calls `settle` without being asked for fused operators. It runs once for
    /// each reading, also of inputs that have one.
    Inner,
}

/// An operator.
pub(super) struct Op {
    /// Of `com.microsoft` instead of the standard.
    microsoft: bool,
    name: &'static str,
    /// The first opset that has it.
    since: i64,
    pub(super) kind: Kind,
    pub(super) run: fn(&Call) -> Done,
}

/// An operator of the standard.
const fn op(name: &'static str, since: i64, kind: Kind, run: fn(&Call) -> Done) -> Op {
    Op {
        microsoft: false,
        name,
        since,
        kind,
        run,
    }
}

const fn smooth(name: &'static str, since: i64, run: fn(&Call) -> Done) -> Op {
    op(name, since, Kind::Smooth, run)
}

/// An operator of `com.microsoft`.
const fn microsoft(name: &'static str, kind: Kind, run: fn(&Call) -> Done) -> Op {
    Op {
        microsoft: true,
        name,
        since: 1,
        kind,
        run,
    }
}

const FAMILIES: &[&[Op]] = &[
    activation::OPS,
    attention::OPS,
    blocks::OPS,
    cast::OPS,
    conv::OPS,
    cut::OPS,
    einsum::OPS,
    elementwise::OPS,
    gather::OPS,
    layout::OPS,
    linear_attention::OPS,
    loss::OPS,
    make::OPS,
    norm::OPS,
    pad::OPS,
    pool::OPS,
    product::OPS,
    quantize::OPS,
    reduce::OPS,
    rnn::OPS,
    rotary::OPS,
    scatter::OPS,
    softmax::OPS,
    sort::OPS,
    spectral::OPS,
];

/// An operator in an opset of its domain.
pub(super) fn find(domain: &str, name: &str, opset: i64) -> Option<&'static Op> {
    let theirs = domain == MICROSOFT;
    if !theirs && !is_standard(domain) {
        return None;
    }
    let mut all = FAMILIES.iter().copied().flatten();
    all.find(|o| o.name == name && o.microsoft == theirs && (theirs || o.since <= opset))
}

/// Domain and name of every operator that is evaluated, in order; the domain of the standard is empty.
pub fn operators() -> Vec<(&'static str, &'static str)> {
    let all = FAMILIES.iter().copied().flatten();
    let own = all.map(|o| (if o.microsoft { MICROSOFT } else { "" }, o.name));
    let mut all: Vec<_> = own
        .chain(["Constant", "If", "Loop", "Scan"].map(|n| ("", n)))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Row-major steps of each axis.
fn strides(dims: &[usize]) -> Vec<isize> {
    let mut steps = vec![1isize; dims.len()];
    for i in (1..dims.len()).rev() {
        steps[i - 1] = steps[i].saturating_mul(dims[i] as isize);
    }
    steps
}

/// Flat positions of all elements of a box, in row-major order, from a start and a step for each axis.
fn offsets(start: isize, dims: &[usize], steps: &[isize]) -> Vec<usize> {
    if dims.contains(&0) {
        return vec![];
    }
    let mut all = vec![start];
    for (d, s) in dims.iter().zip(steps) {
        let mut next = Vec::with_capacity(all.len() * d);
        for o in &all {
            next.extend((0..*d as isize).map(|p| o + p * s));
        }
        all = next;
    }
    all.into_iter().map(|o| o as usize).collect()
}

/// The common shape of several, by the rules of broadcasting.
fn broadcast(all: &[&[usize]]) -> Result<Vec<usize>, Fault> {
    let rank = all.iter().map(|d| d.len()).max().unwrap_or(0);
    let mut dims = vec![1; rank];
    for one in all {
        for (to, from) in dims.iter_mut().rev().zip(one.iter().rev()) {
            match (*to, *from) {
                (a, b) if a == b => {}
                (1, b) => *to = b,
                (_, 1) => {}
                _ => return Err(Fault::Shape(format!("the shapes {all:?} do not broadcast"))),
            }
        }
    }
    Ok(dims)
}

/// Where each element of a broadcast shape comes from.
fn sources(from: &[usize], to: &[usize]) -> Vec<usize> {
    let own = strides(from);
    let shift = to.len() - from.len();
    let step = |i: usize| match i.checked_sub(shift) {
        Some(k) if from[k] == to[i] => own[k],
        _ => 0,
    };
    let steps: Vec<isize> = (0..to.len()).map(step).collect();
    offsets(0, to, &steps)
}

/// An array repeated to a shape that it broadcasts to.
fn repeat(call: &Call, x: &Array, dims: &[usize]) -> Result<Array, Fault> {
    if x.dims() == dims {
        return Ok(x.clone());
    }
    if broadcast(&[x.dims(), dims])? != dims {
        let from = x.dims();
        return Err(Fault::Shape(format!(
            "{from:?} does not broadcast to {dims:?}"
        )));
    }
    call.room(dims)?;
    Ok(x.pick(dims.to_vec(), sources(x.dims(), dims).into_iter()))
}

/// The elements of an array in groups: where each group begins, and the offsets of its elements; with the shape that has 1 for
/// every axis that is gone.
struct Groups {
    dims: Vec<usize>,
    begins: Vec<usize>,
    inner: Vec<usize>,
}

impl Groups {
    fn new(call: &Call, dims: &[usize], gone: &[usize]) -> Result<Self, Fault> {
        let steps = strides(dims);
        let side = |is_gone: bool| {
            let axes = (0..dims.len()).filter(|a| gone.contains(a) == is_gone);
            let (d, s): (Vec<usize>, Vec<isize>) = axes.map(|a| (dims[a], steps[a])).unzip();
            offsets(0, &d, &s)
        };
        let (begins, inner) = (side(false), side(true));
        let one = |(a, d): (usize, &usize)| if gone.contains(&a) { 1 } else { *d };
        let dims: Vec<usize> = dims.iter().enumerate().map(one).collect();
        call.room(&dims)?;
        Ok(Self {
            dims,
            begins,
            inner,
        })
    }

    /// Flat positions of a group.
    fn of(&self, begin: usize) -> impl DoubleEndedIterator<Item = usize> + Clone + '_ {
        self.inner.iter().map(move |i| begin + i)
    }
}

/// Both of one type.
fn alike(a: &Array, b: &Array) -> Result<(), Fault> {
    match a.dtype() == b.dtype() {
        true => Ok(()),
        false => Err(Fault::Type(format!("{} beside {}", a.dtype(), b.dtype()))),
    }
}

/// A tensor of at least that rank.
fn rank(x: &Array, least: usize) -> Result<usize, Fault> {
    match x.dims().len() {
        n if n >= least => Ok(n),
        n => Err(Fault::Shape(format!(
            "has {n} axes, wanted at least {least}"
        ))),
    }
}

fn wrong_word(name: &str, word: &str) -> Fault {
    Fault::attribute(name, format!("`{word}` is not a value of the standard"))
}
