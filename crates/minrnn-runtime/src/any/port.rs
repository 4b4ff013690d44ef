//! What a file says about its inputs and outputs.

use std::collections::BTreeSet;

use super::Elem;
use crate::error::Breach;
use crate::metadata::short;
use crate::proto::{DataType, Dimension, GraphProto, ValueInfoProto};

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type; `None` if it is not declared or none that this crate runs (outputs only).
    pub elem: Option<Elem>,
    /// Its dimensions; `None` if not even their number is declared.
    pub dims: Option<Vec<Dim>>,
}

/// A dimension as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// A number.
    Fixed(usize),
    /// A name; equal names are equal dimensions.
    Symbol(String),
    /// Not declared.
    Unknown,
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Symbol(s) => f.write_str(s),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// The inputs that a caller must give: an input that is an initializer as well has its value already.
pub(super) fn inputs(graph: &GraphProto) -> Result<Vec<Port>, Breach> {
    let given: BTreeSet<&str> = graph.initializer.iter().map(|i| i.name.as_str()).collect();
    let free = graph
        .input
        .iter()
        .filter(|i| !given.contains(i.name.as_str()));
    free.map(|info| {
        let port = port(info)?;
        if port.elem.is_some() {
            return Ok(port);
        }
        let what = "has an element type that this runtime does not take";
        Err(Breach::new(format!("input `{}`", short(&info.name)), what)
            .mend("give it as f16, f32, f64, i8, i32, i64, u8 or bool"))
    })
    .collect()
}

pub(super) fn outputs(graph: &GraphProto) -> Result<Vec<Port>, Breach> {
    graph.output.iter().map(port).collect()
}

fn port(info: &ValueInfoProto) -> Result<Port, Breach> {
    let mut port = Port {
        name: info.name.clone(),
        elem: None,
        dims: None,
    };
    let Some(tensor) = info.tensor_type() else {
        return Ok(port);
    };
    let elem = DataType::try_from(tensor.elem_type).ok();
    port.elem = elem.and_then(Elem::of_file);
    let Some(shape) = &tensor.shape else {
        return Ok(port);
    };
    let mut dims = vec![];
    for dim in &shape.dim {
        dims.push(match dim {
            Dimension::Value(n) => match usize::try_from(*n) {
                Ok(n) => Dim::Fixed(n),
                // Some exporters write -1 for what is free.
                Err(_) => Dim::Unknown,
            },
            Dimension::Param(name) if !name.is_empty() => Dim::Symbol(name.clone()),
            _ => Dim::Unknown,
        });
    }
    port.dims = Some(dims);
    Ok(port)
}

/// Takes the names of dimensions off a graph and its bodies. Every run gives concrete shapes, which say more; a name that
/// stands in a body as well would keep the engine from seeing that both are the same number, and a name that is no
/// identifier would be read as arithmetic.
pub(super) fn unname(graph: &mut GraphProto) {
    for info in graph.input.iter_mut().chain(&mut graph.output) {
        let tensor = info.r#type.as_mut().and_then(|t| t.tensor_type.as_mut());
        let dims = tensor.and_then(|t| t.shape.as_mut()).map(|s| &mut s.dim);
        for dim in dims.into_iter().flatten() {
            if !matches!(dim, Dimension::Value(n) if *n >= 0) {
                *dim = Dimension::Unknown;
            }
        }
    }
    for attr in graph.node.iter_mut().flat_map(|n| &mut n.attribute) {
        attr.g.iter_mut().for_each(unname);
    }
}
