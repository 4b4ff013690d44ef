//! Our own engine, to which the others are held, held to the judge.

use std::path::Path;

use anyhow::{Result, anyhow};
use minrnn_onnx::eval::{Array, Carried, EvalErrorKind, Limits, Output, Session};
use minrnn_onnx::ir::Model;

use super::call::Call;

/// Operations that a call may take: some seconds.
const OPERATIONS: u64 = 4_000_000_000;

/// What the judge gives after so many calls; `None`: that would take too long.
///
/// # Errors
/// A file that is not judged.
pub(super) fn judged(path: &Path, call: &Call, calls: usize) -> Result<Option<Vec<Array>>> {
    let bytes = minrnn_train::data::read_data(path)?;
    let model = Model::decode(&bytes).map_err(|e| anyhow!("{}: {e}", path.display()))?;
    let session = Session::open(&model, path.parent())?;
    let limits = Limits {
        operations: OPERATIONS / calls as u64,
        ..Limits::default()
    };
    let feeds = call.feeds.iter();
    let known = feeds.map(|(name, a)| (name.clone(), Output::known(a.clone())));
    let mut given: Carried = known.collect();
    let mut last = vec![];
    for _ in 0..calls {
        let ran = match session.run_on(&given, &limits) {
            Err(e)
                if matches!(
                    e.kind,
                    EvalErrorKind::Budget { .. } | EvalErrorKind::Memory { .. }
                ) =>
            {
                return Ok(None);
            }
            ran => ran?,
        };
        let get = |name: &String| {
            let value = ran.get(name).cloned();
            value.ok_or_else(|| anyhow!("{}: it gives no `{name}`", path.display()))
        };
        for (output, into) in &call.feedback {
            given.insert(into.clone(), get(output)?);
        }
        let wanted = call.wanted.iter().map(|n| Ok(get(n)?.rounded()));
        last = wanted.collect::<Result<_>>()?;
    }
    Ok(Some(last))
}
