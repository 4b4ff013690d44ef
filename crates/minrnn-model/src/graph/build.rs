//! Tracing: how layers write themselves into a graph.

use super::{
    Graph, Holds, Input, Layer, Node, Op, Output, OutputKind, Param, Region, Span, State,
    StateInit, StateSpec, Value,
};
use crate::error::{ModelError, Result};
use crate::spec::{ParamSpec, Role};

impl Graph {
    /// Traces a model: `body` gets the graph and its input and gives the output.
    ///
    /// # Errors
    /// Whatever `body` finds wrong; a state that is not used rightly.
    pub fn trace(
        input: Input,
        kind: OutputKind,
        body: impl FnOnce(&mut Self, Value) -> Result<Value>,
    ) -> Result<Self> {
        let width = match input {
            Input::Tokens { vocab: 0 } => {
                return Err(ModelError::config("input.vocab", "must be at least 1"));
            }
            Input::Features { width: 0 } => {
                return Err(ModelError::config("input.features", "must be at least 1"));
            }
            Input::Tokens { .. } => 1,
            Input::Features { width } => width,
        };
        let node = Node {
            op: Op::Input,
            inputs: vec![],
            width,
            span: Span::Step,
            scope: "input".into(),
        };
        let mut g = Self {
            input,
            nodes: vec![node],
            params: vec![],
            states: vec![],
            regions: vec![],
            folds: vec![],
            output: None,
            scope: vec![],
            block: None,
            folding: None,
        };
        let value = body(&mut g, Value(0))?;
        if value.0 >= g.nodes.len() {
            return Err(g.shape_error("output", "is no value of this graph"));
        }
        g.output = Some(Output { value, kind });
        g.check()?;
        Ok(g)
    }

    /// Runs `body` in a scope: names of what it makes begin with `name`.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn scope<T>(
        &mut self,
        name: impl Into<String>,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.scope.push(name.into());
        let result = body(self);
        self.scope.pop();
        result
    }

    /// Runs `body` as block `index`: scope `layers.{index}`, states named `{index}.{name}`.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn block<T>(
        &mut self,
        index: usize,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let outer = self.block.replace((index, self.scope.len() + 1));
        let result = self.scope(format!("layers.{index}"), body);
        self.block = outer;
        result
    }

    /// Runs a layer: in the scope of its name, as a region if it says what it fuses to.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn call(&mut self, layer: &dyn Layer, x: &[Value]) -> Result<Vec<Value>> {
        let region = self.regions.len();
        let (nodes, params, states) = (self.nodes.len(), self.params.len(), self.states.len());
        if let Some(fused) = layer.fused() {
            let (inputs, outputs) = (x.to_vec(), vec![]);
            self.regions.push(Region {
                fused,
                inputs,
                params: vec![],
                states: vec![],
                nodes: nodes..nodes,
                outputs,
            });
        }
        let results = if layer.name().is_empty() {
            layer.body(self, x)?
        } else {
            self.scope(layer.name(), |g| layer.body(g, x))?
        };
        if layer.fused().is_some() {
            let end = self.nodes.len();
            let r = &mut self.regions[region];
            r.params = (params..self.params.len()).map(Param).collect();
            r.states = (states..self.states.len()).map(State).collect();
            r.nodes = nodes..end;
            r.outputs = results.clone();
        }
        Ok(results)
    }

    /// Runs a layer that has one argument and one result.
    ///
    /// # Errors
    /// Those of the layer; a layer with another number of results.
    pub fn apply(&mut self, layer: &dyn Layer, x: Value) -> Result<Value> {
        let results = self.call(layer, &[x])?;
        match results[..] {
            [one] => Ok(one),
            _ => Err(self.shape_error(
                layer.name(),
                format!("has {} results, wanted one", results.len()),
            )),
        }
    }

    /// A parameter, named by scope and `name`.
    ///
    /// # Errors
    /// A name used twice, or none; a shape of no values, or of more than there can be.
    pub fn param(&mut self, name: &str, shape: &[usize], role: Role) -> Result<Param> {
        let name = self.scoped(name);
        let fail = |what: &str| {
            Err(ModelError::Name {
                kind: "parameter",
                name: name.clone(),
                what: what.into(),
            })
        };
        if self.params.iter().any(|p| p.name == name) {
            return fail("is defined twice; give one of the layers another name");
        }
        if name.is_empty() {
            return fail("has no name");
        }
        if let Some(what) = Self::wrong_shape(shape) {
            return fail(&what);
        }
        self.params.push(ParamSpec {
            name,
            shape: shape.to_vec(),
            role,
        });
        Ok(Param(self.params.len() - 1))
    }

    /// A state of the current block. The first of a name in its block is called `{block}.{name}`; a second has the names of as many of its
    /// layers before it as tell it from the others.
    ///
    /// # Errors
    /// A name used twice by one layer, a use outside of a block, a state that holds nothing or begins with what it cannot.
    pub fn state(
        &mut self,
        name: &str,
        width: usize,
        holds: Holds,
        init: StateInit,
    ) -> Result<State> {
        let name = self.state_name(name)?;
        let fail = |what: &str| {
            Err(ModelError::Name {
                kind: "state",
                name: name.clone(),
                what: what.into(),
            })
        };
        let lag = match holds {
            Holds::Value => 1,
            Holds::Window { lag } => lag,
        };
        if let Some(what) = self.wrong_state(width, lag, init) {
            return fail(&what);
        }
        self.states.push(StateSpec {
            name,
            width,
            holds,
            init,
        });
        Ok(State(self.states.len() - 1))
    }

    /// The first of the names `{block}.{layers}.{name}` that is free, with as few layers as there must be, the innermost first.
    fn state_name(&self, name: &str) -> Result<String> {
        let fail = |name: String, what: &str| {
            Err(ModelError::Name {
                kind: "state",
                name,
                what: what.into(),
            })
        };
        let Some((block, depth)) = self.block else {
            return fail(
                name.into(),
                "is made outside of a block; wrap the layer in Graph::block",
            );
        };
        let layers = &self.scope[depth..];
        let named = |from: usize| {
            let parts = layers[from..].iter().map(String::as_str);
            let path: Vec<&str> = parts.chain([name]).collect();
            format!("{block}.{}", path.join("."))
        };
        let taken = |n: &String| self.states.iter().any(|s| s.name == *n);
        match (0..=layers.len()).rev().map(named).find(|n| !taken(n)) {
            Some(free) => Ok(free),
            None => fail(
                named(0),
                "is defined twice in its layer; give one another name",
            ),
        }
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// Arguments whose number, width or span the operation cannot take.
    pub fn op(&mut self, op: Op, x: &[Value]) -> Result<Value> {
        let (width, span) = self.shape_of(op, x)?;
        self.check_width(op, width)?;
        let scope = self.scope.join(".");
        self.nodes.push(Node {
            op,
            inputs: x.to_vec(),
            width,
            span,
            scope,
        });
        Ok(Value(self.nodes.len() - 1))
    }

    /// `name` in the current scope.
    fn scoped(&self, name: &str) -> String {
        let mut full = self.scope.join(".");
        if !full.is_empty() {
            full.push('.');
        }
        full + name
    }

    /// An error at the current scope.
    pub(crate) fn shape_error(&self, op: &str, what: impl Into<String>) -> ModelError {
        let scope = if self.scope.is_empty() {
            "model".to_owned()
        } else {
            self.scope.join(".")
        };
        ModelError::Shape {
            scope,
            op: op.into(),
            what: what.into(),
        }
    }

    /// Channels of a value.
    pub fn width(&self, value: Value) -> usize {
        self.nodes[value.0].width
    }

    /// Axes of a value before its channels.
    pub fn span(&self, value: Value) -> Span {
        self.nodes[value.0].span
    }
}
