//! Convolutions.

use super::{Call, Found, extent_text, fault};
use crate::check::types::Extent;
use crate::check::{Expr, Rule};
use crate::ir::Attr;

/// Input `[batch, channels, sizes..]`, weight `[outputs, channels / group, kernel..]`, bias `[outputs]`.
pub(in crate::check) fn conv(call: &Call) -> Found {
    call.word("auto_pad", &["NOTSET"])?;
    let group = call.int("group", 1);
    if group < 1 {
        return fault(Rule::Attribute, format!("group is {group}"));
    }
    let (Some(x), Some(w)) = (call.dims(0), call.dims(1)) else {
        return call.unknown();
    };
    if x.len() < 3 || w.len() != x.len() {
        let what = format!("a weight of rank {} for an input of {}", w.len(), x.len());
        return fault(Rule::Shape, what);
    }
    let number = |e: &Extent| e.as_ref().and_then(Expr::as_number);
    if let (Some(channels), Some(each)) = (number(&x[1]), number(&w[1]))
        && each.checked_mul(group) != Some(channels)
    {
        let what = format!("weights of {each} channels in {group} groups for {channels}");
        return fault(Rule::Shape, what);
    }
    if let Some(outputs) = number(&w[0]).filter(|n| n % group != 0) {
        return fault(Rule::Shape, format!("{outputs} outputs in {group} groups"));
    }
    let spatial = x.len() - 2;
    let kernel = list(call, "kernel_shape", spatial, 0, 1)?;
    let strides = list(call, "strides", spatial, 1, 1)?;
    let dilations = list(call, "dilations", spatial, 1, 1)?;
    let pads = list(call, "pads", 2 * spatial, 0, 0)?;
    let mut dims = vec![x[0].clone(), w[0].clone()];
    for i in 0..spatial {
        let length = number(&w[i + 2]);
        if let Some(length) = length.filter(|n| kernel[i] != 0 && *n != kernel[i]) {
            let what = format!("kernel_shape says {}, the weight has {length}", kernel[i]);
            return fault(Rule::Attribute, what);
        }
        let around = pads[i].checked_add(pads[i + spatial]);
        let sizes = (x[i + 2].as_ref(), length, around);
        dims.push(match sizes {
            (Some(size), Some(length), Some(around)) => {
                let reach = (length - 1).saturating_mul(dilations[i]);
                let less = Expr::number(around.saturating_sub(reach).saturating_sub(1));
                let room = size.add(&less);
                if let Some(room) = room.as_ref().and_then(Expr::as_number).filter(|n| *n < 0) {
                    let size = extent_text(&x[i + 2]);
                    let what = format!("a kernel of {} for {size}: {room}", reach + 1);
                    return fault(Rule::Shape, what);
                }
                let steps = room.and_then(|room| room.div(&Expr::number(strides[i])));
                steps.and_then(|n| n.add(&Expr::number(1)))
            }
            _ => None,
        });
    }
    call.shaped(dims)
}

/// An attribute of so many integers, none below `least`; `usual` where it is left out.
fn list(
    call: &Call,
    name: &str,
    len: usize,
    usual: i64,
    least: i64,
) -> Result<Vec<i64>, crate::check::types::Fault> {
    match call.node.attr(name) {
        Some(Attr::Ints(all)) if all.len() == len && all.iter().all(|n| *n >= least) => {
            Ok(all.clone())
        }
        Some(Attr::Ints(all)) => fault(
            Rule::Attribute,
            format!("{name} is {all:?}, wanted {len} numbers of at least {least}"),
        ),
        _ => Ok(vec![usual; len]),
    }
}
