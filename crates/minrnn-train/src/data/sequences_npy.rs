//! Sequence sets from npy, npz and safetensors arrays: features `[N, T, F]` or `[N, T]`, labels, optional lengths `[N]`.

use std::path::{Path, PathBuf};

use super::array::{Array, Values};
use super::classes::Classes;
use super::sequences::{Labels, SequenceSet};
use super::{LabelKind, LabelScope, NAMED_ARRAYS, archive, read_named, read_npy};
use crate::error::{Result, TrainError};

const FEATURES: [&str; 2] = ["x", "features"];
const LABELS: [&str; 3] = ["y", "labels", "targets"];
const LENGTHS: [&str; 2] = ["lengths", "lens"];

/// Where the arrays are: one `.npz` or `.safetensors` with `x` or `features`, `y` or `labels` or `targets`, and optionally `lengths` (or `lens`);
/// or an `.npy` for each.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayFiles {
    /// The `.npz` or `.safetensors`, or the `.npy` of the features.
    pub features: PathBuf,
    /// The `.npy` of the labels.
    pub labels: Option<PathBuf>,
    /// The `.npy` of the lengths.
    pub lengths: Option<PathBuf>,
    /// Arrays that the one file may have besides; `*` stands for all others.
    pub ignored: Vec<String>,
}

/// The array of features (or of tokens) of an `.npz` or `.safetensors`, and the length of each of its sequences where it says them; for a model that is
/// trained. Other arrays are not looked at.
///
/// # Errors
/// [`TrainError::Io`]; [`TrainError::Data`] naming file, array and element.
pub fn read_named_features(path: &Path) -> Result<(Array, Option<Vec<usize>>)> {
    let ignored = ["*".to_owned()];
    let mut found = read_named(path, &[&FEATURES[..], &LENGTHS].concat(), &ignored)?.into_iter();
    let features = pick(path, &FEATURES, found.by_ref().take(FEATURES.len()))?;
    let features = require(features, path, &FEATURES)?;
    let lengths_ = pick(path, &LENGTHS, found)?;
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

/// Names that arrays of one file may have to be used: features, labels, lengths.
pub const ARRAY_NAMES: [&[&str]; 3] = [&FEATURES, &LABELS, &LENGTHS];

/// An array and where it came from.
struct Named {
    array: Array,
    path: PathBuf,
    place: String,
}

impl Named {
    fn error(&self, message: impl Into<String>) -> TrainError {
        TrainError::data(&self.path, self.place.clone(), message)
    }

    fn at(&self, index: &[usize], message: impl std::fmt::Display) -> TrainError {
        self.error(format!("element {index:?} {message}"))
    }
}

/// Reads and checks a sequence set. Steps behind a sequence's length are dropped unread. Classes are numbers 0, 1, 2, ... or names, which
/// their sorted order numbers.
///
/// # Errors
/// [`TrainError::Io`]; [`TrainError::Data`] naming file, array and element.
pub fn read_arrays(files: &ArrayFiles, kind: LabelKind, scope: LabelScope) -> Result<SequenceSet> {
    let (features, labels, lens) = load(files)?;
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

fn load(files: &ArrayFiles) -> Result<(Named, Named, Option<Named>)> {
    let is_one =
        |ending: &std::ffi::OsStr| NAMED_ARRAYS.iter().any(|e| ending.eq_ignore_ascii_case(e));
    if files.features.extension().is_some_and(is_one) {
        return load_named(&files.features, &files.ignored);
    }
    let Some(labels) = &files.labels else {
        let message = "an npy file holds one array only; name the file of the labels too";
        return Err(TrainError::config("labels_path", message));
    };
    let open = |path: &Path| {
        Ok::<_, TrainError>(Named {
            array: read_npy(path)?,
            path: path.to_path_buf(),
            place: String::new(),
        })
    };
    Ok((
        open(&files.features)?,
        open(labels)?,
        files.lengths.as_deref().map(open).transpose()?,
    ))
}

/// Those of the names that are not ignored by their name; `*` stands for what nothing uses.
fn used(names: &[&'static str], ignored: &[String]) -> Vec<&'static str> {
    let is_used = |n: &&'static str| ignored.iter().all(|i| i != n);
    names.iter().copied().filter(is_used).collect()
}

/// All that an archive may have of use.
fn useful(ignored: &[String]) -> Vec<&'static str> {
    used(&[&FEATURES[..], &LABELS, &LENGTHS].concat(), ignored)
}

/// How many bytes the arrays of an `.npz` or `.safetensors` that are read have when they are unpacked; 0 for what is none.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read.
pub(crate) fn unpacked(path: &Path, ignored: &[String]) -> Result<u64> {
    let names = useful(ignored);
    archive::unpacked(path, |name| names.contains(&name))
}

fn load_named(path: &Path, ignored: &[String]) -> Result<(Named, Named, Option<Named>)> {
    let names = useful(ignored);
    let mut found = read_named(path, &names, ignored)?.into_iter();
    let mut pick = |names: &[&'static str]| {
        let names = used(names, ignored);
        pick(path, &names, found.by_ref().take(names.len()))
    };
    let (features, labels) = (pick(&FEATURES)?, pick(&LABELS)?);
    Ok((
        require(features, path, &FEATURES)?,
        require(labels, path, &LABELS)?,
        pick(&LENGTHS)?,
    ))
}

/// The one array among `names` that the archive has.
fn pick(
    path: &Path,
    names: &[&str],
    found: impl Iterator<Item = Option<Array>>,
) -> Result<Option<Named>> {
    let mut present: Vec<(&str, Array)> = names
        .iter()
        .zip(found)
        .filter_map(|(name, array)| Some((*name, array?)))
        .collect();
    if let [(a, _), (b, _), ..] = present[..] {
        return Err(TrainError::data(
            path,
            "",
            format!("both '{a}' and '{b}' are in the archive; keep one of them"),
        ));
    }
    Ok(present.pop().map(|(name, array)| Named {
        array,
        path: path.to_path_buf(),
        place: format!("array '{name}'"),
    }))
}

fn require(found: Option<Named>, path: &Path, names: &[&str]) -> Result<Named> {
    let wanted = names.join("' or '");
    found.ok_or_else(|| {
        TrainError::data(
            path,
            "",
            format!("there is no array '{wanted}' in the archive"),
        )
    })
}

/// Lengths from an int array `[N]`, or T for all.
fn lengths(lens: Option<&Named>, n: usize, t: usize) -> Result<Vec<usize>> {
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

/// How the labels lie in their array.
struct LabelRows {
    /// Labels of each sequence in the array (T, or 1).
    per_sequence: usize,
    /// Numbers for each label.
    width: usize,
}

impl LabelRows {
    fn new(labels: &Named, n: usize, t: usize, scope: LabelScope) -> Result<Self> {
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
    fn read(
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
                let class = |i, step, _, v: &i64| {
                    u32::try_from(*v).map_err(|_| {
                        let what = format!("is {v}, expected a class number from 0 on");
                        labels.at(&[i, step], what)
                    })
                };
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
