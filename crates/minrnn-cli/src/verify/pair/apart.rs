//! Lengths that are not T: which of them may differ, and at which sizes the files run.
//!
//! What names leave open is tried: lengths are as many as a run of both files allows. Where a file refuses lengths that differ, they are
//! drawn alike, which is said.

use anyhow::{Error, Result, bail};
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::file::By;
use super::groups::{Groups, coarser};
use super::interface::{Ends, Filled, Interface, Kind, Length};
use super::least::is_limit;
use super::sizes::{BATCHES, LENGTHS, RAGGED};
use super::spec::{Fill, Role};

/// T and other lengths of a run that tries whether they may differ.
const TRIALS: [(usize, [usize; 5]); 2] = [(17, [5, 7, 11, 13, 3]), (20, [33, 37, 41, 43, 47])];

/// Sizes that go around over the cases, and those that are run once beside.
const SMALL: [usize; 6] = [5, 1, 17, 3, 2, 16];
const LONGEST: usize = 1024;

/// More lengths than these are not sorted into groups.
const SORTED: usize = 3;

impl Interface {
    /// Lengths that are not T, in a run that asks something else.
    pub(crate) fn usual(&self, time: usize) -> Vec<usize> {
        let of = |l: &Length| if l.as_time { time } else { l.usual };
        self.completed(time, self.lengths.iter().map(of).collect())
    }

    /// Those of case `i`, of `time` steps: small ones in turn, no two alike where it can be.
    pub(super) fn other_lengths(&self, i: usize, time: usize) -> Vec<usize> {
        let of = |(j, l): (usize, &Length)| {
            let mut small: Vec<usize> = SMALL.into_iter().filter(|n| l.sizes.contains(n)).collect();
            // The least and the largest, where there are such.
            small.extend(l.sizes.iter().filter(|n| **n < 17 && !SMALL.contains(n)));
            match small.len() {
                _ if l.as_time => time,
                0 => l.usual,
                n => small[(i + j) % n],
            }
        };
        self.completed(time, self.lengths.iter().enumerate().map(of).collect())
    }

    /// The sizes nearest to a length that are no longer.
    pub(super) fn others_near(&self, time: usize) -> Vec<usize> {
        let of = |l: &Length| match l.as_time {
            true => time,
            false => {
                let below = l.sizes.iter().filter(|n| **n <= time).max();
                below.copied().unwrap_or(l.usual)
            }
        };
        self.completed(time, self.lengths.iter().map(of).collect())
    }
}

impl Two {
    /// Cases of few steps, in which one length that is not T has each size that no case before has: up to what T gets.
    pub(super) fn long_others(
        &self,
        before: &[Case],
        limit: usize,
        rng: &mut Rng,
    ) -> Result<Vec<Case>> {
        let batch = self.face.batch.unwrap_or(BATCHES[1]);
        let time = self.face.length.unwrap_or(self.face.steps(3.min(limit)));
        let mut cases = vec![];
        for (k, length) in self.face.lengths.iter().enumerate() {
            let new = |n: &&usize| !before.iter().any(|case| case.others[k] == **n);
            let sizes = length.sizes.iter().filter(new);
            for size in sizes.filter(|n| **n <= limit.max(LENGTHS[5])) {
                let mut others = self.face.other_lengths(cases.len(), time);
                others[k] = *size;
                let others = self.face.completed(time, others);
                cases.push(Case::sized(self, (batch, time), others, rng)?);
            }
        }
        Ok(cases)
    }

    /// Finds which lengths may differ, and at which sizes both files run.
    ///
    /// # Errors
    /// A size at which one of them runs and the other does not.
    pub(super) fn settle_lengths(&mut self) -> Result<()> {
        self.find_summed()?;
        let open = self.open_lengths();
        if open.is_empty() {
            return Ok(());
        }
        let told =
            |f: &&Filled| f.fill == Fill::Time || f.fill == Fill::Lengths && f.of == Ends::Unknown;
        if let Some(filled) = self.face.filled.iter().find(told) {
            let why = format!("`{}` says how long they are", filled.name);
            self.tie(&vec![0; self.face.lengths.len()], &why);
            return Ok(());
        }
        let (groups, why) = self.sorted(&open);
        self.tie(&groups, &why);
        for k in 0..self.face.lengths.len() {
            if self.face.lengths[k].is_open() {
                self.find_sizes(k)?;
            }
        }
        Ok(())
    }

    /// As many lengths as both files take, and why they are no more. Sets their usual sizes.
    fn sorted(&mut self, open: &[usize]) -> (Groups, String) {
        let count = self.face.lengths.len();
        let mut why = None;
        let finest: Groups = (1..=count).collect();
        let mut level = vec![finest.clone()];
        let mut alike = finest.clone();
        open.iter().for_each(|k| alike[*k] = 0);
        if open.len() > SORTED {
            level.push(alike.clone());
        }
        while !level.is_empty() {
            for groups in &level {
                match self.runs_with(groups) {
                    Ok(usual) => {
                        let all = self.face.lengths.iter_mut().zip(usual);
                        all.for_each(|(length, n)| length.usual = n);
                        return (groups.clone(), why.unwrap_or_default());
                    }
                    Err(refusal) => {
                        why.get_or_insert(refusal);
                    }
                }
            }
            level = match open.len() > SORTED {
                true => vec![],
                false => coarser(&level, open),
            };
        }
        // Nothing runs: what is compared says why. With one length for all, as much as can be told is told.
        (alike, why.unwrap_or_default())
    }

    /// The lengths of a run of both files in which all groups differ.
    ///
    /// # Errors
    /// Which file refuses them, and why.
    pub(super) fn runs_with(&self, groups: &Groups) -> std::result::Result<Vec<usize>, String> {
        let mut why = "no more of them fit below --max-len".to_owned();
        let mut refused = false;
        for (time, sizes) in TRIALS {
            let time = self
                .face
                .length
                .unwrap_or(self.face.steps(time.min(self.most)));
            let mut free = sizes
                .into_iter()
                .chain([2, 4, 1])
                .filter(|n| *n != time && *n <= self.most);
            let mut known: Vec<(usize, usize)> = vec![(0, time)];
            let lengths = || groups.iter().zip(&self.face.lengths);
            for (group, _) in lengths().filter(|(_, l)| l.is_open()) {
                if !known.iter().any(|(g, _)| g == group)
                    && let Some(size) = free.next()
                {
                    known.push((*group, size));
                }
            }
            let size = |group: &usize| known.iter().find(|(g, _)| g == group).map(|(_, n)| *n);
            let one = |(group, length): (&usize, &Length)| match length.as_time {
                true => Some(time),
                false if length.is_open() => size(group),
                false => Some(length.begins.unwrap_or(0)),
            };
            let Some(others) = lengths().map(one).collect::<Option<Vec<usize>>>() else {
                continue;
            };
            // Of one entry it may run for being repeated: no answer where larger ones were refused.
            let alone = |(n, length): (&usize, &Length)| *n == 1 && length.is_open();
            if refused && others.iter().zip(&self.face.lengths).any(alone) {
                continue;
            }
            let others = self.face.completed(time, others);
            match (0..2).find_map(|side| Some((side, self.refusal(side, time, &others)?))) {
                None => return Ok(others),
                Some((side, error)) => {
                    refused = true;
                    let file = self.files[side].name();
                    why = format!("{file} refuses others ({})", error.root_cause());
                }
            }
        }
        Err(why)
    }

    /// Why a file does not run with these lengths, in its first call.
    fn refusal(&self, side: usize, time: usize, others: &[usize]) -> Option<Error> {
        let batch = self.face.batch.unwrap_or(BATCHES[1]);
        let mut rng = Rng::named(0, "lengths");
        let case = Case::sized(self, (batch, time), others.to_vec(), &mut rng);
        let ran = case.and_then(|case| match self.face.grows() {
            // What goes with a past shows when there is one.
            true => self.whole(side, By::Judge, &case).map(|_| ()),
            false => self
                .tensors(side, By::Judge, &case, &self.wanted(side))
                .map(|_| ()),
        });
        ran.err()
    }

    /// Makes lengths one that are drawn alike: a note says which, and why.
    pub(super) fn tie(&mut self, groups: &Groups, why: &str) {
        let old = std::mem::take(&mut self.face.lengths);
        let mut roles = vec![];
        let mut alike: Vec<(usize, Vec<String>)> = vec![];
        for (k, (length, group)) in old.iter().zip(groups).enumerate() {
            let as_time = length.as_time || *group == 0;
            let first = groups[..k].iter().position(|g| g == group && *g != 0);
            roles.push(match (first, as_time) {
                (_, true) if self.kind == Kind::Same => Role::Time,
                (Some(before), false) => roles[before],
                _ => {
                    self.face.lengths.push(Length {
                        as_time,
                        ..length.clone()
                    });
                    Role::Length(self.face.lengths.len() - 1)
                }
            });
            match alike.iter_mut().find(|(g, _)| g == group) {
                Some((_, names)) => names.push(format!("`{}`", length.name)),
                None if *group == 0 => {
                    let names = vec![self.name_of_time(), format!("`{}`", length.name)];
                    alike.push((0, names));
                }
                None => alike.push((*group, vec![format!("`{}`", length.name)])),
            }
        }
        for (_, names) in alike.iter().filter(|(_, names)| names.len() > 1) {
            let note = format!(
                "the lengths {} were drawn alike only: {why}",
                names.join(", ")
            );
            self.face.notes.push(note);
        }
        for length in &mut self.face.lengths {
            length.follow(&roles);
        }
        let turn = |all: &mut Vec<Role>| {
            for role in all {
                if let Role::Length(k) = role {
                    *role = roles[*k];
                }
            }
        };
        self.face.links.iter_mut().for_each(|l| turn(&mut l.roles));
        self.face.filled.iter_mut().for_each(|f| turn(&mut f.roles));
        self.face.states.iter_mut().for_each(|s| turn(&mut s.shape));
        for filled in &mut self.face.filled {
            if let Ends::Length(k) = filled.of {
                filled.of = match roles[k] {
                    Role::Length(k) => Ends::Length(k),
                    _ => Ends::Time,
                };
            }
        }
    }

    /// What the axis of time is called.
    fn name_of_time(&self) -> String {
        let of = |link: &super::interface::Link| {
            let mut ports = self.files[0].inputs().iter();
            let port = ports.find(|p| p.name == link.names[0])?;
            match port.dims.as_ref()?.get(link.time()?)? {
                super::port::Dim::Symbol(name) => Some(format!("`{name}`")),
                _ => None,
            }
        };
        let found = self.face.links.iter().find_map(of);
        found.unwrap_or_else(|| "T".to_owned())
    }

    /// The sizes of a length at which both files run: those that are tried of every length, the least and the largest.
    fn find_sizes(&mut self, k: usize) -> Result<()> {
        let usual = self.face.lengths[k].usual;
        let ragged = RAGGED.into_iter().map(|(n, _)| n).step_by(2);
        let longer = LENGTHS.into_iter().chain(ragged);
        let longer = longer.filter(|n| *n > 17 && *n <= LONGEST);
        let mut all: Vec<usize> = SMALL.into_iter().chain(longer).chain([usual]).collect();
        all.retain(|n| *n <= self.most);
        all.extend(self.face.may_be_empty(k).then_some(0));
        all.sort_unstable();
        all.dedup();
        let (mut sizes, mut refused) = (vec![], vec![]);
        for size in all {
            match self.runs_at(k, size)? {
                None => sizes.push(size),
                Some((why, is_limit)) => {
                    refused.push((size, why));
                    if is_limit {
                        break;
                    }
                }
            }
        }
        for (size, _) in &refused {
            let near = sizes
                .iter()
                .copied()
                .min_by_key(|n: &usize| n.abs_diff(*size));
            if let Some(mut runs) = near {
                let mut not = *size;
                while runs.abs_diff(not) > 1 {
                    let middle = usize::midpoint(runs, not);
                    match self.runs_at(k, middle)? {
                        None => runs = middle,
                        Some(_) => not = middle,
                    }
                }
                if !sizes.contains(&runs) {
                    sizes.push(runs);
                }
            }
        }
        sizes.sort_unstable();
        if let Some((_, why)) = refused.first() {
            let list: Vec<usize> = refused.iter().map(|(n, _)| *n).collect();
            self.face.notes.push(format!(
                "the length `{}` was {sizes:?}, and none of {list:?}: the files refuse these ({why})",
                self.face.lengths[k].name
            ));
        }
        self.face.lengths[k].sizes = sizes;
        Ok(())
    }

    /// Why both files refuse a size of a length, and whether it is for what it takes; `None`: they run.
    ///
    /// # Errors
    /// One of them runs and the other does not.
    fn runs_at(&self, k: usize, size: usize) -> Result<Option<(String, bool)>> {
        let time = self
            .face
            .length
            .unwrap_or(self.face.steps(17.min(self.most)));
        let mut others = self.face.usual(time);
        others[k] = size;
        let others = self.face.completed(time, others);
        let refused = [0, 1].map(|side| self.refusal(side, time, &others));
        if let Some(limit) = refused.iter().flatten().find(|e| is_limit(e)) {
            return Ok(Some((limit.root_cause().to_string(), true)));
        }
        match refused {
            [None, None] => Ok(None),
            [Some(why), Some(_)] => Ok(Some((why.root_cause().to_string(), false))),
            [a, b] if size == 0 => {
                let name = self.files[usize::from(a.is_none())].name();
                let why = a.or(b).map(|e| e.root_cause().to_string());
                Ok(Some((
                    format!("{name}: {}", why.unwrap_or_default()),
                    false,
                )))
            }
            [a, b] => {
                let refuses = usize::from(a.is_none());
                let [does, not] = [1 - refuses, refuses].map(|s| self.files[s].name());
                let why = a.or(b).map(|e| e.root_cause().to_string());
                bail!(
                    "with {size} entries of the length `{}` {does} runs and {not} does not ({}): to compare them at one length give it, as --dim NAME=N or as a number in --input",
                    self.face.lengths[k].name,
                    why.unwrap_or_default()
                );
            }
        }
    }
}
