//! Functions of the file, put where they are called.

use std::collections::BTreeMap;

use super::{Inner, Made, Plan, Planner, Work};
use crate::eval::EvalErrorKind as Fault;
use crate::ir::{Attr, Node, is_standard};

impl Planner<'_> {
    /// The function of the file that a node calls.
    pub(super) fn function(&self, node: &Node) -> Option<usize> {
        self.functions.iter().position(|f| {
            f.name == node.op_type
                && f.overload == node.overload
                && (f.domain == node.domain || is_standard(&f.domain) && is_standard(&node.domain))
        })
    }

    /// A function in the place of its call: attributes of the call put where the body refers to them.
    pub(super) fn call(&mut self, node: &Node, f: usize, depth: usize) -> Result<Made, Inner> {
        let functions = self.functions;
        let f = &functions[f];
        let mut given: BTreeMap<&str, Option<&Attr>> = BTreeMap::new();
        for name in &f.attributes {
            given.insert(name, None);
        }
        for (name, value) in &f.defaults {
            given.insert(name, Some(value));
        }
        for (name, value) in &node.attributes {
            if given.insert(name, Some(value)).is_none() {
                return Err(Fault::UnknownAttribute(name.clone()).into());
            }
        }
        if node.inputs.len() > f.inputs.len() {
            return Err(Fault::UnknownInput(f.inputs.len()).into());
        }
        if node.outputs.len() > f.outputs.len() {
            return Err(Fault::UnknownOutput(f.outputs.len()).into());
        }
        let nodes: Result<Vec<Node>, Fault> =
            f.nodes.iter().map(|n| substitute(n, &given)).collect();
        let plan = Plan {
            inputs: f.inputs.clone(),
            outputs: f.outputs.clone(),
            constants: BTreeMap::new(),
            steps: vec![],
        };
        let plan = self.steps(plan, &nodes?, &f.opsets, depth + 1)?;
        let mut plain = node.clone();
        plain.attributes.clear();
        Ok(Made::Step(Box::new(plain), 0, Work::Function(plan)))
    }
}

fn substitute(node: &Node, given: &BTreeMap<&str, Option<&Attr>>) -> Result<Node, Fault> {
    let mut node = node.clone();
    let mut kept = vec![];
    for (name, attr) in std::mem::take(&mut node.attributes) {
        let attr = match attr {
            Attr::Ref { attribute, kind } => match given.get(attribute.as_str()) {
                Some(Some(value)) if value.kind_of() == kind => (*value).clone(),
                Some(Some(value)) => {
                    let what = format!("`{attribute}` is {}, wanted {}", value.kind(), kind.name());
                    return Err(Fault::attribute(&name, what));
                }
                // Not given and without a default: as if it were not written.
                Some(None) => continue,
                None => {
                    let what = format!("the function has no attribute `{attribute}`");
                    return Err(Fault::attribute(&name, what));
                }
            },
            Attr::Graph(mut g) => {
                let nodes: Result<_, _> = g.nodes.iter().map(|n| substitute(n, given)).collect();
                g.nodes = nodes?;
                Attr::Graph(g)
            }
            other => other,
        };
        kept.push((name, attr));
    }
    node.attributes = kept;
    Ok(node)
}
