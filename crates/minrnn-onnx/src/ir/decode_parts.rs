//! What all decoding stands on: lists with places, pairs of texts.

use super::DecodeError;
use crate::pb;

pub(super) type Result<T> = std::result::Result<T, DecodeError>;

/// Named values.
pub(super) type Named<T> = Vec<(String, T)>;

/// Decodes every element, with its place in the list.
pub(super) fn list<A, B>(
    items: Vec<A>,
    place: &str,
    name: impl Fn(&A) -> String,
    one: impl Fn(A, &str) -> Result<B>,
) -> Result<Vec<B>> {
    let each = |(i, item): (usize, A)| {
        let name = name(&item);
        let label = if name.is_empty() {
            String::new()
        } else {
            format!(" ({name})")
        };
        one(item, &format!("{place}[{i}]{label}"))
    };
    items.into_iter().enumerate().map(each).collect()
}

pub(super) fn entries(pairs: Vec<pb::StringStringEntryProto>) -> Vec<(String, String)> {
    pairs.into_iter().map(|e| (e.key, e.value)).collect()
}

pub(super) fn opsets(sets: Vec<pb::OperatorSetIdProto>) -> Vec<(String, i64)> {
    sets.into_iter().map(|o| (o.domain, o.version)).collect()
}
