//! `README.md` of an export: a model card.

use std::fmt::Write;

use minrnn_model::graph::{Graph, Input};
use serde_json::Value as Json;

use super::manifest::FormFile;
use super::metadata::head;
use crate::ir::{Dim, ValueInfo};

/// The card. Writing to a String cannot fail, so results of `write!` are dropped.
pub(super) fn card(graph: &Graph, config: &Json, weights: &str, forms: &[FormFile]) -> String {
    let mut out = String::from("# A minrnn model\n\n");
    let count: usize = graph.params().iter().map(|p| p.len()).sum();
    let input = match graph.input() {
        Input::Tokens { vocab } => format!("token ids `input_ids`, {vocab} tokens"),
        Input::Features { width } => format!("real values `features`, {width} a step"),
    };
    let output = graph.output();
    let steps = if head(graph) == "last" {
        "for the last step"
    } else {
        "for each step"
    };
    let _ = write!(
        out,
        "A minimal recurrent network (\"Were RNNs All We Needed?\", arXiv 2410.01201), exported to ONNX by minrnn {}.\n\n\
         - Input: {input}.\n\
         - Output: `{}`, {} values {steps}.\n\
         - {count} parameters, float32. Weights: sha256 `{weights}`.\n\n\
         ## Files\n\n\
         | file | form | takes | longest sequence |\n|---|---|---|---|\n",
        env!("CARGO_PKG_VERSION"),
        output.kind.tensor_name(),
        graph.width(output.value),
    );
    for f in forms {
        let takes = f.model.graph.inputs.first().map(shape).unwrap_or_default();
        let longest = match (
            f.options.form.name(),
            f.model.metadata("minrnn.max_seq_len"),
        ) {
            ("step", _) => "one step",
            (_, Some(n)) => n,
            (_, None) => "no limit",
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | `{takes}` | {longest} |",
            f.file,
            f.options.lowering_name()
        );
    }
    out.push_str(
        "| `manifest.json` | | what is above, for programs | |\n\
         | `golden.safetensors` | | inputs, states and right outputs, to test an integration with | |\n\n\
         All forms compute the same and share their states: a sequence may be cut anywhere, each piece run by any form, with the\n\
         states that come out going into the next piece.\n",
    );
    states(&mut out, graph);
    let _ = write!(
        out,
        "\n## Golden trace\n\n\
         `golden.safetensors` holds the input, then two runs: `initial.*` from the model's own initial states, `given.*` from others.\n\
         Feed `{{run}}.state.*`, compare with `{{run}}.{}` and `{{run}}.next_state.*`; `*.bound` says how far\n\
         any right float32 engine is at most (most are a thousand times closer).\n\n\
         ## Configuration\n\n```json\n{}\n```\n",
        output.kind.tensor_name(),
        pretty(config),
    );
    out
}

fn states(out: &mut String, graph: &Graph) {
    if graph.states().is_empty() {
        return;
    }
    out.push_str(
        "\n## States\n\n| goes in | comes out | shape | begins with |\n|---|---|---|---|\n",
    );
    for s in graph.states() {
        let shape: Vec<String> = std::iter::once("batch".to_owned())
            .chain(s.shape().iter().map(ToString::to_string))
            .collect();
        let init = match s.init {
            minrnn_model::graph::StateInit::Zero => "zeros",
            minrnn_model::graph::StateInit::Learned(_) => "learned values, in the manifest",
        };
        let _ = writeln!(
            out,
            "| `{}` | `{}` | `[{}]` | {init} |",
            s.input_name(),
            s.output_name(),
            shape.join(", ")
        );
    }
}

fn shape(v: &ValueInfo) -> String {
    let dims = v.dims.as_deref().unwrap_or_default();
    format!(
        "{} [{}]",
        v.name,
        dims.iter()
            .map(Dim::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    )
}

/// Indented JSON with keys in order.
fn pretty(config: &Json) -> String {
    let sorted: Result<std::collections::BTreeMap<String, Json>, _> =
        serde_json::from_str(&super::json::canonical(config));
    sorted
        .and_then(|c| serde_json::to_string_pretty(&c))
        .unwrap_or_default()
}
