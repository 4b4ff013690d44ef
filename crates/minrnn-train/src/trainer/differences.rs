//! Two descriptions side by side: what differs, in words.

use serde_json::Value as Json;

use crate::error::Difference;

/// Names shown of a list.
const SHOWN: usize = 12;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub(super) all: Vec<Difference>,
    /// What could not be compared: told, never refused.
    pub(super) unknown: Vec<String>,
}

impl Differences {
    pub(super) fn push(&mut self, what: impl Into<String>, message: impl Into<String>) {
        self.all.push(Difference {
            what: what.into(),
            message: message.into(),
        });
    }

    /// Names in their order. Where one side alone has some nothing tells which column is which.
    pub(super) fn names(&mut self, what: &str, old: Option<&[String]>, new: Option<&[String]>) {
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (Some(old), None) => return self.unnamed(what, "the checkpoint", old, "the data"),
            (None, Some(new)) => return self.unnamed(what, "the data", new, "the checkpoint"),
            (None, None) => return,
        };
        if old == new {
            return;
        }
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names
        };
        let how = match sorted(old) == sorted(new) {
            true => "the order differs: ",
            false => "",
        };
        let (old, new) = (listed(old), listed(new));
        self.push(
            what,
            format!("{how}{old} in the checkpoint, {new} in the configuration"),
        );
    }

    fn unnamed(&mut self, what: &str, with: &str, names: &[String], without: &str) {
        self.unknown.push(format!(
            "{what} have names in {with} ({}) and none in {without}: that they are the same, in this order, was not checked",
            listed(names)
        ));
    }
}

/// A key with both of its values; `None`: absent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) key: String,
    pub(super) old: Option<Json>,
    pub(super) new: Option<Json>,
}

impl Change {
    /// A value as it is shown.
    pub(super) fn shown(value: Option<&Json>) -> String {
        value.map_or_else(|| "absent".to_owned(), Json::to_string)
    }

    /// `train.lr 0.003 -> 0.001`.
    pub(super) fn arrow(&self) -> String {
        let (old, new) = (
            Self::shown(self.old.as_ref()),
            Self::shown(self.new.as_ref()),
        );
        format!("{} {old} -> {new}", self.key)
    }
}

/// All keys below `key` whose values differ, in order of name; a table that one side lacks is one change.
pub(super) fn changes(key: &str, old: Option<&Json>, new: Option<&Json>) -> Vec<Change> {
    let mut all = vec![];
    collect(key, old, new, &mut all);
    all
}

fn collect(key: &str, old: Option<&Json>, new: Option<&Json>, all: &mut Vec<Change>) {
    match (old, new) {
        (Some(Json::Object(old)), Some(Json::Object(new))) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for name in keys {
                collect(&format!("{key}.{name}"), old.get(name), new.get(name), all);
            }
        }
        (old, new) if old != new => all.push(Change {
            key: key.to_owned(),
            old: old.cloned(),
            new: new.cloned(),
        }),
        _ => {}
    }
}

/// `a`, `b` and 3 more.
pub(super) fn listed(names: &[String]) -> String {
    let quoted = names.iter().map(|name| format!("`{name}`"));
    some(quoted.collect())
}

/// 'a', '\n' and 3 more.
pub(super) fn characters(tokens: &[&String]) -> String {
    let quoted = tokens.iter().map(|token| match token.chars().next() {
        Some(c) => format!("{c:?}"),
        None => "''".to_owned(),
    });
    some(quoted.collect())
}

fn some(mut words: Vec<String>) -> String {
    let more = words.len().saturating_sub(SHOWN);
    words.truncate(SHOWN);
    let shown = words.join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
