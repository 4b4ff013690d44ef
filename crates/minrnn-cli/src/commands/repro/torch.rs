//! The steps of `efficiency` by PyTorch, for `--python`.

use anyhow::{Result, bail};
use serde_json::json;

use super::context::Context;
use super::outcome::Done;
use super::queue::Item;
use super::step::slow;
use super::train::Ran;

/// Measures one length of a row; `before` are the shorter ones.
pub(super) fn run(cx: &Context, item: &Item, before: &[&Done]) -> Result<Ran> {
    let mut done = Done::new(&item.row.name, &item.case(), cx.place);
    if let Some(why) = slow(before) {
        done.outcome.failed = Some(why);
        return Ok(Ran::Done(Box::new(done)));
    }
    let config = cx.config(item.row, 0, None)?.train;
    let mut torch = cx.torch.borrow_mut();
    let Some(torch) = torch.as_mut() else {
        bail!("{}: this row needs --python", item.row.name);
    };
    let asked = json!({
        "engine": item.row.engine,
        "batch": config.train.batch,
        "time": item.case,
        "width": config.model.width,
        "layers": config.model.layers,
    });
    let line = torch.ask(&asked)?;
    match (line.ms, line.refused) {
        (Some(ms), None) => {
            cx.ui.note(&format!(
                "{}: {ms:.3} ms a step, PyTorch {}",
                item.key(),
                torch.version()
            ));
            done.time(format!("ms.{}", item.case), ms);
            if let Some(bytes) = line.bytes {
                done.time(format!("mb.{}", item.case), bytes / 1e6);
            }
        }
        (_, why) => done.outcome.failed = Some(why.unwrap_or_else(|| "no answer".into())),
    }
    Ok(Ran::Done(Box::new(done)))
}
