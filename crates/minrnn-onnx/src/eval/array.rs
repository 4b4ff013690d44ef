//! Values: every element type that is evaluated, in two kinds of numbers.

use crate::ir::{DType, Tensor, TensorData};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) dims: Vec<usize>,
    pub(super) dtype: DType,
    pub(super) data: Data,
}

/// Elements; always such as the element type holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    /// f32, and f16 rounded to it.
    Floats(Vec<f32>),
    /// i64, i32, i8, u8, bool.
    Ints(Vec<i64>),
}

/// To the nearest f16, ties to even.
pub(super) fn round_f16(x: f32) -> f32 {
    const SMALLEST_NORMAL: f32 = 6.103_515_6e-5;
    let size = x.abs();
    if !size.is_finite() {
        x
    } else if size >= 65_520.0 {
        f32::INFINITY.copysign(x)
    } else if size < SMALLEST_NORMAL {
        const STEPS: f32 = 16_777_216.0;
        (x * STEPS).round_ties_even() / STEPS
    } else {
        // 13 of the 23 bits go: add half of their unit, less one bit if what stays is even.
        let bits = x.to_bits();
        let even = (bits >> 13) & 1;
        f32::from_bits((bits + 0xfff + even) & !0x1fff)
    }
}

fn f16_value(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 31, f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(e) - 15),
    };
    if sign == 1 { -size } else { size }
}

impl Array {
    /// Floats of that type, rounded to it.
    pub(super) fn floats_of(dtype: DType, dims: &[usize], mut data: Vec<f32>) -> Self {
        assert_eq!(dims.iter().product::<usize>(), data.len());
        match dtype {
            DType::F32 => {}
            DType::F16 => data.iter_mut().for_each(|x| *x = round_f16(*x)),
            DType::BF16 => data
                .iter_mut()
                .for_each(|x| *x = half::bf16::from_f32(*x).to_f32()),
            other => panic!("{other} is not evaluated as a float"),
        }
        let (dims, data) = (dims.to_vec(), Data::Floats(data));
        Self { dims, dtype, data }
    }

    /// True or false.
    pub(crate) fn bools(dims: &[usize], data: Vec<bool>) -> Self {
        Self::ints_of(DType::Bool, dims, data.into_iter().map(i64::from).collect())
    }

    /// Integers of that type; what does not fit loses its high bits.
    pub(super) fn ints_of(dtype: DType, dims: &[usize], mut data: Vec<i64>) -> Self {
        assert_eq!(dims.iter().product::<usize>(), data.len());
        let wrap = |n: i64| match dtype {
            DType::I64 => n,
            DType::I32 => i64::from(n as i32),
            DType::I8 => i64::from(n as i8),
            DType::U8 => i64::from(n as u8),
            DType::Bool => i64::from(n != 0),
            other => panic!("{other} is not evaluated as an integer"),
        };
        data.iter_mut().for_each(|n| *n = wrap(*n));
        let (dims, data) = (dims.to_vec(), Data::Ints(data));
        Self { dims, dtype, data }
    }

    pub(super) fn of(dtype: DType, dims: &[usize], data: Data) -> Self {
        match data {
            Data::Floats(v) => Self::floats_of(dtype, dims, v),
            Data::Ints(v) => Self::ints_of(dtype, dims, v),
        }
    }

    pub(crate) fn f32(dims: &[usize], data: Vec<f32>) -> Self {
        Self::floats_of(DType::F32, dims, data)
    }

    pub(crate) fn i64(dims: &[usize], data: Vec<i64>) -> Self {
        Self::ints_of(DType::I64, dims, data)
    }

    pub(super) fn bool(dims: &[usize], data: impl Iterator<Item = bool>) -> Self {
        Self::ints_of(DType::Bool, dims, data.map(i64::from).collect())
    }

    pub(crate) fn floats(&self) -> &[f32] {
        match &self.data {
            Data::Floats(v) => v,
            Data::Ints(_) => panic!("{} is no float", self.dtype),
        }
    }

    pub(super) fn ints(&self) -> &[i64] {
        match &self.data {
            Data::Ints(v) => v,
            Data::Floats(_) => panic!("{} is no integer", self.dtype),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// The elements at flat indices, in a new shape; `None` is zero.
    pub(super) fn pick_or_zero(
        &self,
        dims: Vec<usize>,
        at: impl Iterator<Item = Option<usize>>,
    ) -> Self {
        let data = match &self.data {
            Data::Floats(v) => Data::Floats(at.map(|i| i.map_or(0.0, |i| v[i])).collect()),
            Data::Ints(v) => Data::Ints(at.map(|i| i.map_or(0, |i| v[i])).collect()),
        };
        Self {
            dims,
            dtype: self.dtype,
            data,
        }
    }

    /// The elements at flat indices, in a new shape.
    pub(super) fn pick(&self, dims: Vec<usize>, at: impl Iterator<Item = usize>) -> Self {
        self.pick_or_zero(dims, at.map(Some))
    }

    /// The same elements in another shape.
    pub(super) fn shaped(&self, dims: Vec<usize>) -> Self {
        assert_eq!(dims.iter().product::<usize>(), self.len());
        Self {
            dims,
            ..self.clone()
        }
    }

    pub(super) fn constant(t: &Tensor) -> Self {
        let dims: Vec<usize> = t.dims.iter().map(|d| *d as usize).collect();
        let TensorData::Bytes(bytes) = &t.data else {
            panic!("{} is not here", t.name)
        };
        let ints = match t.dtype {
            DType::F32 => return Self::f32(&dims, t.to_f32().unwrap()),
            DType::BF16 => {
                let halves = bytes.chunks_exact(2);
                let values = halves.map(|c| half::bf16::from_le_bytes([c[0], c[1]]).to_f32());
                return Self::floats_of(DType::BF16, &dims, values.collect());
            }
            DType::F16 => {
                let halves = bytes.chunks_exact(2);
                let values = halves.map(|c| f16_value(u16::from_le_bytes([c[0], c[1]])));
                return Self::floats_of(DType::F16, &dims, values.collect());
            }
            DType::I64 => t.to_i64().unwrap(),
            DType::I32 => bytes
                .chunks_exact(4)
                .map(|c| i64::from(i32::from_le_bytes([c[0], c[1], c[2], c[3]])))
                .collect(),
            DType::I8 => bytes.iter().map(|b| i64::from(*b as i8)).collect(),
            _ => bytes.iter().map(|b| i64::from(*b)).collect(),
        };
        Self::ints_of(t.dtype, &dims, ints)
    }
}
