//! JSON of files and manifests.

use serde_json::Value as Json;

/// Equal, numbers as f32: bit for bit, whatever decimals they are written with.
pub(super) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Null, Json::Null) => true,
        (Json::Number(a), Json::Number(b)) => {
            let narrow = |n: &serde_json::Number| n.as_f64().map(|v| (v as f32).to_bits());
            match (a.as_u64(), b.as_u64()) {
                (Some(a), Some(b)) => a == b,
                _ => narrow(a) == narrow(b),
            }
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (Json::Null, _) | (_, Json::Null) => false,
        _ => a == b,
    }
}
