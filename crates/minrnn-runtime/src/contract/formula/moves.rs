//! What a node does with its operands, apart from what the operands are.

use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

use crate::kernels::{Binary, Unary};
use crate::operator::{self, Meaning};
use crate::structure::axis;

/// Entries `start`, `start + every`, .. of `axis`, `len` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) axis: usize,
    pub(super) start: usize,
    pub(super) every: usize,
    pub(super) len: usize,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Move {
    Same,
    /// The same values in another shape.
    Reshape(Vec<usize>),
    /// For each output, what it takes of the operand.
    Cut(Vec<Vec<Piece>>),
    /// Axes in another order.
    Order(Vec<usize>),
    /// Repeated to a shape.
    Spread(Vec<usize>),
    /// One behind the other along an axis.
    Join(usize),
    /// For each axis, values before and after.
    Pad(Vec<(usize, usize)>, f32),
    Unary(Unary),
    Binary(Binary),
    /// One value in a shape.
    Fill(Vec<usize>, f32),
}

/// A node with the shapes of what it reads and makes, and the numbers that say how.
pub(super) struct Call<'a> {
    pub(super) node: &'a NodeProto,
    /// Shapes of its inputs; none where that is not known.
    pub(super) inputs: Vec<Option<&'a [usize]>>,
    /// Shapes of its outputs.
    pub(super) outputs: Vec<&'a [usize]>,
    /// Numbers of its inputs, where they are known.
    pub(super) ints: Vec<Option<&'a [i64]>>,
    /// The float that pads, or fills.
    pub(super) value: Option<f32>,
}

pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

pub(super) fn int(node: &NodeProto, name: &str) -> Option<i64> {
    attribute(node, name).map(|a| a.i)
}

/// The tensor of the attribute `value`.
pub(super) fn tensor(node: &NodeProto) -> Option<&TensorProto> {
    attribute(node, "value").and_then(|a| a.t.as_ref())
}

pub(super) fn body(node: &NodeProto) -> Option<&GraphProto> {
    attribute(node, "body").and_then(|a| a.g.as_ref())
}

/// The function of values one by one that an operator is.
pub(super) fn function(op: &str) -> Option<Move> {
    match operator::meaning(op) {
        Meaning::Identity => Some(Move::Same),
        Meaning::Unary(f) => Some(Move::Unary(f)),
        Meaning::Binary(f) => Some(Move::Binary(f)),
        _ => None,
    }
}

impl Call<'_> {
    /// How many of its inputs are operands; the others are numbers that say what is done with them.
    pub(super) fn operands(&self) -> usize {
        match self.node.op_type.as_str() {
            "Reshape" | "Squeeze" | "Unsqueeze" | "Slice" | "Split" | "Expand" | "Pad" => 1,
            "ConstantOfShape" => 0,
            _ => self.node.input.len(),
        }
    }

    /// # Errors
    /// What is unusual about the node.
    pub(super) fn read(&self) -> Result<Move, String> {
        let op = self.node.op_type.as_str();
        if let Some(function) = function(op) {
            return Ok(function);
        }
        match op {
            "Reshape" | "Squeeze" | "Unsqueeze" => Ok(Move::Reshape(self.output(0)?.into())),
            "Expand" => Ok(Move::Spread(self.output(0)?.into())),
            "Slice" => self.slice(),
            "Split" => self.split(),
            "Transpose" => self.transpose(),
            "Concat" => {
                let at = int(self.node, "axis").ok_or("Concat without an axis")?;
                Ok(Move::Join(axis(at, self.input(0)?.len())?))
            }
            "Pad" => self.pad(),
            "ConstantOfShape" => Ok(Move::Fill(
                self.output(0)?.into(),
                self.value.ok_or("a filler of another type")?,
            )),
            _ => Err(format!("operator `{op}` is none of a recurrence")),
        }
    }

    fn input(&self, at: usize) -> Result<&[usize], String> {
        let dims = self.inputs.get(at).copied().flatten();
        dims.ok_or_else(|| "reads what has no known shape".into())
    }

    fn output(&self, at: usize) -> Result<&[usize], String> {
        let dims = self.outputs.get(at).copied();
        dims.ok_or_else(|| "has no known shape".into())
    }

    fn numbers(&self, at: usize) -> Result<&[i64], String> {
        let known = self.ints.get(at).copied().flatten();
        known.ok_or_else(|| "depends on numbers that are not known".into())
    }

    fn has(&self, at: usize) -> bool {
        self.node.input.get(at).is_some_and(|n| !n.is_empty())
    }

    fn slice(&self) -> Result<Move, String> {
        let (dims, made) = (self.input(0)?, self.output(0)?);
        let starts = self.numbers(1)?;
        let along: Vec<i64> = match self.has(3) {
            true => self.numbers(3)?.into(),
            false => (0..starts.len() as i64).collect(),
        };
        let every: Vec<i64> = match self.has(4) {
            true => self.numbers(4)?.into(),
            false => vec![1; starts.len()],
        };
        let mut pieces = vec![];
        for ((start, at), every) in starts.iter().zip(&along).zip(&every) {
            let axis = axis(*at, dims.len())?;
            let size = dims[axis] as i64;
            let start = if *start < 0 {
                start.saturating_add(size)
            } else {
                *start
            };
            pieces.push(Piece {
                axis,
                start: start.clamp(0, size) as usize,
                every: usize::try_from(*every).map_err(|_| "a slice backwards")?,
                len: *made.get(axis).ok_or("a slice of another rank")?,
            });
        }
        Ok(Move::Cut(vec![pieces]))
    }

    fn split(&self) -> Result<Move, String> {
        let axis = axis(int(self.node, "axis").unwrap_or(0), self.input(0)?.len())?;
        let mut start = 0;
        let mut cuts = vec![];
        for made in &self.outputs {
            let len = *made.get(axis).ok_or("a part of another rank")?;
            cuts.push(vec![Piece {
                axis,
                start,
                every: 1,
                len,
            }]);
            start += len;
        }
        Ok(Move::Cut(cuts))
    }

    fn transpose(&self) -> Result<Move, String> {
        let rank = self.input(0)?.len();
        let Some(perm) = attribute(self.node, "perm") else {
            return Ok(Move::Order((0..rank).rev().collect()));
        };
        let order = perm.ints.iter().map(|a| axis(*a, rank));
        Ok(Move::Order(order.collect::<Result<_, _>>()?))
    }

    fn pad(&self) -> Result<Move, String> {
        let rank = self.input(0)?.len();
        let along: Vec<i64> = match self.has(3) {
            true => self.numbers(3)?.into(),
            false => (0..rank as i64).collect(),
        };
        let widths = self.numbers(1)?;
        let mut sides = vec![(0, 0); rank];
        for (i, at) in along.iter().enumerate() {
            let side = |n: usize| widths.get(n).and_then(|w| usize::try_from(*w).ok());
            let (before, after) = (side(i), side(along.len() + i));
            sides[axis(*at, rank)?] = before.zip(after).ok_or("widths that are none")?;
        }
        Ok(Move::Pad(
            sides,
            self.value.ok_or("pads with another type")?,
        ))
    }
}
