//! What a quickstart says at its end.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use minrnn_runtime::{Model, Session};
use minrnn_train::task::{Input, Split, Targets, Task};

use super::folder::Folder;
use super::{Done, WANTED};
use crate::files::BEST;
use crate::progress::duration;
use crate::table::{facts, grouped, size};
use crate::training::percent;
use crate::verify::{Report, Row, argmax};

/// Data tokens of a sequence, and what the step file said.
pub(super) struct Answer {
    /// Steps of the sequence.
    steps: usize,
    /// Tokens that were to be remembered, and those that were said.
    pairs: Vec<(u32, u32)>,
}

impl Answer {
    /// Streams the first sequence of the test part, one step after the other.
    pub(super) fn ask(task: &dyn Task, export: &Path) -> Result<Self> {
        let batch = task.batch(Split::Test, 0, 1)?;
        let (Input::Tokens { ids }, Targets::Classes { ids: wanted, .. }, Some(counts)) =
            (&batch.input, &batch.targets, &batch.weights)
        else {
            bail!("selective copying has changed: it has no tokens to remember");
        };
        let step = Arc::new(Model::open(export.join("model.step.onnx"))?);
        let mut session = Session::new(step, 1)?;
        let mut pairs = vec![];
        for ((id, wanted), counts) in ids.iter().zip(wanted).zip(counts) {
            let logits = session.step_tokens(&[i64::from(*id)])?.values;
            if *counts != 0.0 {
                pairs.push((*wanted, argmax(&logits) as u32));
            }
        }
        Ok(Self {
            steps: ids.len(),
            pairs,
        })
    }

    fn right(&self) -> usize {
        self.pairs
            .iter()
            .filter(|(wanted, said)| wanted == said)
            .count()
    }

    /// Both lists, and a mark below every mistake.
    fn lines(&self) -> String {
        let line =
            |part: &dyn Fn(&(u32, u32)) -> String| self.pairs.iter().map(part).collect::<String>();
        let wanted = line(&|p| format!("{:4}", p.0));
        let said = line(&|p| format!("{:4}", p.1));
        let marks = line(&|p| (if p.0 == p.1 { "    " } else { "   ^" }).to_owned());
        let (right, all) = (self.right(), self.pairs.len());
        let marks = if right == all {
            String::new()
        } else {
            format!("  wrong           {marks}\n")
        };
        format!(
            "A fresh sequence of {} steps, streamed through model.step.onnx:\n  to be remembered{wanted}\n  the model says  {said}\n{marks}  {right} of {all} right\n",
            self.steps
        )
    }
}

/// The whole story, in short: each of the files that it names has more.
pub(super) fn summary(done: &Done, folder: &Folder) -> String {
    let accuracy = done.fresh.accuracy.unwrap_or(0.0);
    let enough = if accuracy >= WANTED {
        ""
    } else {
        "; TOO FEW, at least 99 % are wanted"
    };
    let all: u64 = done.exported.files.iter().map(|file| file.bytes).sum();
    let trained = format!(
        "minGRU, {} parameters, {} steps in {}: {}",
        grouped(done.model.params.count()),
        done.steps,
        duration(done.trained),
        folder.run().join(BEST).display()
    );
    let fresh = format!(
        "{} of {} tokens right{enough}",
        percent(accuracy),
        grouped(done.fresh.count)
    );
    let exported = format!(
        "{} files, {}: {}",
        done.exported.files.len(),
        size(all),
        folder.export().display()
    );
    let verified = format!(
        "{} ({}): {}",
        verdict(&done.report),
        duration(done.verified),
        folder.report().display()
    );
    let page = format!("{}, for a browser", folder.page().display());
    let table = facts([
        ("trained", trained),
        ("on fresh sequences", fresh),
        ("exported", exported),
        ("verified", verified),
        ("all of it", page),
    ]);
    let export = folder.export();
    format!(
        "{}\n{}{table}\nNext:\n  echo 3 15 15 7 0 0 | minrnn run {} --input -\n  minrnn init csv FILE.csv > mine.toml\n  minrnn train mine.toml --out runs/mine\n",
        done.answer.lines(),
        failing(&done.report),
        export.display()
    )
}

fn verdict(report: &Report) -> String {
    let (rows, cases) = (report.rows.len(), report.rows.iter().map(|r| r.cases).sum());
    match report.holds {
        true => format!("everything holds, {rows} checks of {} runs", grouped(cases)),
        false => "SOMETHING DOES NOT HOLD".to_owned(),
    }
}

/// What does not hold, a line each.
fn failing(report: &Report) -> String {
    let rows = report.rows.iter().filter(|row| !row.holds);
    let line = |r: &Row| {
        let note = r.note.as_deref().unwrap_or_default();
        format!(
            "DOES NOT HOLD: {}, {} against {}: {note}\n",
            r.engine, r.form, r.against
        )
    };
    rows.map(line).collect()
}
