//! What headers say: requests and answers as JSON.

use minrnn_onnx::eval::Array;
use minrnn_onnx::ir::DType;
use serde::{Deserialize, Serialize};

use crate::verify::contender::Io;

/// The version of the protocol.
pub(super) const PROTOCOL: u32 = 1;

/// A request.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(super) enum Request<'a> {
    Hello {
        protocol: u32,
    },
    Open {
        path: &'a str,
        threads: usize,
        options: serde_json::Map<String, serde_json::Value>,
    },
    Run {
        tensors: Vec<Meta>,
        wanted: &'a [&'a str],
    },
    Time {
        io: Io,
        calls: usize,
        feedback: &'a [(&'a str, &'a str)],
        wanted: &'a [&'a str],
        tensors: Vec<Meta>,
    },
    Close,
}

/// An answer: done, or refused with the reason.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    pub(super) refused: Option<String>,
    /// The tensors that follow.
    #[serde(default)]
    pub(super) tensors: Vec<Meta>,
    /// Of hello.
    #[serde(default)]
    pub(super) version: Option<String>,
    /// Types of tensors that it takes; none: all of them.
    #[serde(default)]
    pub(super) types: Option<Vec<String>>,
    /// The oldest and the newest opset that it knows; none: it does not say.
    #[serde(default)]
    pub(super) opsets: Option<(i64, i64)>,
    /// Ways in which it times calls, by name; none: it does not say.
    #[serde(default)]
    pub(super) io: Option<Vec<String>>,
    /// Of time: seconds of all calls.
    #[serde(default)]
    pub(super) seconds: Option<f64>,
}

/// A tensor in a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) dtype: String,
    pub(super) shape: Vec<u64>,
}

/// Names of types, those of NumPy.
const TYPES: [(DType, &str); 13] = [
    (DType::Bool, "bool"),
    (DType::U8, "uint8"),
    (DType::U16, "uint16"),
    (DType::U32, "uint32"),
    (DType::U64, "uint64"),
    (DType::I8, "int8"),
    (DType::I16, "int16"),
    (DType::I32, "int32"),
    (DType::I64, "int64"),
    (DType::F16, "float16"),
    (DType::BF16, "bfloat16"),
    (DType::F32, "float32"),
    (DType::F64, "float64"),
];

/// The name of a type in headers; `None`: it does not travel.
pub(super) fn name_of(dtype: DType) -> Option<&'static str> {
    TYPES.iter().find(|(d, _)| *d == dtype).map(|(_, n)| *n)
}

impl Meta {
    /// What is said of an array; `None` for a type that does not travel.
    pub(super) fn of(name: &str, array: &Array) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            dtype: name_of(array.dtype())?.to_owned(),
            shape: array.dims().iter().map(|d| *d as u64).collect(),
        })
    }

    /// Its type, and how many bytes it has.
    pub(super) fn size(&self) -> Result<(DType, u128), String> {
        let known = TYPES.iter().find(|(_, n)| *n == self.dtype);
        let Some((dtype, _)) = known else {
            return Err(format!("`{}` is of type `{}`", self.name, self.dtype));
        };
        let bytes = dtype.bits().unwrap_or(8) as u128 / 8;
        let size = self.values().and_then(|n| n.checked_mul(bytes));
        let size = size.ok_or_else(|| format!("`{}` has the shape {:?}", self.name, self.shape))?;
        Ok((*dtype, size))
    }

    /// How many values it has; `None`: more than can be counted.
    pub(super) fn values(&self) -> Option<u128> {
        let mut dims = self.shape.iter();
        dims.try_fold(1u128, |n, d| n.checked_mul(u128::from(*d)))
    }

    pub(super) fn dims(&self) -> Result<Vec<usize>, String> {
        let one = |d: &u64| usize::try_from(*d).ok();
        let dims: Option<Vec<usize>> = self.shape.iter().map(one).collect();
        dims.ok_or_else(|| format!("`{}` has the shape {:?}", self.name, self.shape))
    }
}

/// Reads the header of an answer.
pub(super) fn answer(text: &[u8]) -> Result<Answer, String> {
    let answer: Answer = serde_json::from_slice(text).map_err(|e| {
        let begin: String = String::from_utf8_lossy(text).chars().take(80).collect();
        format!("{e}, in `{begin}`")
    })?;
    match answer.ok != answer.refused.is_some() {
        true => Ok(answer),
        false => Err("it says neither `ok` nor `refused`, or both".into()),
    }
}
