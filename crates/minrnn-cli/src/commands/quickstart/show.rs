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
use crate::table::{facts, grouped, size, table};
use crate::training::percent;
use crate::verify::argmax;

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

/// The whole story.
pub(super) fn summary(done: &Done, folder: &Folder) -> Result<String> {
    let accuracy = done.fresh.accuracy.unwrap_or(0.0);
    let mark = |holds: bool| if holds { "yes" } else { "NO" };
    let rows = done.report.rows.iter().map(|r| {
        let what = format!("{}, {} against {}", r.engine, r.form, r.against);
        [
            what,
            r.grade.name().into(),
            r.cases.to_string(),
            mark(r.holds).into(),
        ]
    });
    let verdict = if done.report.holds {
        "everything holds"
    } else {
        "SOMETHING DOES NOT HOLD"
    };
    let verdict = format!("{verdict} ({})", duration(done.verified));
    let enough = if accuracy >= WANTED {
        ""
    } else {
        "; TOO FEW, at least 99 % are wanted"
    };
    let count = grouped(done.model.params.count());
    let mut facts_ = vec![
        (
            "trained",
            format!(
                "minGRU, {count} parameters, {} steps in {}",
                done.steps,
                duration(done.trained)
            ),
        ),
        (
            "on fresh sequences",
            format!(
                "{} of {} tokens right{enough}",
                percent(accuracy),
                grouped(done.fresh.count)
            ),
        ),
        ("verification", verdict),
        ("configuration", folder.config().display().to_string()),
        ("checkpoint", folder.run().join(BEST).display().to_string()),
        ("report", folder.report().display().to_string()),
    ];
    for file in &done.exported.files {
        let name = file.path.display();
        facts_.push(("exported", format!("{name} ({})", size(file.bytes))));
    }
    let checks = table(["verified", "grade", "cases", "holds"], rows, &[2]);
    let (config, export) = (folder.config(), folder.export());
    let (config, export) = (config.display(), export.display());
    Ok(format!(
        "{}\n{checks}\n{}\nNext:\n  minrnn inspect {export}/model.step.onnx\n  minrnn verify {export}\n  echo 3 15 15 7 0 0 | minrnn run {export} --input -\n  minrnn train {config} --set model.layers=3 --out runs/mine\n",
        done.answer.lines(),
        facts(facts_),
    ))
}
