//! Names without what wrappers put in front of them.

use std::collections::BTreeMap;

use super::error::{ImportProblem, Result};
use super::found::Tensors;

/// What DataParallel, Lightning and samplers put before every name.
const WRAPPERS: [&str; 4] = ["module.", "model.", "net.", "_orig_mod."];
/// What torch.compile puts before the names of a compiled part, anywhere.
const COMPILED: &str = "_orig_mod.";

/// Tensors under their short names.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) tensors: Tensors,
    /// Short name to name in the file.
    pub(super) long: BTreeMap<String, String>,
    /// What was cut off every name.
    pub(super) cut: String,
}

/// Only the names below `prefix`, if one is given; then cuts off what wrappers add.
pub(super) fn short(all: &Tensors, prefix: Option<&str>) -> Result<Named> {
    let mut cut = prefix
        .map(|p| format!("{}.", p.trim_end_matches('.')))
        .unwrap_or_default();
    let below: Vec<&str> = all.keys().filter_map(|n| n.strip_prefix(&cut)).collect();
    if below.is_empty() {
        return Err(match prefix {
            Some(prefix) => {
                ImportProblem::option("--prefix", format!("no tensor has a name below {prefix:?}"))
            }
            None => ImportProblem::format("the file has no tensors"),
        });
    }
    let mut skip = 0;
    while let Some(wrapper) = WRAPPERS
        .iter()
        .find(|w| below.iter().all(|n| n[skip..].starts_with(**w)))
    {
        skip += wrapper.len();
        cut.push_str(wrapper);
    }
    let mut named = Named {
        cut,
        ..Named::default()
    };
    for (name, info) in all.iter().filter(|(n, _)| n.starts_with(&named.cut)) {
        let short = name[named.cut.len()..].replace(COMPILED, "");
        if let Some(other) = named.long.insert(short.clone(), name.clone()) {
            let message =
                format!("and `{other}` are both `{short}` without what torch.compile adds");
            return Err(ImportProblem::tensor(name, message));
        }
        named.tensors.insert(short, info.clone());
    }
    Ok(named)
}
