//! Operators that order axes anew.

use minrnn_onnx::ir::{Attr, Node};

use super::number::{named, of_shape};
use super::product::broadcast;
use super::value::{Axes, Axis, Number, Value, place, whole_numbers};

pub(super) fn transpose(node: &Node, x: &Value) -> Axes {
    let axes = x.axes.as_ref()?;
    match node.ints("perm") {
        None => Some(axes.iter().rev().cloned().collect()),
        Some(perm) if perm.len() == axes.len() => {
            let one = |p: &i64| axes.get(usize::try_from(*p).ok()?).cloned();
            perm.iter().map(one).collect()
        }
        Some(_) => None,
    }
}

pub(super) fn squeeze(node: &Node, x: &[Value]) -> Axes {
    let axes = x.first()?.axes.as_ref()?;
    let gone: Vec<usize> = match named(node, x, 1)? {
        Some(list) => list
            .iter()
            .map(|a| place(*a, axes.len()))
            .collect::<Option<_>>()?,
        None => {
            // Which ones have one entry must be known of all.
            let known: Vec<i64> = axes.iter().map(|a| a.size).collect::<Option<_>>()?;
            (0..axes.len())
                .filter(|i| known.get(*i) == Some(&1))
                .collect()
        }
    };
    let left = axes.iter().enumerate().filter(|(i, _)| !gone.contains(i));
    Some(left.map(|(_, a)| a.clone()).collect())
}

pub(super) fn unsqueeze(node: &Node, x: &[Value]) -> Axes {
    let axes = x.first()?.axes.as_ref()?;
    let list = named(node, x, 1)??;
    let rank = axes.len() + list.len();
    let new: Vec<usize> = list
        .iter()
        .map(|a| place(*a, rank))
        .collect::<Option<_>>()?;
    let mut old = axes.iter();
    let one = |i: usize| {
        if new.contains(&i) {
            Some(Axis::sized(1))
        } else {
            old.next().cloned()
        }
    };
    (0..rank).map(one).collect()
}

/// Axes in the same place from either end, of the same length, are the same; so is what is then left, if it is one on each side.
pub(super) fn reshape(node: &Node, x: &Value, target: &Value) -> Axes {
    let given = node
        .ints("shape")
        .map(|s| Value::list(s.iter().map(|n| Number::Known(*n)).collect()));
    let target = given.as_ref().unwrap_or(target);
    let mut out = of_shape(target)?;
    let Some(axes) = &x.axes else {
        return Some(out);
    };
    let zero = node.int("allowzero").unwrap_or(0) == 0;
    let kept = |i: usize| {
        zero && matches!(
            target.numbers.as_ref().and_then(|n| n.get(i)),
            Some(Number::Known(0))
        )
    };
    for (i, axis) in out.iter_mut().enumerate() {
        if kept(i) {
            *axis = axes.get(i)?.clone();
        }
    }
    let same = |a: &Axis, b: &Axis| {
        a.size.is_some() && a.size == b.size || !a.origins.is_empty() && a.origins == b.origins
    };
    let front = (0..axes.len().min(out.len()))
        .take_while(|i| kept(*i) || same(&axes[*i], &out[*i]))
        .count();
    let (m, n) = (axes.len(), out.len());
    let back = (1..=(m - front).min(n - front))
        .take_while(|i| same(&axes[m - i], &out[n - i]))
        .count();
    out[..front].clone_from_slice(&axes[..front]);
    out[n - back..].clone_from_slice(&axes[m - back..]);
    let rest = |all: &[Axis], from: usize, to: usize| -> Vec<usize> {
        (from..to).filter(|i| all[*i].size != Some(1)).collect()
    };
    if let ([a], [b]) = (
        rest(axes, front, m - back).as_slice(),
        rest(&out, front, n - back).as_slice(),
    ) {
        out[*b] = axes[*a].clone();
    }
    Some(out)
}

pub(super) fn flatten(node: &Node, x: &Value) -> Axes {
    let axes = x.axes.as_ref()?;
    let at = node.int("axis").unwrap_or(1);
    let at = if at < 0 { at + axes.len() as i64 } else { at };
    let at = usize::try_from(at).ok().filter(|at| *at <= axes.len())?;
    let one = |part: &[Axis]| {
        let rest: Vec<&Axis> = part.iter().filter(|a| a.size != Some(1)).collect();
        match rest.as_slice() {
            [] => Axis::sized(1),
            [one] => (*one).clone(),
            _ => Axis::default(),
        }
    };
    Some(vec![one(&axes[..at]), one(&axes[at..])])
}

pub(super) fn expand(x: &Value, target: &Value) -> Axes {
    let to = Value::new(of_shape(target)?);
    broadcast(&[x.along(), to])
}

pub(super) fn filled(node: &Node, target: &Value) -> Value {
    let value = match node.attr("value") {
        Some(Attr::Tensor(t)) => whole_numbers(t).and_then(|v| v.first().copied()),
        _ => None,
    };
    let axes = of_shape(target);
    let count = axes.as_ref().and_then(|a| match a.as_slice() {
        [] => Some(1),
        [one] => usize::try_from(one.size?).ok().filter(|n| *n <= 16),
        _ => None,
    });
    Value {
        numbers: value.zip(count).map(|(v, n)| vec![Number::Known(v); n]),
        ..Value::default().with(axes)
    }
}
