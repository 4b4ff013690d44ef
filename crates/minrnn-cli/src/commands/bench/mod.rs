//! `minrnn bench`.

mod engines;
mod infer;
#[cfg(feature = "cuda")]
mod memory;
#[cfg(feature = "cuda")]
mod models;
#[cfg(feature = "cuda")]
mod scan;
#[cfg(feature = "cuda")]
mod train;

use anyhow::Result;

use crate::Outcome;
use crate::args::{Bench, BenchOptions, BenchWhat};
use crate::ui::Ui;

pub(super) fn run(args: &Bench, ui: &Ui) -> Result<Outcome> {
    match &args.what {
        BenchWhat::Infer(options) => infer::run(options, ui),
        BenchWhat::Engines(options) => engines::run(options, ui),
        BenchWhat::Scan(options) => on_gpu("scan", options, ui),
        BenchWhat::Train(options) => on_gpu("train", options, ui),
    }
}

/// `scan` or `train`.
#[cfg(feature = "cuda")]
fn on_gpu(what: &str, options: &BenchOptions, ui: &Ui) -> Result<Outcome> {
    let gpu = match options.device.open()? {
        minrnn_train::trainer::Device::Cuda(gpu) => gpu,
        _ => return refuse(what),
    };
    let only = |name: &str| {
        let wanted = &options.only;
        wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str()))
    };
    let (json, text) = match what {
        "scan" => scan::run(&gpu, ui, &only)?,
        _ => train::run(&gpu, ui, &only, (options.profile, options.tuned))?,
    };
    // The table first: a file that cannot be written loses no figures.
    ui.print(&text)?;
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&json)? + "\n";
        crate::files::write(path, text.as_bytes())?;
    }
    Ok(Outcome::Holds)
}

#[cfg(not(feature = "cuda"))]
fn on_gpu(what: &str, _: &BenchOptions, _: &Ui) -> Result<Outcome> {
    refuse(what)
}

fn refuse(what: &str) -> Result<Outcome> {
    anyhow::bail!(
        "bench {what} measures a GPU: give it --device cuda, in a build with --features cuda; for the CPU there is `minrnn bench infer`, and `cargo run --release -p minrnn-kernels --example bench_scan`"
    )
}
