//! Where the sequences are: in memory, or in arrays on disk of which rows are read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::data::{Ahead, DiskLabels, DiskSet, LabelScope, Labels, SequenceSet};
use crate::error::Result;

/// The sequences of a task.
#[derive(Debug)]
pub(in crate::task) enum Source {
    Memory(SequenceSet),
    Disk(Box<DiskSet>),
}

/// Labels that follow each other.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::task) enum Piece<'a> {
    Classes(Cow<'a, [u32]>),
    /// Values, so many a label.
    Values(Cow<'a, [f32]>, usize),
}

impl Source {
    pub(in crate::task) fn len(&self) -> usize {
        match self {
            Self::Memory(set) => set.len(),
            Self::Disk(set) => set.len(),
        }
    }

    /// F.
    pub(in crate::task) fn width(&self) -> usize {
        match self {
            Self::Memory(set) => set.width,
            Self::Disk(set) => set.width,
        }
    }

    /// Steps of sequence `i`.
    pub(in crate::task) fn steps(&self, i: usize) -> usize {
        match self {
            Self::Memory(set) => set.steps(i).len(),
            Self::Disk(set) => set.steps(i),
        }
    }

    /// Labels of sequence `i`.
    pub(in crate::task) fn rows(&self, i: usize) -> usize {
        let scope = match self {
            Self::Memory(set) => set.scope,
            Self::Disk(set) => set.scope,
        };
        match scope {
            LabelScope::Step => self.steps(i),
            LabelScope::Sequence => 1,
        }
    }

    /// Numbers of a label; `None`: labels are classes.
    pub(in crate::task) fn targets(&self) -> Option<usize> {
        match self {
            Self::Memory(set) => of(&set.labels),
            Self::Disk(set) => match &set.labels {
                DiskLabels::Here(labels) => of(labels),
                DiskLabels::Classes(..) => None,
                DiskLabels::Values(_, width) => Some(*width),
            },
        }
    }

    pub(super) fn feature_names(&self) -> Option<&Vec<String>> {
        match self {
            Self::Memory(set) => set.feature_names.as_ref(),
            Self::Disk(_) => None,
        }
    }

    pub(super) fn label_names(&self) -> Option<&Vec<String>> {
        match self {
            Self::Memory(set) => set.label_names.as_ref(),
            Self::Disk(set) => set.label_names.as_ref(),
        }
    }

    pub(super) fn name_labels(&mut self, names: Vec<String>) {
        match self {
            Self::Memory(set) => set.label_names = Some(names),
            Self::Disk(set) => set.label_names = Some(names),
        }
    }

    /// The classes that there are; none of values.
    pub(super) fn classes(&self) -> BTreeSet<u32> {
        let here = |labels: &Labels| match labels {
            Labels::Classes(ids) => ids.iter().copied().collect(),
            Labels::Values { .. } => BTreeSet::new(),
        };
        match self {
            Self::Memory(set) => here(&set.labels),
            Self::Disk(set) => match &set.labels {
                DiskLabels::Here(labels) => here(labels),
                DiskLabels::Classes(_, known) => known.values().copied().collect(),
                DiskLabels::Values(..) => BTreeSet::new(),
            },
        }
    }

    /// Gives every class another number.
    ///
    /// # Errors
    /// Those of `number`, for the first class that has none.
    pub(super) fn renumber(&mut self, number: &dyn Fn(u32) -> Result<u32>) -> Result<()> {
        let all: BTreeMap<u32, u32> = (self.classes().into_iter())
            .map(|id| Ok((id, number(id)?)))
            .collect::<Result<_>>()?;
        let here = |labels: &mut Labels| {
            if let Labels::Classes(ids) = labels {
                ids.iter_mut().for_each(|id| *id = all[id]);
            }
        };
        match self {
            Self::Memory(set) => here(&mut set.labels),
            Self::Disk(set) => match &mut set.labels {
                DiskLabels::Here(labels) => here(labels),
                DiskLabels::Classes(_, known) => known.values_mut().for_each(|id| *id = all[id]),
                DiskLabels::Values(..) => {}
            },
        }
        Ok(())
    }

    /// The features of some steps of sequence `i`.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn features(&self, i: usize, steps: Range<usize>) -> Result<Cow<'_, [f32]>> {
        match self {
            Self::Memory(set) => {
                let width = set.width;
                let all = set.features_of(i);
                Ok(Cow::Borrowed(&all[steps.start * width..steps.end * width]))
            }
            Self::Disk(set) => set.features(i, steps).map(Cow::Owned),
        }
    }

    /// Some labels of sequence `i`.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn labels(&self, i: usize, rows: Range<usize>) -> Result<Piece<'_>> {
        match self {
            Self::Memory(set) => {
                let first = set.labels_of(i).start;
                Ok(piece(&set.labels, first + rows.start..first + rows.end))
            }
            Self::Disk(set) => match &set.labels {
                DiskLabels::Here(labels) => Ok(piece(labels, i..i + 1)),
                DiskLabels::Classes(..) => Ok(Piece::Classes(Cow::Owned(set.classes(i, rows)?))),
                DiskLabels::Values(_, width) => {
                    Ok(Piece::Values(Cow::Owned(set.targets(i, rows)?), *width))
                }
            },
        }
    }

    /// Many sequences, one after the other.
    pub(in crate::task) fn turn(&self) -> Turn<'_> {
        let (features, classes, targets) = match self {
            Self::Memory(_) => (None, None, None),
            Self::Disk(set) => (
                Some(set.all_features()),
                set.all_classes(),
                set.all_targets(),
            ),
        };
        Turn {
            source: self,
            features,
            classes,
            targets,
        }
    }
}

fn of(labels: &Labels) -> Option<usize> {
    match labels {
        Labels::Classes(_) => None,
        Labels::Values { width, .. } => Some(*width),
    }
}

fn piece(labels: &Labels, rows: Range<usize>) -> Piece<'_> {
    match labels {
        Labels::Classes(ids) => Piece::Classes(Cow::Borrowed(&ids[rows])),
        Labels::Values { values, width } => Piece::Values(
            Cow::Borrowed(&values[rows.start * width..rows.end * width]),
            *width,
        ),
    }
}

/// Sequences in turn: a file is read in large pieces, in its order where the sequences are asked for in theirs.
#[derive(Debug)]
pub(in crate::task) struct Turn<'a> {
    source: &'a Source,
    features: Option<Ahead<'a, f32>>,
    classes: Option<Ahead<'a, u32>>,
    targets: Option<Ahead<'a, f32>>,
}

impl Turn<'_> {
    /// The features of sequence `i` in parts: the first step of each, and whole steps.
    ///
    /// # Errors
    /// Those of the file, and of `see`.
    pub(in crate::task) fn features(
        &mut self,
        i: usize,
        see: &mut dyn FnMut(usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        match (self.source, &mut self.features) {
            (Source::Disk(set), Some(all)) => {
                let range = set.values(i, 0..set.steps(i), set.width);
                all.each(range, set.width, see)
            }
            (source, _) => see(0, &source.features(i, 0..source.steps(i))?),
        }
    }

    /// The labels of sequence `i` in parts: the first label of each, and whole labels.
    ///
    /// # Errors
    /// Those of the file, and of `see`.
    pub(in crate::task) fn labels(
        &mut self,
        i: usize,
        see: &mut dyn FnMut(usize, &Piece<'_>) -> Result<()>,
    ) -> Result<()> {
        match (self.source, &mut self.classes, &mut self.targets) {
            (Source::Disk(set), Some(all), _) => {
                let range = set.values(i, 0..set.steps(i), 1);
                all.each(range, 1, &mut |first, ids| {
                    see(first, &Piece::Classes(Cow::Borrowed(ids)))
                })
            }
            (Source::Disk(set), _, Some(all)) => {
                let width = self.source.targets().unwrap_or(1);
                let range = set.values(i, 0..set.steps(i), width);
                all.each(range, width, &mut |first, values| {
                    see(first, &Piece::Values(Cow::Borrowed(values), width))
                })
            }
            (source, ..) => see(0, &source.labels(i, 0..source.rows(i))?),
        }
    }
}
