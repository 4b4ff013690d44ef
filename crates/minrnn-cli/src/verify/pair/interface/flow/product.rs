//! Operators that let axes meet, or end them.

use minrnn_onnx::ir::{Attr, Node};

use super::number::{axis, named};
use super::value::{Axes, Axis, Number, Value, place};

pub(super) fn broadcast(x: &[Value]) -> Axes {
    let all: Vec<&Vec<Axis>> = x.iter().map(|v| v.axes.as_ref()).collect::<Option<_>>()?;
    let rank = all.iter().map(|a| a.len()).max()?;
    let one = |i: usize| {
        let at = all
            .iter()
            .filter_map(|a| a.get((i + a.len()).checked_sub(rank)?));
        Axis::together(at)
    };
    Some((0..rank).map(one).collect())
}

pub(super) fn product(node: &Node, a: &Value, b: &Value) -> Value {
    let multiplied = || -> Axes {
        let x = a.axes.as_ref()?;
        if node.op_type == "MatMulNBits" {
            let mut axes = x.clone();
            *axes.last_mut()? = node.int("N").map_or(Axis::default(), Axis::sized);
            return Some(axes);
        }
        let y = b.axes.as_ref()?;
        match (x.as_slice(), y.as_slice()) {
            ([before @ .., _], [_]) => Some(before.to_vec()),
            ([_], [before @ .., _, last]) => Some([before, std::slice::from_ref(last)].concat()),
            ([p @ .., row, _], [q @ .., _, column]) => {
                let mut axes = broadcast(&[Value::new(p.to_vec()), Value::new(q.to_vec())])?;
                axes.extend([row.clone(), column.clone()]);
                Some(axes)
            }
            _ => None,
        }
    };
    Value::default().with(multiplied())
}

pub(super) fn gemm(node: &Node, a: &Value, b: &Value) -> Value {
    let at = |v: &Value, flag: &str, normal: usize| {
        let turned = node.int(flag).unwrap_or(0) != 0;
        v.axis(if turned { 1 - normal } else { normal }).cloned()
    };
    let axes = at(a, "transA", 0).zip(at(b, "transB", 1));
    Value::default().with(axes.map(|(row, column)| vec![row, column]))
}

pub(super) fn einsum(node: &Node, x: &[Value]) -> Axes {
    let Some(Attr::Str(text)) = node.attr("equation") else {
        return None;
    };
    let text: String = String::from_utf8_lossy(text).replace(' ', "");
    let (left, right) = text.split_once("->")?;
    let terms: Vec<&str> = left.split(',').collect();
    if text.contains('.') || terms.len() != x.len() {
        return None;
    }
    let one = |letter: char| {
        let at =
            |(term, v): (&&str, &Value)| v.axis(term.chars().position(|c| c == letter)?).cloned();
        let all: Vec<Axis> = terms.iter().zip(x).filter_map(at).collect();
        Axis::together(all.iter())
    };
    Some(right.chars().map(one).collect())
}

pub(super) fn reduce(node: &Node, x: &[Value]) -> Axes {
    let axes = x.first()?.axes.as_ref()?;
    let picks = node.op_type.starts_with("Arg");
    let list = if picks {
        Some(vec![node.int("axis").unwrap_or(0)])
    } else {
        named(node, x, 1)?
    };
    let list = list.unwrap_or_default();
    if list.is_empty() && node.int("noop_with_empty_axes").unwrap_or(0) != 0 {
        return Some(axes.clone());
    }
    let gone: Vec<usize> = if list.is_empty() {
        (0..axes.len()).collect()
    } else {
        list.iter()
            .map(|a| place(*a, axes.len()))
            .collect::<Option<_>>()?
    };
    let keep = node.int("keepdims").unwrap_or(1) != 0;
    let one = |(i, a): (usize, &Axis)| match gone.contains(&i) {
        true if keep => Some(Axis::sized(1)),
        true => None,
        false => Some(a.clone()),
    };
    Some(axes.iter().enumerate().filter_map(one).collect())
}

pub(super) fn ones_behind(axes: &[Axis], kept: usize) -> Vec<Axis> {
    let one = |(i, a): (usize, &Axis)| {
        if i < kept {
            a.clone()
        } else {
            axis(Number::Known(1))
        }
    };
    axes.iter().enumerate().map(one).collect()
}
