//! A file, or each form of an export, against a reference with the same inputs and outputs.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Export;
use super::pair::{Kind, Pair, Request, compare};

/// Compares `reference` with the file `given`, or with each form of the export in that folder that takes whole sequences.
///
/// # Errors
/// As [`compare`]; a folder that is no export or has no such form.
pub(crate) fn against(
    reference: &Path,
    given: &Path,
    request: &Request,
    observe: super::Observer,
) -> Result<Vec<Pair>> {
    if !given.is_dir() {
        return Ok(vec![compare(
            reference,
            given,
            Kind::Same,
            request,
            observe,
        )?]);
    }
    let export = Export::open(given)?;
    let files: Vec<_> = export
        .files()
        .filter(|(form, _)| *form != "step")
        .map(|(_, path)| path.to_path_buf())
        .collect();
    if files.is_empty() {
        bail!(
            "{} has no form that takes whole sequences; name a file of it",
            given.display()
        );
    }
    files
        .iter()
        .map(|file| compare(reference, file, Kind::Same, request, observe))
        .collect()
}

/// Compares each sequence form of an export with its step form.
///
/// # Errors
/// As [`compare`]; an export without a step form, or without another one.
pub(crate) fn forms(
    folder: &Path,
    request: &Request,
    observe: super::Observer,
) -> Result<Vec<Pair>> {
    let export = Export::open(folder)?;
    let step = export
        .files()
        .find(|(form, _)| *form == "step")
        .map(|(_, path)| path.to_path_buf());
    let step = step.with_context(|| {
        format!(
            "{} has no step form to compare the others with",
            folder.display()
        )
    })?;
    let others: Vec<_> = export
        .files()
        .filter(|(form, _)| *form != "step")
        .map(|(_, path)| path.to_path_buf())
        .collect();
    if others.is_empty() {
        bail!("{} has no form but step", folder.display());
    }
    others
        .iter()
        .map(|file| compare(file, &step, Kind::Step, request, observe))
        .collect()
}
