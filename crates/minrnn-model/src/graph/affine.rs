//! The end of a model of values: back from normalised values to the units of the data.

use super::{Binary, Graph, Op, OutputKind, Param, Value};
use crate::spec::Role;

/// What a graph of values ends with: `y = x * scale + shift` by buffers `[C]`, the product rounded before the sum.
/// Without `scale` a factor of 1, without `shift` a summand of 0; never without both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denormalisation {
    /// x, the normalised values.
    pub value: Value,
    /// Standard deviation of each value.
    pub scale: Option<Param>,
    /// Mean of each value.
    pub shift: Option<Param>,
}

impl Graph {
    /// The inverse of a normalisation at the graph's end, if it has one.
    pub fn denormalisation(&self) -> Option<Denormalisation> {
        let output = self.output();
        if output.kind != OutputKind::Values || output.value.0 + 1 != self.nodes.len() {
            return None;
        }
        let mut value = output.value;
        let mut buffer = |multiply: bool| {
            let node = self.node(value);
            match (node.op, multiply) {
                (Op::Binary(Binary::Add), false) | (Op::Binary(Binary::Mul), true) => {}
                _ => return None,
            }
            let param = self.as_param(node.inputs[1])?;
            let spec = self.param_spec(param);
            // Its arguments are the nodes right before it, so that nothing else is lost with them.
            let own = matches!(spec.role, Role::Buffer { .. }) && spec.shape == [node.width];
            let [x, p] = [0, 1].map(|i| node.inputs[i].0);
            if !own || (x + 2, p + 1) != (value.0, value.0) {
                return None;
            }
            value = node.inputs[0];
            Some(param)
        };
        let shift = buffer(false);
        let scale = buffer(true);
        let inside = |r: &super::Region| r.nodes.end > value.0 + 1;
        if (shift.is_none() && scale.is_none()) || self.regions.iter().any(inside) {
            return None;
        }
        Some(Denormalisation {
            value,
            scale,
            shift,
        })
    }

    /// The graph that ends in the normalised values: one whose errors all weigh alike. Parameters and states keep their positions, so
    /// that the same weights serve both. `None` where the graph's values are not normalised.
    pub fn normalised(&self) -> Option<Self> {
        let end = self.denormalisation()?;
        let mut graph = self.clone();
        graph.nodes.truncate(end.value.0 + 1);
        if let Some(output) = &mut graph.output {
            output.value = end.value;
        }
        Some(graph)
    }
}
