//! A configuration as text: each key with what it means.

use std::fmt::Write as _;

use crate::config::keys::meaning;
use crate::ui::visible;

/// A file in the making.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// A value as TOML has it.
pub(super) enum Value<'a> {
    Text(&'a str),
    Texts(&'a [String]),
    /// A number, a truth value or a table, as it is written.
    Plain(String),
}

impl Page {
    /// Lines of comment, in which TOML has no control characters.
    pub(super) fn note(&mut self, text: &str) {
        for line in visible(text).lines() {
            let _ = writeln!(self.0, "# {line}");
        }
    }

    /// The head of a table.
    pub(super) fn table(&mut self, name: &str) {
        let apart = if self.0.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.0, "{apart}[{name}]");
    }

    /// A key of a table (by its name in the list of keys), with what it means and why it has this value.
    pub(super) fn key(&mut self, table: &str, key: &str, value: Value, why: &str) {
        let meaning = meaning(table, key).unwrap_or_default();
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(" ({why})")
        };
        let _ = writeln!(self.0, "# {meaning}{why}\n{key} = {}", value.written());
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

impl Value<'_> {
    fn written(&self) -> String {
        let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
        match self {
            Self::Text(one) => text(one),
            Self::Texts(all) => {
                let all: Vec<String> = all.iter().map(|t| text(t)).collect();
                format!("[{}]", all.join(", "))
            }
            Self::Plain(value) => value.clone(),
        }
    }
}

pub(super) fn plain(value: impl ToString) -> Value<'static> {
    Value::Plain(value.to_string())
}

/// Evaluations without a better one, of ten in all: what is learnt by heart gets no better.
const PATIENCE: usize = 4;

/// Sizes of a model and of its training.
pub(super) struct Sizes {
    pub(super) width: usize,
    /// Steps that the longest gates remember at first.
    pub(super) longest: usize,
    pub(super) steps: usize,
    pub(super) batch: usize,
    /// Whether there is a validation part.
    pub(super) evaluates: bool,
}

/// [model] and [train].
pub(super) fn rest(page: &mut Page, sizes: &Sizes) {
    page.table("model");
    page.key("model", "width", plain(sizes.width), "");
    page.key("model", "layers", plain(2), "");
    page.key("model", "conv", plain("{ kernel = 4 }"), "");
    page.table("model.cell");
    page.key("model.cell", "kind", Value::Text("min_gru"), "");
    page.key("model.cell", "expansion", plain("2.0"), "");
    let longest = sizes.longest.max(2);
    page.key(
        "model.cell",
        "time_scale",
        plain(format!("[1, {longest}]")),
        "",
    );
    page.table("train");
    page.key("train", "steps", plain(sizes.steps), "");
    page.key("train", "batch", plain(sizes.batch), "");
    page.key("train", "lr", plain("3e-3"), "");
    page.key("train", "min_lr", plain("3e-4"), "");
    let every = if sizes.evaluates { sizes.steps / 10 } else { 0 };
    let why = if sizes.evaluates {
        ""
    } else {
        "there is no validation part"
    };
    page.key("train", "eval_every", plain(every), why);
    if sizes.evaluates {
        page.key("train", "patience", plain(PATIENCE), "");
    }
    page.key("train", "optimizer", plain("{ clip_norm = 1.0 }"), "");
}

/// The parts of so many sequences. Gives whether there is a validation part.
pub(super) fn parts(page: &mut Page, sequences: usize) -> bool {
    let (validation, test, why) = match sequences {
        0..5 => ("0.0", "0.0", "there are too few sequences to keep some"),
        5..10 => ("0.2", "0.0", "there are few sequences"),
        _ => ("0.1", "0.1", ""),
    };
    page.key(
        "task.sequences",
        "validation_fraction",
        plain(validation),
        why,
    );
    page.key("task.sequences", "test_fraction", plain(test), why);
    sequences >= 5
}
