//! `minrnn repro`: the paper's experiments, from committed configurations.

mod after;
mod budget;
mod context;
mod cost;
mod exact;
mod experiment;
mod folder;
mod fresh;
mod infer;
mod missing;
mod outcome;
mod parcel;
mod plot;
mod proof;
mod python;
mod queue;
mod ratio;
mod scan_error;
mod settings;
mod step;
mod stream;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod torch;
mod train;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::Outcome as Code;
use crate::args::{self, Repro};
use crate::files;
use crate::interrupt;
use crate::lock::Lock;
use crate::ui::Ui;
use budget::Budget;
use context::Context;
use experiment::{Experiment, Kind};
use folder::{Folder, Identity, RESULTS};
use queue::{Asked, Item, queue};
use train::Ran;

const MARKDOWN: &str = "table.md";
const CSV: &str = "results.csv";
/// Where the text of `--text` may be named.
const TEXT: &str = "MINRNN_TEXT";

pub(super) fn run(args: &Repro, ui: &Ui) -> Result<Code> {
    let budget = Budget::new(args.budget);
    let experiment = Experiment::of(args.name)?;
    let asked = Asked {
        small: args.small,
        seeds: &args.seeds,
        only: &args.only,
        python: args.python.is_some(),
    };
    let items = queue(&experiment, asked)?;
    let text = text(args, &experiment)?;
    let on_gpu = args.device != args::device::Device::Cpu;
    if on_gpu && experiment.cpu_only {
        bail!(
            "--device would change nothing: {} is of the CPU; leave it out",
            experiment.name
        );
    }
    let dir = args.out.clone().unwrap_or_else(|| {
        let small = if args.small { "-small" } else { "" };
        Path::new("runs").join(format!("{}{small}", experiment.name))
    });
    let cx = Context {
        experiment: &experiment,
        ui,
        device: args.device.open()?,
        place: if on_gpu { "cuda" } else { "cpu" },
        budget,
        small: args.small,
        torch: std::cell::RefCell::new(None),
        costs: Default::default(),
        text,
        dir,
    };
    // What is wrong without a step is wrong before the first run and not after the tenth.
    for item in items.iter().filter(|i| i.row.kind == Kind::Train) {
        let config = cx.experiment.config(item.row, cx.wish(item.case))?;
        config.train.validate().map_err(|e| config.explain(e))?;
    }
    if let Some(python) = &args.python {
        *cx.torch.borrow_mut() = Some(python::Torch::start(python, cx.place)?);
    }
    let _lock = Lock::inside(&cx.dir, ui)?;
    let mut folder = Folder::open(&cx.dir, identity(&cx)?, &experiment)?;
    for other in &args.from {
        for note in folder.take(other)? {
            ui.note(&note);
        }
    }
    for note in folder.forget() {
        ui.note(&note);
    }
    if let Some(note) = table::other_text(folder.of()) {
        ui.error(&format!("note: {note}"));
    }
    let ended = work(&cx, &items, &mut folder)?;
    cx.tidy();
    write(&cx, &folder)?;
    ui.print(&format!(
        "{}\n",
        table::table(&experiment, &folder.done, cx.small)
    ))?;
    ui.note(&format!(
        "tables: {}, {CSV}, {RESULTS}",
        cx.dir.join(MARKDOWN).display()
    ));
    let left = items.iter().filter(|i| !is_there(&cx, i, &folder)).count();
    if left > 0 {
        ui.error(&format!(
            "{} of {} runs are done; the same command goes on",
            items.len() - left,
            items.len()
        ));
    }
    if ended {
        return Ok(Code::Interrupted);
    }
    Ok(match folder.done.iter().any(outcome::Done::fails) {
        true => Code::Fails,
        false => Code::Holds,
    })
}

fn is_there(cx: &Context, item: &Item, folder: &Folder) -> bool {
    folder.has(&item.row.name, &item.case(), item.row.kind.place(cx.place))
}

/// Works through the queue as far as the budget goes; whether a signal ended it.
fn work(cx: &Context, items: &[Item], folder: &mut Folder<'_>) -> Result<bool> {
    let mut begun = false;
    for item in items {
        if is_there(cx, item, folder) {
            continue;
        }
        if begun && cx.budget.is_over() {
            break;
        }
        let ran = one(cx, item, folder, begun)
            .with_context(|| format!("{}, {}", item.row.name, item.case()))?;
        begun = true;
        match ran {
            Ran::Done(mut done) => {
                let settings = cx.experiment.settings(&done.outcome, cx.small);
                done.outcome.settings = settings.unwrap_or_default();
                for note in folder.add(*done)? {
                    cx.ui.note(&note);
                }
            }
            Ran::Saved if interrupt::asked() => return Ok(true),
            Ran::Saved | Ran::Later => break,
        }
        write(cx, folder)?;
        if interrupt::asked() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn one(cx: &Context, item: &Item, folder: &Folder<'_>, begun: bool) -> Result<Ran> {
    let of = |row: &str| -> Vec<&outcome::Done> {
        folder
            .done
            .iter()
            .filter(|d| d.outcome.row == row && d.outcome.device == cx.place)
            .collect()
    };
    match item.row.kind {
        Kind::Train => train::run(cx, item, begun),
        Kind::Stream => {
            let through = folder.best(item.row.of.as_deref().unwrap_or_default());
            stream::run(cx, item, through, begun)
        }
        Kind::Step => step::run(cx, item, &of(&item.row.name)),
        Kind::Torch => torch::run(cx, item, &of(&item.row.name)),
        Kind::Infer => infer::run(cx, item),
        Kind::ScanError => scan_error::run(cx, item),
        Kind::Exact => exact::run(cx, item),
    }
}

/// The text, of experiments that need one.
fn text(args: &Repro, experiment: &Experiment) -> Result<Option<PathBuf>> {
    if !experiment.text {
        if args.text.is_some() {
            bail!(
                "--text would change nothing: {} makes its data itself; leave it out",
                experiment.name
            );
        }
        return Ok(None);
    }
    let named = std::env::var_os(TEXT).map(PathBuf::from);
    let Some(path) = args.text.clone().or(named) else {
        bail!(
            "{} needs the tinyshakespeare text, and nothing is downloaded: give --text FILE, or its path in the environment variable {TEXT}. It is `data/tinyshakespeare/input.txt` of the repository karpathy/char-rnn on GitHub, 1,115,394 bytes",
            experiment.name
        );
    };
    if path.to_str().is_none() {
        bail!("--text {}: the path is not Unicode", path.display());
    }
    Ok(Some(path))
}

fn identity(cx: &Context) -> Result<Identity> {
    let text = match &cx.text {
        Some(path) => {
            let bytes = std::fs::read(path)
                .with_context(|| format!("cannot read --text {}", path.display()))?;
            Some(parcel::hex(&bytes))
        }
        None => None,
    };
    Ok(Identity {
        experiment: cx.experiment.name.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        small: cx.small,
        text,
    })
}

/// The tables and the pictures of the runs that are over.
fn write(cx: &Context, folder: &Folder<'_>) -> Result<()> {
    let (experiment, done) = (cx.experiment, &folder.done);
    let mut pictures = vec![];
    for spec in &experiment.plot {
        if let Some(svg) = plot::svg(experiment, spec, done)? {
            files::write(&cx.dir.join(format!("{}.svg", spec.name)), svg.as_bytes())?;
            pictures.push(spec.name.clone());
        }
    }
    files::write(&cx.dir.join(CSV), table::csv(experiment, done).as_bytes())?;
    let gaps = missing::gaps(experiment, cx.small, folder);
    let page = table::markdown(experiment, folder.of(), done, (&gaps, &pictures));
    files::write(&cx.dir.join(MARKDOWN), page.as_bytes())
}
