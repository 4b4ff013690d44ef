//! What is computed from parameters alone, once a step: the taps of convolutions, and the networks that make them. f32 in every compute type.

use minrnn_kernels::elementwise;
use minrnn_model::graph::{Binary, Node, Op, Param};

use super::linear::linear;
use super::map2::map2;
use super::vector::vector;
use super::{columns, map, reduce};
use crate::tape::planner::{Planner, Slot};

/// Adds the launches of a node; `None` where there are none for it, or for what it reads.
pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    match node.op {
        Op::Param { param } => param_as_value(p, node, param, value),
        // Who reads a row of a parameter finds it there.
        Op::Row { .. } => {
            p.graph.as_param(node.inputs[0])?;
        }
        Op::MatMul { transposed } => {
            p.made(node.inputs[0])?;
            let weight = p.graph.as_param(node.inputs[1])?;
            linear(p, node.inputs[0], (weight, transposed), None, value);
        }
        Op::Binary(f) => binary(p, f, node, value)?,
        _ => {
            for input in &node.inputs {
                p.made(*input)?;
            }
            let known = [map::node, columns::node, reduce::node];
            known.iter().find_map(|f| f(p, node, value))?;
        }
    }
    Some(())
}

/// A parameter where it lies, with a gradient like that of a value.
fn param_as_value(p: &mut Planner<'_>, node: &Node, param: Param, value: usize) {
    let place = p.param(param);
    let slot = p.push(Slot {
        place,
        width: node.width,
        rows: place.len / node.width,
        grad: None,
        grad_elem: place.elem,
        wanted: p.trained(param),
        readers: 0,
        kept: true,
    });
    p.alias(value, slot);
    p.back(move |p| {
        let Some(grad) = p.grad_any(slot) else { return };
        let add = p.write_grad(param);
        p.copy(grad, p.param_grad(param), add);
    });
}

/// With a row of a parameter, or with as many rows.
fn binary(p: &mut Planner<'_>, f: Binary, node: &Node, value: usize) -> Option<()> {
    let [a, b] = node.inputs[..] else { return None };
    let left = p.made(a)?;
    let row = p.graph.as_row(b).filter(|_| p.graph.width(b) == node.width);
    match (f, row) {
        (Binary::Add | Binary::Mul, Some((param, row))) => {
            vector(p, node, f == Binary::Mul, param, row, value);
        }
        _ => {
            let right = p.made(b)?;
            let alike = p.slots[left].rows == p.slots[right].rows;
            if !alike || !elementwise::has_binary(f) {
                return None;
            }
            map2(p, f, left, right, value);
        }
    }
    Some(())
}
