//! The model of a configuration against that of a checkpoint.

use minrnn_model::config::{InputConfig, ModelConfig};
use minrnn_model::graph::OutputKind;
use serde_json::Value as Json;

use super::super::config::{TrainConfig, resolve};
use super::super::differences::{Change, Differences, changes, listed};
use super::{Origin, different, json, parsed};
use crate::error::Result;
use crate::task::{Task, TaskConfig};

impl Origin<'_> {
    /// The model of the configuration with the checkpoint's statistics.
    pub(super) fn compare_model(
        &self,
        config: &TrainConfig,
        task: &dyn Task,
        same_tokens: bool,
        found: &mut Differences,
    ) -> Result<ModelConfig> {
        let mut wanted = config.model.clone();
        self.forget_known(&mut wanted);
        let mut model = resolve(&wanted, task)?;
        self.keep_statistics(&wanted, &mut model, found);
        self.compare_targets(config, found);
        let same_classes = self.compare_names(config, &model, found);
        let comparable = |model: &ModelConfig| {
            let mut model = model.clone();
            model.dropout = 0.0;
            model.head.names = None;
            if let Some(input) = &mut model.input {
                input.names = None;
                input.vocab = input.vocab.filter(|_| same_tokens);
            }
            // Said already: the vocabulary, the classes.
            if !same_tokens || !same_classes {
                model.head.width = None;
            }
            json(&model)
        };
        let (old, new) = (comparable(&self.model), comparable(&model));
        for change in changes("model", Some(&old), Some(&new)) {
            different(&change, found);
        }
        if let (Some(old), Some(new)) = (&self.model.input, &mut model.input) {
            new.names = new.names.take().or_else(|| old.names.clone());
        }
        let names = model.head.names.take();
        model.head.names = names.or_else(|| self.model.head.names.clone());
        Ok(model)
    }

    /// What is said as the checkpoint has it is left to the task, so that what differs is told with all the rest.
    fn forget_known(&self, wanted: &mut ModelConfig) {
        fn forget<T: PartialEq>(new: &mut Option<T>, old: Option<&T>) {
            if new.as_ref() == old {
                *new = None;
            }
        }
        let (head, old) = (&mut wanted.head, &self.model.head);
        forget(&mut head.width, old.width.as_ref());
        forget(&mut head.names, old.names.as_ref());
        forget(&mut head.mean, old.mean.as_ref());
        forget(&mut head.std, old.std.as_ref());
        if head.kind == old.kind {
            head.kind = head.kind.forgotten();
        }
        if head.steps == old.steps {
            head.steps = head.steps.forgotten();
        }
        if let (Some(input), Some(old)) = (&mut wanted.input, &self.model.input) {
            forget(&mut input.vocab, old.vocab.as_ref());
            forget(&mut input.features, old.features.as_ref());
            forget(&mut input.names, old.names.as_ref());
            forget(&mut input.mean, old.mean.as_ref());
            forget(&mut input.std, old.std.as_ref());
        }
    }

    /// Statistics are part of the model: weights were trained behind them. Others are taken from no data; those that the
    /// configuration itself says must be the checkpoint's.
    fn keep_statistics(
        &self,
        wanted: &ModelConfig,
        model: &mut ModelConfig,
        found: &mut Differences,
    ) {
        let mut keep =
            |key: &str, said: bool, new: &mut Option<Vec<f32>>, old: &Option<Vec<f32>>| {
                if said {
                    found.push(
                        key,
                        "other numbers than those of the checkpoint, which stay; leave them out",
                    );
                }
                new.clone_from(old);
            };
        let head = &self.model.head;
        keep(
            "model.head.mean",
            wanted.head.mean.is_some(),
            &mut model.head.mean,
            &head.mean,
        );
        keep(
            "model.head.std",
            wanted.head.std.is_some(),
            &mut model.head.std,
            &head.std,
        );
        let (Some(old), Some(new)) = (&self.model.input, &mut model.input) else {
            return;
        };
        let said = |pick: fn(&InputConfig) -> bool| wanted.input.as_ref().is_some_and(pick);
        keep(
            "model.input.mean",
            said(|i| i.mean.is_some()),
            &mut new.mean,
            &old.mean,
        );
        keep(
            "model.input.std",
            said(|i| i.std.is_some()),
            &mut new.std,
            &old.std,
        );
    }

    /// Asked for or refused by name, normalised targets are a part of the model.
    fn compare_targets(&self, config: &TrainConfig, found: &mut Differences) {
        if let TaskConfig::Sequences(options) = &config.task
            && let Some(wanted) = options.normalize_targets
            && self.model.head.kind == OutputKind::Values
        {
            let old = self.model.head.mean.is_some();
            if old != wanted {
                different(
                    &Change {
                        key: "task.normalize_targets".into(),
                        old: Some(old.into()),
                        new: Some(wanted.into()),
                    },
                    found,
                );
            }
        }
    }

    /// Names of features, targets and classes in their order. Checkpoints of the first versions have the first two as columns of the
    /// task. Gives whether the outputs are called the same.
    fn compare_names(
        &self,
        config: &TrainConfig,
        model: &ModelConfig,
        found: &mut Differences,
    ) -> bool {
        let new_task = json(&config.task);
        let pick = |names: Option<&Vec<String>>, task: Option<&Json>, key: &str| {
            names.cloned().or_else(|| columns(task, key))
        };
        let input = |model: &ModelConfig, task: Option<&Json>| {
            let names = model.input.as_ref().and_then(|i| i.names.as_ref());
            pick(names, task, "feature_columns")
        };
        let (old, new) = (self.task.as_ref(), Some(&new_task));
        found.names(
            "features",
            input(&self.model, old).as_deref(),
            input(model, new).as_deref(),
        );
        let before = found.all.len();
        match *model.head.kind {
            OutputKind::Values => {
                let head = |model: &ModelConfig, task: Option<&Json>| {
                    pick(model.head.names.as_ref(), task, "target_columns")
                };
                found.names(
                    "targets",
                    head(&self.model, old).as_deref(),
                    head(model, new).as_deref(),
                );
            }
            OutputKind::Logits => self.compare_classes(config, model, found),
        }
        found.all.len() == before
    }

    /// Classes that have names on one side alone: numbers are 0, 1, 2, .. by their values, names by their order, which nothing ties
    /// together unless the configuration names the numbers.
    fn compare_classes(&self, config: &TrainConfig, model: &ModelConfig, found: &mut Differences) {
        let TaskConfig::Sequences(options) = &config.task else {
            return;
        };
        let (old, new) = (
            self.model.head.names.as_deref(),
            model.head.names.as_deref(),
        );
        let given = !options.class_names.is_empty() || config.model.head.names.is_some();
        match (old, new) {
            (None, Some(new)) if !given => found.push(
                "classes",
                format!(
                    "numbers from 0 on in the checkpoint, {} in the data; give the labels as the checkpoint's numbers, or say which is which by task.class_names",
                    listed(new)
                ),
            ),
            (Some(old), None) => found.push(
                "classes",
                format!(
                    "{} in the checkpoint, numbers in the data; give the labels by their names, or say by task.class_names which is which",
                    listed(old)
                ),
            ),
            (Some(_), Some(_)) => found.names("classes", old, new),
            // The configuration itself says which is which.
            (None, _) => {}
        }
    }
}

/// A list of column names that is not empty.
fn columns(task: Option<&Json>, key: &str) -> Option<Vec<String>> {
    let names: Vec<String> = task?.get(key).cloned().and_then(parsed)?;
    (!names.is_empty()).then_some(names)
}
