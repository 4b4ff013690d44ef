//! Which keys `--set` replaces.

/// Dotted keys of all values, in the order of the flags. What is no TOML has none: its reader tells of it.
pub(crate) fn set_keys(sets: &[String]) -> Vec<String> {
    let mut keys = vec![];
    for table in sets.iter().filter_map(|text| toml::from_str(text).ok()) {
        leaves("", &table, &mut keys);
    }
    keys
}

fn leaves(prefix: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => leaves(&format!("{name}."), inner, keys),
            _ => keys.push(name),
        }
    }
}
