//! Faults made by hand, each with the checks that find it: alone each of them does, and without them the export passes. A check
//! that finds nothing here would not be known to work.

mod list;

use minrnn_cli::verify::{Check, Export, Off, Options, verify};

use super::{Forged, wrong};
use list::FAULTS;

/// What an export is held to without running it.
const FILES: [Check; 22] = [
    Check::Hashes,
    Check::Keys,
    Check::Words,
    Check::Unlisted,
    Check::Metadata,
    Check::Longest,
    Check::Opset,
    Check::Vocabulary,
    Check::Description,
    Check::Activations,
    Check::Ports,
    Check::Target,
    Check::Beside,
    Check::Statistics,
    Check::Outline,
    Check::Interface,
    Check::End,
    Check::Alike,
    Check::WeightsHash,
    Check::Checkpoint,
    Check::Graphs,
    Check::Golden,
];
/// By running it.
const RUNS: [Check; 4] = [Check::Portable, Check::Exact, Check::Extras, Check::Probes];

/// An export, and what is done to it.
struct Fault {
    name: &'static str,
    make: fn() -> Forged,
    spoil: fn(&Forged),
}

impl Forged {
    /// What is found without these checks, against its checkpoint.
    fn found_without(&self, off: &[Check]) -> Option<Vec<String>> {
        let options = Options {
            longest: Some(18),
            probe_steps: 2,
            ..Options::quick()
        };
        let report = Export::open_without(self.path(), Off::these(off))
            .map_err(anyhow::Error::from)
            .and_then(|export| {
                let mut observe = |_: usize, _: usize, _: &str| ();
                verify(&export, &self.model, &self.params, &options, &mut observe)
            });
        match report {
            // Checks that find nothing make no row.
            Ok(report) if report.rows.iter().all(|r| r.holds) => None,
            Ok(report) => Some(wrong(&report)),
            Err(error) => Some(vec![format!("{error:#}")]),
        }
    }

    /// What these checks find, all others left out.
    fn found_with(&self, checks: &[Check]) -> Option<Vec<String>> {
        let all = FILES.iter().chain(&RUNS);
        let others: Vec<Check> = all.filter(|c| !checks.contains(c)).copied().collect();
        self.found_without(&others)
    }

    /// The checks that find something, each alone. All others together find nothing.
    fn found_by(&self) -> Result<Vec<Check>, String> {
        let files = FILES
            .into_iter()
            .filter(|check| self.found_with(&[*check]).is_some());
        let mut found: Vec<Check> = files.collect();
        let others: Vec<Check> = found.iter().chain(&RUNS).copied().collect();
        let more = self.found_without(&others);
        if let Some(more) = more {
            return Err(format!("without {found:?}: {}", more.join(", ")));
        }
        // Runs share nothing with the checks of files: what neither finds, both do not find together.
        let rows = self.found_with(&RUNS).unwrap_or_default();
        // Which of them it is only decides which rows there are: all of them run the same.
        found.extend(
            RUNS.into_iter()
                .filter(|check| rows.iter().any(|row| makes(*check, row))),
        );
        if found.is_empty() && !rows.is_empty() {
            return Err(format!("no check makes these rows: {}", rows.join(", ")));
        }
        match found.is_empty() {
            true => Err("nothing finds it".into()),
            false => Ok(found),
        }
    }
}

/// Whether a check makes such a row.
fn makes(check: Check, row: &str) -> bool {
    let extras = row.contains("lengths") || row.contains("resets");
    let probes = row.contains("gates to");
    match check {
        Check::Extras => extras,
        Check::Probes => probes,
        Check::Exact => row.starts_with("minrnn ") && !extras && !probes,
        Check::Portable => !row.starts_with("minrnn ") && !extras && !probes,
        _ => false,
    }
}

/// Each fault, and what finds it.
fn lines(faults: &[Fault]) -> Vec<String> {
    let line = |fault: &Fault| {
        let forged = (fault.make)();
        (fault.spoil)(&forged);
        let by = match forged.found_by() {
            Ok(by) => by,
            Err(why) => return format!("FAILS {}: {why}\n", fault.name),
        };
        let names: Vec<String> = by.iter().map(|check| format!("{check:?}")).collect();
        format!("{}: {}\n", fault.name, names.join(", "))
    };
    faults.iter().map(line).collect()
}

/// In two threads: no other test takes as long.
#[test]
fn each_fault_is_found_by_checks_without_which_it_passes() {
    let (first, second) = FAULTS.split_at(FAULTS.len() / 2);
    let lines = std::thread::scope(|scope| {
        let beside = scope.spawn(|| lines(second));
        [lines(first), beside.join().unwrap()].concat()
    });
    let text = lines.concat();
    assert!(!text.contains("FAILS"), "{text}");
    insta::assert_snapshot!("faults_and_the_checks_that_find_them", text);
    for check in FILES
        .into_iter()
        .chain([Check::Portable, Check::Exact, Check::Extras])
    {
        let named = text.contains(&format!("{check:?}"));
        assert!(named, "no fault needs {check:?}");
    }
}

/// Each export that faults are made of, as it was.
#[test]
fn what_is_not_spoiled_passes() {
    let mut seen = vec![];
    for fault in FAULTS {
        if !seen.contains(&(fault.make as usize)) {
            seen.push(fault.make as usize);
            let found = (fault.make)().found_without(&[]);
            assert!(
                found.is_none(),
                "{}: {}",
                fault.name,
                found.unwrap().join(", ")
            );
        }
    }
}
