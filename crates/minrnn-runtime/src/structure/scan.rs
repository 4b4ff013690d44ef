//! The operator that holds a graph of its own.

use crate::proto::{AttributeType, Dimension, NodeProto, ValueInfoProto};

use super::{Names, Rules, attribute, check_graph};
use crate::error::Breach;
use crate::metadata::short;

/// tract sizes buffers by `num_scan_inputs` and subtracts it from the number of inputs, both unchecked.
pub(super) fn check<'a>(
    node: &'a NodeProto,
    here: &Names<'a>,
    outer: &Names<'a>,
    place: &str,
    rules: Rules,
) -> Result<(), Breach> {
    let breach = |what: &str| Err(Breach::new(place, what));
    let body = attribute(node, "body").filter(|a| a.r#type == AttributeType::Graph as i32);
    let Some(body) = body.and_then(|a| a.g.as_ref()) else {
        return breach("Scan has no body");
    };
    if body.input.len() != node.input.len() || body.output.len() != node.output.len() {
        return breach("Scan and its body differ in the number of inputs or outputs");
    }
    if node.input.iter().chain(&node.output).any(|n| n.is_empty()) {
        return breach("Scan leaves out an input or an output");
    }
    let scanned = attribute(node, "num_scan_inputs").map_or(0, |a| a.i);
    let scanned = match usize::try_from(scanned) {
        Ok(n) if n > 0 && n <= node.input.len() => n,
        _ => return breach("num_scan_inputs does not fit the inputs"),
    };
    let Some(outputs) = node.output.len().checked_sub(node.input.len() - scanned) else {
        return breach("Scan has fewer outputs than states");
    };
    let lists = [
        ("scan_input_axes", scanned, 0..8),
        ("scan_output_axes", outputs, 0..8),
        ("scan_input_directions", scanned, 0..2),
        ("scan_output_directions", outputs, 0..2),
    ];
    for (name, len, range) in lists {
        let Some(attr) = attribute(node, name) else {
            continue;
        };
        if attr.ints.len() != len || attr.ints.iter().any(|i| !range.contains(i)) {
            return breach(&format!("{name} does not fit the inputs and outputs"));
        }
    }
    for port in body.input.iter().chain(&body.output) {
        plain_dims(port, place)?;
    }
    // The bodies of our files read, beside what they are given, what is computed from parameters alone.
    let seen: Names<'a> = outer.iter().chain(here).map(|(n, t)| (*n, *t)).collect();
    check_graph(body, &seen, &format!("{place} body "), rules)
}

/// tract reads the name of a dimension as arithmetic, one call deeper with each bracket.
fn plain_dims(port: &ValueInfoProto, place: &str) -> Result<(), Breach> {
    let Some(tensor) = port.tensor_type() else {
        return Ok(());
    };
    let dims = tensor.shape.as_ref().map_or(&[][..], |s| &s.dim);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-/: ?".contains(c);
    let fits = |d: &Dimension| match d {
        Dimension::Value(n) => (-1..1 << 40).contains(n),
        Dimension::Param(name) => name.len() <= 128 && name.chars().all(plain),
        Dimension::Unknown => true,
    };
    if dims.len() <= 8 && dims.iter().all(fits) {
        return Ok(());
    }
    let what = format!(
        "body port `{}` has a dimension that is no name or number",
        short(&port.name)
    );
    Err(Breach::new(place, what))
}
