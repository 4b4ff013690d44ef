//! What may change where a run goes on, and what each change does: told, never refused.

use serde_json::Value as Json;

use super::config::{TrainConfig, TrainOptions};
use super::differences::{Change, changes};
use super::origin::{Opened, Origin};
use crate::checkpoint::TrainerState;
use crate::schedule::{Decay, Schedule};
use crate::task::Split;

/// Keys after whose change the best result so far was measured on other samples.
const MEASURED: [&str; 3] = ["task.seq_len", "task.eval_samples", "train.eval_samples"];
/// Keys that change what is told and saved, but no step.
const STEPLESS: [&str; 8] = [
    "task.eval_samples",
    "train.eval_samples",
    "train.eval_every",
    "train.stop_at_accuracy",
    "train.patience",
    // The rates are looked at by themselves.
    "train.steps",
    "train.min_lr",
    "train.decay",
];
/// Keys of the task that count even where the data are known to be the same.
const SAMPLES: [&str; 2] = ["task.seq_len", "task.eval_samples"];
/// Keys of the task that say where its data lie and how they are written, and what in them nothing uses: they change no sample. Where they lead to other data,
/// these are refused, or known to be new, or of a checkpoint that does not say which it had, which is told.
const PLACES: [&str; 12] = [
    "task.path",
    "task.from_disk",
    "task.tokens",
    "task.tokenizer",
    "task.vocab_size",
    "task.labels_path",
    "task.lengths_path",
    "task.ignore_arrays",
    "task.ignore_columns",
    "task.time_column",
    "task.delimiter",
    "task.header",
];

/// What is told where a checkpoint has no hashes of its data.
const UNKNOWN_DATA: &str = "the checkpoint, of an earlier version, does not say which data it was trained on: that they are the same was not checked";

/// A run that goes on, beside its checkpoint.
pub(super) struct Changed<'a> {
    pub(super) origin: &'a Origin<'a>,
    pub(super) state: &'a TrainerState,
    pub(super) config: &'a TrainConfig,
    pub(super) opened: &'a Opened,
    pub(super) device: &'a str,
    pub(super) new_data: bool,
}

impl Changed<'_> {
    /// One note for each thing that is to be known.
    pub(super) fn notes(&self) -> Vec<String> {
        let all = self.all();
        let mut notes = vec![];
        if !all.is_empty() {
            let arrows: Vec<String> = all.iter().map(Change::arrow).collect();
            notes.push(format!(
                "changed at step {}: {}",
                self.state.step,
                arrows.join(", ")
            ));
        }
        notes.extend(self.data());
        notes.extend(self.opened.unknown.iter().cloned());
        // Of steps that are not made there is nothing to tell.
        if self.state.step < self.config.train.steps {
            notes.extend(self.rates());
            notes.extend(self.samples(&all));
            notes.extend(self.exactness(&all));
        }
        notes.extend(self.forgotten_best(&all));
        notes.extend(self.done());
        notes
    }

    /// Whether the best result so far was measured as the next ones will be.
    pub(super) fn keeps_best(&self) -> bool {
        let validation = match (&self.origin.record.data, &self.opened.data) {
            (Some(old), Some(new)) => old.validation == new.validation,
            _ => !self.new_data && self.opened.task_changes.iter().all(is_place),
        };
        let measured = |change: &Change| MEASURED.contains(&change.key.as_str());
        validation && !self.all().iter().any(measured)
    }

    /// All changes that are allowed, the task's first.
    fn all(&self) -> Vec<Change> {
        let same = self.origin.same_data(&self.opened.data);
        let told = |change: &&Change| !same || SAMPLES.contains(&change.key.as_str());
        let mut all: Vec<Change> = self
            .opened
            .task_changes
            .iter()
            .filter(told)
            .cloned()
            .collect();
        all.extend(self.opened.dropout.clone());
        if let Some(old) = &self.origin.train {
            all.extend(changes(
                "train",
                Some(&json(old)),
                Some(&json(&self.config.train)),
            ));
        }
        let old = self.origin.record.device.as_deref();
        if let Some(old) = old.filter(|old| *old != self.device) {
            all.push(Change {
                key: "device".into(),
                old: Some(old.into()),
                new: Some(self.device.into()),
            });
        }
        all
    }

    fn data(&self) -> Option<String> {
        let (old, new) = (&self.origin.record.data, &self.opened.data);
        match (old, new) {
            (Some(old), Some(new)) if old != new => Some(format!(
                "the data are others than those of the checkpoint; {} stay as they are in the checkpoint",
                self.kept()
            )),
            (None, Some(_)) => Some(UNKNOWN_DATA.into()),
            _ => None,
        }
    }

    /// What a model takes along into other data.
    fn kept(&self) -> String {
        let model = &self.opened.model;
        let mut kept = vec!["weights"];
        if self.opened.task.vocabulary().is_some() {
            kept.push("vocabulary");
        }
        let input = model.input.as_ref().is_some_and(|i| i.mean.is_some());
        if input || model.head.mean.is_some() {
            kept.push("statistics");
        }
        match kept.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => "weights".into(),
        }
    }

    fn rates(&self) -> Option<String> {
        let (old, new, step) = (&self.state.schedule, self.schedule(), self.state.step);
        if !differ(old, &new, step) {
            return None;
        }
        let then = match new.decay {
            Decay::Constant if step < new.warmup_steps => {
                format!("rises to {} until step {}", new.lr, new.warmup_steps)
            }
            Decay::Constant => format!("stays at {}", new.lr),
            Decay::Cosine => format!("ends with {} at step {}", new.min_lr, new.total_steps),
        };
        Some(format!(
            "learning rate of the next step, {step}: {:.4e}, it was to be {:.4e}; it {then}",
            new.lr_at(step),
            old.lr_at(step)
        ))
    }

    fn samples(&self, all: &[Change]) -> Option<String> {
        let batch = all.iter().any(|c| c.key == "train.batch");
        batch.then(|| {
            format!(
                "training goes on with sample {}, {} a step",
                self.state.samples, self.config.train.batch
            )
        })
    }

    /// Where the run stops being the one that it would have been.
    fn exactness(&self, all: &[Change]) -> Option<String> {
        let on_gpu = self.device.starts_with("cuda");
        let rates = ["train.lr", "train.warmup_steps"];
        let counts = |change: &&Change| {
            let key = change.key.as_str();
            // What another engine changes is told by the device.
            let told = STEPLESS.contains(&key)
                || rates.contains(&key)
                || is_place(change)
                || key == "train.engine";
            !told && (key != "train.tuned" || on_gpu)
        };
        let mut keys: Vec<&str> = all.iter().filter(counts).map(|c| c.key.as_str()).collect();
        if differ(&self.state.schedule, &self.schedule(), self.state.step) {
            keys.push("the learning rate");
        }
        if self.new_data && !self.origin.same_data(&self.opened.data) {
            keys.push("the data");
        }
        (!keys.is_empty()).then(|| {
            format!(
                "from step {} on the run is no longer, bit for bit, the one without these changes: {}",
                self.state.step,
                keys.join(", ")
            )
        })
    }

    fn forgotten_best(&self, all: &[Change]) -> Option<String> {
        let best = self.state.best.as_ref().filter(|_| !self.keeps_best())?;
        if self.opened.task.len(Split::Validation) == Some(0) {
            return Some(format!(
                "the best {} so far, {:.4} after step {}, was measured on a validation part, and there is none now: \
                 the best checkpoint stays as it is, and there is no new one",
                best.name, best.value, best.step
            ));
        }
        Some(format!(
            "the best {} so far, {:.4} after step {}, was measured {} and is no longer compared with: \
             the next evaluation replaces the best checkpoint",
            best.name,
            best.value,
            best.step,
            self.measured(all)
        ))
    }

    /// How the best so far was measured, where the next ones are measured otherwise.
    fn measured(&self, all: &[Change]) -> String {
        let validation = match (&self.origin.record.data, &self.opened.data) {
            (Some(old), Some(new)) => old.validation == new.validation,
            _ => !self.new_data,
        };
        let of = |key: &str| all.iter().find(|c| c.key == key);
        if let (true, Some(change)) = (validation, of("task.seq_len")) {
            let [old, new] = [&change.old, &change.new].map(|n| Change::shown(n.as_ref()));
            return format!("in windows of {old} steps, not of {new},");
        }
        if let (true, Some(change)) = (validation, of("train.eval_samples")) {
            // 0: all.
            let shown = |n: &Option<Json>| match n.as_ref().and_then(Json::as_u64) {
                Some(0) | None => "all sequences".to_owned(),
                Some(1) => "the first sequence".to_owned(),
                Some(n) => format!("the first {n} sequences"),
            };
            return format!(
                "on {} of the validation part, not on {},",
                shown(&change.old),
                shown(&change.new)
            );
        }
        if let (true, Some(change)) = (validation, of("task.eval_samples")) {
            let [old, new] = [&change.old, &change.new].map(|n| Change::shown(n.as_ref()));
            return format!("on {old} sequences, not on {new},");
        }
        "on other validation data".into()
    }

    fn done(&self) -> Option<String> {
        let (done, steps) = (self.state.step, self.config.train.steps);
        (done >= steps).then(|| {
            format!(
                "the checkpoint is at step {done}, where the configuration ends (train.steps is {steps}): only the last evaluation is made; raise train.steps to train on"
            )
        })
    }

    fn schedule(&self) -> Schedule {
        self.config.train.schedule()
    }
}

fn is_place(change: &Change) -> bool {
    PLACES.contains(&change.key.as_str())
}

/// Whether any rate from `step` on differs.
fn differ(old: &Schedule, new: &Schedule, step: u64) -> bool {
    /// Without what no longer has an effect.
    fn rest(schedule: &Schedule, step: u64) -> Schedule {
        let mut rest = schedule.clone();
        if rest.decay == Decay::Constant {
            (rest.min_lr, rest.total_steps) = (0.0, 0);
            if step >= rest.warmup_steps {
                rest.warmup_steps = 0;
            }
        }
        rest
    }
    rest(old, step) != rest(new, step)
}

fn json(options: &TrainOptions) -> Json {
    let mut json = serde_json::to_value(options).unwrap_or_default();
    // Files leave out what is usual.
    json["accumulate"] = options.accumulate.into();
    json["on_nan"] = serde_json::to_value(options.on_nan).unwrap_or_default();
    json["carry_state"] = options.carry_state.into();
    json["engine"] = options.engine.name().into();
    json["precision"] = options.precision.name().into();
    json["tuned"] = options.tuned.into();
    json["loss"] = serde_json::to_value(&options.loss).unwrap_or_default();
    json
}
