//! Tracing: how layers write themselves into a graph.

use super::{
    Binary, Graph, Input, Node, Op, Output, OutputKind, Param, Region, State, StateInit, StateSpec,
    Unary, Value,
};
use crate::error::{ModelError, Result};
use crate::layers::Layer;
use crate::params::{ParamSpec, Role};

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
            timed: true,
            scope: "input".into(),
        };
        let mut g = Self {
            input,
            nodes: vec![node],
            params: vec![],
            states: vec![],
            regions: vec![],
            output: None,
            scope: vec![],
            block: None,
        };
        let value = body(&mut g, Value(0))?;
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
        let outer = self.block.replace(index);
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
    /// A name used twice; an empty shape.
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
        if shape.is_empty() || shape.contains(&0) {
            return fail(&format!(
                "has shape {shape:?}; every dimension must be at least 1"
            ));
        }
        self.params.push(ParamSpec {
            name,
            shape: shape.to_vec(),
            role,
        });
        Ok(Param(self.params.len() - 1))
    }

    /// A state of the current block: `lag` is `None` for a recurrence, else how many past inputs it holds.
    ///
    /// # Errors
    /// A name used twice, or a use outside of a block.
    pub fn state(
        &mut self,
        name: &str,
        width: usize,
        lag: Option<usize>,
        init: StateInit,
    ) -> Result<State> {
        let fail = |name: String, what: &str| {
            Err(ModelError::Name {
                kind: "state",
                name,
                what: what.into(),
            })
        };
        let Some(block) = self.block else {
            return fail(
                name.into(),
                "is made outside of a block; wrap the layer in Graph::block",
            );
        };
        let name = format!("{block}.{name}");
        if self.states.iter().any(|s| s.name == name) {
            return fail(name, "is defined twice in its block; give one another name");
        }
        if width == 0 || lag == Some(0) {
            return fail(name, "holds nothing; its width and lag must be at least 1");
        }
        if lag.is_some() && init != StateInit::Zero {
            return fail(
                name,
                "holds past inputs, which begin with zeros; only a recurrence can learn its initial state",
            );
        }
        if let StateInit::Learned(p) = init
            && self.params[p.0].shape != [width]
        {
            return fail(
                name,
                &format!("begins with {:?}, wanted [{width}]", self.params[p.0].shape),
            );
        }
        self.states.push(StateSpec {
            name,
            width,
            lag,
            init,
        });
        Ok(State(self.states.len() - 1))
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// Arguments whose number, width or time axis the operation cannot take.
    pub fn op(&mut self, op: Op, x: &[Value]) -> Result<Value> {
        let width = self.width_of(op, x)?;
        let timed = !matches!(op, Op::Last) && x.iter().any(|v| self.node(*v).timed);
        let scope = self.scope.join(".");
        self.nodes.push(Node {
            op,
            inputs: x.to_vec(),
            width,
            timed,
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
}

/// Short names for the operations that layers write most.
impl Graph {
    /// Elementwise function of one argument.
    ///
    /// # Errors
    /// See [`Graph::op`]; so for all below.
    pub fn unary(&mut self, f: Unary, x: Value) -> Result<Value> {
        self.op(Op::Unary(f), &[x])
    }
    /// `x + y`.
    ///
    /// # Errors
    /// Widths that differ, neither being 1; so for all below.
    pub fn add(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Add), &[x, y])
    }
    /// `x - y`.
    ///
    /// # Errors
    /// See [`Graph::add`].
    pub fn sub(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Sub), &[x, y])
    }
    /// `x * y`.
    ///
    /// # Errors
    /// See [`Graph::add`].
    pub fn mul(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Mul), &[x, y])
    }
    /// `x / y`.
    ///
    /// # Errors
    /// See [`Graph::add`].
    pub fn div(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Div), &[x, y])
    }
    /// The smaller of x and y.
    ///
    /// # Errors
    /// See [`Graph::add`].
    pub fn min(&mut self, x: Value, y: Value) -> Result<Value> {
        self.op(Op::Binary(Binary::Min), &[x, y])
    }
    /// `x * mul + add`.
    ///
    /// # Errors
    /// See [`Graph::op`].
    pub fn affine(&mut self, x: Value, mul: f64, add: f64) -> Result<Value> {
        self.op(Op::Affine { mul, add }, &[x])
    }
    /// Equal parts of the channels.
    ///
    /// # Errors
    /// A width that is not a multiple of `parts`.
    pub fn split<const N: usize>(&mut self, x: Value) -> Result<[Value; N]> {
        let width = self.width(x);
        if !width.is_multiple_of(N) {
            return Err(self.shape_error(
                "split",
                format!("cannot cut {width} channels into {N} equal parts"),
            ));
        }
        let len = width / N;
        let mut parts = [x; N];
        for (i, part) in parts.iter_mut().enumerate() {
            *part = self.op(
                Op::Narrow {
                    start: i * len,
                    len,
                },
                &[x],
            )?;
        }
        Ok(parts)
    }
    /// The recurrence `h[t] = a[t] * h[t-1] + b[t]` with a state of its own, called `name` (`h` in the paper's cells).
    ///
    /// # Errors
    /// See [`Graph::state`] and [`Graph::op`].
    pub fn recurrence(&mut self, name: &str, a: Value, b: Value, init: StateInit) -> Result<Value> {
        let state = self.state(name, self.width(a), None, init)?;
        self.op(Op::Recur { state }, &[a, b])
    }
}
