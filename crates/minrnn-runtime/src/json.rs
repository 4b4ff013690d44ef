//! Objects of JSON as structs: every field once, none missing, none that is not known.

/// Makes a struct of owned fields readable from a JSON object; those behind a semicolon are options, which may be missing.
macro_rules! object {
    ($name:ident { $($field:ident),* $(,)? }) => {
        $crate::json::object!($name { $($field),*; });
    };
    ($name:ident { $($field:ident),*; $($free:ident),* }) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name, A::Error> {
                        use serde::de::Error;
                        const NAMES: &[&str] = &[$(stringify!($field),)* $(stringify!($free)),*];
                        $(let mut $field = None;)*
                        $(let mut $free = None;)*
                        while let Some(name) = map.next_key::<String>()? {
                            match name.as_str() {
                                $(stringify!($field) => {
                                    if $field.replace(map.next_value()?).is_some() {
                                        return Err(A::Error::duplicate_field(stringify!($field)));
                                    }
                                })*
                                $(stringify!($free) => {
                                    if $free.replace(map.next_value()?).is_some() {
                                        return Err(A::Error::duplicate_field(stringify!($free)));
                                    }
                                })*
                                other => return Err(A::Error::unknown_field(other, NAMES)),
                            }
                        }
                        Ok($name {
                            $($field: match $field {
                                Some(value) => value,
                                None => return Err(A::Error::missing_field(stringify!($field))),
                            },)*
                            $($free),*
                        })
                    }
                }

                from.deserialize_map(Fields)
            }
        }
    };
}

pub(crate) use object;

#[cfg(test)]
mod tests {
    #[derive(Debug, PartialEq)]
    struct Pair {
        a: String,
        b: Vec<usize>,
    }

    object!(Pair { a, b });

    #[test]
    fn an_object_has_each_field_once() {
        let read = |text: &str| serde_json::from_str::<Pair>(text).map_err(|e| e.to_string());
        let pair = Pair {
            a: "x".into(),
            b: vec![1, 2],
        };
        assert_eq!(read(r#"{"b": [1, 2], "a": "x"}"#), Ok(pair));
        for (text, why) in [
            (r#"{"b": [1]}"#, "missing field `a`"),
            (r#"{"a": "x", "b": [], "a": "y"}"#, "duplicate field `a`"),
            (
                r#"{"a": "x", "c": 1}"#,
                "unknown field `c`, expected `a` or `b`",
            ),
            (r#"{"a": "x", "b": [-1]}"#, "expected usize"),
            ("[]", "expected an object"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
