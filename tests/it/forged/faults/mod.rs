//! Faults made by hand, each with the checks that find it: alone each of them does, and without them the export passes. A check
//! that finds nothing here would not be known to work.

mod list;

use minrnn_cli::verify::{Check, Export, Off, Options, verify};

use super::Forged;
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
/// By running it; these read the files in the same engines, so that they stand and fall together.
const RUNS: [Check; 4] = [Check::Portable, Check::Exact, Check::Extras, Check::Probes];

/// An export, and what is done to it.
struct Fault {
    name: &'static str,
    make: fn() -> Forged,
    spoil: fn(&Forged),
}

impl Forged {
    /// Whether it passes without these checks, against its checkpoint.
    fn passes_without(&self, off: &[Check]) -> bool {
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
        report.is_ok_and(|r| r.holds)
    }

    /// The checks that find something, each alone.
    fn found_by(&self) -> Vec<Check> {
        let alone = |checks: &[Check]| {
            let all = FILES.iter().chain(&RUNS);
            let others: Vec<Check> = all.filter(|c| !checks.contains(c)).copied().collect();
            !self.passes_without(&others)
        };
        let files = FILES.into_iter().filter(|check| alone(&[*check]));
        let mut found: Vec<Check> = files.collect();
        // The limit that a file says is tried in an engine.
        if alone(&RUNS) {
            found.extend(RUNS);
        }
        found
    }
}

#[test]
#[ignore = "some minutes, and not yet seen whole: cargo test -p minrnn-tests --test it -- --ignored faults"]
fn each_fault_is_found_by_checks_without_which_it_passes() {
    let mut text = String::new();
    for fault in FAULTS {
        let forged = (fault.make)();
        (fault.spoil)(&forged);
        let by = forged.found_by();
        assert!(!by.is_empty(), "{}: nothing finds it", fault.name);
        assert!(!forged.passes_without(&[]), "{}: it passes", fault.name);
        assert!(
            forged.passes_without(&by),
            "{}: something else finds it than {by:?}",
            fault.name
        );
        let names: Vec<String> = by.iter().map(|check| format!("{check:?}")).collect();
        text += &format!("{}: {}\n", fault.name, names.join(", "));
    }
    insta::assert_snapshot!("faults_and_the_checks_that_find_them", text);
    for check in FILES {
        let named = text.contains(&format!("{check:?}"));
        assert!(named, "no fault needs {check:?}");
    }
}

/// Each export that faults are made of, as it was.
#[test]
#[ignore = "some minutes: the exports of the faults, unspoiled"]
fn what_is_not_spoiled_passes() {
    let mut seen = vec![];
    for fault in FAULTS {
        if !seen.contains(&(fault.make as usize)) {
            seen.push(fault.make as usize);
            assert!((fault.make)().passes_without(&[]), "{}", fault.name);
        }
    }
}
