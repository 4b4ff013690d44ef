//! JSON with one spelling: keys in order, no spaces. It goes into files that must be the same bytes everywhere.

use std::collections::BTreeMap;

use serde_json::Value;

/// The canonical text of a value.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let entries: Vec<String> = sorted
                .into_iter()
                .map(|(k, v)| format!("{}:{}", Value::from(k.as_str()), canonical(v)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(canonical).collect::<Vec<_>>().join(",")
        ),
        plain => plain.to_string(),
    }
}

/// The same for people: objects and lists of lists one entry a line, plain lists in one line.
pub(super) fn pretty(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0);
    out
}

fn write(out: &mut String, value: &Value, depth: usize) {
    let nested = |v: &Value| v.is_object() || v.is_array();
    match value {
        Value::Object(map) if !map.is_empty() => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let entries = sorted.into_iter().map(|(k, v)| (Some(k.as_str()), v));
            lines(out, ['{', '}'], entries, depth);
        }
        Value::Array(items) if items.iter().any(nested) => {
            lines(out, ['[', ']'], items.iter().map(|v| (None, v)), depth);
        }
        Value::Array(items) => {
            let all: Vec<String> = items.iter().map(canonical).collect();
            out.push_str(&format!("[{}]", all.join(", ")));
        }
        plain => out.push_str(&canonical(plain)),
    }
}

fn lines<'a>(
    out: &mut String,
    [open, close]: [char; 2],
    entries: impl Iterator<Item = (Option<&'a str>, &'a Value)>,
    depth: usize,
) {
    let indent = |depth: usize| format!("\n{}", "  ".repeat(depth));
    out.push(open);
    for (i, (key, value)) in entries.enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(&indent(depth + 1));
        if let Some(key) = key {
            out.push_str(&format!("{}: ", Value::from(key)));
        }
        write(out, value, depth + 1);
    }
    out.push_str(&indent(depth));
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_in_order_and_values_survive() {
        let value = json!({ "z": [1, 2.5, null, { "b": "\n\"", "a": true }], "a": {} });
        let text = canonical(&value);
        assert_eq!(text, r#"{"a":{},"z":[1,2.5,null,{"a":true,"b":"\n\""}]}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn what_people_read_is_the_same_value() {
        let value = json!({ "z": [1, 2.5, null], "a": {}, "m": [{ "b": "\n\"" }, []], "n": { "y": [["x"]] } });
        let text = pretty(&value);
        let lines = [
            "{",
            "  \"a\": {},",
            "  \"m\": [",
            "    {",
            "      \"b\": \"\\n\\\"\"",
            "    },",
            "    []",
            "  ],",
            "  \"n\": {",
            "    \"y\": [",
            "      [\"x\"]",
            "    ]",
            "  },",
            "  \"z\": [1, 2.5, null]",
            "}",
        ];
        assert_eq!(text, lines.join("\n"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
