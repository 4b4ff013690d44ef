//! One canonical text for a graph: to read, to diff, to keep as a snapshot.
//!
//! The same model always gives the same text. A node is one line, with the types of its results as far as they can be
//! inferred; a sub-graph follows its node, indented. Large constants are told apart by a sha256 prefix.
//!
//! ```text
//! %h: f32[batch,seq_len,96] = Add(%m, %b)  # /layers.0/rnn/Add
//! ```

#[cfg(test)]
mod tests;
mod value;

use std::fmt::Write;

use crate::check::{self, Types};
use crate::ir::{Dim, Graph, Model, Node, ValueInfo};
use value::{attribute, name, one_line, quoted, tensor};

/// The canonical text of a model. Models that break rules have one too.
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
    out.push('\n');
    graph(&mut out, 0, "graph", &model.graph, &types);
    out
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
    let dtype = v.dtype.map_or("?", |d| d.name());
    let dims = v.dims.as_ref().map_or_else(
        || "..".to_owned(),
        |dims| dims.iter().map(dim).collect::<Vec<_>>().join(","),
    );
    format!("{}: {dtype}[{dims}]", name(&v.name))
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
        Some(ty) => format!("{}: {ty}", name(o)),
        None => format!("{}: ?", name(o)),
    };
    let outputs = n.outputs.iter().map(typed).collect::<Vec<_>>().join(", ");
    let inputs = n
        .inputs
        .iter()
        .map(|i| name(i))
        .collect::<Vec<_>>()
        .join(", ");
    let domain = if n.domain.is_empty() {
        String::new()
    } else {
        format!("{}.", quoted(&n.domain))
    };
    let attributes: Vec<String> = n
        .attributes
        .iter()
        .filter_map(|(k, a)| attribute(a).map(|text| format!("{}={text}", quoted(k))))
        .collect();
    let attributes = if attributes.is_empty() {
        String::new()
    } else {
        format!(" {{{}}}", attributes.join(", "))
    };
    // Values are named after their node where nothing else names them: then the name stands there already.
    let first = n.outputs.first().map_or("", String::as_str);
    let told = first == n.name || first.strip_suffix(".0") == Some(&n.name);
    let comment = if told || n.name.is_empty() {
        String::new()
    } else {
        format!("  # {}", one_line(&n.name))
    };
    let op = quoted(&n.op_type);
    line(
        out,
        depth,
        format_args!("{outputs} = {domain}{op}({inputs}){attributes}{comment}"),
    );
    let empty = Types::default();
    for (position, (label, g)) in n.subgraphs().enumerate() {
        let inner = types.subgraph(index, position).unwrap_or(&empty);
        graph(out, depth + 1, &quoted(label), g, inner);
    }
}

/// Placeholder while the canonical form is written.
pub fn canonical(model: &Model) -> String {
    text(model)
}
