//! The operator with a graph of its own, which runs once a step.

use super::{Call, Fact, Facts, Readers, Walk};
use crate::error::Breach;

/// The structure of a Scan (body, counts, axes) has been checked.
/// `around`: what the body may read beside its inputs.
pub(super) fn infer(
    walk: &mut Walk,
    call: &Call,
    around: &Facts,
    place: &str,
) -> Result<Vec<Fact>, Breach> {
    let wrong = |what: String| Breach::new(place, format!("Scan: {what}"));
    let scanned = call.int("num_scan_inputs").unwrap_or(0) as usize;
    let body = call.node.attribute.iter().find_map(|a| a.g.as_ref());
    let Some((body, states)) = body.zip(call.inputs.len().checked_sub(scanned)) else {
        return Err(wrong("has no body, or fewer inputs than it scans".into()));
    };
    let along = |name: &str, i: usize| {
        let given = call.list(name).and_then(|a| a.get(i));
        usize::try_from(given.copied().unwrap_or(0)).unwrap_or(usize::MAX)
    };
    let mut facts = Facts::default();
    for name in body.node.iter().flat_map(|n| &n.input) {
        if let Some(fact) = around.get(name.as_str()) {
            facts.insert(name, fact.clone());
        }
    }
    let mut steps = None;
    for (at, input) in body.input.iter().enumerate() {
        let given = call.get(at).map_err(wrong)?;
        let mut fact = Fact::new(given.elem, given.dims.clone());
        if let Some(i) = at.checked_sub(states) {
            let axis = along("scan_input_axes", i);
            if axis >= fact.dims.len() {
                return Err(wrong(format!("there is no axis {axis} in {:?}", fact.dims)));
            }
            let len = fact.dims.remove(axis);
            if *steps.get_or_insert(len) != len {
                return Err(wrong("its inputs have different lengths".into()));
            }
        }
        facts.insert(&input.name, fact);
    }
    let steps = steps.unwrap_or(0);
    if steps == 0 {
        return Err(wrong("has no step to run".into()));
    }
    let before = walk.used;
    let path = format!("{place} body ");
    walk.graph(body, &Readers::of(body), &mut facts, &path)?;
    let each = walk.used.work.saturating_sub(before.work);
    let more = each.saturating_mul(steps as u64 - 1);
    walk.count(&[], more).map_err(wrong)?;
    // What the body made is given back after each step.
    walk.used.now = before.now;
    let mut found = Vec::new();
    for (at, output) in body.output.iter().enumerate() {
        let fact = facts.get(output.name.as_str());
        let mut fact = fact
            .ok_or_else(|| wrong("an output is missing".into()))?
            .clone();
        fact.ints = None;
        if let Some(i) = at.checked_sub(states) {
            let axis = along("scan_output_axes", i);
            if axis > fact.dims.len() || fact.dims.len() >= 8 {
                return Err(wrong(format!(
                    "there is no axis {axis} for {:?}",
                    fact.dims
                )));
            }
            fact.dims.insert(axis, steps);
        } else if call.get(at).map_err(wrong)?.dims != fact.dims
            || call.get(at).map_err(wrong)?.elem != fact.elem
        {
            return Err(wrong(format!("state {at} changes its shape")));
        }
        found.push(fact);
    }
    Ok(found)
}
