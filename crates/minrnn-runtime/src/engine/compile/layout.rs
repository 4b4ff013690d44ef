//! Views and copies: Split, Slice, Concat, Squeeze, Unsqueeze, Expand along dimensions other than the time.

use std::rc::Rc;

use super::{Compiler, Outcome, attribute, axis_of, int};
use crate::engine::constant::Constant;
use crate::engine::instr::{Instr, Part};
use crate::engine::length::Length;
use crate::engine::value::{Elem, Flow, Phase, Value, View};
use crate::proto::NodeProto;

impl<'a> Compiler<'a> {
    pub(super) fn split(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let axis = int(node, "axis").unwrap_or(0);
        let count = node.output.len();
        let given = match attribute(node, "split") {
            Some(sizes) => Some(sizes.ints.clone()),
            None if node.input.len() > 1 && !node.input[1].is_empty() => {
                Some(self.numbers(node, 1)?)
            }
            None => None,
        };
        let sizes = |whole: usize| -> Result<Vec<usize>, String> {
            let sizes: Option<Vec<usize>> = match &given {
                Some(sizes) => sizes.iter().map(|n| usize::try_from(*n).ok()).collect(),
                None if whole.is_multiple_of(count) => Some(vec![whole / count; count]),
                None => None,
            };
            let total = |v: &Vec<usize>| v.iter().try_fold(0usize, |n, d| n.checked_add(*d));
            sizes
                .filter(|v| v.len() == count && !v.contains(&0) && total(v) == Some(whole))
                .ok_or_else(|| "parts that do not add up".into())
        };
        match self.operand(node, 0)? {
            Value::Const(c) => {
                let axis = axis_of(axis, c.dims.len())?;
                let parts = c.split(axis, &sizes(c.dims[axis])?);
                let parts = parts.ok_or("a constant of another type")?;
                Ok(parts
                    .into_iter()
                    .map(|p| Value::Const(Rc::new(p)))
                    .collect())
            }
            Value::Flow(x) => {
                let axis = own_axis(axis, &x)?;
                let mut from = 0;
                let mut parts = vec![];
                for size in sizes(x.dims[axis])? {
                    parts.push(Value::Flow(self.narrow(&x, axis, from, size)?));
                    from += size;
                }
                Ok(parts)
            }
            other => Err(format!("Split of {}", other.kind())),
        }
    }

    /// Entries `from..from + len` of the dimension `axis`: a view, or a copy where they do not lie together.
    pub(super) fn narrow(
        &mut self,
        x: &Flow,
        axis: usize,
        from: usize,
        len: usize,
    ) -> Result<Flow, String> {
        let mut dims = x.dims.clone();
        dims[axis] = len;
        let inner: usize = x.dims[axis + 1..].iter().product();
        let outer: usize = x.dims[..axis].iter().product();
        let part = |o: usize| View {
            reg: x.at.reg,
            offset: x.at.offset + (o * x.dims[axis] + from) * inner,
            width: len * inner,
        };
        if outer == 1 {
            return Ok(Flow {
                at: part(0),
                dims,
                ..x.clone()
            });
        }
        if x.elem != Elem::F32 {
            return Err("a copy of another type than f32".into());
        }
        let y = self.result(x, x.elem, dims)?;
        let parts = (0..outer).map(|o| Part::View(part(o))).collect();
        self.emit(
            x.phase,
            Instr::Copy {
                parts,
                out: y.at.reg,
            },
        );
        Ok(y)
    }

    pub(super) fn slice(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let one = |at: usize| -> Result<Length, String> {
            match self.ints(node, at)?.as_deref() {
                Some([dim]) => Ok(dim.clone()),
                _ => Err("Slice along several axes, or to computed places".into()),
            }
        };
        let (start, end) = (one(1)?, one(2)?);
        let axis = match node.input.len() {
            0..=3 => 0,
            _ => self.numbers(node, 3)?[0],
        };
        if node.input.len() > 4 && self.numbers(node, 4)? != [1] {
            return Err("Slice with steps".into());
        }
        let value = match self.operand(node, 0)? {
            Value::Ints(ints) => {
                if axis_of(axis, 1)? != 0 {
                    return Err("Slice of a shape".into());
                }
                let (from, to) = fixed_range(&start, &end, ints.len())?;
                Value::Ints(ints[from..to].to_vec())
            }
            Value::Flow(x) if x.extent.is_some() && axis_of(axis, x.rank())? == 1 => {
                self.slice_time(&x, &start, &end)?
            }
            Value::Flow(x) => {
                let axis = own_axis(axis, &x)?;
                let (from, to) = fixed_range(&start, &end, x.dims[axis])?;
                Value::Flow(self.narrow(&x, axis, from, to - from)?)
            }
            Value::Extended(x) if axis_of(axis, x.x.rank())? == 1 => {
                self.slice_extended(&x, &start, &end)?
            }
            Value::Blocks(x) if axis == 1 => return self.slice_blocks(&x, &start, &end),
            other => return Err(format!("Slice of {}", other.kind())),
        };
        Ok(vec![value])
    }

    pub(super) fn concat(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let axis = int(node, "axis").unwrap_or(0);
        let parts: Vec<Value> = (0..node.input.len())
            .map(|at| self.operand(node, at))
            .collect::<Result<_, _>>()?;
        let ints: Result<Vec<_>, String> = (0..parts.len()).map(|at| self.ints(node, at)).collect();
        if let Some(all) = ints?.into_iter().collect::<Option<Vec<_>>>() {
            axis_of(axis, 1)?;
            return Ok(vec![Value::Ints(all.concat())]);
        }
        if let Some(value) = self.concat_time(&parts, axis)? {
            return Ok(vec![value]);
        }
        let like = parts.iter().find_map(|p| match p {
            Value::Flow(f) => Some(f.clone()),
            _ => None,
        });
        let like = like.ok_or("Concat of constants")?;
        let at = own_axis(axis, &like)?;
        let outer: usize = like.dims[..at].iter().product();
        let mut phase = like.phase;
        let mut dims = like.dims.clone();
        dims[at] = 0;
        let mut rows: Vec<Vec<Part>> = vec![vec![]; outer];
        for part in &parts {
            let (have, pieces) = pieces(part, &like, at, outer)?;
            let others = |d: &[usize]| [&d[..at], &d[at + 1..]].concat();
            if have.len() != dims.len() || others(&have) != others(&dims) {
                return Err(format!("Concat of {have:?} with {dims:?}"));
            }
            dims[at] = dims[at].checked_add(have[at]).ok_or("too many values")?;
            if let Value::Flow(f) = part {
                phase = phase.max(f.phase);
                if (f.phase == Phase::Rows) != (like.phase == Phase::Rows) {
                    return Err("Concat of steps with a state".into());
                }
            }
            rows.iter_mut().zip(pieces).for_each(|(r, p)| r.push(p));
        }
        let like = Flow { phase, ..like };
        let y = self.result(&like, Elem::F32, dims)?;
        let parts = rows.concat();
        self.emit(
            phase,
            Instr::Copy {
                parts,
                out: y.at.reg,
            },
        );
        Ok(vec![Value::Flow(y)])
    }

    /// A constant with its axes in another order: made once, when the file is opened.
    pub(super) fn transpose(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let x = self.operand(node, 0)?;
        let rank = match &x {
            Value::Const(c) => c.dims.len(),
            Value::Flow(x) => x.rank(),
            Value::Extended(x) => x.x.rank(),
            Value::Blocks(x) => [3, 4, 4, 3][usize::from(x.stage)],
            other => return Err(format!("Transpose of {}", other.kind())),
        };
        let order: Option<Vec<usize>> = match attribute(node, "perm") {
            None => Some((0..rank).rev().collect()),
            Some(perm) => perm.ints.iter().map(|a| usize::try_from(*a).ok()).collect(),
        };
        let turned = match (x, order) {
            (Value::Const(c), Some(order)) => {
                c.transposed(&order).map(|c| Value::Const(Rc::new(c)))
            }
            (Value::Flow(x), Some(order)) => {
                let before = x.clone();
                let turned = self.turned(x, &order)?;
                if let (Some(turned), [0, 2, 1]) = (&turned, &order[..]) {
                    self.turned.insert(turned.at.reg, before);
                }
                turned.map(Value::Flow)
            }
            (Value::Extended(x), Some(order)) if order == [0, 2, 1] => Some(Value::Turned(x)),
            (Value::Blocks(x), Some(order)) => return self.turn_blocks(&x, &order),
            _ => None,
        };
        let turned = turned.ok_or("Transpose to another type, rank or order")?;
        Ok(vec![turned])
    }

    /// The axes behind the batch and the time in another order; `None`: these two would move, or it is no order.
    fn turned(&mut self, x: Flow, order: &[usize]) -> Result<Option<Flow>, String> {
        let lead = x.lead();
        let (first, rest) = order.split_at(lead.min(order.len()));
        let rest: Option<Vec<usize>> = rest.iter().map(|a| a.checked_sub(lead)).collect();
        let rest = rest.unwrap_or_default();
        let mut sorted = rest.clone();
        sorted.sort_unstable();
        let is_order = sorted.iter().copied().eq(0..x.dims.len());
        if !first.iter().copied().eq(0..lead) || !is_order || x.elem != Elem::F32 {
            return Ok(None);
        }
        let dims: Vec<usize> = rest.iter().map(|a| x.dims[*a]).collect();
        let step = |axis: usize| x.dims[axis + 1..].iter().product::<usize>();
        let place = |mut at: usize| {
            let mut place = 0;
            for (axis, dim) in rest.iter().zip(&dims).rev() {
                place += at % dim * step(*axis);
                at /= dim;
            }
            u32::try_from(place).unwrap_or(u32::MAX)
        };
        let places = (0..x.width()).map(place).collect();
        let y = self.result(&x, Elem::F32, dims)?;
        let instr = Instr::Pick {
            x: x.at,
            places,
            out: y.at.reg,
        };
        self.emit(x.phase, instr);
        Ok(Some(y))
    }

    pub(super) fn squeeze(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let axes = match attribute(node, "axes") {
            Some(axes) => axes.ints.clone(),
            None => self.numbers(node, 1)?,
        };
        let [axis] = axes[..] else {
            return Err("several axes at once".into());
        };
        let insert = node.op_type == "Unsqueeze";
        match self.operand(node, 0)? {
            Value::Flow(x) => {
                let x = match x.extent.as_ref().and_then(Length::number) {
                    // One step only: its row is the row's last.
                    Some(1) if !insert && axis_of(axis, x.rank())? == 1 => {
                        self.capture(&x, None, &[-1], false)?
                    }
                    _ => x,
                };
                let rank = x.rank() + usize::from(insert);
                let at = axis_of(axis, rank)?.checked_sub(x.lead());
                let at = at.ok_or_else(|| format!("{} of the batch or the time", node.op_type))?;
                let mut dims = x.dims.clone();
                if insert {
                    dims.insert(at, 1);
                } else if dims.remove(at) != 1 {
                    return Err("Squeeze of a dimension that is not 1".into());
                }
                Ok(vec![Value::Flow(Flow { dims, ..x })])
            }
            Value::Ends { offsets, dims } if insert => {
                let rank = 1 + dims.as_ref().map_or(0, |d| 1 + d.len());
                if axis_of(axis, rank + 1)? != rank {
                    return Err("Unsqueeze of ends before their last axis".into());
                }
                let dims = dims.map_or_else(Vec::new, |d| [d, vec![1]].concat());
                let dims = Some(dims);
                Ok(vec![Value::Ends { offsets, dims }])
            }
            Value::Const(c) => {
                let mut dims = c.dims.clone();
                if insert {
                    dims.insert(axis_of(axis, dims.len() + 1)?, 1);
                } else if dims.remove(axis_of(axis, dims.len())?) != 1 {
                    return Err("Squeeze of a dimension that is not 1".into());
                }
                Ok(vec![Value::Const(Rc::new(c.reshaped(dims)))])
            }
            other => Err(format!("{} of {}", node.op_type, other.kind())),
        }
    }
}

/// `axis` among the trailing dimensions of a flow.
pub(super) fn own_axis(axis: i64, x: &Flow) -> Result<usize, String> {
    let at = axis_of(axis, x.rank())?;
    at.checked_sub(x.lead())
        .ok_or_else(|| "an operation along the batch or the time".into())
}

/// `start..end` of a dimension of `len` entries, as ONNX counts.
fn fixed_range(start: &Length, end: &Length, len: usize) -> Result<(usize, usize), String> {
    let place = |d: &Length| -> Result<usize, String> {
        let n = d.number().ok_or("computed places")?;
        let n = if n < 0 {
            n.saturating_add(len as i64)
        } else {
            n
        };
        Ok(usize::try_from(n.max(0)).map_or(len, |n| n.min(len)))
    };
    let (from, to) = (place(start)?, place(end)?);
    if from < to {
        return Ok((from, to));
    }
    Err("a slice of nothing".into())
}

/// The dimensions of a part of a Concat, and its pieces for each of the `outer` rows.
fn pieces(
    part: &Value,
    like: &Flow,
    at: usize,
    outer: usize,
) -> Result<(Vec<usize>, Vec<Part>), String> {
    match part {
        Value::Flow(f) if f.elem == Elem::F32 && f.extent == like.extent => {
            let len = f.width() / outer.max(1);
            let piece = |o: usize| {
                Part::View(View {
                    reg: f.at.reg,
                    offset: f.at.offset + o * len,
                    width: len,
                })
            };
            if at >= f.dims.len() {
                return Err("Concat of different ranks".into());
            }
            Ok((f.dims.clone(), (0..outer).map(piece).collect()))
        }
        Value::Spread(c) if like.extent.is_none() && at < c.dims.len() => {
            let values = filler(c)?;
            let len = values.len() / outer.max(1);
            let piece = |o: usize| Part::Fixed(values[o * len..(o + 1) * len].into());
            Ok((c.dims.clone(), (0..outer).map(piece).collect()))
        }
        other => Err(format!("Concat of {}", other.kind())),
    }
}

fn filler(c: &Constant) -> Result<Vec<f32>, String> {
    let values = c.f32s().ok_or("a filler of another type")?;
    Ok(values.into_owned())
}
