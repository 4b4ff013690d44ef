//! Makes ONNX graphs: operations return a [`Val`], names come from scopes, equal constants are one initializer.
//!
//! ```
//! use minrnn_onnx::builder::Builder;
//! use minrnn_onnx::ir::{DType, Dim};
//! let mut b = Builder::new("example");
//! let dims = vec![Dim::symbol("batch"), Dim::Fixed(3)];
//! let x = b.input("x", DType::F32, dims.clone());
//! let y = b.scoped("twice", |b| b.add(x, x));
//! b.output("y", y, DType::F32, dims);
//! let graph = b.finish().unwrap();
//! assert_eq!(graph.nodes[0].name, "/twice/Add");
//! ```
//!
//! Operations are infallible so that lowerings read like formulas; a name used twice is remembered and reported by
//! [`Builder::finish`]. Types and shapes are the checker's business.

mod names;
mod ops;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::ir::{Attr, DType, Dim, Graph, Node, Tensor, ValueInfo};
use names::Names;
pub use ops::TO_END;
pub use scan::ScanBody;

/// A value of the graph being built. Cheap to copy; belongs to the builder that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Val(usize);

/// A graph that cannot be finished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A name given by the caller is empty.
    #[error("a {0} has an empty name")]
    EmptyName(&'static str),
    /// A name given by the caller is taken.
    #[error("{kind} `{name}`: the name is taken; every value of a file needs its own")]
    Taken {
        /// What was to be named.
        kind: &'static str,
        /// The name.
        name: String,
    },
}

/// A node whose values may still be renamed.
#[derive(Debug)]
struct Pending {
    /// Empty: the standard's.
    domain: &'static str,
    op_type: &'static str,
    name: String,
    inputs: Vec<Val>,
    outputs: Vec<Val>,
    attributes: Vec<(String, Attr)>,
}

/// What a value is, as far as naming is concerned.
#[derive(Debug)]
struct ValueEntry {
    name: String,
    /// Depth of the graph in which a node makes it under an automatic name; such a value may be renamed.
    renamable_at: Option<usize>,
}

/// One graph or sub-graph being built.
#[derive(Debug, Default)]
struct Frame {
    inputs: Vec<(Val, DType, Vec<Dim>)>,
    outputs: Vec<(Val, DType, Vec<Dim>)>,
    nodes: Vec<Pending>,
}

/// Builds one graph with its sub-graphs. See the module's documentation.
#[derive(Debug)]
pub struct Builder {
    name: String,
    opset: i64,
    values: Vec<ValueEntry>,
    names: Names,
    scope: Vec<String>,
    frames: Vec<Frame>,
    params: Vec<Tensor>,
    /// By name, which says type, shape and value.
    constants: BTreeMap<String, (Val, Tensor)>,
    error: Option<BuildError>,
}

impl Builder {
    /// An empty graph of opset 17.
    pub fn new(name: impl Into<String>) -> Self {
        Self::with_opset(name, 17)
    }

    /// An empty graph; operators are written as that opset has them.
    pub fn with_opset(name: impl Into<String>, opset: i64) -> Self {
        Self {
            name: name.into(),
            opset,
            values: vec![],
            names: Names::default(),
            scope: vec![],
            frames: vec![Frame::default()],
            params: vec![],
            constants: BTreeMap::new(),
            error: None,
        }
    }

    /// Runs `body` in a scope: nodes made in it are called `/outer/name/Op`.
    pub fn scoped<T>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> T) -> T {
        self.enter(name);
        let result = body(self);
        self.leave();
        result
    }

    /// Begins a scope, which may be a path `a/b`; [`Builder::scoped`] is this with its end.
    pub fn enter(&mut self, name: &str) {
        self.scope.push(name.to_owned());
    }

    /// Ends the innermost scope.
    pub fn leave(&mut self) {
        self.scope.pop();
    }

    /// Runs `body` in the scope `name` counted from the root: for nodes that belong to no part of the model alone.
    pub fn at_root<T>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.scope, vec![name.to_owned()]);
        let result = body(self);
        self.scope = outer;
        result
    }

    /// Puts another scope, counted from the root, in the place of the present one, which it gives back.
    pub(crate) fn exchange_scope(&mut self, scope: Vec<String>) -> Vec<String> {
        std::mem::replace(&mut self.scope, scope)
    }

    /// An input of the current graph.
    pub fn input(&mut self, name: &str, dtype: DType, dims: Vec<Dim>) -> Val {
        let val = self.explicit("input", name);
        self.frame().inputs.push((val, dtype, dims));
        val
    }

    /// A named constant (a parameter of the model): an initializer of that name.
    pub fn param(&mut self, tensor: Tensor) -> Val {
        let val = self.explicit("initializer", &tensor.name);
        self.params.push(tensor);
        val
    }

    /// What stands for an input that a node leaves out.
    pub(crate) fn absent(&mut self) -> Val {
        self.push_value(String::new(), None)
    }

    /// Makes `value` an output called `name`. The value itself gets that name where nothing else named it before;
    /// else an Identity leads to it.
    pub fn output(&mut self, name: &str, value: Val, dtype: DType, dims: Vec<Dim>) -> Val {
        let here = self.frames.len();
        let value = if self.values[value.0].renamable_at == Some(here) {
            value
        } else {
            self.identity(value)
        };
        self.claim("output", name);
        self.values[value.0] = ValueEntry {
            name: name.to_owned(),
            renamable_at: None,
        };
        self.frame().outputs.push((value, dtype, dims));
        value
    }

    /// Version of the operator set that is written.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// The present name of a value; making it an output may still change it.
    pub fn name(&self, value: Val) -> &str {
        &self.values[value.0].name
    }

    /// Adds a node with one result.
    pub fn node(
        &mut self,
        op_type: &'static str,
        inputs: &[Val],
        attributes: Vec<(&str, Attr)>,
    ) -> Val {
        self.node_n(op_type, inputs, 1, attributes)[0]
    }

    /// Adds a node with `count` results.
    pub fn node_n(
        &mut self,
        op_type: &'static str,
        inputs: &[Val],
        count: usize,
        attributes: Vec<(&str, Attr)>,
    ) -> Vec<Val> {
        self.node_of("", op_type, inputs, count, attributes)
    }

    /// Adds a node of another domain than the standard's.
    pub(crate) fn node_of(
        &mut self,
        domain: &'static str,
        op_type: &'static str,
        inputs: &[Val],
        count: usize,
        attributes: Vec<(&str, Attr)>,
    ) -> Vec<Val> {
        let base = self
            .scope
            .iter()
            .fold(String::new(), |path, part| path + "/" + part)
            + "/"
            + op_type;
        let name = self.names.unique_node(&base);
        let depth = self.frames.len();
        let outputs: Vec<Val> = (0..count)
            .map(|i| {
                let wanted = if count == 1 {
                    name.clone()
                } else {
                    format!("{name}.{i}")
                };
                let name = self.names.unique_value(&wanted);
                self.push_value(name, Some(depth))
            })
            .collect();
        let attributes = attributes
            .into_iter()
            .map(|(n, a)| (n.to_owned(), a))
            .collect();
        let node = Pending {
            domain,
            op_type,
            name,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            attributes,
        };
        self.frame().nodes.push(node);
        outputs
    }

    /// A constant of the graph, shared by name; `name` must say type, shape and values.
    fn constant(&mut self, name: String, make: impl FnOnce(&str) -> Tensor) -> Val {
        if let Some((val, _)) = self.constants.get(&name) {
            return *val;
        }
        let tensor = make(&name);
        let val = self.explicit("constant", &name);
        self.constants.insert(name, (val, tensor));
        val
    }

    /// The finished graph: parameters first among the initializers, in the order given; then constants, in order of name.
    ///
    /// # Errors
    /// The first name that was empty or taken.
    pub fn finish(mut self) -> Result<Graph, BuildError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let frame = self.frames.pop().unwrap_or_default();
        let mut graph = self.close(frame, self.name.clone());
        graph.initializers = self.params;
        graph
            .initializers
            .extend(self.constants.into_values().map(|(_, tensor)| tensor));
        Ok(graph)
    }

    /// Names of a frame become final.
    fn close(&self, frame: Frame, name: String) -> Graph {
        let info = |(val, dtype, dims): (Val, DType, Vec<Dim>)| {
            ValueInfo::new(self.name(val), dtype, dims)
        };
        let names = |vals: &[Val]| vals.iter().map(|v| self.name(*v).to_owned()).collect();
        let node = |p: Pending| Node {
            domain: p.domain.to_owned(),
            op_type: p.op_type.to_owned(),
            name: p.name,
            inputs: names(&p.inputs),
            outputs: names(&p.outputs),
            attributes: p.attributes,
            ..Node::default()
        };
        Graph {
            name,
            inputs: frame.inputs.into_iter().map(info).collect(),
            outputs: frame.outputs.into_iter().map(info).collect(),
            nodes: frame.nodes.into_iter().map(node).collect(),
            ..Graph::default()
        }
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn push_value(&mut self, name: String, renamable_at: Option<usize>) -> Val {
        self.values.push(ValueEntry { name, renamable_at });
        Val(self.values.len() - 1)
    }

    fn explicit(&mut self, kind: &'static str, name: &str) -> Val {
        self.claim(kind, name);
        self.push_value(name.to_owned(), None)
    }

    fn claim(&mut self, kind: &'static str, name: &str) {
        let problem = if name.is_empty() {
            BuildError::EmptyName(kind)
        } else if self.names.claim_value(name) {
            return;
        } else {
            BuildError::Taken {
                kind,
                name: name.to_owned(),
            }
        };
        self.error.get_or_insert(problem);
    }
}
