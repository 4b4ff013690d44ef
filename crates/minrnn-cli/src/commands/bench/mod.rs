//! `minrnn bench`.

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
use crate::args::{Bench, BenchWhat};
use crate::ui::Ui;

#[cfg(feature = "cuda")]
pub(super) fn run(args: &Bench, ui: &Ui) -> Result<Outcome> {
    let gpu = match args.what.device().open()? {
        minrnn_train::trainer::Device::Cuda(gpu) => gpu,
        _ => return refuse(args),
    };
    let only = |name: &str| {
        let wanted = args.what.only();
        wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str()))
    };
    let (json, text) = match &args.what {
        BenchWhat::Scan(_) => scan::run(&gpu, ui, &only)?,
        BenchWhat::Train(_) => train::run(&gpu, ui, &only, args.what.flags())?,
    };
    if let Some(path) = args.what.json() {
        let text = serde_json::to_string_pretty(&json)? + "\n";
        crate::files::write(path, text.as_bytes())?;
    }
    ui.print(&text)?;
    Ok(Outcome::Holds)
}

#[cfg(not(feature = "cuda"))]
pub(super) fn run(args: &Bench, _: &Ui) -> Result<Outcome> {
    refuse(args)
}

fn refuse(args: &Bench) -> Result<Outcome> {
    let what = match args.what {
        BenchWhat::Scan(_) => "scan",
        BenchWhat::Train(_) => "train",
    };
    anyhow::bail!(
        "bench {what} measures a GPU: give it --device cuda, in a build with --features cuda; for the CPU there is `cargo run --release -p minrnn-kernels --example bench_scan`"
    )
}
