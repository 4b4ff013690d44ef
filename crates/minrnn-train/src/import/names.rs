//! Names without what wrappers put in front of them.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{ImportProblem, Result};
use super::found::Tensors;

/// What DataParallel, Lightning and samplers put before every name.
const WRAPPERS: [&str; 4] = ["module.", "model.", "net.", "_orig_mod."];
/// What torch.compile and FSDP put before the names of a part that they wrap, anywhere.
const MARKS: [&str; 2] = ["_orig_mod.", "_fsdp_wrapped_module."];
/// How the name of the first recurrent layer of a whole model begins, in every layout.
const FIRST: &str = "layers.0.2.to_hidden_and_";

/// Tensors under their short names.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) tensors: Tensors,
    /// Short name to name in the file.
    pub(super) long: BTreeMap<String, String>,
    /// What was cut off every name.
    pub(super) cut: String,
}

impl Named {
    /// The name in the file.
    pub(super) fn name<'a>(&'a self, short: &'a str) -> &'a str {
        self.long.get(short).map_or(short, String::as_str)
    }
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
    whole(&below, &cut[..cut.len() - skip], skip)?;
    let mut named = Named {
        cut,
        ..Named::default()
    };
    for (name, info) in all.iter().filter(|(n, _)| n.starts_with(&named.cut)) {
        let short = unmarked(&name[named.cut.len()..]);
        if let Some(other) = named.long.insert(short.clone(), name.clone()) {
            let message =
                format!("and `{other}` are both `{short}` without what torch.compile and FSDP add");
            return Err(ImportProblem::tensor(name, message));
        }
        named.tensors.insert(short, info.clone());
    }
    Ok(named)
}

fn unmarked(name: &str) -> String {
    MARKS
        .iter()
        .fold(name.to_owned(), |n, mark| n.replace(mark, ""))
}

/// Refuses names of a whole model that lies under a name of its own, or beside other things: `below` are those without `given`,
/// of which `skip` bytes are known to be a wrapper's.
fn whole(below: &[&str], given: &str, skip: usize) -> Result<()> {
    let under = |name: &&str| {
        let rest = &name[skip..];
        let begins = rest.match_indices("layers.0.").map(|(at, _)| at);
        let mut begins = begins.filter(|at| *at == 0 || rest.as_bytes()[at - 1] == b'.');
        let at = begins.find(|at| unmarked(&rest[*at..]).starts_with(FIRST))?;
        Some(name[..skip + at].to_owned())
    };
    let found: BTreeSet<String> = below.iter().filter_map(under).collect();
    if found.is_empty() || found.iter().any(|prefix| prefix.len() == skip) {
        return Ok(());
    }
    let flags: Vec<String> = found
        .iter()
        .map(|prefix| format!("--prefix {given}{}", prefix.trim_end_matches('.')))
        .collect();
    let beside: Vec<&&str> = below
        .iter()
        .filter(|n| !found.iter().any(|prefix| n.starts_with(prefix)))
        .collect();
    let beside = match beside[..] {
        [] => String::new(),
        [one] => format!(", beside `{one}`"),
        [first, ..] => format!(", beside `{first}` and {} more tensors", beside.len() - 1),
    };
    Err(ImportProblem::format(match &flags[..] {
        [one] => format!("a whole model lies under a name of its own{beside}: {one} takes it"),
        many => format!(
            "{} whole models lie in the file{beside}: {} takes one of them",
            many.len(),
            many.join(", or ")
        ),
    }))
}
