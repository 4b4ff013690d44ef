//! Witnesses: engines that run a file, each held to what the judge says of the same file.
//!
//! A contender is asked, never trusted: what it refuses is a note, what it computes is compared. Arrays are the judge's own:
//! all numeric types of ONNX, integers and booleans exactly, floats as the values of their type.

#[cfg(feature = "candle-onnx")]
mod candle;
mod inner;
mod ours;
mod process;
mod roster;
mod timing;
mod tract;

use std::path::Path;
use std::time::Duration;

pub(crate) use minrnn_onnx::eval::Array;
use minrnn_onnx::ir::Model;

pub(crate) use ours::Ours;
#[cfg(test)]
pub(crate) use roster::NAMES;
pub(crate) use roster::{Asked, Choice, Programs, Roster, Within};
pub(crate) use timing::{Io, Lap, Timing};
pub(crate) use tract::Tract;

/// An engine.
pub(crate) trait Contender {
    /// What it is called in reports and on the command line: one word.
    fn name(&self) -> &str;

    /// Its version, as it says itself.
    fn version(&self) -> &str;

    /// Whether it is meant for such a file at all: one that is not says nothing, unless somebody asks for it.
    fn is_for(&self, _model: &Model) -> bool {
        true
    }

    /// Makes a file ready. `file` is where it lies, for constants beside it; `bytes` is what stands in it; `threads` is how
    /// many it may use, of which it may use fewer.
    ///
    /// # Errors
    /// The engine does not take it: why, in words for people.
    fn open(
        &mut self,
        file: &Path,
        bytes: &[u8],
        threads: usize,
    ) -> Result<Box<dyn Opened>, Refusal>;
}

/// A file that an engine has made ready. Every run goes from its inputs alone: nothing is kept between them.
pub(crate) trait Opened {
    /// The tensors wanted, in that order, each of its declared type. Inputs are of the types that the file declares.
    ///
    /// # Errors
    /// The engine does not run these shapes, or stopped on the way.
    fn run(&mut self, feeds: &[(&str, &Array)], wanted: &[&str]) -> Result<Vec<Array>, Failure>;

    /// Whether tensors of the main graph that are no outputs can be wanted too.
    fn shows_inner(&self) -> bool {
        false
    }

    /// The same file, of which every tensor of the main graph can be wanted; `None`: there is none.
    fn inner(&mut self) -> Option<Box<dyn Opened>> {
        None
    }

    /// Ways in which its calls can be timed; none: they cannot.
    fn ways(&self) -> Vec<Io> {
        vec![]
    }

    /// Times calls in a row.
    ///
    /// # Errors
    /// As [`Opened::run`]; an engine that times none refuses.
    fn time(&mut self, _: &Timing) -> Result<Lap, Failure> {
        Err(Failure::Refused("it does not time its calls".into()))
    }

    /// How long the engine took to make the file ready, where that is known apart from what its caller did.
    fn opening(&self) -> Option<Duration> {
        None
    }

    /// What was changed in the file before the engine got it, without changing what it means.
    fn notes(&self) -> &[String] {
        &[]
    }
}

/// An engine does not take a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Refusal {
    /// In words for people: no internals of the engine.
    pub(crate) why: String,
}

/// A run that gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The engine does not run this, and said so; it can be asked again.
    #[error("{0}")]
    Refused(String),
    /// The engine ran it, and what it gave is not what the file says: a tensor is missing or of another type.
    #[error("{0}")]
    Wrong(String),
    /// The engine is gone. It is not asked again.
    #[error("{0}")]
    Stopped(String),
}
