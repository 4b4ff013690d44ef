//! Back to an earlier state and on again: a step file gives the same values both times. What it came to in between is nowhere but in its
//! states.

use anyhow::Result;
use minrnn_model::rng::Rng;
use minrnn_model::trial::{Draw, Source};

use super::engine::Tract;
use super::report::Tally;
use super::{Grade, Row, grade};

/// Steps of the one case.
const TIME: usize = 24;
/// The step whose state is gone back to.
const BACK: usize = 7;
const BATCH: usize = 3;

/// The row of an engine with its step file.
pub(super) fn row(engine: &'static str, step: &Tract, source: Source, seed: u64) -> Result<Row> {
    let form = "step, back to a state";
    let mut tally = Tally::new(engine, form, "the first time", Grade::Exact);
    let batch = step.info().batch.unwrap_or(BATCH);
    let mut rng = Rng::named(seed, "rewind");
    let time = source.graph.longest().map_or(TIME, |most| TIME.min(most));
    let back = BACK.min(time / 2);
    let case = source.case((batch, time), true, Draw::Usual, &mut rng)?;
    let [first, again] = step.rewound(&case, back)?;
    grade::exact(&mut tally, &case.cut(back, time, None), &again, &first);
    Ok(tally.row())
}
