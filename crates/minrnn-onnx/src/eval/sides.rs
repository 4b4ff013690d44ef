//! One node in all readings of its inputs.

use super::EvalErrorKind as Fault;
use super::array::Array;
use super::budget::Meter;
use super::call::Call;
use super::moved::moved;
use super::ops::{self, Kind, Op};
use super::value::Value;
use crate::ir::Node;

/// A node that is an operator, with what it stands on.
pub(super) struct At<'a> {
    pub(super) op: &'a Op,
    pub(super) node: &'a Node,
    pub(super) opset: i64,
    pub(super) meter: &'a Meter,
}

/// Outputs of a node, and whether their very shapes hang on an edge.
pub(super) struct Outcome {
    pub(super) values: Vec<Value>,
    pub(super) shape_on_edge: bool,
}

impl At<'_> {
    fn once(&self, inputs: &[Option<&Array>], stepwise: bool) -> Result<Vec<Array>, Fault> {
        let call = Call::new(self.node, self.opset, inputs, stepwise, self.meter);
        let read = inputs.iter().flatten().map(|a| a.len());
        self.meter.spend(&[1 + read.sum::<usize>()])?;
        let outputs = (self.op.run)(&call)?;
        call.all_read()?;
        let wanted = self.node.outputs.iter().rposition(|o| !o.is_empty());
        match wanted.filter(|last| *last >= outputs.len()) {
            Some(last) => Err(Fault::UnknownOutput(last)),
            None => {
                self.meter.spend(&[outputs.iter().map(Array::len).sum()])?;
                Ok(outputs)
            }
        }
    }

    /// Evaluates the node: both readings where its inputs have two, and what else could be where it decides near an edge.
    pub(super) fn run(&self, inputs: &[Option<&Value>]) -> Result<Outcome, Fault> {
        let exact: Vec<_> = inputs.iter().map(|i| i.map(|v| &v.exact)).collect();
        let steps: Vec<_> = inputs.iter().map(|i| i.map(|v| &v.stepwise)).collect();
        let settled = inputs.iter().flatten().all(|v| v.settled());
        let stepwise = self.once(&steps, true)?;
        let decides = |a: &Array| self.op.kind == Kind::Steps || !a.is_float();
        let twice = self.op.kind == Kind::Inner
            || self.meter.unrounded
            || self.meter.fused
            || self.meter.is_moving();
        let read = inputs.iter().flatten().map(|v| v.stepwise.len()).max();
        let once = settled && !twice;
        let both = if once || stepwise.iter().all(decides) {
            stepwise.clone()
        } else {
            self.once(&exact, false)?
        };
        let others = self.others(inputs, &steps, &stepwise, settled)?;
        let mut shape_on_edge = false;
        let each = stepwise.into_iter().zip(both).enumerate();
        let values = each.map(|(i, (s, e))| {
            let decided = decides(&s);
            let rounded = s.rounded();
            // f16 and bf16 are rounded where they are made: the standard says so. What decides gives what it decided.
            let short = !self.meter.unrounded
                && matches!(s.dtype(), crate::ir::DType::F16 | crate::ir::DType::BF16);
            let exact = if decided || e.dims() != s.dims() {
                rounded.clone()
            } else if short {
                e.rounded()
            } else if e.shares(&s) && rounded.shares(&s) {
                rounded.clone()
            } else {
                e
            };
            let other = others.as_ref().and_then(|o| {
                let o = o.get(i)?.as_ref()?;
                shape_on_edge |= o.dims() != s.dims();
                (o.dims() == s.dims()).then(|| o.rounded())
            });
            let stepwise = match decided {
                true => rounded,
                false => {
                    let first = steps.first().copied().flatten();
                    moved(self.node, (first, read.unwrap_or(0)), rounded, self.meter)
                }
            };
            Value {
                exact,
                stepwise,
                other,
            }
        });
        let values = values.collect();
        Ok(Outcome {
            values,
            shape_on_edge,
        })
    }

    /// What the outputs would be on the other side of every edge; `None` where there is none.
    fn others(
        &self,
        inputs: &[Option<&Value>],
        steps: &[Option<&Array>],
        now: &[Array],
        settled: bool,
    ) -> Result<Option<Vec<Option<Array>>>, Fault> {
        let mut found: Vec<Option<Array>> = vec![None; now.len()];
        if inputs.iter().flatten().any(|v| v.other.is_some()) {
            let given: Vec<_> = inputs
                .iter()
                .map(|i| i.map(|v| v.other.as_ref().unwrap_or(&v.stepwise)))
                .collect();
            // Where the other side has no result, it is not a side.
            if let Ok(outputs) = self.once(&given, true) {
                found = outputs.into_iter().map(Some).collect();
            }
        }
        let decides = |a: &Array| self.op.kind == Kind::Steps || !a.is_float();
        let floats = steps.iter().flatten().any(|a| a.is_float());
        if !settled && floats && self.op.kind != Kind::Shape && now.iter().any(decides) {
            let ties = self.ties(inputs, steps)?;
            for pattern in self.patterns(steps) {
                let moved: Vec<Option<Array>> = inputs
                    .iter()
                    .enumerate()
                    .map(|(k, i)| i.map(|v| v.moved(|at| pattern(k, at))))
                    .collect();
                let moved: Vec<_> = moved.iter().map(Option::as_ref).collect();
                let Ok(mut outputs) = self.once(&moved, true) else {
                    continue;
                };
                if let (Some(ties), [moved], [now]) = (&ties, &mut outputs[..], now) {
                    keep(ties, now, moved);
                }
                for ((found, moved), now) in found.iter_mut().zip(outputs).zip(now) {
                    if decides(now) {
                        merge(found, now, moved);
                    }
                }
            }
        }
        Ok(found.iter().any(Option::is_some).then_some(found))
    }

    /// Of a comparison: where both of its sides are one number in both readings. However that was rounded, it is the same value twice (a
    /// maximum beside what it was found among), and what moves one moves the other.
    fn ties(
        &self,
        inputs: &[Option<&Value>],
        steps: &[Option<&Array>],
    ) -> Result<Option<Vec<bool>>, Fault> {
        const COMPARE: [&str; 5] = ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"];
        let compares = COMPARE.contains(&self.node.op_type.as_str());
        let Some(equal) = ops::find(&self.node.domain, "Equal", self.opset).filter(|_| compares)
        else {
            return Ok(None);
        };
        let at = At { op: equal, ..*self };
        let exact: Vec<_> = inputs.iter().map(|i| i.map(|v| &v.exact)).collect();
        let [rounded, exact] = [at.once(steps, true)?, at.once(&exact, false)?];
        let (Some(a), Some(b)) = (rounded[0].ints(), exact[0].ints()) else {
            return Ok(None);
        };
        let same = a.len() == b.len();
        Ok(same.then(|| {
            a.iter()
                .zip(b.iter())
                .map(|(a, b)| *a != 0 && *b != 0)
                .collect()
        }))
    }

    /// Which elements of which inputs go up together: all, or for operators that choose among elements such that any two
    /// go apart once.
    fn patterns(&self, inputs: &[Option<&Array>]) -> Vec<Box<dyn Fn(usize, usize) -> bool>> {
        let mut all: Vec<Box<dyn Fn(usize, usize) -> bool>> =
            vec![Box::new(|k, _| k % 2 == 0), Box::new(|k, _| k % 2 == 1)];
        if self.op.kind == Kind::Chooses {
            let longest = inputs.iter().flatten().map(|a| a.len()).max().unwrap_or(0);
            for bit in 0..usize::BITS - longest.leading_zeros() {
                all.push(Box::new(move |_, at| at >> bit & 1 == 1));
                all.push(Box::new(move |_, at| at >> bit & 1 == 0));
            }
        }
        all
    }
}

/// Takes back what moving decided where nothing moves apart.
fn keep(ties: &[bool], now: &Array, moved: &mut Array) {
    let (Some(n), Some(m)) = (now.ints(), moved.ints()) else {
        return;
    };
    if n.len() != ties.len() || m.len() != ties.len() {
        return;
    }
    let each = n.iter().zip(m.iter()).zip(ties);
    let all = each
        .map(|((n, m), tie)| if *tie { *n } else { *m })
        .collect();
    *moved = Array::of_ints(now.dtype(), now.dims().to_vec(), all);
}

/// Takes over where `moved` decides otherwise than `now`.
fn merge(found: &mut Option<Array>, now: &Array, moved: Array) {
    if moved.dims() != now.dims() {
        found.get_or_insert(moved);
        return;
    }
    let base = found.clone().unwrap_or_else(|| now.clone());
    if base.dims() != now.dims() {
        return;
    }
    let joined = match (now.floats(), moved.floats(), base.floats()) {
        (Some(n), Some(m), Some(b)) => {
            if n.iter().zip(m).all(|(n, m)| super::array::same(*n, *m)) {
                return;
            }
            let each = n.iter().zip(m).zip(b);
            now.with(
                each.map(|((n, m), b)| if n == m { *b } else { *m })
                    .collect(),
            )
        }
        _ => {
            let (Some(n), Some(m), Some(b)) = (now.ints(), moved.ints(), base.ints()) else {
                return;
            };
            if n == m {
                return;
            }
            let each = n.iter().zip(m).zip(b);
            let all = each
                .map(|((n, m), b)| if n == m { *b } else { *m })
                .collect();
            Array::of_ints(now.dtype(), now.dims().to_vec(), all)
        }
    };
    *found = Some(joined);
}
