//! The tape by operation: a file holds what its launches are (fields, memory, slow twin, kernel), and what they are made of
//! in a graph, forward and backward.
//!
//! What the planner knows is [`KNOWN`]: a file with a kernel for a fused layer gives a [`Layer`], one for primitives a
//! [`Primitive`]. What stands in neither list is run by its primitives, or refused by name.

mod activation;
mod add_dropout;
mod attend;
mod begin;
mod cell;
mod column_sum;
mod columns;
mod constant;
mod conv;
mod convolution;
mod delay;
mod diagonal_scan;
mod embed;
mod feedback;
mod gate;
mod keep;
mod last;
mod limit;
mod linear;
mod loss;
mod map;
mod map2;
mod matmul;
mod max_scan;
mod norm;
mod reduce;
mod repeat;
mod rows;
mod scan;
mod selective_scan;
mod sum;
mod update;
mod vector;
mod zero;

use std::fmt;

use minrnn_model::graph::{Fused, Graph, Law, Node, Op, Region, StateInit, StateSpec};

pub(super) use activation::is_activation;
pub(super) use column_sum::column_sum;
pub(super) use embed::embed;
pub(super) use gate::{Gated, gate};
pub(super) use keep::{keep_states, kept_or_unknown, without_gradient};
pub(super) use linear::part;
pub(super) use loss::loss;
pub(super) use norm::norm_of;
pub(super) use sum::sum;
pub(super) use update::update;

#[cfg(test)]
pub(super) use {
    add_dropout::AddDropout, attend::AttendGrad, columns::CopyColumns, norm::Norm, vector::WithVec,
};

use super::planner::Planner;

/// Adds the launches of a fused layer.
pub(super) type Layer = fn(&mut Planner<'_>, &Region);

/// Adds the launches of the node at an index, or adds nothing and gives `None`: it does not know the node.
pub(super) type Primitive = fn(&mut Planner<'_>, &Node, usize) -> Option<()>;

/// What a planner knows.
#[derive(Debug)]
pub(super) struct Known {
    /// Each: its kernel for a fused layer, if it has one.
    pub(super) layers: &'static [fn(Fused) -> Option<Layer>],
    /// Each: its primitives.
    pub(super) primitives: &'static [Primitive],
    /// Those of which an input is computed from parameters alone.
    pub(super) with_parameters: &'static [Primitive],
}

/// Everything: a line a file.
pub(super) const KNOWN: Known = Known {
    layers: &[
        linear::layer,
        norm::layer,
        conv::layer,
        cell::layer,
        activation::layer,
        map::layer,
        feedback::layer,
        selective_scan::layer,
        diagonal_scan::layer,
    ],
    primitives: &[
        embed::node,
        map::node,
        map2::node,
        reduce::node,
        repeat::node,
        columns::node,
        delay::node,
        scan::node,
        max_scan::node,
        last::node,
        rows::node,
        attend::node,
        limit::node,
    ],
    with_parameters: &[linear::node, vector::node, convolution::node],
};

impl Known {
    /// The kernel of a fused layer.
    pub(super) fn layer(&self, fused: Fused) -> Option<Layer> {
        self.layers.iter().find_map(|layer| layer(fused))
    }

    /// Adds the launches of a node.
    pub(super) fn node(&self, p: &mut Planner<'_>, value: usize) -> Result<(), Unknown> {
        let node = p.graph.nodes()[value].clone();
        // Of values of parameters alone few have slots: who can read them looks before.
        let constant = node.inputs.iter().any(|v| p.graph.span(*v).is_model());
        let known = match (node.span.is_model(), constant) {
            (true, _) => constant::node(p, &node, value),
            (_, true) => self.with_parameters.iter().find_map(|f| f(p, &node, value)),
            (_, false) => self.primitives.iter().find_map(|f| f(p, &node, value)),
        };
        known.ok_or_else(|| Unknown::new(p.graph, value))
    }
}

/// # Errors
/// What has kernels on CPUs only.
pub(super) fn none_for_gpus(graph: &Graph) -> Result<(), Unknown> {
    attend::none_for_gpus(graph)
}

/// The tape has no launches for a node or a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; train with train.engine = \"candle\", which runs every model", self.reason())]
pub struct Unknown {
    /// The operation with its name, or what is unusual about the state.
    pub what: String,
    /// Its number in the graph, and its scope.
    pub place: String,
    /// The fused layers that it lies in, the inmost last: none of them has a kernel here either.
    pub layers: Vec<String>,
}

/// ", part of Swiglu", where there are such layers.
struct Within<'a>(&'a [String]);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, ", part of the layer {}", self.0.join(", "))
    }
}

impl Unknown {
    /// What is not known, and where.
    pub fn reason(&self) -> String {
        let within = Within(&self.layers);
        format!(
            "the tape does not know {} of {}{within}",
            self.what, self.place
        )
    }

    pub(super) fn new(graph: &Graph, at: usize) -> Self {
        let node = &graph.nodes()[at];
        let regions = graph.regions().iter();
        let around = regions.filter(|r| r.nodes.contains(&at));
        let name = |r: &Region| {
            let text = format!("{:?}", r.fused);
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        };
        let on = match node.inputs.iter().any(|v| graph.span(*v).is_model()) {
            true => " on a parameter",
            false => "",
        };
        let law = match node.op {
            Op::Recur { law, .. } if law != Law::Linear => format!(" of the law {}", law.name()),
            _ => String::new(),
        };
        // A fold is one thing to people.
        let name_of = match node.op {
            Op::Before { .. } => "Fold",
            op => op.name(),
        };
        Self {
            what: format!("the operation {name_of}{law}{on}"),
            place: match node.scope.as_str() {
                "" => format!("node {at}"),
                scope => format!("node {at} in `{scope}`"),
            },
            layers: around.map(name).collect(),
        }
    }
}

/// States begin with zeros or a constant, or a recurrence with a row that is learned.
pub(super) fn check_states(graph: &Graph) -> Result<(), Unknown> {
    let strange = |s: &&StateSpec| matches!(s.init, StateInit::Learned(_)) && s.lag().is_some();
    match graph.states().iter().find(strange) {
        None => Ok(()),
        Some(state) => Err(Unknown {
            what: "the learned beginning".to_owned(),
            place: format!("the window `{}`", state.name),
            layers: vec![],
        }),
    }
}
