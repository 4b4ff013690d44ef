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
    /// The same values in other axes of one entry: this is the whole's shape, time left open.
    Shaped(Vec<usize>),
}

impl Shape {
    /// A call's output, in the axes of the whole.
    pub(super) fn aligned(&self, side: usize, t: Tensor) -> Result<Tensor> {
        match (&self.forms[side], self.time) {
            (Form::Lacks, Some(axis)) => t.unsqueeze(axis),
            (Form::Shaped(dims), Some(axis)) => {
                let mut dims = dims.clone();
                let all: usize = t.shape().iter().product();
                let rest: usize = dims
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| *i != axis)
                    .map(|(_, n)| n)
                    .product();
                dims[axis] = all.checked_div(rest).unwrap_or(0);
                t.reshaped(&dims)
            }
            _ => Ok(t),
        }
    }
}
