//! Files that hold arrays under names: `.npz` and `.safetensors`, told apart by their endings.

use std::path::Path;
use std::sync::Arc;

use super::array::Array;
use super::plain::Plain;
use super::stored::Stored;
use super::{npz, npz_stored, safetensors};
use crate::error::Result;

/// Endings of such files.
pub const NAMED_ARRAYS: [&str; 2] = ["npz", "safetensors"];

fn is_safetensors(path: &Path) -> bool {
    let ending = path.extension();
    ending.is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
}

/// Reads those arrays of a file whose names are in `names`, in the order of `names`; `None` where absent. The file may hold others only
/// if they are named in `ignored`, or if that is `*`.
///
/// # Errors
/// [`TrainError::Io`](crate::TrainError::Io) if the file cannot be read, [`TrainError::Data`](crate::TrainError::Data) if it is not what
/// its ending says, an array is malformed, or nothing uses it.
pub fn read_named(path: &Path, names: &[&str], ignored: &[String]) -> Result<Vec<Option<Array>>> {
    match is_safetensors(path) {
        true => safetensors::read(path, names, ignored),
        false => npz::read_npz(path, names, ignored),
    }
}

/// The same arrays where they lie in the file.
///
/// # Errors
/// As [`read_named`]; [`TrainError::Data`](crate::TrainError::Data) for arrays that are packed, or for what is no plain file.
pub(super) fn stored(
    path: &Path,
    names: &[&str],
    ignored: &[String],
) -> Result<Vec<Option<Stored>>> {
    let file = Arc::new(Plain::open(path)?);
    match is_safetensors(path) {
        true => safetensors::stored(&file, names, ignored),
        false => npz_stored::stored(&file, names, ignored),
    }
}

/// Names of the arrays of a file.
///
/// # Errors
/// As [`read_named`].
pub fn named_arrays(path: &Path) -> Result<Vec<String>> {
    match is_safetensors(path) {
        true => safetensors::arrays(path),
        false => npz::npz_arrays(path),
    }
}

/// How many bytes the arrays of a file whose names are `used` have in memory; 0 for what is not what its ending says.
///
/// # Errors
/// [`TrainError::Io`](crate::TrainError::Io) if the file cannot be read.
pub(super) fn unpacked(path: &Path, used: impl Fn(&str) -> bool) -> Result<u64> {
    match is_safetensors(path) {
        true => safetensors::unpacked(path, used),
        false => npz::unpacked(path, used),
    }
}
