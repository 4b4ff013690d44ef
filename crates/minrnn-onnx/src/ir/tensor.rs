//! Tensors with their values.

use super::{DType, DecodeErrorKind};

/// A constant tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name; may be empty for the value of an attribute.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Shape; empty for one value.
    pub dims: Vec<i64>,
    /// Values.
    pub data: TensorData,
    /// Human-readable text.
    pub doc: String,
    /// Key and value (IR 10 and later).
    pub metadata: Vec<(String, String)>,
}

/// Where a tensor's values are.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// Here: little-endian, row-major, sub-byte types packed from the low bits up.
    Bytes(Vec<u8>),
    /// Here, as strings.
    Strings(Vec<Vec<u8>>),
    /// In another file.
    External(External),
}

/// The place of values in another file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct External {
    /// Path, relative to the model's folder.
    pub location: String,
    /// First byte.
    pub offset: Option<u64>,
    /// Number of bytes.
    pub length: Option<u64>,
    /// SHA-1 of the file.
    pub checksum: Option<String>,
    /// Further keys and values, of writers with keys of their own.
    pub others: Vec<(String, String)>,
}

impl Tensor {
    /// A tensor of f32.
    pub fn f32(name: impl Into<String>, dims: Vec<i64>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::bytes(name, DType::F32, dims, bytes)
    }

    /// A tensor of i64.
    pub fn i64(name: impl Into<String>, dims: Vec<i64>, values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::bytes(name, DType::I64, dims, bytes)
    }

    /// A tensor from little-endian bytes.
    pub fn bytes(name: impl Into<String>, dtype: DType, dims: Vec<i64>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            dtype,
            dims,
            data: TensorData::Bytes(bytes),
            doc: String::new(),
            metadata: vec![],
        }
    }

    /// Number of elements.
    ///
    /// # Errors
    /// A negative dimension, or a product beyond what can be counted.
    pub fn len(&self) -> Result<usize, DecodeErrorKind> {
        element_count(&self.dims)
    }

    /// Bytes that values of this type and shape take; `None` for strings.
    ///
    /// # Errors
    /// As [`Tensor::len`].
    pub fn byte_len(&self) -> Result<Option<usize>, DecodeErrorKind> {
        let count = self.len()?;
        let Some(bits) = self.dtype.bits() else {
            return Ok(None);
        };
        let bits = count
            .checked_mul(bits)
            .ok_or_else(|| DecodeErrorKind::Shape(self.dims.clone()))?;
        Ok(Some(bits.div_ceil(8)))
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// Whether the values here are as many as the shape says; for values in another file, whether a stated length fits.
    ///
    /// # Errors
    /// What does not fit.
    pub fn validate(&self) -> Result<(), DecodeErrorKind> {
        let size = |unit, got, want| DecodeErrorKind::Size {
            dims: self.dims.clone(),
            dtype: self.dtype,
            unit,
            got,
            want,
        };
        match (&self.data, self.byte_len()?) {
            (TensorData::Bytes(b), Some(want)) if b.len() != want => {
                Err(size("bytes", b.len(), want))
            }
            (TensorData::Bytes(_), None) => {
                Err(DecodeErrorKind::Value("strings cannot be raw bytes".into()))
            }
            (TensorData::Strings(_), Some(_)) => Err(DecodeErrorKind::Value(format!(
                "has strings, but is of {}",
                self.dtype
            ))),
            (TensorData::Strings(s), None) if s.len() != self.len()? => {
                Err(size("strings", s.len(), self.len()?))
            }
            (TensorData::External(_), None) => Err(DecodeErrorKind::Value(
                "strings cannot be in another file".into(),
            )),
            (TensorData::External(e), Some(want)) => match e.length {
                Some(got) if usize::try_from(got) != Ok(want) => Err(size(
                    "bytes in another file",
                    usize::try_from(got).unwrap_or(usize::MAX),
                    want,
                )),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The values, if they are f32 and here.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        match &self.data {
            TensorData::Bytes(b) if self.dtype == DType::F32 => Some(
                b.chunks_exact(4)
                    .map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
                    .collect(),
            ),
            _ => None,
        }
    }

    /// The values, if they are i64 and here.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        match &self.data {
            TensorData::Bytes(b) if self.dtype == DType::I64 => {
                let eight =
                    |c: &[u8]| i64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
                Some(b.chunks_exact(8).map(eight).collect())
            }
            _ => None,
        }
    }
}

/// Product of the dimensions.
pub(super) fn element_count(dims: &[i64]) -> Result<usize, DecodeErrorKind> {
    let fail = || DecodeErrorKind::Shape(dims.to_vec());
    // A zero makes the product zero whatever stands beside it, but not what is negative possible.
    if dims.iter().any(|d| *d < 0) {
        return Err(fail());
    }
    if dims.contains(&0) {
        return Ok(0);
    }
    dims.iter()
        .try_fold(1usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?))
        .ok_or_else(fail)
}
