//! The keys of a manifest: those of its schema (`docs/manifest.schema.json`), each of its kind, and no others. What a key says is
//! held to the files elsewhere; here is what nothing else would miss or notice.

use serde_json::{Map, Value as Json};

/// What stands under a key.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Whole,
    List,
    Object,
    /// Held word for word to what follows from the files.
    Any,
}

/// When a key stands there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// In all but manifests of schema 1, whose first said only what there was a choice of.
    Later,
    /// Of some models, from schema 2 on.
    Some,
}

/// Name, kind, when, and whether `null` is a value of it.
type Key = (&'static str, Kind, When, bool);

const TOP: &[Key] = &[
    ("schema", Kind::Text, When::Always, false),
    ("weights_sha256", Kind::Text, When::Always, false),
    ("dtype", Kind::Text, When::Later, false),
    ("activations", Kind::Any, When::Some, false),
    ("average", Kind::Object, When::Some, false),
    ("target", Kind::Text, When::Later, false),
    ("forms", Kind::Object, When::Always, false),
    ("states", Kind::List, When::Always, false),
    ("state_names", Kind::Text, When::Later, false),
    ("state_layout", Kind::Text, When::Later, false),
    ("head", Kind::Text, When::Always, false),
    ("config", Kind::Object, When::Always, false),
    ("preprocessing", Kind::Object, When::Later, false),
    ("features", Kind::List, When::Some, false),
    ("classes", Kind::List, When::Some, false),
    ("targets", Kind::List, When::Some, false),
    ("vocabulary", Kind::Any, When::Later, true),
    ("end_of_stream", Kind::Object, When::Later, false),
];

const FORM: &[Key] = &[
    ("file", Kind::Text, When::Always, false),
    ("sha256", Kind::Text, When::Always, false),
    ("weights", Kind::Object, When::Later, true),
    ("opset", Kind::Whole, When::Later, false),
    ("lowering", Kind::Text, When::Later, false),
    ("max_seq_len", Kind::Whole, When::Later, true),
    ("inputs", Kind::List, When::Always, false),
    ("outputs", Kind::List, When::Always, false),
];

const BESIDE: &[Key] = &[
    ("file", Kind::Text, When::Always, false),
    ("sha256", Kind::Text, When::Always, false),
    ("bytes", Kind::Whole, When::Later, false),
];

/// Holds a manifest to the keys of its schema; `first`: of schema 1.
///
/// # Errors
/// The first key that no manifest of the schema has, that is missing, or under which another kind of value stands.
pub(super) fn hold(manifest: &Json, first: bool) -> Result<(), String> {
    let top = object(manifest, "", TOP, first)?;
    let forms = top.get("forms").and_then(Json::as_object);
    for (name, form) in forms.into_iter().flatten() {
        let place = format!("forms.{name}");
        let form = object(form, &place, FORM, first)?;
        if let Some(beside) = form.get("weights").filter(|w| !w.is_null()) {
            object(beside, &format!("{place}.weights"), BESIDE, first)?;
        }
    }
    Ok(())
}

fn object<'a>(
    value: &'a Json,
    place: &str,
    keys: &[Key],
    first: bool,
) -> Result<&'a Map<String, Json>, String> {
    let at = |name: &str| match place {
        "" => name.to_owned(),
        _ => format!("{place}.{name}"),
    };
    let Some(map) = value.as_object() else {
        return Err(format!(
            "{}: is {}, which is no JSON object; export again",
            if place.is_empty() { "the whole" } else { place },
            brief(value)
        ));
    };
    let known = |name: &str| {
        let mut keys = keys.iter();
        keys.any(|(key, _, when, _)| *key == name && !(first && *when == When::Some))
    };
    if let Some(name) = map.keys().find(|name| !known(name)) {
        return Err(format!(
            "has the key `{}`, which no manifest of its schema has: nothing would read it; remove it, or export again",
            at(name)
        ));
    }
    for (name, kind, when, null) in keys {
        let missing = match when {
            When::Always => true,
            When::Later => !first,
            When::Some => false,
        };
        match map.get(*name) {
            None if missing => return Err(format!("lacks the key `{}`; export again", at(name))),
            None => {}
            Some(Json::Null) if *null => {}
            Some(value) if kind.is_of(value) => {}
            Some(value) => {
                return Err(format!(
                    "{} is {}, and must be {}; export again",
                    at(name),
                    brief(value),
                    kind.words()
                ));
            }
        }
    }
    Ok(map)
}

impl Kind {
    fn is_of(self, value: &Json) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Whole => value.is_u64(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::Any => !value.is_null(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Whole => "a whole number",
            Self::List => "a list",
            Self::Object => "a JSON object",
            Self::Any => "a value",
        }
    }
}

fn brief(value: &Json) -> String {
    let text = value.to_string();
    match text.chars().count() {
        0..=60 => text,
        _ => text.chars().take(60).chain("...".chars()).collect(),
    }
}
