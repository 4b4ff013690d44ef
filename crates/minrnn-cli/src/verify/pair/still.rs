//! Outputs that have the same values in all runs: nothing is shown of what they hang on.

use std::collections::BTreeSet;

use minrnn_onnx::ir::{Graph, Model, Node};

use super::case::Two;
use super::report::{JUDGE, Row};

impl Two {
    /// Marks rows of outputs that never change although they hang on what the files are given.
    pub(super) fn find_still(&self, rows: &mut [Row]) {
        let judged = |r: &Row| r.by == JUDGE && r.values > 0;
        let moves = |name: &str| {
            rows.iter()
                .any(|r| judged(r) && r.tensor == name && !r.still)
        };
        let mut still: Vec<&str> = vec![];
        for names in &self.face.outputs {
            let hangs = |side: usize| hangs(&self.files[side].model, &names[side]);
            if !moves(&names[1]) && (hangs(0) || hangs(1)) {
                still.push(&names[1]);
            }
        }
        let still: Vec<String> = still.into_iter().map(str::to_owned).collect();
        for row in rows {
            row.still = judged(row) && still.contains(&row.tensor);
        }
    }
}

/// What is said of them.
pub(super) fn still(rows: &[Row]) -> Vec<String> {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let rows = rows
        .iter()
        .filter(|r| r.is_still() && told.insert(&r.tensor));
    let one = |r: &Row| {
        format!(
            "{}, `{}`: the same values in all runs of both files, whatever they are given: nothing is shown of what it hangs on; a switch among the inputs is set by --value NAME=N, \
             integers within a range are drawn by --input NAME=:int=LOW..HIGH, and --ignore-output {} says that it is not to be compared",
            r.check, r.tensor, r.tensor
        )
    };
    rows.map(one).collect()
}

/// Whether an output is computed from what is given, and not from its size alone.
fn hangs(model: &Model, output: &str) -> bool {
    let mut wanted: BTreeSet<&str> = BTreeSet::from([output]);
    for node in model.graph.nodes.iter().rev() {
        let made = node.outputs.iter().any(|o| wanted.contains(o.as_str()));
        if made && !matches!(node.op_type.as_str(), "Shape" | "Size") {
            read(node, &mut wanted);
        }
    }
    let given = |name: &str| !model.graph.initializers.iter().any(|t| t.name == name);
    let mut inputs = model.graph.inputs.iter();
    inputs.any(|v| wanted.contains(v.name.as_str()) && given(&v.name))
}

/// Names that a node reads, those within its bodies included.
fn read<'m>(node: &'m Node, wanted: &mut BTreeSet<&'m str>) {
    wanted.extend(node.inputs.iter().map(String::as_str));
    for (_, body) in node.subgraphs() {
        within(body, wanted);
    }
}

fn within<'m>(graph: &'m Graph, wanted: &mut BTreeSet<&'m str>) {
    wanted.extend(graph.outputs.iter().map(|v| v.name.as_str()));
    for node in &graph.nodes {
        read(node, wanted);
    }
}
