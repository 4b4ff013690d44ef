//! One hash over all parameters: files with the same hash are forms of the same model.

use std::collections::BTreeMap;

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;
use sha2::{Digest, Sha256};

use super::{ExportError, Store};
use crate::choices::store::floats;

/// sha256, in lower-case hex, over all parameters in order of name: for each the length of its name and the name, its rank
/// and its dimensions, its values; every number little-endian, lengths and dimensions as u64, values as f32.
pub fn weights_sha256(graph: &Graph, params: &Params) -> String {
    let by_name: BTreeMap<&str, usize> = graph
        .params()
        .iter()
        .enumerate()
        .map(|(i, spec)| (spec.name.as_str(), i))
        .collect();
    let mut hash = Sha256::new();
    let number = |hash: &mut Sha256, n: usize| hash.update((n as u64).to_le_bytes());
    for (name, i) in by_name {
        number(&mut hash, name.len());
        hash.update(name.as_bytes());
        let shape = &graph.params()[i].shape;
        number(&mut hash, shape.len());
        shape.iter().for_each(|d| number(&mut hash, *d));
        let all: Result<(), std::convert::Infallible> = floats(params.get(i), &mut |bytes| {
            hash.update(bytes);
            Ok(())
        });
        match all {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
    hex(&hash.finalize())
}

/// Bytes as lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Protobuf messages end at 2 GiB; what is not weights takes well below the difference.
const MAX_BYTES: u64 = (1 << 31) - (1 << 24);

/// Parameters must be those of the graph, and finite: a NaN in a file would make every output NaN without a word. So must
/// the constants of the graph be, as f32.
pub(super) fn fits(graph: &Graph, params: &Params) -> Result<(), ExportError> {
    let fail = |name: &str, what: String| {
        Err(ExportError::Param {
            name: name.to_owned(),
            what,
        })
    };
    if params.len() != graph.params().len() {
        return fail(
            "",
            format!(
                "{} are given, the graph has {}",
                params.len(),
                graph.params().len()
            ),
        );
    }
    for (i, spec) in graph.params().iter().enumerate() {
        let values = params.get(i);
        if values.len() != spec.len() {
            return fail(
                &spec.name,
                format!(
                    "has {} values, its shape {:?} wants {}",
                    values.len(),
                    spec.shape,
                    spec.len()
                ),
            );
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return fail(
                &spec.name,
                format!(
                    "is {} at flat index {at}; only finite values can be exported",
                    values[at]
                ),
            );
        }
    }
    Ok(())
}

/// What stays in the graph's own file must fit into it.
pub(super) fn small_enough(store: &Store) -> Result<(), ExportError> {
    let bytes = store.inline_bytes();
    if bytes > MAX_BYTES {
        Err(ExportError::TooLarge { bytes })
    } else {
        Ok(())
    }
}
