//! `minrnn run`.

mod answers;
mod data;
mod lengths;
mod named;
mod range;
mod stream;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use minrnn_runtime::{Extras, Model, Output, State};
use minrnn_train::data::read_data;

use crate::Outcome;
use crate::args::{Run, RunForm};
use crate::files;
use crate::outputs::Outputs;
use crate::ui::Ui;
use crate::verify::Export;
use answers::{Answers, Names};
use data::{Data, Usual};
use lengths::Lengths;
use named::Sequences;

/// A state may take the place of the one that was begun with: so a stream goes on, piece by piece.
fn check_outputs(args: &Run) -> Result<()> {
    let state = args.state.as_deref();
    let kept = state.filter(|_| args.state != args.save_state);
    let all = || {
        Outputs::new()
            .reads_folder("EXPORT_DIR", Some(&args.dir))
            .reads("--input", Some(&args.input))
            .reads("--lengths", args.lengths.as_deref())
    };
    all()
        .reads("--state", kept)
        .writes("--save-state", args.save_state.as_deref())
        .writes("--out", args.out.as_deref())
        .check()?;
    all()
        .reads("--state", state)
        .writes("--out", args.out.as_deref())
        .check()
}

pub(super) fn run(args: &Run, ui: &Ui) -> Result<Outcome> {
    check_outputs(args)?;
    answers::check_ending(args.out.as_deref())?;
    let named = named::is_named(&args.input);
    named::refuse_unused(args, named)?;
    let export = files::open_export(&args.dir)?.with_memory(args.memory);
    let model = Arc::new(open(&export, args.form, ui)?);
    match named {
        true => sequences(args, &export, &model, ui)?,
        false => rows(args, &export, &model, ui)?,
    }
    Ok(Outcome::Holds)
}

/// Rows of one array, all at once.
fn rows(args: &Run, export: &Export, model: &Arc<Model>, ui: &Ui) -> Result<()> {
    let mut data = Data::read(&args.input, model.info().input)?;
    let model = &fitting(args, export, model, data.time, ui)?;
    let lengths = Lengths::read(
        args.lengths.as_deref(),
        [data.batch, data.time],
        export,
        model,
    )?;
    data.cut(&lengths);
    data.check(model.info().input, &Usual(export.statistics()))?;
    let state = match &args.state {
        None => model.initial_state(data.batch)?,
        Some(path) => saved(model, path)?,
    };
    let (form, shape) = (model.info().form, data.shape());
    let (mut output, state) = called(model, &data, &lengths, state)?;
    lengths.cut(&mut output);
    ui.note(&format!(
        "{} form: {shape:?} in, {:?} out",
        form.as_str(),
        output.shape
    ));
    save(args, &state)?;
    match &args.out {
        Some(path) => {
            let answers = Answers::of(output, &lengths);
            answers.write(path, &Names::of(export, model, None))
        }
        None => ui.print(&lines(&output, &lengths)),
    }
}

/// Sequences of a file that names what is in it, one by one: none has another one's length.
fn sequences(args: &Run, export: &Export, model: &Arc<Model>, ui: &Ui) -> Result<()> {
    let all = Sequences::read(args, export, model, ui)?;
    let longest = all.data.iter().map(|one| one.time).max().unwrap_or(0);
    let model = &fitting(args, export, model, longest, ui)?;
    let usual = Usual(export.statistics());
    // Rows of a call: those of a fixed batch are all the same.
    let copies = model.info().batch.unwrap_or(1);
    let begin = args
        .state
        .as_deref()
        .map(|path| begun(model, path, all.data.len()));
    let begin = begin.transpose()?;
    let (mut answers, mut states) = (Answers::within(all.time), vec![]);
    for (i, one) in all.data.iter().enumerate() {
        let place = || format!("sequence {}", all.called(i));
        one.check(model.info().input, &usual).with_context(place)?;
        let state = match &begin {
            Some(state) => state.select(&vec![i; copies])?,
            None => model.initial_state(copies)?,
        };
        let data = one.repeated(copies);
        let (output, state) =
            called(model, &data, &Lengths::default(), state).with_context(place)?;
        answers.add(output, copies);
        states.push(state.select(&[0])?);
    }
    ui.note(&format!(
        "{} form: {} sequences, {} steps in all",
        model.info().form.as_str(),
        all.data.len(),
        all.data.iter().map(|one| one.time).sum::<usize>()
    ));
    if args.save_state.is_some() {
        let states: Vec<&State> = states.iter().collect();
        save(args, &State::stack(&states)?)?;
    }
    let names = Names::of(export, model, Some(&all));
    match &args.out {
        Some(path) => answers.write(path, &names),
        None => ui.print_names(&answers.csv(&names)?),
    }
}

/// One call of a sequence form, or one for each step.
fn called(
    model: &Arc<Model>,
    data: &Data,
    lengths: &Lengths,
    state: State,
) -> Result<(Output, State)> {
    if !model.info().form.is_sequence() {
        return stream::run(model.clone(), data, lengths, state);
    }
    let extras = Extras {
        lengths: lengths.given(),
        ..Extras::default()
    };
    Ok(model.run_with(data.input(), &extras, &state)?)
}

fn saved(model: &Model, path: &Path) -> Result<State> {
    let bytes = read_data(path).with_context(|| format!("cannot read {}", path.display()))?;
    let begun = || format!("cannot begin with {}", path.display());
    let state = model.state_from_bytes(&bytes).with_context(begun)?;
    range::check(&bytes).with_context(begun)?;
    Ok(state)
}

/// A state with a row for each sequence.
fn begun(model: &Model, path: &Path, sequences: usize) -> Result<State> {
    let state = saved(model, path)?;
    if state.rows() != sequences {
        bail!(
            "--state {}: has {} rows, and there are {sequences} sequences; give the state that was saved after as many",
            path.display(),
            state.rows()
        );
    }
    Ok(state)
}

fn save(args: &Run, state: &State) -> Result<()> {
    match &args.save_state {
        Some(path) => files::write(path, &state.to_bytes()),
        None => Ok(()),
    }
}

/// The form that was asked for, or the first that runs here.
fn open(export: &Export, form: Option<RunForm>, ui: &Ui) -> Result<Model> {
    let wanted: &[&str] = match form {
        None => &["parallel", "scan", "step"],
        Some(RunForm::Parallel) => &["parallel"],
        Some(RunForm::Scan) => &["scan"],
        Some(RunForm::Step) => &["step"],
    };
    let others = |form: &&&str| !export.is_for_other_engines(form);
    let skipped = wanted.iter().find(|form| !others(form));
    // Where there is no other, loading it says why it does not run.
    for form in wanted.iter().filter(others).chain(skipped) {
        if let Some(model) = export.load(form)? {
            if let Some(skipped) = skipped {
                ui.note(&not_here(skipped, form));
            }
            return Ok(model);
        }
    }
    let forms: Vec<&str> = export.forms().collect();
    bail!(
        "{} has no form {}, only {}",
        export.dir().display(),
        wanted.join(", "),
        forms.join(" and ")
    )
}

/// `model`, or where no form was asked for and the longest sequence is longer than it takes, the first one that takes it.
fn fitting(
    args: &Run,
    export: &Export,
    model: &Arc<Model>,
    longest: usize,
    ui: &Ui,
) -> Result<Arc<Model>> {
    let most = |model: &Model| model.info().longest().filter(|n| *n < longest);
    let (Some(max), None) = (most(model), args.form) else {
        return Ok(model.clone());
    };
    // A model of so many steps has no form that takes more.
    let ends = ["/positions", "/cell/longest"].map(|key| export.config().pointer(key));
    if ends
        .into_iter()
        .flatten()
        .any(|n| n.as_u64().is_some_and(|n| n < longest as u64))
    {
        return Ok(model.clone());
    }
    let first = model.info().form.as_str();
    for form in ["scan", "step"].into_iter().filter(|form| *form != first) {
        if export.is_for_other_engines(form) {
            continue;
        }
        let other = export.load(form)?;
        let Some(other) = other.filter(|o| !o.info().form.is_sequence() || most(o).is_none())
        else {
            continue;
        };
        ui.note(&format!(
            "note: the form {first} takes up to {max} steps, and there are {longest}: the form {form} runs in its place"
        ));
        return Ok(Arc::new(other));
    }
    Ok(model.clone())
}

/// Which form runs in the place of one that only other engines run.
pub(super) fn not_here(skipped: &str, form: &str) -> String {
    format!(
        "note: the form {skipped} has the operator LinearAttention, which minrnn-runtime does not have: the form {form} runs in its place"
    )
}

/// One step a line; rows apart by an empty line where each has several. Steps behind a row's end are left out.
fn lines(output: &Output, lengths: &Lengths) -> String {
    let width = output.shape.last().copied().unwrap_or(1).max(1);
    let time = if output.shape.len() == 3 {
        output.shape[1]
    } else {
        0
    };
    let mut text = String::new();
    for (i, step) in output.values.chunks(width).enumerate() {
        if time > 0 && i > 0 && i % time == 0 {
            text.push('\n');
        }
        if time > 0 && i % time >= lengths.of(i / time, time) {
            continue;
        }
        let words: Vec<String> = step.iter().map(f32::to_string).collect();
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_lines() {
        let output = |shape: &[usize]| Output {
            values: vec![1.0, 0.1, -2.5, 3e-9],
            shape: shape.to_vec(),
        };
        let shown = |shape: &[usize]| lines(&output(shape), &Lengths::default());
        assert_eq!(shown(&[2, 1, 2]), "1 0.1\n\n-2.5 0.000000003\n");
        assert_eq!(shown(&[1, 2, 2]), "1 0.1\n-2.5 0.000000003\n");
        assert_eq!(shown(&[2, 2]), "1 0.1\n-2.5 0.000000003\n");
        let ended = Lengths::new(vec![1, 2]);
        assert_eq!(
            lines(&output(&[2, 2, 1]), &ended),
            "1\n\n-2.5\n0.000000003\n"
        );
    }
}
