//! Arrays as bytes of files.

use super::{Array, Data, count};
use crate::eval::EvalErrorKind as Fault;
use crate::eval::number::{known, round, wrap};
use crate::ir::DType;

impl Array {
    /// From little-endian bytes in row-major order, as a file has them; types of less than a byte are packed from the low bits up.
    ///
    /// # Errors
    /// A type that is not evaluated, or not as many bytes as type and shape want.
    pub fn from_bytes(dtype: DType, dims: &[usize], bytes: &[u8]) -> Result<Self, Fault> {
        let (Some(bits), true) = (dtype.bits(), known(dtype)) else {
            return Err(Fault::Elements(dtype));
        };
        let total = count(dims).and_then(|n| n.checked_mul(bits));
        let Some(want) = total.map(|n| n.div_ceil(8)) else {
            return Err(Fault::Shape(format!("{dims:?} is not possible")));
        };
        if want != bytes.len() {
            let got = bytes.len();
            return Err(Fault::Shape(format!(
                "{got} bytes for {dims:?} of {dtype}, wanted {want}"
            )));
        }
        let number = count(dims).unwrap_or(0);
        if !dtype.is_float() {
            let all = (0..number).map(|i| int_at(dtype, bits, bytes, i)).collect();
            return Ok(Self::of_ints(dtype, dims.to_vec(), all));
        }
        let one = |raw: i128| match dtype {
            DType::F16 => half::f16::from_bits(raw as u16).to_f64(),
            DType::BF16 => half::bf16::from_bits(raw as u16).to_f64(),
            DType::F32 => f64::from(f32::from_bits(raw as u32)),
            _ => f64::from_bits(raw as u64),
        };
        let all = (0..number).map(|i| one(raw_at(bits, bytes, i))).collect();
        Ok(Self::of_floats(dtype, dims.to_vec(), all))
    }

    /// Little-endian bytes in row-major order; floats are rounded to the type first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bits = self.dtype.bits().unwrap_or(8);
        let raw: Vec<u64> = match &self.data {
            Data::Ints(v) => v.iter().map(|n| *n as u64).collect(),
            Data::Floats(v) => {
                let one = |x: &f64| match (self.dtype, round(self.dtype, *x)) {
                    (DType::F16, x) => u64::from(half::f16::from_f64(x).to_bits()),
                    (DType::BF16, x) => u64::from(half::bf16::from_f64(x).to_bits()),
                    (DType::F32, x) => u64::from((x as f32).to_bits()),
                    (_, x) => x.to_bits(),
                };
                v.iter().map(one).collect()
            }
        };
        if bits >= 8 {
            let width = bits / 8;
            return raw
                .iter()
                .flat_map(|n| n.to_le_bytes().into_iter().take(width))
                .collect();
        }
        let mut bytes = vec![0u8; (raw.len() * bits).div_ceil(8)];
        for (i, n) in raw.iter().enumerate() {
            let mask = (1u64 << bits) - 1;
            bytes[i * bits / 8] |= ((n & mask) << (i * bits % 8)) as u8;
        }
        bytes
    }
}

fn raw_at(bits: usize, bytes: &[u8], i: usize) -> i128 {
    if bits < 8 {
        let byte = bytes[i * bits / 8] >> (i * bits % 8);
        return i128::from(byte) & ((1 << bits) - 1);
    }
    let width = bits / 8;
    let bytes = &bytes[i * width..(i + 1) * width];
    let all = bytes.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    i128::from(all)
}

fn int_at(dtype: DType, bits: usize, bytes: &[u8], i: usize) -> i128 {
    wrap(dtype, raw_at(bits, bytes, i))
}
