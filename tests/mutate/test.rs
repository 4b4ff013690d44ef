//! A bounded share of the mutants that `cargo run --release -p minrnn-tests --example mutate` makes a million of.

#![allow(missing_docs, clippy::unwrap_used, reason = "test code")]

mod bomb;
mod campaign;
mod mutation;
mod random;
mod readers;
mod seed;
mod try_one;
mod wire;

use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// How long the share may take, and how many it is at most.
const LONG: Duration = Duration::from_secs(20);
/// That of the other files.
const SHORT: Duration = Duration::from_secs(6);
const MANY: u64 = 20_000;
/// However slow the machine.
const LEAST: u64 = 1000;

/// Files made to cost much, then mutants. One test: memory is counted for the whole process.
#[test]
fn mutants_of_every_file_are_refused_or_run() {
    let seeds = seed::all();
    for seed in &seeds {
        let bytes = wire::write(&seed.tree);
        let took = try_one::try_one(&bytes, &MEMORY);
        let name = seed.name;
        assert_eq!(took.end, Some(try_one::End::Ran), "the good file of {name}");
        assert_eq!(took.panics, 0, "the good file of {name}");
    }
    try_one::count_panics();
    for (name, bytes) in bomb::all(&seeds) {
        let took = try_one::try_one(&bytes, &MEMORY);
        assert_eq!(campaign::wrong(&took, bytes.len()), None, "{name}");
    }
    let start = Instant::now();
    let mut counts = campaign::Counts::default();
    let mut index = 0;
    while index < LEAST || (index < MANY && start.elapsed() < LONG) {
        counts.add(&seeds, 1, index, &MEMORY);
        index += 1;
    }
    check(&counts, start);
    let start = Instant::now();
    let mut counts = campaign::Counts::default();
    let place = readers::Place::new();
    let mut index = 0;
    while index < LEAST || (index < MANY && start.elapsed() < SHORT) {
        counts.add_reader(&place, 1, index, &MEMORY);
        index += 1;
    }
    check(&counts, start);
}

fn check(counts: &campaign::Counts, start: Instant) {
    let text = counts.text(start);
    assert!(counts.findings.is_empty(), "{text}");
    assert!(counts.mutants >= LEAST, "{text}");
}
