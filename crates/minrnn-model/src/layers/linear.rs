//! Linear maps and embeddings.

use crate::error::Result;
use crate::graph::{Fused, Graph, Layer, Op, Value};
use crate::spec::{Init, Role};

/// `y = x W + bias`, W `[K, N]`. Parameters `weight`, `bias`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// Scope.
    pub name: String,
    /// N, output channels.
    pub outputs: usize,
    /// Whether and how a bias begins.
    pub bias: Option<Init>,
    /// Whether weight decay applies to W.
    pub decay: bool,
}

impl Linear {
    /// With a zero bias if `bias`, and weight decay.
    pub fn new(name: impl Into<String>, outputs: usize, bias: bool) -> Self {
        Self {
            name: name.into(),
            outputs,
            bias: bias.then_some(Init::Constant(0.0)),
            decay: true,
        }
    }
}

impl Layer for Linear {
    fn name(&self) -> &str {
        &self.name
    }
    fn fused(&self) -> Option<Fused> {
        Some(Fused::Linear {
            bias: self.bias.is_some(),
        })
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        self.begun(g, x[0], Init::linear(g.width(x[0])))
    }
}

impl Linear {
    /// The layer, its weight begun with `init`.
    fn begun(&self, g: &mut Graph, x: Value, init: Init) -> Result<Vec<Value>> {
        let inputs = g.width(x);
        let role = Role::Weight {
            init,
            decay: self.decay,
        };
        let weight = g.param("weight", &[inputs, self.outputs], role)?;
        let weight = g.read(weight)?;
        let mut y = g.matmul(x, weight)?;
        if let Some(init) = &self.bias {
            let bias = g.param(
                "bias",
                &[self.outputs],
                Role::Weight {
                    init: init.clone(),
                    decay: false,
                },
            )?;
            let bias = g.read(bias)?;
            y = g.add(y, bias)?;
        }
        Ok(vec![y])
    }
}

/// A linear map whose weight begins `by` times as large as usual.
pub(super) struct Scaled {
    pub(super) linear: Linear,
    pub(super) by: f64,
}

impl Layer for Scaled {
    fn name(&self) -> &str {
        self.linear.name()
    }
    fn fused(&self) -> Option<Fused> {
        self.linear.fused()
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let bound = self.by / libm::sqrt(g.width(x[0]) as f64);
        self.linear.begun(g, x[0], Init::Uniform { bound })
    }
}

/// A linear map whose weight begins uniform in `[-bound, bound)`.
pub(super) struct Bounded {
    pub(super) linear: Linear,
    pub(super) bound: f64,
}

impl Layer for Bounded {
    fn name(&self) -> &str {
        self.linear.name()
    }
    fn fused(&self) -> Option<Fused> {
        self.linear.fused()
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let bound = self.bound;
        self.linear.begun(g, x[0], Init::Uniform { bound })
    }
}

/// Row of a table `[V, M]` for each token id. Parameter `weight`, uniform with variance 1.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// Scope.
    pub name: String,
    /// V.
    pub vocab: usize,
    /// M.
    pub width: usize,
}

impl Layer for Embedding {
    fn name(&self) -> &str {
        &self.name
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let role = Role::Weight {
            init: Init::Uniform {
                bound: libm::sqrt(3.0),
            },
            decay: false,
        };
        let table = g.param("weight", &[self.vocab, self.width], role)?;
        Ok(vec![g.op(Op::Embed { table }, x)?])
    }
}
