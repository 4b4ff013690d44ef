//! The axes of an output.

use anyhow::Result;

use super::tensor::Tensor;

/// The axes of an output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    /// In the whole sequence; `None` for an output of the last step alone.
    pub(crate) time: Option<usize>,
    /// Where it is known; asked only of files that are told the length of each row.
    pub(crate) rows: Option<usize>,
    /// Entries along time for steps: `(1, 2)` is one for every two.
    pub(crate) ratio: (usize, usize),
    /// By file, what one call gives.
    pub(crate) forms: [Form; 2],
}

/// What a call's output is to the whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Form {
    /// The same axes.
    #[default]
    Same,
    /// No axis of time.
    Lacks,
    /// The same values in other axes of one entry: by axis of the whole, the axis of the call; `None`: one entry.
    Shaped(Vec<Option<usize>>),
}

impl Shape {
    /// A call's output, in the axes of the whole.
    pub(super) fn aligned(&self, side: usize, t: Tensor) -> Result<Tensor> {
        match (&self.forms[side], self.time) {
            (Form::Lacks, Some(axis)) => t.unsqueeze(axis),
            (Form::Shaped(axes), Some(_)) => {
                let one = |axis: &Option<usize>| axis.map_or(1, |a| t.shape()[a]);
                let dims: Vec<usize> = axes.iter().map(one).collect();
                t.reshaped(&dims)
            }
            _ => Ok(t),
        }
    }
}
