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
}
