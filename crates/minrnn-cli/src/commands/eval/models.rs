//! What runs: a checkpoint in candle, or the forms of an export in minrnn-runtime.

use anyhow::{Context, Result, bail};
use minrnn_train::task::{Batch, Split};

use super::source::Subject;
use crate::args::RunForm;
use crate::measure::{Checkpointed, File, Held};
use crate::ui::Ui;
use crate::verify::Export;

/// All that is measured on the same windows.
pub(super) enum Models<'a> {
    Candle(Checkpointed<'a>),
    Forms(Vec<(&'static str, File)>),
}

impl<'a> Models<'a> {
    /// `windows`: the part and how many of its windows are measured.
    pub(super) fn open(
        subject: &'a Subject,
        form: Option<RunForm>,
        (held, split, count): (&Held, Split, u64),
        ui: &Ui,
    ) -> Result<Self> {
        match subject {
            Subject::Checkpoint(loaded) => Ok(Self::Candle(Checkpointed::new(
                &loaded.model,
                &loaded.params,
            )?)),
            Subject::Export(export) => {
                let lengths = lengths(held, split, count)?;
                Ok(Self::Forms(forms(export, form, lengths, ui)?))
            }
        }
    }

    /// Whether windows of one batch may have different lengths.
    pub(super) fn take_many(&self) -> bool {
        matches!(self, Self::Candle(_))
    }

    /// `candle`, or the forms.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let names: Vec<&'static str> = match self {
            Self::Candle(_) => vec!["candle"],
            Self::Forms(forms) => forms.iter().map(|(name, _)| *name).collect(),
        };
        names.into_iter()
    }

    /// The outputs of model `i`; `first` is the number of the first window.
    pub(super) fn run(&self, i: usize, batch: &Batch, first: u64) -> Result<Vec<f32>> {
        match self {
            Self::Candle(model) => model.run(batch),
            Self::Forms(forms) => {
                let (name, file) = &forms[i];
                let place = || {
                    format!(
                        "the form {name} on window {first}, {} steps long",
                        batch.time
                    )
                };
                file.run(batch).with_context(place)
            }
        }
    }
}

/// The shortest and the longest of the windows.
fn lengths(held: &Held, split: Split, count: u64) -> Result<(usize, usize)> {
    let (mut shortest, mut longest) = (usize::MAX, 0);
    for first in 0..count {
        let batch = held.task.batch(split, first, 1)?;
        if batch.reset.is_some() {
            bail!(
                "the data have rows with resets, which files of an export are not measured on; give the checkpoint"
            );
        }
        (shortest, longest) = (shortest.min(batch.time), longest.max(batch.time));
    }
    Ok((shortest, longest))
}

/// The forms that take all windows, or the one that was asked for.
fn forms(
    export: &Export,
    form: Option<RunForm>,
    lengths: (usize, usize),
    ui: &Ui,
) -> Result<Vec<(&'static str, File)>> {
    let wanted: &[&'static str] = match form {
        None => &["parallel", "scan", "step"],
        Some(RunForm::Parallel) => &["parallel"],
        Some(RunForm::Scan) => &["scan"],
        Some(RunForm::Step) => &["step"],
    };
    let (mut open, mut left) = (vec![], vec![]);
    for name in wanted {
        if form.is_none() && export.is_for_other_engines(name) {
            left.push(format!(
                "the form {name} has the operator LinearAttention, which minrnn-runtime does not have"
            ));
            continue;
        }
        let Some(model) = export.load(name)? else {
            continue;
        };
        let file = File::new(model);
        match too_long(name, &file, lengths) {
            Some(why) => left.push(why),
            None => open.push((*name, file)),
        }
    }
    if open.is_empty() {
        let there: Vec<&str> = export.forms().collect();
        let why = match left.is_empty() {
            true => format!(
                "it has no form {}, only {}",
                wanted.join(", "),
                there.join(" and ")
            ),
            false => left.join("; "),
        };
        // Of a lowering for other engines the step may be one of theirs, too.
        let form = match wanted.iter().any(|name| export.is_for_other_engines(name)) {
            true => "scan",
            false => "step",
        };
        bail!(
            "no form of {} takes the data: {why}; export with the form {form} too, which takes any length",
            export.dir().display()
        );
    }
    for why in left {
        ui.note(&format!("note: {why}: it is not measured"));
    }
    Ok(open)
}

/// Why a sequence form does not take windows of these lengths.
fn too_long(name: &str, file: &File, (shortest, longest): (usize, usize)) -> Option<String> {
    let info = file.info();
    if !info.form.is_sequence() {
        return None;
    }
    let windows = match shortest == longest {
        true => format!("{longest} steps"),
        false => format!("{shortest} to {longest} steps"),
    };
    match (info.seq_len, info.max_seq_len) {
        (Some(only), _) if only != shortest || only != longest => Some(format!(
            "the form {name} takes T = {only} alone, and the windows have {windows}"
        )),
        (None, Some(most)) if longest > most => Some(format!(
            "the form {name} takes T up to {most}, and the windows have {windows}"
        )),
        _ => None,
    }
}
