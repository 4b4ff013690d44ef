//! Messages of the parsers of JSON and TOML in words of the user: they name types of Rust.

/// What stands after `expected`, and what it means to somebody who writes a file.
const TYPES: [(&str, &str); 18] = [
    ("usize", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("u32", "a whole number, 0 or more"),
    ("u16", "a whole number, 0 or more"),
    ("u8", "a whole number from 0 to 255"),
    ("isize", "a whole number"),
    ("i64", "a whole number"),
    ("i32", "a whole number"),
    ("f64", "a number"),
    ("f32", "a number"),
    ("a boolean", "true or false"),
    ("a string", "a text"),
    ("a sequence", "a list"),
    ("a map", "a table"),
    ("string or map", "a text or a table"),
    ("string or table", "a text or a table"),
    ("path string", "a text, the path of a file"),
    ("option", "a value"),
];
/// Kinds of types that stand before a name.
const NAMED: [(&str, &str); 6] = [
    ("untagged enum", "a value that is possible here"),
    ("internally tagged enum", "a table"),
    ("newtype struct", "a value that is possible here"),
    ("tuple struct", "a list"),
    ("struct", "a table"),
    ("enum", "one of the words that are possible here"),
];

/// The message without types of Rust.
pub(crate) fn plain(message: &str) -> String {
    let untagged = "data did not match any variant of untagged enum ";
    let mut out = String::new();
    let mut rest = message;
    loop {
        let next = [("expected ", false), (untagged, true)];
        let at = next
            .iter()
            .filter_map(|(w, bare)| Some((rest.find(w)?, *w, *bare)));
        let Some((at, word, bare)) = at.min() else {
            return out + rest;
        };
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        out.push_str(before);
        rest = if bare {
            out.push_str("it is none of the values that are possible here");
            &after[name(after)..]
        } else {
            out.push_str(word);
            let (said, used) = meaning(after);
            out.push_str(said);
            &after[used..]
        };
    }
}

/// Words for the type at the begin of a text, and its length there; nothing where there is none.
fn meaning(text: &str) -> (&'static str, usize) {
    let ends = |len: usize| text[len..].chars().next().is_none_or(|c| !is_word(c));
    let plain = TYPES
        .iter()
        .find(|(ty, _)| text.starts_with(ty) && ends(ty.len()));
    if let Some((ty, words)) = plain {
        return (words, ty.len());
    }
    let named = NAMED.iter().find_map(|(kind, words)| {
        let rest = text.strip_prefix(kind)?.strip_prefix(' ')?;
        let capital = rest.starts_with(|c: char| c.is_ascii_uppercase());
        capital.then(|| (*words, text.len() - rest.len() + name(rest)))
    });
    named.unwrap_or(("", 0))
}

/// Length of the name at the begin of a text.
fn name(text: &str) -> usize {
    text.find(|c: char| !is_word(c)).unwrap_or(text.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_rust_become_words() {
        for (said, wanted) in [
            (
                "invalid type: string \"a\", expected usize",
                "invalid type: string \"a\", expected a whole number, 0 or more",
            ),
            (
                "invalid value: integer `-1`, expected u64 at line 3 column 4",
                "invalid value: integer `-1`, expected a whole number, 0 or more at line 3 column 4",
            ),
            (
                "model: invalid type: map, expected f64; and expected a sequence",
                "model: invalid type: map, expected a number; and expected a list",
            ),
            (
                "invalid type: integer `3`, expected struct TextOptions",
                "invalid type: integer `3`, expected a table",
            ),
            (
                "data did not match any variant of untagged enum Either at line 1",
                "it is none of the values that are possible here at line 1",
            ),
            (
                "unknown field `a`, expected one of `usize`, `b`",
                "unknown field `a`, expected one of `usize`, `b`",
            ),
            (
                "expected usizes and structure",
                "expected usizes and structure",
            ),
            ("expected", "expected"),
        ] {
            assert_eq!(plain(said), wanted);
        }
    }
}
