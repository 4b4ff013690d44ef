//! Arrays of a file that nothing uses.

use super::{absent, unused};

/// What a file has and nothing uses, and what is to be ignored and is not there; in words.
pub(super) fn strangers(found: &[&str], names: &[&str], ignored: &[String]) -> Option<String> {
    if let Some(message) = absent(found, ignored) {
        return Some(format!("`ignore_arrays` {message}"));
    }
    let list = unused(found.iter().copied(), |n| names.contains(&n), ignored)?;
    Some(format!(
        "nothing uses {list}; what is used is {}; list the others in `ignore_arrays`, or [\"*\"]",
        names.join(", ")
    ))
}
