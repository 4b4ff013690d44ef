//! What viewers show and no engine needs: texts on inputs and outputs, shapes of the values between them.

use std::collections::{BTreeMap, BTreeSet};

use minrnn_model::graph::{Graph, Input, OutputKind};
use minrnn_model::params::Params;

use super::metadata::head;
use super::names::Named;
use super::{ExportError, ExportOptions, Form, Port};
use crate::check::{Extent, TensorType, Types};
use crate::ir::{self, DType, Dim, ValueInfo};

/// Says of each input and output what it is.
pub(super) fn describe(
    file: &mut ir::Graph,
    graph: &Graph,
    params: &Params,
    ports: &[Port],
    names: &[Named],
    form: Form,
) {
    let step = form == Form::Step;
    let mut texts = BTreeMap::from([
        (data_name(graph).to_owned(), data(graph, names)),
        (
            graph.output().kind.tensor_name().to_owned(),
            answer(graph, names, step),
        ),
        (
            "lengths".to_owned(),
            "Steps of each row that count, from 1 to seq_len.".to_owned(),
        ),
        (
            "reset".to_owned(),
            "Where it is true, the states begin anew before the step.".to_owned(),
        ),
    ]);
    let (before, after) = match step {
        true => ("the step", "the step"),
        false => ("the first step", "each row's last step"),
    };
    for port in ports {
        let first = match port.init(graph, params) {
            None => "zeros",
            Some(_) => "the values in the metadata minrnn.states",
        };
        let goes_in = format!("State before {before}. A sequence begins with {first}.");
        let comes_out = format!("State after {after}: goes into {} next.", port.input);
        texts.insert(port.input.clone(), goes_in);
        texts.insert(port.output.clone(), comes_out);
    }
    for value in file.inputs.iter_mut().chain(&mut file.outputs) {
        value.doc = texts.get(&value.name).cloned().unwrap_or_default();
    }
}

/// The first input or output of a file whose text is not the one that this version writes; `options` are those that the file tells of
/// ([`super::options`]).
///
/// # Errors
/// States or names that do not fit the model.
pub fn other_text(
    model: &ir::Model,
    graph: &Graph,
    params: &Params,
    options: &ExportOptions,
) -> Result<Option<String>, ExportError> {
    let ports = super::ports(graph, options)?;
    let names = super::names::names(graph, &super::metadata::config(model))?;
    let mut made = ir::Graph {
        inputs: model.graph.inputs.clone(),
        outputs: model.graph.outputs.clone(),
        ..ir::Graph::default()
    };
    describe(&mut made, graph, params, &ports, &names, options.form);
    let found = model.graph.inputs.iter().chain(&model.graph.outputs);
    let mut pairs = found.zip(made.inputs.iter().chain(&made.outputs));
    let other = pairs.find(|(found, made)| found.doc != made.doc);
    Ok(other.map(|(found, _)| found.name.clone()))
}

/// Name of the input with the data.
pub(super) fn data_name(graph: &Graph) -> &'static str {
    match graph.input() {
        Input::Tokens { .. } => "input_ids",
        Input::Features { .. } => "features",
    }
}

fn data(graph: &Graph, names: &[Named]) -> String {
    match graph.input() {
        Input::Tokens { vocab } => format!("Token ids, from 0 to {}.", vocab - 1),
        Input::Features { .. } => format!(
            "Features of each step in the units of the data{}.",
            order(names, &["features"])
        ),
    }
}

fn answer(graph: &Graph, names: &[Named], step: bool) -> String {
    let output = graph.output();
    let when = match (step, head(graph)) {
        (false, "last") => "for each row's last step",
        _ => "for each step",
    };
    match output.kind {
        OutputKind::Logits => format!(
            "Logits {when}, one for each class{}; softmax makes probabilities of them.",
            order(names, &["classes"])
        ),
        OutputKind::Values => format!(
            "Values {when} in the units of the data{}.",
            order(names, &["targets"])
        ),
    }
}

/// Where the names of channels are.
fn order(names: &[Named], of: &[&str]) -> String {
    match names.iter().find(|(key, _)| of.contains(key)) {
        Some((key, _)) => format!(", in the order of the metadata minrnn.{key}"),
        None => String::new(),
    }
}

/// Values of one scope that are all noted; of more, as an unrolled block of steps has them, the first of each operator.
const CROWD: usize = 32;

/// Types of the values that nodes of the graph compute. Integers are left out: most are shapes on their way, and some engines take
/// a note on them for more than it is.
pub(super) fn value_info(file: &ir::Graph, types: &Types) -> Vec<ValueInfo> {
    let outputs: BTreeSet<&str> = file.outputs.iter().map(|o| o.name.as_str()).collect();
    let computed = file.nodes.iter().flat_map(|n| &n.outputs);
    let inner = computed.filter(|n| !n.is_empty() && !outputs.contains(n.as_str()));
    let notes: Vec<ValueInfo> = inner
        .filter_map(|name| note(name, types.get(name)?))
        .collect();
    let mut crowds: BTreeMap<String, usize> = BTreeMap::new();
    for v in &notes {
        *crowds.entry(place(&v.name).0.to_owned()).or_default() += 1;
    }
    let kept = |v: &ValueInfo| {
        let (scope, name) = place(&v.name);
        let again = name
            .rsplit_once('_')
            .is_some_and(|(_, n)| n.parse::<usize>().is_ok());
        crowds.get(scope).is_none_or(|n| *n <= CROWD) || !again
    };
    notes.into_iter().filter(kept).collect()
}

/// Scope of a value, and its name there.
fn place(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

fn note(name: &str, ty: &TensorType) -> Option<ValueInfo> {
    let dtype = ty.dtype.filter(|d| *d != DType::I64 && *d != DType::Bool)?;
    let dims = ty.dims.as_ref()?;
    Some(ValueInfo::new(name, dtype, dims.iter().map(dim).collect()))
}

/// Numbers and names; other expressions are not stated.
fn dim(extent: &Extent) -> Dim {
    let Some(known) = extent else {
        return Dim::Unknown;
    };
    match (known.as_number(), known.as_symbol()) {
        (Some(n), _) => Dim::Fixed(n),
        (_, Some(name)) => Dim::symbol(name),
        _ => Dim::Unknown,
    }
}
