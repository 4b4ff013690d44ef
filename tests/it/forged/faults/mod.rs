//! Faults made by hand, each with the checks that find it: alone each of them does, and without them the export passes. A check
//! that finds nothing here would not be known to work.

mod list;

use minrnn_cli::verify::{Check, Export, Off, Options, verify};

use super::Forged;
use list::FAULTS;

/// What an export is held to without running it.
const FILES: [Check; 21] = [
    Check::Hashes,
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
/// By running it; these read the files in the same engines, so that they stand and fall together.
const RUNS: [Check; 4] = [Check::Portable, Check::Exact, Check::Extras, Check::Probes];

/// An export, and what is done to it.
struct Fault {
    name: &'static str,
    make: fn() -> Forged,
    spoil: fn(&Forged),
}

impl Forged {
    /// What is found without these checks, against its checkpoint.
    fn found_without(&self, off: &[Check]) -> Option<String> {
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
            Ok(report) if report.holds => None,
            Ok(report) => Some(wrong(&report).join(", ")),
            Err(error) => Some(format!("{error:#}")),
        }
    }

    /// Whether these checks find something, all others left out.
    fn is_found_by(&self, checks: &[Check]) -> bool {
        let all = FILES.iter().chain(&RUNS);
        let others: Vec<Check> = all.filter(|c| !checks.contains(c)).copied().collect();
        self.found_without(&others).is_some()
    }

    /// The checks that find something, each alone. All others together find nothing.
    fn found_by(&self, name: &str) -> Vec<Check> {
        let files = FILES.into_iter().filter(|check| self.is_found_by(&[*check]));
        let mut found: Vec<Check> = files.collect();
        let others: Vec<Check> = found.iter().chain(&RUNS).copied().collect();
        let more = self.found_without(&others);
        assert!(more.is_none(), "{name}: without {found:?} {}", more.unwrap());
        // Runs share nothing with the checks of files: what neither finds, both do not find together.
        if self.is_found_by(&RUNS) {
            found.extend(RUNS);
        }
        assert!(!found.is_empty(), "{name}: nothing finds it");
        found
    }
}

/// Each fault, and what finds it.
fn lines(faults: &[Fault]) -> Vec<String> {
    let line = |fault: &Fault| {
        let forged = (fault.make)();
        (fault.spoil)(&forged);
        let by = forged.found_by(fault.name);
        let files = by.iter().filter(|check| !RUNS.contains(check));
        let mut names: Vec<String> = files.map(|check| format!("{check:?}")).collect();
        if by.ends_with(&RUNS) {
            names.push("runs".into());
        }
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
    insta::assert_snapshot!("faults_and_the_checks_that_find_them", text);
    for check in FILES {
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
            assert!(found.is_none(), "{}: {}", fault.name, found.unwrap());
        }
    }
}
