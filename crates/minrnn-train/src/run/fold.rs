//! Folds: the body once a step, in a loop of its own; and backwards in another one.
//!
//! As one chain of candle's operations a sequence of some hundred steps would be a recursion as deep as it is long. So the loop forwards
//! runs without gradients and keeps the states of all steps; the loop backwards runs the body of each step again, from these states, and
//! takes its gradients alone.

use std::sync::{Arc, Mutex};

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp3, D, Layout, Result, Shape, Storage, Tensor, Var, bail,
};
use minrnn_model::graph::{FoldNodes, Graph, Op, Value};

use super::Walk;
use super::ops::still;

impl Walk<'_> {
    /// Runs the fold whose body begins with node `i`, if there is one, and gives the node behind it.
    pub(super) fn fold_at(&mut self, i: usize) -> Result<Option<usize>> {
        let graph = self.graph;
        let Some(fold) = graph.fold_at(i) else {
            return Ok(None);
        };
        for i in fold.nodes.clone() {
            if graph.nodes()[i].span.is_model() {
                // No dropout is computed from parameters alone.
                let y = self.primitive(i, &mut 0)?;
                self.values[i] = Some(y);
            }
        }
        let body = Arc::new(Body::new(graph, fold));
        let x: Vec<&Tensor> = body.steps.iter().map(|v| self.value(*v)).collect();
        let models: Vec<&Tensor> = body.models.iter().map(|v| self.value(*v)).collect();
        let (x, models) = (packed(&x, self)?, flat(&models, self)?);
        let mut states: Vec<Tensor> = fold
            .states
            .iter()
            .map(|s| self.first[s.index()].clone())
            .collect();
        let reset = match &self.resets {
            Some(resets) => {
                // What a reset begins with may be learned: it stands behind what the run begins with.
                let begin = fold.states.iter().map(|s| self.initial_state(*s));
                states.extend(begin.collect::<Result<Vec<_>>>()?);
                Some(resets.mask(&x)?)
            }
            None => None,
        };
        let states = cat(&states)?;
        let run = Loop { body, reset };
        let result = run.forward(&x.detach(), &models.detach(), &states.detach())?;
        let held = Mutex::new(Some(result));
        let result = x.apply_op3(&models, &states, Whole { run, held })?;
        let mut at = 0;
        for (value, width) in Body::new(graph, fold).results() {
            let y = result.narrow(D::Minus1, at, width)?.contiguous()?;
            self.values[value.index()] = Some(y);
            at += width;
        }
        Ok(Some(fold.nodes.end))
    }
}

/// Values of steps side by side, `[B, T, ..]`; where there are none, one channel that nothing reads.
fn packed(x: &[&Tensor], walk: &Walk<'_>) -> Result<Tensor> {
    if x.is_empty() {
        let device = walk.run.input.device();
        return Tensor::zeros((walk.batch, walk.time, 1), walk.dtype(), device);
    }
    Tensor::cat(x, D::Minus1)
}

/// All values of tensors as one vector; where there are none, a zero that nothing reads.
fn flat(x: &[&Tensor], walk: &Walk<'_>) -> Result<Tensor> {
    if x.is_empty() {
        return Tensor::zeros(1, walk.dtype(), walk.run.input.device());
    }
    let parts = x.iter().map(|x| x.flatten_all());
    Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)
}

fn cat(x: &[Tensor]) -> Result<Tensor> {
    Tensor::cat(x, D::Minus1)
}

/// A fold's body as the loops take it.
#[derive(Debug)]
struct Body {
    /// The nodes that run once a step: index, operation, arguments.
    nodes: Vec<(usize, Op, Vec<Value>)>,
    /// What it reads: values of steps, and of parameters alone with their shapes.
    steps: Vec<Value>,
    models: Vec<Value>,
    shapes: Vec<(usize, usize)>,
    /// Widths of `steps`, and of the states.
    wide: Vec<usize>,
    states: Vec<usize>,
    /// What it gives: the states after each step, then what else is read behind it; with their widths.
    results: Vec<(Value, usize)>,
}

impl Body {
    fn new(graph: &Graph, fold: &FoldNodes) -> Self {
        let (steps, models) = graph.read_by(fold);
        let node = |i: usize| {
            let node = &graph.nodes()[i];
            (i, node.op, node.inputs.clone())
        };
        let nodes: Vec<_> = graph.steps_of(fold).map(node).collect();
        let after = nodes.iter().filter(|n| matches!(n.1, Op::Fold { .. }));
        let after = after.map(|n| graph.value_at(n.0));
        let results = after.chain(graph.leaving(fold));
        Self {
            results: results.map(|v| (v, graph.width(v))).collect(),
            shapes: models
                .iter()
                .map(|v| (graph.span(*v).rows(1, 1), graph.width(*v)))
                .collect(),
            wide: steps.iter().map(|v| graph.width(*v)).collect(),
            states: fold
                .states
                .iter()
                .map(|s| graph.state_spec(*s).width)
                .collect(),
            nodes,
            steps,
            models,
        }
    }

    fn results(&self) -> impl Iterator<Item = (Value, usize)> + '_ {
        self.results.iter().copied()
    }

    /// The results of one step, `[B, 1, ..]` each, from what goes in, `[B, 1, ..]` each.
    fn step(&self, x: &[Tensor], models: &[Tensor], before: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut made = std::collections::BTreeMap::<usize, Tensor>::new();
        let outer = self.steps.iter().zip(x);
        made.extend(outer.map(|(v, t)| (v.index(), t.clone())));
        let outer = self.models.iter().zip(models);
        made.extend(outer.map(|(v, t)| (v.index(), t.clone())));
        let mut states = before.iter();
        for (at, op, inputs) in &self.nodes {
            let value = match op {
                Op::Before { .. } => states.next().cloned(),
                Op::Fold { .. } => made.get(&inputs[0].index()).cloned(),
                op => {
                    let x: Option<Vec<&Tensor>> =
                        inputs.iter().map(|v| made.get(&v.index())).collect();
                    x.map(|x| still(*op, &x)).transpose()?
                }
            };
            let Some(value) = value else {
                bail!("node {at} of a fold reads what is not there");
            };
            made.insert(*at, value);
        }
        let results = self.results.iter().map(|(v, _)| made[&v.index()].clone());
        Ok(results.collect())
    }
}

/// `x` cut along its last axis.
fn cut(x: &Tensor, widths: &[usize]) -> Result<Vec<Tensor>> {
    let mut at = 0;
    let one = |width: &usize| {
        at += width;
        x.narrow(D::Minus1, at - width, *width)?.contiguous()
    };
    widths.iter().map(one).collect()
}

/// A body with where rows begin anew.
struct Loop {
    body: Arc<Body>,
    /// `[B, T, 1]`, 1 where a row begins anew.
    reset: Option<Tensor>,
}

impl Loop {
    /// The values of `models` apart.
    fn models(&self, models: &Tensor) -> Result<Vec<Tensor>> {
        let mut at = 0;
        let one = |(rows, width): &(usize, usize)| {
            let len = rows * width;
            at += len;
            models.narrow(0, at - len, len)?.reshape((*rows, *width))
        };
        self.body.shapes.iter().map(one).collect()
    }

    /// `[B, 1, width]` each: what the run begins with, and what a reset begins with.
    fn states(&self, states: &Tensor) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let states = states.unsqueeze(1)?;
        let widths = match self.reset {
            Some(_) => self.body.states.repeat(2),
            None => self.body.states.clone(),
        };
        let mut first = cut(&states, &widths)?;
        let begin = first.split_off(self.body.states.len());
        Ok((first, begin))
    }

    /// What the states are before step t, where `last` is what they were after the step before it.
    fn before(&self, last: &[Tensor], begin: &[Tensor], t: usize) -> Result<Vec<Tensor>> {
        let Some(reset) = &self.reset else {
            return Ok(last.to_vec());
        };
        let reset = reset.narrow(1, t, 1)?;
        let keep = reset.affine(-1.0, 1.0)?;
        let one = |(last, begin): (&Tensor, &Tensor)| {
            last.broadcast_mul(&keep)? + begin.broadcast_mul(&reset)?
        };
        last.iter().zip(begin).map(one).collect()
    }

    /// `[B, T, ..]`: the results of all steps side by side.
    fn forward(&self, x: &Tensor, models: &Tensor, states: &Tensor) -> Result<Tensor> {
        let models = self.models(models)?;
        let (mut last, begin) = self.states(states)?;
        let count = last.len();
        let mut all = vec![];
        for t in 0..x.dim(1)? {
            let x = cut(&x.narrow(1, t, 1)?, &self.body.wide)?;
            let results = self
                .body
                .step(&x, &models, &self.before(&last, &begin, t)?)?;
            last = results[..count].to_vec();
            all.push(cat(&results)?);
        }
        Tensor::cat(&all, 1)
    }

    /// Gradients of `x`, `models` and `states`, from `result` and its gradient, `[B, T, ..]`.
    fn backward(&self, given: [&Tensor; 3], result: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        let [x, models, states] = given.map(Tensor::detach);
        let (result, grad) = (result.detach(), grad.detach());
        let var = |t: &Tensor| Var::from_tensor(t);
        let models: Vec<Var> = self
            .models(&models)?
            .iter()
            .map(var)
            .collect::<Result<_>>()?;
        let plain: Vec<Tensor> = models.iter().map(|m| m.as_tensor().clone()).collect();
        let (first, begin) = self.states(&states)?;
        let begin: Vec<Var> = begin.iter().map(var).collect::<Result<_>>()?;
        let count = first.len();
        let mut of_models: Vec<Option<Tensor>> = vec![None; models.len()];
        let mut of_begin: Vec<Option<Tensor>> = vec![None; begin.len()];
        // Of the states after step t, by the steps behind it.
        let mut late: Vec<Option<Tensor>> = vec![None; count];
        let mut of_x = vec![];
        for t in (0..x.dim(1)?).rev() {
            let last = match t {
                0 => first.clone(),
                _ => cut(&result.narrow(1, t - 1, 1)?, &self.body.states)?,
            };
            let last: Vec<Var> = last.iter().map(var).collect::<Result<_>>()?;
            let before = last.iter().map(|v| v.as_tensor().clone());
            let before: Vec<Tensor> = before.collect();
            let anew: Vec<Tensor> = begin.iter().map(|v| v.as_tensor().clone()).collect();
            let now = var(&x.narrow(1, t, 1)?.contiguous()?)?;
            let parts = cut(now.as_tensor(), &self.body.wide)?;
            let results = self
                .body
                .step(&parts, &plain, &self.before(&before, &anew, t)?)?;
            let mut sum = (cat(&results)? * grad.narrow(1, t, 1)?)?.sum_all()?;
            for (after, late) in results.iter().zip(&late) {
                if let Some(late) = late {
                    sum = (sum + (after * late)?.sum_all()?)?;
                }
            }
            let grads = sum.backward()?;
            let of = |v: &Var| grads.get(v.as_tensor()).map(Tensor::detach);
            late = last.iter().map(of).collect();
            more(&mut of_models, models.iter().map(of))?;
            more(&mut of_begin, begin.iter().map(of))?;
            of_x.push(match of(&now) {
                Some(grad) => grad,
                None => now.zeros_like()?,
            });
        }
        of_x.reverse();
        let of_x = Tensor::cat(&of_x, 1)?;
        let known = |(grad, of): (Option<Tensor>, &Tensor)| match grad {
            Some(grad) => grad.reshape(of.shape()),
            None => of.zeros_like(),
        };
        let of_models = of_models.into_iter().zip(&plain).map(known);
        let of_models = of_models
            .map(|m| m?.flatten_all())
            .collect::<Result<Vec<_>>>()?;
        let of_models = match of_models.is_empty() {
            true => given[1].zeros_like()?,
            false => Tensor::cat(&of_models, 0)?,
        };
        let starts = first.iter().chain(begin.iter().map(Var::as_tensor));
        let of_states = late.into_iter().chain(of_begin).zip(starts).map(known);
        let of_states = cat(&of_states.collect::<Result<Vec<_>>>()?)?.squeeze(1)?;
        Ok([of_x, of_models, of_states])
    }
}

fn more(sums: &mut [Option<Tensor>], grads: impl Iterator<Item = Option<Tensor>>) -> Result<()> {
    for (sum, grad) in sums.iter_mut().zip(grads) {
        *sum = match (sum.take(), grad) {
            (Some(sum), Some(grad)) => Some((sum + grad)?),
            (sum, grad) => sum.or(grad),
        };
    }
    Ok(())
}

/// The loop as one operation of candle's: its result is there already, so that forwards it hands it over.
struct Whole {
    run: Loop,
    held: Mutex<Option<Tensor>>,
}

impl Whole {
    fn take(&self) -> Result<Tensor> {
        let mut held = self.held.lock().unwrap_or_else(|e| e.into_inner());
        match held.take() {
            // What is handed over begins where its memory does.
            Some(result) => result.force_contiguous(),
            None => bail!("a fold's result was taken before"),
        }
    }
}

impl CustomOp3 for Whole {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let result = self.take()?;
        match (&*result.storage_and_layout().0, result.shape()) {
            (Storage::Cpu(s), shape) => Ok((s.clone(), shape.clone())),
            _ => bail!("a fold's result is on another device"),
        }
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let result = self.take()?;
        match &*result.storage_and_layout().0 {
            Storage::Cuda(s) => Ok((s.try_clone(result.layout())?, result.shape().clone())),
            _ => bail!("a fold's result is on another device"),
        }
    }

    fn bwd(
        &self,
        x: &Tensor,
        models: &Tensor,
        states: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, models, states] = self.run.backward([x, models, states], result, grad)?;
        Ok((Some(x), Some(models), Some(states)))
    }
}
