//! The files of an export and their sizes.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value as Json;

use super::html::{self, Cell, number, text};
use crate::files::{self, MANIFEST};
use crate::table::size;
use crate::verify::Export;

/// The largest manifest that is read; the export was opened, so that it is one.
const MOST: u64 = 1 << 30;

pub(super) fn section(export: &Export) -> Result<String> {
    let dir = export.dir();
    let manifest: Json = serde_json::from_str(&files::read_text(&dir.join(MANIFEST), MOST)?)?;
    let mut rows = vec![];
    let mut beside: Vec<&str> = vec![];
    for (form, entry) in manifest["forms"].as_object().into_iter().flatten() {
        let name = entry["file"].as_str().unwrap_or_default();
        rows.push(row(dir, name, &about(form, entry))?);
        beside.extend(entry.pointer("/weights/file").and_then(Json::as_str));
    }
    beside.sort_unstable();
    beside.dedup();
    for name in beside {
        rows.push(row(dir, name, "weights, beside the graphs")?);
    }
    for (name, what) in [
        (
            "golden.safetensors",
            "inputs and right outputs, to test an integration",
        ),
        (MANIFEST, "inputs, outputs, states, hashes"),
        ("README.md", "model card"),
    ] {
        if dir.join(name).is_file() {
            rows.push(row(dir, name, what)?);
        }
    }
    let dtype = manifest["dtype"].as_str().unwrap_or("f32");
    let said = format!(
        "Weights of type {dtype}, for {}.",
        manifest["target"].as_str().unwrap_or("portable")
    );
    Ok(format!(
        "<p>{}</p>\n{}",
        html::escape(&said),
        html::table(&["file", "size", "what it is"], &rows)
    ))
}

fn about(form: &str, entry: &Json) -> String {
    let mut words = vec![format!("the form {form}")];
    words.extend(
        entry["lowering"]
            .as_str()
            .filter(|l| *l != form)
            .map(|l| format!("lowering {l}")),
    );
    words.extend(entry["opset"].as_i64().map(|n| format!("opset {n}")));
    words.extend(
        entry["max_seq_len"]
            .as_u64()
            .map(|n| format!("up to {n} steps")),
    );
    words.join(", ")
}

fn row(dir: &Path, name: &str, what: &str) -> Result<Vec<Cell>> {
    let path = dir.join(name);
    let about =
        std::fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(vec![text(name), number(size(about.len())), text(what)])
}
