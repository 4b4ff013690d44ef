//! Opens a model, runs it.

use std::collections::BTreeMap;
use std::path::Path;

use super::budget::{Limits, Meter};
use super::control::{Run, Scope};
use super::output::Output;
use super::plan::{Plan, plan};
use super::value::Value;
use super::{Array, EvalError, EvalErrorKind as Fault};
use crate::ir::{Dim, Model, ValueInfo};

/// Values by name.
pub type Inputs = BTreeMap<String, Array>;

/// Values of earlier runs by name, in all their readings.
pub type Carried = BTreeMap<String, Output>;

/// A model that can be run.
pub struct Session {
    plan: Plan,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
}

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Outputs {
    values: BTreeMap<String, Output>,
    /// Names of the outputs, in the order of the file.
    pub names: Vec<String>,
    /// Places where a shape, a condition or a count of steps hangs on an edge: there only what was decided is evaluated.
    pub undecided: Vec<String>,
    /// Operations that it took.
    pub operations: u64,
}

impl Outputs {
    /// A value by name: an output, or any value of the main graph after [`Session::trace`].
    pub fn get(&self, name: &str) -> Option<&Output> {
        self.values.get(name)
    }

    /// All values that are held, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Output)> {
        self.values.iter().map(|(n, v)| (n.as_str(), v))
    }
}

impl Session {
    /// Makes a model ready. `dir` is its folder, for constants beside the file.
    ///
    /// # Errors
    /// Operators and opsets that are not evaluated, constants that cannot be read, functions that call each other in a circle.
    pub fn open(model: &Model, dir: Option<&Path>) -> Result<Self, EvalError> {
        Ok(Self {
            plan: plan(model, dir)?,
            inputs: model.graph.inputs.clone(),
            outputs: model.graph.outputs.clone(),
        })
    }

    /// The outputs for these inputs.
    ///
    /// # Errors
    /// Inputs that are missing, unknown, or not of the declared type and shape; attributes and inputs of nodes that are not
    /// read; what the standard has no result for; what would go beyond the limits.
    pub fn run(&self, inputs: &Inputs, limits: &Limits) -> Result<Outputs, EvalError> {
        self.evaluate(&known(inputs), limits, false)
    }

    /// As [`Session::run`], with every value of the main graph.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn trace(&self, inputs: &Inputs, limits: &Limits) -> Result<Outputs, EvalError> {
        self.evaluate(&known(inputs), limits, true)
    }

    /// As [`Session::run`] on what other runs gave: states are carried on unrounded, and with what hangs on an edge.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_on(&self, inputs: &Carried, limits: &Limits) -> Result<Outputs, EvalError> {
        self.evaluate(inputs, limits, false)
    }

    /// As [`Session::run_on`], with every value of the main graph.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn trace_on(&self, inputs: &Carried, limits: &Limits) -> Result<Outputs, EvalError> {
        self.evaluate(inputs, limits, true)
    }

    /// As [`Session::run_on`] with f16 and bf16 held in float64 in the exact reading, against the standard: how far it is from
    /// what [`Session::run_on`] gives is what those types cost.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn unrounded(&self, inputs: &Carried, limits: &Limits) -> Result<Outputs, EvalError> {
        self.metered(inputs, Meter::unrounded(*limits), false)
    }

    /// As [`Session::run_on`], but for normalisations, which are rounded inside as engines fuse them in the stepwise reading: how far that
    /// is from the exact one is what they may cost in an engine. They lie in no file: two files are not held to each other by it.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn fused(&self, inputs: &Carried, limits: &Limits) -> Result<Outputs, EvalError> {
        self.metered(inputs, Meter::fused(*limits), false)
    }

    /// As [`Session::run_on`], but results of sums, products and functions of the stepwise reading are moved by some last places, up or
    /// down by chance: how far that is from the exact one is what engines that add in other orders may differ by, value by value.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn moved(
        &self,
        inputs: &Carried,
        limits: &Limits,
        seed: u64,
    ) -> Result<Outputs, EvalError> {
        self.metered(inputs, Meter::moved(*limits, seed), false)
    }

    fn evaluate(&self, inputs: &Carried, limits: &Limits, all: bool) -> Result<Outputs, EvalError> {
        self.metered(inputs, Meter::new(*limits), all)
    }

    fn metered(&self, inputs: &Carried, meter: Meter, all: bool) -> Result<Outputs, EvalError> {
        let given = self.given(inputs)?;
        let run = Run::new(&meter, all);
        let scope = Scope::default();
        let (values, outputs) = run.plan(&self.plan, given, &scope)?;
        for (info, value) in self.outputs.iter().zip(&outputs) {
            declared(info, &value.stepwise, &mut BTreeMap::new())
                .map_err(|e| e.at(format!("output {}", info.name)))?;
        }
        let named = self.plan.outputs.iter().cloned().zip(outputs);
        let constants = self.plan.constants.iter().filter(|_| all);
        let constants = constants.map(|(n, v)| (n.clone(), v.clone()));
        let every = constants.chain(values.into_iter().filter(|_| all));
        let every = every.chain(named);
        Ok(Outputs {
            values: every.map(|(n, value)| (n, Output { value })).collect(),
            names: self.plan.outputs.clone(),
            undecided: run.undecided(),
            operations: meter.spent(),
        })
    }

    /// Inputs against what is declared; equal names of dimensions are equal sizes.
    fn given(&self, inputs: &Carried) -> Result<Vec<(String, Value)>, EvalError> {
        let place = |name: &str| format!("input {name}");
        if let Some(name) = inputs
            .keys()
            .find(|n| self.inputs.iter().all(|i| i.name != **n))
        {
            return Err(Fault::Model("the graph has no such input".into()).at(place(name)));
        }
        let mut sizes = BTreeMap::new();
        let mut given = vec![];
        for info in &self.inputs {
            if info.other.is_some() {
                let what =
                    "sequences, optionals, maps and sparse tensors are not evaluated".to_owned();
                return Err(Fault::Type(what).at(place(&info.name)));
            }
            let Some(output) = inputs.get(&info.name) else {
                if self.plan.constants.contains_key(&info.name) {
                    continue;
                }
                return Err(Fault::Model("is not given".into()).at(place(&info.name)));
            };
            let value = &output.value;
            declared(info, &value.stepwise, &mut sizes).map_err(|e| e.at(place(&info.name)))?;
            given.push((info.name.clone(), value.clone()));
        }
        Ok(given)
    }
}

fn known(inputs: &Inputs) -> Carried {
    let one = |(name, array): (&String, &Array)| (name.clone(), Output::known(array.clone()));
    inputs.iter().map(one).collect()
}

fn declared<'a>(
    info: &'a ValueInfo,
    array: &Array,
    sizes: &mut BTreeMap<&'a str, usize>,
) -> Result<(), Fault> {
    if let Some(dtype) = info.dtype.filter(|d| *d != array.dtype()) {
        let got = array.dtype();
        return Err(Fault::Type(format!(
            "is of type {got}, declared as {dtype}"
        )));
    }
    let Some(dims) = &info.dims else {
        return Ok(());
    };
    let got = array.dims();
    let wrong = || {
        let words: Vec<String> = dims.iter().map(ToString::to_string).collect();
        Fault::Shape(format!(
            "has the shape {got:?}, declared as [{}]",
            words.join(", ")
        ))
    };
    if dims.len() != got.len() {
        return Err(wrong());
    }
    for (dim, size) in dims.iter().zip(got) {
        let fits = match dim {
            // Some exporters write -1 for what is free.
            Dim::Fixed(n) => *n < 0 || usize::try_from(*n) == Ok(*size),
            Dim::Symbol(s) => *sizes.entry(s).or_insert(*size) == *size,
            Dim::Unknown => true,
        };
        if !fits {
            return Err(wrong());
        }
    }
    Ok(())
}
