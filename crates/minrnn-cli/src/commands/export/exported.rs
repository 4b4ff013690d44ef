//! An exported file on windows of data, one at a time.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use minrnn_onnx::export::{Form, Lowering, StateNames};
use minrnn_runtime::{self as runtime, Head};
use minrnn_train::task::{Batch, Input};

use super::choice::Choice;
use crate::verify::Export;

/// The shortest and the longest T of the windows.
pub(super) type Lengths = (usize, usize);

/// The form that takes all of the windows at once, else step by step.
///
/// # Errors
/// None of the forms takes them: which flag is in the way.
pub(super) fn form(choice: &Choice, windows: Lengths) -> Result<Form> {
    let takes = |form: &Form| takes(choice, *form, windows);
    let mut forms = Form::ALL.into_iter().filter(|f| choice.has(*f));
    if let Some(form) = forms.find(takes) {
        return Ok(form);
    }
    let (shortest, longest) = windows;
    let of = match shortest == longest {
        true => format!("{longest} steps"),
        false => format!("{shortest} to {longest} steps"),
    };
    let step = match choice.names {
        StateNames::Genai => "",
        _ => ", or write the form step too, which takes any",
    };
    if choice.forms == [Form::Parallel] && choice.lowering == Lowering::LinearAttention {
        bail!(
            "--eval runs what was written, and nothing here runs the lowering linear-attention; write the form scan or step too"
        );
    }
    match choice.seq_len {
        Some(t) => bail!(
            "--eval measures on windows of {of}, and with --seq-len {t} the files take T = {t} alone; leave one of the two out{step}"
        ),
        None => bail!(
            "--eval measures on windows of {of}, and with --max-seq-len {} the form parallel need not take them; choose a larger one{step}",
            choice.max_seq_len
        ),
    }
}

fn takes(choice: &Choice, form: Form, (shortest, longest): Lengths) -> bool {
    let fixed = choice.seq_len;
    let fits = fixed.is_none_or(|t| shortest == t && longest == t);
    match (form, choice.lowering) {
        (Form::Step, _) => true,
        (Form::Scan, _) | (Form::Parallel, Lowering::BlockedScan) => fits,
        (Form::Parallel, Lowering::LinearAttention) => false,
        (Form::Parallel, _) => fits && (fixed.is_some() || longest <= choice.max_seq_len),
    }
}

/// A file that was written.
pub(super) struct File {
    model: Arc<runtime::Model>,
    /// Rows of a call: those of a fixed batch are all the same.
    rows: usize,
}

impl File {
    pub(super) fn open(out: &Path, form: Form) -> Result<Self> {
        let model = Export::open(out)?.load(form.name())?;
        let model = model.with_context(|| format!("the export has no form {}", form.name()))?;
        let rows = model.info().batch.unwrap_or(1);
        Ok(Self {
            model: Arc::new(model),
            rows,
        })
    }

    /// The outputs of a batch of one row: `[T, C]`, or `[C]` of a model that answers once.
    pub(super) fn run(&self, batch: &Batch) -> Result<Vec<f32>> {
        if batch.batch != 1 {
            bail!(
                "windows are measured one at a time, and these are {}",
                batch.batch
            );
        }
        match self.model.info().form.is_sequence() {
            true => self.whole(batch),
            false => self.steps(batch),
        }
    }

    fn whole(&self, batch: &Batch) -> Result<Vec<f32>> {
        let (rows, time) = (self.rows, batch.time);
        let ids: Vec<i64>;
        let many: Vec<f32>;
        let input = match &batch.input {
            Input::Tokens { ids: one } => {
                ids = widened(one).repeat(rows);
                runtime::Input::Tokens {
                    ids: &ids,
                    batch: rows,
                    time,
                }
            }
            Input::Features { values, width } => {
                many = values.repeat(rows);
                runtime::Input::Features {
                    values: &many,
                    batch: rows,
                    time,
                    width: *width,
                }
            }
        };
        let state = self.model.initial_state(rows)?;
        let output = self.model.run(input, &state)?.0;
        Ok(first_row(output, rows))
    }

    fn steps(&self, batch: &Batch) -> Result<Vec<f32>> {
        let mut session = runtime::Session::new(self.model.clone(), self.rows)?;
        let per_step = self.model.info().head == Head::PerStep;
        let mut all = vec![];
        for t in 0..batch.time {
            let output = match &batch.input {
                Input::Tokens { ids } => {
                    session.step_tokens(&vec![i64::from(ids[t]); self.rows])?
                }
                Input::Features { values, width } => {
                    let step = &values[t * width..(t + 1) * width];
                    session.step_features(&step.repeat(self.rows))?
                }
            };
            if !per_step {
                all.clear();
            }
            all.extend(first_row(output, self.rows));
        }
        Ok(all)
    }
}

fn widened(ids: &[u32]) -> Vec<i64> {
    ids.iter().map(|id| i64::from(*id)).collect()
}

fn first_row(output: runtime::Output, rows: usize) -> Vec<f32> {
    let mut values = output.values;
    values.truncate(values.len() / rows);
    values
}

#[cfg(test)]
mod tests {
    use minrnn_onnx::export::Target;

    use super::*;

    fn choice(forms: &[Form], lowering: Lowering, seq_len: Option<usize>) -> Choice<'static> {
        Choice {
            target: Target::OnnxRuntime,
            lowering,
            forms: forms.to_vec(),
            names: StateNames::Minrnn,
            dtype: "f16",
            seq_len,
            max_seq_len: 100,
        }
    }

    #[test]
    fn the_form_that_measures_takes_every_window() {
        use Form::{Parallel, Scan, Step};
        let blocked = Lowering::Blocked;
        for (forms, lowering, seq_len, windows, wanted) in [
            (&Form::ALL[..], blocked, None, (3, 100), Ok(Parallel)),
            (&Form::ALL, blocked, None, (3, 101), Ok(Scan)),
            (&[Parallel, Step], blocked, None, (3, 101), Ok(Step)),
            (
                &[Parallel],
                blocked,
                None,
                (3, 101),
                Err("--max-seq-len 100"),
            ),
            (
                &[Parallel],
                Lowering::BlockedScan,
                None,
                (3, 101),
                Ok(Parallel),
            ),
            (&[Step], blocked, None, (3, 101), Ok(Step)),
            (&[Parallel], blocked, Some(200), (200, 200), Ok(Parallel)),
            (&[Scan], blocked, Some(200), (7, 200), Err("--seq-len 200")),
            (&Form::ALL, blocked, Some(200), (7, 200), Ok(Step)),
            (
                &[Parallel],
                Lowering::LinearAttention,
                None,
                (3, 9),
                Err("linear-attention"),
            ),
            (
                &Form::ALL,
                Lowering::LinearAttention,
                None,
                (3, 9),
                Ok(Scan),
            ),
        ] {
            let found = form(&choice(forms, lowering, seq_len), windows);
            match (&found, wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(*found, wanted, "{forms:?} {lowering:?}"),
                (Err(e), Err(words)) => assert!(e.to_string().contains(words), "{e}"),
                _ => panic!("{forms:?} {lowering:?} {seq_len:?} {windows:?}: {found:?}"),
            }
        }
    }
}
