//! The configuration, without the folders that its files lie in.

use serde_json::{Map, Value as Json};

use super::html;

/// Tables of a training; others are not of it.
const TABLES: [&str; 3] = ["task", "model", "train"];

pub(super) fn section(config: &Json) -> String {
    let tables = TABLES.iter().filter_map(|name| {
        let table = config.get(name).filter(|t| t.is_object())?;
        Some(((*name).to_owned(), shown("", table)?))
    });
    let tables: Map<String, Json> = tables.collect();
    match toml::to_string_pretty(&Json::Object(tables)) {
        Ok(text) => html::details("As TOML", &format!("<pre>{}</pre>\n", html::escape(&text))),
        // A number beyond what TOML has.
        Err(error) => html::note(&format!("The configuration cannot be shown: {error}")),
    }
}

/// Without what is null, and of paths their last names.
fn shown(key: &str, value: &Json) -> Option<Json> {
    match value {
        Json::Null => None,
        Json::Object(map) => {
            let all = map
                .iter()
                .filter_map(|(k, v)| Some((k.clone(), shown(k, v)?)));
            Some(Json::Object(all.collect()))
        }
        Json::String(path) if key == "path" || key.ends_with("_path") => {
            let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
            Some(Json::String(name.to_owned()))
        }
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_their_folders() {
        let config = serde_json::json!({
            "task": { "path": "/home/somebody/a<b>.csv", "labels_path": "C:\\x\\y.npy", "lengths_path": null },
            "run": { "device": "cpu" },
        });
        let page = section(&config);
        assert!(
            page.contains("a&lt;b&gt;.csv") && page.contains("y.npy"),
            "{page}"
        );
        for absent in ["somebody", "C:", "lengths", "device"] {
            assert!(!page.contains(absent), "{absent}: {page}");
        }
    }
}
