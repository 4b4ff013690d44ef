//! Products with constant matrices, tables, reductions and casts.

use crate::proto::DataType;
use crate::proto::NodeProto;

use super::{Compiler, Outcome, attribute, axis_of, int};
use crate::engine::constant::Constant;
use crate::engine::instr::{Instr, Table};
use crate::engine::value::{Elem, Flow, Value};
use crate::kernels::Reduction;

impl<'a> Compiler<'a> {
    pub(super) fn matmul(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let (x, weight) = (self.flow(node, 0)?, self.constant(node, 1)?);
        let [k, n] = matrix_dims(&weight, &x)?;
        if weight.elem != x.elem || !matches!(x.elem, Elem::F32 | Elem::F16) {
            return Err("MatMul of two types".into());
        }
        let values = weight.f32s().ok_or("a weight without its values")?;
        let matrix = self.weights.matrix(k, n, &values);
        let dims = with_last(&x.dims, n);
        let y = self.result(&x, x.elem, dims.clone())?;
        let out = y.at.reg;
        self.emit(
            x.phase,
            Instr::Product {
                x: x.at,
                matrix,
                bias: None,
                out,
            },
        );
        if x.elem == Elem::F32 {
            return Ok(vec![Value::Flow(y)]);
        }
        // A product of halves is the f32 chain, rounded once at its end.
        let rounded = self.result(&x, Elem::F16, dims)?;
        self.emit(
            x.phase,
            Instr::RoundToHalf {
                x: y.at,
                out: rounded.at.reg,
            },
        );
        Ok(vec![Value::Flow(rounded)])
    }

    pub(super) fn matmul_integer(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let (x, weight) = (self.flow(node, 0)?, self.constant(node, 1)?);
        let [k, n] = matrix_dims(&weight, &x)?;
        if x.elem != Elem::U8 || weight.elem != Elem::U8 {
            return Err("MatMulInteger of other types than u8".into());
        }
        let zero = |at: usize| -> Result<u8, String> {
            if node.input.get(at).is_none_or(String::is_empty) {
                return Ok(0);
            }
            let point = self.constant(node, at)?;
            let values = point.u8s().filter(|v| v.len() == 1);
            values
                .map(|v| v[0])
                .ok_or_else(|| "a zero point that is no number".into())
        };
        let (x_zero, w_zero) = (zero(2)?, zero(3)?);
        if k > 1 << 15 {
            return Err("MatMulInteger over more values than i32 surely holds".into());
        }
        let values = weight.u8s().ok_or("a weight without its values")?;
        let matrix = self.weights.matrix_u8(k, n, &values, w_zero);
        let y = self.result(&x, Elem::I32, with_last(&x.dims, n))?;
        self.emit(
            x.phase,
            Instr::ProductInt {
                x: x.at,
                zero: x_zero,
                matrix,
                out: y.at.reg,
            },
        );
        Ok(vec![Value::Flow(y)])
    }

    pub(super) fn gather(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let (table, ids) = (self.constant(node, 0)?, self.flow(node, 1)?);
        if int(node, "axis").unwrap_or(0) != 0 || ids.elem != Elem::I64 || table.dims.len() < 2 {
            return Err("Gather of something other than rows by id".into());
        }
        let rows = match table.elem {
            Elem::F32 | Elem::F16 => {
                let values = table.f32s().ok_or("a table without its values")?;
                Table::F32(self.weights.table(&values))
            }
            Elem::U8 => {
                let values = table.u8s().ok_or("a table without its values")?;
                Table::U8(self.weights.byte_table(&values))
            }
            _ => return Err("a table of another type".into()),
        };
        let dims = [&ids.dims[..], &table.dims[1..]].concat();
        if ids.dims.iter().any(|d| *d != 1) {
            return Err("Gather by more than one id".into());
        }
        let y = self.result(&ids, table.elem, dims)?;
        self.emit(
            ids.phase,
            Instr::Gather {
                table: rows,
                ids: ids.at,
                out: y.at.reg,
            },
        );
        Ok(vec![Value::Flow(y)])
    }

    pub(super) fn reduce(&mut self, node: &'a NodeProto, op: Reduction) -> Outcome<'a> {
        let x = self.flow(node, 0)?;
        let axes = match attribute(node, "axes") {
            Some(axes) => axes.ints.clone(),
            None if node.input.len() > 1 => self.numbers(node, 1)?,
            None => return Err("a reduction over everything".into()),
        };
        let keep = int(node, "keepdims").unwrap_or(1) == 1;
        let [axis] = axes[..] else {
            return Err("a reduction over several axes".into());
        };
        let last = axis_of(axis, x.rank())? + 1 == x.rank();
        let group = x.dims.last().filter(|_| last && x.elem == Elem::F32);
        let group = *group.ok_or("a reduction over another axis than the last")?;
        let mut dims = with_last(&x.dims, 1);
        if !keep {
            dims.pop();
        }
        let y = self.result(&x, Elem::F32, dims)?;
        self.emit(
            x.phase,
            Instr::Reduce {
                op,
                x: x.at,
                group,
                out: y.at.reg,
            },
        );
        Ok(vec![Value::Flow(y)])
    }

    pub(super) fn cast(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let to = int(node, "to").unwrap_or(0);
        let to = i32::try_from(to)
            .ok()
            .and_then(|t| DataType::try_from(t).ok());
        let to = match to {
            Some(DataType::Float) => Elem::F32,
            Some(DataType::Float16) => Elem::F16,
            Some(DataType::Uint8) => Elem::U8,
            Some(DataType::Int64) => Elem::I64,
            _ => return Err("a cast to another type".into()),
        };
        if let Value::Const(c) = self.operand(node, 0)? {
            // The bf16 weights of a file are f32 since it was read.
            return match c.elem == to || (c.elem, to) == (Elem::F16, Elem::F32) {
                true => {
                    let values = c.f32s().ok_or("a constant without its values")?;
                    let same = Constant::of_values(c.dims.clone(), values.into_owned());
                    Ok(vec![Value::Const(same.into())])
                }
                false => Err("a cast of a constant".into()),
            };
        }
        let x = self.flow(node, 0)?;
        match (x.elem, to) {
            (a, b) if a == b => return Ok(vec![Value::Flow(x)]),
            (Elem::F16, Elem::F32) => {
                let same = Flow {
                    elem: Elem::F32,
                    ..x
                };
                return Ok(vec![Value::Flow(same)]);
            }
            (Elem::F32, Elem::F16 | Elem::U8 | Elem::I64)
            | (Elem::U8 | Elem::I32 | Elem::Bool, Elem::F32) => {}
            _ => return Err("a cast between these types".into()),
        }
        let y = self.result(&x, to, x.dims.clone())?;
        let instr = match to {
            Elem::F16 => Instr::RoundToHalf {
                x: x.at,
                out: y.at.reg,
            },
            _ => Instr::Cast {
                x: x.at,
                from: x.elem,
                to,
                out: y.at.reg,
            },
        };
        self.emit(x.phase, instr);
        Ok(vec![Value::Flow(y)])
    }
}

fn matrix_dims(weight: &Constant, x: &Flow) -> Result<[usize; 2], String> {
    match weight.dims[..] {
        [k, n] if x.dims.last() == Some(&k) && x.width() == k => Ok([k, n]),
        _ => Err(format!("a product of {:?} with {:?}", x.dims, weight.dims)),
    }
}

fn with_last(dims: &[usize], last: usize) -> Vec<usize> {
    let mut dims = dims.to_vec();
    if let Some(d) = dims.last_mut() {
        *d = last;
    }
    dims
}
