//! Walks graphs in order: names, then operators, then what is declared.

use std::collections::{BTreeMap, BTreeSet};

use super::infer::Call;
use super::types::{Fault, Info, Types, agree, declared};
use super::{Problem, Rule, infer, signature};
use crate::ir::{Attr, Dim, Graph, MICROSOFT, Node, ValueInfo, is_standard};

pub(super) struct Walker {
    opset: i64,
    /// Whether the file says that it has operators of `com.microsoft`.
    microsoft: bool,
    /// Everything that a node may read at this point, from this graph and those around it.
    visible: BTreeMap<String, Info>,
    pub(super) problems: Vec<Problem>,
}

impl Walker {
    pub(super) fn new(opset: i64, microsoft: bool) -> Self {
        Self {
            opset,
            microsoft,
            visible: BTreeMap::new(),
            problems: vec![],
        }
    }

    fn say(&mut self, rule: Rule, place: &str, detail: impl Into<String>) {
        self.problems.push(Problem {
            rule,
            place: place.to_owned(),
            detail: detail.into(),
        });
    }

    fn report(&mut self, place: &str, fault: Fault) {
        self.say(fault.rule, place, fault.detail);
    }

    /// The graph of a file: its inputs and outputs must be fully declared.
    pub(super) fn root(&mut self, graph: &Graph) -> Types {
        for (kind, values) in [("input", &graph.inputs), ("output", &graph.outputs)] {
            for v in values
                .iter()
                .filter(|v| v.dtype.is_none() || v.dims.is_none())
            {
                self.say(
                    Rule::Declared,
                    &format!("{kind} {}", v.name),
                    "element type and rank must be declared",
                );
            }
        }
        self.graph(graph, None).0
    }

    /// One graph; `given` are its inputs as the node around it gives them.
    fn graph(&mut self, graph: &Graph, given: Option<Vec<Info>>) -> (Types, Vec<Info>) {
        if graph.name.is_empty() {
            self.say(Rule::Name, "graph", "a graph has no name");
        }
        let mut types = Types::default();
        let mut mine = vec![];
        let later: BTreeSet<&str> = graph
            .nodes
            .iter()
            .flat_map(|n| &n.outputs)
            .map(String::as_str)
            .collect();
        for (i, input) in graph.inputs.iter().enumerate() {
            let place = format!("input {}", input.name);
            self.dim_names(&place, input);
            let info = match given.as_ref().and_then(|g| g.get(i)) {
                None => declared(input),
                Some(info) => agree(input, info).unwrap_or_else(|fault| {
                    self.report(&place, fault);
                    info.clone()
                }),
            };
            self.define(&place, &input.name, info, &mut mine);
        }
        for tensor in &graph.initializers {
            let place = format!("initializer {}", tensor.name);
            if let Err(problem) = tensor.validate() {
                self.say(Rule::Constant, &place, problem.to_string());
            }
            self.define(&place, &tensor.name, infer::constant(tensor), &mut mine);
        }
        for (i, node) in graph.nodes.iter().enumerate() {
            self.node(i, node, &later, &mut types, &mut mine);
        }
        for note in &graph.value_info {
            let place = format!("value {}", note.name);
            self.dim_names(&place, note);
            if let Some(info) = self.visible.get(&note.name)
                && let Err(fault) = agree(note, info)
            {
                self.report(&place, fault);
            }
        }
        let outputs = self.outputs(graph, &mine);
        for name in mine {
            if let Some(info) = self.visible.remove(&name) {
                types.values.insert(name, info.ty);
            }
        }
        (types, outputs)
    }

    fn outputs(&mut self, graph: &Graph, mine: &[String]) -> Vec<Info> {
        let mut seen = BTreeSet::new();
        let mut infos = vec![];
        for output in &graph.outputs {
            let place = format!("output {}", output.name);
            self.dim_names(&place, output);
            if !seen.insert(&output.name) {
                self.say(Rule::Ssa, &place, "is listed twice");
            }
            let info = match self.visible.get(&output.name).cloned() {
                Some(info) if mine.contains(&output.name) => {
                    agree(output, &info).unwrap_or_else(|fault| {
                        self.report(&place, fault);
                        info
                    })
                }
                _ => {
                    self.say(Rule::Undefined, &place, "no node of this graph computes it");
                    declared(output)
                }
            };
            infos.push(info);
        }
        infos
    }

    fn define(&mut self, place: &str, name: &str, info: Info, mine: &mut Vec<String>) {
        if name.is_empty() {
            self.say(Rule::Name, place, "has no name");
        } else if self.visible.contains_key(name) {
            self.say(
                Rule::Ssa,
                place,
                format!("`{name}` is already defined, here or in a graph around this one"),
            );
        } else {
            self.visible.insert(name.to_owned(), info);
            mine.push(name.to_owned());
        }
    }

    fn dim_names(&mut self, place: &str, value: &ValueInfo) {
        let is_identifier = |s: &str| {
            let mut chars = s.chars();
            chars
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        for dim in value.dims.iter().flatten() {
            match dim {
                Dim::Symbol(s) if !is_identifier(s) => {
                    self.say(
                        Rule::DimName,
                        place,
                        format!("the dimension `{s}` is not a C identifier"),
                    );
                }
                Dim::Fixed(n) if *n < 0 => {
                    self.say(Rule::Shape, place, format!("the dimension {n} is negative"))
                }
                _ => {}
            }
        }
    }

    fn node(
        &mut self,
        index: usize,
        node: &Node,
        later: &BTreeSet<&str>,
        types: &mut Types,
        mine: &mut Vec<String>,
    ) {
        let place = if node.name.is_empty() {
            format!("node {index} ({})", node.op_type)
        } else {
            node.name.clone()
        };
        if node.name.is_empty() {
            self.say(Rule::Name, &place, "the node has no name");
        }
        for input in node
            .inputs
            .iter()
            .filter(|i| !i.is_empty() && !self.visible.contains_key(*i))
            .cloned()
            .collect::<Vec<_>>()
        {
            let (rule, what) = match later.contains(input.as_str()) {
                true => (Rule::Order, "is computed by a later node"),
                false => (Rule::Undefined, "is not defined"),
            };
            self.say(rule, &place, format!("`{input}` {what}"));
        }
        let outputs = self.infer(index, node, &place, types);
        for (i, name) in node.outputs.iter().enumerate() {
            if !name.is_empty() {
                self.define(
                    &place,
                    name,
                    outputs.get(i).cloned().unwrap_or_default(),
                    mine,
                );
            }
        }
    }

    /// Types of a node's results; empty where nothing is known.
    fn infer(&mut self, index: usize, node: &Node, place: &str, types: &mut Types) -> Vec<Info> {
        let signature = match node.domain.as_str() {
            MICROSOFT if self.microsoft => signature::find_microsoft(&node.op_type),
            domain if is_standard(domain) => signature::find(&node.op_type, self.opset),
            _ => None,
        };
        let Some(signature) = signature else {
            self.unknown(node, place);
            for (position, (_, graph)) in node.subgraphs().enumerate() {
                let (inner, _) = self.graph(graph, None);
                types.subgraphs.insert((index, position), inner);
            }
            return vec![];
        };
        if let Err(fault) = signature.fits(node) {
            self.report(place, fault);
            return vec![];
        }
        let inputs: Vec<Option<Info>> = node
            .inputs
            .iter()
            .map(|i| self.visible.get(i).cloned())
            .collect();
        let out = match signature.types(&inputs, node.outputs.len(), self.opset) {
            Ok(out) => out,
            Err(fault) => {
                self.report(place, fault);
                return vec![];
            }
        };
        let result = match (signature.infer, node.attr("body")) {
            (Some(infer), _) => infer(&Call {
                node,
                opset: self.opset,
                inputs: &inputs,
                out,
            }),
            (None, Some(Attr::Graph(body))) => {
                infer::scan_inputs(node, body, &inputs).and_then(|given| {
                    let (inner, outputs) = self.graph(body, Some(given));
                    types.subgraphs.insert((index, 0), inner);
                    infer::scan_outputs(node, &inputs, &outputs)
                })
            }
            (None, _) => Ok(vec![]),
        };
        let allowed = |infos: Vec<Info>| {
            let typed = |(i, info): (usize, &Info)| match info.ty.dtype {
                Some(d) => signature.gives(i, d, self.opset),
                None => Ok(()),
            };
            infos.iter().enumerate().try_for_each(typed)?;
            Ok(infos)
        };
        result.and_then(allowed).unwrap_or_else(|fault| {
            self.report(place, fault);
            vec![]
        })
    }

    fn unknown(&mut self, node: &Node, place: &str) {
        let op = &node.op_type;
        let detail = match signature::first(op) {
            _ if node.domain == MICROSOFT && !self.microsoft => {
                format!("{op} is of `{MICROSOFT}`, which the file does not import")
            }
            _ if !is_standard(&node.domain) => {
                format!("the operator {op} of `{}` is not known here", node.domain)
            }
            Some(first) if first > self.opset => {
                format!(
                    "{op} comes with opset {first}, the file says {}",
                    self.opset
                )
            }
            _ => format!(
                "the operator {op} in opset {} is not known here",
                self.opset
            ),
        };
        self.say(Rule::Operator, place, detail);
    }
}
