//! `minrnn bench`.

mod engines;
mod infer;
#[cfg(feature = "cuda")]
mod memory;
#[cfg(feature = "cuda")]
mod models;
#[cfg(any(feature = "cuda", test))]
mod peers;
#[cfg(feature = "cuda")]
mod scan;
mod steps;
#[cfg(feature = "cuda")]
mod train;

use std::path::Path;

use anyhow::{Result, bail};

use crate::Outcome;
use crate::args::{Bench, BenchOptions, BenchScan, BenchTrain, BenchWhat};
use crate::given::Given;
use crate::outputs::Outputs;
use crate::ui::Ui;

/// Precisions of `bench train`.
const PRECISIONS: [&str; 3] = ["f32", "tf32", "bf16"];

pub(super) fn run(args: &Bench, given: &Given, ui: &Ui) -> Result<Outcome> {
    if let BenchWhat::Scan(BenchScan { options, .. })
    | BenchWhat::Train(BenchTrain { options, .. }) = &args.what
    {
        let json = options.json.as_deref();
        Outputs::new().writes("--json", json).check()?;
    }
    match &args.what {
        BenchWhat::Infer(options) => infer::run(options, given, ui),
        BenchWhat::Engines(options) => engines::run(options, given, ui),
        BenchWhat::Scan(BenchScan { options, python }) => {
            on_gpu(Work::Scan(python.as_deref()), options, ui)
        }
        BenchWhat::Train(train) => {
            refuse_unused(train)?;
            let BenchTrain {
                options,
                profile,
                tuned,
                python,
                ..
            } = train;
            if options.is_on_cpu() {
                return steps::run(train, ui);
            }
            if given.has("rounds") {
                bail!(
                    "--rounds would change nothing: it is of steps on the CPU; leave it out, or give --device cpu"
                );
            }
            on_gpu(
                Work::Train(*profile, *tuned, python.as_deref()),
                options,
                ui,
            )
        }
    }
}

/// The row of `bench train` that `--profile` takes apart.
fn language_model(precision: &str) -> String {
    format!("language model {precision}")
}

fn is_wanted(only: &[String], name: &str) -> bool {
    only.is_empty() || only.iter().any(|w| name.contains(w.as_str()))
}

fn refuse_unused(train: &BenchTrain) -> Result<()> {
    let only = &train.options.only;
    let mut rows = PRECISIONS.map(language_model).into_iter();
    if train.profile && !rows.any(|name| is_wanted(only, &name)) {
        bail!(
            "--profile would change nothing: it is of the language model, which --only leaves out; leave one of them out, or add --only 'language model'"
        );
    }
    Ok(())
}

/// What is measured on a GPU.
#[cfg_attr(
    not(feature = "cuda"),
    allow(dead_code, reason = "a build without CUDA measures none of it")
)]
#[derive(Clone, Copy)]
enum Work<'a> {
    /// Kernels, with `--python`.
    Scan(Option<&'a Path>),
    /// Steps, with `--profile`, `--tuned` and `--python`.
    Train(bool, bool, Option<&'a Path>),
}

impl Work<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Scan(_) => "scan",
            Self::Train(..) => "train",
        }
    }
}

#[cfg(feature = "cuda")]
fn on_gpu(work: Work<'_>, options: &BenchOptions, ui: &Ui) -> Result<Outcome> {
    let gpu = match options.device.open()? {
        minrnn_train::trainer::Device::Cuda(gpu) => gpu,
        _ => return refuse(work.name()),
    };
    let names = std::cell::RefCell::new(vec![]);
    let only = |name: &str| {
        names.borrow_mut().push(name.to_owned());
        is_wanted(&options.only, name)
    };
    let (json, text) = match work {
        Work::Scan(python) => {
            let wanted = |name: &String| is_wanted(&options.only, name);
            if python.is_some() && !scan::bare().iter().any(wanted) {
                bail!(
                    "--python would change nothing: other packages have the recurrence alone, which --only leaves out; leave one of them out, or add --only linear_scan"
                );
            }
            let peers = python.map(|python| peers::Peers::start(python, options.ordinal()));
            scan::run(&gpu, ui, &only, peers.transpose()?)?
        }
        Work::Train(profile, tuned, python) => {
            train::run(&gpu, ui, &only, (profile, tuned), python)?
        }
    };
    // The table first: a file that cannot be written loses no figures.
    ui.print(&text)?;
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&json)? + "\n";
        crate::files::write(path, text.as_bytes())?;
    }
    let names = names.into_inner();
    let is_of_none = |word: &&String| !names.iter().any(|name| name.contains(word.as_str()));
    if let Some(word) = options.only.iter().find(is_of_none) {
        bail!(
            "--only {word:?} is in the name of no row; there are: {}",
            names.join("; ")
        );
    }
    Ok(Outcome::Holds)
}

#[cfg(not(feature = "cuda"))]
fn on_gpu(work: Work<'_>, _: &BenchOptions, _: &Ui) -> Result<Outcome> {
    refuse(work.name())
}

fn refuse(what: &str) -> Result<Outcome> {
    bail!(
        "bench {what} measures a GPU: give it --device cuda, in a build with --features cuda; for the CPU there is `minrnn bench infer`, and `cargo run --release -p minrnn-kernels --example bench_scan`"
    )
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::args::{Args, Command};

    fn said(line: &str) -> Result<(), String> {
        let matches = Args::command().try_get_matches_from(line.split(' '));
        let args = Args::from_arg_matches(&matches.map_err(|e| e.to_string())?);
        match args.unwrap().command {
            Command::Bench(Bench {
                what: BenchWhat::Train(train),
            }) => refuse_unused(&train).map_err(|e| e.to_string()),
            _ => Ok(()),
        }
    }

    #[test]
    fn a_profile_needs_the_language_model() {
        for line in ["", " --only bf16", " --only layer --only language"] {
            said(&format!("minrnn bench train --profile{line}")).unwrap();
        }
        let error = said("minrnn bench train --profile --only layer").unwrap_err();
        assert!(error.contains("--profile would change nothing"), "{error}");
        said("minrnn bench train --only layer").unwrap();
        let error = said("minrnn bench scan --profile").unwrap_err();
        assert!(error.contains("'--profile'"), "{error}");
    }
}
