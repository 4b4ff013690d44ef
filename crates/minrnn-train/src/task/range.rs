//! Values that float32 holds, and the squares of which it does not: one of them in any part makes a loss infinite, hours later.

use std::path::Path;

use super::Scales;
use super::sequences::source::{Piece, Source};
use crate::error::{Result, TrainError};

/// How far a value may be from 0, in units of its scale. Squares of this are 1e30: there is room for the sum of a batch, and for what layers make of it.
pub const FARTHEST: f64 = 1e15;

/// Holds all features and real targets against [`FARTHEST`]: features in units of `input`, targets as they are and in units of
/// `head`. `path` is for messages, `names` says what column `i` of each is called.
pub(super) fn check(
    set: &Source,
    path: &Path,
    (input, head): (Scales, Scales),
    names: [&dyn Fn(usize) -> String; 2],
) -> Result<()> {
    let step = |rows: usize, row: usize| match rows {
        1 => String::new(),
        _ => format!(", step {row}"),
    };
    let fail = |i: usize, step: String, name: String, message: String| {
        let place = format!("sequence {i}{step} (from 0), {name}");
        Err(TrainError::data(path, place, message))
    };
    let (width, mut turn) = (set.width(), set.turn());
    for i in 0..set.len() {
        let rows = set.steps(i);
        turn.features(i, &mut |first, features| {
            for (k, value) in features.iter().enumerate() {
                let (row, column) = (first + k / width, k % width);
                if let Some(far) = input.beyond(*value, column) {
                    return fail(i, step(rows, row), names[0](column), far);
                }
            }
            Ok(())
        })?;
        let rows = set.rows(i);
        turn.labels(i, &mut |first, labels| {
            let Piece::Values(values, width) = labels else {
                return Ok(());
            };
            for (k, value) in values.iter().enumerate() {
                let (row, column) = (first + k / width, k % width);
                let far = Scales::default().beyond(*value, column);
                if let Some(far) = far.or_else(|| head.beyond(*value, column)) {
                    return fail(i, step(rows, row), names[1](column), far);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

impl Scales<'_> {
    /// What is wrong with a value of column `i`.
    fn beyond(&self, value: f32, i: usize) -> Option<String> {
        let of = |all: Option<&[f32]>, none: f64| {
            all.and_then(|all| all.get(i))
                .map_or(none, |v| f64::from(*v))
        };
        let (mean, std) = (of(self.mean, 0.0), of(self.std, 1.0));
        let scaled = (f64::from(value) - mean) / std;
        if scaled.abs() <= FARTHEST {
            return None;
        }
        let from = match self.mean.is_some() || self.std.is_some() {
            true => {
                format!(", {scaled:.1e} standard deviations of the training part from its mean")
            }
            false => String::new(),
        };
        Some(format!(
            "is {value:e}{from}: sums of such squares are beyond float32; correct it, leave the sequence out, or give the column in another unit"
        ))
    }
}
