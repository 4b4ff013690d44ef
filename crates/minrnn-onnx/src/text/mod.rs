//! Texts for a graph: to read, to compare, to keep as snapshots.
//!
//! [`text`] shows a file as it is, names and order included. [`canonical`] shows what it computes: the same text for
//! every file that differs only in names of inner values, nodes and constants, in the order of independent nodes or of
//! constants, or in notes for people.
//!
//! In both a node is one line, with the types of its results as far as they can be inferred; a sub-graph follows its
//! node, indented. Large constants are told apart by a sha256 prefix.
//!
//! ```text
//! %h: f32[batch,seq_len,96] = Add(%m, %b)  # /layers.0/rnn/Add
//! ```
//!
//! What the canonical text holds still:
//!
//! - Inputs and outputs of the model keep their names and their order: they are the interface.
//! - Other values are `%1`, `%2`, .. (constants `%c1`, ..) in an order that the outputs determine: producers first, a
//!   node's first input before its second. Values inside a sub-graph are `%7.1`, `%7.2`, .. after the first result of
//!   its node. A name of the interface that looks like one of these is quoted.
//! - Nodes and constants that no output needs follow at the end of their graph as `%u1`, `%uc1`; equal ones share a
//!   line that counts them.
//! - Attributes, operator sets, functions and metadata are in order of their names. Names of values inside
//!   `minrnn.recurrences` are replaced as above.
//! - Left out: names of nodes and graphs, texts for people, metadata of nodes, producer and model version.

pub(crate) mod canonical;
pub(crate) mod colour;
mod names;
pub(crate) mod scope;
#[cfg(test)]
pub(crate) mod shuffle;
mod snapshot;
#[cfg(test)]
pub(crate) mod stable;
#[cfg(test)]
mod tests;
pub(crate) mod value;

pub use canonical::canonical;

use std::fmt::Write;

use crate::check::{self, Types};
use crate::ir::{Dim, Function, Graph, Model, Node, ValueInfo, is_standard};
use value::{attribute, digest, name, one_line, quoted, sparse, tensor};

/// The text of a model as it is: with its names, in its order. Models that break rules have one too.
pub fn text(model: &Model) -> String {
    let (types, _) = check::infer(model);
    let mut out = String::new();
    line(&mut out, 0, format_args!("ir_version {}", model.ir_version));
    for (domain, version) in &model.opsets {
        let domain = if domain.is_empty() { "ai.onnx" } else { domain };
        line(
            &mut out,
            0,
            format_args!("opset {} {version}", quoted(domain)),
        );
    }
    let facts = [
        ("producer", &model.producer),
        ("producer_version", &model.producer_version),
        ("domain", &model.domain),
        ("doc", &model.doc),
    ];
    for (key, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        line(&mut out, 0, format_args!("{key} {}", quoted(value)));
    }
    if model.model_version != 0 {
        line(
            &mut out,
            0,
            format_args!("model_version {}", model.model_version),
        );
    }
    for (key, value) in &model.metadata {
        line(
            &mut out,
            0,
            format_args!("metadata {} = {}", quoted(key), one_line(value)),
        );
    }
    for (kind, parts) in [("training", &model.training), ("device", &model.devices)] {
        for part in parts {
            line(&mut out, 0, format_args!("{kind} sha256:{}", digest(part)));
        }
    }
    out.push('\n');
    graph(&mut out, 0, "graph", &model.graph, &types);
    for f in &model.functions {
        function(&mut out, f);
    }
    out
}

fn function(out: &mut String, f: &Function) {
    let names = |all: &[String]| all.iter().map(|n| name(n)).collect::<Vec<_>>().join(", ");
    let attributes = f.attributes.iter().map(|a| quoted(a));
    let defaults = f.defaults.iter().map(|(k, a)| {
        let value = attribute(a).unwrap_or_else(|| a.kind().into());
        format!("{}={value}", quoted(k))
    });
    let overload = if f.overload.is_empty() {
        String::new()
    } else {
        format!(":{}", quoted(&f.overload))
    };
    out.push('\n');
    let title = format!("{}.{}{overload}", quoted(&f.domain), quoted(&f.name));
    line(out, 0, format_args!("function {title} {{"));
    for (domain, version) in &f.opsets {
        let domain = if domain.is_empty() { "ai.onnx" } else { domain };
        line(out, 1, format_args!("opset {} {version}", quoted(domain)));
    }
    for a in attributes.chain(defaults) {
        line(out, 1, format_args!("attribute {a}"));
    }
    line(out, 1, format_args!("in {}", names(&f.inputs)));
    line(out, 1, format_args!("out {}", names(&f.outputs)));
    for (i, n) in f.nodes.iter().enumerate() {
        node(out, 1, i, n, &Types::default());
    }
    line(out, 0, format_args!("}}"));
}

fn line(out: &mut String, depth: usize, text: std::fmt::Arguments) {
    for _ in 0..depth {
        out.push_str("  ");
    }
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}

fn graph(out: &mut String, depth: usize, label: &str, g: &Graph, types: &Types) {
    let title = if g.name == label {
        label.to_owned()
    } else {
        format!("{label} {}", quoted(&g.name))
    };
    line(out, depth, format_args!("{title} {{"));
    let inner = depth + 1;
    for (kind, values) in [("in", &g.inputs), ("out", &g.outputs)] {
        for v in values {
            line(out, inner, format_args!("{kind} {}", declared(v)));
        }
    }
    for t in &g.initializers {
        line(
            out,
            inner,
            format_args!("init {}: {}", name(&t.name), tensor(t)),
        );
    }
    for s in &g.sparse_initializers {
        line(
            out,
            inner,
            format_args!("init {}: {}", name(&s.values.name), sparse(s)),
        );
    }
    for (tensor, roles) in &g.quantization {
        line(
            out,
            inner,
            format_args!("quantization {} {roles:?}", name(tensor)),
        );
    }
    for (i, n) in g.nodes.iter().enumerate() {
        node(out, inner, i, n, types);
    }
    line(out, depth, format_args!("}}"));
}

fn declared(v: &ValueInfo) -> String {
    format!("{}: {}", name(&v.name), type_of(v))
}

/// The type that the file states for a value.
pub(crate) fn type_of(v: &ValueInfo) -> String {
    if let Some(other) = &v.other {
        return other.to_string();
    }
    let dtype = v.dtype.map_or("?", |d| d.name());
    let dims = v.dims.as_ref().map_or_else(
        || "..".to_owned(),
        |dims| dims.iter().map(dim).collect::<Vec<_>>().join(","),
    );
    format!("{dtype}[{dims}]")
}

fn dim(d: &Dim) -> String {
    if *d == Dim::Unknown {
        "?".to_owned()
    } else {
        quoted(&d.to_string())
    }
}

fn node(out: &mut String, depth: usize, index: usize, n: &Node, types: &Types) {
    let typed = |o: &String| match types.get(o) {
        _ if o.is_empty() => name(o),
        Some(ty) => format!("{}: {}", name(o), one_line(&ty.to_string())),
        None => format!("{}: ?", name(o)),
    };
    let outputs = n.outputs.iter().map(typed).collect::<Vec<_>>().join(", ");
    let inputs = n.inputs.iter().map(|i| name(i)).collect::<Vec<_>>();
    // Values are named after their node where nothing else names them: then the name stands there already.
    let first = n.outputs.first().map_or("", String::as_str);
    let told = first == n.name || first.strip_suffix(".0") == Some(&n.name);
    let comment = if told || n.name.is_empty() {
        String::new()
    } else {
        format!("  # {}", one_line(&n.name))
    };
    let text = operator(n, &inputs.join(", "), false);
    line(out, depth, format_args!("{outputs} = {text}{comment}"));
    let empty = Types::default();
    for (position, (label, g)) in n.subgraphs().enumerate() {
        let inner = types.subgraph(index, position).unwrap_or(&empty);
        graph(out, depth + 1, &quoted(label), g, inner);
    }
}

/// The operator with what goes in and its attributes, in the order of the file or of their names.
pub(crate) fn operator(n: &Node, inputs: &str, in_order: bool) -> String {
    let domain = if n.domain.is_empty() || (in_order && is_standard(&n.domain)) {
        String::new()
    } else {
        format!("{}.", quoted(&n.domain))
    };
    let overload = if n.overload.is_empty() {
        String::new()
    } else {
        format!(":{}", quoted(&n.overload))
    };
    let mut attributes: Vec<String> = n
        .attributes
        .iter()
        .filter_map(|(k, a)| attribute(a).map(|text| format!("{}={text}", quoted(k))))
        .collect();
    if in_order {
        attributes.sort();
    }
    let attributes = if attributes.is_empty() {
        String::new()
    } else {
        format!(" {{{}}}", attributes.join(", "))
    };
    format!(
        "{domain}{}{overload}({inputs}){attributes}",
        quoted(&n.op_type)
    )
}
