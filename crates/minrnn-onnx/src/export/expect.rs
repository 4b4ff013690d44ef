//! What a file must be by the model it is of, for those who hold it to that: its interface, its metadata, its weights.

use std::path::Path;

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;

use super::read::{broken, bytes, find};
use super::{ExportError, ExportOptions, Store, Weights, metadata, names, ports, weights};
use crate::ir::{Model, Tensor, ValueInfo};
use crate::lower;

/// A file without its nodes and weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Keys and values, of all keys that the file would have. `minrnn.weights` is empty.
    pub metadata: Vec<(String, String)>,
    /// Inputs, in order.
    pub inputs: Vec<ValueInfo>,
    /// Outputs, in order.
    pub outputs: Vec<ValueInfo>,
}

impl Outline {
    /// The value of a key of the metadata.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.metadata.iter().find(|(k, _)| k == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// The outline of what [`super::export_graph`] would write. The bytes of large weights are not made.
///
/// # Errors
/// Options that make no file, parameters that do not fit the graph.
pub fn outline(
    graph: &Graph,
    params: &Params,
    options: &ExportOptions,
) -> Result<Outline, ExportError> {
    options.validate()?;
    lower::check(graph, options)?;
    weights::fits(graph, params)?;
    let store = Store::plan(graph, params, &options.weights, Some("weights"))?;
    let ports = ports(graph, options)?;
    let lowered = lower::lower(graph, params, &store, &ports, options);
    let names = names::names(graph, &options.config)?;
    let metadata = metadata::metadata(graph, params, &ports, "", &names, options, &lowered);
    let made = lowered.builder.finish()?;
    Ok(Outline {
        metadata,
        inputs: made.inputs,
        outputs: made.outputs,
    })
}

/// Holds the weights in a file to `params`, rounded as an export of type `weights` rounds them, bit for bit: types, shapes, values, scales.
/// Learned initial states are in the metadata, which [`outline`] has. `dir`: the file's folder.
///
/// # Errors
/// The first tensor that is another one; files that cannot be read.
pub fn tied(
    model: &Model,
    graph: &Graph,
    params: &Params,
    weights: &Weights,
    dir: &Path,
) -> Result<(), ExportError> {
    weights::fits(graph, params)?;
    let store = Store::plan(graph, params, weights, None)?;
    for param in 0..params.len() {
        for wanted in store.tensors(param, params) {
            let found =
                find(model, &wanted.name).ok_or_else(|| broken(&wanted.name, "is missing"))?;
            if let Some(what) = difference(found, &wanted, [dir, dir])? {
                return Err(broken(&wanted.name, what));
            }
        }
    }
    Ok(())
}

/// The first weight that two files of a graph do not have in the same type, shape and bits: its name, and what differs.
///
/// # Errors
/// Files that cannot be read.
pub fn differing(
    a: &Model,
    b: &Model,
    graph: &Graph,
    dir: &Path,
) -> Result<Option<(String, String)>, ExportError> {
    for spec in graph.params() {
        for name in [spec.name.clone(), format!("{}.scale", spec.name)] {
            let what = match (find(a, &name), find(b, &name)) {
                (None, None) => None,
                (Some(a), Some(b)) => difference(a, b, [dir, dir])?,
                _ => Some("is in one of them only".into()),
            };
            if let Some(what) = what {
                return Ok(Some((name, what)));
            }
        }
    }
    Ok(None)
}

/// In what `found` is not `wanted`.
fn difference(
    found: &Tensor,
    wanted: &Tensor,
    dirs: [&Path; 2],
) -> Result<Option<String>, ExportError> {
    if (found.dtype, &found.dims) != (wanted.dtype, &wanted.dims) {
        return Ok(Some(format!(
            "is {} {:?}, not {} {:?}",
            found.dtype, found.dims, wanted.dtype, wanted.dims
        )));
    }
    let (a, b) = (bytes(found, dirs[0])?, bytes(wanted, dirs[1])?);
    let width = found.dtype.bits().unwrap_or(8).max(8) / 8;
    let apart = |(a, b): (&[u8], &[u8])| a != b;
    let pairs = || a.chunks(width).zip(b.chunks(width));
    let count = pairs().filter(|p| apart(*p)).count();
    let first = pairs().position(apart);
    Ok(first.map(|at| {
        let all = a.len() / width;
        format!("has other values, {count} of {all}, the first at flat index {at}")
    }))
}
