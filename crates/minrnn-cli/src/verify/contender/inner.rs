//! A copy of a file in which every tensor of the main graph is an output: for engines that give outputs alone.

use std::collections::BTreeSet;
use std::path::Path;

use minrnn_onnx::ir::{Graph, Model, TensorData, ValueInfo};
use tempfile::TempDir;

/// Such a copy, and the folder in which it lies, with the constants that lie beside it in `dir`; `None`: they cannot be copied.
pub(super) fn all_outputs(model: &Model, dir: Option<&Path>) -> Option<(Model, TempDir)> {
    let mut model = model.clone();
    let copy = tempfile::tempdir().ok()?;
    copy_constants(&model.graph, dir, copy.path())?;
    let graph = &mut model.graph;
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
    std::fs::write(copy.path().join(FILE), model.encode()).ok()?;
    Some((model, copy))
}

/// The name of the copy in its folder.
pub(super) const FILE: &str = "inner.onnx";

/// Copies the files beside a model in which its constants lie; `None`: they cannot be copied.
fn copy_constants(graph: &Graph, from: Option<&Path>, to: &Path) -> Option<()> {
    let places = graph.initializers.iter().filter_map(|t| match &t.data {
        TensorData::External(e) => Some(e.location.as_str()),
        _ => None,
    });
    for place in places.collect::<BTreeSet<_>>() {
        // The judge has read it, so it is the name of a file of the folder.
        let name = Path::new(place).file_name()?;
        std::fs::copy(from?.join(name), to.join(name)).ok()?;
    }
    Some(())
}
