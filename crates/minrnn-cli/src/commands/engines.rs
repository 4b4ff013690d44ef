//! Flags about engines that no engine asks for.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::given::{Given, flag};
use crate::verify::contender::{Choice, Within};

const PYTHON: [&str; 3] = ["onnxruntime", "openvino", "reference"];
const NODE: [&str; 2] = ["onnxruntime-node", "onnxruntime-web"];

/// Refuses a flag that none of the engines that are asked uses, and an engine that is named twice.
///
/// # Errors
/// The flag, and which engines use it.
pub(super) fn refuse_unused(given: &Given, engines: &[Choice]) -> Result<()> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = engines.iter().map(name).find(|name| !seen.insert(*name)) {
        bail!("--engine {twice} is given twice; leave one of them out");
    }
    let any = |places: &[Within]| {
        let is = |e: &Choice| places.iter().any(|place| e.is_within(*place));
        engines.iter().any(is)
    };
    use Within::{Node, Own, Python};
    let rules: [(&str, bool, String); 3] = [
        ("python", any(&[Python]), PYTHON.join(", ")),
        ("node", any(&[Node]), NODE.join(", ")),
        (
            "engine_timeout",
            any(&[Python, Node, Own]),
            format!(
                "{}, {} and programs of yours",
                PYTHON.join(", "),
                NODE.join(", ")
            ),
        ),
    ];
    match rules
        .iter()
        .find(|(name, used, _)| given.has(name) && !used)
    {
        Some((name, _, who)) => bail!(
            "{} would change nothing: it is for the engines {who}, and none of them is asked; leave it out, or add --engine",
            flag(name)
        ),
        None => Ok(()),
    }
}

fn name(choice: &Choice) -> &str {
    match choice {
        Choice::All => "all",
        Choice::Named(name) => name,
        Choice::Own { name, .. } => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_flag_needs_an_engine_that_uses_it() {
        let said = |given: &str, engines: &[&str]| {
            let engines: Vec<Choice> = engines.iter().map(|e| e.parse().unwrap()).collect();
            refuse_unused(&Given::from([given]), &engines).map_err(|e| e.to_string())
        };
        for (given, engines) in [
            ("python", &["openvino"][..]),
            ("python", &["tract", "all"]),
            ("node", &["onnxruntime-web"]),
            ("engine_timeout", &["mine=./x"]),
            ("engine_timeout", &["onnxruntime-node"]),
            ("seed", &[]),
        ] {
            said(given, engines).unwrap();
        }
        for (given, engines, words) in [
            ("python", &[][..], "--python would change nothing"),
            (
                "python",
                &["tract", "onnxruntime-node", "mine=./x"],
                "onnxruntime, openvino",
            ),
            ("node", &["onnxruntime"], "--node would change nothing"),
            (
                "engine_timeout",
                &["tract", "minrnn"],
                "--engine-timeout would change nothing",
            ),
            ("seed", &["tract", "tract"], "--engine tract is given twice"),
            ("seed", &["a=x", "a=y"], "--engine a is given twice"),
        ] {
            let error = said(given, engines).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
