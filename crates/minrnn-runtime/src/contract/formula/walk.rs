//! The nodes of one recurrence, one after the other, by the rules of an algebra.

use std::collections::BTreeSet;

use crate::proto::{GraphProto, NodeProto, TensorProto};

use super::moves::{Call, tensor};
use super::twins::Outline;
use super::{Algebra, floats};
use crate::metadata::short;
use crate::names::ByName;
use crate::structure::Sizes;

/// How often all nodes together may be looked at: those between are of one recurrence each, but for fillers.
const LOOKS: usize = 8;
/// Looks that a graph of any size may take.
const SOME_LOOKS: usize = 1 << 12;

/// The main graph, and how often it may still be looked at.
pub(super) struct Walk<'a> {
    graph: &'a GraphProto,
    /// The node that makes a tensor.
    makers: ByName<&'a str, usize>,
    weights: ByName<&'a str, &'a TensorProto>,
    looks: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let nodes = graph.node.iter().enumerate();
        let makers = nodes.flat_map(|(at, n)| n.output.iter().map(move |o| (o.as_str(), at)));
        let edges = graph.node.iter().map(|n| n.input.len() + n.output.len());
        let edges = edges.fold(0usize, usize::saturating_add);
        let weights = graph.initializer.iter().map(|t| (t.name.as_str(), t));
        Self {
            graph,
            makers: makers.collect(),
            weights: weights.collect(),
            looks: edges.saturating_mul(LOOKS).saturating_add(SOME_LOOKS),
        }
    }

    /// The value of `target`, and of all between it and those that are known.
    pub(super) fn value<A: Algebra>(
        &mut self,
        algebra: &mut A,
        target: &'a str,
        values: &mut ByName<&'a str, A::Value>,
        sizes: &Sizes,
    ) -> Result<A::Value, String> {
        for at in self.between(target, values, sizes)? {
            let node = &self.graph.node[at];
            let made = self.node(algebra, node, values, sizes);
            let name = node.output.first().map_or("", String::as_str);
            let made =
                made.map_err(|what| format!("{} `{}`: {what}", short(&node.op_type), short(name)))?;
            for (name, value) in node.output.iter().zip(made) {
                values.entry(name).or_insert(value);
            }
        }
        let found = values.get(target).cloned();
        found.ok_or_else(|| format!("`{}` is made of nothing", short(target)))
    }

    /// The nodes of a recurrence with what each of them reads, apart from what its tensors are called and where they stand.
    pub(super) fn outline(
        &mut self,
        targets: [&'a str; 2],
        seeds: &[&'a str],
        sizes: &Sizes,
    ) -> Result<Outline<'a>, String> {
        let mut outline = Outline::of(seeds);
        for target in targets {
            let mut open = vec![(target, false)];
            while let Some((name, read)) = open.pop() {
                let left = self.looks.checked_sub(1);
                self.looks = left.ok_or("shares its nodes with many others")?;
                if outline.knows(name) || sizes.ints(name).is_some() {
                    continue;
                }
                let Some(node) = self.makers.get(name).map(|at| &self.graph.node[*at]) else {
                    continue;
                };
                if read {
                    outline.push(node);
                } else {
                    open.push((name, true));
                    open.extend(node.input.iter().rev().map(|n| (n.as_str(), false)));
                }
            }
            outline.end(target);
        }
        Ok(outline)
    }

    /// Nodes that `target` needs, in their order; numbers that say how nodes work are not among them.
    fn between<V>(
        &mut self,
        target: &'a str,
        known: &ByName<&'a str, V>,
        sizes: &Sizes,
    ) -> Result<BTreeSet<usize>, String> {
        let mut nodes = BTreeSet::new();
        let mut open = vec![target];
        while let Some(name) = open.pop() {
            let left = self.looks.checked_sub(1);
            self.looks = left.ok_or("shares its nodes with many others")?;
            if known.contains_key(name) || sizes.ints(name).is_some() {
                continue;
            }
            let Some(at) = self.makers.get(name) else {
                continue;
            };
            if nodes.insert(*at) {
                open.extend(self.graph.node[*at].input.iter().map(String::as_str));
            }
        }
        Ok(nodes)
    }

    fn node<A: Algebra>(
        &mut self,
        algebra: &mut A,
        node: &'a NodeProto,
        values: &ByName<&'a str, A::Value>,
        sizes: &Sizes,
    ) -> Result<Vec<A::Value>, String> {
        if node.op_type == "Constant" {
            let data = tensor(node).ok_or("a constant that is no tensor")?;
            return Ok(vec![algebra.weight(data)?]);
        }
        let call = Call {
            node,
            inputs: node.input.iter().map(|n| sizes.dims(n)).collect(),
            outputs: node.output.iter().filter_map(|n| sizes.dims(n)).collect(),
            ints: node.input.iter().map(|n| sizes.ints(n)).collect(),
            value: self.filler(node),
        };
        let mut operands = vec![];
        for name in &node.input[..call.operands().min(node.input.len())] {
            operands.push(
                match (values.get(name.as_str()), self.weights.get(name.as_str())) {
                    (Some(value), _) => value.clone(),
                    (None, Some(data)) => algebra.named(name, data)?,
                    (None, None) => {
                        return Err(format!(
                            "reads `{}`, which is none of a, b and h0",
                            short(name)
                        ));
                    }
                },
            );
        }
        if node.op_type == "Scan" {
            return algebra.scan(node, &operands);
        }
        let step = call.read()?;
        algebra.apply(&step, &operands)
    }

    /// The number that pads or fills; 0 where none is named.
    fn filler(&self, node: &NodeProto) -> Option<f32> {
        let data = match node.op_type.as_str() {
            "Pad" => node
                .input
                .get(2)
                .filter(|n| !n.is_empty())
                .map(|n| self.weights.get(n.as_str()).copied()),
            "ConstantOfShape" => tensor(node).map(Some),
            _ => return None,
        };
        match data {
            None => Some(0.0),
            Some(data) => floats(data?)
                .filter(|v| v.len() == 1)
                .and_then(|v| v.first().copied()),
        }
    }
}
