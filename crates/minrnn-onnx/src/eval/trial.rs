//! For tests of this crate: a model run on values by name, as an engine of f32 runs it: every result rounded.

use std::collections::BTreeMap;

use super::{Array, Limits, Session};
use crate::ir::{DType, Model};

/// Values by name.
pub(crate) type Env = BTreeMap<String, Flat>;

/// A value; floats as f32.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flat {
    pub(crate) dims: Vec<usize>,
    array: Array,
    floats: Vec<f32>,
}

impl Flat {
    fn new(array: Array) -> Self {
        let floats = array
            .floats()
            .map(|v| v.iter().map(|x| *x as f32).collect());
        Self {
            dims: array.dims().to_vec(),
            floats: floats.unwrap_or_default(),
            array,
        }
    }

    pub(crate) fn f32(dims: &[usize], data: Vec<f32>) -> Self {
        let data: Vec<f64> = data.into_iter().map(f64::from).collect();
        Self::new(Array::from_floats(DType::F32, dims, &data).unwrap())
    }

    pub(crate) fn i64(dims: &[usize], data: Vec<i64>) -> Self {
        let data: Vec<i128> = data.into_iter().map(i128::from).collect();
        Self::new(Array::from_ints(DType::I64, dims, &data).unwrap())
    }

    pub(crate) fn bools(dims: &[usize], data: Vec<bool>) -> Self {
        let data: Vec<i128> = data.into_iter().map(i128::from).collect();
        Self::new(Array::from_ints(DType::Bool, dims, &data).unwrap())
    }

    pub(crate) fn floats(&self) -> &[f32] {
        assert!(
            self.array.floats().is_some(),
            "{} is no float",
            self.array.dtype()
        );
        &self.floats
    }
}

/// Every value of the main graph.
pub(crate) fn run(model: &Model, inputs: &Env) -> Result<Env, String> {
    let session = Session::open(model, None).map_err(|e| e.to_string())?;
    let inputs = inputs.iter().map(|(n, v)| (n.clone(), v.array.clone()));
    let outputs = session.trace(&inputs.collect(), &Limits::default());
    let outputs = outputs.map_err(|e| e.to_string())?;
    Ok(outputs
        .all()
        .map(|(n, v)| (n.to_owned(), Flat::new(v.stepwise().clone())))
        .collect())
}
