//! `minrnn export`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use minrnn_onnx::export::{DirOptions, ExportOptions, Exported, Form, Lowering, write_export};
use sha2::{Digest, Sha256};

use crate::Outcome;
use crate::args::{Export, FormChoice, LoweringChoice};
use crate::files::{self, Loaded, MANIFEST};
use crate::table::{size, table};
use crate::ui::Ui;

pub(super) fn run(args: &Export, ui: &Ui) -> Result<Outcome> {
    check_own(&args.out)?;
    let loaded = files::load_checkpoint(&args.checkpoint)?;
    let options = ExportOptions {
        lowering: match args.lowering {
            LoweringChoice::Blocked => Lowering::Blocked,
            LoweringChoice::KoggeStone => Lowering::KoggeStone,
        },
        batch: args.batch.0,
        seq_len: args.seq_len.0,
        max_seq_len: args.max_seq_len,
        ..ExportOptions::default()
    };
    let forms = match args.form {
        FormChoice::Parallel => vec![Form::Parallel],
        FormChoice::Scan => vec![Form::Scan],
        FormChoice::Step => vec![Form::Step],
        FormChoice::All => Form::ALL.to_vec(),
    };
    ui.note(&format!("exporting {}", loaded.path.display()));
    let exported = write(&loaded, &args.out, forms, options)?;
    ui.print(&format!(
        "{}\nweights {}\n",
        files_table(&exported.files)?,
        exported.weights_sha256
    ))?;
    ui.note(&format!(
        "next: minrnn verify {} --checkpoint {}",
        args.out.display(),
        loaded.path.display()
    ));
    Ok(Outcome::Holds)
}

/// Exports a checkpoint.
pub(super) fn write(
    loaded: &Loaded,
    out: &Path,
    forms: Vec<Form>,
    options: ExportOptions,
) -> Result<Exported> {
    let options = DirOptions {
        forms,
        options,
        vocabulary: loaded.checkpoint.vocabulary.clone(),
    };
    let exported = write_export(out, &loaded.model, &loaded.params, &options);
    exported.with_context(|| {
        format!(
            "cannot export {} to {}",
            loaded.path.display(),
            out.display()
        )
    })
}

/// A folder with anything else than an export is somebody's, and an export has a README.md of its own.
fn check_own(out: &Path) -> Result<()> {
    if files::is_free(out)? || out.join(MANIFEST).exists() {
        return Ok(());
    }
    bail!(
        "{} is not empty and no export of minrnn; choose another folder with --out",
        out.display()
    )
}

/// Names, sizes and hashes.
fn files_table(files: &[PathBuf]) -> Result<comfy_table::Table> {
    let mut rows = vec![];
    for file in files {
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let hash: String = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let name = file
            .file_name()
            .unwrap_or(file.as_os_str())
            .to_string_lossy()
            .into_owned();
        rows.push([name, size(bytes.len() as u64), hash]);
    }
    Ok(table(["file", "size", "sha256"], rows, &[1]))
}
