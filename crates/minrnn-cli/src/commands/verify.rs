//! `minrnn verify`.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::engines::refuse_unused;
use crate::Outcome;
use crate::args::Verify;
use crate::averaged::averaged;
use crate::files;
use crate::given::{Given, flag};
use crate::outputs::Outputs;
use crate::ui::Ui;
use crate::verify::contender::Roster;
use crate::verify::{self, Options, Report};

mod pair;
pub(super) mod written;

/// The engines that were asked for, started.
fn engines(args: &Verify) -> Result<Roster> {
    Ok(args.engines.programs.open(&args.engines.engine)?)
}

/// The report over a file that is compared would be the last that is seen of it.
fn check_outputs(args: &Verify) -> Result<()> {
    let pair = &args.pair;
    let picture = args
        .report
        .as_deref()
        .map(written::picture_of)
        .transpose()?;
    Outputs::new()
        .reads_onnx("EXPORT_DIR", args.dir.as_deref())
        .reads_onnx("--sequence", pair.sequence.as_deref())
        .reads_onnx("--step", pair.step.as_deref())
        .reads_onnx("--against", pair.against.as_deref())
        .reads("--states", pair.states.as_deref())
        .reads_folder("--checkpoint", args.checkpoint.as_deref())
        .writes("--json", args.json.as_deref())
        .writes("--report", args.report.as_deref())
        .writes("picture of --report", picture.as_deref())
        .check()
}

pub(super) fn run(args: &Verify, given: &Given, ui: &Ui) -> Result<Outcome> {
    check_outputs(args)?;
    refuse_unused(given, &args.engines.engine)?;
    if args.pair.sequence.is_some() || args.pair.against.is_some() || args.pair.bisect {
        return pair::run(args, ui);
    }
    pair::refuse_flags(&args.pair)?;
    let dir = args
        .dir
        .as_deref()
        .context("name the folder of an export")?;
    if dir.is_file() {
        bail!(
            "{} is a file, and one file is held to nothing: name the folder of an export, or two files as --against REF.onnx FILE or --sequence A.onnx --step B.onnx",
            dir.display()
        );
    }
    let export = files::open_export(dir)?.with_memory(args.memory);
    if let Some(only) = export.only_length() {
        let idle = ["max_len", "budget"].into_iter().find(|f| given.has(f));
        if let Some(name) = idle {
            bail!(
                "{} would change nothing: the files take T = {only} only; leave it out",
                flag(name)
            );
        }
    }
    let roster = engines(args)?;
    let (model, params) = match &args.checkpoint {
        Some(path) => {
            let loaded = files::load_checkpoint(path)?;
            let words = loaded.checkpoint.vocabulary.as_ref();
            verify::belongs(&export, &loaded.model, words)?;
            export.has_average(averaged(&loaded.checkpoint).as_ref())?;
            (loaded.model, loaded.params)
        }
        None => {
            let model = export.model()?;
            let params = export.params(&model)?;
            (model, params)
        }
    };
    let usual = match args.quick {
        true => Options::quick(),
        false => Options::default(),
    };
    let options = Options {
        seed: args.seed,
        longest: args.max_len.or(usual.longest),
        budget: args.budget,
        probe_steps: args.probe_len.unwrap_or(usual.probe_steps),
        quick: args.quick,
    };
    let mut progress = ui.progress("verify", 0);
    let mut observe = |done: usize, total: usize, what: &str| {
        progress.share(done as u64, total as u64, || what.to_owned())
    };
    let report = verify::verify(&export, &model, &params, &options, &mut observe)?;
    let (mut report, mut silent) = (report.with(vec![], not_looked_at(dir)), vec![]);
    if !args.engines.engine.is_empty() {
        let bounds = (args.seed, args.max_len);
        let heard = verify::heard(&export, &roster, bounds, &mut observe)?;
        report = report.with(heard.rows, heard.notes);
        silent = heard.silent;
    }
    drop(progress);
    write(args, &report, ui)?;
    if let (true, Some(engine)) = (report.holds, silent.first()) {
        bail!("{engine}");
    }
    Ok(if report.holds {
        Outcome::Holds
    } else {
        Outcome::Fails
    })
}

/// A copy in a folder of its own is not of this export, and may be taken for it.
fn not_looked_at(dir: &Path) -> Vec<String> {
    let below = verify::graphs_below(dir);
    let Some(first) = below.first() else {
        return vec![];
    };
    let more = match below.len() {
        1 => String::new(),
        n => format!(" and {} more ONNX files", n - 1),
    };
    vec![format!(
        "folders in {} are not looked at: {}{more} may be of other weights",
        dir.display(),
        first.display()
    )]
}

fn write(args: &Verify, report: &Report, ui: &Ui) -> Result<()> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    let file = args.json.as_deref().filter(|p| *p != Path::new("-"));
    // What was asked for on stdout first: a file that cannot be written loses nothing of it.
    match args.json.is_some() && file.is_none() {
        true => ui.print(&json)?,
        false => {
            let look = ui.look();
            ui.print(&report.text(look.width, look.colour))?;
        }
    }
    if let Some(path) = &args.report {
        written::markdown(path, &report.picture()?, |name| report.markdown(Some(name)))?;
    }
    if let Some(path) = file {
        files::write(path, json.as_bytes())?;
    }
    Ok(())
}
