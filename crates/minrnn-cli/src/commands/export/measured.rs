//! What a checkpoint is known to do, for the model card: the best evaluation of its training.

use minrnn_model::graph::OutputKind;
use serde_json::Value as Json;

use crate::files::{Loaded, METRICS};

/// Rows of a table: what was measured, and the figure. Empty where the checkpoint says nothing.
pub(super) fn figures(loaded: &Loaded) -> Vec<(String, String)> {
    let state = std::fs::read(loaded.path.join("trainer_state.json")).unwrap_or_default();
    let state: Json = serde_json::from_slice(&state).unwrap_or_default();
    let best = &state["best"];
    let (Some(loss), Some(step)) = (best["value"].as_f64(), best["step"].as_u64()) else {
        return vec![];
    };
    // Of a run's newest checkpoint the best one is another.
    if state["step"].as_u64() != Some(step) {
        return vec![];
    }
    let unit = match loaded.model.graph().output().kind {
        OutputKind::Logits => "nats",
        OutputKind::Values => "mean square",
    };
    let mut rows = vec![
        ("training steps".to_owned(), step.to_string()),
        (format!("validation loss, {unit}"), format!("{loss:.5}")),
    ];
    if let Some(accuracy) = accuracy(loaded, loss, step) {
        let share = format!("{:.2} %", 100.0 * accuracy);
        rows.push(("validation accuracy".to_owned(), share));
    }
    rows
}

/// The run's log has it: the same evaluation.
fn accuracy(loaded: &Loaded, loss: f64, step: u64) -> Option<f64> {
    let log = std::fs::read_to_string(loaded.path.parent()?.join(METRICS)).ok()?;
    let evaluation = |line: &str| -> Option<Json> {
        let line: Json = serde_json::from_str(line).ok()?;
        let same = line["event"] == "eval"
            && line["step"].as_u64() == Some(step)
            && line["loss"].as_f64() == Some(loss);
        same.then_some(line)
    };
    log.lines().rev().find_map(evaluation)?["accuracy"].as_f64()
}
