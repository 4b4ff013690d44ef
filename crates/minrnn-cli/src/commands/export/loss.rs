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
use minrnn_train::TrainError;
use minrnn_train::checkpoint::model_config;
use minrnn_train::run::Weights;
use minrnn_train::task::{Batch, Input, Split, Task};
use minrnn_train::trainer::open_data;
use serde_json::{Value as Json, json};

use super::choice::Choice;
use super::score::Score;
use super::{calibrate, exported};
use crate::config::Config;
use crate::files::Loaded;
use crate::memory;
use crate::table::{grouped, table};
use crate::ui::Ui;

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
        let (checkpoint, at) = (&loaded.checkpoint, &loaded.path);
        let model = model_config(checkpoint, at)?;
        let mut config = match file {
            Some(path) => Config::read_for(path, sets, Some(&model))?,
            None => own_config(loaded, sets)?,
        };
        if file.is_none() {
            config.train.model = model;
        }
        config.train.train.memory = memory::available();
        let (task, notes) = open_data(&config.train, checkpoint, at).map_err(|error| match error {
            TrainError::Differs { .. } => config.explain(error),
            error => config.explain(error).context(match file {
                Some(_) => "the data of --eval cannot be read",
                None => "the data that the checkpoint was trained on cannot be read; --set 'task.path=\"FILE\"' says where they are now",
            }),
        })?;
        for note in notes {
            ui.note(&format!("note: {note}"));
        }
        Ok(Self { task })
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
        let file = exported::File::open(out, plan.form)?;
        let weights = Weights::new(
            model.graph(),
            params,
            candle_core::DType::F32,
            &candle_core::Device::Cpu,
        )?;
        let mut progress = ui.progress("window", windows);
        let (mut wide, mut narrow) = (Score::default(), Score::default());
        for first in 0..windows {
            progress.set(first, || "checkpoint and exported file".into());
            // One at a time: no row has another one's length.
            let batch = self.task.batch(Split::Validation, first, 1)?;
            wide.add(&batch, &checkpoint(model, &weights, &batch)?);
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

/// The task of the run that made the checkpoint.
fn own_config(loaded: &Loaded, sets: &[String]) -> Result<Config> {
    let (path, json) = (loaded.path.join("config.json"), &loaded.checkpoint.config);
    let known = |key: &str| json.get(key).filter(|v| v.is_object());
    let (Some(task), Some(train)) = (known("task"), known("train")) else {
        bail!(
            "{} says nothing of a task, so there is no data to measure with; give a training configuration: --eval CONFIG.toml",
            path.display()
        );
    };
    // The model is the checkpoint's, whatever it is.
    let model = json!({ "width": 1, "layers": 1 });
    let config = json!({ "task": given(task), "model": model, "train": given(train) });
    let text = toml::to_string(&config)
        .with_context(|| format!("{} holds no training configuration", path.display()))?;
    Config::parse(&path.display().to_string(), &text, sets)
}

/// Without what is null: TOML leaves it out.
fn given(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let some = map.iter().filter(|(_, v)| !v.is_null());
            Json::Object(some.map(|(k, v)| (k.clone(), given(v))).collect())
        }
        other => other.clone(),
    }
}

/// The checkpoint's outputs, in f32 by candle.
fn checkpoint(model: &Model, weights: &Weights, batch: &Batch) -> Result<Vec<f32>> {
    use candle_core::{Device, Tensor};
    use minrnn_train::run;
    let shape = (batch.batch, batch.time);
    let input = match &batch.input {
        Input::Tokens { ids } => Tensor::from_slice(ids, shape, &Device::Cpu)?,
        Input::Features { values, width } => {
            Tensor::from_slice(values, (shape.0, shape.1, *width), &Device::Cpu)?
        }
    };
    let outcome = run::run(model.graph(), weights, &run::Run::new(&input))?;
    Ok(outcome.output.flatten_all()?.to_vec1()?)
}
