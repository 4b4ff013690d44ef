//! A copy of a file in which every tensor of the main graph is an output: for engines that give outputs alone.

use minrnn_onnx::ir::{Model, Tensor, TensorData, ValueInfo};
use tempfile::TempDir;

/// Such a copy, and the folder in which it lies; none of a file that has constants beside it.
pub(super) fn all_outputs(model: &Model) -> Option<(Model, TempDir)> {
    let mut model = model.clone();
    let graph = &mut model.graph;
    let external = |t: &Tensor| matches!(t.data, TensorData::External(_));
    if graph.initializers.iter().any(external) {
        return None;
    }
    let made = graph.nodes.iter().flat_map(|n| n.outputs.iter());
    let is_output = |name: &String| graph.outputs.iter().any(|o| o.name == *name);
    let inner = made.filter(|name| !name.is_empty() && !is_output(name));
    // With its type, where the file says it.
    let told = |name: &String| graph.value_info.iter().find(|v| v.name == *name).cloned();
    let untold = |name: &String| ValueInfo {
        name: name.clone(),
        ..ValueInfo::default()
    };
    let inner: Vec<ValueInfo> = inner
        .map(|name| told(name).unwrap_or_else(|| untold(name)))
        .collect();
    graph.outputs.extend(inner);
    graph.value_info.clear();
    let copy = tempfile::tempdir().ok()?;
    std::fs::write(copy.path().join(FILE), model.encode()).ok()?;
    Some((model, copy))
}

/// The name of the copy in its folder.
pub(super) const FILE: &str = "inner.onnx";
