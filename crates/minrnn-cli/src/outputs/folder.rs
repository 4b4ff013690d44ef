//! Files of folders that commands read, and weights that lie beside a graph.

use std::fs;
use std::path::{Path, PathBuf};

use minrnn_onnx::ir::{Graph, Model, TensorData};
use minrnn_train::data::read_data;

use super::place::Place;
use crate::files::{BEST, LAST, MANIFEST, METRICS};

/// Names that files of exports, checkpoints and runs have.
const OURS: [&str; 12] = [
    MANIFEST,
    METRICS,
    "golden.safetensors",
    "README.md",
    "config.json",
    "model.safetensors",
    "optimizer.safetensors",
    "states.safetensors",
    "training.safetensors",
    "trainer_state.json",
    "vocabulary.json",
    "tokenizer.json",
];

/// The folder itself, the files that it has or should have by their names, and those of the checkpoints of a run. ONNX files and
/// weights beside them are part of an export under any name.
pub(super) fn own_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = vec![dir.to_path_buf()];
    for folder in [dir.to_path_buf(), dir.join(BEST), dir.join(LAST)] {
        if !folder.is_dir() {
            continue;
        }
        files.extend(OURS.map(|name| folder.join(name)));
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        files.extend(paths.filter(|path| is_graph(path)));
    }
    files
}

/// Whether an export writes files of that name.
pub(super) fn is_of_export(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let ours = [
        "manifest.json",
        "golden.safetensors",
        "README.md",
        "tokenizer.json",
    ];
    is_graph(path) || name.is_some_and(|name| ours.contains(&name))
}

fn is_graph(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ["onnx", "data"].iter().any(|e| end.eq_ignore_ascii_case(e)))
}

/// Files with weights of an ONNX file; it is read only where one of the outputs is there already and lies in its folder. What
/// cannot be read is told by who reads it.
pub(super) fn weights_beside(graph: &Path, outputs: &[Place]) -> Vec<PathBuf> {
    let folder = graph.parent().unwrap_or(Path::new(""));
    let place = Place::of(match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    });
    let near = |output: &&Place| output.is_there() && output.path().starts_with(place.path());
    if !outputs.iter().any(|output| near(&output)) {
        return vec![];
    }
    let model = read_data(graph).ok().and_then(|b| Model::decode(&b).ok());
    let mut names = vec![];
    if let Some(model) = &model {
        locations(&model.graph, &mut names);
    }
    names.into_iter().map(|name| folder.join(name)).collect()
}

fn locations(graph: &Graph, names: &mut Vec<String>) {
    for tensor in &graph.initializers {
        if let TensorData::External(external) = &tensor.data {
            names.push(external.location.clone());
        }
    }
    for node in &graph.nodes {
        node.subgraphs()
            .for_each(|(_, inner)| locations(inner, names));
    }
}
