//! Values that go into a graph and come out of it.

use tract_onnx::prelude::*;

use crate::proto::DataType;

/// Element type of an input or output, as the file declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it")]
pub enum Elem {
    F16,
    F32,
    F64,
    I8,
    I32,
    I64,
    U8,
    Bool,
}

impl Elem {
    /// Its name, as in `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I8 => "i8",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }

    /// Whether values of it are rounded.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    pub(super) fn of_file(kind: DataType) -> Option<Self> {
        Some(match kind {
            DataType::Float16 => Self::F16,
            DataType::Float => Self::F32,
            DataType::Double => Self::F64,
            DataType::Int8 => Self::I8,
            DataType::Int32 => Self::I32,
            DataType::Int64 => Self::I64,
            DataType::Uint8 => Self::U8,
            DataType::Bool => Self::Bool,
            _ => return None,
        })
    }

    pub(super) fn datum(self) -> DatumType {
        match self {
            Self::F16 => DatumType::F16,
            Self::F32 => DatumType::F32,
            Self::F64 => DatumType::F64,
            Self::I8 => DatumType::I8,
            Self::I32 => DatumType::I32,
            Self::I64 => DatumType::I64,
            Self::U8 => DatumType::U8,
            Self::Bool => DatumType::Bool,
        }
    }

    /// The type in which values of it are held here: f16 is held as f32, which has all its values.
    pub fn held(self) -> Self {
        if self == Self::F16 { Self::F32 } else { self }
    }
}

/// Values of one element type, row-major. f16 is given and returned as f32.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it")]
pub enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I8(Vec<i8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
}

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its dimensions; none for one value.
    pub shape: Vec<usize>,
    /// As many values as the dimensions say.
    pub values: Values,
}

macro_rules! each {
    ($values:expr, $v:ident => $body:expr) => {
        match $values {
            Values::F32($v) => $body,
            Values::F64($v) => $body,
            Values::I8($v) => $body,
            Values::I32($v) => $body,
            Values::I64($v) => $body,
            Values::U8($v) => $body,
            Values::Bool($v) => $body,
        }
    };
}

impl Values {
    /// How many.
    pub fn len(&self) -> usize {
        each!(self, v => v.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their type.
    pub fn elem(&self) -> Elem {
        match self {
            Self::F32(_) => Elem::F32,
            Self::F64(_) => Elem::F64,
            Self::I8(_) => Elem::I8,
            Self::I32(_) => Elem::I32,
            Self::I64(_) => Elem::I64,
            Self::U8(_) => Elem::U8,
            Self::Bool(_) => Elem::Bool,
        }
    }

    /// All as f64: exact but for integers beyond 2^53.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Self::F64(v) => v.clone(),
            Self::I8(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Self::I32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Self::I64(v) => v.iter().map(|x| *x as f64).collect(),
            Self::U8(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Self::Bool(v) => v.iter().map(|x| f64::from(u8::from(*x))).collect(),
        }
    }

    /// The values at the indices given, in that order; `None` for an index beyond the end.
    pub fn pick(&self, at: &[usize]) -> Option<Self> {
        fn of<T: Copy>(v: &[T], at: &[usize]) -> Option<Vec<T>> {
            at.iter().map(|i| v.get(*i).copied()).collect()
        }
        Some(match self {
            Self::F32(v) => Self::F32(of(v, at)?),
            Self::F64(v) => Self::F64(of(v, at)?),
            Self::I8(v) => Self::I8(of(v, at)?),
            Self::I32(v) => Self::I32(of(v, at)?),
            Self::I64(v) => Self::I64(of(v, at)?),
            Self::U8(v) => Self::U8(of(v, at)?),
            Self::Bool(v) => Self::Bool(of(v, at)?),
        })
    }
}

impl Array {
    /// The tensor in the engine's own form and the type that a file declares.
    pub(super) fn to_engine(&self, elem: Elem) -> TractResult<TValue> {
        let tensor = each!(&self.values, v => Tensor::from_shape(&self.shape, v)?);
        Ok(tensor.cast_to_dt(elem.datum())?.into_owned().into_tvalue())
    }

    pub(super) fn from_engine(tensor: &Tensor) -> TractResult<Self> {
        fn of<T: Datum + Copy>(t: &Tensor) -> TractResult<Vec<T>> {
            Ok(t.to_plain_array_view::<T>()?.iter().copied().collect())
        }
        let values = match tensor.datum_type() {
            DatumType::F16 => Values::F32(of(&*tensor.cast_to::<f32>()?)?),
            DatumType::F32 => Values::F32(of(tensor)?),
            DatumType::F64 => Values::F64(of(tensor)?),
            DatumType::I8 => Values::I8(of(tensor)?),
            DatumType::I32 => Values::I32(of(tensor)?),
            DatumType::I64 => Values::I64(of(tensor)?),
            DatumType::U8 => Values::U8(of(tensor)?),
            DatumType::Bool => Values::Bool(of(tensor)?),
            // Shapes are numbers of the engine's own kind.
            DatumType::TDim => Values::I64(of(&*tensor.cast_to::<i64>()?)?),
            other => return Err(TractError::msg(format!("a tensor of type {other:?}"))),
        };
        Ok(Self {
            shape: tensor.shape().to_vec(),
            values,
        })
    }
}
