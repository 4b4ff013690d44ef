//! The operator that holds a graph of its own.

use tract_onnx::pb::NodeProto;
use tract_onnx::pb::attribute_proto::AttributeType;

use super::{Names, Rules, attribute, check_graph};
use crate::error::Breach;

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
    let seen: Names<'a> = outer.iter().chain(here).map(|(n, t)| (*n, *t)).collect();
    check_graph(body, &seen, &format!("{place} body "), rules)
}
