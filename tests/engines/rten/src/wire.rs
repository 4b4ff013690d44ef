//! Requests and answers as bytes.

use rten::Value;
use rten_tensor::prelude::*;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::Tensors;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    #[serde(rename = "do")]
    pub(crate) what: String,
    pub(crate) path: String,
    pub(crate) threads: usize,
    pub(crate) calls: usize,
    pub(crate) feedback: Vec<(String, String)>,
    pub(crate) wanted: Vec<String>,
    pub(crate) tensors: Vec<Meta>,
}

/// A tensor in a header.
#[derive(Debug, Deserialize)]
pub(crate) struct Meta {
    name: String,
    #[serde(rename = "type")]
    dtype: String,
    shape: Vec<usize>,
}

impl Meta {
    pub(crate) fn bytes(&self) -> usize {
        let width = match self.dtype.as_str() {
            "float64" | "int64" | "uint64" => 8,
            "float32" | "int32" | "uint32" => 4,
            "float16" | "bfloat16" | "int16" | "uint16" => 2,
            _ => 1,
        };
        width * self.shape.iter().product::<usize>()
    }
}

/// The tensors of a request as rten takes them.
pub(crate) fn decode(metas: &[Meta], mut payload: &[u8]) -> Result<Tensors, String> {
    let mut all = vec![];
    for meta in metas {
        let (data, rest) = payload.split_at(meta.bytes());
        payload = rest;
        all.push((meta.name.clone(), value(meta, data)?));
    }
    Ok(all)
}

fn value(meta: &Meta, data: &[u8]) -> Result<Value, String> {
    let shape = &meta.shape;
    let wrong = |e: &dyn std::fmt::Display| format!("`{}`: {e}", meta.name);
    let ints = |all: Vec<i64>| {
        let narrow = all.into_iter().map(i32::try_from);
        let narrow: Result<Vec<i32>, _> = narrow.collect();
        let narrow =
            narrow.map_err(|_| format!("`{}` has values beyond its 32 bits", meta.name))?;
        Value::from_shape(shape, narrow).map_err(|e| wrong(&e))
    };
    match meta.dtype.as_str() {
        "float32" => {
            let all = data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
            Value::from_shape(shape, all.collect()).map_err(|e| wrong(&e))
        }
        "int64" => ints(
            data.as_chunks()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b))
                .collect(),
        ),
        "int32" => ints(
            data.as_chunks()
                .0
                .iter()
                .map(|b| i32::from_le_bytes(*b).into())
                .collect(),
        ),
        "bool" => ints(data.iter().map(|b| i64::from(*b != 0)).collect()),
        "int8" => {
            let all: Vec<i8> = data.iter().map(|b| b.cast_signed()).collect();
            Value::from_shape(shape, all).map_err(|e| wrong(&e))
        }
        "uint8" => Value::from_shape(shape, data.to_vec()).map_err(|e| wrong(&e)),
        other => Err(format!("it takes no values of type {other}")),
    }
}

/// A frame.
pub(crate) fn encode(mut header: Json, tensors: &Tensors) -> Vec<u8> {
    let (mut metas, mut payload) = (vec![], vec![]);
    for (name, value) in tensors {
        let Some((dtype, shape, data)) = bytes(value) else {
            let why = format!("it gives `{name}` in a type that is not known to be the file's");
            return encode(json!({ "refused": why }), &vec![]);
        };
        metas.push(json!({ "name": name, "type": dtype, "shape": shape }));
        payload.extend(data);
    }
    header["tensors"] = metas.into();
    let text = header.to_string().into_bytes();
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), &text[..], &payload].concat()
}

fn bytes(value: &Value) -> Option<(&'static str, Vec<usize>, Vec<u8>)> {
    match value {
        Value::FloatTensor(t) => {
            let data = t.iter().flat_map(|x| x.to_le_bytes()).collect();
            Some(("float32", t.shape().to_vec(), data))
        }
        Value::Int8Tensor(t) => {
            let data = t.iter().map(|x| x.cast_unsigned()).collect();
            Some(("int8", t.shape().to_vec(), data))
        }
        Value::UInt8Tensor(t) => Some(("uint8", t.shape().to_vec(), t.iter().copied().collect())),
        // Perhaps i64 or bool in the file: that is not known any more.
        _ => None,
    }
}
