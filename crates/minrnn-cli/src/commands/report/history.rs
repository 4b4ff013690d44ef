//! What a run wrote of its training: the lines of `metrics.jsonl`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::files;

/// The longest log that is read.
const MOST: u64 = 1 << 30;

/// A step of the optimizer. What was no number is none.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Step {
    pub(super) step: u64,
    pub(super) loss: Option<f64>,
    pub(super) lr: Option<f64>,
    pub(super) grad_norm: Option<f64>,
    /// Left out, since a gradient was beyond float16: it has no norm.
    #[serde(default)]
    pub(super) skipped: bool,
}

/// An evaluation after so many steps.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Evaluation {
    pub(super) step: u64,
    pub(super) loss: Option<f64>,
    pub(super) accuracy: Option<f64>,
}

/// A training.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct History {
    pub(super) steps: Vec<Step>,
    pub(super) evaluations: Vec<Evaluation>,
    /// Of all lines.
    pub(super) seconds: f64,
    /// What is missing in it, a line each.
    pub(super) notes: Vec<String>,
}

#[derive(Deserialize)]
struct Head {
    event: String,
    #[serde(default)]
    seconds: f64,
}

impl History {
    /// The log at `path`.
    ///
    /// # Errors
    /// A line but the last, which a crash may have cut, that is neither a step nor an evaluation.
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::parse(&files::read_text(path, MOST)?).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut all = Self::default();
        let count = text.lines().count();
        for (i, line) in text.lines().enumerate() {
            let place = || {
                format!(
                    "line {} is neither a step nor an evaluation of a run",
                    i + 1
                )
            };
            let head = match serde_json::from_str::<Head>(line) {
                Ok(head) => head,
                Err(_) if i + 1 == count && !text.ends_with('\n') => {
                    let note = "its last line, {}, is cut off, as by a crash, and left out";
                    all.notes.push(note.replace("{}", &(i + 1).to_string()));
                    break;
                }
                Err(error) => return Err(error).with_context(place),
            };
            match head.event.as_str() {
                "step" => all
                    .steps
                    .push(serde_json::from_str(line).with_context(place)?),
                "eval" => all
                    .evaluations
                    .push(serde_json::from_str(line).with_context(place)?),
                // The lines behind it are of the run as it went on.
                "roll_back" => {}
                _ => bail!("{}", place()),
            }
            all.seconds = all.seconds.max(head.seconds);
        }
        all.note_gaps();
        Ok(all)
    }
}

impl History {
    /// Steps and evaluations without figures: a run writes none such, since values that are not finite end it.
    fn note_gaps(&mut self) {
        let steps: Vec<(u64, bool)> = (self.steps.iter())
            .map(|s| {
                (
                    s.step,
                    s.loss.is_some() && s.lr.is_some() && (s.skipped || s.grad_norm.is_some()),
                )
            })
            .collect();
        let evaluations: Vec<(u64, bool)> = (self.evaluations.iter())
            .map(|e| (e.step, e.loss.is_some()))
            .collect();
        for (what, lacks, all) in [
            ("steps", "loss, rate or norm of the gradient", steps),
            ("evaluations", "loss", evaluations),
        ] {
            let mut without = all.iter().filter(|(_, whole)| !whole);
            if let Some((first, _)) = without.next() {
                self.notes.push(format!(
                    "{} of its {} {what} are without {lacks} (null, or missing), the first of them that of step {first}; the curves leave them out",
                    1 + without.count(),
                    all.len()
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_evaluations_but_not_what_a_crash_cut() {
        let text = "{\"event\":\"step\",\"step\":0,\"loss\":null,\"lr\":0.5,\"grad_norm\":2.0,\"tokens\":8,\"seconds\":1.5}\n\
                    {\"event\":\"eval\",\"step\":1,\"loss\":0.25,\"accuracy\":null,\"count\":4,\"best\":true,\"seconds\":2.0}\n\
                    {\"event\":\"st";
        let all = History::parse(text).unwrap();
        let step = Step {
            step: 0,
            loss: None,
            lr: Some(0.5),
            grad_norm: Some(2.0),
            skipped: false,
        };
        assert_eq!(all.steps, [step]);
        assert_eq!((all.evaluations[0].loss, all.seconds), (Some(0.25), 2.0));
        let notes = [
            "its last line, 3, is cut off, as by a crash, and left out",
            "1 of its 1 steps are without loss, rate or norm of the gradient (null, or missing), the first of them that of step 0; the curves leave them out",
        ];
        assert_eq!(all.notes, notes);
        let empty = "{\"event\":\"step\",\"step\":4}\n{\"event\":\"eval\",\"step\":5}\n";
        let notes = History::parse(empty).unwrap().notes;
        assert!(
            notes.len() == 2 && notes[1].starts_with("1 of its 1 evaluations"),
            "{notes:?}"
        );
        let whole = "{\"event\":\"step\",\"step\":0,\"loss\":1.0,\"lr\":0.5,\"grad_norm\":2.0}\n";
        assert_eq!(History::parse(whole).unwrap().notes, [""; 0]);
        for bad in [
            "{\"event\":\"st\n",
            "{\"event\":\"other\"}\n",
            "{\"event\":\"step\"}\n",
        ] {
            let error = History::parse(bad).unwrap_err().to_string();
            assert!(error.contains("line 1 is neither"), "{error}");
        }
    }
}
