//! Scan, of opset 8 and from 9 on.

use super::{Made, Run, Scope, carried, no_shape, shape_of_body};
use crate::eval::EvalErrorKind as Fault;
use crate::eval::array::{Array, count};
use crate::eval::call::{Call, axis};
use crate::eval::ops::cut::part;
use crate::eval::plan::{Plan, Step};
use crate::eval::rows::{each, nothing, slice, stack};
use crate::eval::value::Value;

impl Run<'_> {
    pub(super) fn scan(
        &self,
        step: &Step,
        body: &Plan,
        inputs: &[Option<&Value>],
        scope: &Scope,
    ) -> Made {
        let call = Call::new(&step.node, step.opset, &[], false, self.meter);
        let scanned = call.opt_size("num_scan_inputs")?;
        let scanned = scanned.ok_or_else(|| Fault::attribute("num_scan_inputs", "is missing"))?;
        if step.opset < 9 {
            return self.scan_8(&call, body, inputs, scanned, scope);
        }
        let all = carried(inputs, 0)?;
        let many = all.len().checked_sub(scanned).filter(|_| scanned > 0);
        let many = many.ok_or_else(|| {
            Fault::attribute(
                "num_scan_inputs",
                format!("is {scanned} of {} inputs", all.len()),
            )
        })?;
        let outputs = body.outputs.len().checked_sub(many);
        let outputs = outputs.ok_or_else(|| shape_of_body(body, all.len(), many))?;
        let how = How {
            input_axes: list(&call, "scan_input_axes", scanned)?,
            input_back: list(&call, "scan_input_directions", scanned)?,
            output_axes: list(&call, "scan_output_axes", outputs)?,
            output_back: list(&call, "scan_output_directions", outputs)?,
        };
        call.all_read()?;
        let (states, inputs) = all.split_at(many);
        self.scan_one(body, states.to_vec(), inputs, &how, scope)
    }

    /// Opset 8: a batch around everything, lengths of its rows, axis 1 scanned.
    fn scan_8(
        &self,
        call: &Call,
        body: &Plan,
        inputs: &[Option<&Value>],
        scanned: usize,
        scope: &Scope,
    ) -> Made {
        let directions = list(call, "directions", scanned)?;
        call.all_read()?;
        let lens = inputs.first().copied().flatten();
        let all = carried(inputs.get(1..).unwrap_or(&[]), 1)?;
        let many = all.len().checked_sub(scanned).filter(|_| scanned > 0);
        let many =
            many.ok_or_else(|| Fault::attribute("num_scan_inputs", "is beyond the inputs"))?;
        let outputs = body.outputs.len().checked_sub(many);
        let outputs = outputs.ok_or_else(|| shape_of_body(body, all.len(), many))?;
        let batch = all[0].stepwise.dims().first().copied().unwrap_or(0);
        if batch == 0
            || all
                .iter()
                .any(|v| v.stepwise.dims().first() != Some(&batch))
        {
            return Err(
                Fault::Shape(format!("the inputs have no batch of {batch} in common")).into(),
            );
        }
        let time = all[many].stepwise.dims().get(1).copied().unwrap_or(0);
        let how = How {
            input_axes: vec![0; scanned],
            input_back: directions,
            output_axes: vec![0; outputs],
            output_back: vec![0; outputs],
        };
        let mut rows: Vec<Vec<Value>> = vec![vec![]; many + outputs];
        for b in 0..batch {
            let length = match lens.map(|l| l.stepwise.ints()) {
                None => time,
                Some(Some(l)) => match l.get(b).and_then(|n| usize::try_from(*n).ok()) {
                    Some(n) if n <= time => n,
                    _ => {
                        return Err(Fault::input(
                            0,
                            format!("no length within {time} for row {b}"),
                        )
                        .into());
                    }
                },
                Some(None) => return Err(Fault::input(0, "is no integer").into()),
            };
            let row: Result<Vec<Value>, Fault> = all.iter().map(|v| slice(v, 0, b)).collect();
            let row = row?;
            let (states, inputs) = row.split_at(many);
            let cut: Result<Vec<Value>, Fault> = inputs
                .iter()
                .map(|v| each(v, |a| part(a, 0, 0, length)))
                .collect();
            let made = self.scan_one(body, states.to_vec(), &cut?, &how, scope)?;
            for (i, (rows, v)) in rows.iter_mut().zip(made).enumerate() {
                let padded = if i < many {
                    v
                } else {
                    each(&v, |a| zeros_to(a, time))?
                };
                rows.push(padded);
            }
        }
        let all: Result<Vec<Value>, Fault> = rows.iter().map(|r| stack(r, 0, false)).collect();
        Ok(all?)
    }

    /// No step: the states as they are, and outputs of no entries, in the shape that a step on zeros gives.
    fn scan_nothing(
        &self,
        body: &Plan,
        states: Vec<Value>,
        (inputs, axes): (&[Value], &[usize]),
        how: &How,
        scope: &Scope,
    ) -> Made {
        let mut given = states.clone();
        for (v, a) in inputs.iter().zip(axes) {
            let mut dims = v.stepwise.dims().to_vec();
            dims.remove(*a);
            let total =
                count(&dims).ok_or_else(|| Fault::Shape(format!("{dims:?} is not possible")))?;
            self.meter.room(total)?;
            let zeros = v.stepwise.pick_or(None, dims, (0..total).map(|_| None));
            given.push(Value::known(zeros));
        }
        let given = body.inputs.iter().cloned().zip(given).collect();
        let (_, outputs) = self.plan(body, given, scope).map_err(|e| no_shape(&e))?;
        let rows = outputs.iter().skip(states.len()).zip(&how.output_axes);
        let rows = rows.map(|(v, a)| nothing(v, axis(*a, v.stepwise.dims().len() + 1)?));
        let rows = rows.collect::<Result<Vec<_>, Fault>>()?;
        Ok(states.into_iter().chain(rows).collect())
    }

    fn scan_one(
        &self,
        body: &Plan,
        mut states: Vec<Value>,
        inputs: &[Value],
        how: &How,
        scope: &Scope,
    ) -> Made {
        let many = states.len();
        if body.inputs.len() != many + inputs.len() || body.outputs.len() < many {
            return Err(shape_of_body(body, many + inputs.len(), many).into());
        }
        let mut time = None;
        let mut axes = vec![];
        for (v, a) in inputs.iter().zip(&how.input_axes) {
            let a = axis(*a, v.stepwise.dims().len())?;
            let size = v.stepwise.dims()[a];
            if *time.get_or_insert(size) != size {
                return Err(
                    Fault::Shape("the scanned axes are of different lengths".into()).into(),
                );
            }
            axes.push(a);
        }
        let time = time.unwrap_or(0);
        let mut gathered: Vec<Vec<Value>> = vec![vec![]; body.outputs.len() - many];
        for t in 0..time {
            let before = self.meter.spent();
            self.meter.spend(&[1])?;
            let mut given = states;
            for ((v, a), back) in inputs.iter().zip(&axes).zip(&how.input_back) {
                let at = if *back == 1 { time - 1 - t } else { t };
                given.push(slice(v, *a, at)?);
            }
            let (_, outputs) = self.plan(
                body,
                body.inputs.iter().cloned().zip(given).collect(),
                scope,
            )?;
            let mut outputs = outputs.into_iter();
            states = outputs.by_ref().take(many).collect();
            self.keep_rows(&mut gathered, outputs);
            if t == 0 {
                let each = self.meter.spent() - before;
                self.meter.could(each.saturating_mul(time as u64 - 1))?;
            }
        }
        if time == 0 && !gathered.is_empty() {
            return self.scan_nothing(body, states, (inputs, &axes), how, scope);
        }
        let mut all = states;
        for ((rows, a), back) in gathered.iter().zip(&how.output_axes).zip(&how.output_back) {
            let rank = rows.first().map_or(0, |r| r.stepwise.dims().len()) + 1;
            all.push(stack(rows, axis(*a, rank)?, *back == 1)?);
        }
        Ok(all)
    }
}

/// Axes and directions of a Scan.
struct How {
    input_axes: Vec<i64>,
    input_back: Vec<i64>,
    output_axes: Vec<i64>,
    output_back: Vec<i64>,
}

/// A list with an entry for each, all 0 if it is not there.
fn list(call: &Call, name: &str, count: usize) -> Result<Vec<i64>, Fault> {
    let all = call.opt_ints(name)?.map_or(vec![0; count], <[i64]>::to_vec);
    if all.len() != count {
        let what = format!("has {} entries, wanted {count}", all.len());
        return Err(Fault::attribute(name, what));
    }
    if name.contains("directions") && all.iter().any(|d| *d != 0 && *d != 1) {
        return Err(Fault::attribute(name, "a direction is 0 or 1"));
    }
    Ok(all)
}

fn zeros_to(a: &Array, time: usize) -> Result<Array, Fault> {
    let mut dims = a.dims().to_vec();
    let Some(first) = dims.first_mut() else {
        return Ok(a.clone());
    };
    *first = time;
    let total: usize = dims.iter().product();
    let len = a.len();
    Ok(a.pick_or(None, dims, (0..total).map(|i| (i < len).then_some(i))))
}
