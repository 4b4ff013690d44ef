//! The text of a configuration and of its `--set`, for messages that show the place.

use anyhow::anyhow;

/// What is wrong, and where in the source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    pub(super) message: String,
    /// Byte in the source; `None`: the file as a whole.
    pub(super) at: Option<usize>,
}

impl Fault {
    pub(super) fn at(message: String, at: usize) -> Self {
        Self {
            message,
            at: Some(at),
        }
    }

    /// For places that are counted from `by`.
    pub(super) fn moved(self, by: usize) -> Self {
        Self {
            at: self.at.map(|at| at + by),
            ..self
        }
    }
}

impl From<toml::de::Error> for Fault {
    fn from(error: toml::de::Error) -> Self {
        let message = error.message();
        Self {
            message: too_large(message).unwrap_or_else(|| message.to_owned()),
            at: error.span().map(|span| span.start),
        }
    }
}

/// A whole number that no integer here holds, in the words of the parser.
fn too_large(message: &str) -> Option<String> {
    if message == "integer number overflowed" {
        return Some("the number is too large".into());
    }
    let (_, rest) = message.split_once("integer `")?;
    let (number, rest) = rest.split_once('`')?;
    let wide = [" as i128", " as u128"];
    wide.iter().any(|wide| rest.starts_with(wide)).then(|| {
        let far = if number.starts_with('-') {
            "small"
        } else {
            "large"
        };
        format!("the number {number} is too {far}")
    })
}

/// The file, then each `--set`, each followed by a line break: one text, so that one number tells a place.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: String,
    text: String,
    /// Where each part begins.
    starts: Vec<usize>,
}

impl Source {
    pub(super) fn new(file: &str, text: &str, sets: &[String]) -> Self {
        let mut all = Self {
            file: file.to_owned(),
            text: String::new(),
            starts: vec![],
        };
        for part in std::iter::once(text).chain(sets.iter().map(String::as_str)) {
            all.starts.push(all.text.len());
            all.text.push_str(part);
            all.text.push('\n');
        }
        all
    }

    /// Offset and text of each part.
    pub(super) fn parts(&self) -> impl Iterator<Item = (usize, &str)> {
        let ends = self.starts.iter().skip(1).copied().chain([self.text.len()]);
        self.starts
            .iter()
            .zip(ends)
            .map(|(start, end)| (*start, &self.text[*start..end - 1]))
    }

    /// The message with its place and the line there.
    pub(super) fn error(&self, fault: &Fault) -> anyhow::Error {
        let Fault { message, at } = fault;
        let Some(at) = at.map(|at| at.min(self.text.len() - 1)) else {
            return anyhow!("{}: {message}", self.file);
        };
        let part = self.starts.partition_point(|start| *start <= at) - 1;
        let start = self.starts[part];
        if part > 0 {
            let set = self.text[start..].lines().next().unwrap_or("");
            return anyhow!("--set {}: {message}{}", window(set, 0).0, hint(set));
        }
        let before = &self.text.as_bytes()[..at];
        let begin = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |i| i + 1);
        let number = 1 + before.iter().filter(|b| **b == b'\n').count();
        let line = self.text[begin..].lines().next().unwrap_or("");
        let column = 1 + String::from_utf8_lossy(&before[begin..]).chars().count();
        let (line, shown) = window(line, column - 1);
        let caret = " ".repeat(number.to_string().len() + 3 + shown);
        anyhow!(
            "{}, line {number}, column {column}: {message}\n{number} | {line}\n{caret}^",
            self.file
        )
    }
}

/// Characters of a long line that are shown before a place and from it on.
const AROUND: usize = 100;

/// The part of a line around character `at`, and where that is in it.
fn window(line: &str, at: usize) -> (String, usize) {
    let skipped = at.saturating_sub(AROUND);
    let mut rest = line.chars().skip(skipped);
    let before = if skipped > 0 { "…" } else { "" };
    let part: String = rest.by_ref().take(at - skipped + AROUND).collect();
    let behind = if rest.next().is_some() { "…" } else { "" };
    let shown = before.chars().count() + at - skipped;
    (format!("{before}{part}{behind}"), shown)
}

/// Shells take quotes away, and then a text is no TOML.
fn hint(set: &str) -> String {
    match set.split_once('=') {
        Some((key, _)) if key.trim_start().starts_with(['#', '[']) => {
            "; write it as key=value".into()
        }
        None => "; write it as key=value".into(),
        Some((key, value)) if value.len() < AROUND && is_bare(value) => format!(
            "; a text needs quotes inside quotes: --set '{}=\"{}\"'",
            key.trim(),
            value.trim()
        ),
        Some(_) => String::new(),
    }
}

/// Neither a TOML value nor quoted: the user probably meant a text.
fn is_bare(value: &str) -> bool {
    let value = value.trim();
    let table = format!("x = {value}").parse::<toml::Table>();
    !value.is_empty()
        && table.is_err()
        && value.parse::<f64>().is_err()
        && !value.starts_with(['"', '\'', '[', '{'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_shown_where_it_matters() {
        assert_eq!(window("steps = x", 8), ("steps = x".to_owned(), 8));
        let line = "é".repeat(1_000_000) + "!" + &"b".repeat(1_000_000);
        let (shown, at) = window(&line, 1_000_000);
        assert_eq!(shown.chars().count(), 202);
        assert_eq!(shown.chars().nth(at), Some('!'));
        assert!(shown.starts_with('…') && shown.ends_with('…'));
        let source = Source::new("a.toml", &line, &[]);
        let fault = Fault::at("is wrong".to_owned(), line.len());
        assert!(source.error(&fault).to_string().len() < 1000);
    }
}
