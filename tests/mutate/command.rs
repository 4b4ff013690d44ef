//! `cargo run --release -p minrnn-tests --example mutate -- [--count N] [--from N] [--seed N] [--journal FILE] [--write FILE]`
//!
//! Makes mutants of small exports of every form, opens and runs each in this process, and prints what became of them. The
//! same numbers give the same mutants. The exit code is 1 if one panicked, took more than a second, or took more than
//! 64 MiB beyond its size. `--journal` keeps the number of the mutant that is being tried, for those that end the process;
//! `--readers` does the same with configurations, checkpoints, manifests, saved states and files to import;
//! `--bombs` tries the files of 1 MB that are made to cost much, and prints what each takes;
//! `--write` writes the mutant `--from` to a file and ends.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for developers"
)]

mod bomb;
mod campaign;
mod mutation;
mod random;
mod readers;
mod seed;
mod try_one;
mod wire;

use std::io::{Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A mutant that takes longer hangs.
const HANGS: Duration = Duration::from_secs(60);

struct Args {
    count: u64,
    from: u64,
    seed: u64,
    journal: Option<std::fs::File>,
    write: Option<std::ffi::OsString>,
    bombs: bool,
    readers: bool,
}

fn args() -> Result<Args, Box<dyn std::error::Error>> {
    let mut all = Args {
        count: 1_000_000,
        from: 0,
        seed: 7,
        journal: None,
        write: None,
        bombs: false,
        readers: false,
    };
    let mut given = std::env::args_os().skip(1);
    while let Some(name) = given.next() {
        if name == "--bombs" {
            all.bombs = true;
            continue;
        }
        if name == "--readers" {
            all.readers = true;
            continue;
        }
        let value = given.next().ok_or("each option has a value")?;
        let number = || value.to_string_lossy().parse::<u64>();
        match name.to_str() {
            Some("--count") => all.count = number()?,
            Some("--from") => all.from = number()?,
            Some("--seed") => all.seed = number()?,
            Some("--journal") => all.journal = Some(std::fs::File::create(&value)?),
            Some("--write") => all.write = Some(value),
            _ => return Err(format!("{name:?} is no option").into()),
        }
    }
    Ok(all)
}

/// Ends the process where one mutant takes for ever, with its number.
fn watch(now: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut last = (u64::MAX, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let index = now.load(Ordering::Relaxed);
            if index != last.0 {
                last = (index, Instant::now());
            } else if last.1.elapsed() > HANGS {
                eprintln!("mutant {index} hangs");
                std::process::exit(3);
            }
        }
    });
}

/// What each of the files takes that are made to take much.
fn bombs(seeds: &[seed::Seed]) {
    for (name, bytes) in bomb::all(seeds) {
        let took = try_one::try_one(&bytes, &MEMORY);
        let end = took.end.map_or("panic".into(), |end| format!("{end:?}"));
        let mib = took.memory as f64 / 1048576.0;
        println!(
            "{:>8} bytes {mib:6.1} MiB  open {:>10.1?}  all {:>10.1?}  {end:<22} {name}",
            bytes.len(),
            took.open,
            took.all
        );
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = args()?;
    let seeds = seed::all();
    if let Some(path) = args.write {
        let (bytes, how, name) = campaign::mutant(&seeds, args.seed, args.from);
        println!("{name}, {}", mutation::NAMES[how]);
        return Ok(std::fs::write(path, bytes)?);
    }
    try_one::count_panics();
    if args.bombs {
        bombs(&seeds);
        return Ok(());
    }
    let now = Arc::new(AtomicU64::new(args.from));
    watch(now.clone());
    let start = Instant::now();
    let mut counts = campaign::Counts::default();
    let place = args.readers.then(readers::Place::new);
    for index in args.from..args.from.saturating_add(args.count) {
        now.store(index, Ordering::Relaxed);
        if let Some(journal) = &mut args.journal {
            journal.rewind()?;
            writeln!(journal, "{index:>20}")?;
        }
        match &place {
            Some(place) => counts.add_reader(place, args.seed, index, &MEMORY),
            None => counts.add(&seeds, args.seed, index, &MEMORY),
        }
        if counts.mutants.is_multiple_of(50_000) {
            println!("{}\n", counts.text(start));
        }
    }
    println!("{}", counts.text(start));
    std::process::exit(i32::from(!counts.findings.is_empty()));
}
