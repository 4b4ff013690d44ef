//! Scan: what its body gets, and what comes out.

use super::{Inputs, axis};
use crate::check::Rule;
use crate::check::types::{Extent, Fault, Info, fault, same};
use crate::ir::{Graph, Node};

/// Number of states; the rest of the inputs are scanned.
fn state_count(node: &Node) -> Result<usize, Fault> {
    let scanned = node.int("num_scan_inputs").unwrap_or_default();
    let states = usize::try_from(scanned)
        .ok()
        .filter(|n| *n > 0)
        .and_then(|n| node.inputs.len().checked_sub(n));
    states.map_or_else(
        || {
            fault(
                Rule::Attribute,
                format!(
                    "num_scan_inputs is {scanned} for {} inputs",
                    node.inputs.len()
                ),
            )
        },
        Ok,
    )
}

/// An attribute with one number for each of `count` values.
fn per_value(node: &Node, name: &str, count: usize) -> Result<Vec<i64>, Fault> {
    match node.ints(name) {
        None => Ok(vec![0; count]),
        Some(v) if v.len() == count => Ok(v.to_vec()),
        Some(v) => fault(
            Rule::Attribute,
            format!("{name} has {} entries, wanted {count}", v.len()),
        ),
    }
}

/// The scanned extent of each input, with the input without it.
fn scanned(node: &Node, inputs: Inputs) -> Result<Vec<(Extent, Info)>, Fault> {
    let states = state_count(node)?;
    let axes = per_value(node, "scan_input_axes", node.inputs.len() - states)?;
    per_value(node, "scan_input_directions", node.inputs.len() - states)?;
    let one = |(info, a): (&Option<Info>, &i64)| {
        let info = info.clone().unwrap_or_default();
        let Some(mut dims) = info.ty.dims else {
            return Ok((None, Info::new(info.ty.dtype, None)));
        };
        let along = axis(*a, dims.len())?;
        let extent = dims.remove(along);
        Ok((extent, Info::new(info.ty.dtype, Some(dims))))
    };
    inputs[states..].iter().zip(&axes).map(one).collect()
}

/// Inputs of the body: the states, then one step of each scanned input.
pub(in crate::check) fn scan_inputs(
    node: &Node,
    body: &Graph,
    inputs: Inputs,
) -> Result<Vec<Info>, Fault> {
    let states = state_count(node)?;
    for (kind, got, want) in [
        ("inputs", body.inputs.len(), node.inputs.len()),
        ("outputs", body.outputs.len(), node.outputs.len()),
    ] {
        if got != want {
            return fault(
                Rule::Arity,
                format!("its body has {got} {kind}, the node has {want}"),
            );
        }
    }
    // A state's entries are not followed: the body changes them.
    let given = inputs[..states].iter().map(|i| Info {
        content: None,
        ..i.clone().unwrap_or_default()
    });
    Ok(given
        .chain(scanned(node, inputs)?.into_iter().map(|(_, info)| info))
        .collect())
}

/// Results: the states, then the body's outputs with the scanned axis.
pub(in crate::check) fn scan_outputs(
    node: &Node,
    inputs: Inputs,
    outputs: &[Info],
) -> Result<Vec<Info>, Fault> {
    let states = state_count(node)?;
    let mut extent = None;
    for (other, _) in scanned(node, inputs)? {
        extent = match same(&extent, &other) {
            Some(extent) => extent,
            None => return fault(Rule::Shape, "the scanned inputs differ in length"),
        };
    }
    for (i, (state, given)) in outputs.iter().zip(inputs).enumerate().take(states) {
        let given = given.clone().unwrap_or_default().ty;
        let ranks = state.ty.dims.as_ref().zip(given.dims.as_ref());
        let changed = ranks.is_some_and(|(a, b)| {
            a.len() != b.len() || a.iter().zip(b).any(|(a, b)| same(a, b).is_none())
        });
        if changed || state.ty.dtype.zip(given.dtype).is_some_and(|(a, b)| a != b) {
            return fault(
                Rule::Shape,
                format!("state {i} goes in as {given} and comes out as {}", state.ty),
            );
        }
    }
    if outputs.len() < states {
        return fault(
            Rule::Arity,
            format!("its body gives {} of {states} states", outputs.len()),
        );
    }
    let axes = per_value(node, "scan_output_axes", outputs.len() - states)?;
    per_value(node, "scan_output_directions", outputs.len() - states)?;
    let gathered = |(info, a): (&Info, &i64)| {
        let Some(mut dims) = info.ty.dims.clone() else {
            return Ok(Info::new(info.ty.dtype, None));
        };
        let along = axis(*a, dims.len() + 1)?;
        dims.insert(along, extent.clone());
        Ok(Info::new(info.ty.dtype, Some(dims)))
    };
    let last = outputs[..states].iter().cloned();
    let stepwise = outputs[states..]
        .iter()
        .zip(&axes)
        .map(gathered)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(last.chain(stepwise).collect())
}
