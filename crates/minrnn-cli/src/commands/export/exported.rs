//! Which of the forms that are written takes the windows of data.

use anyhow::{Result, bail};
use minrnn_onnx::export::{Form, Lowering, StateNames};

use super::choice::Choice;

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
    if choice.forms.iter().all(|f| choice.is_for_other_engines(*f)) {
        let or = if choice.steps { "" } else { " or step" };
        bail!(
            "--eval runs what was written, and nothing here runs the lowering linear-attention; write the form scan{or} too"
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
        _ if choice.is_for_other_engines(form) => false,
        (Form::Step, _) => true,
        (Form::Scan, _) | (Form::Parallel, Lowering::BlockedScan) => fits,
        (Form::Parallel, _) => fits && (fixed.is_some() || longest <= choice.max_seq_len),
    }
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
            steps: false,
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
