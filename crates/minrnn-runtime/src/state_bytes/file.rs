//! A state as a safetensors file: 8 bytes with the length of the header (u64, little-endian), a JSON header, the values.
//!
//! Tensors are f32 `[rows, shape..]`, called as the graph's inputs. `__metadata__` has the keys of [`KEYS`]; `sha256` is over
//! [`digest`], so that no bit of a name, a shape or a value changes unseen. `docs/runtime.md` has all of it in Python.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::SCHEMA;
use crate::info::{Dtype, Form};
use crate::metadata::short;
use crate::state::{Layout, Slot, State};
use crate::tensors::{Kind, Tensors};

/// What stands in `__metadata__`, and no more, but for the `format` that some writers add.
const KEYS: [&str; 5] = ["schema", "weights", "dtype", "form", "sha256"];
const FORMAT: &str = "format";

/// The header is filled up with blanks to a multiple of so many bytes, as every writer of the format does.
const ALIGNED: usize = 8;

pub(super) fn write(state: &State) -> Vec<u8> {
    let layout = &state.layout;
    let about = [
        SCHEMA,
        &layout.weights_sha256,
        layout.dtype.as_str(),
        state.form.as_str(),
        &digest(state),
    ];
    let pairs = KEYS.iter().zip(about);
    let about: Vec<String> = pairs
        .map(|(key, value)| format!("{}:{}", text(key), text(value)))
        .collect();
    let mut entries = vec![format!("\"__metadata__\":{{{}}}", about.join(","))];
    let mut from = 0;
    for (slot, values) in layout.slots.iter().zip(&state.values) {
        let to = from + values.len() * 4;
        let dims: Vec<String> = dims(state.rows, slot)
            .iter()
            .map(usize::to_string)
            .collect();
        entries.push(format!(
            "{}:{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{from},{to}]}}",
            text(&slot.name),
            dims.join(",")
        ));
        from = to;
    }
    let mut header = format!("{{{}}}", entries.join(","));
    let blanks = header.len().next_multiple_of(ALIGNED) - header.len();
    header.extend(std::iter::repeat_n(' ', blanks));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(state.values.iter().flatten().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// As JSON.
fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn dims(rows: usize, slot: &Slot) -> Vec<usize> {
    std::iter::once(rows)
        .chain(slot.shape.iter().copied())
        .collect()
}

/// Hex of the sha256 over a line each of schema, weights, dtype and form; then for each state, in order of its name, a line
/// `name [rows, shape..]` and its values as little-endian f32.
fn digest(state: &State) -> String {
    let layout = &state.layout;
    let mut sum = Sha256::new();
    for line in [
        SCHEMA,
        &layout.weights_sha256,
        layout.dtype.as_str(),
        state.form.as_str(),
    ] {
        sum.update(format!("{line}\n"));
    }
    let mut order: Vec<(&Slot, &Vec<f32>)> = layout.slots.iter().zip(&state.values).collect();
    order.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    for (slot, values) in order {
        sum.update(format!("{} {:?}\n", slot.name, dims(state.rows, slot)));
        for value in values {
            sum.update(value.to_le_bytes());
        }
    }
    sum.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn read(bytes: &[u8]) -> Result<State, String> {
    let broken = |what: String| format!("are no saved state: {what}");
    let tensors = Tensors::read(bytes).map_err(broken)?;
    let none = "are no saved state of minrnn: their header has no metadata";
    let about = tensors.about.ok_or(none)?;
    let known = |key: &String| KEYS.contains(&key.as_str()) || key == FORMAT;
    if let Some(key) = about.keys().find(|key| !known(key)) {
        return Err(format!(
            "hold metadata `{}`, which no saved state has",
            short(key)
        ));
    }
    let get = |key: &str| {
        let value = about.get(key).map(String::as_str);
        value.ok_or_else(|| format!("hold no metadata `{key}`"))
    };
    if get("schema")? != SCHEMA {
        return Err(format!(
            "are of schema `{}`; this runtime reads {SCHEMA}",
            short(get("schema")?)
        ));
    }
    let word = |key: &str, value: &str| {
        format!(
            "hold metadata `{key}` of `{}`, which there is not",
            short(value)
        )
    };
    let dtype = get("dtype")?;
    let dtype = Dtype::ALL
        .into_iter()
        .find(|d| d.as_str() == dtype)
        .ok_or_else(|| word("dtype", dtype))?;
    let form = get("form")?;
    let form = Form::ALL
        .into_iter()
        .find(|f| f.as_str() == form)
        .ok_or_else(|| word("form", form))?;
    let (mut slots, mut values, mut rows) = (vec![], vec![], None);
    for tensor in tensors.all {
        let wrong = |what: &str| format!("hold tensor `{}`, {what}", short(&tensor.name));
        let Some((first, shape)) = tensor.shape.split_first().filter(|(_, s)| !s.is_empty()) else {
            return Err(wrong("which is not [rows, ..]"));
        };
        if tensor.kind != Kind::F32 || *first == 0 || shape.contains(&0) {
            return Err(wrong("which has no values, or others than f32"));
        }
        if *rows.get_or_insert(*first) != *first {
            return Err(wrong(
                "which has another number of rows than the one before",
            ));
        }
        values.push(
            tensor
                .data
                .as_chunks()
                .0
                .iter()
                .map(|w| f32::from_le_bytes(*w))
                .collect(),
        );
        slots.push(Slot {
            len: shape.iter().product(),
            shape: shape.into(),
            name: tensor.name,
        });
    }
    let state = State {
        layout: Arc::new(Layout {
            weights_sha256: get("weights")?.into(),
            dtype,
            slots,
        }),
        form,
        rows: rows.ok_or("hold no tensor")?,
        values,
    };
    if digest(&state) != get("sha256")? {
        return Err("are damaged: the sha256 differs".into());
    }
    Ok(state)
}
