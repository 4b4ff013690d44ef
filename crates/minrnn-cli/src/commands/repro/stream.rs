//! Sequences far longer than those of the training, streamed step by step through an exported step graph.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use minrnn_runtime::{Model, Session};
use minrnn_train::task::{Input, Split, Targets, TaskConfig};

use super::context::Context;
use super::outcome::Done;
use super::queue::{Item, lengths};
use super::train::Ran;
use crate::verify::argmax;

/// Steps that are measured before a stream begins.
const MEASURED: usize = 256;

/// Streams one group of sequences `through` the model of that run.
pub(super) fn run(cx: &Context, item: &Item, through: Option<&Done>, begun: bool) -> Result<Ran> {
    let mut done = Done::new(&item.row.name, &item.case(), "cpu");
    let model = through.and_then(|d| d.outcome.model.as_ref());
    done.outcome.streamed = model.map(|m| m.weights_sha256.clone());
    let kept = model.and_then(|m| m.export.as_ref());
    let Some(export) = kept.map(|e| cx.dir.join(e)).filter(|e| e.exists()) else {
        let of = item.row.of.as_deref().unwrap_or_default();
        done.outcome.failed = Some(format!("the export of {of} is not there: train it first"));
        return Ok(Ran::Done(Box::new(done)));
    };
    let length = lengths(item.row, cx.small)
        .first()
        .copied()
        .unwrap_or_default();
    let Some(of) = item.row.of.as_deref().and_then(|of| cx.experiment.row(of)) else {
        bail!("{}: a stream is of a row that is trained", item.row.name);
    };
    let config = cx.config(of, 0, Some(length))?;
    let mut task = config.train.task.clone();
    if let TaskConfig::SelectiveCopying(options) = &mut task {
        options.eval_samples = item.row.sequences.unwrap_or(1);
    }
    let group = item.row.group.unwrap_or(1).max(1);
    let task = task.open(0)?;
    let start = Instant::now();
    let batch = task.batch(Split::Test, item.case * group, group as usize)?;
    let (Input::Tokens { ids }, Targets::Classes { ids: wanted, .. }, Some(weights)) =
        (&batch.input, &batch.targets, &batch.weights)
    else {
        bail!(
            "{}: what is streamed are tokens with classes",
            item.row.name
        );
    };
    let model = Arc::new(Model::open(export.join("model.step.onnx"))?);
    let mut session = Session::new(model, batch.batch)?;
    let (rows, time) = (batch.batch, batch.time);
    let mut logits = vec![];
    let (mut right, mut all) = (0_u32, 0_u32);
    let mut began = Instant::now();
    for t in 0..time {
        let now: Vec<i64> = (0..rows).map(|r| i64::from(ids[r * time + t])).collect();
        match logits.is_empty() {
            true => logits = session.step_tokens(&now)?.values,
            false => session.step_tokens_into(&now, &mut logits)?,
        }
        if t == 0 {
            began = Instant::now();
        }
        if t == MEASURED {
            let each = began.elapsed().as_secs_f64() / MEASURED as f64;
            let seconds = each * time as f64;
            cx.ui.note(&format!(
                "{}: a step of {rows} sequences takes {:.1} us, {time} steps about {seconds:.0} s",
                item.key(),
                each * 1e6
            ));
            if begun && cx.budget.is_for_the_next(seconds) {
                return Ok(Ran::Later);
            }
        }
        let width = logits.len() / rows;
        for r in 0..rows {
            if weights[r * time + t] != 0.0 {
                all += 1;
                let said = argmax(&logits[r * width..][..width]) as u32;
                right += u32::from(said == wanted[r * time + t]);
            }
        }
    }
    done.figure("accuracy", 100.0 * f64::from(right) / f64::from(all.max(1)));
    done.figure("steps", time as f64);
    done.times.seconds = start.elapsed().as_secs_f64();
    Ok(Ran::Done(Box::new(done)))
}
