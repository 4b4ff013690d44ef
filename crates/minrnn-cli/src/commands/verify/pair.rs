//! `minrnn verify` for any two files.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::written;
use crate::Outcome;
use crate::args;
use crate::files;
use crate::ui::Ui;
use crate::verify::against;
use crate::verify::pair::{Kind, Report, Request, StateSpec, compare, once, states_file};

pub(super) fn run(args: &args::Verify, ui: &Ui) -> Result<Outcome> {
    let request = request(args)?;
    let mut progress = ui.progress("verify", 0);
    let mut observe = |done: usize, total: usize, what: &str| {
        progress.share(done as u64, total as u64, || what.to_owned())
    };
    let pair = &args.pair;
    let pairs = match (&pair.sequence, &pair.step, &pair.against, &args.dir) {
        (Some(sequence), Some(step), ..) => {
            vec![compare(sequence, step, Kind::Step, &request, &mut observe)?]
        }
        (_, _, Some(reference), Some(given)) => {
            against::against(reference, given, &request, &mut observe)?
        }
        (.., Some(dir)) => {
            files::open_export(dir)?;
            against::forms(dir, &request, &mut observe)?
        }
        _ => bail!("name the folder of an export, or two files with --sequence and --step"),
    };
    drop(progress);
    let report = Report::new(pairs);
    write(args, &report, ui)?;
    if let (true, Some(engine)) = (report.holds, report.silent().first()) {
        bail!("{engine} was asked for and ran no case of any file; the notes above say why");
    }
    if report.is_open() && report.has_gaps() {
        bail!(
            "not all of the files was compared, so that it cannot be told whether they hold; the notes above say what is left"
        );
    }
    if report.is_open() {
        bail!("{}", report.question());
    }
    Ok(if report.holds {
        Outcome::Holds
    } else {
        Outcome::Fails
    })
}

fn write(args: &args::Verify, report: &Report, ui: &Ui) -> Result<()> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    let file = args.json.as_deref().filter(|p| *p != Path::new("-"));
    // What was asked for on stdout first: a file that cannot be written loses nothing of it.
    match args.json.is_some() && file.is_none() {
        true => ui.print(&json)?,
        false => ui.print(&report.text(ui.look().colour))?,
    }
    if let Some(path) = &args.report {
        written::markdown(path, &report.picture()?, |name| report.markdown(Some(name)))?;
    }
    file.map_or(Ok(()), |path| files::write(path, json.as_bytes()))
}

fn request(args: &args::Verify) -> Result<Request> {
    let pair = &args.pair;
    let states = match &pair.states {
        Some(path) => states_file(path).context("--states")?,
        None => pair.state.clone(),
    };
    for (i, state) in states.iter().enumerate() {
        let twice = |s: &&StateSpec| s.input == state.input || s.output == state.output;
        if let Some(other) = states[..i].iter().find(twice) {
            bail!(
                "the states {}={} and {}={} name one tensor twice; leave one of them out",
                other.input,
                other.output,
                state.input,
                state.output
            );
        }
    }
    if let Some(t) = pair.tolerance.filter(|t| !(t.is_finite() && *t >= 0.0)) {
        bail!("--tolerance {t}: give a number of at least 0");
    }
    Ok(Request {
        names: pair.map.clone(),
        states,
        dims: once("--dim", &pair.dim)?,
        inputs: once("--input", &pair.input)?,
        ignored: pair.ignore_output.clone(),
        values: once("--value", &pair.value)?,
        seed: args.seed,
        longest: args.max_len,
        tolerance: pair.tolerance,
        bisect: pair.bisect,
        engines: super::engines(args)?,
    })
}

/// Flags that would have no effect on the verification of an export.
pub(super) fn refuse_flags(pair: &args::Pair) -> Result<()> {
    let given = [
        ("--state", !pair.state.is_empty()),
        ("--states", pair.states.is_some()),
        ("--dim", !pair.dim.is_empty()),
        ("--input", !pair.input.is_empty()),
        ("--value", !pair.value.is_empty()),
        ("--map", !pair.map.is_empty()),
        ("--ignore-output", !pair.ignore_output.is_empty()),
        ("--tolerance", pair.tolerance.is_some()),
    ];
    match given.iter().find(|(_, is)| *is) {
        Some((flag, _)) => {
            bail!("{flag} is for two files: give --sequence and --step, or --against")
        }
        None => Ok(()),
    }
}
