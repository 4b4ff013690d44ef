//! A model made ready: constants read, operators found, functions put in their places, sub-graphs beside their nodes.

mod function;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::EvalErrorKind as Fault;
use super::array::Array;
use super::external;
use super::ops::{self, Op};
use super::value::Value;
use super::{EvalError, OPSETS, ops::make};
use crate::ir::{Attr, Function, Graph, Model, Node, is_standard};

/// Nodes that all functions together may unfold into.
const NODES: usize = 1_000_000;
/// How deep graphs and functions may lie in one another.
const DEPTH: usize = 32;

/// A graph or the body of a function.
pub(super) struct Plan {
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) constants: BTreeMap<String, Value>,
    pub(super) steps: Vec<Step>,
}

/// A node.
pub(super) struct Step {
    /// Without its sub-graphs.
    pub(super) node: Node,
    pub(super) opset: i64,
    pub(super) work: Work,
    pub(super) place: String,
    /// Values that nothing reads afterwards.
    pub(super) dead: Vec<String>,
}

/// What a node does.
pub(super) enum Work {
    Op(&'static Op),
    If { then: Plan, other: Plan },
    Loop(Plan),
    Scan(Plan),
    Function(Plan),
}

/// The operator sets of a graph.
type Sets = [(String, i64)];

pub(super) struct Planner<'m> {
    functions: &'m [Function],
    dir: Option<&'m Path>,
    nodes: usize,
}

/// Makes the main graph ready.
pub(super) fn plan(model: &Model, dir: Option<&Path>) -> Result<Plan, EvalError> {
    let mut planner = Planner {
        functions: &model.functions,
        dir,
        nodes: 0,
    };
    let mut plan = planner.graph(&model.graph, &model.opsets, 0)?;
    plan.release();
    Ok(plan)
}

impl Planner<'_> {
    fn graph(&mut self, g: &Graph, sets: &Sets, depth: usize) -> Result<Plan, EvalError> {
        if let Some(s) = g.sparse_initializers.first() {
            let what = "sparse constants are not evaluated; write them as plain tensors".to_owned();
            return Err(Fault::Model(what).at(format!("constant {}", s.values.name)));
        }
        let mut constants = BTreeMap::new();
        for t in &g.initializers {
            let array = external::array(t, self.dir);
            let array = array.map_err(|e| e.at(format!("constant {}", t.name)))?;
            constants.insert(t.name.clone(), Value::known(array));
        }
        let names = |all: &[crate::ir::ValueInfo]| all.iter().map(|v| v.name.clone()).collect();
        let plan = Plan {
            inputs: names(&g.inputs),
            outputs: names(&g.outputs),
            constants,
            steps: vec![],
        };
        self.steps(plan, &g.nodes, sets, depth)
    }

    fn steps(
        &mut self,
        mut plan: Plan,
        nodes: &[Node],
        sets: &Sets,
        depth: usize,
    ) -> Result<Plan, EvalError> {
        for (i, node) in nodes.iter().enumerate() {
            let place = place(node, i, sets);
            self.nodes += 1;
            if self.nodes > NODES || depth > DEPTH {
                let what = format!(
                    "graphs and functions lie more than {DEPTH} deep or unfold into more than {NODES} nodes; \
                     do functions call each other in a circle?"
                );
                return Err(Fault::Model(what).at(place));
            }
            let step = self.step(node, sets, depth, &place);
            let step = step.map_err(|e| match e {
                Inner::Here(kind) => kind.at(place.clone()),
                Inner::Below(e) => EvalError {
                    place: format!("{place}, {}", e.place),
                    ..e
                },
            })?;
            match step {
                Made::Constant(value) => {
                    let name = node.outputs.first().cloned().unwrap_or_default();
                    plan.constants.insert(name, Value::known(value));
                }
                Made::Step(node, opset, work) => plan.steps.push(Step {
                    node: *node,
                    opset,
                    work,
                    place,
                    dead: vec![],
                }),
            }
        }
        Ok(plan)
    }

    fn step(&mut self, node: &Node, sets: &Sets, depth: usize, _: &str) -> Result<Made, Inner> {
        if let Some(f) = self.function(node) {
            return self.call(node, f, depth);
        }
        let opset = opset(node, sets)?;
        let standard = is_standard(&node.domain);
        if standard && node.op_type == "Constant" {
            return Ok(Made::Constant(make::constant(node)?));
        }
        let mut plain = node.clone();
        let mut take = |name: &str| -> Result<Graph, Fault> {
            let missing = || Fault::attribute(name, "is missing");
            let i = plain.attributes.iter().position(|(n, _)| n == name);
            match plain.attributes.remove(i.ok_or_else(missing)?).1 {
                Attr::Graph(g) => Ok(*g),
                _ => Err(Fault::attribute(name, "is no graph")),
            }
        };
        let work = match node.op_type.as_str() {
            "If" if standard => {
                let (then, other) = (take("then_branch")?, take("else_branch")?);
                Work::If {
                    then: self.graph(&then, sets, depth + 1)?,
                    other: self.graph(&other, sets, depth + 1)?,
                }
            }
            "Loop" if standard => Work::Loop(self.graph(&take("body")?, sets, depth + 1)?),
            "Scan" if standard => Work::Scan(self.graph(&take("body")?, sets, depth + 1)?),
            _ => Work::Op(
                ops::find(&node.domain, &node.op_type, opset).ok_or_else(|| {
                    Fault::Operator(match standard {
                        true => format!("{} of opset {opset}", node.op_type),
                        false => format!("{} of the domain `{}`", node.op_type, node.domain),
                    })
                })?,
            ),
        };
        if let Some((name, _)) = plain
            .attributes
            .iter()
            .find(|(_, a)| matches!(a, Attr::Ref { .. }))
        {
            return Err(Fault::attribute(
                name,
                "refers to an attribute of a function, outside of one",
            )
            .into());
        }
        Ok(Made::Step(Box::new(plain), opset, work))
    }
}

enum Made {
    Constant(Array),
    Step(Box<Node>, i64, Work),
}

/// A fault of the node itself, or of one below it that says where.
enum Inner {
    Here(Fault),
    Below(EvalError),
}

impl From<Fault> for Inner {
    fn from(kind: Fault) -> Self {
        Self::Here(kind)
    }
}

impl From<EvalError> for Inner {
    fn from(e: EvalError) -> Self {
        Self::Below(e)
    }
}

fn opset(node: &Node, sets: &Sets) -> Result<i64, Fault> {
    let standard = is_standard(&node.domain);
    let same = |d: &str| d == node.domain || standard && is_standard(d);
    let mut all = sets.iter().filter(|(d, _)| same(d)).map(|(_, v)| *v);
    let found = all.next();
    if let (Some(one), Some(other)) = (found, all.find(|v| Some(*v) != found)) {
        return Err(Fault::Model(format!(
            "two opsets of the domain are stated, {one} and {other}; which one is meant is not known"
        )));
    }
    match found {
        Some(v) if standard && !OPSETS.contains(&v) => {
            let (low, high) = (OPSETS.start(), OPSETS.end());
            Err(Fault::Model(format!(
                "opset {v} is not evaluated; convert the model to one of {low} to {high}"
            )))
        }
        Some(v) => Ok(v),
        None if standard => Err(Fault::Model("the file does not state its opset".into())),
        None => Ok(1),
    }
}

fn place(node: &Node, i: usize, sets: &Sets) -> String {
    let name = match node.name.is_empty() {
        true => format!("{i}"),
        false => node.name.clone(),
    };
    let standard = is_standard(&node.domain);
    let set = sets.iter().find(|(d, _)| standard && is_standard(d));
    match set {
        Some((_, v)) => format!("node {name} ({}, opset {v})", node.op_type),
        None if standard => format!("node {name} ({})", node.op_type),
        None => format!("node {name} ({}.{})", node.domain, node.op_type),
    }
}

impl Plan {
    /// Every name that it reads, bodies included.
    fn reads<'a>(&'a self, into: &mut BTreeSet<&'a str>) {
        into.extend(self.outputs.iter().map(String::as_str));
        self.steps.iter().for_each(|s| s.reads(into));
    }

    /// Notes after which step each value is dead. Outputs never are.
    fn release(&mut self) {
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for (i, step) in self.steps.iter().enumerate() {
            let mut names = BTreeSet::new();
            step.reads(&mut names);
            names.extend(step.node.outputs.iter().map(String::as_str));
            last.extend(names.into_iter().map(|n| (n.to_owned(), i)));
        }
        for (name, i) in last {
            if !self.outputs.contains(&name) {
                self.steps[i].dead.push(name);
            }
        }
    }
}

impl Step {
    fn reads<'a>(&'a self, into: &mut BTreeSet<&'a str>) {
        into.extend(self.node.inputs.iter().map(String::as_str));
        match &self.work {
            Work::If { then, other } => {
                then.reads(into);
                other.reads(into);
            }
            Work::Loop(p) | Work::Scan(p) => p.reads(into),
            // A function sees its inputs only.
            Work::Op(_) | Work::Function(_) => {}
        }
    }
}
