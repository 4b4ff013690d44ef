//! A set of feature sequences with labels, without padding.

use std::ops::Range;

use super::LabelScope;

/// Labels of a [`SequenceSet`]: one for each step (of all sequences, one after the other) or for each sequence.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// Class numbers.
    Classes(Vec<u32>),
    /// `width` real numbers for each label, all finite.
    Values {
        /// Numbers of all labels, one label after the other.
        values: Vec<f32>,
        /// Numbers for each label.
        width: usize,
    },
}

/// Sequences of any lengths, stored one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceSet {
    /// Features for each step, F.
    pub width: usize,
    /// Features of all steps, `[sum of lengths, F]`, all finite.
    pub features: Vec<f32>,
    /// Sequence `i` has the steps `starts[i]..starts[i + 1]`; one entry more than there are sequences.
    pub starts: Vec<usize>,
    /// What is to be predicted.
    pub labels: Labels,
    /// What each label belongs to.
    pub scope: LabelScope,
    /// Name of each feature, where the file has names.
    pub feature_names: Option<Vec<String>>,
    /// Name of each class (in the order of their numbers) or of each real target, where the file has names.
    pub label_names: Option<Vec<String>>,
}

impl SequenceSet {
    /// How many sequences there are.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The steps of sequence `i`. `i` must be below [`Self::len`].
    pub fn steps(&self, i: usize) -> Range<usize> {
        self.starts[i]..self.starts[i + 1]
    }

    /// The features of sequence `i`, `[length, F]`.
    pub fn features_of(&self, i: usize) -> &[f32] {
        let steps = self.steps(i);
        &self.features[steps.start * self.width..steps.end * self.width]
    }

    /// The labels that belong to sequence `i`: its steps, or itself.
    pub fn labels_of(&self, i: usize) -> Range<usize> {
        match self.scope {
            LabelScope::Step => self.steps(i),
            LabelScope::Sequence => i..i + 1,
        }
    }
}
