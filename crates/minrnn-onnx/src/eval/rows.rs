//! Values taken apart along an axis and put together again, in every reading.

use super::EvalErrorKind as Fault;
use super::array::{Array, count};
use super::ops::cut::{join, part};
use super::value::Value;

/// Every reading by a function.
pub(super) fn each(v: &Value, f: impl Fn(&Array) -> Result<Array, Fault>) -> Result<Value, Fault> {
    let stepwise = f(&v.stepwise)?;
    let exact = if v.settled() {
        stepwise.clone()
    } else {
        f(&v.exact)?
    };
    let other = v.other.as_ref().map(&f).transpose()?;
    Ok(Value {
        exact,
        stepwise,
        other,
    })
}

/// The entry `at` along an axis, without the axis.
pub(super) fn slice(v: &Value, axis: usize, at: usize) -> Result<Value, Fault> {
    each(v, |a| {
        let one = part(a, axis, at, at + 1)?;
        let mut dims = one.dims().to_vec();
        dims.remove(axis);
        Ok(one.shaped(dims))
    })
}

/// Values as the entries along a new axis.
pub(super) fn stack(rows: &[Value], axis: usize, backwards: bool) -> Result<Value, Fault> {
    let one = |v: &Value| {
        each(v, |a| {
            let mut dims = a.dims().to_vec();
            dims.insert(axis.min(dims.len()), 1);
            Ok(a.shaped(dims))
        })
    };
    let mut all = rows.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    if backwards {
        all.reverse();
    }
    joined(&all.iter().collect::<Vec<_>>(), axis)
}

/// Values one after the other along an axis, in every reading.
pub(super) fn joined(all: &[&Value], axis: usize) -> Result<Value, Fault> {
    if all.is_empty() {
        return Err(Fault::Shape("there is nothing to join".into()));
    }
    let along = |of: &dyn Fn(&Value) -> Array| -> Result<Array, Fault> {
        let all: Vec<Array> = all.iter().map(|v| of(v)).collect();
        join(&all.iter().collect::<Vec<_>>(), axis)
    };
    let stepwise = along(&|v| v.stepwise.clone())?;
    let exact = match all.iter().all(|v| v.settled()) {
        true => stepwise.clone(),
        false => along(&|v| v.exact.clone())?,
    };
    let other = match all.iter().any(|v| v.other.is_some()) {
        true => Some(along(&|v| {
            v.other.clone().unwrap_or_else(|| v.stepwise.clone())
        })?),
        false => None,
    };
    Ok(Value {
        exact,
        stepwise,
        other,
    })
}

/// What no step gave, gathered: the shape of what a step would give, with 0 along the axis.
pub(super) fn nothing(row: &Value, axis: usize) -> Result<Value, Fault> {
    let mut dims = row.stepwise.dims().to_vec();
    dims.insert(axis.min(dims.len()), 0);
    if count(&dims).is_none() {
        return Err(Fault::Shape(format!("{dims:?} is not possible")));
    }
    Ok(Value::known(row.stepwise.pick(dims, std::iter::empty())))
}
