//! Holds a file to reading its states: one that no output depends on would take any state that it is given, and begin anew.

use std::collections::BTreeSet;

use crate::error::Breach;
use crate::metadata::{Metadata, short};
use crate::proto::{GraphProto, NodeProto};

/// # Errors
/// A state input that no output depends on, but by its shape.
pub(super) fn check(graph: &GraphProto, meta: &Metadata) -> Result<(), Breach> {
    let needed = needed(graph);
    let ignored = |s: &&crate::info::StateSpec| !needed.contains(s.input.as_str());
    let Some(state) = meta.states.iter().find(ignored) else {
        return Ok(());
    };
    let what = "no output depends on it: a state that is given would change nothing";
    Err(Breach::new(
        format!("input `{}`", short(&state.input)),
        what,
    ))
}

/// Tensors whose values the outputs depend on. In a checked graph each node comes after what it reads.
fn needed(graph: &GraphProto) -> BTreeSet<&str> {
    let mut needed: BTreeSet<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    for node in graph.node.iter().rev() {
        let any = node.output.iter().any(|o| needed.contains(o.as_str()));
        if any && node.op_type != "Shape" {
            reads(node, &mut needed);
        }
    }
    needed
}

/// What a node reads, and what its bodies do.
fn reads<'a>(node: &'a NodeProto, into: &mut BTreeSet<&'a str>) {
    into.extend(node.input.iter().map(String::as_str));
    for body in node.attribute.iter().filter_map(|a| a.g.as_ref()) {
        body.node.iter().for_each(|node| reads(node, into));
    }
}
