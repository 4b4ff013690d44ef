//! Lengths beside a past that grows: those of the new steps, or of the past and the new steps together.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};

use super::super::{Finder, Port};
use super::time::Found;

impl Finder<'_> {
    /// Of lengths that would all be time in a step file whose past grows: one of another name there goes with the past.
    ///
    /// # Errors
    /// Where the step file has no names for them.
    pub(super) fn beside_past(
        &self,
        pairs: &[(Port, Port)],
        found: &[Found],
        time: Vec<usize>,
    ) -> Result<Vec<usize>> {
        if self.growing.is_empty() || time.len() < 2 {
            return Ok(time);
        }
        let sure = |f: &Found| f.runs || f.said == Some(None);
        let open = time.iter().map(|i| &found[*i]).filter(|f| !sure(f));
        let names: BTreeSet<_> = open.clone().map(|f| f.names[1].clone()).collect();
        if names.len() < 2 && !names.contains(&None) {
            return Ok(time);
        }
        let same = |f: &Found| sure(f) || f.names[1].is_some() && f.names[1] == f.names[0];
        let strange = open.clone().filter(|f| !same(f));
        let known = time.iter().any(|i| same(&found[*i]));
        if known && strange.clone().all(|f| f.names[1].is_some()) {
            return Ok(time.into_iter().filter(|i| same(&found[*i])).collect());
        }
        Err(self.open_beside_past(pairs, strange))
    }

    /// Of two step files whose past grows, an input of any length without a name may go over the past too.
    pub(super) fn refuse_beside_past(
        &self,
        pairs: &[(Port, Port)],
        found: &[Found],
        time: &[usize],
    ) -> Result<()> {
        let nameless = |f: &&Found| !f.runs && f.said.is_none() && f.names == [None, None];
        let mut strange = time.iter().map(|i| &found[*i]).filter(nameless).peekable();
        match self.growing.is_empty() || strange.peek().is_none() {
            true => Ok(()),
            false => Err(self.open_beside_past(pairs, strange)),
        }
    }

    fn open_beside_past<'f>(
        &self,
        pairs: &[(Port, Port)],
        strange: impl Iterator<Item = &'f Found>,
    ) -> anyhow::Error {
        let lines = strange.filter_map(|f| {
            let (x, axis) = (&pairs[f.pair].0, f.axis);
            let line = self.line(&x.name, x.dims.as_ref()?, Some(axis))?;
            Some(format!("{line} or {}", self.sized_line(x, axis, "P+T")?))
        });
        let lines: Vec<String> = lines.collect();
        anyhow!(
            "nothing tells which lengths of {} are those of the new steps and which go over the past too; say it by {}",
            self.files[1].name(),
            lines.join(", by ")
        )
    }
}
