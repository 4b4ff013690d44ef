//! Time and memory of a training step at a length.

use std::time::Instant;

use anyhow::Result;
use minrnn_train::TrainError;
use minrnn_train::task::TaskConfig;

use super::context::Context;
use super::cost::Cost;
use super::outcome::Done;
use super::queue::Item;
use super::train::Ran;
use crate::memory;

/// Turns of each length; the fastest counts.
const TURNS: usize = 8;
/// A step that takes longer is the last one of its row, ms.
const SLOW: f64 = 5000.0;

/// Measures one length; `before` are the shorter ones of the row.
pub(super) fn run(cx: &Context, item: &Item, before: &[&Done]) -> Result<Ran> {
    let mut done = Done::new(&item.row.name, &item.case(), cx.place);
    if let Some(why) = slow(before) {
        done.outcome.failed = Some(why);
        return Ok(Ran::Done(Box::new(done)));
    }
    let mut config = cx.config(item.row, 0, None)?;
    config.train.train.memory = memory::available();
    if let TaskConfig::SelectiveCopying(options) = &mut config.train.task {
        // T is what is said, the markers among it.
        options.length = (item.case as usize).saturating_sub(options.data_tokens);
    }
    let turns = if cx.small { 2 } else { TURNS };
    let start = Instant::now();
    match Cost::of(&config.train, &cx.device, turns, false) {
        Ok(cost) => {
            cx.ui
                .note(&format!("{}: {:.3} ms a step", item.key(), cost.step));
            done.time(format!("ms.{}", item.case), cost.step);
            if let Some(bytes) = cost.bytes {
                done.figure(format!("mb.{}", item.case), bytes as f64 / 1e6);
            }
        }
        Err(error @ TrainError::Config { .. }) => return Err(config.explain(error)),
        // No memory is the usual one.
        Err(error) => done.outcome.failed = Some(error.to_string()),
    }
    done.times.seconds = start.elapsed().as_secs_f64();
    Ok(Ran::Done(Box::new(done)))
}

/// Why a length is left out whose shorter ones these are.
pub(super) fn slow(before: &[&Done]) -> Option<String> {
    before.iter().find_map(|d| {
        let times = d
            .times
            .figures
            .iter()
            .filter(|(key, _)| key.starts_with("ms."));
        let ms = times.map(|(_, ms)| *ms).fold(0.0, f64::max);
        match &d.outcome.failed {
            Some(_) => Some("left out: a shorter one failed".into()),
            None => (ms > SLOW).then(|| format!("left out: a shorter one takes {ms:.0} ms a step")),
        }
    })
}
