//! Training and evaluation of a model on the CPU, batch by batch.

use std::sync::Arc;
use std::time::Instant;

use minrnn_kernels::Elem;
use minrnn_kernels::elementwise::cpu as kernels;
use minrnn_model::graph::{Graph, Op};
use minrnn_model::params::Params;

use super::machine::{Machine, Trouble};
use super::memory::Addresses;
use super::sums::Sums;
use crate::error::{Result, TrainError};
use crate::optim::{Room, Rule};
use crate::tape::{Carry, Inputs, Layout, NoScratch, Options, Place, Plan, Space, Wanted};

/// Plans kept, the last used ones. Their memory is one.
const PLANS: usize = 8;

/// How a model is run.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The optimizer's rule.
    pub rule: Arc<dyn Rule>,
    /// Seed of dropout.
    pub seed: u64,
}

/// What a step reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Loss of the batch before the update.
    pub loss: f32,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
}

/// Position of a parameter, and what the optimizer's rule remembers of it, slot by slot.
pub type Slots<T> = (usize, Vec<T>);

/// A model on the CPU: its parameters, what the optimizer remembers, and the plans of the shapes seen last.
#[derive(Debug)]
pub struct Engine {
    pub(super) graph: Graph,
    /// What a step runs: the graph, up to its normalised values if it has such.
    pub(super) trained: Graph,
    pub(super) options: EngineOptions,
    pub(super) machine: Machine,
    plans: Vec<(Plan, Arc<Addresses>)>,
    /// Whether the model looks at the last step of each row, the only place where lengths matter.
    has_last: bool,
    /// Where the states of the next steps begin, and what the last step kept of them.
    pub(super) carry: Carry,
    pub(super) carried: Vec<f32>,
    /// The average of the parameters, laid out as they are, which evaluations take in their place.
    average: Option<Vec<f32>>,
    /// Of steps in parts: the sums, and the optimizer's plan.
    pub(super) parts: Option<Box<Sums>>,
}

impl Engine {
    /// With these parameters, and slots of zeros.
    ///
    /// # Errors
    /// [`TrainError::Tape`] naming what the tape does not know.
    pub fn new(graph: &Graph, params: &Params, options: EngineOptions) -> Result<Self> {
        Plan::knows(graph)?;
        let mut engine = Self {
            machine: Machine::new(Layout::new(graph), options.rule.clone()),
            graph: graph.clone(),
            trained: graph.normalised().unwrap_or_else(|| graph.clone()),
            options,
            plans: vec![],
            has_last: graph.nodes().iter().any(|n| matches!(n.op, Op::Last)),
            carry: Carry::None,
            carried: vec![],
            average: None,
            parts: None,
        };
        engine.set_params(params);
        Ok(engine)
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.machine.bytes() + self.parts.as_ref().map_or(0, |parts| parts.bytes())
    }

    /// Gives back the memory of steps, gradients included; the next step makes it anew. Parameters and slots stay.
    pub fn release(&mut self) {
        self.machine.release();
        if let Some(parts) = &mut self.parts {
            parts.release();
        }
    }

    /// Launches in the step of the shape used last.
    pub fn launches(&self) -> usize {
        self.plans.last().map_or(0, |(plan, _)| plan.launches.len())
    }

    /// The parameters.
    pub fn params(&self) -> Params {
        let mut params = Params::init(&self.graph, 0);
        for i in 0..self.machine.layout.lens.len() {
            params
                .get_mut(i)
                .copy_from_slice(self.leaf(Space::Params, i));
        }
        params
    }

    /// Sets the parameters.
    pub fn set_params(&mut self, params: &Params) {
        for i in 0..self.machine.layout.lens.len() {
            let place = self.machine.layout.leaf(Space::Params, i);
            self.machine.memory.write(place, params.get(i));
        }
    }

    /// The parameters that are trained, by position.
    pub fn trained(&self) -> &[usize] {
        &self.machine.layout.trained
    }

    fn leaf(&self, space: Space, i: usize) -> &[f32] {
        self.machine.memory.read(self.machine.layout.leaf(space, i))
    }

    /// What the optimizer's rule remembers of each trained parameter.
    pub fn slots(&self) -> Vec<Slots<Vec<f32>>> {
        let slot = |i: usize| {
            let kind = self.machine.layout.kinds[i];
            let count = self.options.rule.slots(kind).len();
            (0..count).map(move |s| self.leaf(Space::Slot(s), i).to_vec())
        };
        let all = self.trained().iter().map(|i| (*i, slot(*i).collect()));
        all.collect()
    }

    /// Sets it.
    pub fn set_slots(&mut self, slots: &[Slots<&[f32]>]) {
        for (i, values) in slots {
            for (s, values) in values.iter().enumerate() {
                let place = self.machine.layout.leaf(Space::Slot(s), *i);
                self.machine.memory.write(place, values);
            }
        }
    }

    /// Where the states of the steps that follow begin; evaluations begin as the graph says.
    pub fn carry(&mut self, carry: Carry) {
        self.carry = carry;
    }

    /// The states that the last step kept: all rows of a state, then those of the next one.
    pub fn carried(&self) -> &[f32] {
        &self.carried
    }

    /// Sets them.
    pub fn set_carried(&mut self, states: Vec<f32>) {
        self.carried = states;
    }

    /// Evaluations take an average of the parameters from here on: this one, until [`Engine::average`] moves it.
    pub fn set_average(&mut self, params: &Params) {
        let layout = &self.machine.layout;
        let mut flat = vec![0.0; layout.total];
        for (i, from) in layout.offsets.iter().enumerate() {
            flat[*from..][..layout.lens[i]].copy_from_slice(params.get(i));
        }
        self.average = Some(flat);
    }

    /// The average takes in the parameters as they are: this share of it is theirs.
    pub fn average(&mut self, share: f32) {
        let place = self.all_params();
        if let Some(average) = &mut self.average {
            kernels::average(self.machine.memory.read(place), average, share);
        }
    }

    /// The average, if there is one.
    pub fn averaged(&self) -> Option<Params> {
        let flat = self.average.as_ref()?;
        let layout = &self.machine.layout;
        let mut params = Params::init(&self.graph, 0);
        for (i, from) in layout.offsets.iter().enumerate() {
            params
                .get_mut(i)
                .copy_from_slice(&flat[*from..][..layout.lens[i]]);
        }
        Some(params)
    }

    fn all_params(&self) -> Place {
        Place::new(Space::Params, self.machine.layout.total, Elem::F32)
    }

    /// The gradients of the last step, for tests.
    pub fn gradients(&self) -> Vec<Vec<f32>> {
        let all = 0..self.machine.layout.lens.len();
        all.map(|i| self.leaf(Space::Grads, i).to_vec()).collect()
    }

    /// An optimizer step. `step` counts from 0 and chooses the dropout; `update` is the number of the update, from 1. Target
    /// values are normalised ones where the graph's end has statistics of them ([`Graph::normalised`]); those of
    /// [`Engine::evaluate`] are in the units of the data.
    ///
    /// # Errors
    /// An input that does not fit the model; [`TrainError::NoGradient`]; [`TrainError::NonFinite`], and then nothing is changed.
    pub fn step(
        &mut self,
        inputs: Inputs<'_>,
        step: u64,
        update: u64,
        lr: f64,
    ) -> Result<StepReport> {
        self.plan(&inputs, true, Some(self.options.rule.room()))?;
        self.machine.seed_and_step = (self.options.seed, step);
        self.machine.rate = (lr, update);
        let carried = std::mem::take(&mut self.carried);
        if self.carry == Carry::On {
            inputs.check_carried(&self.graph, carried.len())?;
        }
        self.run(&inputs, &carried);
        self.carried = match self.machine.trouble.is_none() && self.carry != Carry::None {
            true => {
                let place = inputs.states(&self.graph, Space::Next);
                self.machine.memory.read(place).to_vec()
            }
            false => carried,
        };
        self.reported(step)
    }

    /// What the launches of a step left to say.
    pub(super) fn reported(&self, step: u64) -> Result<StepReport> {
        match self.machine.trouble {
            Some(trouble) => Err(TrainError::NonFinite {
                what: self.said(trouble),
                step,
            }),
            None => Ok(StepReport {
                loss: self.machine.loss(),
                grad_norm: self.machine.report.grad_norm,
            }),
        }
    }

    fn said(&self, trouble: Trouble) -> String {
        let name = |i: usize| self.graph.params()[i].name.as_str();
        match trouble {
            Trouble::Loss => "the loss".to_owned(),
            Trouble::Gradient(i) => format!("the gradient of `{}`", name(i)),
            Trouble::Square(i) => format!("the squared gradient of `{}`", name(i)),
        }
    }

    /// Loss, and targets met (for classes), without dropout.
    ///
    /// # Errors
    /// As [`Engine::step`].
    pub fn evaluate(&mut self, inputs: Inputs<'_>) -> Result<(f32, Option<u32>)> {
        self.plan(&inputs, false, None)?;
        let place = self.all_params();
        let memory = &mut self.machine.memory;
        let raw = self.average.as_ref().map(|average| {
            let raw = memory.read(place).to_vec();
            memory.write(place, average);
            raw
        });
        self.run(&inputs, &[]);
        if let Some(raw) = raw {
            self.machine.memory.write(place, &raw);
        }
        let classes = matches!(inputs.wanted, Wanted::Classes(_));
        let correct = classes.then_some(self.machine.words.correct);
        Ok((self.machine.loss(), correct))
    }

    /// The output of the last evaluation, for tests.
    pub fn output(&self) -> Option<&[f32]> {
        let (plan, _) = self.plans.last()?;
        Some(self.machine.memory.read(plan.output))
    }

    /// Makes the plan for a batch the last one, and its memory that of the machine.
    pub(super) fn plan(
        &mut self,
        inputs: &Inputs<'_>,
        train: bool,
        update: Option<Room>,
    ) -> Result<()> {
        inputs.check(&self.graph)?;
        let mut options = inputs.options(Elem::F32, train, update, self.has_last);
        options.carry = if train { self.carry } else { Carry::None };
        let known = self.plans.iter().position(|(p, _)| p.options == options);
        let plan = match known {
            Some(at) => self.plans.remove(at),
            None => self.planned(options)?,
        };
        self.machine.memory.take(&plan.1);
        if self.plans.len() == PLANS {
            self.plans.remove(0);
        }
        self.plans.push(plan);
        Ok(())
    }

    fn planned(&self, options: Options) -> Result<(Plan, Arc<Addresses>)> {
        let graph = match options.train {
            true => &self.trained,
            false => &self.graph,
        };
        let plan = Plan::new(graph, options, &NoScratch)?;
        let addresses = self.machine.memory.addresses(&plan);
        Ok((plan, Arc::new(addresses)))
    }

    /// Runs the last plan, beginning with these states if it is to go on: within the pool of threads, so that no launch wakes it.
    pub(super) fn run(&mut self, inputs: &Inputs<'_>, carried: &[f32]) {
        let Some((plan, _)) = self.plans.last() else {
            return;
        };
        let machine = &mut self.machine;
        machine.load(inputs);
        if plan.options.carry == Carry::On {
            let place = inputs.states(&self.graph, Space::Carried);
            machine.memory.write(place, carried);
        }
        machine.trouble = None;
        rayon::scope(|_| {
            for launch in &plan.launches {
                machine.launch(launch);
            }
        });
    }

    /// Milliseconds of each launch in the plan used last, one after the other: the best of `rounds`. With a step as the last
    /// plan its update is made again.
    pub fn profile(&mut self, rounds: usize) -> Vec<(String, f64)> {
        let Some((plan, _)) = self.plans.last() else {
            return vec![];
        };
        let mut times: Vec<(String, f64)> = vec![];
        times.extend(plan.launches.iter().map(|l| (l.title(), f64::INFINITY)));
        let machine = &mut self.machine;
        rayon::scope(|_| {
            for _ in 0..rounds {
                for (launch, (_, best)) in plan.launches.iter().zip(&mut times) {
                    let start = Instant::now();
                    machine.launch(launch);
                    *best = best.min(start.elapsed().as_secs_f64() * 1e3);
                }
            }
        });
        times
    }
}

impl Machine {
    /// Puts a batch into memory, as far as the plan reads it.
    fn load(&mut self, inputs: &Inputs<'_>) {
        self.words.set(Space::Ids, inputs.ids);
        self.words.set(Space::Lens, inputs.lens.unwrap_or(&[]));
        let classes = match inputs.wanted {
            Wanted::Classes(ids) => ids,
            _ => &[],
        };
        self.words.set(Space::Targets, classes);
        let values = match inputs.wanted {
            Wanted::Values(values) => values,
            _ => &[],
        };
        let weights = inputs.weights.unwrap_or(&[]);
        for (space, values) in [
            (Space::Features, inputs.features),
            (Space::TargetValues, values),
            (Space::Weights, weights),
        ] {
            if self.memory.has(space) && !values.is_empty() {
                let place = Place::new(space, values.len(), Elem::F32);
                self.memory.write(place, values);
            }
        }
    }
}
