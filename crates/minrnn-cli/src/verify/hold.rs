//! What needs no engine: the contract of the files, their weights, their graphs and the golden trace.

use anyhow::Result;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::Stored;

use super::contract::Export;
use super::engine::Numbers;
use super::{Check, Report, Row, fresh, golden, texts};

/// Verifies what needs no engine: the contract of the files, their weights, their graphs and the golden trace. [`super::verify`] begins
/// with it.
///
/// # Errors
/// As [`super::verify`].
pub fn verify_files(export: &Export, model: &Model, params: &Params) -> Result<Report> {
    let held = hold(export, model, params)?;
    Ok(Report::new(held.rows, held.notes).of(export))
}

/// What the files hold, and what was found of it.
pub(super) struct Held {
    pub(super) stored: Stored,
    pub(super) rows: Vec<Row>,
    pub(super) notes: Vec<String>,
}

/// Holds the files to their contract.
///
/// # Errors
/// As [`super::verify`].
pub(super) fn hold(export: &Export, model: &Model, params: &Params) -> Result<Held> {
    let graph = model.graph();
    export.is_of(model)?;
    let stored = export.stored(model)?;
    export.agrees(model, &stored)?;
    export.holds_weights(graph, &stored, params)?;
    let rounding = stored.weights.rounding(graph);
    let wide = stored.params.to_f64();
    let numbers = Numbers {
        params: &wide,
        rounding: rounding.as_ref(),
    };
    let (mut rows, mut notes) = (vec![], vec![]);
    if !export.off().has(Check::Golden) {
        let originals = export.originals(graph, params);
        let (golden, bounds) = golden::row(export, graph, &stored, numbers, originals)?;
        rows.push(golden);
        notes.extend(bounds);
    }
    if !export.off().has(Check::Graphs) {
        let (graphs, remarks) = fresh::graphs(export, graph, &stored)?;
        rows.extend(graphs);
        notes.splice(0..0, remarks);
    }
    notes.extend(export.untied());
    notes.extend(texts::remarks(export, graph, &stored));
    Ok(Held {
        stored,
        rows,
        notes,
    })
}
