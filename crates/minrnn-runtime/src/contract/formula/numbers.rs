//! The recurrence in numbers, for formulas that have no known form: evaluated on a few channels with the executor's own
//! functions, and compared with the plain recurrence.

use crate::proto::{NodeProto, TensorProto};

use super::moves::{Move, Piece};
use super::scan::{Scan, elementwise};
use super::{Algebra, floats};
use crate::info::Law;
use crate::kernels::{self, Cpu, Operand};
use crate::structure::broadcast;

/// Channels that are evaluated.
pub(super) const CHANNELS: usize = 4;
/// Values that may be made for one recurrence.
const MOST: usize = 1 << 22;
/// How far right formulas are from the recurrence, as a part of the largest magnitude: they round in another order.
const TOLERANCE: f32 = 1e-5;

/// A tensor, row-major; of a last axis of all channels, a few.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// The rules.
#[derive(Debug)]
pub(super) struct Evaluation {
    /// D.
    whole: usize,
    /// The channels that are evaluated, of D.
    kept: Vec<usize>,
    /// Whether channels are real parts, then imaginary ones, and may be taken apart and together as these.
    pairs: bool,
    cpu: Cpu,
    left: usize,
}

/// What a tensor holds before: the same on each run.
struct Seed(u64);

impl Seed {
    /// In [0, 1).
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}

impl Evaluation {
    pub(super) fn new(whole: usize, law: Law) -> Self {
        let pairs = law == Law::Complex;
        let numbers = if pairs { whole / 2 } else { whole };
        let mut kept: Vec<usize> = (0..CHANNELS)
            .map(|i| i * numbers.saturating_sub(1) / (CHANNELS - 1))
            .collect();
        kept.dedup();
        if pairs {
            kept.extend(kept.clone().into_iter().map(|c| c + numbers));
        }
        Self {
            whole,
            kept,
            pairs,
            cpu: Cpu::scalar(),
            left: MOST,
        }
    }

    /// The shape with the channels that are evaluated.
    fn fewer(&self, dims: &[usize]) -> Result<Vec<usize>, String> {
        let mut dims = dims.to_vec();
        match dims.last_mut() {
            Some(last) if *last == self.whole => *last = self.kept.len(),
            Some(last) if self.pairs && *last == self.whole / 2 => *last = self.kept.len() / 2,
            Some(last) if *last != 1 => return Err("works across channels".into()),
            _ => {}
        }
        Ok(dims)
    }

    fn across(&self, axis: usize, x: &Numbers) -> Result<(), String> {
        if axis + 1 == x.dims.len() && self.kept.len() != self.whole {
            return Err("works across channels".into());
        }
        Ok(())
    }

    fn room(&mut self, dims: &[usize]) -> Result<usize, String> {
        let count = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let left = count.and_then(|n| self.left.checked_sub(n.max(1)));
        self.left = left.ok_or("is too much to evaluate")?;
        Ok(count.unwrap_or(0))
    }

    /// `a`, `b`, `h0` of these shapes. `lowered`: whether the law max has an a.
    pub(super) fn seeds(
        &mut self,
        dims: [&[usize]; 3],
        law: Law,
        lowered: bool,
    ) -> Result<[Numbers; 3], String> {
        let mut seed = Seed(7);
        let decay = match law {
            // Near 1, so that what a lowering loses on its way still shows after many steps.
            Law::Linear | Law::Complex => (0.97f32, 0.06f32),
            // Up as often as down: now the past is larger, now what is new, over many steps as over few.
            Law::Max => (-0.5, 1.0),
        };
        let ranges = [decay, (-1.0, 2.0), (-1.0, 2.0)];
        let mut make = |dims: &[usize], (least, width): (f32, f32)| -> Result<Numbers, String> {
            let dims = self.fewer(dims)?;
            let count = self.room(&dims)?;
            let values = (0..count).map(|_| least + width * seed.next()).collect();
            Ok(Numbers { dims, values })
        };
        let mut all = [
            make(dims[0], ranges[0])?,
            make(dims[1], ranges[1])?,
            make(dims[2], ranges[2])?,
        ];
        match law {
            Law::Linear => {}
            Law::Max if lowered => {}
            Law::Max => falling_and_rising(&mut all[1]),
            Law::Complex => turning(&mut all[0], &mut seed),
        }
        Ok(all)
    }

    /// Entries `offset + Σ index * step`, in that shape.
    fn strided(
        &mut self,
        x: &Numbers,
        dims: Vec<usize>,
        offset: usize,
        steps: &[usize],
    ) -> Result<Numbers, String> {
        let count = self.room(&dims)?;
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0usize; dims.len()];
        for _ in 0..count {
            let at = index.iter().zip(steps).fold(offset, |n, (i, s)| n + i * s);
            values.push(*x.values.get(at).ok_or("entries that are not there")?);
            for axis in (0..dims.len()).rev() {
                index[axis] += 1;
                if index[axis] < dims[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(Numbers { dims, values })
    }

    fn spread(&mut self, x: &Numbers, dims: Vec<usize>) -> Result<Numbers, String> {
        let new = dims
            .len()
            .checked_sub(x.dims.len())
            .ok_or("fewer axes than before")?;
        let own = strides(&x.dims);
        let step = |a: usize| match a.checked_sub(new) {
            Some(a) if x.dims[a] != 1 => own[a],
            _ => 0,
        };
        let steps: Vec<usize> = (0..dims.len()).map(step).collect();
        self.strided(x, dims, 0, &steps)
    }

    /// Of a piece that is a half of the channels, that half of those that are evaluated.
    fn half(&self, p: &Piece, x: &Numbers) -> Option<Piece> {
        let (whole, kept) = (self.whole / 2, self.kept.len() / 2);
        let last = p.axis + 1 == x.dims.len() && x.dims.get(p.axis) == Some(&self.kept.len());
        let fits = self.pairs && last && p.every == 1 && p.len == whole;
        let start = match p.start {
            0 => 0,
            at if at == whole => kept,
            _ => return None,
        };
        let len = kept;
        fits.then_some(Piece { start, len, ..*p })
    }

    fn cut(&mut self, x: &Numbers, pieces: &[Piece]) -> Result<Numbers, String> {
        let (mut dims, mut steps, mut offset) = (x.dims.clone(), strides(&x.dims), 0);
        for p in pieces {
            let half = self.half(p, x);
            if half.is_none() {
                self.across(p.axis, x)?;
            }
            let p = half.as_ref().unwrap_or(p);
            offset += p.start * steps[p.axis];
            steps[p.axis] *= p.every;
            dims[p.axis] = p.len;
        }
        self.strided(x, dims, offset, &steps)
    }

    fn join(&mut self, parts: &[Numbers], axis: usize) -> Result<Numbers, String> {
        let first = parts.first().ok_or("joins nothing")?;
        let mut dims = first.dims.clone();
        *dims.get_mut(axis).ok_or("an axis that is not there")? = 0;
        let half = |x: &Numbers| axis + 1 == x.dims.len() && x.dims[axis] == self.kept.len() / 2;
        let halves = self.pairs && parts.len() == 2 && parts.iter().all(half);
        for part in parts {
            if !halves {
                self.across(axis, part)?;
            }
            dims[axis] += part.dims.get(axis).copied().unwrap_or(0);
        }
        let count = self.room(&dims)?;
        let outer: usize = dims[..axis].iter().product();
        let mut values = Vec::with_capacity(count);
        for o in 0..outer {
            for part in parts {
                let len = part.values.len() / outer.max(1);
                values
                    .extend_from_slice(part.values.get(o * len..(o + 1) * len).unwrap_or_default());
            }
        }
        let fits = values.len() == count;
        fits.then_some(Numbers { dims, values })
            .ok_or_else(|| "parts that do not fit".into())
    }

    fn pad(
        &mut self,
        x: &Numbers,
        sides: &[(usize, usize)],
        value: f32,
    ) -> Result<Numbers, String> {
        let mut found = x.clone();
        for (axis, (before, after)) in sides.iter().enumerate() {
            if (*before, *after) == (0, 0) {
                continue;
            }
            let mut block = |len: usize| -> Result<Numbers, String> {
                let mut dims = found.dims.clone();
                dims[axis] = len;
                self.filled(dims, value)
            };
            let (front, back) = (block(*before)?, block(*after)?);
            found = self.join(&[front, found.clone(), back], axis)?;
        }
        Ok(found)
    }

    fn filled(&mut self, dims: Vec<usize>, value: f32) -> Result<Numbers, String> {
        let values = vec![value; self.room(&dims)?];
        Ok(Numbers { dims, values })
    }
}

impl Algebra for Evaluation {
    type Value = Numbers;

    fn weight(&mut self, data: &TensorProto) -> Result<Numbers, String> {
        let all = floats(data).ok_or("reads numbers of another type")?;
        let dims = data.dims.iter().map(|d| usize::try_from(*d).unwrap_or(0));
        let whole: Vec<usize> = dims.collect();
        let dims = self.fewer(&whole)?;
        self.room(&dims)?;
        let values = match whole.last() {
            Some(last) if *last == self.whole => {
                let row = |row: &[f32]| -> Vec<f32> {
                    self.kept
                        .iter()
                        .filter_map(|c| row.get(*c).copied())
                        .collect()
                };
                all.chunks(self.whole.max(1)).flat_map(row).collect()
            }
            _ => all,
        };
        Ok(Numbers { dims, values })
    }

    fn apply(&mut self, step: &Move, inputs: &[Numbers]) -> Result<Vec<Numbers>, String> {
        let x = inputs.first();
        let first = || x.ok_or("reads nothing".to_owned());
        let one = match step {
            Move::Same => first()?.clone(),
            Move::Fill(dims, value) => {
                let dims = self.fewer(dims)?;
                self.filled(dims, *value)?
            }
            Move::Reshape(dims) => {
                let (x, dims) = (first()?, self.fewer(dims)?);
                if self.room(&dims)? != x.values.len() {
                    return Err("works across channels".into());
                }
                let values = x.values.clone();
                Numbers { dims, values }
            }
            Move::Cut(cuts) => {
                return cuts
                    .iter()
                    .map(|pieces| self.cut(first()?, pieces))
                    .collect();
            }
            Move::Order(order) => {
                let x = first()?;
                if order.last().copied() != x.dims.len().checked_sub(1) {
                    self.across(x.dims.len().saturating_sub(1), x)?;
                }
                let steps = strides(&x.dims);
                let dims = order.iter().map(|a| x.dims[*a]).collect();
                let steps: Vec<usize> = order.iter().map(|a| steps[*a]).collect();
                self.strided(x, dims, 0, &steps)?
            }
            Move::Spread(dims) => {
                let dims = self.fewer(dims)?;
                self.spread(first()?, dims)?
            }
            Move::Join(axis) => self.join(inputs, *axis)?,
            Move::Pad(sides, value) => self.pad(first()?, sides, *value)?,
            Move::Unary(op) => {
                let x = first()?;
                let mut values = vec![0.0; self.room(&x.dims)?];
                kernels::unary(self.cpu, *op, &x.values, &mut values);
                let dims = x.dims.clone();
                Numbers { dims, values }
            }
            Move::Binary(op) => {
                let [a, b] = inputs else {
                    return Err("takes more than two tensors".into());
                };
                let dims = broadcast(&a.dims, &b.dims)?;
                let (a, b) = (self.spread(a, dims.clone())?, self.spread(b, dims.clone())?);
                let mut values = vec![0.0; self.room(&dims)?];
                let [x, y] = [&a, &b].map(|v| Operand::Slice(&v.values));
                kernels::binary(self.cpu, *op, x, y, &mut values);
                Numbers { dims, values }
            }
        };
        Ok(vec![one])
    }

    fn scan(&mut self, node: &NodeProto, inputs: &[Numbers]) -> Result<Vec<Numbers>, String> {
        let scan = Scan::of(node)?;
        let (states, scanned) = scan.parts(inputs)?;
        let lengths = scanned
            .iter()
            .zip(&scan.inputs)
            .map(|(x, a)| x.dims.get(*a).copied());
        let count = lengths.min().flatten().ok_or("an axis that is not there")?;
        let mut states = states.to_vec();
        let mut made: Vec<Vec<Numbers>> = vec![vec![]; scan.outputs.len()];
        for start in 0..count {
            let mut now = states;
            for (x, axis) in scanned.iter().zip(&scan.inputs) {
                let piece = Piece {
                    axis: *axis,
                    start,
                    every: 1,
                    len: 1,
                };
                let mut part = self.cut(x, &[piece])?;
                part.dims.remove(*axis);
                now.push(part);
            }
            let mut results = elementwise(self, scan.body, now)?;
            if results.len() != made.len() + scan.states {
                return Err("Scan of other results".into());
            }
            let outputs = results.split_off(scan.states);
            states = results;
            for ((all, mut y), axis) in made.iter_mut().zip(outputs).zip(&scan.outputs) {
                if *axis > y.dims.len() {
                    return Err("an axis that is not there".into());
                }
                y.dims.insert(*axis, 1);
                all.push(y);
            }
        }
        let mut results = states;
        for (all, axis) in made.iter().zip(&scan.outputs) {
            results.push(self.join(all, *axis)?);
        }
        Ok(results)
    }
}

fn strides(dims: &[usize]) -> Vec<usize> {
    let mut steps = vec![1; dims.len()];
    for axis in (0..dims.len().saturating_sub(1)).rev() {
        steps[axis] = steps[axis + 1] * dims[axis + 1];
    }
    steps
}

/// Values that fall and then rise by more than chance: where they fall, the first one of any steps is the largest, which is lost where a
/// smaller one is taken; where they rise, the last one is, which is lost where it is left out.
fn falling_and_rising(b: &mut Numbers) {
    let (width, steps) = (b.dims.last().copied(), b.dims.get(1).copied());
    let (width, steps) = (width.unwrap_or(1).max(1), steps.unwrap_or(1).max(1));
    for (at, v) in b.values.iter_mut().enumerate() {
        let part = (at / width % steps) as f32 / steps as f32;
        *v += 64.0 * (part - 0.5).abs();
    }
}

/// The numbers as moduli of complex ones in any direction.
fn turning(a: &mut Numbers, seed: &mut Seed) {
    let width = a.dims.last().copied().unwrap_or(2).max(2);
    for row in a.values.chunks_mut(width) {
        let (re, im) = row.split_at_mut(width / 2);
        for (re, im) in re.iter_mut().zip(im) {
            let (sin, cos) = (std::f32::consts::TAU * seed.next()).sin_cos();
            (*re, *im) = (*re * cos, *re * sin);
        }
    }
}

/// `h` of the plain recurrence, of the shape of `b`: steps are its axis 1, or there is one. `lowered`: whether the law max has an a.
pub(super) fn recurrence(
    law: Law,
    lowered: bool,
    [a, b, h0]: [&Numbers; 3],
    timed: bool,
) -> Numbers {
    let width = b.dims.last().copied().unwrap_or(1).max(1);
    let steps = match timed {
        true => b.dims.get(1).copied().unwrap_or(1).max(1),
        false => 1,
    };
    let mut values: Vec<f32> = Vec::with_capacity(b.values.len());
    let mut h = vec![];
    for (row, (a, b)) in a
        .values
        .chunks(width)
        .zip(b.values.chunks(width))
        .enumerate()
    {
        if row.is_multiple_of(steps) {
            let start = h0.values.chunks(width).nth(row / steps);
            h = start.map_or_else(|| vec![0.0; width], <[f32]>::to_vec);
        }
        let n = h.len() / 2;
        let before = h.clone();
        for (c, h) in h.iter_mut().enumerate() {
            *h = match law {
                Law::Linear => *h * a[c] + b[c],
                Law::Max if lowered => (*h + a[c]).max(b[c]),
                Law::Max => h.max(b[c]),
                Law::Complex if c < n => before[c] * a[c] - before[n + c] * a[n + c] + b[c],
                Law::Complex => before[c - n] * a[c] + before[c] * a[c - n] + b[c],
            };
        }
        values.extend_from_slice(&h);
    }
    let dims = b.dims.clone();
    Numbers { dims, values }
}

/// The first value of `found` that is not that of `wanted`: index, value, value that it should be.
pub(super) fn differs(found: &Numbers, wanted: &Numbers) -> Option<(usize, f32, f32)> {
    let largest = wanted.values.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    let pairs = found.values.iter().zip(&wanted.values).enumerate();
    let near = |x: f32, y: f32| (x - y).abs() <= TOLERANCE * largest;
    let mut apart = pairs.filter(|(_, (x, y))| !near(**x, **y));
    apart.next().map(|(at, (x, y))| (at, *x, *y))
}
