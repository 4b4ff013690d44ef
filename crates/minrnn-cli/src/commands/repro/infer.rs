//! Time of inference at a length: the exported model by minrnn-runtime, step by step, and one step behind a context of that length.

use std::time::Instant;

use anyhow::Result;
use minrnn_model::rng::Rng;
use minrnn_runtime::{Input, Session};

use super::context::Context;
use super::fresh::Fresh;
use super::outcome::Done;
use super::queue::Item;
use super::train::Ran;

/// Turns of each; the fastest counts.
const TURNS: usize = 8;
/// Seconds after which no further turn is measured, two being there.
const ENOUGH: f64 = 2.0;
/// Kinds of tokens.
const VOCAB: usize = 16;

pub(super) fn run(cx: &Context, item: &Item) -> Result<Ran> {
    let start = Instant::now();
    let fresh = Fresh::of(cx, item)?;
    let mut done = Done::new(&item.row.name, &item.case(), "cpu");
    let time = item.case as usize;
    for batch in &item.row.batches {
        let ids = ids(*batch, time);
        let mut session = Session::new(fresh.step.clone(), *batch)?;
        let step = fastest(cx.small, || by_step(&mut session, &ids, time))?;
        let context = fastest(cx.small, || behind(&mut session, &fresh, &ids, time))?;
        cx.ui.note(&format!(
            "{}: {batch} sequences take {step:.1} ms step by step, a step behind them as a context {context:.1} ms",
            item.key()
        ));
        done.time(format!("step.{batch}.{time}"), step);
        done.time(format!("context.{batch}.{time}"), context);
    }
    done.times.seconds = start.elapsed().as_secs_f64();
    Ok(Ran::Done(Box::new(done)))
}

/// Tokens `[batch, time]`.
fn ids(batch: usize, time: usize) -> Vec<i64> {
    let mut rng = Rng::named(0, "repro infer");
    (0..batch * time).map(|_| rng.below(VOCAB) as i64).collect()
}

/// Milliseconds of the fastest turn.
fn fastest(small: bool, mut turn: impl FnMut() -> Result<()>) -> Result<f64> {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    for i in 0..if small { 2 } else { TURNS } {
        if i >= 2 && begin.elapsed().as_secs_f64() > ENOUGH {
            break;
        }
        let start = Instant::now();
        turn()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}

/// All steps, one after the other.
fn by_step(session: &mut Session, ids: &[i64], time: usize) -> Result<()> {
    session.reset()?;
    let column = |t: usize| ids.iter().skip(t).step_by(time).copied();
    let mut now: Vec<i64> = column(0).collect();
    let mut out = session.step_tokens(&now)?.values;
    for t in 1..time {
        now.clear();
        now.extend(column(t));
        session.step_tokens_into(&now, &mut out)?;
    }
    Ok(())
}

/// All of them as a context, and one step.
fn behind(session: &mut Session, fresh: &Fresh, ids: &[i64], time: usize) -> Result<()> {
    session.reset()?;
    let batch = session.batch();
    session.prefill(&fresh.sequence, Input::Tokens { ids, batch, time })?;
    session.step_tokens(&vec![0; batch])?;
    Ok(())
}
