//! Files with named tensors: safetensors, and PyTorch's own archives.

mod archive;
mod pickle;
mod safetensors;
mod sharded;
#[cfg(test)]
mod tests;
mod zip;

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};

use super::error::{ImportProblem, Result};

/// Models of these layouts are small; the whole file is held in memory.
const MAX_FILE: u64 = 4 << 30;

/// Type of a tensor's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dtype {
    F16,
    Bf16,
    F32,
    F64,
    /// None that weights have.
    Other(String),
}

impl Dtype {
    /// Bytes of a value, if weights have this type.
    fn size(&self) -> Option<usize> {
        match self {
            Self::F16 | Self::Bf16 => Some(2),
            Self::F32 => Some(4),
            Self::F64 => Some(8),
            Self::Other(_) => None,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::Other(name) => name,
        }
    }

    /// Values as f32; those of float64 are rounded.
    fn decode(&self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks::<N>().0.iter().map(|b| f(*b)).collect()
        }
        match self {
            Self::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::Other(_) => vec![],
        }
    }
}

/// Where the values of a tensor lie.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    /// These bytes of the file.
    Bytes(std::ops::Range<usize>),
    /// A storage of `numel` values in an archive's member; value `(i, j, ..)` is at `offset + i * stride[0] + j * stride[1] + ..`.
    Storage {
        member: String,
        numel: usize,
        offset: usize,
        stride: Vec<usize>,
    },
}

/// A tensor whose values are not read yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Info {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    place: Place,
}

/// One of the arguments that a model was made by.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    Count(usize),
    Flag(bool),
    /// Anything else, in words.
    Other(String),
}

impl std::fmt::Display for Argument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(n) => write!(f, "{n}"),
            Self::Flag(true) => write!(f, "True"),
            Self::Flag(false) => write!(f, "False"),
            Self::Other(words) => write!(f, "{words}"),
        }
    }
}

/// An opened file.
#[derive(Debug)]
pub(super) struct Source {
    bytes: Vec<u8>,
    /// Its tensors by name.
    pub(super) tensors: BTreeMap<String, Info>,
    /// Format, and the entry of the file that the tensors were found in.
    pub(super) format: String,
    /// The entry `model_args` of an archive, by name: what a nanoGPT was made by.
    pub(super) arguments: Vec<(String, Argument)>,
}

impl Source {
    /// Opens a file of either format, or the index of several; `key` names the entry of an archive that holds the weights.
    ///
    /// # Errors
    /// A file that cannot be read, is of another format, or damaged.
    pub(super) fn open(path: &Path, key: Option<&str>) -> Result<Self> {
        let io = |source| ImportProblem::Io { source };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > MAX_FILE {
            return Err(ImportProblem::format(format!(
                "it has {size} bytes; files of more than {MAX_FILE} bytes are not read"
            )));
        }
        let bytes = crate::data::read_data(path).map_err(io)?;
        if key.is_none() && sharded::is_index(&bytes) {
            return sharded::read(path, &bytes);
        }
        Self::read(bytes, key)
    }

    pub(super) fn read(bytes: Vec<u8>, key: Option<&str>) -> Result<Self> {
        let (tensors, format, arguments) = if bytes.starts_with(b"PK") {
            archive::tensors(&bytes, key)?
        } else if bytes.get(8) == Some(&b'{') {
            if key.is_some() {
                let message = "a safetensors file has no entries, only tensors";
                return Err(ImportProblem::option("--key", message));
            }
            let tensors = safetensors::tensors(&bytes)?;
            (tensors, "safetensors".to_owned(), vec![])
        } else {
            return Err(ImportProblem::format(other_format(&bytes)));
        };
        Ok(Self {
            bytes,
            tensors,
            format,
            arguments,
        })
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The values of a tensor of the list, row-major.
    ///
    /// # Errors
    /// A type that weights do not have, a place outside of the file, a value that is not finite.
    pub(super) fn values(&self, name: &str, info: &Info) -> Result<Vec<f32>> {
        let fail = |message: String| Err(ImportProblem::tensor(name, message));
        if info.dtype.size().is_none() {
            return fail(format!(
                "is {}; weights are float16, bfloat16, float32 or float64",
                info.dtype.name()
            ));
        }
        let values = match &info.place {
            Place::Bytes(range) => match self.bytes.get(range.clone()) {
                Some(bytes) => info.dtype.decode(bytes),
                None => return fail(format!("lies outside of the file, at {range:?}")),
            },
            Place::Storage { .. } => archive::values(&self.bytes, name, info)?,
        };
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => fail(format!(
                "has {}{} at flat index {i}; weights must be finite in float32",
                values[i],
                match values[i].is_infinite() {
                    true => ", or a number beyond 3.4e38,",
                    false => "",
                }
            )),
            None => Ok(values),
        }
    }
}

/// What a file is that is neither, and what would mend it.
fn other_format(bytes: &[u8]) -> String {
    let again =
        "load it in PyTorch and save it again: torch.save(model.state_dict(), \"weights.pt\")";
    if bytes.is_empty() {
        "the file is empty".to_owned()
    } else if bytes.starts_with(&[0x80, 0x02, 0x8a, 0x0a]) {
        format!("PyTorch's format from before version 1.6, which is not read; {again}")
    } else if bytes.starts_with(&[0x80]) {
        format!("a bare pickle, which is not read; {again}")
    } else if bytes.get(257..262) == Some(b"ustar") {
        format!("a tar archive, which is not read; {again}")
    } else {
        "neither a safetensors file nor a file of torch.save (a zip archive), or its first bytes are damaged".to_owned()
    }
}
