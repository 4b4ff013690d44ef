//! What crosses time steps: the recurrence, the past of a convolution, padding, and each row's end.

use std::rc::Rc;

use crate::proto::NodeProto;

use super::{Compiler, Outcome, axis_of, int, volume};
use crate::engine::instr::{Capture, Carry, Instr, Part, Start};
use crate::engine::length::Length;
use crate::engine::value::{Elem, Extended, Flow, Phase, Value};
use crate::info::{Law, Recurrence};

/// Entries of the past, or of an end, that one tensor may have.
const MAX_STEPS: i64 = 1 << 12;

impl<'a> Compiler<'a> {
    /// The recurrence of the metadata in the place of `node`, which gives its `h`.
    pub(super) fn recurrence(
        &mut self,
        node: &'a NodeProto,
        names: &'a Recurrence,
    ) -> Result<(), String> {
        let known = |name: &str| match self.values.get(name) {
            Some(Value::Flow(flow)) if flow.elem == Elem::F32 => Ok(flow.clone()),
            _ => Err(format!("`{name}` is no tensor of the batch")),
        };
        let a = names.a.as_ref().map(|a| known(a)).transpose()?;
        let (b, h0) = (known(&names.b)?, known(&names.h0)?);
        let shaped = b.phase == Phase::Rows && b.extent.is_some() && b.dims.len() == 1;
        let like_b = |a: &Flow| b.phase == a.phase && b.extent == a.extent && b.dims == a.dims;
        if !shaped || !a.as_ref().is_none_or(like_b) {
            return Err("a and b are not of one shape [B, T, D]".into());
        }
        if h0.phase != Phase::Begin || h0.dims != b.dims {
            return Err("h0 is no state [B, D]".into());
        }
        let h = self.result(&b, Elem::F32, b.dims.clone())?;
        self.carries.push(Carry {
            steps: 1,
            start: Start::View(h0.at),
        });
        let carry = self.carries.len() - 1;
        self.emit(
            Phase::Rows,
            Instr::Recur {
                law: names.law,
                a: a.map(|a| a.at),
                b: b.at,
                carry,
                out: h.at.reg,
            },
        );
        self.values.insert(&names.h, Value::Flow(h.clone()));
        // A Scan gives the last state beside h; elsewhere nodes take it from h.
        if node.op_type == "Scan" && node.output.contains(&names.h_last) && names.h_last != names.h
        {
            let mut last = self.capture(&h, None, &[-1], false)?;
            last.dims.remove(0);
            self.values.insert(&names.h_last, Value::Flow(last));
        }
        Ok(())
    }

    /// Sums up to each step: `h[t] = 1 h[t-1] + x[t]`, from 0 on.
    pub(super) fn sums(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let (x, axis) = (self.flow(node, 0)?, self.constant(node, 1)?);
        let along = match axis.i64s().as_deref() {
            Some([axis]) => axis_of(*axis, x.rank())?,
            _ => return Err("CumSum along several axes".into()),
        };
        if along != 1 || x.extent.is_none() || x.phase != Phase::Rows || x.elem != Elem::F32 {
            return Err("CumSum along another axis than the time, or not of f32".into());
        }
        let one = self.result(&x, Elem::F32, x.dims.clone())?;
        self.emit(
            Phase::Rows,
            Instr::Copy {
                parts: vec![Part::Fixed(vec![1.0; x.width()].into())],
                out: one.at.reg,
            },
        );
        let h = self.result(&x, Elem::F32, x.dims.clone())?;
        self.carries.push(Carry {
            steps: 1,
            start: Start::Fixed(vec![0.0; x.width()].into()),
        });
        self.emit(
            Phase::Rows,
            Instr::Recur {
                law: Law::Linear,
                a: Some(one.at),
                b: x.at,
                carry: self.carries.len() - 1,
                out: h.at.reg,
            },
        );
        Ok(vec![Value::Flow(h)])
    }

    /// `Slice` along the time.
    pub(super) fn slice_time(
        &mut self,
        x: &Flow,
        start: &Length,
        end: &Length,
    ) -> Result<Value<'a>, String> {
        let extent = x.extent.clone().ok_or("no time axis")?;
        let (start, end) = (from_front(start, &extent)?, from_front(end, &extent)?);
        if start.number() == Some(0) && self.covers(&end, &extent) {
            let extent = Some(end);
            return Ok(Value::Flow(Flow {
                extent,
                ..x.clone()
            }));
        }
        let offsets = self.offsets(&start, &end)?;
        Ok(Value::Flow(self.capture(x, None, &offsets, false)?))
    }

    /// `Slice` along the time of a tensor with its past.
    pub(super) fn slice_extended(
        &mut self,
        x: &Extended,
        start: &Length,
        end: &Length,
    ) -> Result<Value<'a>, String> {
        let n = x.n as i64;
        let (start, end) = (from_front(start, &x.extent)?, from_front(end, &x.extent)?);
        let whole = x.x.extent.clone().ok_or("no time axis")?;
        if let Some(from) = start.number().filter(|from| (0..=n).contains(from)) {
            let extent = end.minus(&Length::of(from))?;
            if self.covers(&extent, &whole) {
                return self.delayed(x, (n - from) as usize, extent);
            }
            let inner = end.minus(&Length::of(n))?;
            if from == 0 && self.covers(&inner, &whole) {
                let extent = end;
                return Ok(Value::Extended(Rc::new(Extended {
                    extent,
                    ..x.clone()
                })));
            }
        }
        let offsets: Vec<i64> = self.offsets(&start, &end)?.iter().map(|o| o - n).collect();
        Ok(Value::Flow(self.capture(
            &x.x,
            Some(x.carry),
            &offsets,
            false,
        )?))
    }

    fn delayed(&mut self, x: &Extended, by: usize, extent: Length) -> Result<Value<'a>, String> {
        let extent = Some(extent);
        if by == 0 {
            return Ok(Value::Flow(Flow {
                extent,
                ..x.x.clone()
            }));
        }
        let y = self.result(&x.x, Elem::F32, x.x.dims.clone())?;
        self.emit(
            Phase::Rows,
            Instr::Delay {
                x: x.x.at,
                by,
                carry: x.carry,
                out: y.at.reg,
            },
        );
        Ok(Value::Flow(Flow { extent, ..y }))
    }

    /// Whether a piece of `len` steps from the first on has all T of them and is no longer than `whole`.
    fn covers(&self, len: &Length, whole: &Length) -> bool {
        if len == &self.t || len == whole {
            return true;
        }
        if let (Some(len), Some(whole), Some(t)) = (len.number(), whole.number(), self.t.number()) {
            return t <= len && len <= whole;
        }
        // T rounded up to a multiple of c, of a tensor with at least c - 1 steps more than T.
        let more = whole.minus(&self.t).ok().and_then(|more| more.number());
        let Some(more) = more.filter(|more| (1..MAX_STEPS).contains(more)) else {
            return false;
        };
        let up = self.t.plus(&Length::of(more));
        let up = up.and_then(|t| t.over(more + 1)?.times(more + 1));
        up.as_ref() == Ok(len)
    }

    /// Steps `start..end`, all at a fixed distance from T, as offsets from it.
    fn offsets(&self, start: &Length, end: &Length) -> Result<Vec<i64>, String> {
        let off = |d: &Length| d.minus(&self.t).ok()?.number();
        match (off(start), off(end)) {
            (Some(from), Some(to)) if from < to && to - from <= MAX_STEPS && from >= -1 => {
                Ok((from..to).collect())
            }
            _ => Err(format!("Slice {start}..{end} of the time")),
        }
    }

    /// The entries of `x` at the end plus an offset: `[B, offsets, dims..]`. `ragged`: at each row's own end.
    pub(super) fn capture(
        &mut self,
        x: &Flow,
        past: Option<usize>,
        offsets: &[i64],
        ragged: bool,
    ) -> Result<Flow, String> {
        let remembered = past.map_or(0, |carry| self.carries[carry].steps as i64);
        // Lengths are at least 1.
        let known = |o: &i64| *o < 0 && *o >= -1 - remembered;
        if x.phase != Phase::Rows || x.elem != Elem::F32 || !offsets.iter().all(known) {
            return Err("steps that may not be there".into());
        }
        let mut dims = vec![offsets.len()];
        dims.extend(&x.dims);
        let width = volume(&dims).ok_or("too many values a row")?;
        let at = self.register(Phase::End, Elem::F32, width)?;
        self.captures.push(Capture {
            offsets: offsets.to_vec(),
            ragged,
            past,
            width: x.width(),
            out: at.reg,
        });
        let capture = self.captures.len() - 1;
        self.emit(Phase::Rows, Instr::Capture { x: x.at, capture });
        Ok(Flow {
            phase: Phase::End,
            elem: Elem::F32,
            at,
            dims,
            extent: None,
        })
    }

    /// `Concat` along the time: steps after a past, or padded at their end. `None`: along another axis.
    pub(super) fn concat_time(
        &mut self,
        parts: &[Value<'a>],
        axis: i64,
    ) -> Result<Option<Value<'a>>, String> {
        let [first, second] = parts else {
            return Ok(None);
        };
        let steps = |v: &Value<'a>| match v {
            Value::Flow(f) if f.extent.is_some() => axis_of(axis, f.rank()) == Ok(1),
            _ => false,
        };
        match (first, second) {
            (Value::Flow(x), Value::Spread(pad)) if steps(first) => {
                if pad.dims.len() != x.dims.len() + 1 || pad.dims[1..] != x.dims {
                    return Err("padding of another shape".into());
                }
                let more = Length::of(pad.dims[0] as i64);
                let extent = x.extent.as_ref().map(|e| e.plus(&more)).transpose()?;
                Ok(Some(Value::Flow(Flow {
                    extent,
                    ..x.clone()
                })))
            }
            (Value::Spread(past), Value::Flow(x)) if steps(second) => {
                let values = past.f32s().ok_or("a past of another type")?;
                let start = Start::Fixed(values.into_owned().into());
                self.extended(&past.dims, start, x).map(Some)
            }
            (Value::Flow(past), Value::Flow(x)) if steps(second) && past.extent.is_none() => {
                if past.phase != Phase::Begin || past.elem != Elem::F32 {
                    return Err("a past that is no state".into());
                }
                self.extended(&past.dims, Start::View(past.at), x).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn extended(&mut self, past: &[usize], start: Start, x: &Flow) -> Result<Value<'a>, String> {
        let n = match past {
            [n, rest @ ..] if rest == x.dims && (1..=MAX_STEPS as usize).contains(n) => *n,
            _ => return Err("a past of another shape".into()),
        };
        if x.elem != Elem::F32 {
            return Err("a past of another type than f32".into());
        }
        self.carries.push(Carry { steps: n, start });
        let extent = x.extent.as_ref().ok_or("no time axis")?;
        Ok(Value::Extended(Rc::new(Extended {
            carry: self.carries.len() - 1,
            n,
            x: x.clone(),
            extent: extent.plus(&Length::of(n as i64))?,
        })))
    }

    /// Ends plus a constant of offsets; `None`: not that.
    pub(super) fn later_ends(&self, node: &NodeProto) -> Result<Option<Value<'a>>, String> {
        if node.op_type != "Add" || node.input.len() != 2 {
            return Ok(None);
        }
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let (offsets, dims, c) = match (a, b) {
            (
                Value::Ends {
                    offsets,
                    dims: Some(dims),
                },
                Value::Const(c),
            ) => (offsets, dims, c),
            (Value::Ends { .. }, _) | (_, Value::Ends { .. }) => {
                return Err("Add of ends and something other than a constant".into());
            }
            _ => return Ok(None),
        };
        let more = c.i64s().ok_or("offsets of another type")?;
        let small = more.iter().all(|o| o.unsigned_abs() <= MAX_STEPS as u64);
        let [at] = offsets[..] else {
            return Err("offsets of offsets".into());
        };
        let ones = c.dims.iter().skip(2).all(|d| *d == 1);
        if c.dims.len() != dims.len() + 2 || c.dims[0] != 1 || !ones || !small {
            return Err("offsets of another shape".into());
        }
        Ok(Some(Value::Ends {
            offsets: more.iter().map(|o| at.saturating_add(*o)).collect(),
            dims: Some(dims),
        }))
    }

    /// Entries at each row's end.
    pub(super) fn gather_elements(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let data = self.operand(node, 0)?;
        let Value::Ends {
            offsets,
            dims: Some(dims),
        } = self.operand(node, 1)?
        else {
            return Err("GatherElements at other places than ends".into());
        };
        let (x, past, n) = match data {
            Value::Flow(x) if x.extent.is_some() => (x, None, 0),
            Value::Extended(x) => (x.x.clone(), Some(x.carry), x.n as i64),
            other => return Err(format!("GatherElements of {}", other.kind())),
        };
        if axis_of(int(node, "axis").unwrap_or(0), x.rank())? != 1 || dims != x.dims {
            return Err("GatherElements along another axis than the time".into());
        }
        let offsets: Vec<i64> = offsets.iter().map(|o| o.saturating_sub(n)).collect();
        Ok(vec![Value::Flow(self.capture(&x, past, &offsets, true)?)])
    }
}

/// A place counted from the front: negative ones from the end, as ONNX counts; beyond the end is the end.
fn from_front(place: &Length, extent: &Length) -> Result<Length, String> {
    match place.number() {
        Some(n) if n < 0 => extent.plus(&Length::of(n.max(-(1 << 32)))),
        Some(n) if n >= 1 << 40 => Ok(extent.clone()),
        Some(n) => Ok(Length::of(extent.number().map_or(n, |len| n.min(len)))),
        None => Ok(place.clone()),
    }
}
