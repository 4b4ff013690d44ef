//! Values in another shape, and values repeated: Reshape, Expand, Tile, among trailing dimensions.

use std::rc::Rc;

use super::{Compiler, Outcome, volume};
use crate::engine::length::Length;
use crate::engine::value::{Elem, Flow, Value};
use crate::proto::NodeProto;

impl<'a> Compiler<'a> {
    /// A constant for each row of the batch, indices of ends for each channel, or values of a row repeated.
    pub(super) fn expand(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let shape = self.ints(node, 1)?.ok_or("Expand to a computed shape")?;
        let number = |d: &Length| d.number().and_then(|n| usize::try_from(n).ok());
        match self.operand(node, 0)? {
            Value::Const(c) if c.dims.len() == shape.len() && c.dims.len() > 1 => {
                let rest: Option<Vec<usize>> = shape[1..].iter().map(number).collect();
                let fits = |dims: &Vec<usize>| {
                    let mut pairs = dims.iter().zip(&c.dims[1..]);
                    pairs.all(|(want, have)| *want == 1 || want == have)
                };
                if c.dims[0] != 1 || shape[0] != self.b || !rest.as_ref().is_some_and(fits) {
                    return Err("Expand along other axes than the batch".into());
                }
                let spread = c.reshaped(c.dims[1..].to_vec());
                Ok(vec![Value::Spread(Rc::new(spread))])
            }
            Value::Ends {
                offsets,
                dims: Some(dims),
            } => {
                let rest: Option<Vec<usize>> = shape.iter().map(number).collect();
                let rest = rest.filter(|r| r.len() == dims.len() + 2 && r[0] == 1 && r[1] == 1);
                let rest = rest.ok_or("Expand of ends along other axes than the channels")?;
                let dims = super::pointwise::broadcast(&dims, &rest[2..])?;
                volume(&dims).ok_or("too many values a row")?;
                let dims = Some(dims);
                Ok(vec![Value::Ends { offsets, dims }])
            }
            Value::Flow(x) => {
                let dims = self.trailing(&x, &shape)?;
                let dims = super::pointwise::broadcast(&x.dims, &dims)?;
                Ok(vec![Value::Flow(self.repeated(x, dims)?)])
            }
            other => Err(format!("Expand of {}", other.kind())),
        }
    }

    /// Values of a row, axis by axis so many times one behind the other.
    pub(super) fn tile(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let times = self.numbers(node, 1)?;
        let x = self.flow(node, 0)?;
        let (lead, times) = times
            .split_at_checked(x.lead())
            .ok_or("Tile of another rank")?;
        if times.len() != x.dims.len() || lead.iter().any(|n| *n != 1) {
            return Err("Tile along the batch or the time".into());
        }
        let pairs = x.dims.iter().zip(times);
        let dims = pairs.map(|(dim, n)| dim.checked_mul(usize::try_from(*n).ok()?));
        let dims: Option<Vec<usize>> = dims.collect();
        let dims = dims.ok_or("too many values a row")?;
        Ok(vec![Value::Flow(self.repeated(x, dims)?)])
    }

    /// The batch and the time as they are; the dimensions behind them in another way.
    pub(super) fn reshape(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let shape = self.ints(node, 1)?.ok_or("Reshape to a computed shape")?;
        match self.operand(node, 0)? {
            Value::Const(c) => {
                let dims = settled(&shape, &c.dims, c.len()).ok_or("Reshape of a constant")?;
                Ok(vec![Value::Const(Rc::new(c.reshaped(dims)))])
            }
            Value::Blocks(x) => self.reshape_blocks(&x, &shape),
            Value::Flow(x) => {
                let lead = x.lead();
                let kept = [Some(&self.b), x.extent.as_ref()];
                let same = |(want, have): (&Length, &Length)| {
                    want == have || matches!(want.number(), Some(0 | -1))
                };
                let (first, rest) = shape.split_at_checked(lead).unwrap_or_default();
                // Of the places that are to be found out there is but one.
                let free = shape.iter().filter(|n| n.number() == Some(-1)).count();
                let kept = first.len() == lead
                    && free <= 1
                    && first.iter().zip(kept.into_iter().flatten()).all(same);
                let dims = settled(rest, &x.dims, x.width()).filter(|_| kept);
                let dims = dims.ok_or("Reshape of the batch or the time")?;
                Ok(vec![Value::Flow(Flow { dims, ..x })])
            }
            other => Err(format!("Reshape of {}", other.kind())),
        }
    }

    /// The dimensions of `shape` behind the batch and the time, which it leaves as they are.
    fn trailing(&self, x: &Flow, shape: &[Length]) -> Result<Vec<usize>, String> {
        let kept = [Some(&self.b), x.extent.as_ref()];
        let kept: Vec<&Length> = kept.into_iter().flatten().collect();
        let missing = x.rank().checked_sub(shape.len());
        let missing = missing.ok_or("Expand to another rank")?;
        let (first, rest) = shape.split_at(kept.len().saturating_sub(missing).min(shape.len()));
        let mut pairs = first.iter().zip(kept.iter().skip(missing));
        if !pairs.all(|(want, have)| want == *have || want.number() == Some(1)) {
            return Err("Expand along the batch or the time".into());
        }
        let dims = rest.iter().map(|d| usize::try_from(d.number()?).ok());
        let dims: Option<Vec<usize>> = dims.collect();
        dims.ok_or_else(|| "Expand to computed dimensions".into())
    }

    /// `x` repeated to `dims`, each a multiple of what it has.
    fn repeated(&mut self, x: Flow, dims: Vec<usize>) -> Result<Flow, String> {
        if dims == x.dims {
            return Ok(x);
        }
        if x.elem != Elem::F32 {
            return Err("values of another type than f32, repeated".into());
        }
        let at = self.spread(x.at, &x.dims, &dims, x.phase)?;
        Ok(Flow { at, dims, ..x })
    }
}

/// A shape of `count` values as ONNX has it: 0 is what was there, -1 what is left.
fn settled(shape: &[Length], before: &[usize], count: usize) -> Option<Vec<usize>> {
    let mut dims = vec![];
    let mut free = None;
    for (at, length) in shape.iter().enumerate() {
        dims.push(match length.number()? {
            0 => *before.get(at)?,
            -1 if free.is_none() => {
                free = Some(at);
                1
            }
            n => usize::try_from(n).ok()?,
        });
    }
    let rest = volume(&dims).filter(|n| *n > 0)?;
    if let Some(at) = free {
        dims[at] = count / rest;
    }
    (volume(&dims) == Some(count)).then_some(dims)
}
