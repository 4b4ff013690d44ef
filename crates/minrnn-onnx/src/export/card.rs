//! `README.md` of an export: a model card.

use std::fmt::Write;

use minrnn_model::graph::{Graph, Input};
use minrnn_model::params::Params;
use serde_json::Value as Json;

use super::manifest::FormFile;
use super::metadata::head;
use super::{Activations, ExportOptions, Port, Weights};
use crate::ir::{Dim, ValueInfo};

/// The card. Writing to a String cannot fail, so results of `write!` are dropped.
pub(super) fn card(
    graph: &Graph,
    params: &Params,
    config: &Json,
    weights: &str,
    ports: &[Port],
    forms: &[FormFile],
) -> String {
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
         - {count} parameters, {}. Weights: sha256 `{weights}`.\n\
         - Written for: {}.\n\n\
         ## Files\n\n\
         | file | form | takes | longest sequence |\n|---|---|---|---|\n",
        env!("CARGO_PKG_VERSION"),
        output.kind.tensor_name(),
        graph.width(output.value),
        dtype(&forms[0].options.weights),
        forms[0].options.target.name(),
    );
    for f in forms {
        let takes = f.inputs.first().map(shape).unwrap_or_default();
        let longest = match (f.options.form.name(), f.max_seq_len) {
            ("step", _) => "one step".to_owned(),
            (_, Some(n)) => n.to_string(),
            (_, None) => "no limit".to_owned(),
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | `{takes}` | {longest} |",
            f.file.file,
            f.options.lowering_name()
        );
    }
    let mut beside: Vec<&str> = forms
        .iter()
        .filter_map(|f| f.data.as_ref().map(|d| d.file.as_str()))
        .collect();
    beside.dedup();
    for file in beside {
        let _ = writeln!(
            out,
            "| `{file}` | | weights, read by the graphs: keep it beside them | |"
        );
    }
    out.push_str(
        "| `manifest.json` | | what is above, for programs | |\n\
         | `golden.safetensors` | | inputs, states and right outputs, to test an integration with | |\n\n\
         All forms compute the same and share their states: a sequence may be cut anywhere, each piece run by any form, with the\n\
         states that come out going into the next piece.\n",
    );
    states(&mut out, graph, params, ports);
    extra(&mut out, &forms[0].options);
    let _ = write!(
        out,
        "\n## Golden trace\n\n\
         `golden.safetensors` holds the input, then two runs: `initial.*` from the model's own initial states, `given.*` from others.\n\
         Feed the states `{{run}}.*` that go in, compare with `{{run}}.{}` and the states that come out; `*.bound` says how far\n\
         any right float32 engine is at most (most are a thousand times closer).\n\n\
         ## Configuration\n\n```json\n{}\n```\n",
        output.kind.tensor_name(),
        pretty(config),
    );
    out
}

fn dtype(weights: &Weights) -> &'static str {
    match weights {
        Weights::F32 => "float32",
        Weights::F16 => "matrices float16, all else float32",
        Weights::Bf16 => "matrices bfloat16, computed in float32",
        Weights::Int8(Activations::Row) => {
            "matrices of 8-bit integers by column, activations of 8 bits by row, all else float32"
        }
        Weights::Int8(Activations::Static(_)) => {
            "matrices of 8-bit integers by column, activations of 8 bits by calibrated scales, all else float32"
        }
    }
}

/// Inputs beside data and states.
fn extra(out: &mut String, options: &ExportOptions) {
    if options.lengths {
        out.push_str(
            "\nSequence forms take `lengths`, int64 `[batch]`, each from 1 to seq_len: states (and the answer for the last step) are\n\
             those of each row's own end; what stands behind it in the output means nothing.\n",
        );
    }
    if options.reset {
        out.push_str(
            "\n`reset`, bool `[batch, seq_len]` (step: `[batch]`): where it is true, the states begin anew before the step.\n",
        );
    }
}

fn states(out: &mut String, graph: &Graph, params: &Params, ports: &[Port]) {
    if ports.is_empty() {
        return;
    }
    out.push_str(
        "\n## States\n\n| goes in | comes out | shape | begins with |\n|---|---|---|---|\n",
    );
    for p in ports {
        let shape: Vec<String> = std::iter::once("batch".to_owned())
            .chain(p.shape.iter().map(ToString::to_string))
            .collect();
        let init = match p.init(graph, params) {
            None => "zeros",
            Some(_) => "learned values, in the manifest",
        };
        let _ = writeln!(
            out,
            "| `{}` | `{}` | `[{}]` | {init} |",
            p.input,
            p.output,
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
