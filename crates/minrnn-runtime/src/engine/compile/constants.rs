//! What is computed from constants alone, once, when a file is opened: moves and products. Functions value by value are folded where they
//! are compiled.

use std::rc::Rc;

use super::{Compiler, axis_of, int, volume};
use crate::engine::constant::Constant;
use crate::engine::value::{Elem, Value};
use crate::kernels::{Cpu, Matrix, Rows, RowsMut};
use crate::operator::{self, Meaning};
use crate::proto::NodeProto;

impl<'a> Compiler<'a> {
    /// The constant that a node gives, if all that it reads are constants, and it is one of those here.
    pub(super) fn folded(&mut self, node: &'a NodeProto) -> Result<Option<Value<'a>>, String> {
        let known = |name: &String| match self.values.get(name.as_str()) {
            Some(Value::Const(c)) => Some(c.clone()),
            _ => None,
        };
        let all: Option<Vec<Rc<Constant>>> = node.input.iter().map(known).collect();
        let Some(all) = all.filter(|a| a.first().is_some_and(|c| c.elem == Elem::F32)) else {
            return Ok(None);
        };
        let made = match (operator::meaning(&node.op_type), &all[..]) {
            (Meaning::MatMul, [x, w]) => product(x, w),
            (Meaning::Concat, parts) if parts.iter().all(|p| p.elem == Elem::F32) => {
                joined(parts, int(node, "axis").unwrap_or(0))
            }
            (Meaning::Gather, [x, at]) if at.dims.len() == 1 => {
                picked(x, at, int(node, "axis").unwrap_or(0))
            }
            (Meaning::Tile, [x, times]) => times.i64s().and_then(|t| tiled(x, &t)),
            (Meaning::Slice, [x, from, to, axis]) => sliced(x, [from, to, axis]),
            _ => return Ok(None),
        };
        match made {
            Some(c) => Ok(Some(Value::Const(c.into()))),
            None => Err(format!("{} of constants that do not fit", node.op_type)),
        }
    }
}

/// So many values are made, and no more.
fn room(dims: &[usize]) -> Option<usize> {
    volume(dims).filter(|n| (1..=super::MAX_WIDTH).contains(n))
}

fn product(x: &Constant, w: &Constant) -> Option<Constant<'static>> {
    let ([rows, k], [inner, n]) = (&x.dims[..], &w.dims[..]) else {
        return None;
    };
    let (x, w) = (x.f32s()?, w.f32s().filter(|_| w.elem == Elem::F32)?);
    let count = room(&[*rows, *n]).filter(|_| k == inner)?;
    let mut values = vec![0.0; count];
    let (from, to) = (
        Rows::new(&x, *rows, *k, *k),
        RowsMut::dense(&mut values, *rows),
    );
    Matrix::pack(*k, *n, &w).product(Cpu::detect(), from, None, to);
    Some(Constant::of_values(vec![*rows, *n], values))
}

/// Values before an axis, along it, and behind it.
fn around(dims: &[usize], axis: usize) -> [usize; 3] {
    let behind = dims[axis + 1..].iter().product();
    [dims[..axis].iter().product(), dims[axis], behind]
}

fn joined(parts: &[Rc<Constant>], axis: i64) -> Option<Constant<'static>> {
    let mut dims = parts.first()?.dims.clone();
    let axis = axis_of(axis, dims.len()).ok()?;
    dims[axis] = 0;
    for part in parts {
        let same = |i: usize| i == axis || part.dims[i] == dims[i];
        let fits = part.dims.len() == dims.len() && (0..dims.len()).all(same);
        dims[axis] = dims[axis].checked_add(part.dims[axis]).filter(|_| fits)?;
    }
    let values: Option<Vec<_>> = parts.iter().map(|p| p.f32s()).collect();
    let values = values?;
    let mut all = Vec::with_capacity(room(&dims)?);
    for outer in 0..dims[..axis].iter().product() {
        for (part, values) in parts.iter().zip(&values) {
            let [_, len, behind] = around(&part.dims, axis);
            let from = outer * len * behind;
            all.extend_from_slice(&values[from..from + len * behind]);
        }
    }
    Some(Constant::of_values(dims, all))
}

/// Entries `places` along an axis.
fn taken(x: &Constant, axis: usize, places: &[usize]) -> Option<Constant<'static>> {
    let values = x.f32s()?;
    let [before, len, behind] = around(&x.dims, axis);
    let mut dims = x.dims.clone();
    dims[axis] = places.len();
    let mut all = Vec::with_capacity(room(&dims)?);
    for outer in 0..before {
        for place in places {
            let from = (outer * len + place) * behind;
            all.extend_from_slice(values.get(from..from + behind).filter(|_| *place < len)?);
        }
    }
    Some(Constant::of_values(dims, all))
}

fn picked(x: &Constant, at: &Constant, axis: i64) -> Option<Constant<'static>> {
    let axis = axis_of(axis, x.dims.len()).ok()?;
    let len = x.dims[axis] as i64;
    let place = |n: &i64| usize::try_from(if *n < 0 { n + len } else { *n }).ok();
    let places: Option<Vec<usize>> = at.i64s()?.iter().map(place).collect();
    taken(x, axis, &places?)
}

fn tiled(x: &Constant, times: &[i64]) -> Option<Constant<'static>> {
    if times.len() != x.dims.len() {
        return None;
    }
    let mut all = x.reshaped(x.dims.clone());
    for (axis, times) in times.iter().enumerate() {
        let times = usize::try_from(*times).ok()?;
        let len = all.dims[axis];
        room(&[len, times])?;
        let places: Vec<usize> = (0..times).flat_map(|_| 0..len).collect();
        all = taken(&all, axis, &places)?;
    }
    // What nothing was repeated of is copied too, so that it is its own.
    all.f32s()
        .map(|v| Constant::of_values(all.dims.clone(), v.into_owned()))
}

fn sliced(x: &Constant, [from, to, axis]: [&Rc<Constant>; 3]) -> Option<Constant<'static>> {
    let one = |c: &Constant| c.i64s().filter(|v| v.len() == 1).map(|v| v[0]);
    let axis = axis_of(one(axis)?, x.dims.len()).ok()?;
    let len = x.dims[axis] as i64;
    let place = |n: i64| (if n < 0 { n.saturating_add(len) } else { n }).clamp(0, len) as usize;
    let places: Vec<usize> = (place(one(from)?)..place(one(to)?)).collect();
    taken(x, axis, &places)
}
