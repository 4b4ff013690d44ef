//! Axes that would be time only because the step file lacks them.

use anyhow::{Result, bail};

use super::axes::shown;
use super::clues::{Hint, Time};
use super::flow::{Meaning, Weight};
use super::{Finder, Kind, Port};

impl Finder<'_> {
    /// The axis that would be time for no other reason than that the step file lacks it, and that has a fixed number of entries.
    pub(super) fn guessed(&self, x: &Port, y: &Port) -> Option<usize> {
        let Ok(Time::Axis(axis)) = self.time_axis(x, y, false) else {
            return None;
        };
        let says = |h: &Hint| h.meaning == Meaning::Time && h.weight > Weight::Weak;
        let known = self.given(x).is_some() || self.said(0, x)[axis].iter().any(says);
        (self.kind == Kind::Step && !known && self.entries(x, axis).is_some()).then_some(axis)
    }

    /// Whether the first file has an input of which it is known that it goes along time.
    pub(super) fn has_time(&self, pairs: &[(Port, Port)]) -> bool {
        let known = |(x, y): &(Port, Port)| {
            let time = matches!(self.time_axis(x, y, false), Ok(Time::Axis(_)));
            time && self.guessed(x, y).is_none()
        };
        pairs.iter().any(known)
    }

    /// Entries of an axis, where their number is fixed.
    pub(super) fn entries(&self, x: &Port, axis: usize) -> Option<usize> {
        self.fixed(x.dims.as_ref()?.get(axis)?)
    }

    /// Beside an input that goes along time, one of a fixed number of entries decides nothing: the sequence file would be called for so
    /// many steps at a time, and never run as a whole.
    pub(super) fn check_guesses(&self, pairs: &[(Port, Port)]) -> Result<()> {
        if !self.has_time(pairs) {
            return Ok(());
        }
        for (x, y) in pairs {
            let (Some(axis), Some(dims)) = (self.guessed(x, y), &x.dims) else {
                continue;
            };
            let name = &x.name;
            let line = self.line(name, dims, Some(axis));
            bail!(
                "input `{name}` has shapes [{}] and [{}], as if axis {axis} were the time of {} steps, and other inputs have another; if it is a state, \
                 name it by --state {}=OUT:first={name}=OUT, if that axis is time, say so by {}",
                shown(dims),
                shown(y.dims.as_deref().unwrap_or_default()),
                self.entries(x, axis).unwrap_or_default(),
                y.name,
                line.unwrap_or_else(|| format!("--input {name}=.."))
            );
        }
        Ok(())
    }
}
