//! Where the numbers lie that a file is made for: an input that it brings to the usual size is drawn as large as it takes it.
//!
//! From an input on, what adds, subtracts, multiplies and divides by constants is followed to the first operation that does something
//! else, a normalisation by stored statistics included. There values of the usual size are wanted: numbers around 0 say nothing of
//! `tanh(x - 1000)`.

use std::collections::HashMap;

use minrnn_onnx::eval::Array;
use minrnn_onnx::ir::{Attr, DType, Model, Node, Tensor as Constant, TensorData};

use super::case::Two;
use super::interface::Link;
use super::tensor::{Reading, Tensor};

/// The most numbers of a constant that are read.
const MANY: usize = 1 << 16;
/// Means and deviations beyond these are not reached by the usual inputs and those a hundred times as large.
const FAR: f64 = 4.0;
const WIDE: f64 = 300.0;

/// A number for each entry along an axis of the input, or one for all.
#[derive(Debug, Clone)]
struct Along {
    axis: Option<usize>,
    values: Vec<f64>,
}

/// What became of an input: which of its axes each axis is, and by what it was multiplied before what was added.
#[derive(Debug, Clone)]
struct Moved {
    axes: Vec<Option<usize>>,
    by: Along,
    plus: Along,
}

/// Means and deviations of an input, along one of its axes.
#[derive(Debug, Clone)]
pub(super) struct Centre {
    axis: Option<usize>,
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Two {
    /// The same numbers as the files bring to the usual size; `None`: the usual ones are that.
    pub(super) fn centred(&self, link: &Link, t: &Tensor) -> Option<Vec<f64>> {
        let of = |side: usize| {
            let skip = link.time().filter(|_| link.lacks[side]);
            let axes = (0..link.roles.len()).filter(|i| Some(*i) != skip);
            centre(&self.files[side].model, &link.names[side], axes.collect())
        };
        let centre = of(0).or_else(|| of(1))?;
        let shape = t.shape();
        let (size, inner) = match centre.axis {
            Some(axis) => (
                *shape.get(axis)?,
                shape[axis + 1..].iter().product::<usize>(),
            ),
            None => (1, 1),
        };
        if centre.means.len() != size {
            return None;
        }
        let values = t.values(Reading::Exact).into_iter().enumerate();
        let one = |(i, v): (usize, f64)| {
            let at = i / inner.max(1) % size;
            centre.means[at] + v * centre.deviations[at]
        };
        Some(values.map(one).collect())
    }
}

/// Where an input lies that a file brings to the usual size from far away. `axes`: those of the input, as the caller counts them.
fn centre(model: &Model, input: &str, axes: Vec<usize>) -> Option<Centre> {
    let graph = &model.graph;
    let constants = graph.initializers.iter().filter(|t| t.name != input);
    let mut constants: HashMap<&str, Array> = constants
        .filter_map(|t| Some((t.name.as_str(), floats(t)?)))
        .collect();
    let whole = Moved {
        axes: axes.into_iter().map(Some).collect(),
        by: Along::one(1.0),
        plus: Along::one(0.0),
    };
    let mut known: HashMap<&str, Moved> = HashMap::from([(input, whole)]);
    for node in &graph.nodes {
        if let ("Constant", Some((_, Attr::Tensor(t)))) =
            (node.op_type.as_str(), node.attributes.first())
        {
            if let (Some(name), Some(array)) = (node.outputs.first(), floats(t)) {
                constants.insert(name, array);
            }
            continue;
        }
        let Some((at, moved)) = node
            .inputs
            .iter()
            .enumerate()
            .find_map(|(i, n)| Some((i, known.get(n.as_str())?.clone())))
        else {
            continue;
        };
        match after(node, at, moved.clone(), &constants) {
            Some(Some(next)) => {
                if let Some(name) = node.outputs.first() {
                    known.insert(name, next);
                }
            }
            Some(None) => {}
            None => {
                let end = normalised(node, &moved, &constants).unwrap_or(moved);
                if let Some(centre) = end.centre() {
                    return Some(centre);
                }
            }
        }
    }
    None
}

/// What an operation makes of it; `None`: something else than a number times it and another one added. `Some(None)`: it is not followed.
fn after(
    node: &Node,
    at: usize,
    moved: Moved,
    constants: &HashMap<&str, Array>,
) -> Option<Option<Moved>> {
    let op = node.op_type.as_str();
    let other = node
        .inputs
        .get(1 - at.min(1))
        .and_then(|n| constants.get(n.as_str()));
    match op {
        "Identity" | "Cast" | "Dropout" => Some(Some(moved)),
        "Transpose" => Some(moved.transposed(node)),
        "Reshape" | "Flatten" | "Slice" | "Gather" | "Split" | "Concat" | "Unsqueeze"
        | "Squeeze" | "Expand" => {
            // Where each axis is afterwards is not read: what is one number for all stays that.
            Some(
                (moved.by.axis.or(moved.plus.axis).is_none()).then(|| Moved {
                    axes: vec![],
                    ..moved
                }),
            )
        }
        "Shape" | "Size" => Some(None),
        "Add" | "Sub" | "Mul" | "Div" => {
            let along = moved.along(other?)?;
            match (op, at) {
                ("Add", _) => moved.added(&along, 1.0),
                ("Sub", 0) => moved.added(&along, -1.0),
                ("Sub", _) => moved.times(&Along::one(-1.0))?.added(&along, 1.0),
                ("Mul", _) => moved.times(&along),
                ("Div", 0) => moved.times(&along.each(|v| 1.0 / v)),
                _ => None,
            }
            .map(Some)
        }
        _ => None,
    }
}

/// By the statistics that a BatchNormalization has.
fn normalised(node: &Node, moved: &Moved, constants: &HashMap<&str, Array>) -> Option<Moved> {
    if node.op_type != "BatchNormalization" {
        return None;
    }
    let axis = *moved.axes.get(1)?;
    let of = |i: usize| {
        let array = constants.get(node.inputs.get(i)?.as_str())?;
        Some(Along {
            axis: Some(axis?),
            values: array.floats()?.to_vec(),
        })
    };
    let epsilon = node.attributes.iter().find_map(|(name, a)| match a {
        Attr::Float(v) if name == "epsilon" => Some(f64::from(*v)),
        _ => None,
    });
    let epsilon = epsilon.unwrap_or(1e-5);
    let root = of(4)?.each(|v| 1.0 / (v + epsilon).sqrt());
    moved.clone().added(&of(3)?, -1.0)?.times(&root)
}

impl Along {
    fn one(value: f64) -> Self {
        Self {
            axis: None,
            values: vec![value],
        }
    }

    fn each(&self, of: impl Fn(f64) -> f64) -> Self {
        Self {
            axis: self.axis,
            values: self.values.iter().map(|v| of(*v)).collect(),
        }
    }

    /// Entry by entry; `None`: along different axes.
    fn with(&self, other: &Self, of: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let pair = |i: usize| {
            of(
                self.values[i % self.values.len()],
                other.values[i % other.values.len()],
            )
        };
        let alike = self.axis.is_none()
            || other.axis.is_none()
            || self.axis == other.axis && self.values.len() == other.values.len();
        let count = self.values.len().max(other.values.len());
        alike.then(|| Self {
            axis: self.axis.or(other.axis),
            values: (0..count).map(pair).collect(),
        })
    }
}

impl Moved {
    /// A constant as numbers along one axis of the input.
    fn along(&self, constant: &Array) -> Option<Along> {
        let values = constant.floats()?.to_vec();
        let dims = constant.dims();
        let mut long = (0..dims.len()).filter(|i| dims[*i] != 1);
        match (long.next(), long.next()) {
            (None, _) => Some(Along { axis: None, values }),
            (Some(i), None) => {
                let at = (self.axes.len() + i).checked_sub(dims.len())?;
                Some(Along {
                    axis: Some((*self.axes.get(at)?)?),
                    values,
                })
            }
            _ => None,
        }
    }

    fn added(self, along: &Along, sign: f64) -> Option<Self> {
        let plus = self.plus.with(along, |a, b| a + sign * b)?;
        Some(Self { plus, ..self })
    }

    fn times(self, along: &Along) -> Option<Self> {
        let by = self.by.with(along, |a, b| a * b)?;
        let plus = self.plus.with(along, |a, b| a * b)?;
        Some(Self { by, plus, ..self })
    }

    fn transposed(self, node: &Node) -> Option<Self> {
        let perm = node.attributes.iter().find_map(|(name, a)| match a {
            Attr::Ints(all) if name == "perm" => Some(all.clone()),
            _ => None,
        });
        let perm = perm.unwrap_or_else(|| (0..self.axes.len() as i64).rev().collect());
        let axes = perm
            .iter()
            .map(|i| self.axes.get(usize::try_from(*i).ok()?).copied());
        Some(Self {
            axes: axes.collect::<Option<_>>()?,
            ..self
        })
    }

    /// Where the input lies whose values are of the usual size here; `None`: not far from there.
    fn centre(&self) -> Option<Centre> {
        let both = self.by.with(&self.plus, |a, _| a)?;
        let means = both.with(&self.plus, |a, b| -b / a)?.values;
        let deviations: Vec<f64> = both.values.iter().map(|a| 1.0 / a.abs()).collect();
        let finite = means.iter().chain(&deviations).all(|v| v.is_finite());
        let far = means.iter().any(|m| m.abs() > FAR) || deviations.iter().any(|d| *d > WIDE);
        (finite && far).then_some(Centre {
            axis: both.axis,
            means,
            deviations,
        })
    }
}

fn floats(t: &Constant) -> Option<Array> {
    let TensorData::Bytes(bytes) = &t.data else {
        return None;
    };
    let dims: Vec<usize> = t
        .dims
        .iter()
        .map(|d| usize::try_from(*d).ok())
        .collect::<Option<_>>()?;
    let float = [DType::F32, DType::F64, DType::F16, DType::BF16].contains(&t.dtype);
    if !float || dims.iter().product::<usize>() > MANY {
        return None;
    }
    Array::from_bytes(t.dtype, &dims, bytes).ok()
}
