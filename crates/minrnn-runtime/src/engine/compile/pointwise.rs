//! Operations value by value, with the broadcasts of ONNX among trailing dimensions.

use std::sync::Arc;

use crate::proto::NodeProto;

use super::{Compiler, Outcome, volume};
use crate::engine::constant::Constant;
use crate::engine::instr::{Instr, Operand};
use crate::engine::value::{Elem, Flow, Phase, Value, View};
use crate::kernels::{self, Binary, Cpu, Unary};

impl<'a> Compiler<'a> {
    pub(super) fn unary(&mut self, node: &'a NodeProto, op: Unary) -> Outcome<'a> {
        if let Value::Const(c) = self.operand(node, 0)? {
            // Of the model alone: computed once.
            let x = c.f32s().filter(|_| c.elem == Elem::F32);
            let x = x.ok_or("a constant of another type than f32")?;
            let mut values = vec![0.0; x.len()];
            kernels::unary(Cpu::scalar(), op, &x, &mut values);
            let y = Constant::of_values(c.dims.clone(), values);
            return Ok(vec![Value::Const(y.into())]);
        }
        let x = self.flow(node, 0)?;
        if x.elem != Elem::F32 {
            return Err(format!("{} of another type than f32", node.op_type));
        }
        let y = self.result(&x, Elem::F32, x.dims.clone())?;
        self.emit(
            x.phase,
            Instr::Unary {
                op,
                x: x.at,
                out: y.at.reg,
            },
        );
        Ok(vec![Value::Flow(y)])
    }

    pub(super) fn arithmetic(&mut self, node: &'a NodeProto, op: Binary) -> Outcome<'a> {
        if let Some(ints) = self.int_arithmetic(node)? {
            return Ok(vec![ints]);
        }
        if let Some(ends) = self.later_ends(node)? {
            return Ok(vec![ends]);
        }
        if node.input.len() != 2 {
            return Err(format!("{} of {} tensors", node.op_type, node.input.len()));
        }
        // A filler of a tensor without time is a constant of its trailing dimensions.
        let plain = |value: Value<'a>, other: &Value<'a>| match (value, other) {
            (Value::Spread(c), Value::Flow(f)) if f.extent.is_none() => Value::Const(c),
            (value, _) => value,
        };
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        if let (Value::Const(a), Value::Const(b)) = (&a, &b) {
            return Ok(vec![Value::Const(constants(op, a, b)?.into())]);
        }
        let (a, b) = (plain(a.clone(), &b), plain(b, &a));
        let y = self.binary(op, &a, &b)?;
        Ok(vec![Value::Flow(y)])
    }

    fn binary(&mut self, op: Binary, a: &Value<'a>, b: &Value<'a>) -> Result<Flow, String> {
        let like = match (a, b) {
            (Value::Flow(a), Value::Flow(b)) => paired(a, b)?,
            (Value::Flow(f), Value::Const(_)) | (Value::Const(_), Value::Flow(f)) => f,
            _ => return Err(format!("{op:?} of {} and {}", a.kind(), b.kind())),
        };
        let mut dims = vec![];
        for side in [a, b] {
            let trailing = match side {
                Value::Flow(f) => f.dims.clone(),
                Value::Const(c) => c
                    .aligned(like.dims.len().max(stripped(&c.dims)))
                    .ok_or("a constant with rows")?,
                _ => return Err("no operand".into()),
            };
            dims = broadcast(&dims, &trailing)?;
        }
        if dims.len() > like.dims.len() {
            return Err("a constant of more dimensions than the tensor".into());
        }
        let phase = like.phase;
        let like = like.clone();
        let width = volume(&dims).ok_or("too many values a row")?;
        let a = self.side(a, &dims, width, phase)?;
        let b = self.side(b, &dims, width, phase)?;
        let y = self.result(&like, Elem::F32, dims)?;
        self.emit(
            phase,
            Instr::Binary {
                op,
                a,
                b,
                out: y.at.reg,
            },
        );
        Ok(y)
    }

    /// `value` as an operand of a result of these dimensions.
    fn side(
        &mut self,
        value: &Value<'a>,
        dims: &[usize],
        width: usize,
        phase: Phase,
    ) -> Result<Operand, String> {
        match value {
            Value::Const(c) => match c.scalar() {
                Some(x) => Ok(Operand::Scalar(x)),
                None => {
                    let row = c.spread_to(dims).ok_or("a constant that does not fit")?;
                    Ok(Operand::Fixed(row.into()))
                }
            },
            Value::Flow(f) if f.elem != Elem::F32 => Err("values of another type than f32".into()),
            Value::Flow(f) if f.width() == width => Ok(Operand::Row(f.at)),
            Value::Flow(f) if f.width() == 1 => Ok(Operand::Cell(f.at)),
            Value::Flow(f) => Ok(Operand::Row(self.spread(f.at, &f.dims, dims, phase)?)),
            _ => Err("no operand".into()),
        }
    }

    /// A view of `from` dimensions repeated to `to`, of which each is a multiple.
    pub(super) fn spread(
        &mut self,
        x: View,
        from: &[usize],
        to: &[usize],
        phase: Phase,
    ) -> Result<View, String> {
        let ones = std::iter::repeat_n(1, to.len() - from.len());
        let from: Vec<usize> = ones.chain(from.iter().copied()).collect();
        let total = volume(to).ok_or("too many values a row")?;
        let place = |at: usize| {
            let (mut rest, mut place, mut step) = (at, 0, 1);
            for (have, want) in from.iter().zip(to).rev() {
                place += rest % want % have * step;
                rest /= want;
                step *= have;
            }
            u32::try_from(place).unwrap_or(u32::MAX)
        };
        let out = self.register(phase, Elem::F32, total)?;
        let places: Arc<[u32]> = (0..total).map(place).collect();
        self.emit(
            phase,
            Instr::Pick {
                x,
                places,
                out: out.reg,
            },
        );
        Ok(out)
    }
}

/// A function of two constants, computed once.
fn constants(op: Binary, a: &Constant, b: &Constant) -> Result<Constant<'static>, String> {
    if [a.elem, b.elem] != [Elem::F32; 2] {
        return Err("constants of another type than f32".into());
    }
    let dims = broadcast(&a.dims, &b.dims)?;
    let count = volume(&dims).filter(|n| *n <= super::MAX_WIDTH);
    let mut values = vec![0.0; count.ok_or("too many values")?];
    let sides = [a, b].map(|c| c.spread_to(&dims));
    let [Some(a), Some(b)] = sides else {
        return Err("constants that do not fit".into());
    };
    let (a, b) = (kernels::Operand::Slice(&a), kernels::Operand::Slice(&b));
    kernels::binary(Cpu::scalar(), op, a, b, &mut values);
    Ok(Constant::of_values(dims, values))
}

/// The operand whose phase and time axis the result has.
fn paired<'f>(a: &'f Flow, b: &'f Flow) -> Result<&'f Flow, String> {
    if a.extent != b.extent {
        return Err("tensors of different lengths".into());
    }
    if a.phase == Phase::Rows && b.phase != Phase::Rows || a.lead() != b.lead() {
        return Err("a tensor of steps with one of none".into());
    }
    if a.dims.len() == b.dims.len() {
        return Ok(if a.phase >= b.phase { a } else { b });
    }
    Err("tensors of different ranks".into())
}

/// How many dimensions remain without leading ones.
fn stripped(dims: &[usize]) -> usize {
    dims.len() - dims.iter().take_while(|d| **d == 1).count()
}

pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| match (i + dims.len()).checked_sub(rank) {
        Some(i) => dims[i],
        None => 1,
    };
    let one = |i: usize| match (at(a, i), at(b, i)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        (x, y) => Err(format!("{x} values with {y}")),
    };
    (0..rank).map(one).collect()
}
