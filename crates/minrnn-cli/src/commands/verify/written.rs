//! A report as files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files;

/// Where the picture of a report lies: beside it, under its name.
///
/// # Errors
/// A report that would lie there itself.
pub(crate) fn picture_of(report: &Path) -> Result<PathBuf> {
    if report == Path::new("-") {
        bail!(
            "--report -: a report is two files, Markdown and its picture: name one that ends in .md"
        );
    }
    let picture = report.with_extension("svg");
    if picture == report {
        bail!(
            "--report {}: the report is Markdown, and its picture would have this name: give one that ends in .md",
            report.display()
        );
    }
    Ok(picture)
}

/// Writes a picture and the Markdown that shows it, which is given the picture's name.
pub(crate) fn markdown(
    report: &Path,
    picture: &str,
    text: impl FnOnce(&str) -> String,
) -> Result<()> {
    let beside = picture_of(report)?;
    let name = beside.file_name().and_then(|n| n.to_str());
    let name = name.with_context(|| format!("{}: its name is not Unicode", report.display()))?;
    // The picture first: no report shows one that is not there.
    files::write(&beside, picture.as_bytes())?;
    files::write(report, text(&name.replace(' ', "%20")).as_bytes())
}
