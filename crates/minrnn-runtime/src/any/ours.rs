//! Files that minrnn exported, run as any file: what no graph refuses and every one of them gets wrong.

use super::{AnyModel, Array, Values};
use crate::contract::LENGTHS;
use crate::error::Result;
use crate::input::{check_ids, check_rows};

/// Names of the data input.
const IDS: &str = "input_ids";
const FEATURES: &str = "features";

/// Refuses ids outside the vocabulary and lengths outside the sequence.
pub(super) fn check(model: &AnyModel, given: &[&Array]) -> Result<()> {
    if model.metadata("minrnn.contract").is_none() {
        return Ok(());
    }
    let fed = |name: &str| {
        let at = model.inputs.iter().position(|p| p.name == name)?;
        given.get(at).copied()
    };
    if let Some(Values::I64(ids)) = fed(IDS).map(|a| &a.values) {
        check_ids(ids, vocab(model))?;
    }
    let data = fed(IDS)
        .or_else(|| fed(FEATURES))
        .map(|a| a.shape.as_slice());
    match (fed(LENGTHS).map(|a| &a.values), data) {
        (Some(Values::I64(lengths)), Some([batch, time, ..])) => check_rows(lengths, *batch, *time),
        _ => Ok(()),
    }
}

/// From the configuration, where that says it.
fn vocab(model: &AnyModel) -> Option<usize> {
    let config: serde_json::Value = serde_json::from_str(model.metadata("minrnn.config")?).ok()?;
    usize::try_from(config.pointer("/input/vocab")?.as_u64()?).ok()
}
