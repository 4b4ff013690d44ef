//! The operator Scan, as a recurrence has it: one state, bodies of functions of values one by one.

use crate::proto::{GraphProto, NodeProto};

use super::Algebra;
use super::moves::{attribute, body, function, int};
use crate::names::ByName;

/// What a node Scan says.
pub(super) struct Scan<'a> {
    pub(super) body: &'a GraphProto,
    /// The axis of the steps in each scanned input.
    pub(super) inputs: Vec<usize>,
    /// The axis of the steps in each output but the states.
    pub(super) outputs: Vec<usize>,
    /// How many states there are.
    pub(super) states: usize,
}

impl<'a> Scan<'a> {
    /// # Errors
    /// No state, a way backwards, or no body.
    pub(super) fn of(node: &'a NodeProto) -> Result<Self, String> {
        let body = body(node).ok_or("Scan without a body")?;
        let scanned = int(node, "num_scan_inputs").and_then(|n| usize::try_from(n).ok());
        let scanned = scanned.ok_or("Scan of no input")?;
        let states = node.input.len().checked_sub(scanned).filter(|n| *n > 0);
        let states = states.ok_or("Scan of no state")?;
        let backwards = ["scan_input_directions", "scan_output_directions"];
        let backwards = backwards.iter().filter_map(|name| attribute(node, name));
        if backwards.flat_map(|a| &a.ints).any(|d| *d != 0) {
            return Err("Scan goes backwards".into());
        }
        let axes = |name: &str, count: usize| -> Vec<usize> {
            let given = attribute(node, name).map_or(&[][..], |a| &a.ints);
            let axis = |i: usize| usize::try_from(given.get(i).copied().unwrap_or(0));
            (0..count).map(|i| axis(i).unwrap_or(usize::MAX)).collect()
        };
        Ok(Self {
            body,
            inputs: axes("scan_input_axes", scanned),
            outputs: axes("scan_output_axes", node.output.len().saturating_sub(states)),
            states,
        })
    }

    /// The states, and what is scanned.
    pub(super) fn parts<'v, V>(&self, inputs: &'v [V]) -> Result<(&'v [V], &'v [V]), String> {
        let parts = inputs.split_at_checked(self.states);
        let parts = parts.filter(|(_, scanned)| scanned.len() == self.inputs.len());
        parts.ok_or_else(|| "Scan of other inputs".into())
    }
}

/// What the body gives; it may hold functions of values one by one, and nothing else.
pub(super) fn elementwise<A: Algebra>(
    algebra: &mut A,
    body: &GraphProto,
    inputs: Vec<A::Value>,
) -> Result<Vec<A::Value>, String> {
    let names = body.input.iter().map(|i| i.name.as_str());
    let mut values: ByName<&str, A::Value> = names.zip(inputs).collect();
    for data in &body.initializer {
        values.insert(&data.name, algebra.weight(data)?);
    }
    for node in &body.node {
        let op = &node.op_type;
        let step = function(op).ok_or_else(|| format!("operator `{op}` in the body of a Scan"))?;
        let operands = node
            .input
            .iter()
            .map(|name| values.get(name.as_str()).cloned());
        let operands: Option<Vec<A::Value>> = operands.collect();
        let operands = operands.ok_or("the body of a Scan reads what is not there")?;
        let made = algebra.apply(&step, &operands)?;
        values.extend(node.output.iter().map(String::as_str).zip(made));
    }
    let results = body
        .output
        .iter()
        .map(|o| values.get(o.name.as_str()).cloned());
    let results: Option<Vec<A::Value>> = results.collect();
    results.ok_or_else(|| "the body of a Scan lacks a result".into())
}
