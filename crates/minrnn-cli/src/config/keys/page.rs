//! The tables of `docs/configuration.md`.

#![cfg_attr(not(test), expect(dead_code, reason = "the page is made by a test"))]

use std::fmt::Write as _;

use super::{Default, Table};

/// The page with the tables of keys in the places that its marks say: `<!-- keys task.text -->` to `<!-- end -->`. None where a mark names no table, or does not end.
pub(crate) fn filled(page: &str, tables: &[&Table]) -> Option<String> {
    const BEGIN: &str = "<!-- keys ";
    const END: &str = "<!-- end -->";
    let mut all = String::new();
    let mut rest = page;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (name, behind) = behind.split_once(" -->")?;
        let (_, behind) = behind.split_once(END)?;
        let table = tables.iter().find(|t| t.name == name)?;
        let _ = write!(all, "{before}{BEGIN}{name} -->\n{}{END}", rows(table));
        rest = behind;
    }
    Some(all + rest)
}

fn rows(table: &Table) -> String {
    let mut text =
        "| key | type | default | meaning | example |\n|---|---|---|---|---|\n".to_owned();
    for key in table.keys {
        let default = match key.default {
            Default::Needed => "needed".to_owned(),
            Default::Is(value) => format!("`{value}`"),
            Default::Words(words) => words.to_owned(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {default} | {} | `{} = {}` |",
            key.name, key.kind, key.meaning, key.name, key.example
        );
    }
    text
}
