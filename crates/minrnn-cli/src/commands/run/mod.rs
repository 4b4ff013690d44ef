//! `minrnn run`.

mod data;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use minrnn_runtime::{Head, Model, Output, Session, State};

use crate::Outcome;
use crate::args::{Run, RunForm};
use crate::ui::Ui;
use crate::verify::Export;
use crate::{files, npy};
use data::Data;

pub(super) fn run(args: &Run, ui: &Ui) -> Result<Outcome> {
    let export = files::open_export(&args.dir)?;
    let model = open(&export, args.form)?;
    let data = Data::read(&args.input, model.info().input)?;
    let state = match &args.state {
        None => model.initial_state(data.batch)?,
        Some(path) => {
            let bytes =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            model
                .state_from_bytes(&bytes)
                .with_context(|| format!("cannot begin with {}", path.display()))?
        }
    };
    let (form, shape) = (model.info().form, data.shape());
    let (output, state) = if form.is_sequence() {
        model.run(data.input(), &state)?
    } else {
        stream(model, &data, state)?
    };
    ui.note(&format!(
        "{} form: {shape:?} in, {:?} out",
        form.as_str(),
        output.shape
    ));
    if let Some(path) = &args.save_state {
        files::write(path, &state.to_bytes())?;
    }
    match &args.out {
        Some(path) => files::write(path, &npy::encode(&output.shape, &output.values))?,
        None => ui.print(&lines(&output))?,
    }
    Ok(Outcome::Holds)
}

fn open(export: &Export, form: Option<RunForm>) -> Result<Model> {
    let wanted: &[&str] = match form {
        None => &["parallel", "scan", "step"],
        Some(RunForm::Parallel) => &["parallel"],
        Some(RunForm::Scan) => &["scan"],
        Some(RunForm::Step) => &["step"],
    };
    for form in wanted {
        if let Some(model) = export.load(form)? {
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

/// Step by step through a step file: the output of all steps, or of the last one.
fn stream(model: Model, data: &Data, state: State) -> Result<(Output, State)> {
    let per_step = model.info().head == Head::PerStep;
    let mut session = Session::new(Arc::new(model), data.batch)?;
    session.set_state(state)?;
    let mut outputs = vec![];
    for t in 0..data.time {
        let output = data.step(&mut session, t)?;
        if !per_step {
            outputs.clear();
        }
        outputs.push(output);
    }
    let width = outputs
        .last()
        .and_then(|o| o.shape.last().copied())
        .unwrap_or(0);
    let row = |b: usize| {
        outputs
            .iter()
            .flat_map(move |o| &o.values[b * width..(b + 1) * width])
    };
    let values = (0..data.batch).flat_map(row).copied().collect();
    let shape = if per_step {
        vec![data.batch, data.time, width]
    } else {
        vec![data.batch, width]
    };
    Ok((Output { values, shape }, session.state().clone()))
}

/// One step a line; rows apart by an empty line where each has several.
fn lines(output: &Output) -> String {
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
        assert_eq!(lines(&output(&[2, 1, 2])), "1 0.1\n\n-2.5 0.000000003\n");
        assert_eq!(lines(&output(&[1, 2, 2])), "1 0.1\n-2.5 0.000000003\n");
        assert_eq!(lines(&output(&[2, 2])), "1 0.1\n-2.5 0.000000003\n");
    }
}
