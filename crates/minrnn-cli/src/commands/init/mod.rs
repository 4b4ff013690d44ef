//! `minrnn init`.

mod columns;
mod csv;
mod format;
mod guess;
mod left_out;
mod npz;
mod text;
mod write;

use anyhow::{Context, Result, bail};

use crate::Outcome;
use crate::args::{Init, InitKind};
use crate::config::Config;
use crate::memory;
use crate::ui::{Ui, visible};

pub(super) fn run(args: &Init, ui: &Ui) -> Result<Outcome> {
    refuse_unused(args)?;
    let file = args.file.as_deref();
    let (text, notes) = match args.kind {
        InitKind::Text => (text::configuration(file)?, vec![]),
        InitKind::Csv => csv::configuration(args)?,
        InitKind::Npz => (npz::configuration(file)?, vec![]),
    };
    for note in notes {
        ui.error(&format!("note: {}", visible(&note)));
    }
    if let Some(file) = file {
        opens(&text).with_context(|| format!("no configuration fits {}", file.display()))?;
    }
    ui.print(&text)?;
    Ok(Outcome::Holds)
}

/// What is written is a configuration, and its data can be read: a training would begin.
fn opens(text: &str) -> Result<()> {
    let config = Config::parse("the configuration", text, &[])?;
    let (task, seed) = (&config.train.task, config.train.train.seed);
    task.open_within(seed, memory::available())
        .map(drop)
        .map_err(|e| config.explain(e))
}

fn refuse_unused(args: &Init) -> Result<()> {
    let given = [
        ("--id-column", args.id_column.is_some()),
        ("--target-column", !args.target_column.is_empty()),
        ("--delimiter", args.delimiter.is_some()),
        ("--header", args.header.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) if args.kind != InitKind::Csv => {
            bail!("{flag} is of CSV files; leave it out, or use `minrnn init csv`")
        }
        _ => Ok(()),
    }
}
