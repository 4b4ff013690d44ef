//! The graph's nodes in groups that one kernel runs.

use minrnn_model::graph::{Binary, Fused, Graph, Node, Op, Region, Value};

use super::op::{self, Gated, Known};
use super::place::Mask;

/// Nodes that are run together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unit {
    /// A fused layer, by its position in the graph's list of regions.
    Region(usize),
    /// A linear layer, by its position among the regions, of which others read parts: a product for each. Only while units are made.
    Split(usize),
    /// The product for one of them, the node that would cut it out.
    Part { region: usize, value: usize },
    /// A value times an activation that nothing else reads.
    Gate(Gated),
    /// One primitive.
    Node(usize),
    /// `value = dropout(table[ids])`.
    Embed {
        node: usize,
        mask: Mask,
        value: usize,
    },
    /// `value = x + dropout(branch)`, then, by `norm` (a region), its normalisation.
    Sum {
        x: Option<Value>,
        branch: Value,
        mask: Option<Mask>,
        value: usize,
        norm: Option<usize>,
    },
}

/// The graph cut into units, in an order in which they can run.
pub(super) fn units(graph: &Graph, known: &Known) -> Vec<Unit> {
    let plain = split(graph, plain(graph, known));
    let uses = uses(graph);
    let mut units = constants(graph);
    let mut i = 0;
    while i < plain.len() {
        let (unit, taken) = joined(graph, &uses, &plain[i..]);
        units.push(unit);
        i += taken;
    }
    apart(graph, units)
}

/// Parts of linear layers where they are read first: a value that waits for its reader takes memory, and so does its gradient.
fn apart(graph: &Graph, units: Vec<Unit>) -> Vec<Unit> {
    let mut waiting: Vec<(usize, usize)> = vec![];
    let mut ordered = vec![];
    for unit in units {
        if let Unit::Split(region) = unit {
            let parts = parts(graph, &graph.regions()[region]).unwrap_or_default();
            waiting.extend(parts.into_iter().map(|value| (region, value)));
            continue;
        }
        let read = inputs(graph, unit);
        let (now, later) = (waiting.into_iter()).partition(|(_, part)| read.contains(part));
        waiting = later;
        let now: Vec<(usize, usize)> = now;
        ordered.extend(now.into_iter().map(part));
        ordered.push(unit);
    }
    // What only a state keeps.
    ordered.extend(waiting.into_iter().map(part));
    ordered
}

fn part((region, value): (usize, usize)) -> Unit {
    Unit::Part { region, value }
}

/// The nodes that a unit reads, but for those of its own that it makes on the way.
fn inputs(graph: &Graph, unit: Unit) -> Vec<usize> {
    let node = |i: usize| graph.nodes()[i].inputs.clone();
    let region = |r: usize| graph.regions()[r].inputs.clone();
    let values: Vec<Value> = match unit {
        Unit::Region(r) | Unit::Split(r) | Unit::Part { region: r, .. } => region(r),
        Unit::Gate(gated) => [region(gated.activation), vec![gated.a]].concat(),
        Unit::Node(i) => node(i),
        Unit::Embed { node: i, .. } => node(i),
        Unit::Sum { x, branch, .. } => x.into_iter().chain([branch]).collect(),
    };
    values.into_iter().map(Value::index).collect()
}

/// What is computed from parameters alone and has memory of its own: the taps of convolutions, and what they are made of.
fn constants(graph: &Graph) -> Vec<Unit> {
    let mut read = vec![false; graph.nodes().len()];
    for (i, node) in graph.nodes().iter().enumerate().rev() {
        let inputs = match node.op {
            Op::Conv { .. } => &node.inputs[1..],
            _ if read[i] => &node.inputs[..],
            _ => &[],
        };
        inputs.iter().for_each(|v| read[v.index()] = true);
    }
    (0..read.len())
        .filter(|i| read[*i])
        .map(Unit::Node)
        .collect()
}

/// Regions with a kernel, and the nodes outside of them, as far as they depend on the input.
fn plain(graph: &Graph, known: &Known) -> Vec<Unit> {
    let mut units = vec![];
    let mut i = 0;
    while i < graph.nodes().len() {
        let region = graph.regions().iter().position(|r| {
            let constant = r.outputs.iter().any(|v| graph.span(*v).is_model());
            let begins = r.nodes.start == i && !r.nodes.is_empty();
            begins && !constant && known.layer(r.fused).is_some()
        });
        match region {
            Some(r) => {
                units.push(Unit::Region(r));
                i = graph.regions()[r].nodes.end;
            }
            // Parameters are read where they are.
            None => {
                if !graph.nodes()[i].span.is_model() {
                    units.push(Unit::Node(i));
                }
                i += 1;
            }
        }
    }
    units
}

/// Linear layers whose results are read in parts, and without the nodes that would cut them.
fn split(graph: &Graph, units: Vec<Unit>) -> Vec<Unit> {
    let mut cut = vec![];
    let mut rest = vec![];
    // A part that is cut inside of a fused layer is not there by itself.
    let alone = |i: &usize| units.contains(&Unit::Node(*i));
    for unit in &units {
        let unit = *unit;
        match unit {
            Unit::Region(r) => match parts(graph, &graph.regions()[r]) {
                Some(parts) if parts.iter().all(alone) => {
                    cut.extend(parts);
                    rest.push(Unit::Split(r));
                }
                _ => rest.push(unit),
            },
            Unit::Node(i) if cut.contains(&i) => {}
            unit => rest.push(unit),
        }
    }
    rest
}

/// The nodes that cut a linear layer's result into parts, if nothing else reads it, they cover it, and it is worth it: to read the layer's
/// input once more for each part costs less than to copy them. A layer with a bias stays whole.
pub(super) fn parts(graph: &Graph, region: &Region) -> Option<Vec<usize>> {
    let (Fused::Linear { .. }, [_], [value], [input]) = (
        region.fused,
        &region.params[..],
        &region.outputs[..],
        &region.inputs[..],
    ) else {
        return None;
    };
    let readers = graph.nodes().iter().enumerate();
    let readers: Vec<_> = readers.filter(|(_, n)| n.inputs.contains(value)).collect();
    let start = |n: &Node| match n.op {
        Op::Narrow { start, .. } => Some(start),
        _ => None,
    };
    let mut ranges = readers
        .iter()
        .map(|(_, n)| start(n).map(|start| (start, start + n.width)))
        .collect::<Option<Vec<_>>>()?;
    ranges.sort_unstable();
    let mut end = 0;
    let covered = ranges
        .iter()
        .all(|(from, to)| std::mem::replace(&mut end, *to) == *from);
    let (width, k) = (graph.node(*value).width, graph.node(*input).width);
    let whole = covered && end == width && graph.output().value != *value;
    let worth = ranges.len() > 1 && (ranges.len() - 1) * k <= width;
    (whole && worth).then(|| readers.into_iter().map(|(i, _)| i).collect())
}

/// How often each value is read; the output counts as read once more.
fn uses(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.nodes().len()];
    let inputs = graph.nodes().iter().flat_map(|n| &n.inputs);
    inputs.for_each(|v| uses[v.index()] += 1);
    uses[graph.output().value.index()] += 1;
    uses
}

/// Which dropout of the model node `i` is.
fn site(graph: &Graph, i: usize) -> u32 {
    graph.sites_before(i) as u32
}

/// The dropout of a node, if it has one.
pub(super) fn mask(graph: &Graph, i: usize) -> Option<Mask> {
    let p = graph.nodes()[i].op.drops().filter(|p| *p > 0.0)?;
    let site = site(graph, i);
    Some(Mask { p, site })
}

/// The unit at the front with those behind it that it can take in, and how many that are.
fn joined(graph: &Graph, uses: &[usize], units: &[Unit]) -> (Unit, usize) {
    let node = |at: usize| match units.get(at) {
        Some(Unit::Node(i)) => Some((*i, &graph.nodes()[*i])),
        _ => None,
    };
    if let Some(gate) = gate(graph, uses, units) {
        return (Unit::Gate(gate), 2);
    }
    let Some((first, op)) = node(0) else {
        return (units[0], 1);
    };
    let next = node(1).filter(|(_, n)| n.inputs.iter().any(|v| v.index() == first));
    let once = uses[first] == 1;
    match (op.op, next) {
        (Op::Embed { .. }, Some((d, n)))
            if once && op.inputs[0].index() == 0 && matches!(n.op, Op::Dropout { .. }) =>
        {
            match mask(graph, d) {
                Some(mask) => {
                    let node = first;
                    (
                        Unit::Embed {
                            node,
                            mask,
                            value: d,
                        },
                        2,
                    )
                }
                None => (units[0], 1),
            }
        }
        (Op::Dropout { .. }, Some((sum, n)))
            if once && matches!(n.op, Op::Binary(Binary::Add)) && adds(graph, sum) =>
        {
            let x = n.inputs.iter().find(|v| v.index() != first).copied();
            let unit = Unit::Sum {
                x,
                branch: op.inputs[0],
                mask: mask(graph, first),
                value: sum,
                norm: norm(graph, sum, units.get(2)),
            };
            (
                unit,
                2 + usize::from(norm(graph, sum, units.get(2)).is_some()),
            )
        }
        (Op::Dropout { .. }, _) => {
            let unit = Unit::Sum {
                x: None,
                branch: op.inputs[0],
                mask: mask(graph, first),
                value: first,
                norm: None,
            };
            (unit, 1)
        }
        (Op::Binary(Binary::Add), _) if adds(graph, first) => {
            let norm = norm(graph, first, units.get(1));
            let unit = Unit::Sum {
                x: Some(op.inputs[0]),
                branch: op.inputs[1],
                mask: None,
                value: first,
                norm,
            };
            (unit, 1 + usize::from(norm.is_some()))
        }
        _ => (units[0], 1),
    }
}

/// An activation at the front, and behind it the product with a value as wide, which alone reads it.
fn gate(graph: &Graph, uses: &[usize], units: &[Unit]) -> Option<Gated> {
    let (Unit::Region(activation), Unit::Node(value)) = (*units.first()?, *units.get(1)?) else {
        return None;
    };
    let region = &graph.regions()[activation];
    let (f, node) = (*region.outputs.first()?, &graph.nodes()[value]);
    let known = op::is_activation(region.fused) && node.op == Op::Binary(Binary::Mul);
    let a = *node.inputs.iter().find(|v| **v != f)?;
    let alone = node.inputs.contains(&f) && uses[f.index()] == 1;
    let [left, right] = [a, f].map(|v| graph.node(v));
    let alike = left.width == right.width && left.span == right.span;
    // The graph's ends are f32, whatever is computed in.
    let ends = graph.denormalisation().map(|end| end.value.index());
    if graph.output().value.index() == value || ends == Some(value) {
        return None;
    }
    (known && alone && alike).then_some(Gated {
        activation,
        a,
        value,
    })
}

/// Whether node `i` adds two different values of one width.
fn adds(graph: &Graph, i: usize) -> bool {
    let [a, b] = graph.nodes()[i].inputs[..] else {
        return false;
    };
    let [left, right] = [a, b].map(|v| graph.node(v));
    a != b && left.width == right.width && left.span == right.span
}

/// The normalisation of value `sum`, if it comes next.
fn norm(graph: &Graph, sum: usize, next: Option<&Unit>) -> Option<usize> {
    let Some(Unit::Region(r)) = next else {
        return None;
    };
    let region = &graph.regions()[*r];
    let is_norm = op::norm_of(region.fused).is_some();
    (is_norm && region.inputs[0].index() == sum).then_some(*r)
}
