//! Calls in a row, timed where they are made: nothing travels between them.

use minrnn_onnx::eval::Array;
use serde::{Deserialize, Serialize};

/// How tensors go in and out of calls that are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Io {
    /// Inputs are given with each call, outputs are made anew by it.
    Plain,
    /// Inputs and outputs lie in buffers that are there before the first call.
    Bound,
}

impl Io {
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Bound];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Bound => "bound",
        }
    }
}

/// What is to be timed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing<'a> {
    pub(crate) io: Io,
    /// 1 at least.
    pub(crate) calls: usize,
    /// Inputs of the first call.
    pub(crate) feeds: &'a [(&'a str, &'a Array)],
    /// Outputs that are inputs of the next call: output, input. All other inputs stay.
    pub(crate) feedback: &'a [(&'a str, &'a str)],
    /// Outputs of the last call that come back, so that they can be held to something.
    pub(crate) wanted: &'a [&'a str],
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lap {
    /// Of all calls.
    pub(crate) seconds: f64,
    /// The tensors wanted, in that order.
    pub(crate) last: Vec<Array>,
}
