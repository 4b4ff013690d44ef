//! A graph with its names resolved and its nodes in canonical order.
//!
//! The order comes from the outputs: starting at the first output, the producers of a node's inputs come before the
//! node, the first input's before the second's. Outputs and inputs are ordered, so this order has no ties, whatever
//! the names and the order of the file are; two equal nodes are told apart by who uses them. It is a topological order.
//! Nodes that reach no output are left over: see `colour.rs`.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::ir::{Function, Graph, Node, SparseTensor, Tensor, ValueInfo};

/// A constant of a graph.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Const<'a> {
    Dense(&'a Tensor),
    Sparse(&'a SparseTensor),
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Def<'a> {
    /// Position among the inputs, and the value if the caller gives none.
    Input(usize, Option<Const<'a>>),
    Const(Const<'a>),
    /// The node that writes it.
    Node(usize),
}

/// A value of this graph.
#[derive(Debug)]
pub(crate) struct Value<'a> {
    pub(crate) name: &'a str,
    pub(crate) def: Def<'a>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ref<'a> {
    /// Left out.
    Omitted,
    /// A value of the graph `up` levels further out (0: this one), by index.
    Value { up: usize, index: usize },
    /// Defined nowhere.
    Undefined(&'a str),
}

/// The parts of a graph or of a function.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) inputs: Vec<&'a str>,
    pub(crate) outputs: Vec<&'a str>,
    /// Types of inputs and outputs, where the source states any.
    pub(crate) declared: Option<(&'a [ValueInfo], &'a [ValueInfo])>,
    pub(crate) initializers: &'a [Tensor],
    pub(crate) sparse: &'a [SparseTensor],
    pub(crate) nodes: &'a [Node],
    pub(crate) value_info: &'a [ValueInfo],
}

impl<'a> Source<'a> {
    pub(crate) fn graph(g: &'a Graph) -> Self {
        let names = |v: &'a [ValueInfo]| v.iter().map(|v| v.name.as_str()).collect();
        Self {
            inputs: names(&g.inputs),
            outputs: names(&g.outputs),
            declared: Some((&g.inputs, &g.outputs)),
            initializers: &g.initializers,
            sparse: &g.sparse_initializers,
            nodes: &g.nodes,
            value_info: &g.value_info,
        }
    }

    pub(crate) fn function(f: &'a Function) -> Self {
        Self {
            inputs: f.inputs.iter().map(String::as_str).collect(),
            outputs: f.outputs.iter().map(String::as_str).collect(),
            declared: None,
            initializers: &[],
            sparse: &[],
            nodes: &f.nodes,
            value_info: &f.value_info,
        }
    }
}

/// A sub-graph of a node.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    /// Its attribute.
    pub(crate) label: &'a str,
    /// Position among the sub-graphs of the node in the file.
    pub(crate) position: usize,
    pub(crate) scope: Scope<'a>,
}

/// A graph, resolved.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) source: Source<'a>,
    /// Levels around it.
    pub(crate) depth: usize,
    pub(crate) values: Vec<Value<'a>>,
    /// Indices of values by node and output; `None` for an output that is left out.
    pub(crate) written: Vec<Vec<Option<usize>>>,
    /// Inputs of each node.
    pub(crate) inputs: Vec<Vec<Ref<'a>>>,
    /// Sub-graphs of each node, by name of their attributes.
    pub(crate) bodies: Vec<Vec<Body<'a>>>,
    pub(crate) outputs: Vec<Ref<'a>>,
    /// Nodes that reach an output, in canonical order.
    pub(crate) order: Vec<usize>,
    /// Constants that these nodes read, in the order of first use.
    pub(crate) constants: Vec<usize>,
    /// Nodes that reach no output, producers first.
    pub(crate) unused: Vec<usize>,
    /// Number of each value in canonical order; `None` for those of no use.
    pub(crate) labels: Vec<Option<usize>>,
    /// Values from further out that nodes in `order` read, in the order of first use (`up` counts from here).
    captures: Vec<Ref<'a>>,
    /// Values from further out that nodes in `unused` read.
    idle_captures: Vec<Ref<'a>>,
}

/// The names of a graph and those around it.
struct Names<'s, 'a> {
    names: HashMap<&'a str, usize>,
    around: Option<&'s Names<'s, 'a>>,
}

impl<'a> Names<'_, 'a> {
    fn resolve(&self, name: &'a str) -> Ref<'a> {
        if name.is_empty() {
            return Ref::Omitted;
        }
        let (mut here, mut up) = (Some(self), 0);
        while let Some(names) = here {
            if let Some(&index) = names.names.get(name) {
                return Ref::Value { up, index };
            }
            (here, up) = (names.around, up + 1);
        }
        Ref::Undefined(name)
    }
}

impl<'a> Scope<'a> {
    /// Resolves a graph that has none around it.
    pub(crate) fn new(source: Source<'a>) -> Self {
        Self::inside(source, None, 0)
    }

    fn inside(source: Source<'a>, around: Option<&Names<'_, 'a>>, depth: usize) -> Self {
        let (values, names, written) = define(&source);
        let names = Names { names, around };
        let resolve = |all: &'a [String]| stated(all).iter().map(|n| names.resolve(n)).collect();
        let inputs = source.nodes.iter().map(|n| resolve(&n.inputs)).collect();
        let bodies = source
            .nodes
            .iter()
            .map(|n| bodies(n, &names, depth + 1))
            .collect();
        let outputs = source.outputs.iter().map(|n| names.resolve(n)).collect();
        let mut scope = Self {
            labels: vec![None; values.len()],
            source,
            depth,
            values,
            written,
            inputs,
            bodies,
            outputs,
            order: vec![],
            constants: vec![],
            unused: vec![],
            captures: vec![],
            idle_captures: vec![],
        };
        scope.sort();
        scope
    }

    pub(crate) fn node(&self, index: usize) -> &'a Node {
        &self.source.nodes[index]
    }

    /// What a node reads: its inputs, then what its sub-graphs read of this graph and those around for their outputs.
    pub(crate) fn reads(&self, node: usize) -> impl Iterator<Item = Ref<'a>> {
        let captured = self.bodies[node].iter().flat_map(|b| &b.scope.captures);
        self.inputs[node]
            .iter()
            .copied()
            .chain(captured.map(outward))
    }

    /// The same, and what its sub-graphs read to no end.
    pub(crate) fn reads_all(&self, node: usize) -> impl Iterator<Item = Ref<'a>> {
        let idle = self.bodies[node]
            .iter()
            .flat_map(|b| &b.scope.idle_captures);
        self.reads(node).chain(idle.map(outward))
    }

    /// The node of this graph that computes it.
    pub(crate) fn producer(&self, r: Ref<'a>) -> Option<usize> {
        match r {
            Ref::Value { up: 0, index } => match self.values[index].def {
                Def::Node(node) => Some(node),
                _ => None,
            },
            _ => None,
        }
    }

    fn sort(&mut self) {
        let mut seen = vec![false; self.source.nodes.len()];
        let roots: Vec<usize> = self
            .outputs
            .iter()
            .filter_map(|r| self.producer(*r))
            .collect();
        for root in roots {
            self.visit(root, &mut seen, true);
        }
        for node in 0..seen.len() {
            self.visit(node, &mut seen, false);
        }
        self.label();
    }

    /// A node after everything that it reads, without recursion. In a cycle, which ONNX forbids, some node comes first.
    fn visit(&mut self, root: usize, seen: &mut [bool], used: bool) {
        if std::mem::replace(&mut seen[root], true) {
            return;
        }
        let producers = |scope: &Self, node: usize| -> Vec<usize> {
            let idle = scope.bodies[node]
                .iter()
                .flat_map(|b| &b.scope.idle_captures);
            let idle = idle.map(outward).filter(|_| !used);
            let all = scope.reads(node).chain(idle);
            let mut all: Vec<_> = all.filter_map(|r| scope.producer(r)).collect();
            all.reverse();
            all
        };
        let mut stack = vec![(root, producers(self, root))];
        while let Some((node, waiting)) = stack.last_mut() {
            let node = *node;
            match waiting.pop() {
                Some(next) if seen[next] => {}
                Some(next) => {
                    seen[next] = true;
                    let producers = producers(self, next);
                    stack.push((next, producers));
                }
                None => {
                    stack.pop();
                    let list = if used {
                        &mut self.order
                    } else {
                        &mut self.unused
                    };
                    list.push(node);
                }
            }
        }
    }

    /// Numbers inputs, constants in the order of use, and results.
    fn label(&mut self) {
        let mut captured = HashSet::new();
        let mut next = self.source.inputs.len();
        for (i, value) in self.values.iter().enumerate() {
            if let Def::Input(position, _) = value.def {
                self.labels[i] = Some(position);
            }
        }
        let read: Vec<Ref<'a>> = self
            .order
            .iter()
            .flat_map(|n| self.reads(*n))
            .chain(self.outputs.iter().copied())
            .collect();
        for r in read {
            match r {
                Ref::Value { up: 0, index } => {
                    let constant = matches!(self.values[index].def, Def::Const(_));
                    if constant && self.labels[index].is_none() {
                        self.labels[index] = Some(next);
                        self.constants.push(index);
                        next += 1;
                    }
                }
                Ref::Value { .. } if captured.insert(r) => self.captures.push(r),
                _ => {}
            }
        }
        let outer = |r: &Ref<'a>| matches!(r, Ref::Value { up, .. } if *up > 0);
        let idle = self.unused.iter().flat_map(|n| self.reads_all(*n));
        let within = self.order.iter().flat_map(|n| self.reads_all(*n));
        let idle: BTreeSet<Ref<'a>> = idle.chain(within).filter(outer).collect();
        self.idle_captures = idle.into_iter().filter(|r| !captured.contains(r)).collect();
        for node in &self.order {
            for index in self.written[*node].iter().flatten() {
                self.labels[*index] = Some(next);
                next += 1;
            }
        }
    }
}

fn bodies<'a>(node: &'a Node, around: &Names<'_, 'a>, depth: usize) -> Vec<Body<'a>> {
    let body = |(position, (label, g)): (usize, (&'a str, &'a Graph))| Body {
        label,
        position,
        scope: Scope::inside(Source::graph(g), Some(around), depth),
    };
    let mut all: Vec<_> = node.subgraphs().enumerate().map(body).collect();
    all.sort_by_key(|b| (b.label, b.position));
    all
}

/// The same value, seen from one level further out.
fn outward<'a>(r: &Ref<'a>) -> Ref<'a> {
    match *r {
        Ref::Value { up, index } => Ref::Value { up: up - 1, index },
        other => other,
    }
}

/// Names without those left out at the end: leaving out and not mentioning are the same.
fn stated(names: &[String]) -> &[String] {
    let count = names
        .iter()
        .rposition(|n| !n.is_empty())
        .map_or(0, |i| i + 1);
    &names[..count]
}

type Definitions<'a> = (
    Vec<Value<'a>>,
    HashMap<&'a str, usize>,
    Vec<Vec<Option<usize>>>,
);

/// The values of a graph, by index and by name. Of a name that is defined twice, which ONNX forbids, the first counts.
fn define<'a>(source: &Source<'a>) -> Definitions<'a> {
    let (mut values, mut names) = (vec![], HashMap::new());
    let mut add = |values: &mut Vec<Value<'a>>, name: &'a str, def: Def<'a>| {
        values.push(Value { name, def });
        *names.entry(name).or_insert(values.len() - 1)
    };
    for (i, name) in source.inputs.iter().enumerate() {
        add(&mut values, name, Def::Input(i, None));
    }
    let dense = source
        .initializers
        .iter()
        .map(|t| (t.name.as_str(), Const::Dense(t)));
    let sparse = source
        .sparse
        .iter()
        .map(|s| (s.values.name.as_str(), Const::Sparse(s)));
    for (name, constant) in dense.chain(sparse) {
        let given = source.inputs.len();
        let index = add(&mut values, name, Def::Const(constant));
        // An initializer with the name of an input is the input's default.
        if index < given
            && let Def::Input(position, None) = values[index].def
        {
            values[index].def = Def::Input(position, Some(constant));
            values.pop();
        }
    }
    let written = source.nodes.iter().enumerate().map(|(n, node)| {
        let mut output = |name: &'a String| {
            (!name.is_empty()).then(|| {
                add(&mut values, name, Def::Node(n));
                values.len() - 1
            })
        };
        stated(&node.outputs).iter().map(&mut output).collect()
    });
    let written = written.collect();
    (values, names, written)
}
