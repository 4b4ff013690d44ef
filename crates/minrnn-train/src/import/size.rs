//! How large a model a file may make: no memory is taken for what does not lie in it.

use std::collections::BTreeMap;

use super::error::{ImportProblem, Result};
use super::found::Tensors;
use super::rows::Rows;
use super::source::Source;

/// Values of a file may be read several times, as tied weights of an archive share a storage: no more than so many for each of its bytes.
const SHARED: usize = 8;
/// Maps of zeros and ones around a layer alone are of its own sizes, which the file has in a weight: no more than so many values for each one
/// that is read. Of `torch.nn` ours are less than 8, of `minGRU` below 16 where its expansion is above 1/24.
const MADE: usize = 512;

/// Refuses what names many values and holds few.
///
/// # Errors
/// Tensors of more values than the file's bytes give, maps around them of more than the tensors give; both with the largest tensor.
pub(super) fn check(source: &Source, tensors: &Tensors, rows: &Rows) -> Result<()> {
    let product = |shape: &[usize]| shape.iter().fold(1_usize, |n, d| n.saturating_mul(*d));
    let read = rows.rows.iter().flat_map(|r| &r.from);
    let read: BTreeMap<&String, usize> = read
        .map(|(name, _)| (name, tensors.get(name).map_or(0, |i| product(&i.shape))))
        .collect();
    let total = read.values().fold(0_usize, |n, one| n.saturating_add(*one));
    if total > source.len().saturating_mul(SHARED) {
        return Err(ImportProblem::format(format!(
            "{total} weights are said to be in a file of {} bytes{}; save the model's state_dict again, each tensor as a clone",
            source.len(),
            largest(&read)
        )));
    }
    let sizes = rows.rows.iter().map(|r| (&r.name, product(&r.shape)));
    let made = sizes
        .clone()
        .fold(0_usize, |n, (_, one)| n.saturating_add(one));
    if made > total.saturating_mul(MADE) {
        return Err(ImportProblem::format(format!(
            "the {total} weights of the file would make a model of {made}{}: its width is that of the layer's inputs; import it inside of the model that it belongs to",
            largest(&sizes.collect())
        )));
    }
    Ok(())
}

/// The largest tensor, in words.
fn largest(all: &BTreeMap<&String, usize>) -> String {
    let most = all.iter().max_by_key(|(_, values)| **values);
    most.map_or(String::new(), |(name, values)| {
        format!(", of which `{name}` has {values}")
    })
}
