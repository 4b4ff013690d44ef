//! Sequence sets that stay on disk: of npy, npz and safetensors arrays only the rows that are asked for are read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::array::Values;
use super::sequences::Labels;
use super::sequences_arrays::{ArrayFiles, Named, layout};
use super::sequences_npy::{LabelRows, class, features_shape, lengths};
use super::stored::{Ahead, Stored};
use super::{LabelKind, LabelScope};
use crate::error::Result;

/// The set. Its lengths, and labels of whole sequences, are in memory.
#[derive(Debug)]
pub(crate) struct DiskSet {
    /// F.
    pub(crate) width: usize,
    /// T of the array.
    time: usize,
    /// Steps of each sequence.
    lens: Vec<usize>,
    features: Stored,
    pub(crate) labels: DiskLabels,
    pub(crate) scope: LabelScope,
    /// Names of classes, where the file or the options have them.
    pub(crate) label_names: Option<Vec<String>>,
}

/// Where the labels are.
#[derive(Debug)]
pub(crate) enum DiskLabels {
    /// One for each sequence.
    Here(Labels),
    /// Class numbers of steps, and what each of those that are there is called now.
    Classes(Stored, BTreeMap<u32, u32>),
    /// Values of steps, so many each.
    Values(Stored, usize),
}

/// How many sequences arrays on disk have; `None` for what cannot be read.
pub(crate) fn rows_on_disk(files: &ArrayFiles) -> Option<usize> {
    let (features, ..) = layout(files).ok()?;
    features.outline().ok()?.shape.first().copied()
}

impl DiskSet {
    /// Opens the arrays, and goes through them: every value is one that can be used.
    ///
    /// # Errors
    /// Those of [`read_arrays`](super::read_arrays); arrays of which no rows can be read: packed, in Fortran order, or texts for each step.
    pub(crate) fn open(files: &ArrayFiles, kind: LabelKind, scope: LabelScope) -> Result<Self> {
        let (features, labels, lens) = layout(files)?;
        let outline = named(&features)?;
        let (n, time, width) = features_shape(&outline)?;
        if matches!(outline.array.values, Values::Texts(_)) {
            let dtype = &outline.array.dtype;
            return Err(outline.error(format!("features have dtype '{dtype}', expected numbers")));
        }
        let lens = lens.as_ref().map(whole).transpose()?;
        let lens = lengths(lens.as_ref(), n, time)?;
        let shape = named(&labels)?;
        let rows = LabelRows::new(&shape, n, time, scope)?;
        let (labels, label_names) = match scope {
            LabelScope::Sequence => {
                let (labels, names) = rows.read(&whole(&labels)?, kind, &lens)?;
                (DiskLabels::Here(labels), names)
            }
            // Without a row it says whether labels are of this kind.
            LabelScope::Step => match rows.read(&shape, kind, &[])? {
                _ if matches!(shape.array.values, Values::Texts(_)) => {
                    let message = "has texts, which are numbered when all of them are known; write numbers of classes (their names in task.class_names), or leave task.from_disk out";
                    return Err(shape.error(message));
                }
                (Labels::Classes(_), _) => (DiskLabels::Classes(labels, BTreeMap::new()), None),
                (Labels::Values { width, .. }, _) => (DiskLabels::Values(labels, width), None),
            },
        };
        let mut set = Self {
            width,
            time,
            lens,
            features,
            labels,
            scope,
            label_names,
        };
        set.go_through(&outline, &shape)?;
        Ok(set)
    }

    /// Holds every value to what it must be, padding too as far as it must be a number, and finds the classes.
    fn go_through(&mut self, features: &Named, labels: &Named) -> Result<()> {
        let mut there = BTreeSet::new();
        match &self.labels {
            DiskLabels::Here(_) => {}
            DiskLabels::Classes(stored, _) => {
                let mut rows = Ahead::new(stored.count(), |range| {
                    Ok(match stored.read(range)? {
                        Values::Ints(values) => values,
                        _ => vec![],
                    })
                });
                for (i, len) in self.lens.iter().enumerate() {
                    rows.each(
                        i * self.time..(i + 1) * self.time,
                        1,
                        &mut |step, values| {
                            for (k, v) in values.iter().enumerate().take(len.saturating_sub(step)) {
                                there.insert(class(labels, (i, step + k), *v)?);
                            }
                            Ok(())
                        },
                    )?;
                }
            }
            DiskLabels::Values(stored, width) => self.all_finite(stored, *width, labels)?,
        }
        if let DiskLabels::Classes(_, known) = &mut self.labels {
            *known = there.into_iter().map(|id| (id, id)).collect();
        }
        self.all_finite(&self.features, self.width, features)
    }

    fn all_finite(&self, stored: &Stored, width: usize, of: &Named) -> Result<()> {
        let mut rows = Ahead::new(stored.count(), |range| stored.floats(range));
        let each = self.time * width;
        for (i, len) in self.lens.iter().enumerate() {
            rows.each(i * each..(i + 1) * each, width, &mut |step, values| {
                let used = len.saturating_sub(step).min(values.len() / width) * width;
                match values[..used].iter().position(|v| !v.is_finite()) {
                    None => Ok(()),
                    Some(at) => Err(of.at(
                        &[i, step + at / width, at % width],
                        format!("is {}, expected a finite float32", values[at]),
                    )),
                }
            })?;
        }
        Ok(())
    }

    /// How many sequences there are.
    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }

    /// The steps of sequence `i`.
    pub(crate) fn steps(&self, i: usize) -> usize {
        self.lens[i]
    }

    /// The features of some steps of sequence `i`.
    ///
    /// # Errors
    /// Those of the file.
    pub(crate) fn features(&self, i: usize, steps: Range<usize>) -> Result<Vec<f32>> {
        self.features.floats(self.values(i, steps, self.width))
    }

    /// The classes of some steps of sequence `i`, where labels are of steps.
    ///
    /// # Errors
    /// Those of the file.
    pub(crate) fn classes(&self, i: usize, steps: Range<usize>) -> Result<Vec<u32>> {
        match &self.labels {
            DiskLabels::Classes(stored, known) => numbered(stored, known, self.values(i, steps, 1)),
            _ => Ok(vec![]),
        }
    }

    /// The values of some steps of sequence `i`, where labels are of steps.
    ///
    /// # Errors
    /// Those of the file.
    pub(crate) fn targets(&self, i: usize, steps: Range<usize>) -> Result<Vec<f32>> {
        match &self.labels {
            DiskLabels::Values(stored, width) => stored.floats(self.values(i, steps, *width)),
            _ => Ok(vec![]),
        }
    }

    /// Where the values of some steps lie, `width` each.
    pub(crate) fn values(&self, i: usize, steps: Range<usize>, width: usize) -> Range<usize> {
        let first = i * self.time;
        (first + steps.start) * width..(first + steps.end) * width
    }

    /// Features in turn.
    pub(crate) fn all_features(&self) -> Ahead<'_, f32> {
        Ahead::new(self.features.count(), |range| self.features.floats(range))
    }

    /// Values of steps in turn.
    pub(crate) fn all_targets(&self) -> Option<Ahead<'_, f32>> {
        match &self.labels {
            DiskLabels::Values(stored, _) => {
                Some(Ahead::new(stored.count(), |range| stored.floats(range)))
            }
            _ => None,
        }
    }

    /// Classes of steps in turn.
    pub(crate) fn all_classes(&self) -> Option<Ahead<'_, u32>> {
        match &self.labels {
            DiskLabels::Classes(stored, known) => Some(Ahead::new(stored.count(), |range| {
                numbered(stored, known, range)
            })),
            _ => None,
        }
    }

    /// The most bytes that were read at once.
    #[cfg(test)]
    pub(crate) fn most(&self) -> &std::sync::atomic::AtomicUsize {
        &self.features.file().most
    }
}

/// Class numbers as they are called; those of padding are none, and 0.
fn numbered(stored: &Stored, known: &BTreeMap<u32, u32>, range: Range<usize>) -> Result<Vec<u32>> {
    let Values::Ints(values) = stored.read(range)? else {
        return Ok(vec![]);
    };
    let number = |v: i64| {
        let id = u32::try_from(v).ok();
        id.and_then(|id| known.get(&id)).copied().unwrap_or(0)
    };
    Ok(values.into_iter().map(number).collect())
}

fn named(stored: &Stored) -> Result<Named> {
    Ok(Named::new(
        stored.outline()?,
        stored.file().path(),
        stored.name(),
    ))
}

fn whole(stored: &Stored) -> Result<Named> {
    Ok(Named::new(
        stored.whole()?,
        stored.file().path(),
        stored.name(),
    ))
}
