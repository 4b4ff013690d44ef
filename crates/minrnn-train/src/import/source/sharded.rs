//! `model.safetensors.index.json`: a model in several safetensors files, and which tensor is in which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;

use super::{MAX_FILE, Place, Source, safetensors};
use crate::import::error::{ImportProblem, Result};

/// Whether a file is such an index.
pub(super) fn is_index(bytes: &[u8]) -> bool {
    let starts = bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    let json = || serde_json::from_slice::<Json>(bytes);
    starts && json().is_ok_and(|json| json["weight_map"].is_object())
}

/// All files as one; they lie beside the index at `path`.
///
/// # Errors
/// Files that are missing, lie elsewhere or hold other tensors than the index says.
pub(super) fn read(path: &Path, index: &[u8]) -> Result<Source> {
    let fail = |message: String| Err(ImportProblem::format(message));
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut source = Source {
        bytes: vec![],
        tensors: BTreeMap::new(),
        format: String::new(),
        arguments: vec![],
    };
    let files = files(index)?;
    source.format = format!("safetensors in {} files", files.len());
    for (file, wanted) in files {
        if file.starts_with('.') || file.contains(['/', '\\', ':', '\0']) {
            return fail(format!(
                "the index names `{file}`, which is no file of its folder"
            ));
        }
        let shard = dir.join(&file);
        let about = std::fs::metadata(&shard);
        let size = match about {
            Ok(about) if about.is_file() => about.len(),
            Ok(_) => return fail(format!("`{file}`, which the index names, is no plain file")),
            Err(e) => {
                return fail(format!(
                    "`{file}`, which the index names, cannot be read: {e}"
                ));
            }
        };
        if size.saturating_add(source.bytes.len() as u64) > MAX_FILE {
            return fail(format!(
                "the files have more than {MAX_FILE} bytes, which are not read"
            ));
        }
        let bytes =
            crate::data::read_data(&shard).map_err(|source| ImportProblem::Io { source })?;
        let tensors = safetensors::tensors(&bytes)
            .map_err(|e| ImportProblem::format(format!("`{file}`: {e}")))?;
        let found: BTreeSet<&String> = tensors.keys().collect();
        if let Some(name) = wanted.iter().find(|n| !found.contains(n)) {
            return fail(format!(
                "`{file}` has no tensor `{name}`, which the index says is in it"
            ));
        }
        if let Some(name) = found.iter().find(|n| !wanted.contains(**n)) {
            return fail(format!(
                "`{file}` has a tensor `{name}`, which the index does not say"
            ));
        }
        let base = source.bytes.len();
        for (name, mut info) in tensors {
            if let Place::Bytes(range) = &mut info.place {
                *range = base + range.start..base + range.end;
            }
            source.tensors.insert(name, info);
        }
        source.bytes.extend(bytes);
    }
    Ok(source)
}

/// Names of tensors by file.
fn files(index: &[u8]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let index: Json = minrnn_model::json::from_slice(index)
        .map_err(|e| ImportProblem::format(format!("the index cannot be read: {e}")))?;
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, file) in index["weight_map"].as_object().into_iter().flatten() {
        let Some(file) = file.as_str() else {
            return Err(ImportProblem::tensor(name, "has no file in the index"));
        };
        let names = files.entry(file.to_owned()).or_default();
        names.insert(name.clone());
    }
    Ok(files)
}
