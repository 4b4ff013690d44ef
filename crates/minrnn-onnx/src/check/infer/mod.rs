//! What each operator computes: element type, shape, and the entries of short integer vectors.

mod attention;
mod content;
mod convolve;
mod elementwise;
mod layout;
mod make;
mod normalize;
mod pick;
mod product;
mod quantize;
mod recurrent;
mod reduce;
mod reshape;
mod scan;
mod slicing;

pub(super) use attention::{causal_conv, linear_attention, shared_attention};
pub(super) use convolve::conv;
pub(super) use elementwise::{
    arithmetic, choose, clip, compare, gelu, identity, not, pow, same_shape,
};
pub(super) use layout::{expand, pad, shape, size, squeeze, tile, transpose, unsqueeze};
pub(super) use make::{cast, constant, constant_node, constant_of_shape, range};
pub(super) use normalize::{layer_normalization, rms_normalization};
pub(super) use pick::{gather, gather_elements, gather_nd};
pub(super) use product::{gemm, matmul, matmul_integer};
pub(super) use quantize::{dequantize, dynamic_quantize, quantize};
pub(super) use recurrent::recurrent;
pub(super) use reduce::{along, reduce, softmax};
pub(super) use reshape::{flatten, reshape};
pub(super) use scan::{scan_inputs, scan_outputs};
pub(super) use slicing::{concat, slice, split};

use super::types::{Extent, Fault, Info, extent_text, fault};
use super::{Expr, Rule};
use crate::ir::{Attr, DType, Node};

/// Inputs of a node: `None` where one is left out or was found wrong before.
pub(super) type Inputs<'a> = &'a [Option<Info>];

/// Results of a node, or the rule that does not hold.
pub(super) type Found = Result<Vec<Info>, Fault>;

/// Longer vectors are not followed.
const MAX_CONTENT: usize = 64;

/// A node, what it gets, and the element types of its results as far as its inputs tell.
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    pub(super) opset: i64,
    pub(super) inputs: Inputs<'a>,
    pub(super) out: Vec<Option<DType>>,
}

impl Call<'_> {
    /// The input at `i`, if anything is known of it.
    fn get(&self, i: usize) -> Option<&Info> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// Whether the input at `i` is there; what is known of it is another matter.
    fn given(&self, i: usize) -> bool {
        self.node.inputs.get(i).is_some_and(|name| !name.is_empty())
    }

    fn dtype(&self, i: usize) -> Option<DType> {
        self.get(i)?.ty.dtype
    }

    fn dims(&self, i: usize) -> Option<&[Extent]> {
        self.get(i)?.ty.dims.as_deref()
    }

    fn content(&self, i: usize) -> Option<&[Expr]> {
        self.get(i)?.content.as_deref()
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.node.int(name).unwrap_or(default)
    }

    /// An attribute that is 0 or 1. What other numbers mean differs between engines.
    fn flag(&self, name: &str, default: bool) -> Result<bool, Fault> {
        match self.int(name, i64::from(default)) {
            0 => Ok(false),
            1 => Ok(true),
            n => fault(Rule::Attribute, format!("{name} is {n}, wanted 0 or 1")),
        }
    }

    /// An attribute that is one of some words; the first is the default.
    fn word(&self, name: &str, words: &[&'static str]) -> Result<&'static str, Fault> {
        let Some(Attr::Str(given)) = self.node.attr(name) else {
            return Ok(words[0]);
        };
        let known = words.iter().find(|w| w.as_bytes() == given.as_slice());
        known.copied().map_or_else(
            || {
                let given = String::from_utf8_lossy(given);
                fault(
                    Rule::Attribute,
                    format!("{name} `{given}` is not defined, only {}", words.join(", ")),
                )
            },
            Ok,
        )
    }

    /// The input at `i` must have that rank.
    fn rank(&self, i: usize, rank: usize) -> Result<(), Fault> {
        match self.get(i).and_then(Info::rank) {
            Some(got) if got != rank => {
                let what = match rank {
                    0 => "a single number (rank 0)".to_owned(),
                    1 => "a vector".to_owned(),
                    n => format!("of rank {n}"),
                };
                fault(
                    Rule::Shape,
                    format!("input {i} must be {what}, its rank is {got}"),
                )
            }
            _ => Ok(()),
        }
    }

    /// Entries of the integer vector at `i`, if they are all numbers.
    fn numbers(&self, i: usize) -> Result<Option<Vec<i64>>, Fault> {
        self.rank(i, 1)?;
        Ok(self
            .content(i)
            .and_then(|c| c.iter().map(Expr::as_number).collect()))
    }

    /// One result with that shape.
    fn shaped(&self, dims: Vec<Extent>) -> Found {
        Ok(vec![Info::new(self.out[0], Some(dims))])
    }

    /// Results of which nothing but the element types is known.
    fn unknown(&self) -> Found {
        Ok(self.out.iter().map(|d| Info::new(*d, None)).collect())
    }
}

/// An axis, counted from the end if negative, of a value of that rank.
fn axis(axis: i64, rank: usize) -> Result<usize, Fault> {
    let from_end = usize::try_from(axis.unsigned_abs()).unwrap_or(usize::MAX);
    let found = if axis < 0 {
        rank.checked_sub(from_end)
    } else {
        Some(from_end).filter(|a| *a < rank)
    };
    found.map_or_else(
        || {
            fault(
                Rule::Shape,
                format!("there is no axis {axis} in rank {rank}"),
            )
        },
        Ok,
    )
}

/// Several axes, each once.
fn axes(given: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    let found = given
        .iter()
        .map(|a| axis(*a, rank))
        .collect::<Result<Vec<_>, _>>()?;
    let twice = found
        .iter()
        .enumerate()
        .any(|(i, a)| found[..i].contains(a));
    if twice {
        return fault(Rule::Shape, format!("axes {given:?} name one axis twice"));
    }
    Ok(found)
}

/// `[a,b,c]`
fn dims_text(dims: &[Extent]) -> String {
    format!(
        "[{}]",
        dims.iter().map(extent_text).collect::<Vec<_>>().join(",")
    )
}
