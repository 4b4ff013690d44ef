//! `minrnn eval`.

mod classes;
mod figures;
mod models;
mod report;
mod show;
mod source;
#[cfg(test)]
mod tests;
mod values;

use anyhow::{Result, bail};
use minrnn_train::task::{Batch, Split, TaskConfig};

use crate::Outcome;
use crate::args::{Eval, Part, RunForm};
use crate::files;
use crate::given::Given;
use crate::measure::Held;
use crate::outputs::Outputs;
use crate::ui::Ui;
use figures::Figures;
use models::Models;
use report::remarks;
pub(super) use report::{Entry, OfClasses, Report, Shown, Value};
pub(super) use source::{Subject, open as open_data};

/// Windows that candle runs at once, at most.
const ROWS: usize = 32;
/// Values of one tensor of such a batch, at most: it stays small beside the model.
const VALUES: usize = 1 << 21;

pub(super) fn run(args: &Eval, given: &Given, ui: &Ui) -> Result<Outcome> {
    check_outputs(args)?;
    let subject = Subject::open(&args.dir)?.with_memory(args.memory);
    source::refuse_unused(args, given, &subject)?;
    let held = source::open(args, &subject)?;
    Outputs::new()
        .reads_task(&held.config)
        .writes("--json", args.json.as_deref())
        .check()?;
    let (split, whole) = part(args, &held);
    let windows = windows(args, &held, split)?;
    if let Some(asked) = args.samples.filter(|n| *n > windows.of) {
        ui.note(&format!(
            "note: --samples {asked}: the {} part has {} windows; all of them are measured",
            split.name(),
            windows.of
        ));
    }
    let what = (split, whole, windows);
    let report = measured(&subject, &held, (args.form, what), ui, &mut |_, _| {})?;
    write(args, &report, ui)?;
    Ok(Outcome::Holds)
}

/// The report of a part, whole or not, and of so many windows; `see` is shown each batch with what the first model said.
pub(super) fn measured(
    subject: &Subject,
    held: &Held,
    (form, (split, whole, windows)): (Option<RunForm>, (Split, bool, Windows)),
    ui: &Ui,
    see: &mut dyn FnMut(&Batch, &[f32]),
) -> Result<Report> {
    let mut notes = held.notes.clone();
    notes.extend(drawn(held, split));
    for note in &notes {
        ui.note(&format!("note: {note}"));
    }
    let models = Models::open(subject, form, (held, split, windows.count), ui)?;
    let all = measure(&models, held, (split, windows.count), ui, see)?;
    let remarks = all.first().map(|(_, figures)| remarks(figures, held));
    for remark in remarks.unwrap_or_default() {
        ui.note(&format!("note: {remark}"));
        notes.push(remark);
    }
    Ok(Report::new(
        subject,
        held,
        (split, whole),
        windows,
        &all,
        notes,
    ))
}

/// How many windows are measured, of how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub(super) count: u64,
    pub(super) of: u64,
}

/// The part that is measured, and whether it is a whole file.
pub(super) fn part(args: &Eval, held: &Held) -> (Split, bool) {
    match args.split {
        _ if held.whole => (Split::Test, true),
        Part::Train => (Split::Train, false),
        Part::Validation => (Split::Validation, false),
        Part::Test => (Split::Test, false),
    }
}

pub(super) fn windows(args: &Eval, held: &Held, split: Split) -> Result<Windows> {
    let task = &*held.task;
    let Some(of) = task.len(split) else {
        let count = args.samples;
        let Some(count) = count else {
            bail!(
                "--split {}: the task makes new samples without end; --samples N says how many are measured",
                split.name()
            );
        };
        return Ok(Windows { count, of: count });
    };
    if of > 0 {
        let count = args.samples.map_or(of, |n| of.min(n));
        return Ok(Windows { count, of });
    }
    if split != Split::Test {
        bail!(
            "the task has no {} part (task.{0}_fraction is 0); --split chooses another one, --data FILE measures other data",
            split.name()
        );
    }
    let why = match matches!(held.config, TaskConfig::Text(_)) {
        true => "a text is divided into a training and a validation part only",
        false => "task.test_fraction is 0, and no sequences were kept for it",
    };
    let other = match task.len(Split::Validation) {
        Some(0) => "",
        _ => "--split validation measures the part by which `best` was chosen; ",
    };
    bail!(
        "the task has no test part: {why}; {other}--data FILE measures data that the model has not seen"
    )
}

/// Training windows of a text lie anywhere.
fn drawn(held: &Held, split: Split) -> Option<String> {
    let anywhere = split == Split::Train && matches!(held.config, TaskConfig::Text(_));
    let unit = held.task.vocabulary().map_or("token", |words| words.unit());
    anywhere.then(|| format!("training windows of a text begin anywhere, as in training: some {unit}s are measured more than once, and some not at all"))
}

/// Figures of each model over the first windows of a part. One batch and its outputs are in memory at a time.
fn measure(
    models: &Models,
    held: &Held,
    (split, count): (Split, u64),
    ui: &Ui,
    see: &mut dyn FnMut(&Batch, &[f32]),
) -> Result<Vec<(&'static str, Figures)>> {
    let task = &*held.task;
    let rows = match models.take_many() {
        true => {
            let each = task.longest()? * task.shape().width.max(1);
            (VALUES / each.max(1)).clamp(1, ROWS) as u64
        }
        false => 1,
    };
    let figures = |name| (name, Figures::of(task));
    let mut all: Vec<(&str, Figures)> = models.names().map(figures).collect();
    let mut progress = ui.progress("window", count);
    let mut first = 0;
    while first < count {
        progress.set(first, || models.names().collect::<Vec<_>>().join(", "));
        let size = rows.min(count - first);
        let batch = task.batch(split, first, size as usize)?;
        for (i, (_, figures)) in all.iter_mut().enumerate() {
            let outputs = models.run(i, &batch, first)?;
            check(&outputs, &batch, first)?;
            figures.add(&batch, &outputs);
            if i == 0 {
                see(&batch, &outputs);
            }
        }
        first += size;
    }
    Ok(all)
}

/// A figure of what overflowed would mean nothing.
fn check(outputs: &[f32], batch: &Batch, first: u64) -> Result<()> {
    let Some(at) = outputs.iter().position(|v| !v.is_finite()) else {
        return Ok(());
    };
    let row = at / (outputs.len() / batch.batch).max(1);
    bail!(
        "window {}: the model gives {} for an output: its weights are so large that float32 overflows, and figures would mean nothing; take a checkpoint from before the training diverged",
        first + row as u64,
        outputs[at]
    )
}

fn write(args: &Eval, report: &Report, ui: &Ui) -> Result<()> {
    let Some(path) = &args.json else {
        return ui.print(&show::text(report));
    };
    let json = serde_json::to_string_pretty(report)? + "\n";
    if path.as_os_str() == "-" {
        return ui.print(&json);
    }
    files::write(path, json.as_bytes())?;
    ui.print(&show::text(report))
}

fn check_outputs(args: &Eval) -> Result<()> {
    let data = args.data.as_deref();
    Outputs::new()
        .reads_folder("DIR", Some(&args.dir))
        .reads_folder("--data", data.filter(|path| path.is_dir()))
        .reads("--data", data.filter(|path| !path.is_dir()))
        .writes("--json", args.json.as_deref())
        .check()
}
