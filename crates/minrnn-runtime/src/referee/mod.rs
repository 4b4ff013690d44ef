//! The referee: the file run by tract, operator by operator as the graph has it, with operations of our own where tract's
//! results would hang on its choice of kernels. What exact execution must equal, bit for bit.
//!
//! It shares nothing with the engine but the functions of one value (exponentials and so on, in their scalar form): neither
//! the compiler, nor the order in which nodes run, nor chunks, threads, blocks of rows, packed weights or vectors.
//!
//! * A lowered recurrence is replaced by a loop over the steps, straight after parsing, before anything is inferred. `h` is
//!   all that is replaced: last states and each row's ends stay what the graph makes of `h`.
//! * In step and scan forms nothing is replaced: the graph's own product and sum of one step run, in tract's own Scan.
//! * Products with a matrix, reductions over the last axis and functions of one value that are no single IEEE operation are
//!   operations of [`ops`]. Sums, products value by value, quotients, shapes, slices, gathers and casts are tract's. Any
//!   other operator is refused.
//! * tract's rewrites (declutter, optimise) do not run: they would turn quotients into products, or fuse operations.

mod ops;
mod rows;

use tract_onnx::Onnx;
use tract_onnx::model::{ParseResult, ParsingContext};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use self::ops::Own;
use crate::info::{Info, Law, Recurrence};
use crate::kernels::Reduction;
use crate::operator::{self, Judge, Meaning};

/// What a builder of the parser returns: the operation, and names that it closes over.
type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// tract's parser with our operations in the place of its own. Bodies of Scan are parsed by it too.
pub(crate) fn parser() -> Onnx {
    let mut onnx = tract_onnx::onnx();
    let register = &mut onnx.op_register;
    let tracts = |name: &str| operator::find(name).is_some_and(|o| o.judge == Judge::Tract);
    let others = register.0.iter_mut().filter(|(name, _)| !tracts(name));
    others.for_each(|(_, builder)| *builder = unjudged);
    for operator in operator::all().filter(|o| o.judge == Judge::Ours) {
        register.insert(operator.name, ours);
    }
    onnx
}

/// The operation of [`ops`] that an operator is.
fn ours(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    if node.op_type == "Softmax" {
        return softmax(node);
    }
    match operator::meaning(&node.op_type) {
        Meaning::Unary(op) => own(Own::Unary(op)),
        Meaning::Reduce(op) => reduce(ctx, node, op),
        Meaning::MatMul => own(Own::Product),
        Meaning::MatMulInteger => product_int(node),
        Meaning::Conv => conv(node),
        _ => unjudged(ctx, node),
    }
}

/// Of shapes that the file was held to.
fn conv(node: &NodeProto) -> Built {
    let list = |name: &str| {
        let attribute = node.attribute.iter().find(|a| a.name == name);
        attribute.map(|a| a.ints.as_slice())
    };
    let size = |n: i64| usize::try_from(n).unwrap_or(0);
    let stride = list("strides")
        .and_then(|s| s.first())
        .map_or(1, |n| size(*n));
    let behind = match list("pads") {
        None => 0,
        Some([0, behind]) => size(*behind),
        Some(pads) => bail!("the referee has no definition of Conv with pads {pads:?}"),
    };
    own(Own::Conv { stride, behind })
}

fn own(op: Own) -> Built {
    Ok((expand(op), vec![]))
}

/// Over the last axis.
fn softmax(node: &NodeProto) -> Built {
    let axis = node.attribute.iter().find(|a| a.name == "axis");
    let axis = axis.map_or(-1, |a| a.i);
    if axis != -1 {
        bail!("the referee has Softmax over the last axis only, not {axis}");
    }
    own(Own::Softmax)
}

fn unjudged(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    bail!("the referee has no definition of {}", node.op_type)
}

/// The slots of zero points: tract leaves out inputs without a name.
fn product_int(node: &NodeProto) -> Built {
    let named = |at: usize| node.input.get(at).is_some_and(|name| !name.is_empty());
    let x_zero = named(2).then_some(2);
    let w_zero = named(3).then_some(2 + usize::from(x_zero.is_some()));
    own(Own::ProductInt { x_zero, w_zero })
}

fn reduce(ctx: &ParsingContext<'_>, node: &NodeProto, op: Reduction) -> Built {
    let attribute =
        |name: &str| -> Option<&AttributeProto> { node.attribute.iter().find(|a| a.name == name) };
    let axes = match (attribute("axes"), node.input.get(1)) {
        (Some(axes), _) => Some(axes.ints.clone()),
        (None, Some(name)) => ctx.parent_graphs.iter().rev().find_map(|g| ints(g, name)),
        (None, None) => None,
    };
    let Some([axis]) = axes.as_deref() else {
        bail!("the referee reduces over one axis that the file names, not {axes:?}");
    };
    own(Own::Reduce {
        op,
        keep: attribute("keepdims").is_none_or(|a| a.i == 1),
        axis: *axis,
    })
}

/// The int64 values of an initializer.
fn ints(graph: &GraphProto, name: &str) -> Option<Vec<i64>> {
    let tensor = graph.initializer.iter().find(|t| t.name == name)?;
    if tensor.data_type != DataType::Int64 as i32 {
        return None;
    }
    if tensor.raw_data.is_empty() {
        return Some(tensor.int64_data.clone());
    }
    let (values, _) = tensor.raw_data.as_chunks::<8>();
    Some(values.iter().map(|b| i64::from_le_bytes(*b)).collect())
}

/// Puts our recurrence in the place of each lowered one, straight after parsing.
///
/// # Errors
/// A name of the metadata that tract has no outlet for.
pub(crate) fn replace(
    parsed: &mut ParseResult,
    proto: &ModelProto,
    info: &Info,
) -> TractResult<()> {
    if !info.form.is_sequence() {
        return Ok(());
    }
    let nodes = proto.graph.as_ref().map_or(&[][..], |g| &g.node);
    let scanned = |r: &&Recurrence| {
        let scans = nodes.iter().filter(|n| n.op_type == "Scan");
        !scans.clone().any(|n| n.output.contains(&r.h))
    };
    for (at, names) in info.recurrences.iter().filter(scanned).enumerate() {
        one(parsed, names, at)?;
    }
    Ok(())
}

/// The loop of a law; the largest of some values is the same in any order.
fn looped(law: Law) -> Option<Own> {
    match law {
        Law::Linear => Some(Own::Recurrence),
        Law::Complex => Some(Own::Complex),
        Law::Max => None,
    }
}

fn one(parsed: &mut ParseResult, names: &Recurrence, at: usize) -> TractResult<()> {
    let outlet = |name: &str| match parsed.outlets_by_name.get(name) {
        Some(outlet) => Ok(*outlet),
        None => bail!("no outlet `{name}`"),
    };
    let (looped, Some(a)) = (looped(names.law), &names.a) else {
        return Ok(());
    };
    let Some(looped) = looped else { return Ok(()) };
    let operands = [outlet(a)?, outlet(&names.b)?, outlet(&names.h0)?];
    let lowered = outlet(&names.h)?;
    let model = &mut parsed.model;
    let name = format!("minrnn.recurrence.{at}");
    let id = model.add_node(name, expand(looped), tvec!(InferenceFact::default()))?;
    for (slot, operand) in operands.into_iter().enumerate() {
        model.add_edge(operand, InletId::new(id, slot))?;
    }
    let h = OutletId::new(id, 0);
    for reader in model.outlet_successors(lowered).to_vec() {
        model.add_edge(h, reader)?;
    }
    for output in model.outputs.iter_mut().filter(|o| **o == lowered) {
        *output = h;
    }
    // A later recurrence may stand on this one.
    parsed.outlets_by_name.insert(names.h.clone(), h);
    Ok(())
}
