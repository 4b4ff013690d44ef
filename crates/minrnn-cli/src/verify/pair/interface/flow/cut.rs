//! Operators that cut tensors and put them together.

use minrnn_onnx::ir::Node;

use super::value::{Axes, Axis, Value, place};

pub(super) fn resized(axes: &[Axis], at: Option<i64>) -> Axes {
    let at = place(at?, axes.len())?;
    let mut axes = axes.to_vec();
    axes[at] = axes[at].resized();
    Some(axes)
}

pub(super) fn split_axis(node: &Node) -> Option<i64> {
    Some(node.int("axis").unwrap_or(0))
}

pub(super) fn concat(node: &Node, x: &[Value]) -> Value {
    let numbers = x
        .iter()
        .map(|v| v.numbers.clone())
        .collect::<Option<Vec<_>>>();
    let tags = x.iter().flat_map(|v| v.tags.iter().copied()).collect();
    let joined = || -> Axes {
        let all: Vec<&Vec<Axis>> = x.iter().map(|v| v.axes.as_ref()).collect::<Option<_>>()?;
        let rank = all.first()?.len();
        let at = place(node.int("axis")?, rank)?;
        if all.iter().any(|a| a.len() != rank) {
            return None;
        }
        let one = |i: usize| {
            let axis = Axis::together(all.iter().map(|a| &a[i]));
            let sizes = all
                .iter()
                .try_fold(0i64, |sum, a| sum.checked_add(a[i].size?));
            if i == at {
                Axis {
                    size: sizes,
                    ..axis
                }
            } else {
                axis
            }
        };
        Some((0..rank).map(one).collect())
    };
    let axes = joined();
    let flat = axes.as_ref().is_some_and(|a| a.len() == 1);
    Value {
        axes,
        numbers: numbers.filter(|_| flat).map(|n| n.concat()),
        tags,
    }
}

pub(super) fn slice(node: &Node, x: &[Value]) -> Value {
    let Some(first) = x.first() else {
        return Value::default();
    };
    let list = |name: &str, at: usize| match node.ints(name) {
        Some(v) => Some(v.to_vec()),
        None => x.get(at)?.known(),
    };
    let (starts, ends) = (list("starts", 1), list("ends", 2));
    let numbers = first
        .numbers
        .as_ref()
        .zip(starts.as_ref().zip(ends.as_ref()));
    let picked = numbers.and_then(|(numbers, (s, e))| {
        let steps = list("steps", 4).unwrap_or_else(|| vec![1]);
        let (rank, [s], [e], [1]) = (
            numbers.len() as i64,
            s.as_slice(),
            e.as_slice(),
            steps.as_slice(),
        ) else {
            return None;
        };
        let end = |n: i64| (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize;
        let (from, to) = (end(*s), end(*e));
        Some(numbers[from.min(to)..to].to_vec())
    });
    if let Some(picked) = picked {
        return Value::list(picked);
    }
    let axes = first.axes.as_ref().map(|axes| {
        let cut = list("axes", 3).or_else(|| {
            let given = node.inputs.get(3).is_some_and(|n| !n.is_empty());
            (!given).then(|| (0..starts.as_ref().map_or(0, Vec::len) as i64).collect())
        });
        let mut axes = axes.clone();
        match cut {
            Some(cut) => {
                for at in cut
                    .iter()
                    .filter_map(|a| place(*a, axes.len()))
                    .collect::<Vec<_>>()
                {
                    axes[at] = axes[at].resized();
                }
            }
            None => axes.iter_mut().for_each(|a| *a = a.resized()),
        }
        axes
    });
    without_numbers(first.with(axes))
}

pub(super) fn gather(node: &Node, x: &Value, indices: &Value) -> Value {
    let axis = node.int("axis").unwrap_or(0);
    let axes = x
        .axes
        .as_ref()
        .zip(indices.axes.as_ref())
        .and_then(|(axes, inner)| {
            let at = place(axis, axes.len())?;
            Some([&axes[..at], inner, &axes[at + 1..]].concat())
        });
    let picked = x
        .numbers
        .as_ref()
        .zip(indices.known())
        .and_then(|(numbers, list)| {
            let one = |i: &i64| numbers.get(place(*i, numbers.len())?).cloned();
            list.iter().map(one).collect()
        });
    Value {
        axes,
        numbers: picked,
        tags: x.tags.clone(),
    }
}

pub(super) fn along(x: &Value) -> Value {
    let resized = |a: &Axis| a.resized();
    Value::default().with(x.axes.as_ref().map(|a| a.iter().map(resized).collect()))
}

pub(super) fn without_numbers(x: Value) -> Value {
    Value { numbers: None, ..x }
}
