//! Values from attributes, counts and shapes.

use super::cast::cast;
use super::{Array, Call, Done, Fault, Kind, Op, op, smooth};
use crate::ir::{Attr, DType, Node};

pub(super) const OPS: &[Op] = &[
    smooth("ConstantOfShape", 9, fill),
    op("Range", 11, Kind::Steps, range),
    op("EyeLike", 9, Kind::Shape, eye),
    smooth("Dropout", 7, dropout),
];

/// The value of a Constant.
pub(in super::super) fn constant(node: &Node) -> Result<Array, Fault> {
    let [(name, attr)] = &node.attributes[..] else {
        return Err(Fault::attribute("value", "wanted one attribute, the value"));
    };
    if !node.inputs.is_empty() {
        return Err(Fault::UnknownInput(0));
    }
    Ok(match (name.as_str(), attr) {
        ("value", Attr::Tensor(t)) => Array::of_tensor(t)?,
        ("value_int", Attr::Int(n)) => Array::of_i64s(vec![], std::iter::once(*n)),
        ("value_ints", Attr::Ints(v)) => Array::of_i64s(vec![v.len()], v.iter().copied()),
        ("value_float", Attr::Float(v)) => {
            Array::of_floats(DType::F32, vec![], vec![f64::from(*v)])
        }
        ("value_floats", Attr::Floats(v)) => Array::of_floats(
            DType::F32,
            vec![v.len()],
            v.iter().map(|x| f64::from(*x)).collect(),
        ),
        _ => {
            return Err(Fault::attribute(
                name,
                format!("a constant of kind {} is not evaluated", attr.kind()),
            ));
        }
    })
}

fn fill(call: &Call) -> Done {
    let dims = call.sizes(0)?;
    let total = call.room(&dims)?;
    let value = match call.tensor("value")? {
        Some(t) => Array::of_tensor(t)?,
        None => Array::of_floats(DType::F32, vec![1], vec![0.0]),
    };
    if value.len() != 1 {
        return Err(Fault::attribute("value", "wanted one value"));
    }
    Ok(vec![value.pick(dims, std::iter::repeat_n(0, total))])
}

fn range(call: &Call) -> Done {
    let (start, limit, delta) = (call.x(0)?, call.x(1)?, call.x(2)?);
    super::alike(start, limit)?;
    super::alike(start, delta)?;
    if call.opset >= 27 {
        call.int("stash_type", 1)?;
    }
    let zero = || Fault::input(2, "is 0");
    if start.is_float() {
        let (a, b, s) = (call.one_float(0)?, call.one_float(1)?, call.one_float(2)?);
        let count = ((b - a) / s).ceil();
        if s == 0.0 || !count.is_finite() {
            return Err(zero());
        }
        let count = count.max(0.0) as usize;
        call.room(&[count])?;
        let all = (0..count).map(|i| a + i as f64 * s).collect();
        return Ok(vec![Array::of_floats(start.dtype(), vec![count], all)]);
    }
    let (a, b, s) = (call.one_i64(0)?, call.one_i64(1)?, call.one_i64(2)?);
    if s == 0 {
        return Err(zero());
    }
    let way = (i128::from(b) - i128::from(a)) * i128::from(s.signum());
    let count = way
        .max(0)
        .unsigned_abs()
        .div_ceil(u128::from(s.unsigned_abs()));
    let count = usize::try_from(count).map_err(|_| Fault::Shape("too many steps".into()))?;
    call.room(&[count])?;
    let all = (0..count as i128)
        .map(|i| i128::from(a) + i * i128::from(s))
        .collect();
    Ok(vec![Array::of_ints(start.dtype(), vec![count], all)])
}

fn eye(call: &Call) -> Done {
    let x = call.x(0)?;
    let [rows, columns] = *x.dims() else {
        return Err(Fault::input(0, "wanted a matrix"));
    };
    let dtype = call.dtype("dtype")?.unwrap_or(x.dtype());
    let k = call.int("k", 0)?;
    let on = |i: usize| {
        let (r, c) = ((i / columns) as i64, (i % columns) as i64);
        i128::from(r.saturating_add(k) == c)
    };
    let all = Array::of_ints(
        DType::I64,
        vec![rows, columns],
        (0..rows * columns).map(on).collect(),
    );
    Ok(vec![cast(&all, dtype)?])
}

/// At inference everything passes.
fn dropout(call: &Call) -> Done {
    let x = call.x(0)?;
    if call.opset < 12 {
        call.float("ratio", 0.5)?;
    } else {
        let seed = call.opt_int("seed")?;
        let ratio = match call.opt(1) {
            Some(_) => call.one_float(1)?,
            None => 0.5,
        };
        let training = match call.opt(2) {
            Some(_) => call.ints(2)?.iter().any(|n| *n != 0),
            None => false,
        };
        if training && ratio != 0.0 {
            let _ = seed;
            return Err(Fault::input(2, "is true: in training the result is random"));
        }
    }
    let mask = Array::of_bools(x.dims().to_vec(), (0..x.len()).map(|_| true));
    // Before opset 10 the mask has the type of the data.
    let mask = if call.opset < 10 {
        cast(&mask, x.dtype())?
    } else {
        mask
    };
    Ok(vec![x.clone(), mask])
}
