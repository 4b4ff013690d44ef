//! Sequence sets from npy, npz and safetensors arrays: features `[N, T, F]` or `[N, T]`, labels, optional lengths `[N]`.

use std::path::Path;

use super::array::{Array, Values};
use super::classes::Classes;
use super::sequences::{Labels, SequenceSet};
use super::sequences_arrays::{ArrayFiles, FEATURES, LENGTHS, Named, load, pick, place, require};
use super::{LabelKind, LabelScope, read_named};
use crate::error::{Result, TrainError};

/// The array of features (or of tokens) of an `.npz` or `.safetensors`, and the length of each of its sequences where it says them; for a model that is
/// trained. Other arrays are not looked at.
///
/// # Errors
/// [`TrainError::Io`]; [`TrainError::Data`] naming file, array and element.
pub fn read_named_features(path: &Path) -> Result<(Array, Option<Vec<usize>>)> {
    let ignored = ["*".to_owned()];
    let mut found = read_named(path, &[&FEATURES[..], &LENGTHS].concat(), &ignored)?.into_iter();
    let called = |(name, array): (&str, Array)| place(path, name, array);
    let features = pick(path, &FEATURES, found.by_ref().take(FEATURES.len()))?;
    let features = require(features.map(called), path, &FEATURES)?;
    let lengths_ = pick(path, &LENGTHS, found)?.map(called);
    let (n, t) = match *features.array.shape {
        [n, t] | [n, t, _] => (n, t),
        ref other => {
            return Err(features.error(format!(
                "features have shape {other:?}, expected [N, T, F] or [N, T]"
            )));
        }
    };
    let lens = lengths_
        .map(|given| lengths(Some(&given), n, t))
        .transpose()?;
    Ok((features.array, lens))
}

/// Reads and checks a sequence set. Steps behind a sequence's length are dropped unread. Classes are numbers 0, 1, 2, ... or names, which
/// their sorted order numbers.
///
/// # Errors
/// [`TrainError::Io`]; [`TrainError::Data`] naming file, array and element.
pub fn read_arrays(files: &ArrayFiles, kind: LabelKind, scope: LabelScope) -> Result<SequenceSet> {
    let (features, labels, lens) = load(files)?;
    let (n, t, width) = features_shape(&features)?;
    let lens = lengths(lens.as_ref(), n, t)?;
    let label_rows = LabelRows::new(&labels, n, t, scope)?;
    let (labels, label_names) = label_rows.read(&labels, kind, &lens)?;
    let features = gather_features(features, t, width, &lens)?;
    let starts = std::iter::once(0).chain(lens.iter().scan(0, |at, len| {
        *at += len;
        Some(*at)
    }));
    Ok(SequenceSet {
        width,
        features,
        starts: starts.collect(),
        labels,
        scope,
        feature_names: None,
        label_names,
    })
}

/// N, T and F.
pub(super) fn features_shape(features: &Named) -> Result<(usize, usize, usize)> {
    let (n, t, width) = match *features.array.shape {
        [n, t] => (n, t, 1),
        [n, t, f] => (n, t, f),
        ref other => {
            return Err(features.error(format!(
                "features have shape {other:?}, expected [N, T, F] or [N, T]"
            )));
        }
    };
    if n == 0 || t == 0 || width == 0 {
        return Err(features.error(format!(
            "features have shape {:?}: there is nothing in it",
            features.array.shape
        )));
    }
    Ok((n, t, width))
}

/// Lengths from an int array `[N]`, or T for all.
pub(super) fn lengths(lens: Option<&Named>, n: usize, t: usize) -> Result<Vec<usize>> {
    let Some(lens) = lens else {
        return Ok(vec![t; n]);
    };
    let Values::Ints(values) = &lens.array.values else {
        return Err(lens.error(format!(
            "lengths have dtype '{}', expected integers",
            lens.array.dtype
        )));
    };
    if lens.array.shape != [n] {
        return Err(lens.error(format!(
            "lengths have shape {:?}, expected [{n}]",
            lens.array.shape
        )));
    }
    let check = |(i, len): (usize, &i64)| match usize::try_from(*len) {
        Ok(len) if (1..=t).contains(&len) => Ok(len),
        _ => Err(lens.at(&[i], format!("is {len}, expected 1 to {t}"))),
    };
    values.iter().enumerate().map(check).collect()
}

fn gather_features(features: Named, t: usize, width: usize, lens: &[usize]) -> Result<Vec<f32>> {
    let Named { array, path, place } = features;
    let dtype = array.dtype.clone();
    let Some(values) = array.into_floats() else {
        let message = format!("features have dtype '{dtype}', expected numbers");
        return Err(TrainError::data(&path, place, message));
    };
    let mut out = Vec::with_capacity(lens.iter().sum::<usize>() * width);
    for (i, len) in lens.iter().enumerate() {
        let row = &values[i * t * width..][..len * width];
        if let Some(at) = row.iter().position(|v| !v.is_finite()) {
            let index = [i, at / width, at % width];
            return Err(TrainError::data(
                &path,
                place,
                format!(
                    "element {index:?} is {}, expected a finite float32",
                    row[at]
                ),
            ));
        }
        out.extend_from_slice(row);
    }
    Ok(out)
}

/// The class of a step of sequence `i`.
pub(super) fn class(labels: &Named, (i, step): (usize, usize), value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| {
        let what = format!("is {value}, expected a class number from 0 on");
        labels.at(&[i, step], what)
    })
}

/// How the labels lie in their array.
pub(super) struct LabelRows {
    /// Labels of each sequence in the array (T, or 1).
    per_sequence: usize,
    /// Numbers for each label.
    width: usize,
}

impl LabelRows {
    pub(super) fn new(labels: &Named, n: usize, t: usize, scope: LabelScope) -> Result<Self> {
        let (lead, per_sequence) = match scope {
            LabelScope::Step => (vec![n, t], t),
            LabelScope::Sequence => (vec![n], 1),
        };
        let shape = &labels.array.shape;
        let width = match shape.strip_prefix(lead.as_slice()) {
            Some([]) => 1,
            Some([c]) if *c > 0 => *c,
            _ => {
                let each = if scope == LabelScope::Step {
                    "one for each step"
                } else {
                    "one for each sequence"
                };
                let message = format!(
                    "labels have shape {shape:?}, expected {lead:?} (and C numbers for real targets): {each}"
                );
                return Err(labels.error(message));
            }
        };
        Ok(Self {
            per_sequence,
            width,
        })
    }

    /// The labels within the lengths, and the names of classes where they have names.
    pub(super) fn read(
        &self,
        labels: &Named,
        kind: LabelKind,
        lens: &[usize],
    ) -> Result<(Labels, Option<Vec<String>>)> {
        let dtype = &labels.array.dtype;
        let values = match (kind, &labels.array.values) {
            (LabelKind::Classes, _) if self.width != 1 => {
                let width = self.width;
                return Err(labels.error(format!(
                    "class labels have {width} numbers each, expected one"
                )));
            }
            (LabelKind::Classes, Values::Ints(values)) => {
                let class = |i, step, _, v: &i64| class(labels, (i, step), *v);
                return Ok((Labels::Classes(self.gather(values, lens, class)?), None));
            }
            (LabelKind::Classes, Values::Texts(values)) => {
                let mut classes = Classes::default();
                self.gather(values, lens, |i, step, _, text: &String| {
                    let number = classes.number(text);
                    let number = number.map_err(|what| labels.at(&[i, step], what))?;
                    classes.keep(number);
                    Ok(())
                })?;
                let (ids, names) = classes.finish();
                return Ok((Labels::Classes(ids), names));
            }
            (LabelKind::Classes, Values::Floats(_)) => {
                return Err(labels.error(format!(
                    "class labels have dtype '{dtype}', expected integers or texts (or `target = \"values\"`)"
                )));
            }
            (LabelKind::Values, Values::Ints(values)) => {
                self.gather(values, lens, |_, _, _, v| Ok(*v as f32))?
            }
            (LabelKind::Values, Values::Floats(values)) => {
                self.gather(values, lens, |i, step, c, v| {
                    if v.is_finite() {
                        Ok(*v)
                    } else {
                        Err(labels.at(&[i, step, c], format!("is {v}, expected a finite float32")))
                    }
                })?
            }
            (LabelKind::Values, Values::Texts(_)) => {
                return Err(labels.error(format!(
                    "labels have dtype '{dtype}', expected numbers (or `target = \"classes\"`)"
                )));
            }
        };
        let width = self.width;
        Ok((Labels::Values { values, width }, None))
    }

    /// Applies `take(sequence, step, number, value)` to the values within the lengths.
    fn gather<A, B>(
        &self,
        all: &[A],
        lens: &[usize],
        mut take: impl FnMut(usize, usize, usize, &A) -> Result<B>,
    ) -> Result<Vec<B>> {
        let stride = self.per_sequence * self.width;
        let mut out = Vec::new();
        for (i, len) in lens.iter().enumerate() {
            let used = (*len).min(self.per_sequence) * self.width;
            for (k, value) in all[i * stride..][..used].iter().enumerate() {
                out.push(take(i, k / self.width, k % self.width, value)?);
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
#[path = "sequences_npy_tests.rs"]
mod tests;
