//! The next character of a text.

use std::path::Path;

use anyhow::{Context, Result, bail};
use minrnn_train::data::read_data;

use super::write::{Page, Sizes, Value, plain, rest};

/// The fewest characters of which both parts have some.
const FEWEST: usize = 40;

pub(super) fn configuration(file: Option<&Path>) -> Result<String> {
    let characters = file.map(count).transpose()?;
    if let (Some(n), Some(file)) = (characters, file)
        && n < FEWEST
    {
        bail!(
            "{} has {n} characters; a training needs at least {FEWEST}",
            file.display()
        );
    }
    let seq_len = characters.map_or(128, |n| (n / 20).clamp(8, 128).min(n / 4));
    let mut page = Page::default();
    page.note("The next character of a text: `minrnn train` with this file, then `minrnn generate` with the run.");
    page.table("task");
    page.key("task.text", "kind", Value::Text("text"), "");
    let path = file.map_or("book.txt".into(), |p| p.display().to_string());
    let why = characters.map_or("an example".into(), |n| format!("it has {n} characters"));
    page.key("task.text", "path", Value::Text(&path), &why);
    page.key("task.text", "seq_len", plain(seq_len), "");
    page.key("task.text", "validation_fraction", plain("0.1"), "");
    let sizes = Sizes {
        width: 128,
        longest: seq_len / 2,
        steps: 2000,
        batch: 16,
        evaluates: true,
    };
    rest(&mut page, &sizes);
    Ok(page.finish())
}

fn count(file: &Path) -> Result<usize> {
    let bytes = read_data(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|e| {
        anyhow::anyhow!(
            "{} is not UTF-8 from byte {} on; convert it first",
            file.display(),
            e.valid_up_to()
        )
    })?;
    Ok(text.chars().count())
}
