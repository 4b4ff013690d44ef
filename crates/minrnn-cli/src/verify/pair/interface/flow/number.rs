//! Arithmetic of shapes: what exporters write to make the shape of one tensor from another's.

use minrnn_onnx::ir::{Attr, Node};

use super::value::{Axis, Number, Value};

/// `Shape`: the length of each axis.
pub(super) fn shape(node: &Node, x: &Value) -> Value {
    let Some(axes) = &x.axes else {
        return Value::new(vec![Axis::default()]);
    };
    let rank = axes.len() as i64;
    let end = |name: &str, default: i64| {
        let at = node.int(name).unwrap_or(default);
        let at = if at < 0 { at + rank } else { at };
        at.clamp(0, rank) as usize
    };
    let (from, to) = (end("start", 0), end("end", rank));
    let one = |a: &Axis| match a.size {
        // A length of a fixed axis is a number as well; which input it is of still matters.
        Some(n) if a.origins.is_empty() => Number::Known(n),
        _ => Number::Length(a.clone()),
    };
    Value::list(axes[from.min(to)..to].iter().map(one).collect())
}

/// Two numbers, where an exporter computes with them.
pub(super) fn two(op: &str, a: &Value, b: &Value) -> Option<Vec<Number>> {
    let (x, y) = (a.numbers.as_ref()?, b.numbers.as_ref()?);
    let count = x.len().max(y.len());
    let fits = |v: &[Number]| v.len() == count || v.len() == 1;
    if !fits(x) || !fits(y) {
        return None;
    }
    let at = |v: &[Number], i: usize| v.get(if v.len() == 1 { 0 } else { i }).cloned();
    let one = |i: usize| {
        let (Some(p), Some(q)) = (at(x, i), at(y, i)) else {
            return Number::Unknown;
        };
        pair(op, p, q)
    };
    Some((0..count).map(one).collect())
}

fn pair(op: &str, p: Number, q: Number) -> Number {
    use Number::{Known, Length, Unknown};
    let known = |n: Option<i64>| n.map_or(Unknown, Known);
    match (op, p, q) {
        ("Add", Known(0), other) | ("Add" | "Sub", other, Known(0)) => other,
        ("Mul", Known(1), other) | ("Mul" | "Div", other, Known(1)) => other,
        ("Add", Known(a), Known(b)) => known(a.checked_add(b)),
        ("Sub", Known(a), Known(b)) => known(a.checked_sub(b)),
        ("Mul", Known(a), Known(b)) => known(a.checked_mul(b)),
        ("Div", Known(a), Known(b)) => known(a.checked_div(b)),
        ("Equal", Known(a), Known(b)) => Known(i64::from(a == b)),
        ("Equal", Length(_), Known(n)) | ("Equal", Known(n), Length(_)) if n < 0 => Known(0),
        ("Min", Known(a), Known(b)) => Known(a.min(b)),
        ("Max", Known(a), Known(b)) => Known(a.max(b)),
        ("Max", Known(n), length @ Length(_)) | ("Max", length @ Length(_), Known(n)) if n <= 0 => {
            length
        }
        _ => Unknown,
    }
}

/// `Where`, of lists.
pub(super) fn choose(c: &Value, a: &Value, b: &Value) -> Option<Vec<Number>> {
    let (c, a, b) = (c.known()?, a.numbers.as_ref()?, b.numbers.as_ref()?);
    let at = |v: &[Number], i: usize| v.get(if v.len() == 1 { 0 } else { i }).cloned();
    let one = |(i, c): (usize, &i64)| at(if *c != 0 { a } else { b }, i);
    c.iter().enumerate().map(one).collect()
}

/// `Constant`.
pub(super) fn constant(node: &Node) -> Value {
    let known = |v: Vec<i64>| v.into_iter().map(Number::Known).collect();
    match node.attributes.first() {
        Some((_, Attr::Tensor(t))) => Value::constant(t),
        Some((_, Attr::Int(n))) => Value {
            numbers: Some(known(vec![*n])),
            ..Value::new(vec![])
        },
        Some((_, Attr::Ints(v))) => Value::list(known(v.clone())),
        Some((_, Attr::Float(_))) => Value::new(vec![]),
        Some((_, Attr::Floats(v))) => Value::sized(&[v.len() as i64]),
        _ => Value::default(),
    }
}

/// The axes that an operator names, in an attribute or in an input.
pub(super) fn named(node: &Node, x: &[Value], at: usize) -> Option<Option<Vec<i64>>> {
    if let Some(axes) = node.ints("axes") {
        return Some(Some(axes.to_vec()));
    }
    match node.inputs.get(at) {
        Some(name) if !name.is_empty() => x.get(at)?.known().map(Some),
        _ => Some(None),
    }
}

/// A tensor of a shape that is a value: its axes are those that the numbers are the lengths of.
pub(super) fn of_shape(shape: &Value) -> Option<Vec<Axis>> {
    let numbers = match (&shape.numbers, shape.axis(0).and_then(|a| a.size)) {
        (Some(numbers), _) => numbers.clone(),
        (None, Some(rank)) if (0..=16).contains(&rank) => vec![Number::Unknown; rank as usize],
        _ => return None,
    };
    Some(numbers.into_iter().map(axis).collect())
}

pub(super) fn axis(number: Number) -> Axis {
    match number {
        Number::Known(n) if n >= 0 => Axis::sized(n),
        Number::Length(axis) => axis,
        _ => Axis::default(),
    }
}
