//! Values that files look for: a mask that is 0, frames of padding, a number that stands for nothing. Normal numbers never hit them.
//!
//! Inputs of floats are followed through what keeps their values to a comparison, a choice or a cast that decides; cases of a few steps are
//! run once more with the numbers that stand there, and 0 and 1, among the others.

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::interface::Link;
use super::looked::looked_for;
use super::port::Elem;
use super::spec::Role;
use super::tensor::{Reading, Tensor};
use super::way::Draw;

/// The longest case with such values.
const LONGEST: usize = 64;

impl Two {
    /// A case with the values that the files look for among its inputs, from the initial states; `None`: they look for none, or it is long.
    pub(crate) fn marked(&self, case: &Case, rng: &mut Rng) -> Result<Option<Case>> {
        let mut marked = Case {
            draw: Draw::Marked,
            states: None,
            ..case.clone()
        };
        let mut any = false;
        let short = case.time <= LONGEST.max(self.face.length.unwrap_or(0));
        for (i, link) in self.face.links.iter().enumerate() {
            if [Elem::Bool, Elem::Str].contains(&link.elem) || self.keeps(i) || !short {
                continue;
            }
            let width = link.roles.iter().map(|r| match r {
                Role::Fixed(n) => *n,
                _ => 1,
            });
            let width = width.product::<usize>().max(1);
            let sides = [0, 1].map(|k| looked_for(&self.files[k].model, &link.names[k], width));
            let mut all: Vec<f64> = sides.into_iter().flatten().collect();
            link.keep_meant(&mut all);
            if !all.is_empty() {
                any = true;
                marked.data[i] = mark(link, &marked.data[i], &all, rng)?;
            }
        }
        Ok(any.then_some(marked))
    }
}

/// The same tensor with these values in places: whole steps of a row, and entries alone. The first step stays as it is: a row that is masked
/// wholly is another question. What is infinite or no number stands at one place each: behind it there may be no other number.
fn mark(link: &Link, t: &Tensor, all: &[f64], rng: &mut Rng) -> Result<Tensor> {
    let mut values = t.values(Reading::Exact);
    let mut unlike: Vec<f64> = vec![];
    for v in all {
        if !unlike.iter().any(|u| u.to_bits() == v.to_bits()) {
            unlike.push(*v);
        }
    }
    let (finite, strange): (Vec<f64>, Vec<f64>) = unlike.into_iter().partition(|v| v.is_finite());
    // One after the other, so that each has its place where there are a few.
    let mut next = rng.below(finite.len().max(1));
    let mut value = || {
        next += 1;
        finite.get(next % finite.len().max(1)).copied()
    };
    let shape = t.shape();
    let of_step = |r: &Role| matches!(r, Role::Batch | Role::Time);
    // What stands behind the last axis of rows or steps belongs to one step.
    let behind = link.roles.iter().rposition(of_step).map_or(0, |i| i + 1);
    let width: usize = shape.iter().skip(behind).product();
    let inner: usize = link
        .time()
        .map_or(0, |axis| shape.iter().skip(axis + 1).product());
    let steps = link.time().map_or(1, |axis| shape[axis]);
    for (i, step) in values.chunks_mut(width.max(1)).enumerate() {
        let whole = rng.below(3) == 0;
        let alike = whole.then(&mut value).flatten();
        let at = i * width.max(1) / inner.max(1);
        let first = inner > 0 && at.is_multiple_of(steps.max(1));
        for v in step.iter_mut().filter(|_| !first) {
            if whole {
                *v = alike.unwrap_or(*v);
            } else if rng.below(4) == 0 {
                *v = value().unwrap_or(*v);
            }
        }
    }
    let count = values.len();
    for (k, value) in strange.iter().enumerate() {
        // The later half of a row, one row each as far as there are so many.
        let at = count.checked_sub(1 + k * count / strange.len().max(1));
        if let Some(v) = at.and_then(|at| values.get_mut(at)) {
            *v = *value;
        }
    }
    match link.elem.is_float() {
        true => Tensor::floats(link.elem, shape, &values),
        false => {
            let ints: Vec<i128> = values.iter().map(|v| *v as i128).collect();
            Tensor::ints(link.elem, shape, &ints)
        }
    }
}
