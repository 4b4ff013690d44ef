//! Lengths that have names of their own: files whose inputs have several are run with each longer than the others, too.

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::checks::Checks;
use super::file::By;
use super::interface::Link;
use super::port::Dim;
use super::rounding::Rounding;
use super::sizes::BATCHES;
use super::spec::Fill;

/// Steps of the shorter and of the longer one.
const STEPS: [usize; 2] = [5, 17];

impl Two {
    /// Names of the axis of time of an input, in both files, where they have one.
    fn length_names(&self, link: &Link) -> Option<[Option<&str>; 2]> {
        let axis = link.time()?;
        let name = |side: usize| {
            let file = &self.files[side];
            let port = file.inputs().iter().find(|p| p.name == link.names[side])?;
            match port.dims.as_ref()?.get(axis)? {
                Dim::Symbol(name) => Some(name.as_str()),
                _ => None,
            }
        };
        Some([name(0), name(1)])
    }

    /// Inputs by their lengths: two that a file gives two names have two, whatever the other file says of them. What has a name in
    /// neither file has the first one's.
    fn groups(&self) -> Vec<(String, Vec<usize>)> {
        let mut groups: Vec<([Option<&str>; 2], Vec<usize>)> = vec![];
        for (i, link) in self.face.links.iter().enumerate() {
            let Some(names) = self.length_names(link) else {
                continue;
            };
            let apart = |of: &[Option<&str>; 2]| {
                let mut both = of.iter().zip(&names);
                both.any(|(a, b)| a.is_some() && b.is_some() && a != b)
            };
            match groups.iter_mut().find(|(of, _)| !apart(of)) {
                Some((_, all)) => all.push(i),
                None => groups.push((names, vec![i])),
            }
        }
        let named = groups.into_iter().map(|(names, all)| {
            let name = names.into_iter().flatten().next().unwrap_or("?");
            (name.to_owned(), all)
        });
        named.collect()
    }

    /// Whether lengths can differ at all, in a call of each file.
    fn has_room(&self, [short, long]: [usize; 2]) -> bool {
        let told = |f: Fill| matches!(f, Fill::Time | Fill::Lengths);
        self.face.frames == [None; 2]
            && self.face.length.is_none()
            && short < long
            && long <= self.most
            && !self.face.filled.iter().any(|f| told(f.fill))
    }

    /// Cases in which one of the lengths is longer than the others, each in turn; what is to be said where there are none.
    pub(super) fn apart(
        &self,
        costs: &mut Rounding,
        checks: &mut Checks,
        rng: &mut Rng,
    ) -> Result<Option<String>> {
        let groups = self.groups();
        if groups.len() < 2 {
            return Ok(None);
        }
        let names: Vec<String> = groups.iter().map(|(name, _)| format!("`{name}`")).collect();
        let names = names.join(", ");
        let [short, long] = STEPS.map(|n| self.face.steps(n));
        if !self.has_room([short, long]) {
            return Ok(Some(format!("the lengths {names} were drawn alike only")));
        }
        for (_, longer) in &groups {
            let batch = self.face.batch.unwrap_or(BATCHES[1]);
            let mut case = Case::random(self, (batch, long), rng)?;
            for (i, link) in self.face.links.iter().enumerate() {
                if let (Some(axis), false) = (link.time(), longer.contains(&i)) {
                    case.data[i] = case.data[i].cut(axis, 0, short)?;
                }
            }
            let mut ran = vec![];
            for side in 0..2 {
                match self.whole(side, By::Judge, &case) {
                    Ok(all) => {
                        costs.learn(side, &case, &all);
                        ran.push(all);
                    }
                    Err(error) => {
                        return Ok(Some(format!(
                            "the lengths {names} were drawn alike only: {} refuses others ({})",
                            self.files[side].name(),
                            error.root_cause()
                        )));
                    }
                }
            }
            checks.apart.add(&case, &ran[0], &ran[1], costs);
        }
        Ok(None)
    }
}
