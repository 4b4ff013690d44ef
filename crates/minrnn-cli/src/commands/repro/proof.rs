//! Export and verification of what was trained.

use anyhow::Result;
use minrnn_onnx::export::{DirOptions, ExportOptions, Form, most_steps};

use super::context::{Context, EXPORTS, remove};
use super::outcome::Trained;
use super::parcel;
use crate::commands::export;
use crate::files::Loaded;
use crate::verify::{self, Export, Options};

/// Exports a model and verifies it to `longest` steps. The export is there until [`settle`].
pub(super) fn prove(
    cx: &Context,
    key: &str,
    loaded: &Loaded,
    longest: Option<usize>,
) -> Result<Trained> {
    let out = cx.export(key);
    remove(&out)?;
    let graph = loaded.model.graph();
    let mut options = ExportOptions::default().fitting(graph);
    if most_steps(graph).is_none() {
        options.max_seq_len = options.longest_by_memory(graph);
    }
    cx.ui.note(&format!("{key}: exporting and verifying"));
    let exported = export::write(
        loaded,
        &out,
        &DirOptions {
            options,
            ..DirOptions::default()
        },
    )?;
    let quick = Options::quick();
    let options = Options {
        longest: longest.or(quick.longest),
        ..quick
    };
    let mut progress = cx.ui.progress("verify", 0);
    let report = verify::verify(
        &Export::open(&out)?,
        &loaded.model,
        &loaded.params,
        &options,
        &mut |done, all, what| progress.share(done as u64, all as u64, || what.to_owned()),
    )?;
    drop(progress);
    for row in report.failures_first().filter(|r| r.decides && !r.holds) {
        cx.ui.error(&format!(
            "{key}: {} {} against {} does not hold",
            row.engine, row.form, row.against
        ));
    }
    let small = exported
        .files
        .iter()
        .all(|f| f.bytes <= parcel::MOST as u64);
    let forms = Form::of(graph)
        .into_iter()
        .map(|f| f.name().to_owned())
        .collect();
    Ok(Trained {
        parameters: loaded.params.count(),
        weights_sha256: exported.weights_sha256,
        forms,
        holds: report.holds,
        checks: report.rows.iter().filter(|r| r.decides).count(),
        export: small.then(|| format!("{EXPORTS}/{key}")),
    })
}

/// Keeps an export where all of its files are small enough; what is measured of it has been.
pub(super) fn settle(cx: &Context, key: &str, model: &Trained) -> Result<()> {
    match model.export {
        Some(_) => Ok(()),
        None => remove(&cx.export(key)),
    }
}
