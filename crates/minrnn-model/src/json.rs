//! JSON whose objects have each name once.
//!
//! JSON itself lets a name stand there twice, and readers then take the first or the last value: two programs read two things
//! from one file. What this project reads is refused instead, with line and column.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};

/// A value from JSON text.
///
/// # Errors
/// No JSON, not what `T` is, or an object with a name that stands there twice.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str::<Once>(text)?;
    serde_json::from_str(text)
}

/// A value from the bytes of JSON text in UTF-8.
///
/// # Errors
/// As [`from_str`]; bytes that are no UTF-8.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<Once>(bytes)?;
    serde_json::from_slice(bytes)
}

/// Any value; names of its objects are held against each other and forgotten.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Once, A::Error> {
        while list.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if seen.contains(&name) {
                let short: String = name.chars().take(60).collect();
                return Err(A::Error::custom(format!("`{short}` stands there twice")));
            }
            map.next_value::<Once>()?;
            seen.insert(name);
        }
        Ok(Once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_name_once_is_read_as_ever() {
        let text = r#"{"a": [1, -2, 0.5, true, null, {"a": "x"}], "b": {"a": {}}}"#;
        let want = json!({"a": [1, -2, 0.5, true, null, {"a": "x"}], "b": {"a": {}}});
        assert_eq!(from_str::<Value>(text).unwrap(), want);
        assert_eq!(from_slice::<Value>(text.as_bytes()).unwrap(), want);
    }

    #[test]
    fn a_name_twice_is_refused_wherever_it_stands() {
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, "b": 2, "a": 3}"#,
            r#"[0, {"b": {"a": 1, "a": 2}}]"#,
            r#"{"x": [[{"a": null, "\u0061": null}]]}"#,
        ] {
            let error = from_str::<Value>(text).unwrap_err().to_string();
            assert!(error.contains("`a` stands there twice"), "{text}: {error}");
            assert!(error.contains("line 1"), "{text}: {error}");
            assert!(from_slice::<Value>(text.as_bytes()).is_err());
        }
    }

    #[test]
    fn what_is_no_json_stays_refused() {
        for text in ["", "{", "{\"a\" 1}", "[1,]", &"[".repeat(10_000)] {
            assert!(from_str::<Value>(text).is_err());
        }
    }
}
