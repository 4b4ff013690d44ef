//! The metadata of a file: what a runtime must know and cannot see in the graph.

use std::collections::BTreeSet;

use minrnn_model::graph::{Graph, Law};
use minrnn_model::params::Params;
use serde_json::{Value as Json, json};

use super::contract::Contract;
use super::json::canonical;
use super::names::Named;
use super::{Activations, ExportOptions, Port, Weights};
use crate::lower::Lowered;

pub(super) fn metadata(
    graph: &Graph,
    params: &Params,
    ports: &[Port],
    weights: &str,
    names: &[Named],
    options: &ExportOptions,
    lowered: &Lowered,
) -> Vec<(String, String)> {
    let mut entries = vec![
        ("contract", Contract::of(graph).name().to_owned()),
        ("form", options.form.name().to_owned()),
        ("lowering", options.lowering_name(graph).to_owned()),
        ("head", head(graph).to_owned()),
        ("states", canonical(&states(graph, params, ports))),
    ];
    entries.extend(lowered.max_seq_len.map(|n| ("max_seq_len", n.to_string())));
    entries.extend([
        ("recurrences", canonical(&recurrences(lowered))),
        ("padded", lowered.padded.to_string()),
        ("weights", weights.to_owned()),
        ("dtype", options.weights.name().to_owned()),
    ]);
    let activations = activations(&options.weights);
    entries.extend(activations.map(|a| ("activations", canonical(&a))));
    entries.extend([
        ("target", options.target.name().to_owned()),
        ("state_names", options.state_names.name().to_owned()),
        ("state_layout", options.state_layout.name().to_owned()),
        ("config", canonical(&options.config)),
    ]);
    entries.extend(
        names
            .iter()
            .map(|(key, list)| (*key, canonical(&json!(list)))),
    );
    entries
        .into_iter()
        .map(|(key, value)| (format!("minrnn.{key}"), value))
        .collect()
}

/// Of int8 only: `"row"`, or the largest magnitudes by name of the weight, as f64, whose decimals give back the f32 exactly.
pub(super) fn activations(weights: &Weights) -> Option<Json> {
    match weights {
        Weights::Int8(Activations::Static(largest)) => {
            let one = |(name, v): (&String, &f32)| (name.clone(), json!(f64::from(*v)));
            Some(largest.iter().map(one).collect())
        }
        Weights::Int8(Activations::Row) => Some("row".into()),
        Weights::F32 | Weights::F16 | Weights::Bf16 => None,
    }
}

/// Whether outputs come for each step or for the last one.
pub(super) fn head(graph: &Graph) -> &'static str {
    if graph.is_last_step() {
        "last"
    } else {
        "per_step"
    }
}

/// The states as they go in and out: names, shape without the batch, initial values, and of those that count steps that they do.
pub(super) fn states(graph: &Graph, params: &Params, ports: &[Port]) -> Json {
    let state = |port: &Port| {
        let mut entry = json!({
            "input": port.input,
            "output": port.output,
            "shape": port.shape,
            "init": init(port, graph, params),
        });
        if port.counts(graph) {
            entry["counts"] = json!(true);
        }
        entry
    };
    ports.iter().map(state).collect()
}

/// Inputs that a file says to count steps.
pub(super) fn counting(model: &crate::ir::Model) -> BTreeSet<String> {
    let text = model.metadata("minrnn.states").unwrap_or("[]");
    let all: Json = minrnn_model::json::from_str(text).unwrap_or_default();
    let list = all.as_array().into_iter().flatten();
    let counts = list.filter(|s| s.get("counts").is_some_and(|c| *c != json!(false)));
    counts
        .filter_map(|s| Some(s["input"].as_str()?.to_owned()))
        .collect()
}

/// `"zero"`, or the values; as f64, whose decimals give back the f32 exactly.
fn init(port: &Port, graph: &Graph, params: &Params) -> Json {
    match port.init(graph, params) {
        None => "zero".into(),
        Some(values) => values.into_iter().map(f64::from).collect(),
    }
}

/// Tensor names of each recurrence.
pub(super) fn recurrences(lowered: &Lowered) -> Json {
    let name = |v| lowered.builder.name(v);
    let one = |r: &crate::lower::Recurrence| {
        let mut entry =
            json!({ "b": name(r.b), "h0": name(r.h0), "h": name(r.h), "h_last": name(r.h_last) });
        if let Some(a) = r.a {
            entry["a"] = json!(name(a));
        }
        if r.law != Law::Linear {
            entry["law"] = json!(r.law.name());
        }
        entry
    };
    lowered.recurrences.iter().map(one).collect()
}

/// The configuration that a file says; an empty one where it says none.
pub(super) fn config(model: &crate::ir::Model) -> Json {
    let text = model.metadata("minrnn.config").unwrap_or("{}");
    minrnn_model::json::from_slice(text.as_bytes()).unwrap_or_default()
}
