//! What a checkpoint is known to do, for the model card: the best evaluation of its training.

use minrnn_model::graph::OutputKind;
use minrnn_train::checkpoint::{BestMetric, TrainerState};
use serde_json::Value as Json;

use crate::files::{Loaded, METRICS};
use crate::training::percent;

/// Rows of a table: what was measured, and the figure. Empty where the checkpoint says nothing. Of what was read together with the
/// weights: a training may have replaced the folder since.
pub(super) fn figures(loaded: &Loaded) -> Vec<(String, String)> {
    let Some(TrainerState {
        step,
        best: Some(best),
        ..
    }) = &loaded.checkpoint.trainer
    else {
        return vec![];
    };
    // Of a run's newest checkpoint the best one is another.
    if best.step != *step {
        return vec![];
    }
    let unit = match loaded.model.graph().output().kind {
        OutputKind::Logits => "nats",
        OutputKind::Values => "mean square",
    };
    let mut rows = vec![
        ("training steps".to_owned(), step.to_string()),
        (
            format!("validation loss, {unit}"),
            format!("{:.5}", best.value),
        ),
    ];
    if let Some(accuracy) = accuracy(loaded, best) {
        rows.push(("validation accuracy".to_owned(), percent(accuracy)));
    }
    rows
}

/// The run's log has it: the same evaluation.
fn accuracy(loaded: &Loaded, best: &BestMetric) -> Option<f64> {
    let log = std::fs::read_to_string(loaded.path.parent()?.join(METRICS)).ok()?;
    let evaluation = |line: &str| -> Option<Json> {
        let line: Json = serde_json::from_str(line).ok()?;
        let same = line["event"] == "eval"
            && line["step"].as_u64() == Some(best.step)
            && line["loss"].as_f64() == Some(best.value);
        same.then_some(line)
    };
    log.lines().rev().find_map(evaluation)?["accuracy"].as_f64()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use minrnn_train::trainer::{Control, Device, Event, TrainConfig, Trainer};

    use super::*;
    use crate::files;

    const CONFIG: &str = "[task]\nkind = 'selective_copying'\nlength = 6\ndata_tokens = 2\nvocab = 6\neval_samples = 8\n\
        [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 2\nbatch = 2\nlr = 1e-3\n";

    /// A run of so many steps whose only evaluation is its best.
    fn train(steps: u64, best: &Path) -> Vec<(String, String)> {
        let mut config: TrainConfig = toml::from_str(CONFIG).unwrap();
        config.train.steps = steps;
        let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
        let mut log = String::new();
        let metrics = trainer.fit(&mut |_, event| {
            if let Event::Eval { step, metrics, .. } = event {
                let line = serde_json::json!({ "event": "eval", "step": step, "loss": metrics.loss, "accuracy": metrics.accuracy });
                log = line.to_string() + "\n";
            }
            Ok(Control::Continue)
        });
        let metrics = metrics.unwrap().unwrap();
        trainer.checkpoint().unwrap().save(best).unwrap();
        std::fs::write(best.with_file_name(METRICS), log).unwrap();
        vec![
            ("training steps".into(), steps.to_string()),
            (
                "validation loss, nats".into(),
                format!("{:.5}", metrics.loss),
            ),
            (
                "validation accuracy".into(),
                format!("{:.2} %", 100.0 * metrics.accuracy.unwrap()),
            ),
        ]
    }

    #[test]
    fn figures_are_those_of_the_weights_that_were_read() {
        let dir = tempfile::tempdir().unwrap();
        let best = dir.path().join("best");
        let first = train(1, &best);
        let loaded = files::load_checkpoint(dir.path()).unwrap();
        assert_eq!(figures(&loaded), first);
        // A training goes on meanwhile. Its log has both evaluations.
        let log = std::fs::read_to_string(dir.path().join(METRICS)).unwrap();
        let second = train(2, &best);
        assert_ne!(first[1], second[1]);
        let more = std::fs::read_to_string(dir.path().join(METRICS)).unwrap();
        std::fs::write(dir.path().join(METRICS), log + &more).unwrap();
        assert_eq!(figures(&loaded), first);
        // A kill left it between two names.
        std::fs::rename(&best, dir.path().join(".best.new")).unwrap();
        let loaded = files::load_checkpoint(dir.path()).unwrap();
        assert_eq!(figures(&loaded), second);
    }
}
