//! The first operation of a graph whose value, rounded as its type is, departs from its own float64 value.

use anyhow::Result;

use super::search::Difference;
use super::shared::{makers, reads};
use super::{Culprit, InputNote, label};
use crate::verify::pair::{By, Case, Kind, Reading, Two};

/// Searches the first file, and the second unless it is a step file.
pub(super) fn search(two: &Two, case: &Case) -> Result<Option<Culprit>> {
    let sides = match two.kind {
        Kind::Step => vec![0],
        Kind::Same => vec![0, 1],
    };
    for side in sides {
        if let Some(found) = one(two, case, side)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn one(two: &Two, case: &Case, side: usize) -> Result<Option<Culprit>> {
    let file = &two.files[side];
    let graph = &file.model.graph;
    let outputs = graph
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(i, n)| n.outputs.iter().map(move |o| (i, o)));
    let list: Vec<(usize, &String)> = outputs.filter(|(_, o)| !o.is_empty()).collect();
    let names: Vec<&str> = list.iter().map(|(_, o)| o.as_str()).collect();
    let all = two.tensors(side, By::Judge, case, &names)?;
    let difference =
        |i: usize| Difference::of((&all[i], Reading::Exact), (&all[i], Reading::Rounded));
    let Some(found) = (0..list.len()).find(|i| difference(*i).counts(Reading::Rounded)) else {
        return Ok(None);
    };
    let (node, tensor) = list[found];
    let d = difference(found);
    let made = makers(graph);
    let inputs = reads(&graph.nodes[node]).into_iter().map(|name| {
        let at = names.iter().position(|n| *n == name);
        let state = match at {
            Some(_) => "agrees",
            None if graph.inputs.iter().any(|i| i.name == name) => "input",
            None if !made.contains_key(name) => "constant",
            None => "not compared",
        };
        InputNote {
            tensor: name.into(),
            state,
            max_abs: at.map(|i| difference(i).max_abs),
        }
    });
    let t = &all[found];
    let value = |reading| t.values(reading).get(d.at).copied().unwrap_or(f64::NAN);
    Ok(Some(Culprit {
        kind: "rounding",
        arithmetic: "rounded",
        certain: true,
        file: file.name(),
        node: label(&graph.nodes[node]),
        operator: graph.nodes[node].op_type.clone(),
        tensor: tensor.clone(),
        case: case.name(),
        step: None,
        index: t.index(d.at),
        values: [value(Reading::Exact), value(Reading::Rounded)],
        max_abs: d.max_abs,
        largest: d.largest,
        inputs: inputs.collect(),
        suspects: vec![label(&graph.nodes[node])],
        agreeing: found,
        bodied: graph.nodes[node].subgraphs().next().is_some(),
    }))
}
