//! Weights of two graphs of one structure, in pairs.

use super::Weight;
use crate::ir::{Attr, DType, Tensor, TensorData};
use crate::text::colour::is_weight;
use crate::text::scope::{Const, Def, Scope};
use crate::text::value::shape_of;

/// The weights that differ, and how many were compared.
pub(super) fn compare(left: &Scope<'_>, right: &Scope<'_>) -> (Vec<Weight>, usize) {
    let [mut l, mut r] = [vec![], vec![]];
    collect(left, &mut l);
    collect(right, &mut r);
    let pairs = l.iter().zip(&r);
    let differ = pairs.filter_map(|(l, r)| weight(l, r)).collect();
    (differ, l.len().min(r.len()))
}

/// Weights in canonical order: those that outputs need.
fn collect<'a>(scope: &Scope<'a>, all: &mut Vec<(String, &'a Tensor)>) {
    let mut add = |name: &str, c: Const<'a>| match c {
        Const::Dense(t) if is_weight(t) => all.push((name.to_owned(), t)),
        Const::Sparse(s) if is_weight(&s.values) => all.push((name.to_owned(), &s.values)),
        _ => {}
    };
    let mut defaults: Vec<_> = scope
        .values
        .iter()
        .filter_map(|v| match v.def {
            Def::Input(_, Some(c)) => Some((v.name, c)),
            _ => None,
        })
        .collect();
    defaults.sort_by_key(|(name, _)| *name);
    defaults.into_iter().for_each(|(name, c)| add(name, c));
    for index in &scope.constants {
        if let Def::Const(c) = scope.values[*index].def {
            add(scope.values[*index].name, c);
        }
    }
    for node in &scope.order {
        let n = scope.node(*node);
        let mut tensors: Vec<_> = n
            .attributes
            .iter()
            .filter_map(|(k, a)| match a {
                Attr::Tensor(t) if is_weight(t) => Some((k, t)),
                _ => None,
            })
            .collect();
        tensors.sort_by_key(|(k, _)| *k);
        let label = |k: &str| format!("{k} of {}", n.name);
        all.extend(tensors.into_iter().map(|(k, t)| (label(k), t)));
        for body in &scope.bodies[*node] {
            collect(&body.scope, all);
        }
    }
}

fn weight((left, l): &(String, &Tensor), (right, r): &(String, &Tensor)) -> Option<Weight> {
    let (changed, largest) = match (&l.data, &r.data) {
        (a, b) if a == b => return None,
        (TensorData::Bytes(a), TensorData::Bytes(b)) => differences(l.dtype, a, b),
        (TensorData::Strings(a), TensorData::Strings(b)) => {
            (Some(a.iter().zip(b).filter(|(a, b)| a != b).count()), None)
        }
        _ => (None, None),
    };
    Some(Weight {
        left: left.clone(),
        right: right.clone(),
        shape: shape_of(l),
        len: l.len().unwrap_or(0),
        changed,
        largest,
    })
}

/// How many values differ, and by how much.
fn differences(dtype: DType, a: &[u8], b: &[u8]) -> (Option<usize>, Option<f64>) {
    // Types of less than a byte are counted by the byte.
    let width = dtype.bits().map_or(1, |bits| bits.div_ceil(8)).max(1);
    let pairs = || {
        let all = a.chunks_exact(width).zip(b.chunks_exact(width));
        all.filter(|(a, b)| a != b)
    };
    let mut each = pairs().map(|(a, b)| Some((number(dtype, a)? - number(dtype, b)?).abs()));
    // A NaN on either side makes the difference no number: it must not be lost to a maximum.
    let largest = each.try_fold(0.0f64, |max, d| {
        d.filter(|d| !d.is_nan()).map(|d| max.max(d))
    });
    (Some(pairs().count()), largest)
}

/// A value as a number, if the type has numbers.
fn number(dtype: DType, b: &[u8]) -> Option<f64> {
    Some(match dtype {
        DType::F32 => f64::from(f32::from_le_bytes(b.try_into().ok()?)),
        DType::F64 => f64::from_le_bytes(b.try_into().ok()?),
        DType::F16 => half(u16::from_le_bytes(b.try_into().ok()?)),
        DType::BF16 => {
            let bits = u32::from(u16::from_le_bytes(b.try_into().ok()?)) << 16;
            f64::from(f32::from_bits(bits))
        }
        d if d.is_signed() => {
            let sign = if b.last()? & 0x80 == 0 { 0 } else { 0xff };
            let mut bytes = [sign; 8];
            bytes.get_mut(..b.len())?.copy_from_slice(b);
            i64::from_le_bytes(bytes) as f64
        }
        d if d.is_unsigned() || d == DType::Bool => {
            let mut bytes = [0; 8];
            bytes.get_mut(..b.len())?.copy_from_slice(b);
            u64::from_le_bytes(bytes) as f64
        }
        _ => return None,
    })
}

/// A number of IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        e => (1.0 + fraction / 1024.0) * 2f64.powi(e - 15),
    }
}
