//! Refuses cheap structural defects before tract sees a graph: some of them make its version 0.23.9 panic, ask for
//! gigabytes, or read another operator than the file means.

use std::collections::BTreeSet;

use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

use crate::error::Breach;
use crate::metadata::short;
use crate::names::ByName;
use crate::operator;

mod attribute;
mod scan;
mod shape;
mod tensor;

pub(crate) use shape::{Probe, RAISE, Shapes, Sizes, axis, broadcast};
pub(crate) use tensor::int64s;

/// The tensors that a node may read, by name; with its data where a tensor stands in the file.
type Names<'a> = ByName<&'a str, Option<&'a TensorProto>>;

/// Values that a constant shape may ask for.
const MAX_VALUES: i64 = 1 << 28;

/// Nodes, tensors and inputs that a file of any size may have.
const SOME_PARTS: u64 = 2048;
/// Bytes of a file for each one more. An export has about 200 with the weights left out; the engine takes up to 9 KB of
/// memory and 0.15 ms for a node, whatever it computes.
const BYTES_PER_PART: u64 = 256;

/// Operators that the engine runs otherwise than ONNX says, or not twice alike, in files of other programs.
const REFUSED: &[(&str, &str)] = &[
    (
        "Mod",
        "the engine folds it as a remainder of the other sign",
    ),
    ("Multinomial", "its values are random"),
    ("RandomNormal", "its values are random"),
    ("RandomNormalLike", "its values are random"),
    ("RandomUniform", "its values are random"),
    ("RandomUniformLike", "its values are random"),
    ("Bernoulli", "its values are random"),
];

/// What the exporter writes for other engines, where it is asked to.
const NOT_HERE: [&str; 1] = ["LinearAttention"];
/// The domain of ONNX Runtime's own operators, among them a LinearAttention.
const MICROSOFT: &str = "com.microsoft";

/// What a graph is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// What minrnn's exporter writes, and nothing else.
    Ours,
    /// Any graph that the engine can be trusted with.
    Any,
}

/// Checks the whole file. `size`: its bytes and those of files beside it.
pub(crate) fn check(model: &ModelProto, size: u64) -> Result<&GraphProto, Breach> {
    let graph = check_with(model, Rules::Ours)?;
    let most = SOME_PARTS.saturating_add(size / BYTES_PER_PART);
    let parts = parts(graph);
    if parts <= most {
        return Ok(graph);
    }
    let what =
        format!("has {parts} nodes, tensors and inputs; a file of {size} bytes has at most {most}");
    Err(Breach::new("graph", what))
}

/// Nodes, tensors and inputs, also of bodies.
fn parts(graph: &GraphProto) -> u64 {
    let own = graph.node.len() + graph.initializer.len() + graph.input.len();
    let attributes = graph.node.iter().flat_map(|n| &n.attribute);
    let bodies = attributes.filter_map(|a| a.g.as_ref()).map(parts);
    bodies.fold(own as u64, u64::saturating_add)
}

/// [`check`] by the rules given.
pub(crate) fn check_with(model: &ModelProto, rules: Rules) -> Result<&GraphProto, Breach> {
    opset(model, rules)?;
    if model.functions > 0 {
        return Err(Breach::new(
            "functions",
            "the engine does not read local functions",
        ));
    }
    if model.training_info > 0 {
        return Err(Breach::new("training_info", "a model that runs has none"));
    }
    let Some(graph) = &model.graph else {
        return Err(Breach::new("graph", "is missing"));
    };
    check_graph(graph, &Names::default(), "", rules)?;
    Ok(graph)
}

fn opset(model: &ModelProto, rules: Rules) -> Result<(), Breach> {
    let place = "opset_import";
    let mend = "export with opset 17";
    let mut versions = model
        .opset_import
        .iter()
        .filter(|o| plain_domain(&o.domain));
    let Some(opset) = versions.next() else {
        return Err(Breach::new(place, "has no entry for ai.onnx").mend(mend));
    };
    if versions.next().is_some() {
        return Err(Breach::new(place, "has two entries for ai.onnx").mend(mend));
    }
    let (low, high) = match rules {
        // What the operators of an export mean has not changed since 18, but for types that no export has.
        Rules::Ours => (13, 28),
        Rules::Any => (9, 24),
    };
    if (low..=high).contains(&opset.version) {
        return Ok(());
    }
    let what = format!(
        "is {}; the engine is tested from {low} to {high}",
        opset.version
    );
    Err(Breach::new(place, what).mend(mend))
}

/// The version of ONNX's operators that the file was written for, once it has been checked.
pub(crate) fn opset_of(model: &ModelProto) -> i64 {
    let mut all = model.opset_import.iter();
    all.find(|o| plain_domain(&o.domain))
        .map_or(0, |o| o.version)
}

fn plain_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// `outer` holds the names that a body may read from the graphs around it.
fn check_graph<'a>(
    graph: &'a GraphProto,
    outer: &Names<'a>,
    path: &str,
    rules: Rules,
) -> Result<(), Breach> {
    if graph.sparse_initializer > 0 {
        return Err(Breach::new(
            format!("{path}graph"),
            "has sparse initializers",
        ));
    }
    let mut here = Names::default();
    for input in &graph.input {
        define(&mut here, &input.name, None, path, "input")?;
    }
    let inputs = here.clone();
    for data in &graph.initializer {
        let place = format!("{path}initializer `{}`", short(&data.name));
        tensor::check(data, &place, rules)?;
        if inputs.contains_key(data.name.as_str()) {
            // A default value: the engine reads the input as that constant.
            if rules == Rules::Any {
                here.insert(&data.name, Some(data));
                continue;
            }
            return Err(Breach::new(place, "is a graph input as well"));
        }
        define(&mut here, &data.name, Some(data), path, "initializer")?;
    }
    for node in &graph.node {
        check_node(node, &here, outer, path, rules)?;
        let value = attribute(node, "value").filter(|_| node.op_type == "Constant");
        let value = value.and_then(|a| a.t.as_ref());
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            define(&mut here, output, value, path, "node output")?;
        }
    }
    check_outputs(graph, &here, path)
}

fn check_outputs(graph: &GraphProto, here: &Names, path: &str) -> Result<(), Breach> {
    let mut seen = BTreeSet::new();
    for output in &graph.output {
        let place = format!("{path}output `{}`", short(&output.name));
        if !here.contains_key(output.name.as_str()) {
            return Err(Breach::new(place, "is produced by no node"));
        }
        if !seen.insert(output.name.as_str()) {
            return Err(Breach::new(place, "stands there twice"));
        }
    }
    Ok(())
}

fn define<'a>(
    here: &mut Names<'a>,
    name: &'a str,
    data: Option<&'a TensorProto>,
    path: &str,
    what: &str,
) -> Result<(), Breach> {
    if !name.is_empty() && here.insert(name, data).is_none() {
        return Ok(());
    }
    let place = format!("{path}{what} `{}`", short(name));
    Err(Breach::new(
        place,
        "has no name, or a name that stands there twice",
    ))
}

fn check_node<'a>(
    node: &'a NodeProto,
    here: &Names<'a>,
    outer: &Names<'a>,
    path: &str,
    rules: Rules,
) -> Result<(), Breach> {
    let label = if node.name.is_empty() {
        node.output.first()
    } else {
        Some(&node.name)
    };
    let place = format!("{path}node `{}`", short(label.map_or("", |l| l.as_str())));
    let known = operator::find(&node.op_type).filter(|_| plain_domain(&node.domain));
    if rules == Rules::Any {
        refused(node, &place)?;
    } else if known.is_none() {
        let what = format!(
            "operator `{}` of domain `{}`",
            short(&node.op_type),
            short(&node.domain)
        );
        let theirs = plain_domain(&node.domain) || node.domain == MICROSOFT;
        if theirs && NOT_HERE.contains(&node.op_type.as_str()) {
            let what = format!("{what} is one that this runtime and tract do not have");
            let mend = "run a form of the export without it, such as scan, or this file in an engine that has the operator";
            return Err(Breach::new(place, what).mend(mend));
        }
        let what = format!("{what} is none that minrnn's exporter writes for this runtime");
        return Err(Breach::new(place, what).mend("run this file in another engine"));
    }
    if node.output.iter().all(|o| o.is_empty()) {
        return Err(Breach::new(place, "has no output"));
    }
    let mut attributes = node.attribute.iter();
    attributes
        .try_for_each(attribute::one_value)
        .map_err(|what| Breach::new(&place, what))?;
    if let Some(operator) = known.filter(|_| rules == Rules::Ours) {
        operator
            .fits(node)
            .map_err(|what| Breach::new(&place, what))?;
    }
    // Sorted order is part of ONNX; with it a graph can hold no cycle.
    let defined = |i: &str| i.is_empty() || here.contains_key(i) || outer.contains_key(i);
    if let Some(name) = node.input.iter().find(|i| !defined(i)) {
        let what = format!("reads `{}`, which nothing before it produces", short(name));
        return Err(Breach::new(place, what));
    }
    check_attributes(node, &place, rules)?;
    match node.op_type.as_str() {
        "Scan" => scan::check(node, here, outer, &place, rules)?,
        "If" => check_branches(node, here, outer, &place, rules)?,
        "Slice" => check_slice(node, here, &place)?,
        "Expand" => check_shape(node, 1, here, &place)?,
        "ConstantOfShape" => check_shape(node, 0, here, &place)?,
        "Pad" => check_pads(node, here, &place)?,
        _ => {}
    }
    Ok(())
}

/// The engine looks operators up by name alone, so one of another domain would be read as its namesake.
fn refused(node: &NodeProto, place: &str) -> Result<(), Breach> {
    let op = node.op_type.as_str();
    if !plain_domain(&node.domain) {
        let what = format!(
            "operator `{}` of domain `{}`",
            short(op),
            short(&node.domain)
        );
        return Err(Breach::new(place, what).mend("export with operators of ONNX alone"));
    }
    match REFUSED.iter().find(|(name, _)| *name == op) {
        Some((_, why)) => Err(Breach::new(place, format!("operator `{op}`: {why}"))
            .mend("compare this file in another engine")),
        None => Ok(()),
    }
}

fn check_branches<'a>(
    node: &'a NodeProto,
    here: &Names<'a>,
    outer: &Names<'a>,
    place: &str,
    rules: Rules,
) -> Result<(), Breach> {
    let seen: Names<'a> = outer.iter().chain(here).map(|(n, t)| (*n, *t)).collect();
    for branch in ["then_branch", "else_branch"] {
        let Some(body) = attribute(node, branch).and_then(|a| a.g.as_ref()) else {
            return Err(Breach::new(place, format!("If has no {branch}")));
        };
        check_graph(body, &seen, &format!("{place} {branch} "), rules)?;
    }
    Ok(())
}

fn check_attributes(node: &NodeProto, place: &str, rules: Rules) -> Result<(), Breach> {
    let mut names = BTreeSet::new();
    for attr in &node.attribute {
        if !names.insert(attr.name.as_str()) {
            let what = format!("has attribute `{}` twice", short(&attr.name));
            return Err(Breach::new(place, what));
        }
        let body = match node.op_type.as_str() {
            "Scan" => attr.name == "body",
            "If" => rules == Rules::Any,
            _ => false,
        };
        if (attr.g.is_some() || !attr.graphs.is_empty()) && !body {
            let what = format!("attribute `{}` holds a graph", short(&attr.name));
            return Err(Breach::new(place, what));
        }
        if let Some(data) = &attr.t {
            tensor::check(
                data,
                &format!("{place} attribute `{}`", short(&attr.name)),
                rules,
            )?;
        }
        small_axes(attr, place)?;
    }
    Ok(())
}

fn far(axis: &i64) -> bool {
    !(-8..8).contains(axis)
}

/// No tensor of ours has more than eight dimensions; tract shifts and sizes by axes without a look.
fn small_axes(attr: &AttributeProto, place: &str) -> Result<(), Breach> {
    let axes = matches!(attr.name.as_str(), "axis" | "axes" | "perm" | "batch_dims");
    if axes && (far(&attr.i) || attr.ints.len() > 8 || attr.ints.iter().any(far)) {
        let what = format!("attribute `{}` is out of range", attr.name);
        return Err(Breach::new(place, what));
    }
    Ok(())
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

/// The value of the node's input `at`, where it is an int64 constant of the file.
fn constant(node: &NodeProto, at: usize, here: &Names) -> Option<Vec<i64>> {
    let name = node.input.get(at)?;
    tensor::int64s((*here.get(name.as_str())?)?)
}

/// A step of 0 divides by zero in tract.
fn check_slice(node: &NodeProto, here: &Names, place: &str) -> Result<(), Breach> {
    if constant(node, 4, here).is_some_and(|steps| steps.contains(&0)) {
        return Err(Breach::new(place, "Slice has a step of 0"));
    }
    if constant(node, 3, here).is_some_and(|axes| axes.iter().any(far)) {
        return Err(Breach::new(place, "Slice has an axis out of range"));
    }
    Ok(())
}

/// A constant shape (input `at`) beyond all reason would end the process when it is allocated.
fn check_shape(node: &NodeProto, at: usize, here: &Names, place: &str) -> Result<(), Breach> {
    let Some(shape) = constant(node, at, here) else {
        return Ok(());
    };
    let volume = shape
        .iter()
        .try_fold(1i64, |n, &d| if d < 0 { None } else { n.checked_mul(d) });
    match volume {
        Some(n) if n <= MAX_VALUES => Ok(()),
        _ => Err(Breach::new(
            place,
            format!("asks for a tensor of shape {shape:?}"),
        )),
    }
}

/// tract casts widths without a look at their sign, and a failed allocation ends the process: so they must stand in the
/// file, where they can be seen.
fn check_pads(node: &NodeProto, here: &Names, place: &str) -> Result<(), Breach> {
    let pads = constant(node, 1, here);
    if pads.is_some_and(|pads| pads.iter().all(|n| (0..1 << 20).contains(n))) {
        return Ok(());
    }
    Err(Breach::new(
        place,
        "Pad has widths that are negative, huge or computed",
    ))
}
