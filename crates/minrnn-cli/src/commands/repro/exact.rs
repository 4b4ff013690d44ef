//! A long stream through the exported step graph, held to the exported sequence graph in pieces: the same bits.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use minrnn_model::rng::Rng;
use minrnn_runtime::{Input, Model as File, Session};

use super::context::Context;
use super::fresh::Fresh;
use super::outcome::Done;
use super::queue::Item;
use super::train::Ran;

/// Steps of a piece: no multiple of a block, so that pieces end within blocks too.
const PIECE: usize = 1000;

pub(super) fn run(cx: &Context, item: &Item) -> Result<Ran> {
    let start = Instant::now();
    let fresh = Fresh::of(cx, item)?;
    let differing = differing(&fresh.step, &fresh.sequence, item.case as usize)?;
    let mut done = Done::new(&item.row.name, &item.case(), "cpu");
    done.figure("steps", item.case as f64);
    done.figure("differing", differing as f64);
    cx.ui.note(&format!(
        "{}: {differing} values of {} steps differ",
        item.key(),
        item.case
    ));
    done.times.seconds = start.elapsed().as_secs_f64();
    Ok(Ran::Done(Box::new(done)))
}

/// How many bits of outputs, and of states at the ends of pieces, are not the same.
fn differing(step: &Arc<File>, sequence: &File, steps: usize) -> Result<usize> {
    let mut rng = Rng::named(0, "exact");
    let mut one = Session::new(step.clone(), 1)?;
    let mut whole = Session::new(step.clone(), 1)?;
    let mut differing = 0;
    let mut logits = vec![];
    for from in (0..steps).step_by(PIECE) {
        let count = PIECE.min(steps - from);
        let ids: Vec<i64> = (0..count).map(|_| rng.below(16) as i64).collect();
        let input = Input::Tokens {
            ids: &ids,
            batch: 1,
            time: count,
        };
        let output = whole.prefill(sequence, input)?.values;
        let width = output.len() / count;
        for (id, wanted) in ids.iter().zip(output.chunks(width)) {
            match logits.is_empty() {
                true => logits = one.step_tokens(&[*id])?.values,
                false => one.step_tokens_into(&[*id], &mut logits)?,
            }
            if logits.len() != wanted.len() {
                bail!(
                    "a step has {} values, and a whole sequence {}",
                    logits.len(),
                    wanted.len()
                );
            }
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
            differing += logits.iter().zip(wanted).filter(|p| !same(*p)).count();
        }
        differing += usize::from(one.state() != whole.state());
    }
    Ok(differing)
}
