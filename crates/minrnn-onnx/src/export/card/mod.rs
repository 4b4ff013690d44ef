//! `README.md` of an export: a model card.

mod snippet;

use std::fmt::Write;

use minrnn_model::graph::{Graph, Input, OutputKind};
use minrnn_model::params::Params;
use minrnn_model::vocabulary::Vocabulary;
use serde_json::Value as Json;

use super::manifest::{Data, FormFile};
use super::metadata::{config, head};
use super::names::Named;
use super::{Activations, Averaged, DirOptions, ExportError, ExportOptions, Port, Weights};
use crate::ir::{Dim, Model, TensorData, ValueInfo};

/// What a card tells of.
pub(super) struct Content<'a> {
    pub(super) graph: &'a Graph,
    pub(super) params: &'a Params,
    pub(super) config: &'a Json,
    /// Hash of the parameters.
    pub(super) weights: &'a str,
    pub(super) ports: &'a [Port],
    pub(super) names: &'a [Named],
    /// At least one.
    pub(super) forms: &'a [FormFile],
    pub(super) dir: &'a DirOptions,
}

/// The card. Writing to a String cannot fail, so results of `write!` are dropped.
pub(super) fn card(c: &Content<'_>) -> String {
    let mut out = String::from("# A minrnn model\n\n");
    about(&mut out, c);
    files(&mut out, c.forms);
    measured(&mut out, &c.dir.measured);
    states(&mut out, c);
    extra(&mut out, &c.forms[0].options);
    snippet::snippet(&mut out, c);
    let _ = write!(
        out,
        "\n## Golden trace\n\n\
         `golden.safetensors` holds the input, then two runs: `initial.*` from the model's own initial states, `given.*` from others.\n\
         Feed the states `{{run}}.*` that go in, compare with `{{run}}.{}` and the states that come out; `*.bound` says how far\n\
         any right float32 engine is at most (most are a thousand times closer).\n\n\
         ## Configuration\n\n```json\n{}\n```\n",
        c.graph.output().kind.tensor_name(),
        super::json::pretty(c.config),
    );
    out
}

/// The card of files that lie there, each with its name and the options that it tells of ([`super::options`]): what
/// [`super::write_export`] wrote beside them, without the figures of the checkpoint (its section `## Measured`), which no file has.
///
/// # Errors
/// No file; options that make none; a configuration with names that do not fit.
pub fn card_of(
    graph: &Graph,
    params: &Params,
    weights: &str,
    files: &[(&str, &Model, ExportOptions)],
    vocabulary: Option<&Vocabulary>,
) -> Result<String, ExportError> {
    let forms: Vec<FormFile> = files.iter().map(|(n, m, o)| form_file(n, m, o)).collect();
    let config = files.first().map(|(_, model, _)| config(model));
    let (Some(first), Some(config)) = (forms.first(), &config) else {
        return Err(ExportError::Option {
            option: "forms",
            what: "there is none".into(),
        });
    };
    let average = files[0].1.metadata(super::averaged::KEY);
    let average: Option<Json> = average.and_then(|text| serde_json::from_str(text).ok());
    let dir = DirOptions {
        average: average.as_ref().and_then(Averaged::from_json),
        vocabulary: vocabulary.cloned(),
        ..DirOptions::default()
    };
    Ok(card(&Content {
        graph,
        params,
        config,
        weights,
        ports: &super::ports(graph, &first.options)?,
        names: &super::names::names(graph, config)?,
        forms: &forms,
        dir: &dir,
    }))
}

fn form_file(name: &str, model: &Model, options: &ExportOptions) -> FormFile {
    let data = |file: &str| Data {
        file: file.to_owned(),
        bytes: 0,
        sha256: String::new(),
    };
    let beside = model.graph.initializers.iter().find_map(|t| match &t.data {
        TensorData::External(e) => Some(data(&e.location)),
        _ => None,
    });
    FormFile::new(options.clone(), model, data(name), beside)
}

/// What goes in and out, and the weights.
fn about(out: &mut String, c: &Content<'_>) {
    let count: usize = c.graph.params().iter().map(|p| p.len()).sum();
    let input = match c.graph.input() {
        Input::Tokens { vocab } => format!("token ids `input_ids`, {vocab} tokens"),
        Input::Features { width } => format!("real values `features`, {width} a step"),
    };
    let output = c.graph.output();
    let steps = match head(c.graph) {
        "last" => "for the last step",
        _ => "for each step",
    };
    let units = match output.kind {
        OutputKind::Values => ", in the units of the data",
        OutputKind::Logits => "",
    };
    let average = c.dir.average.map(|a| format!(", {}", a.words()));
    let _ = write!(
        out,
        "A minimal recurrent network (\"Were RNNs All We Needed?\", arXiv 2410.01201), exported to ONNX by minrnn {}.\n\n\
         - Input: {input}{}.\n\
         - Output: `{}`, {} values {steps}{units}{}.\n\
         - {count} parameters, {}. Weights: sha256 `{}`{}.\n\
         - Written for: {}.\n",
        env!("CARGO_PKG_VERSION"),
        listed(c.names, &["features"]),
        output.kind.tensor_name(),
        c.graph.width(output.value),
        listed(c.names, &["classes", "targets"]),
        dtype(&c.forms[0].options.weights),
        c.weights,
        average.unwrap_or_default(),
        c.forms[0].options.target.name(),
    );
    if c.forms[0].options.weights == Weights::F16
        && matches!(c.graph.input(), Input::Features { .. })
    {
        out.push_str(
            "- Features are made float16 before the first product, after their normalisation if the model has one. Beyond 65519.996 they are\n             \x20 infinite there, and gates saturate without a word: minrnn-runtime refuses such a call, other engines do not.\n",
        );
    }
}

/// The names of channels, as far as they fit into a line.
fn listed(names: &[Named], of: &[&str]) -> String {
    const SHOWN: usize = 16;
    let Some((_, list)) = names.iter().find(|(key, _)| of.contains(key)) else {
        return String::new();
    };
    let shown: Vec<String> = list.iter().take(SHOWN).map(|n| code(n)).collect();
    let more = match list.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more, in the manifest"),
    };
    format!(": {}{more}", shown.join(", "))
}

/// A name as code: nothing in it ends the code, the line or a cell of a table.
fn code(name: &str) -> String {
    let plain = |c: char| match c {
        '`' => '\'',
        '|' => '/',
        c if c.is_control() => ' ',
        c => c,
    };
    format!("`{}`", name.chars().map(plain).collect::<String>())
}

/// Figures of the checkpoint.
fn measured(out: &mut String, figures: &[(String, String)]) {
    if figures.is_empty() {
        return;
    }
    out.push_str("\n## Measured\n\n| what | |\n|---|---|\n");
    for (what, value) in figures {
        let _ = writeln!(out, "| {what} | {value} |");
    }
}

fn files(out: &mut String, forms: &[FormFile]) {
    out.push_str("\n## Files\n\n| file | form | takes | longest sequence |\n|---|---|---|---|\n");
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
            f.file.file, f.lowering
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

fn states(out: &mut String, c: &Content<'_>) {
    if c.ports.is_empty() {
        return;
    }
    out.push_str(
        "\n## States\n\n| goes in | comes out | shape | begins with |\n|---|---|---|---|\n",
    );
    for p in c.ports {
        let shape: Vec<String> = std::iter::once("batch".to_owned())
            .chain(p.shape.iter().map(ToString::to_string))
            .collect();
        let init = match p.init(c.graph, c.params) {
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
