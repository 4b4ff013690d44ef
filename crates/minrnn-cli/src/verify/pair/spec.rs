//! What the caller says about files: states, sizes, ranges, names.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use minrnn_train::data::{Values, read_npy};

use crate::verify::contender::Roster;

/// How to compare two files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// `(name in the first file, name in the second)`.
    pub(crate) names: Vec<(String, String)>,
    pub(crate) states: Vec<StateSpec>,
    /// Outputs that are not compared.
    pub(crate) ignored: Vec<String>,
    /// Sizes of named dimensions.
    pub(crate) dims: BTreeMap<String, usize>,
    pub(crate) inputs: BTreeMap<String, InputSpec>,
    /// Inputs that one value fills.
    pub(crate) values: BTreeMap<String, Fill>,
    pub(crate) seed: u64,
    pub(crate) longest: Option<usize>,
    /// An absolute tolerance in the place of the measured one.
    pub(crate) tolerance: Option<f64>,
    /// Look for the first operation that differs.
    pub(crate) bisect: bool,
    /// Who is asked beside the judge.
    pub(crate) engines: Roster,
}

/// A state of the step file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StateSpec {
    pub(crate) input: String,
    pub(crate) output: String,
    /// The axis of the rows; `None`: found from the file.
    pub(crate) batch: Option<usize>,
    /// Of a tensor that holds several states, the axis along which they lie; `None`: found from the shapes.
    pub(crate) axis: Option<usize>,
    pub(crate) init: Init,
    /// Whether random values may be put there; else random states are such that the model reaches.
    pub(crate) any_value: bool,
    /// Whether it counts steps: random values are small whole numbers.
    pub(crate) counts: bool,
    /// Names in the first file, input and output; `None`: the same ones.
    pub(crate) first: Option<(String, String)>,
}

/// Why some integers are refused: initial values are held as float64 numbers.
pub(super) const BEYOND: &str =
    "initial values are held as float64, which has not every integer beyond 9007199254740992";

/// Values of a state before the first step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Init {
    Fill(f64),
    /// For one row.
    Values(Vec<f64>),
}

/// Shape and range of an input.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct InputSpec {
    pub(crate) dims: Option<Vec<Role>>,
    /// Names of lengths that are not T, which [`Role::Length`] counts.
    pub(crate) lengths: Vec<String>,
    pub(crate) range: Option<(i64, i64)>,
    /// The range of its floats.
    pub(crate) floats: Option<(f64, f64)>,
}

/// What a dimension of an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Batch,
    Time,
    Fixed(usize),
    /// A length that is not T, of those that the files have.
    Length(usize),
}

/// What fills an input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fill {
    Number(f64),
    /// The number of steps of the run.
    Time,
    /// The length of each row.
    Lengths,
    /// A length that is no T, by its words: `P+T`, or `P` alone.
    Sum(String),
    /// The past and the new steps, as the name of the input says.
    Total,
}

impl StateSpec {
    /// With zeros before the first step.
    pub(super) fn new(input: &str, output: &str) -> Self {
        Self {
            input: input.into(),
            output: output.into(),
            batch: None,
            axis: None,
            init: Init::Fill(0.0),
            any_value: false,
            counts: false,
            first: None,
        }
    }
}

impl Init {
    /// From an .npy file.
    pub(super) fn from_npy(path: &Path) -> Result<Self> {
        let array = read_npy(path)?;
        Ok(Self::Values(match array.values {
            Values::Floats(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Values::Ints(v) => match v.iter().find(|x| **x as f64 as i128 != i128::from(**x)) {
                Some(x) => bail!("{}: {x}: {BEYOND}", path.display()),
                None => v.iter().map(|x| *x as f64).collect(),
            },
            Values::Texts(_) => bail!("{}: texts, expected numbers", path.display()),
        }))
    }
}
