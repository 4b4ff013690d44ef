//! AdamW over named variables.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};

use super::config::AdamWConfig;
use super::norm::sum_of_squares;
use super::state::OptimizerState;
use super::update::{Coefficients, Moments, update};
use crate::checkpoint::TensorData;
use crate::error::{Result, TrainError};

/// A trainable variable.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, different from all others.
    pub name: String,
    /// Its value, f32.
    pub var: Var,
    /// Whether weight decay applies (matrices, usually; not biases, gains and initial states).
    pub decay: bool,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Norm of the gradient of all parameters together, before clipping.
    pub grad_norm: f64,
    /// Factor on the gradient from clipping; 1 where it was not clipped.
    pub clip: f64,
}

/// Decoupled weight decay, bias correction, clipping by the global norm; moments in f32 of its own.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    parameters: Vec<Parameter>,
    moments: Vec<Moments>,
    step: u64,
}

impl AdamW {
    /// For `parameters`, with moments of zero.
    ///
    /// # Errors
    /// [`TrainError::Config`]; [`TrainError::Tensor`] if a name occurs twice or a parameter is not f32.
    pub fn new(parameters: Vec<Parameter>, config: AdamWConfig) -> Result<Self> {
        config.validate()?;
        check_distinct(&parameters)?;
        let moments = parameters.iter().map(zero_moments).collect::<Result<_>>()?;
        Ok(Self {
            config,
            parameters,
            moments,
            step: 0,
        })
    }

    /// Updates done so far.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The parameters, in the order given.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Updates all parameters, or none: nothing is changed where an error is returned for the gradients.
    ///
    /// # Errors
    /// [`TrainError::NoGradient`], [`TrainError::NonFinite`] naming the first parameter; [`TrainError::Candle`].
    pub fn step(&mut self, grads: &GradStore, lr: f64) -> Result<StepReport> {
        if !lr.is_finite() || lr < 0.0 {
            return Err(TrainError::config(
                "lr",
                format!("is {lr} at step {}, expected 0 or more", self.step),
            ));
        }
        let found = self.gradients(grads)?;
        let report = self.measure(&found)?;
        let t = self.step + 1;
        let AdamWConfig {
            beta1,
            beta2,
            eps,
            weight_decay,
            ..
        } = self.config;
        for ((parameter, moments), grad) in self.parameters.iter().zip(&mut self.moments).zip(found)
        {
            let decay = if parameter.decay { weight_decay } else { 0.0 };
            let coefficients = Coefficients {
                beta1,
                beta2,
                clip: report.clip,
                keep: 1.0 - lr * decay,
                rate: lr / (1.0 - power(beta1, t)),
                root: 1.0 / (1.0 - power(beta2, t)).sqrt(),
                eps,
            };
            update(&parameter.var, grad, moments, coefficients)?;
        }
        self.step = t;
        Ok(report)
    }

    fn gradients<'g>(&self, grads: &'g GradStore) -> Result<Vec<&'g Tensor>> {
        let find = |p: &Parameter| {
            let grad = grads.get(p.var.as_tensor());
            let grad = grad.ok_or_else(|| TrainError::NoGradient {
                tensor: p.name.clone(),
                step: self.step,
            })?;
            if grad.dims() != p.var.dims() || grad.dtype() != DType::F32 {
                let message = format!(
                    "its gradient is {:?} {:?}, expected F32 {:?}",
                    grad.dtype(),
                    grad.dims(),
                    p.var.dims()
                );
                return Err(TrainError::tensor(&p.name, message));
            }
            Ok(grad)
        };
        self.parameters.iter().map(find).collect()
    }

    /// The global norm, and the factor that brings it down to the limit. Refuses gradients that are not finite, and
    /// those whose square is not: their second moment would be infinite and the parameter never move again.
    fn measure(&self, grads: &[&Tensor]) -> Result<StepReport> {
        let squares: Vec<f64> = grads
            .iter()
            .map(|g| sum_of_squares(g))
            .collect::<Result<_>>()?;
        let find = |what: &str, wrong: &dyn Fn(f64) -> bool| {
            let at = squares.iter().position(|s| wrong(*s));
            at.map(|i| TrainError::NonFinite {
                what: format!("{what} of `{}`", self.parameters[i].name),
                step: self.step,
            })
        };
        if let Some(error) = find("the gradient", &|s| !s.is_finite()) {
            return Err(error);
        }
        let grad_norm = squares.iter().sum::<f64>().sqrt();
        let limit = self.config.clip_norm.filter(|limit| grad_norm > *limit);
        let clip = limit.map_or(1.0, |limit| limit / grad_norm);
        match find("the squared gradient", &|s| {
            s * clip * clip > f64::from(f32::MAX)
        }) {
            Some(error) => Err(error),
            None => Ok(StepReport { grad_norm, clip }),
        }
    }

    /// Everything that a resumed run needs, copied to plain memory.
    ///
    /// # Errors
    /// [`TrainError::Candle`] if the device fails.
    pub fn state_dict(&self) -> Result<OptimizerState> {
        let mut state = OptimizerState {
            step: self.step,
            ..OptimizerState::default()
        };
        for (parameter, moments) in self.parameters.iter().zip(&self.moments) {
            let shape = || parameter.var.dims().to_vec();
            let (first, second) = match moments {
                Moments::Host { first, second } => (
                    TensorData {
                        shape: shape(),
                        data: first.clone(),
                    },
                    TensorData {
                        shape: shape(),
                        data: second.clone(),
                    },
                ),
                Moments::Device { first, second } => (
                    TensorData::from_tensor(first)?,
                    TensorData::from_tensor(second)?,
                ),
            };
            state.first.insert(parameter.name.clone(), first);
            state.second.insert(parameter.name.clone(), second);
        }
        Ok(state)
    }

    /// Takes over a state of the same parameters. Nothing is changed where an error is returned.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] naming the parameter that is missing, unknown, or of another shape.
    pub fn load_state_dict(&mut self, state: &OptimizerState) -> Result<()> {
        let known: BTreeMap<&str, &Parameter> = self
            .parameters
            .iter()
            .map(|p| (p.name.as_str(), p))
            .collect();
        let stranger = state
            .first
            .keys()
            .chain(state.second.keys())
            .find(|name| !known.contains_key(name.as_str()));
        if let Some(name) = stranger {
            return Err(TrainError::tensor(
                name,
                "is in the optimizer's state, but is no parameter of the model",
            ));
        }
        let load = |p: &Parameter| {
            let first = moment(&state.first, p, "first")?;
            let second = moment(&state.second, p, "second")?;
            if let Some(negative) = second.data.iter().find(|v| **v < 0.0) {
                return Err(TrainError::tensor(
                    &p.name,
                    format!("its second moment has {negative}, expected 0 or more"),
                ));
            }
            if p.var.device().is_cpu() {
                return Ok(Moments::Host {
                    first: first.data.clone(),
                    second: second.data.clone(),
                });
            }
            let device = p.var.device();
            Ok(Moments::Device {
                first: first.to_tensor(device)?,
                second: second.to_tensor(device)?,
            })
        };
        self.moments = self.parameters.iter().map(load).collect::<Result<_>>()?;
        self.step = state.step;
        Ok(())
    }
}

/// The moment of a parameter in a state, if it fits and is finite.
fn moment<'s>(
    all: &'s BTreeMap<String, TensorData>,
    p: &Parameter,
    which: &str,
) -> Result<&'s TensorData> {
    let wrong = |message: String| TrainError::tensor(&p.name, message);
    let found = all.get(&p.name).ok_or_else(|| {
        wrong(format!(
            "its {which} moment is not in the optimizer's state"
        ))
    })?;
    found.check(&p.name)?;
    if found.shape != p.var.dims() {
        return Err(wrong(format!(
            "its {which} moment has shape {:?}, expected {:?}",
            found.shape,
            p.var.dims()
        )));
    }
    match found.data.iter().find(|v| !v.is_finite()) {
        Some(value) => Err(wrong(format!(
            "its {which} moment has {value}, expected finite numbers"
        ))),
        None => Ok(found),
    }
}

/// No name and no variable twice: a variable in two places would be updated twice.
fn check_distinct(parameters: &[Parameter]) -> Result<()> {
    let mut names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(TrainError::tensor(
            twice[0],
            "is given to the optimizer twice",
        ));
    }
    for (i, p) in parameters.iter().enumerate() {
        if let Some(other) = parameters[..i]
            .iter()
            .find(|o| o.var.as_tensor().id() == p.var.as_tensor().id())
        {
            let message = format!("shares its values with `{}`; give them once", other.name);
            return Err(TrainError::tensor(&p.name, message));
        }
    }
    Ok(())
}

fn zero_moments(parameter: &Parameter) -> Result<Moments> {
    let var = &parameter.var;
    if var.dtype() != DType::F32 || !var.is_contiguous() {
        let message = format!("is {:?}; the optimizer takes contiguous F32", var.dtype());
        return Err(TrainError::tensor(&parameter.name, message));
    }
    if var.device().is_cpu() {
        let zeros = || vec![0.0; var.elem_count()];
        return Ok(Moments::Host {
            first: zeros(),
            second: zeros(),
        });
    }
    let zeros = || Tensor::zeros(var.dims(), DType::F32, var.device());
    Ok(Moments::Device {
        first: zeros()?,
        second: zeros()?,
    })
}

/// `base^exponent` by repeated squaring: the same bits on every machine, as a resumed run needs.
fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut left) = (1.0, base, exponent);
    while left > 0 {
        if left & 1 == 1 {
            result *= square;
        }
        square *= square;
        left >>= 1;
    }
    result
}

#[cfg(test)]
#[path = "adamw_tests.rs"]
mod tests;
