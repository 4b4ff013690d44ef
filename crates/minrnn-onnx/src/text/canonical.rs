//! The text that names and order do not change.

use std::collections::HashMap;

use super::colour::{self, Content};
use super::names::{Level, rename};
use super::scope::{Const, Def, Scope, Source};
use super::value::{digest, name, one_line, quoted, sparse, tensor};
use super::{line, operator, type_of};
use crate::check::{self, Types};
use crate::ir::{Function, Model, ValueInfo, is_standard};

/// The canonical text of a model: the same for every file that differs only in names of inner values, nodes and
/// constants, in the order of independent nodes or of constants, or in notes for people. See the [module](super).
///
/// Models that break rules have one too; of such, files that differ in names or order may have different ones.
///
/// ```
/// use minrnn_onnx::{builder::Builder, ir::{DType, Dim, Model}, text::canonical};
///
/// let model = |scope: &str| {
///     let mut b = Builder::new("g");
///     let x = b.input("x", DType::F32, vec![Dim::Fixed(2)]);
///     let y = b.scoped(scope, |b| { let h = b.relu(x); b.add(x, h) });
///     b.output("y", y, DType::F32, vec![Dim::Fixed(2)]);
///     Model { ir_version: 8, opsets: vec![(String::new(), 17)], graph: b.finish().unwrap(), ..Model::default() }
/// };
/// assert_eq!(canonical(&model("a")), canonical(&model("b")));
/// assert!(canonical(&model("a")).ends_with("
///   %1: f32[2] = Relu(%x)
///   %y: f32[2] = Add(%x, %1)
/// }
/// "));
/// ```
pub fn canonical(model: &Model) -> String {
    let (types, _) = check::infer(model);
    let scope = Scope::new(Source::graph(&model.graph));
    let colours = colour::by_label(&scope, None, Content::Whole);
    let mut root = Level::new(&scope, &colours, None, "", &mut 0);
    root.keep_interface();
    let mut out = String::new();
    header(&mut out, model, &root);
    out.push('\n');
    line(&mut out, 0, format_args!("graph {{"));
    interface(&mut out, &root);
    Printer::new(&root, Some(&types)).contents(&mut out, 1);
    quantization(&mut out, model, &root);
    line(&mut out, 0, format_args!("}}"));
    let mut functions: Vec<_> = model.functions.iter().collect();
    functions.sort_by_key(|f| (&f.domain, &f.name, &f.overload));
    functions.into_iter().for_each(|f| function(&mut out, f));
    out
}

/// What belongs to the model beside its graph, in order: what it is, and its value, with canonical names.
pub(crate) fn notes(model: &Model) -> Vec<(String, String)> {
    let scope = Scope::new(Source::graph(&model.graph));
    let colours = colour::by_label(&scope, None, Content::Whole);
    let mut root = Level::new(&scope, &colours, None, "", &mut 0);
    root.keep_interface();
    let mut notes = vec![("ir_version".to_owned(), model.ir_version.to_string())];
    let sets = opsets(&model.opsets).into_iter();
    notes.extend(sets.map(|(domain, v)| (format!("opset {domain}"), v.to_string())));
    let metadata = entries(model, &root).into_iter();
    notes.extend(metadata.map(|(k, v)| (format!("metadata {k}"), v)));
    let annotations = annotations(model, &root).into_iter();
    notes.extend(annotations.map(|(tensor, roles)| (format!("quantization {tensor}"), roles)));
    for (kind, parts) in [("training", &model.training), ("device", &model.devices)] {
        let all: Vec<_> = parts.iter().map(|p| digest(p)).collect();
        notes.extend((!all.is_empty()).then(|| (kind.to_owned(), all.join(" "))));
    }
    for f in &model.functions {
        let mut text = String::new();
        function(&mut text, f);
        let name = format!("function {}.{}:{}", f.domain, f.name, f.overload);
        notes.push((name, format!("sha256:{}", digest(text.as_bytes()))));
    }
    notes
}

fn header(out: &mut String, model: &Model, root: &Level<'_, '_>) {
    line(out, 0, format_args!("ir_version {}", model.ir_version));
    for (domain, version) in opsets(&model.opsets) {
        line(out, 0, format_args!("opset {} {version}", quoted(&domain)));
    }
    for (key, value) in entries(model, root) {
        line(
            out,
            0,
            format_args!("metadata {} = {}", quoted(&key), one_line(&value)),
        );
    }
    for (kind, parts) in [("training", &model.training), ("device", &model.devices)] {
        for part in parts {
            line(out, 0, format_args!("{kind} sha256:{}", digest(part)));
        }
    }
}

/// Operator sets by name, the standard one by its long name.
pub(crate) fn opsets(sets: &[(String, i64)]) -> Vec<(String, i64)> {
    let known = |domain: &str| {
        if is_standard(domain) {
            "ai.onnx"
        } else {
            domain
        }
        .to_owned()
    };
    let mut sets: Vec<_> = sets.iter().map(|(d, v)| (known(d), *v)).collect();
    sets.sort();
    sets
}

/// The key whose value names tensors inside the graph.
const RECURRENCES: &str = "minrnn.recurrences";

fn entries(model: &Model, root: &Level<'_, '_>) -> Vec<(String, String)> {
    let mut all = model.metadata.clone();
    for (_, value) in all.iter_mut().filter(|(key, _)| key == RECURRENCES) {
        if let Ok(mut json) = serde_json::from_str(value) {
            rename(&mut json, &root.by_name());
            *value = json.to_string();
        }
    }
    all.sort();
    all
}

/// Inputs and outputs of the model, in the order of the file.
fn interface(out: &mut String, root: &Level<'_, '_>) {
    let Some((inputs, outputs)) = root.scope.source.declared else {
        return;
    };
    for (i, v) in inputs.iter().enumerate() {
        let default = match root.scope.values.get(i).map(|v| v.def) {
            Some(Def::Input(_, Some(c))) => format!(" = {}", constant(c)),
            _ => String::new(),
        };
        line(
            out,
            1,
            format_args!("in {}: {}{default}", root.names[i], type_of(v)),
        );
    }
    for (v, r) in outputs.iter().zip(&root.scope.outputs) {
        line(
            out,
            1,
            format_args!("out {}: {}", root.name(*r), type_of(v)),
        );
    }
}

fn quantization(out: &mut String, model: &Model, root: &Level<'_, '_>) {
    for (tensor, roles) in annotations(model, root) {
        line(out, 1, format_args!("quantization {tensor} {{{roles}}}"));
    }
}

/// Which tensors say how a tensor was quantised, in order.
fn annotations(model: &Model, root: &Level<'_, '_>) -> Vec<(String, String)> {
    let names = root.by_name();
    let find = |own: &String| {
        let known = names.get(own.as_str());
        known.map_or_else(|| name(own), |n| (*n).to_owned())
    };
    let one = |(tensor, roles): &(String, Vec<(String, String)>)| {
        let role = |(k, v): &(String, String)| format!("{}={}", quoted(k), find(v));
        let mut roles: Vec<_> = roles.iter().map(role).collect();
        roles.sort();
        (find(tensor), roles.join(", "))
    };
    let mut all: Vec<_> = model.graph.quantization.iter().map(one).collect();
    all.sort();
    all
}

fn function(out: &mut String, f: &Function) {
    let scope = Scope::new(Source::function(f));
    let colours = colour::by_label(&scope, None, Content::Whole);
    let level = Level::new(&scope, &colours, None, "", &mut 0);
    let overload = if f.overload.is_empty() {
        String::new()
    } else {
        format!(":{}", quoted(&f.overload))
    };
    let title = format!("{}.{}{overload}", quoted(&f.domain), quoted(&f.name));
    out.push('\n');
    line(out, 0, format_args!("function {title} {{"));
    for (domain, version) in opsets(&f.opsets) {
        line(out, 1, format_args!("opset {} {version}", quoted(&domain)));
    }
    let mut given: Vec<_> = f.attributes.iter().map(|a| quoted(a)).collect();
    let defaults = f.defaults.iter();
    given.extend(defaults.map(|(k, a)| {
        let value = super::value::attribute(a).unwrap_or_else(|| a.kind().into());
        format!("{} = {value}", quoted(k))
    }));
    given.sort();
    given
        .iter()
        .for_each(|a| line(out, 1, format_args!("attribute {a}")));
    let names = level.names.iter().take(f.inputs.len());
    names.for_each(|name| line(out, 1, format_args!("in {name}")));
    for r in &scope.outputs {
        line(out, 1, format_args!("out {}", level.name(*r)));
    }
    Printer::new(&level, None).contents(out, 1);
    line(out, 0, format_args!("}}"));
}

fn constant(c: Const<'_>) -> String {
    match c {
        Const::Dense(t) => tensor(t),
        Const::Sparse(s) => sparse(s),
    }
}

fn times(count: usize) -> String {
    if count > 1 {
        format!("  # {count} times")
    } else {
        String::new()
    }
}

/// Writes the inside of a graph.
struct Printer<'p, 'a> {
    level: &'p Level<'p, 'a>,
    types: Option<&'p Types>,
    /// Types that the file states, for values whose types cannot be inferred.
    stated: HashMap<&'a str, &'a ValueInfo>,
}

impl<'p, 'a> Printer<'p, 'a> {
    fn new(level: &'p Level<'p, 'a>, types: Option<&'p Types>) -> Self {
        let source = &level.scope.source;
        let outputs = source.declared.map_or(&[][..], |(_, outputs)| outputs);
        let all = source.value_info.iter().chain(outputs);
        Self {
            level,
            types,
            stated: all.map(|v| (v.name.as_str(), v)).collect(),
        }
    }

    /// Constants, nodes, then what is of no use.
    fn contents(&self, out: &mut String, depth: usize) {
        let level = self.level;
        let init = |out: &mut String, index: usize, count: usize| {
            if let Def::Const(c) = level.scope.values[index].def {
                let (name, value, times) = (&level.names[index], constant(c), times(count));
                line(out, depth, format_args!("init {name}: {value}{times}"));
            }
        };
        for index in &level.scope.constants {
            init(out, *index, 1);
        }
        for node in &level.scope.order {
            self.node(out, depth, *node, 1);
        }
        for (index, count) in &level.unused_constants {
            init(out, *index, *count);
        }
        for nodes in level.unused.values() {
            if let Some(first) = nodes.first() {
                self.node(out, depth, *first, nodes.len());
            }
        }
    }

    fn node(&self, out: &mut String, depth: usize, index: usize, count: usize) {
        let (level, node) = (self.level, self.level.scope.node(index));
        let results: Vec<_> = level.scope.written[index]
            .iter()
            .map(|v| v.map_or_else(|| "_".to_owned(), |v| self.typed(v, count == 1)))
            .collect();
        let inputs: Vec<_> = level.scope.inputs[index]
            .iter()
            .map(|r| level.name(*r))
            .collect();
        let times = times(count);
        let text = operator(node, &inputs.join(", "), true);
        line(
            out,
            depth,
            format_args!("{} = {text}{times}", results.join(", ")),
        );
        let outer = level.outer();
        let mut counter = 0;
        for body in &level.scope.bodies[index] {
            let colours = colour::by_label(&body.scope, Some(&outer), Content::Whole);
            let prefix = &level.prefixes[index];
            let inner = Level::new(
                &body.scope,
                &colours,
                Some((level, &outer)),
                prefix,
                &mut counter,
            );
            let types = self.types.and_then(|t| t.subgraph(index, body.position));
            line(out, depth + 1, format_args!("{} {{", quoted(body.label)));
            formals(out, depth + 2, &inner);
            Printer::new(&inner, types).contents(out, depth + 2);
            line(out, depth + 1, format_args!("}}"));
        }
    }

    /// A result with its type. Equal nodes of no use share a line, so of them only what is inferred is told.
    fn typed(&self, value: usize, alone: bool) -> String {
        let v = &self.level.scope.values[value];
        let name = &self.level.names[value];
        let inferred = self.types.and_then(|t| t.get(v.name));
        let known = inferred.filter(|t| t.dtype.is_some() || t.dims.is_some());
        let used = alone && self.level.scope.labels[value].is_some();
        match (known, self.stated.get(v.name)) {
            (Some(ty), _) if ty.dims.is_some() || !used => {
                format!("{name}: {}", one_line(&ty.to_string()))
            }
            (_, Some(stated)) if used => format!("{name}: {}", type_of(stated)),
            (Some(ty), _) => format!("{name}: {}", one_line(&ty.to_string())),
            (None, _) => format!("{name}: ?"),
        }
    }
}

/// Inputs and outputs of a sub-graph.
fn formals(out: &mut String, depth: usize, level: &Level<'_, '_>) {
    let Some((inputs, outputs)) = level.scope.source.declared else {
        return;
    };
    for (v, name) in inputs.iter().zip(&level.names) {
        line(out, depth, format_args!("in {name}: {}", type_of(v)));
    }
    for (v, r) in outputs.iter().zip(&level.scope.outputs) {
        line(
            out,
            depth,
            format_args!("out {}: {}", level.name(*r), type_of(v)),
        );
    }
}
