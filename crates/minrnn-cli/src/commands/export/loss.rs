//! What a narrow type costs: loss and accuracy of the exported file on held-out data beside those of the checkpoint; and the largest
//! activations, for scales that do not depend on the input.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use minrnn_model::graph::OutputKind;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::Form;
use minrnn_train::task::{Split, Task};

use super::choice::Choice;
use super::score::Score;
use super::{calibrate, exported};
use crate::files::Loaded;
use crate::measure::{self, Checkpointed, File, Source, Where};
use crate::table::{grouped, table};
use crate::ui::Ui;
use crate::verify::Export;

/// Windows that scales are calibrated on.
const CALIBRATION: usize = 8;

/// A task with held-out data.
pub(super) struct Data {
    task: Box<dyn Task>,
}

/// What is measured.
pub(super) struct Plan {
    windows: u64,
    of: u64,
    /// What runs of the export.
    form: Form,
}

impl Plan {
    /// What to say where more windows were asked for than there are.
    pub(super) fn beyond(&self, asked: Option<u64>) -> Option<String> {
        let asked = asked.filter(|n| *n > self.of)?;
        Some(format!(
            "note: --eval-samples {asked}: the validation part has {} windows; all of them are measured",
            self.of
        ))
    }
}

/// Two scores on the same data.
pub(super) struct Measured {
    windows: u64,
    of: u64,
    unit: &'static str,
    wide: Score,
    narrow: Score,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grouped = |n: u64| grouped(usize::try_from(n).unwrap_or(usize::MAX));
        writeln!(
            f,
            "held-out data: {} of {} windows, {} targets",
            grouped(self.windows),
            grouped(self.of),
            grouped(self.wide.count)
        )?;
        let percent =
            |share: Option<f64>| share.map_or("-".into(), |a| format!("{:.3} %", 100.0 * a));
        let row = |what: &str, score: &Score| {
            let loss = format!("{:.5}", score.loss());
            [what.to_owned(), loss, percent(score.accuracy())]
        };
        let (wide, narrow) = (&self.wide, &self.narrow);
        let gained = narrow.accuracy().zip(wide.accuracy());
        let change = [
            "change".to_owned(),
            format!("{:+.5}", narrow.loss() - wide.loss()),
            gained.map_or("-".into(), |(n, w)| format!("{:+.3} %", 100.0 * (n - w))),
        ];
        let loss = format!("loss, {}", self.unit);
        let header = ["", loss.as_str(), "accuracy"];
        let rows = [
            row("checkpoint", wide),
            row("exported file", narrow),
            change,
        ];
        writeln!(f, "{}", table(header, rows, &[1, 2]))
    }
}

impl Data {
    /// The data of a training configuration; without a file those that the checkpoint was trained on. They must mean what the
    /// model takes: tokens, features and classes have the checkpoint's numbers.
    pub(super) fn open(
        file: Option<&Path>,
        sets: &[String],
        loaded: &Loaded,
        ui: &Ui,
    ) -> Result<Self> {
        let wanted = Where {
            flag: "--eval",
            source: file.map_or(Source::Own, Source::Config),
            sets,
            carried: loaded.checkpoint.vocabulary.as_ref(),
        };
        let held = measure::open(&wanted, &loaded.checkpoint, &loaded.path)?;
        for note in held.notes {
            ui.note(&format!("note: {note}"));
        }
        Ok(Self { task: held.task })
    }

    /// The largest magnitude before each matrix product, by name of the weight, over samples of the training part.
    pub(super) fn calibrate(
        &self,
        model: &Model,
        params: &Params,
    ) -> Result<BTreeMap<String, f32>> {
        let batch = self.task.batch(Split::Train, 0, CALIBRATION)?;
        calibrate::largest(&batch, model, params)
    }

    /// What is measured, and by which form: known before anything is written. `limit`: windows at most.
    ///
    /// # Errors
    /// No held-out data; windows that no form takes, or that are not whole rows.
    pub(super) fn plan(&self, choice: &Choice, limit: Option<u64>) -> Result<Plan> {
        let of = self.task.len(Split::Validation).unwrap_or(0);
        let windows = limit.map_or(of, |n| of.min(n));
        if windows == 0 {
            bail!("the data of --eval has no validation part");
        }
        let (mut shortest, mut longest) = (usize::MAX, 0);
        for first in 0..windows {
            let batch = self.task.batch(Split::Validation, first, 1)?;
            if batch.reset.is_some() {
                bail!("the data of --eval has rows with resets; measure with whole rows");
            }
            (shortest, longest) = (shortest.min(batch.time), longest.max(batch.time));
        }
        Ok(Plan {
            windows,
            of,
            form: exported::form(choice, (shortest, longest))?,
        })
    }

    /// Scores of the checkpoint and of the export in `out`, on the first windows of the validation part.
    pub(super) fn measure(
        &self,
        model: &Model,
        params: &Params,
        out: &Path,
        plan: &Plan,
        ui: &Ui,
    ) -> Result<Measured> {
        let (windows, of) = (plan.windows, plan.of);
        ui.note(&format!(
            "measuring on {windows} of {of} windows of held-out data, by the form {}",
            plan.form.name()
        ));
        let form = plan.form.name();
        let file = Export::open(out)?.load(form)?;
        let file = File::new(file.with_context(|| format!("the export has no form {form}"))?);
        let checkpoint = Checkpointed::new(model, params)?;
        let mut progress = ui.progress("window", windows);
        let (mut wide, mut narrow) = (Score::default(), Score::default());
        for first in 0..windows {
            progress.set(first, || "checkpoint and exported file".into());
            // One at a time: no row has another one's length.
            let batch = self.task.batch(Split::Validation, first, 1)?;
            wide.add(&batch, &checkpoint.run(&batch)?);
            let got = file.run(&batch).with_context(|| {
                format!(
                    "window {first} of the held-out data, {} steps long",
                    batch.time
                )
            })?;
            narrow.add(&batch, &got);
        }
        let unit = match self.task.shape().output {
            OutputKind::Logits => "nats",
            OutputKind::Values => "mean square",
        };
        Ok(Measured {
            windows,
            of,
            unit,
            wide,
            narrow,
        })
    }
}
