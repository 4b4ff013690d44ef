//! Through a graph, node by node: the shapes of its tensors, and what exists at once.

use super::call::Call;
use super::fact::Fact;
use super::limits::{Limits, Use};
use super::{Facts, RAISE, scan};
use crate::error::Breach;
use crate::metadata::short;
use crate::names::ByName;
use crate::operator::{self, Rule};
use crate::proto::{GraphProto, NodeProto};

/// The way through a graph.
pub(super) struct Walk {
    pub(super) opset: i64,
    pub(super) limits: Limits,
    pub(super) used: Use,
}

impl Walk {
    pub(super) fn graph<'a>(
        &mut self,
        graph: &'a GraphProto,
        readers: &Readers,
        facts: &mut Facts<'a>,
        path: &str,
    ) -> Result<(), Breach> {
        for data in &graph.initializer {
            let place = || format!("{path}initializer `{}`", short(&data.name));
            let fact = Fact::of(data).filter(Fact::is_within);
            let fact = fact.ok_or_else(|| Breach::new(place(), "has no known shape"))?;
            facts.insert(&data.name, fact);
        }
        for (at, node) in graph.node.iter().enumerate() {
            let place = || place(node, path);
            let found = self.node(node, facts, &place)?;
            if found.len() != node.output.len() {
                return Err(Breach::new(place(), "has another number of outputs"));
            }
            for (name, fact) in node.output.iter().zip(found) {
                facts.insert(name, fact);
            }
            for (maker, output) in readers.0.get(at).into_iter().flatten() {
                let name = graph.node[*maker].output[*output].as_str();
                let freed = facts.get(name).map_or(0, Fact::bytes);
                self.used.now = self.used.now.saturating_sub(freed);
            }
        }
        Ok(())
    }

    fn node(
        &mut self,
        node: &NodeProto,
        facts: &Facts,
        place: &dyn Fn() -> String,
    ) -> Result<Vec<Fact>, Breach> {
        let breach =
            |what: String| Breach::new(place(), format!("{}: {what}", short(&node.op_type)));
        let call = Call {
            node,
            inputs: node.input.iter().map(|i| facts.get(i.as_str())).collect(),
            opset: self.opset,
        };
        let Some(operator) = operator::find(&node.op_type) else {
            return Err(breach("is not known".into()));
        };
        let found = match operator.rule {
            Rule::Scan => scan::infer(self, &call, facts, &place())?,
            rule => call.infer(rule).map_err(breach)?,
        };
        let work = call.work(operator.rule, &found);
        self.count(&found, work)
            .map_err(|what| breach(what).mend(RAISE))?;
        Ok(found)
    }

    /// Adds what a node asks for.
    pub(super) fn count(&mut self, found: &[Fact], work: u64) -> Result<(), String> {
        self.used.count(found, work, self.limits)
    }
}

/// A node, for messages.
fn place(node: &NodeProto, path: &str) -> String {
    let label = node.output.first().map_or("", String::as_str);
    let name = if node.name.is_empty() {
        label
    } else {
        &node.name
    };
    format!("{path}node `{}`", short(name))
}

/// For each node, the results of nodes of which it is the last reader: the node that makes each, and which of its results it is.
#[derive(Debug, Clone)]
pub(super) struct Readers(Vec<Vec<(usize, usize)>>);

impl Readers {
    pub(super) fn of(graph: &GraphProto) -> Self {
        let mut last: ByName<&str, usize> = ByName::default();
        for (at, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().chain(&node.input) {
                last.insert(name, at);
            }
        }
        let outside = graph.initializer.iter().map(|t| &t.name);
        let outside = outside.chain(graph.input.iter().map(|i| &i.name));
        for name in outside.chain(graph.output.iter().map(|o| &o.name)) {
            last.remove(name.as_str());
        }
        let mut by_node = vec![vec![]; graph.node.len()];
        for (maker, node) in graph.node.iter().enumerate() {
            for (output, name) in node.output.iter().enumerate() {
                if let Some(at) = last.get(name.as_str()) {
                    by_node[*at].push((maker, output));
                }
            }
        }
        Self(by_node)
    }
}
