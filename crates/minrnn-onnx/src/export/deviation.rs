//! Whether a file computes what this version writes for its model, operation by operation: what values do not reach shows here.

use std::collections::{BTreeMap, BTreeSet};

use minrnn_model::graph::Graph as Network;
use minrnn_model::params::Params;

use super::json::canonical;
use super::{ExportError, ExportOptions, Form, Lowering, Port, Store, metadata, ports, weights};
use crate::diff::{Diff, Place, Side, diff};
use crate::ir::{External, Graph, Model, Tensor, TensorData};
use crate::lower;
use crate::text::canonical::notes;
use crate::text::colour::{Content, graph_colour};
use crate::text::scope::{Scope, Source};

/// The key whose value names tensors inside of the graph.
const RECURRENCES: &str = "minrnn.recurrences";

/// Who wrote a file.
pub(super) const PRODUCER: &str = "minrnn";
/// And in which version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether a file says that this version wrote it.
pub fn is_of_this_version(model: &Model) -> bool {
    model.producer == PRODUCER && model.producer_version == VERSION
}

/// Where the graph of a file first differs from the one that [`super::export_graph`] would write for `graph` with `options`, which are
/// those that the file tells of ([`super::options`]); none where both compute the same in the same way. Names and order of nodes and of
/// constants are of no consequence, nor are texts, shapes of values in between, constants that nothing reads, and where weights lie.
/// Values of parameters are not compared (that is [`super::tied`] and [`super::differing`]): here a parameter is its name, type and shape.
///
/// The steps of a block, which a file does not tell, are taken from its Splits.
///
/// # Errors
/// Options that make no file, parameters that do not fit the graph.
pub fn deviation(
    model: &Model,
    graph: &Network,
    params: &Params,
    options: &ExportOptions,
) -> Result<Option<String>, ExportError> {
    options.validate()?;
    let options = &options.fitting(graph);
    lower::check(graph, options)?;
    weights::fits(graph, params)?;
    if let Some(what) = miscounted(model, graph, &ports(graph, options)?) {
        return Ok(Some(what));
    }
    let store = Store::plan(graph, params, &options.weights, Some("weights"))?;
    let names = parameters(graph);
    let own = bare(model, &names);
    let mut first = None;
    for block in blocks(model, options) {
        let options = ExportOptions {
            block,
            ..options.clone()
        };
        let made = bare(&written(graph, params, &store, &options)?, &names);
        match apart(&own, &made) {
            None => return Ok(None),
            Some(what) => first = first.or(Some(what)),
        }
    }
    Ok(first)
}

/// Where a file says of another state than those that do that it counts steps, or of one of them nothing.
fn miscounted(model: &Model, graph: &Network, ports: &[Port]) -> Option<String> {
    let said = metadata::counting(model);
    let wrong = ports
        .iter()
        .find(|p| p.counts(graph) != said.contains(&p.input))?;
    let (has, what) = match wrong.counts(graph) {
        true => ("has no", "counts"),
        false => ("has", "does not count"),
    };
    Some(format!(
        "metadata `minrnn.states` {has} `\"counts\": true` of the state `{}`, which {what} steps",
        wrong.input
    ))
}

/// The graph, with the metadata that names tensors of it.
fn written(
    graph: &Network,
    params: &Params,
    store: &Store,
    options: &ExportOptions,
) -> Result<Model, ExportError> {
    let ports = ports(graph, options)?;
    let lowered = lower::lower(graph, params, store, &ports, options);
    let recurrences = canonical(&metadata::recurrences(&lowered));
    Ok(Model {
        metadata: vec![(RECURRENCES.to_owned(), recurrences)],
        graph: lowered.builder.finish()?,
        ..Model::default()
    })
}

/// Numbers of steps that a block of the file may have, likely ones first.
fn blocks(model: &Model, options: &ExportOptions) -> Vec<usize> {
    let blocked = matches!(options.lowering, Lowering::Blocked | Lowering::BlockedScan);
    if options.form != Form::Parallel || !blocked {
        return vec![options.block];
    }
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for node in model.graph.nodes.iter().filter(|n| n.op_type == "Split") {
        if (2..=256).contains(&node.outputs.len()) {
            *counts.entry(node.outputs.len()).or_default() += 1;
        }
    }
    let mut all: Vec<(usize, usize)> = counts.into_iter().map(|(n, count)| (count, n)).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    // A model has Splits of a few kinds; a file of many was not written by us.
    let mut blocks: Vec<usize> = all.into_iter().map(|(_, n)| n).take(4).collect();
    if blocks.is_empty() {
        blocks.push(options.block);
    }
    blocks
}

/// Names under which the values and scales of parameters are stored.
fn parameters(graph: &Network) -> BTreeSet<String> {
    let of = |name: &String| [name.clone(), format!("{name}.scale")];
    graph.params().iter().flat_map(|s| of(&s.name)).collect()
}

/// The graph alone, parameters by name.
fn bare(model: &Model, parameters: &BTreeSet<String>) -> Model {
    let g = &model.graph;
    let one = |t: &Tensor| match parameters.contains(&t.name) {
        false => t.clone(),
        true => Tensor {
            data: TensorData::External(External {
                location: t.name.clone(),
                ..External::default()
            }),
            ..Tensor::bytes(t.name.clone(), t.dtype, t.dims.clone(), vec![])
        },
    };
    // Constants that nothing reads do nothing.
    let mut read = BTreeSet::new();
    reads(g, &mut read);
    let used = g
        .initializers
        .iter()
        .filter(|t| read.contains(t.name.as_str()));
    let told = model.metadata.iter().filter(|(key, _)| key == RECURRENCES);
    Model {
        metadata: told.cloned().collect(),
        graph: Graph {
            inputs: g.inputs.clone(),
            outputs: g.outputs.clone(),
            initializers: used.map(one).collect(),
            sparse_initializers: g.sparse_initializers.clone(),
            nodes: g.nodes.clone(),
            ..Graph::default()
        },
        ..Model::default()
    }
}

/// Names that the graph's nodes, those of sub-graphs, and outputs read.
fn reads<'a>(g: &'a Graph, all: &mut BTreeSet<&'a str>) {
    all.extend(g.outputs.iter().map(|v| v.name.as_str()));
    for node in &g.nodes {
        all.extend(node.inputs.iter().map(String::as_str));
        node.subgraphs().for_each(|(_, inner)| reads(inner, all));
    }
}

/// What differs first.
fn apart(own: &Model, made: &Model) -> Option<String> {
    let colour = |m: &Model| {
        let scope = Scope::new(Source::graph(&m.graph));
        graph_colour(&scope, None, Content::Whole)
    };
    if colour(own) != colour(made) {
        let found = diff(own, made);
        if let Some(what) = graphs(&found) {
            return Some(what);
        }
    }
    (notes(own) != notes(made)).then(|| {
        format!("metadata `{RECURRENCES}` names other tensors than those of its recurrences")
    })
}

fn graphs(found: &Diff) -> Option<String> {
    if found.same_structure {
        let w = found.weights.first()?;
        return Some(match w.changed {
            Some(n) => format!(
                "constant `{}`, {}, has other values than this version writes, {n} of {}",
                w.left, w.shape, w.len
            ),
            None => format!(
                "reads `{}`, {}, where this version reads `{}`",
                w.left, w.shape, w.right
            ),
        });
    }
    Some(match &found.first {
        Some(place) => at(place),
        None => "computes some values once that this version computes more often, or the other way round, or gives them out in another order".into(),
    })
}

fn at(place: &Place) -> String {
    let line = |side: &Side| side.lines.get(side.at).cloned().unwrap_or_default();
    let node = |side: &Side| match (side.node.as_str(), side.scope.as_str()) {
        ("", "graph") => "a node without a name".to_owned(),
        ("", inner) => format!("a node without a name in the {inner}"),
        (name, "graph") => format!("node `{name}`"),
        (name, inner) => format!("node `{name}` in the {inner}"),
    };
    match (&place.left, &place.right) {
        (Some(own), Some(made)) => format!(
            "differs first at {}: it has `{}`, this version writes `{}`",
            node(own),
            line(own),
            line(made)
        ),
        (Some(own), None) => format!(
            "has {}, which this version does not write: `{}`",
            node(own),
            line(own)
        ),
        (None, Some(made)) => format!(
            "lacks {}, which this version writes: `{}`",
            node(made),
            line(made)
        ),
        (None, None) => "differs".into(),
    }
}
