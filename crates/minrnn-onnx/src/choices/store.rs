//! How parameters become initializers: in which type, and where their bytes are.
//!
//! Bytes are made in pieces from the parameters where they are written, so that a model is in memory once, whatever its size.

use std::collections::BTreeMap;

use half::{bf16, f16};
use minrnn_model::graph::{Graph, Use};
use minrnn_model::params::Params;

use super::{ExportError, Weights};
use crate::ir::{DType, External, Tensor, TensorData};

/// Tensors of fewer bytes stay in the graph's file: shapes and scalars of the graph are read without the other file.
const SMALL: u64 = 1024;
/// Far below the smallest normal number a quotient by a scale would not be a number of steps any more.
const TINY: f32 = 1e-30;
/// Values in a piece.
const PIECE: usize = 1 << 16;

/// What the values of a parameter become.
#[derive(Debug, Clone, PartialEq)]
enum Encoding {
    F32,
    F16,
    Bf16,
    /// `[K, N]` as u8 with zero point 128, each column with a scale of its own; `[V, M]` with one for each row.
    Quantised {
        scales: Vec<f32>,
        by_row: bool,
    },
    /// Those scales.
    Scales(Vec<f32>),
}

/// One initializer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    name: String,
    param: usize,
    dims: Vec<i64>,
    encoding: Encoding,
    /// In the other file: first byte.
    offset: Option<u64>,
    bytes: u64,
}

/// All initializers that hold parameters.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Store {
    entries: Vec<Entry>,
    /// By parameter: its entries.
    of: BTreeMap<usize, Vec<usize>>,
    /// Name of the other file and its size.
    file: Option<(String, u64)>,
}

/// Largest magnitudes of the columns or rows of a matrix, over 127; 1 where all is zero.
fn scales(values: &[f32], columns: usize, by_row: bool) -> Vec<f32> {
    let mut top = vec![
        0.0f32;
        if by_row {
            values.len() / columns
        } else {
            columns
        }
    ];
    for (r, row) in values.chunks_exact(columns).enumerate() {
        for (c, v) in row.iter().enumerate() {
            let at = if by_row { r } else { c };
            top[at] = top[at].max(v.abs());
        }
    }
    let scale = |t: f32| if t > TINY { t / 127.0 } else { 1.0 };
    top.into_iter().map(scale).collect()
}

impl Store {
    /// Plans the initializers of every parameter that an operation reads. `file`: the name of a file for large ones.
    pub(crate) fn plan(
        graph: &Graph,
        params: &Params,
        weights: &Weights,
        file: Option<&str>,
    ) -> Result<Self, ExportError> {
        let mut store = Self::default();
        let uses = graph.uses().into_iter().enumerate();
        for (param, used) in uses.filter(|(_, u)| *u != Use::Nothing) {
            let spec = &graph.params()[param];
            let values = params.get(param);
            let dims: Vec<i64> = spec.shape.iter().map(|d| *d as i64).collect();
            if used.is_narrow() {
                fits(&spec.name, values, weights)?;
            }
            let encoding = match (weights, used) {
                (_, Use::Nothing | Use::Value) | (Weights::F32, _) => Encoding::F32,
                (Weights::F16, _) => Encoding::F16,
                (Weights::Bf16, _) => Encoding::Bf16,
                (Weights::Int8(_), used) => {
                    let by_row = used == Use::Rows;
                    let scales = scales(values, spec.shape[1], by_row);
                    let count = scales.len() as i64;
                    let dims = if by_row { vec![count, 1] } else { vec![count] };
                    let name = format!("{}.scale", spec.name);
                    store.add(param, name, dims, Encoding::Scales(scales.clone()));
                    Encoding::Quantised { scales, by_row }
                }
            };
            store.add(param, spec.name.clone(), dims, encoding);
        }
        if let Some(name) = file {
            store.place(name);
        }
        Ok(store)
    }

    /// By parameter that an operation reads: the type that its values are stored in.
    pub(crate) fn types(graph: &Graph, weights: &Weights) -> BTreeMap<usize, DType> {
        let of = |used| match (weights, used) {
            (_, Use::Nothing | Use::Value) | (Weights::F32, _) => DType::F32,
            (Weights::F16, _) => DType::F16,
            (Weights::Bf16, _) => DType::BF16,
            (Weights::Int8(_), _) => DType::U8,
        };
        let uses = graph.uses().into_iter().enumerate();
        uses.filter(|(_, used)| *used != Use::Nothing)
            .map(|(i, used)| (i, of(used)))
            .collect()
    }

    fn add(&mut self, param: usize, name: String, dims: Vec<i64>, encoding: Encoding) {
        let count: u64 = dims.iter().map(|d| *d as u64).product();
        let bytes = count * encoding.dtype().bits().unwrap_or(0) as u64 / 8;
        self.of.entry(param).or_default().push(self.entries.len());
        self.entries.push(Entry {
            name,
            param,
            dims,
            encoding,
            offset: None,
            bytes,
        });
    }

    /// Offsets in the other file: pages for all, the larger pages of some systems' memory maps for large ones.
    fn place(&mut self, name: &str) {
        let mut end = 0u64;
        for entry in &mut self.entries {
            if entry.bytes < SMALL {
                continue;
            }
            let page: u64 = if entry.bytes >= 1 << 20 {
                1 << 16
            } else {
                1 << 12
            };
            let offset = end.div_ceil(page) * page;
            entry.offset = Some(offset);
            end = offset + entry.bytes;
        }
        if end > 0 {
            self.file = Some((name.to_owned(), end));
        }
    }

    /// Name and size of the other file, if there is one.
    pub(crate) fn file(&self) -> Option<(&str, u64)> {
        self.file.as_ref().map(|(name, end)| (name.as_str(), *end))
    }

    /// Bytes of all initializers in the graph's own file.
    pub(crate) fn inline_bytes(&self) -> u64 {
        let own = self.entries.iter().filter(|e| e.offset.is_none());
        own.map(|e| e.bytes).sum()
    }

    /// The initializers of a parameter: its values first, then their scales.
    pub(crate) fn tensors(&self, param: usize, params: &Params) -> Vec<Tensor> {
        let of = self.of.get(&param).map_or(&[][..], Vec::as_slice);
        let own = of.iter().rev().map(|i| &self.entries[*i]);
        own.map(|entry| self.tensor(entry, params)).collect()
    }

    fn tensor(&self, entry: &Entry, params: &Params) -> Tensor {
        let data = match (entry.offset, &self.file) {
            (Some(offset), Some((file, _))) => TensorData::External(External {
                location: file.clone(),
                offset: Some(offset),
                length: Some(entry.bytes),
                ..External::default()
            }),
            _ => {
                let mut bytes = Vec::with_capacity(entry.bytes as usize);
                let all: Result<(), std::convert::Infallible> =
                    entry.pieces(params, &mut |piece| {
                        bytes.extend_from_slice(piece);
                        Ok(())
                    });
                match all {
                    Ok(()) => TensorData::Bytes(bytes),
                    Err(never) => match never {},
                }
            }
        };
        let (dtype, dims) = (entry.encoding.dtype(), entry.dims.clone());
        Tensor {
            data,
            ..Tensor::bytes(entry.name.clone(), dtype, dims, vec![])
        }
    }

    /// A value as it is read back, by parameter and flat index.
    pub(crate) fn rounded(&self, param: usize, at: usize, v: f32) -> f32 {
        let of = self.of.get(&param).map_or(&[][..], Vec::as_slice);
        // The values' own entry comes last.
        let Some(entry) = of.last().map(|i| &self.entries[*i]) else {
            return v;
        };
        match &entry.encoding {
            Encoding::F32 | Encoding::Scales(_) => v,
            Encoding::F16 => f16::from_f32(v).to_f32(),
            Encoding::Bf16 => bf16::from_f32(v).to_f32(),
            Encoding::Quantised { scales, by_row } => {
                let columns = entry.dims[1] as usize;
                let scale = scales[if *by_row { at / columns } else { at % columns }];
                step(v, scale) * scale
            }
        }
    }

    /// The bytes of the other file, in pieces, in order.
    pub(crate) fn write<E>(
        &self,
        params: &Params,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        const ZEROS: [u8; 1 << 12] = [0; 1 << 12];
        let mut at = 0u64;
        for entry in &self.entries {
            let Some(offset) = entry.offset else { continue };
            while at < offset {
                let gap = (offset - at).min(ZEROS.len() as u64);
                sink(&ZEROS[..gap as usize])?;
                at += gap;
            }
            entry.pieces(params, sink)?;
            at += entry.bytes;
        }
        Ok(())
    }
}

impl Encoding {
    fn dtype(&self) -> DType {
        match self {
            Self::F32 | Self::Scales(_) => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
            Self::Quantised { .. } => DType::U8,
        }
    }
}

impl Entry {
    fn pieces<E>(
        &self,
        params: &Params,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let values = params.get(self.param);
        match &self.encoding {
            Encoding::F32 => floats(values, sink),
            Encoding::Scales(scales) => floats(scales, sink),
            Encoding::F16 => encoded(values, sink, |v, out| {
                out.extend(f16::from_f32(v).to_le_bytes());
            }),
            Encoding::Bf16 => encoded(values, sink, |v, out| {
                out.extend(bf16::from_f32(v).to_le_bytes());
            }),
            Encoding::Quantised { scales, by_row } => {
                let columns = self.dims[1] as usize;
                let mut at = 0;
                encoded(values, sink, |v, out| {
                    let scale = scales[if *by_row { at / columns } else { at % columns }];
                    at += 1;
                    out.push((step(v, scale) + 128.0) as u8);
                })
            }
        }
    }
}

/// Steps of a quantised value, -127 to 127.
fn step(v: f32, scale: f32) -> f32 {
    (v / scale).round_ties_even().clamp(-127.0, 127.0)
}

/// Little-endian bytes of f32: those in memory where the machine is so.
pub(crate) fn floats<E>(
    values: &[f32],
    sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    if cfg!(target_endian = "little") {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        return bytes.chunks(4 * PIECE).try_for_each(sink);
    }
    encoded(values, sink, |v, out| out.extend(v.to_le_bytes()))
}

fn encoded<E>(
    values: &[f32],
    sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    mut one: impl FnMut(f32, &mut Vec<u8>),
) -> Result<(), E> {
    let mut piece = Vec::with_capacity(4 * PIECE);
    for values in values.chunks(PIECE) {
        piece.clear();
        values.iter().for_each(|v| one(*v, &mut piece));
        sink(&piece)?;
    }
    Ok(())
}

/// A matrix in a narrower type has no infinity that was a number, and does not vanish as a whole.
fn fits(name: &str, values: &[f32], weights: &Weights) -> Result<(), ExportError> {
    let (round, end, other): (fn(f32) -> f32, _, _) = match weights {
        Weights::F32 => return Ok(()),
        Weights::F16 => (|v| f16::from_f32(v).to_f32(), "65504", "bf16 or f32"),
        Weights::Bf16 => (|v| bf16::from_f32(v).to_f32(), "3.3895314e38", "f32"),
        // Scales follow the values, but for those below the least scale.
        Weights::Int8(_) => (|v| if v.abs() > TINY { v } else { 0.0 }, "", "bf16 or f32"),
    };
    let refuse = |what: String| {
        Err(ExportError::Param {
            name: name.to_owned(),
            what,
        })
    };
    let dtype = weights.name();
    if let Some(at) = values.iter().position(|v| !round(*v).is_finite()) {
        let value = values[at];
        return refuse(format!(
            "is {value:?} at flat index {at}, and {dtype} ends at {end}; export it as {other}"
        ));
    }
    let largest = values.iter().fold(0.0_f32, |top, v| top.max(v.abs()));
    if largest > 0.0 && round(largest) == 0.0 {
        return refuse(format!(
            "has {largest:?} for its largest magnitude, and in {dtype} all of it would be 0; export it as {other}"
        ));
    }
    Ok(())
}
