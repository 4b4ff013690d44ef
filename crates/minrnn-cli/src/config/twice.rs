//! Two `--set` of one key: which of them was meant, nobody knows.

use toml::{Table, Value};

/// A key as its parts, and its value.
pub(super) type Set = (Vec<String>, Value);

/// Holds a `--set` to those before it, and takes it in. The same value again is no contradiction.
///
/// # Errors
/// What contradicts it.
pub(super) fn check(text: &str, before: &mut Vec<Set>) -> Result<(), String> {
    // What is no table of values is told where it is read.
    let Ok(table) = toml::from_str::<Table>(text) else {
        return Ok(());
    };
    let mut now = vec![];
    leaves(&mut vec![], &table, &mut now);
    for (key, value) in &now {
        let other = before
            .iter()
            .find(|(old, was)| contradicts(key, value, old, was));
        if let Some((old, was)) = other {
            return Err(format!(
                "{} was set to {was} by another --set; leave one of them out",
                old.join(".")
            ));
        }
    }
    before.extend(now);
    Ok(())
}

fn contradicts(key: &[String], value: &Value, old: &[String], was: &Value) -> bool {
    match key == old {
        true => value != was,
        // A value is no table.
        false => key.starts_with(old) || old.starts_with(key),
    }
}

fn leaves(path: &mut Vec<String>, table: &Table, into: &mut Vec<Set>) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Value::Table(inner) => leaves(path, inner, into),
            plain => into.push((path.clone(), plain.clone())),
        }
        path.pop();
    }
}
