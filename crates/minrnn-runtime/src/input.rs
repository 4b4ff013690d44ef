//! What a caller gives and gets: checked by name before the engine sees it.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::info::{Form, Info, InputSpec};
use crate::range::FeatureRange;

/// The data of one call, row-major.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Token ids `[batch, time]`.
    Tokens {
        /// `batch * time` ids, each in `0..vocab`.
        ids: &'a [i64],
        /// B, rows.
        batch: usize,
        /// T, steps; 1 for a step graph.
        time: usize,
    },
    /// Features `[batch, time, width]`.
    Features {
        /// `batch * time * width` finite values.
        values: &'a [f32],
        /// B, rows.
        batch: usize,
        /// T, steps; 1 for a step graph.
        time: usize,
        /// F, values a step.
        width: usize,
    },
}

/// What some files take besides data and states.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras<'a> {
    /// Steps of each row, `[batch]`, each from 1 to T: states and last-step outputs are those of the row's own end. `None`:
    /// all T.
    pub lengths: Option<&'a [i64]>,
    /// `[batch, time]`: where it is true, states are their initial values again before the step. `None`: nowhere.
    pub reset: Option<&'a [bool]>,
}

impl Extras<'_> {
    /// Whether the file takes them, and they fit the input.
    pub(crate) fn check(&self, info: &Info, input: &Input<'_>) -> Result<()> {
        let wrong = |place: &str, what: String, mend: &str| Err(Error::input(place, what, mend));
        let (batch, time) = (input.batch(), input.time());
        if let Some(lengths) = self.lengths {
            if !info.lengths {
                return wrong(
                    "lengths",
                    "the file takes none".into(),
                    "export it with lengths",
                );
            }
            check_rows(lengths, batch, time)?;
        }
        match self.reset {
            Some(_) if !info.reset => wrong(
                "reset",
                "the file takes none".into(),
                "export it with reset",
            ),
            Some(r) if r.len() != batch * time => {
                let what = format!("has {} values", r.len());
                wrong(
                    "reset",
                    what,
                    "give one for each row and step, batch * time",
                )
            }
            _ => Ok(()),
        }
    }
}

/// The data output of one call, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// All values.
    pub values: Vec<f32>,
    /// `[batch, time, C]`, or `[batch, C]` (step form, or a head of the last step).
    pub shape: Vec<usize>,
}

impl<'a> Input<'a> {
    /// B.
    pub fn batch(&self) -> usize {
        match *self {
            Self::Tokens { batch, .. } | Self::Features { batch, .. } => batch,
        }
    }

    /// T.
    pub fn time(&self) -> usize {
        match *self {
            Self::Tokens { time, .. } | Self::Features { time, .. } => time,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Tokens { .. } => "input_ids",
            Self::Features { .. } => "features",
        }
    }

    /// Refuses whatever the model of `info` cannot take.
    pub(crate) fn check(&self, info: &Info) -> Result<()> {
        self.check_lengths(info)?;
        self.check_values(info)
    }

    /// As [`Input::check`], but for features that are no numbers to the file: that is each stream's own matter.
    pub(crate) fn check_together(&self, info: &Info) -> Result<()> {
        self.check_lengths(info)?;
        self.check_counts(info)
    }

    /// Whether the features of `row` of a step are finite, and within what the file takes. Ids always are.
    pub(crate) fn is_finite_at(&self, row: usize, range: Option<&FeatureRange>) -> bool {
        match self {
            Self::Features { values, width, .. } => {
                let row = &values[row * width..(row + 1) * width];
                row.iter().all(|v| v.is_finite()) && range.is_none_or(|range| range.fits(row))
            }
            Self::Tokens { .. } => true,
        }
    }

    /// Everything but T and the fixed batch: what holds for any part of a longer input as well.
    pub(crate) fn check_values(&self, info: &Info) -> Result<()> {
        self.check_counts(info)?;
        match self {
            Self::Features {
                values,
                time,
                width,
                ..
            } => {
                check_finite(self.name(), values)?;
                info.range
                    .as_ref()
                    .map_or(Ok(()), |range| range.check(values, *time, *width))
            }
            Self::Tokens { .. } => Ok(()),
        }
    }

    /// As [`Input::check_values`], but for what features are.
    fn check_counts(&self, info: &Info) -> Result<()> {
        let name = self.name();
        let refuse = |what: String, mend: &str| Err(Error::input(name, what, mend));
        if self.batch() == 0 || self.time() == 0 {
            let what = format!("batch {} and T = {}", self.batch(), self.time());
            return refuse(what, "give at least one row and one step");
        }
        let (given, width) = match (self, info.input) {
            (Self::Tokens { ids, .. }, InputSpec::Tokens { vocab }) => {
                check_ids(ids, vocab)?;
                (ids.len(), 1)
            }
            (Self::Features { values, width, .. }, InputSpec::Features { width: wanted }) => {
                if *width != wanted {
                    return refuse(
                        format!("width {width}, the model takes {wanted}"),
                        "give that width",
                    );
                }
                (values.len(), *width)
            }
            (_, wanted) => {
                return refuse(
                    format!("the model takes `{}`", wanted.name()),
                    "give that input",
                );
            }
        };
        let cells = self.batch().checked_mul(self.time());
        if cells.and_then(|n| n.checked_mul(width)) == Some(given) {
            return Ok(());
        }
        let what = format!(
            "{given} values for batch {}, T = {}",
            self.batch(),
            self.time()
        );
        refuse(what, "give one value for each row, step and channel")
    }

    /// The batch, the lengths and their limits.
    pub(crate) fn check_lengths(&self, info: &Info) -> Result<()> {
        check_batch(self.batch(), info)?;
        let time = self.time();
        let refuse = |what: String, mend: &str| Err(Error::input(self.name(), what, mend));
        if time == 0 {
            return refuse("T = 0".into(), "give at least one step");
        }
        if info.form == Form::Step && time != 1 {
            let what = format!("T = {time} for a step graph");
            return refuse(
                what,
                "give one step a call, or use the parallel or scan file",
            );
        }
        if let Some(fixed) = info.seq_len.filter(|n| *n != time) {
            let what = format!("T = {time}, and the file was exported for T = {fixed}");
            return refuse(what, "give that length, or export with --seq-len dynamic");
        }
        if let Some(max) = info.max_seq_len.filter(|n| time > *n) {
            let what = format!("T = {time} is longer than the {max} steps this file was made for");
            let mend = format!(
                "give parts of up to {max} steps and hand the state on, or run the step file (--form step), which takes any number"
            );
            return refuse(what, &mend);
        }
        Ok(())
    }

    /// Steps `from..from + len` of each row. Call after [`Input::check_values`].
    pub(crate) fn steps(&self, from: usize, len: usize) -> Part<'a> {
        match *self {
            Self::Tokens { ids, batch, time } => Part::Tokens {
                ids: cut(ids, batch, time, from, len),
                batch,
                time: len,
            },
            Self::Features {
                values,
                batch,
                time,
                width,
            } => Part::Features {
                values: cut(values, batch, time * width, from * width, len * width),
                batch,
                time: len,
                width,
            },
        }
    }
}

/// Refuses a batch that no run of this file can have.
pub(crate) fn check_batch(batch: usize, info: &Info) -> Result<()> {
    if batch == 0 {
        return Err(Error::input("batch", "is 0", "give at least one row"));
    }
    match info.batch {
        Some(fixed) if fixed != batch => {
            let what = format!("is {batch}, and the file was exported for {fixed}");
            Err(Error::input(
                "batch",
                what,
                "give that batch, or export with --batch dynamic",
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses lengths of rows that no row of `time` steps has: the graph would take a step that is padding for the row's last.
pub(crate) fn check_rows(lengths: &[i64], batch: usize, time: usize) -> Result<()> {
    let mend = "give each row's own length, from 1 to T";
    if lengths.len() != batch {
        let what = format!("are {} numbers for {batch} rows", lengths.len());
        return Err(Error::input("lengths", what, mend));
    }
    let fits = |n: &i64| usize::try_from(*n).is_ok_and(|n| (1..=time).contains(&n));
    match lengths.iter().position(|n| !fits(n)) {
        None => Ok(()),
        Some(row) => {
            let what = format!("row {row} has {} steps of T = {time}", lengths[row]);
            Err(Error::input("lengths", what, mend))
        }
    }
}

/// Refuses ids that no row of the embedding has: a negative one would be counted from the table's end.
pub(crate) fn check_ids(ids: &[i64], vocab: Option<usize>) -> Result<()> {
    let outside = |id: &i64| match usize::try_from(*id) {
        Ok(id) => vocab.is_some_and(|v| id >= v),
        Err(_) => true,
    };
    match ids.iter().position(outside) {
        None => Ok(()),
        Some(at) => {
            let range = vocab.map_or("0..".into(), |v| format!("0..{v}"));
            let what = format!("id {} at place {at} is outside {range}", ids[at]);
            Err(Error::input(
                "input_ids",
                what,
                "encode the text with the model's own vocabulary",
            ))
        }
    }
}

/// Refuses NaN and infinity: they would spread through the state, silently, for ever.
pub(crate) fn check_finite(name: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let what = format!("value {} at place {at} is not finite", values[at]);
            Err(Error::input(name, what, "give finite values"))
        }
    }
}

/// Columns `from..from + len` of a `[rows, columns]` matrix.
fn cut<T: Copy>(
    values: &[T],
    rows: usize,
    columns: usize,
    from: usize,
    len: usize,
) -> Cow<'_, [T]> {
    if rows == 1 {
        return Cow::Borrowed(&values[from..from + len]);
    }
    let parts = values
        .chunks_exact(columns)
        .flat_map(|row| &row[from..from + len]);
    Cow::Owned(parts.copied().collect())
}

/// Some steps of an [`Input`].
pub(crate) enum Part<'a> {
    Tokens {
        ids: Cow<'a, [i64]>,
        batch: usize,
        time: usize,
    },
    Features {
        values: Cow<'a, [f32]>,
        batch: usize,
        time: usize,
        width: usize,
    },
}

impl Part<'_> {
    pub(crate) fn as_input(&self) -> Input<'_> {
        match self {
            Self::Tokens { ids, batch, time } => Input::Tokens {
                ids,
                batch: *batch,
                time: *time,
            },
            Self::Features {
                values,
                batch,
                time,
                width,
            } => Input::Features {
                values,
                batch: *batch,
                time: *time,
                width: *width,
            },
        }
    }
}
