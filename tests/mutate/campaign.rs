//! Many mutants of all files in turn, and what became of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

use super::mutation::{self, NAMES};
use super::random::Random;
use super::readers::{Place, Target};
use super::seed::Seed;
use super::try_one::{End, MEMORY, TIME, Took, measured, sites, try_one};

/// Counts over a campaign.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) mutants: u64,
    ends: BTreeMap<String, u64>,
    by_mutation: BTreeMap<String, [u64; 3]>,
    pub(crate) panics: u64,
    pub(crate) worst_memory: (usize, u64),
    pub(crate) worst_open: (Duration, u64),
    pub(crate) worst_all: (Duration, u64),
    /// What must not be: index and words.
    pub(crate) findings: Vec<(u64, String)>,
}

/// The mutant of that number: the same bytes on every run.
pub(crate) fn mutant(seeds: &[Seed], seed: u64, index: u64) -> (Vec<u8>, usize, &'static str) {
    let from = &seeds[(index % seeds.len() as u64) as usize];
    let (bytes, how) = mutation::mutate(&from.tree, &mut Random::of(seed, index));
    (bytes, how, from.name)
}

impl Counts {
    /// Tries one mutant. A slow one is tried again, twice: where the system counts no time by thread, another program may
    /// have had its share.
    pub(crate) fn add(&mut self, seeds: &[Seed], seed: u64, index: u64, memory: &PeakAlloc) {
        let (bytes, how, _) = mutant(seeds, seed, index);
        let mut took = try_one(&bytes, memory);
        for _ in 0..2 {
            if took.all > TIME {
                let again = try_one(&bytes, memory);
                took.all = took.all.min(again.all);
                took.open = took.open.min(again.open);
            }
        }
        self.count(index, NAMES[how], &took);
        self.findings
            .extend(wrong(&took, bytes.len()).map(|w| (index, w)));
    }

    /// Tries one mutant of the other files.
    pub(crate) fn add_reader(
        &mut self,
        (place, targets): &(Place, Vec<Target>),
        seed: u64,
        index: u64,
        memory: &PeakAlloc,
    ) {
        let target = &targets[(index % targets.len() as u64) as usize];
        let bytes = place.mutant(target, &mut Random::of(seed, index));
        let took = measured(memory, |_| place.read(target, &bytes));
        place.restore(target);
        self.count(index, &target.name, &took);
        let found = wrong(&took, bytes.len()).map(|w| (index, format!("{}: {w}", target.name)));
        self.findings.extend(found);
    }

    fn count(&mut self, index: u64, name: &str, took: &Took) {
        self.mutants += 1;
        self.panics += u64::from(took.panics > 0);
        let words = took
            .end
            .map_or("panic".into(), |end| format!("{end:?}").to_lowercase());
        *self.ends.entry(words).or_default() += 1;
        let column = match took.end {
            Some(End::Refused(_)) => 0,
            Some(End::Failed(_)) | None => 1,
            Some(End::Ran | End::Opened) => 2,
        };
        self.by_mutation.entry(name.to_owned()).or_default()[column] += 1;
        self.worst_memory = self.worst_memory.max((took.memory, index));
        self.worst_open = self.worst_open.max((took.open, index));
        self.worst_all = self.worst_all.max((took.all, index));
    }

    /// Everything, as text.
    pub(crate) fn text(&self, since: Instant) -> String {
        let seconds = since.elapsed().as_secs_f64();
        let rate = self.mutants as f64 / seconds.max(1e-9);
        let mut lines = vec![format!(
            "{} mutants in {seconds:.0} s, {rate:.0} a second",
            self.mutants
        )];
        lines.extend(self.ends.iter().map(|(end, n)| format!("  {n:>9}  {end}")));
        lines.push("by mutation: refused at opening, failed in the engine, ran".into());
        for (name, [refused, failed, ran]) in &self.by_mutation {
            lines.push(format!("  {name:<40} {refused:>8} {failed:>8} {ran:>8}"));
        }
        let (memory, at) = self.worst_memory;
        lines.push(format!(
            "most memory: {:.1} MiB, mutant {at}",
            memory as f64 / 1048576.0
        ));
        lines.push(format!(
            "longest opening: {:?}, mutant {}",
            self.worst_open.0, self.worst_open.1
        ));
        lines.push(format!(
            "longest of all: {:?}, mutant {}",
            self.worst_all.0, self.worst_all.1
        ));
        lines.push(format!(
            "panics of the engine that became errors, in {} mutants:",
            self.panics
        ));
        lines.extend(sites().iter().map(|(site, n)| format!("  {n:>9}  {site}")));
        lines.push(format!("findings: {}", self.findings.len()));
        let shown = self.findings.iter().take(40);
        lines.extend(shown.map(|(index, what)| format!("  mutant {index}: {what}")));
        lines.join("\n")
    }
}

/// What no file may do, however it is made.
pub(crate) fn wrong(took: &Took, size: usize) -> Option<String> {
    if took.end.is_none() {
        return Some("a panic came out".into());
    }
    if took.memory > MEMORY + size {
        return Some(format!(
            "{} bytes of memory for a file of {size}",
            took.memory
        ));
    }
    (took.all > TIME).then(|| format!("{:?}, {:?} of it to open", took.all, took.open))
}
