//! Constants of the file, read where they are needed.

use std::borrow::Cow;

use crate::proto::DataType;
use crate::proto::TensorProto;

use super::elem::Elem;

/// A constant tensor.
#[derive(Debug, Clone)]
pub(super) struct Constant<'a> {
    pub(super) dims: Vec<usize>,
    pub(super) elem: Elem,
    data: Data<'a>,
}

#[derive(Debug, Clone)]
enum Data<'a> {
    Proto(&'a TensorProto),
    F32(Vec<f32>),
    U8(Vec<u8>),
}

impl<'a> Constant<'a> {
    /// `None`: a type or a size that no export has.
    pub(super) fn of(proto: &'a TensorProto) -> Option<Self> {
        let elem = match DataType::try_from(proto.data_type).ok()? {
            DataType::Float => Elem::F32,
            DataType::Float16 => Elem::F16,
            DataType::Int64 => Elem::I64,
            DataType::Int32 => Elem::I32,
            DataType::Uint8 => Elem::U8,
            DataType::Bool => Elem::Bool,
            _ => return None,
        };
        let dims: Option<Vec<usize>> = proto
            .dims
            .iter()
            .map(|d| usize::try_from(*d).ok())
            .collect();
        let dims = dims?;
        dims.iter()
            .try_fold(1usize, |n, d| n.checked_mul(*d))
            .filter(|n| *n > 0)?;
        Some(Self {
            dims,
            elem,
            data: Data::Proto(proto),
        })
    }

    pub(super) fn of_values(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Self {
            dims,
            elem: Elem::F32,
            data: Data::F32(values),
        }
    }

    /// The same values with other dimensions of the same volume.
    pub(super) fn reshaped(&self, dims: Vec<usize>) -> Self {
        Self {
            dims,
            ..self.clone()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// All values of an f32 or f16 constant.
    pub(super) fn f32s(&self) -> Option<Cow<'_, [f32]>> {
        let proto = match &self.data {
            Data::F32(values) => return Some(Cow::Borrowed(values)),
            Data::U8(_) => return None,
            Data::Proto(proto) => proto,
        };
        let values: Vec<f32> = match self.elem {
            Elem::F32 if proto.raw_data.is_empty() => proto.float_data.clone(),
            Elem::F32 => le::<4>(&proto.raw_data).map(f32::from_le_bytes).collect(),
            Elem::F16 if proto.raw_data.is_empty() => {
                let bits = |v: &i32| u16::try_from(*v).ok().map(half);
                proto.int32_data.iter().map(bits).collect::<Option<_>>()?
            }
            Elem::F16 => le::<2>(&proto.raw_data)
                .map(|b| half(u16::from_le_bytes(b)))
                .collect(),
            _ => return None,
        };
        (values.len() == self.len()).then_some(Cow::Owned(values))
    }

    /// The value, if there is but one.
    pub(super) fn scalar(&self) -> Option<f32> {
        if self.len() != 1 {
            return None;
        }
        self.f32s()?.first().copied()
    }

    pub(super) fn i64s(&self) -> Option<Vec<i64>> {
        let Data::Proto(proto) = &self.data else {
            return None;
        };
        let values: Vec<i64> = match self.elem {
            Elem::I64 if proto.raw_data.is_empty() => proto.int64_data.clone(),
            Elem::I64 => le::<8>(&proto.raw_data).map(i64::from_le_bytes).collect(),
            _ => return None,
        };
        (values.len() == self.len()).then_some(values)
    }

    pub(super) fn u8s(&self) -> Option<Cow<'_, [u8]>> {
        let proto = match &self.data {
            Data::U8(values) => return Some(Cow::Borrowed(values)),
            Data::F32(_) => return None,
            Data::Proto(proto) => proto,
        };
        if self.elem != Elem::U8 {
            return None;
        }
        let values: Cow<'_, [u8]> = if proto.raw_data.is_empty() {
            let byte = |v: &i32| u8::try_from(*v).ok();
            Cow::Owned(proto.int32_data.iter().map(byte).collect::<Option<_>>()?)
        } else {
            Cow::Borrowed(&proto.raw_data)
        };
        (values.len() == self.len()).then_some(values)
    }

    /// A matrix of weights, rows and columns exchanged. `None`: no matrix, or of a type that weights do not have.
    pub(super) fn transposed(&self) -> Option<Constant<'static>> {
        fn turned<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
            let column = |c: usize| values.iter().skip(c).step_by(columns).copied();
            (0..columns).flat_map(column).collect()
        }
        let [rows, columns] = self.dims[..] else {
            return None;
        };
        let data = match self.elem {
            Elem::F32 | Elem::F16 => Data::F32(turned(&self.f32s()?, columns)),
            Elem::U8 => Data::U8(turned(&self.u8s()?, columns)),
            _ => return None,
        };
        Some(Constant {
            dims: vec![columns, rows],
            elem: self.elem,
            data,
        })
    }

    /// `parts` equal pieces along `axis`.
    pub(super) fn split(&self, axis: usize, sizes: &[usize]) -> Option<Vec<Constant<'static>>> {
        let values = self.f32s()?;
        let outer: usize = self.dims[..axis].iter().product();
        let inner: usize = self.dims[axis + 1..].iter().product();
        let (row, mut from) = (self.dims[axis] * inner, 0);
        let mut parts = vec![];
        for size in sizes {
            let take = |o: usize| &values[o * row + from * inner..o * row + (from + size) * inner];
            let data = (0..outer).flat_map(take).copied().collect();
            let mut dims = self.dims.clone();
            dims[axis] = *size;
            parts.push(Constant::of_values(dims, data));
            from += size;
        }
        Some(parts)
    }

    /// The values repeated to `dims`, which this constant's dimensions broadcast to (aligned at the end).
    pub(super) fn spread_to(&self, dims: &[usize]) -> Option<Vec<f32>> {
        let values = self.f32s()?;
        let mine = self.aligned(dims.len())?;
        let total: usize = dims.iter().product();
        let mut all = Vec::with_capacity(total);
        for at in 0..total {
            let (mut rest, mut from, mut step) = (at, 0, 1);
            for (have, want) in mine.iter().zip(dims).rev() {
                if *have == *want {
                    from += rest % want * step;
                } else if *have != 1 {
                    return None;
                }
                rest /= want;
                step *= have;
            }
            all.push(values[from]);
        }
        Some(all)
    }

    /// The dimensions aligned at the end to `rank`: leading ones are dropped or put before.
    pub(super) fn aligned(&self, rank: usize) -> Option<Vec<usize>> {
        let have = self.dims.len();
        if have <= rank {
            let ones = std::iter::repeat_n(1, rank - have);
            return Some(ones.chain(self.dims.iter().copied()).collect());
        }
        let (lead, rest) = self.dims.split_at(have - rank);
        lead.iter().all(|d| *d == 1).then(|| rest.to_vec())
    }
}

fn le<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// IEEE half to f32: exact.
pub(super) fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10 & 31);
    let fraction = u32::from(bits & 0x3ff);
    match exponent {
        0 => {
            let value = fraction as f32 * 2f32.powi(-24);
            f32::from_bits(value.to_bits() | sign)
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}
