//! `minrnn inspect`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use minrnn_onnx::ir::{Dim, Graph, Model, ValueInfo};
use minrnn_onnx::text::{canonical, text};
use minrnn_train::data::read_data;
use serde_json::{Value as Json, json};

use crate::Outcome;
use crate::args::Inspect;
use crate::ui::Ui;

pub(super) fn run(args: &Inspect, ui: &Ui) -> Result<Outcome> {
    let model = read(&args.file)?;
    if args.canonical {
        ui.print(&canonical(&model))?;
    } else if args.json {
        ui.print(&format!("{:#}\n", summary(&model)))?;
    } else {
        ui.print(&text(&model))?;
    }
    Ok(Outcome::Holds)
}

/// The model in a file.
pub(super) fn read(path: &Path) -> Result<Model> {
    let file = path.display();
    let bytes = read_data(path).with_context(|| format!("cannot read {file}"))?;
    Model::decode(&bytes).with_context(|| format!("{file} is no ONNX model, or is damaged"))
}

fn summary(model: &Model) -> Json {
    let graph = &model.graph;
    let opsets: BTreeMap<&str, i64> = model
        .opsets
        .iter()
        .map(|(d, v)| (if d.is_empty() { "ai.onnx" } else { d.as_str() }, *v))
        .collect();
    let metadata: BTreeMap<&str, &str> = model
        .metadata
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    let mut operators = BTreeMap::new();
    count(graph, &mut operators);
    let bytes: usize = graph
        .initializers
        .iter()
        .filter_map(|t| t.byte_len().ok().flatten())
        .sum();
    json!({
        "schema": "minrnn.inspect/1",
        "ir_version": model.ir_version,
        "opsets": opsets,
        "producer": model.producer,
        "producer_version": model.producer_version,
        "inputs": graph.inputs.iter().map(signature).collect::<Json>(),
        "outputs": graph.outputs.iter().map(signature).collect::<Json>(),
        "initializers": { "count": graph.initializers.len(), "bytes": bytes },
        "operators": operators,
        "metadata": metadata,
    })
}

/// Nodes by operator, those of sub-graphs among them.
fn count(graph: &Graph, operators: &mut BTreeMap<String, usize>) {
    for node in &graph.nodes {
        *operators.entry(node.op_type.clone()).or_default() += 1;
        node.subgraphs()
            .for_each(|(_, inner)| count(inner, operators));
    }
}

fn signature(value: &ValueInfo) -> Json {
    let dim = |d: &Dim| match d {
        Dim::Fixed(n) => json!(n),
        Dim::Symbol(s) => json!(s),
        Dim::Unknown => Json::Null,
    };
    let shape: Option<Vec<Json>> = value
        .dims
        .as_ref()
        .map(|dims| dims.iter().map(dim).collect());
    let mut json =
        json!({ "name": value.name, "dtype": value.dtype.map(|d| d.name()), "shape": shape });
    if let Some(other) = &value.other {
        json["type"] = json!(other.to_string());
    }
    json
}
