//! A rule over named variables: gradients checked and clipped, slots in f32 of its own.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Tensor, Var, bail};
use minrnn_kernels::product;

use super::norm::sums_of_squares;
use super::rule::{Kind, Leaf, Rule, Step, Work};
use super::state::{Named, OptimizerState};
use crate::checkpoint::TensorData;
use crate::error::{Result, TrainError};
use crate::host::scalar;

/// A trainable variable.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, different from all others.
    pub name: String,
    /// Its value, f32.
    pub var: Var,
    /// What the rule may tell it apart by.
    pub kind: Kind,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Norm of the gradient of all parameters together, before clipping.
    pub grad_norm: f64,
    /// Factor on the gradient from clipping; 1 where it was not clipped.
    pub clip: f64,
}

/// What a rule remembers of one parameter, where it is worked on.
#[derive(Debug)]
enum Slots {
    /// On the CPU, for the pass over memory.
    Host(Vec<Vec<f32>>),
    /// On the parameter's device.
    Device(Vec<Tensor>),
}

/// A rule with what it remembers of each parameter; clips by the global norm.
#[derive(Debug)]
pub struct Optimizer {
    rule: Arc<dyn Rule>,
    parameters: Vec<Parameter>,
    slots: Vec<Slots>,
    packed: product::Scratch,
    values: Vec<f32>,
    step: u64,
}

impl Optimizer {
    /// For `parameters`, with slots of zeros.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] if a name occurs twice or a parameter is not f32.
    pub fn new(parameters: Vec<Parameter>, rule: Arc<dyn Rule>) -> Result<Self> {
        check_distinct(&parameters)?;
        let slots = parameters
            .iter()
            .map(|p| zeros(p, rule.slots(p.kind).len()));
        Ok(Self {
            slots: slots.collect::<Result<_>>()?,
            packed: product::Scratch::default(),
            values: vec![],
            rule,
            parameters,
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

    /// The gradients of a loss (a scalar), and the update by them; gives the loss too. Whatever the device is, a step brings one tensor to
    /// the host: the loss, and beside it the squares of the gradients.
    ///
    /// # Errors
    /// As [`Optimizer::step`]; [`TrainError::NonFinite`] for the loss.
    pub fn step_of(&mut self, loss: &Tensor, lr: f64) -> Result<(f64, StepReport)> {
        if loss.device().is_cpu() {
            let value = self.finite(scalar(loss)?)?;
            return Ok((value, self.step(&loss.backward()?, lr)?));
        }
        self.update(&loss.backward()?, Some(loss), lr)
    }

    /// The update by gradients that are there, and the loss that they are of. As [`Optimizer::step_of`], one tensor comes to the host.
    ///
    /// # Errors
    /// As [`Optimizer::step_of`].
    pub fn step_with(
        &mut self,
        grads: &GradStore,
        loss: &Tensor,
        lr: f64,
    ) -> Result<(f64, StepReport)> {
        if loss.device().is_cpu() {
            let value = self.finite(scalar(loss)?)?;
            return Ok((value, self.step(grads, lr)?));
        }
        self.update(grads, Some(loss), lr)
    }

    /// Updates all parameters, or none: nothing is changed where an error is returned for the gradients.
    ///
    /// # Errors
    /// [`TrainError::NoGradient`], [`TrainError::NonFinite`] naming the first parameter; [`TrainError::Candle`].
    pub fn step(&mut self, grads: &GradStore, lr: f64) -> Result<StepReport> {
        Ok(self.update(grads, None, lr)?.1)
    }

    fn finite(&self, loss: f64) -> Result<f64> {
        if loss.is_finite() {
            return Ok(loss);
        }
        Err(TrainError::NonFinite {
            what: "the loss".into(),
            step: self.step,
        })
    }

    /// The loss is read with the gradients' squares; 0 without one.
    fn update(
        &mut self,
        grads: &GradStore,
        loss: Option<&Tensor>,
        lr: f64,
    ) -> Result<(f64, StepReport)> {
        if !lr.is_finite() || lr < 0.0 {
            return Err(TrainError::config(
                "lr",
                format!("is {lr} at step {}, expected 0 or more", self.step),
            ));
        }
        let found = self.gradients(grads)?;
        let (loss, squares) = sums_of_squares(&found, loss)?;
        let loss = self.finite(loss)?;
        let report = self.measure(&squares)?;
        let step = Step {
            number: self.step + 1,
            lr,
            clip: report.clip,
        };
        for ((p, slots), grad) in self.parameters.iter().zip(&mut self.slots).zip(found) {
            match slots {
                Slots::Host(slots) => {
                    let op = Update {
                        rule: &*self.rule,
                        step,
                        shape: p.var.dims(),
                        kind: p.kind,
                        memory: Mutex::new((
                            slots,
                            Work {
                                packed: &mut self.packed,
                                values: &mut self.values,
                            },
                        )),
                    };
                    p.var.inplace_op2(&grad.contiguous()?, &op)?;
                }
                Slots::Device(slots) => {
                    self.rule
                        .update_tensors(step, p.kind, &p.var, grad, slots)?;
                }
            }
        }
        self.step = step.number;
        Ok((loss, report))
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
    fn measure(&self, squares: &[f64]) -> Result<StepReport> {
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
        let limit = self.rule.clip_norm().filter(|limit| grad_norm > *limit);
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
        for (p, slots) in self.parameters.iter().zip(&self.slots) {
            let host = |data: &Vec<f32>| TensorData {
                shape: p.var.dims().to_vec(),
                data: data.clone(),
            };
            let tensors: Vec<TensorData> = match slots {
                Slots::Host(slots) => slots.iter().map(host).collect(),
                Slots::Device(slots) => {
                    let slots = slots.iter().map(TensorData::from_tensor);
                    slots.collect::<Result<_>>()?
                }
            };
            state.insert(&*self.rule, (&p.name, p.kind), tensors);
        }
        Ok(state)
    }

    /// Takes over a state of the same parameters. Nothing is changed where an error is returned.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] naming the parameter that is missing, unknown, or of another shape.
    pub fn load_state_dict(&mut self, state: &OptimizerState) -> Result<()> {
        let all = self.parameters.iter();
        let named = |p: &'_ Parameter| Named {
            name: p.name.clone(),
            shape: p.var.dims().to_vec(),
            kind: p.kind,
        };
        let names: Vec<Named> = all.map(named).collect();
        let names: Vec<&Named> = names.iter().collect();
        let found = state.of(&*self.rule, &names)?;
        let load = |(p, slots): (&Parameter, Vec<&TensorData>)| {
            let device = p.var.device();
            if device.is_cpu() {
                return Ok(Slots::Host(slots.iter().map(|s| s.data.clone()).collect()));
            }
            let tensors = slots.iter().map(|s| s.to_tensor(device));
            Ok(Slots::Device(tensors.collect::<Result<_>>()?))
        };
        let slots = self.parameters.iter().zip(found).map(load);
        self.slots = slots.collect::<Result<_>>()?;
        self.step = state.step;
        Ok(())
    }
}

/// The pass over memory as candle calls it. The lock only turns the shared reference that candle gives into a mutable one.
struct Update<'a> {
    rule: &'a dyn Rule,
    step: Step,
    shape: &'a [usize],
    kind: Kind,
    /// Its slots, and memory to work in.
    memory: Mutex<(&'a mut Vec<Vec<f32>>, Work<'a>)>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(
        &self,
        values: &mut CpuStorage,
        values_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(w), CpuStorage::F32(g)) = (values, grad) else {
            bail!("update: parameter and gradient must be float32")
        };
        let (Some((w0, w1)), Some((g0, g1))) = (
            values_layout.contiguous_offsets(),
            grad_layout.contiguous_offsets(),
        ) else {
            bail!("update: parameter and gradient must be contiguous")
        };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let (slots, work) = &mut *memory;
        let (values, grad) = (&mut w[w0..w1], &g[g0..g1]);
        let n = values.len();
        if grad.len() != n || slots.iter().any(|s| s.len() != n) {
            bail!("update: parameter, gradient and slots differ in size")
        }
        let leaf = Leaf {
            shape: self.shape,
            kind: self.kind,
            values,
            grad,
            slots: slots.iter_mut().map(Vec::as_mut_slice).collect(),
        };
        self.rule.update(self.step, leaf, work);
        Ok(())
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

fn zeros(parameter: &Parameter, count: usize) -> Result<Slots> {
    let var = &parameter.var;
    if var.dtype() != DType::F32 || !var.is_contiguous() {
        let message = format!("is {:?}; the optimizer takes contiguous F32", var.dtype());
        return Err(TrainError::tensor(&parameter.name, message));
    }
    if var.device().is_cpu() {
        return Ok(Slots::Host(vec![vec![0.0; var.elem_count()]; count]));
    }
    let zeros = (0..count).map(|_| Tensor::zeros(var.dims(), DType::F32, var.device()));
    Ok(Slots::Device(zeros.collect::<candle_core::Result<_>>()?))
}

#[cfg(test)]
#[path = "optimizer_tests.rs"]
mod tests;
