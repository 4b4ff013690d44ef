//! Training and evaluation of a model on a GPU, batch by batch.

mod beside;
mod parts;
mod scale;

use std::sync::Arc;

use minrnn_kernels::Elem;
use minrnn_kernels::adamw;
use minrnn_kernels::cuda::{Gpu, Memory, Precision, View};
use minrnn_kernels::loss_scale::LossScale;
use minrnn_model::graph::{Graph, Op};
use minrnn_model::params::Params;

use self::parts::Parts;
use super::inputs::{Inputs, Wanted};
use super::machine::{CONTROL, GpuScratch, LINE as RING, Machine, Store};
use crate::error::{Result, TrainError};
use crate::optim::{Room, Rule};
use crate::tape::{Carry, Layout, Place, Plan, Space};

/// Words of a step's report.
const ROW: usize = 8;
/// Plans kept, the last used ones.
const PLANS: usize = 4;

/// How a model is run.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Type of activations.
    pub compute: Elem,
    /// Products of f32 matrices.
    pub precision: Precision,
    /// The optimizer's rule.
    pub rule: Arc<dyn Rule>,
    /// Seed of dropout.
    pub seed: u64,
    /// Whether the algorithms of matrix products are chosen by time: faster, but bits may differ from run to run.
    pub tuned: bool,
}

/// What a step reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Loss of the batch before the update.
    pub loss: f32,
    /// Norm of the gradient before clipping; of a step that was left out, no number.
    pub grad_norm: f32,
    /// What the loss was multiplied by, where gradients are float16.
    pub scale: Option<f32>,
    /// Whether the step was left out, since a gradient was not finite at that factor: it changed nothing but the factor.
    pub skipped: bool,
}

/// Position of a parameter, and what the optimizer's rule remembers of it, slot by slot.
pub type Slots<T> = (usize, Vec<T>);

/// A model on a GPU: its parameters, what the optimizer remembers, and the plans of the shapes seen last.
#[derive(Debug)]
pub struct Engine {
    gpu: Gpu,
    graph: Graph,
    /// What a step runs: the graph, up to its normalised values if it has such.
    trained: Graph,
    options: EngineOptions,
    store: Arc<Store>,
    machines: Vec<Machine>,
    ring: Memory,
    pending: usize,
    /// The first step whose report was not read.
    first: u64,
    /// Whether the model looks at the last step of each row, the only place where lengths matter.
    has_last: bool,
    /// Where the states of the next steps begin, and what the last step kept of them.
    carry: Carry,
    carried: Option<Memory>,
    /// The average of the parameters, laid out as they are, which evaluations take in their place; and where these lie meanwhile.
    average: Option<[Memory; 2]>,
    /// The factor on the loss, as of the last reports.
    scale: LossScale,
    /// Of steps in parts: the sums, and the optimizer's plan.
    parts: Option<Parts>,
}

impl Engine {
    /// With these parameters, and slots of zeros.
    ///
    /// # Errors
    /// [`TrainError::Tape`] naming what the tape does not know; too little memory.
    pub fn new(gpu: &Gpu, graph: &Graph, params: &Params, options: EngineOptions) -> Result<Self> {
        Plan::knows(graph)?;
        Plan::knows_on_gpus(graph)?;
        let layout = Layout::new(graph);
        let engine = Self {
            store: Arc::new(Store::new(
                gpu,
                layout,
                options.compute,
                options.rule.room().slots,
            )?),
            ring: Memory::zeroed(gpu, RING * ROW * 4)?,
            gpu: gpu.clone(),
            graph: graph.clone(),
            trained: graph.normalised().unwrap_or_else(|| graph.clone()),
            options,
            machines: vec![],
            pending: 0,
            first: 0,
            has_last: graph.nodes().iter().any(|n| matches!(n.op, Op::Last)),
            carry: Carry::None,
            carried: None,
            average: None,
            scale: LossScale::default(),
            parts: None,
        };
        engine.set_params(params)?;
        Ok(engine)
    }

    /// The GPU.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        let machines = self.machines.iter().map(Machine::bytes).sum::<usize>();
        self.store.bytes() + machines + self.parts.as_ref().map_or(0, Parts::bytes)
    }

    /// Launches in the step of the shape used last.
    pub fn launches(&self) -> u64 {
        self.machines.last().map_or(0, Machine::launches)
    }

    /// Milliseconds of each launch in the plan used last, one after the other: the median of `rounds`.
    ///
    /// # Errors
    /// Those of the launches.
    pub fn profile(&self, rounds: usize) -> Result<Vec<(String, f64)>> {
        match self.machines.last() {
            Some(machine) => Ok(machine.profile(rounds)?),
            None => Ok(vec![]),
        }
    }

    /// Reads the parameters.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn params(&self) -> Result<Params> {
        let flat = self.store.view(Space::Params)?.read::<f32>(&self.gpu)?;
        let mut params = Params::init(&self.graph, 0);
        self.each(|i, from, len| params.get_mut(i).copy_from_slice(&flat[from..from + len]));
        Ok(params)
    }

    /// Sets the parameters.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn set_params(&self, params: &Params) -> Result<()> {
        Ok(self.store.set_params(&self.gpu, params)?)
    }

    /// The parameters that are trained, by position.
    pub fn trained(&self) -> &[usize] {
        &self.store.layout.trained
    }

    /// What the optimizer's rule remembers of each trained parameter.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn slots(&self) -> Result<Vec<Slots<Vec<f32>>>> {
        let rule = &self.options.rule;
        let count = rule.room().slots;
        let read = |i| self.store.view(Space::Slot(i))?.read::<f32>(&self.gpu);
        let flats: Vec<Vec<f32>> = (0..count).map(read).collect::<Result<_, _>>()?;
        let mut all = vec![];
        self.each(|i, from, len| {
            if self.trained().contains(&i) {
                let part = |flat: &Vec<f32>| flat[from..from + len].to_vec();
                let own = rule.slots(self.store.layout.kinds[i]).len();
                all.push((i, flats[..own].iter().map(part).collect()));
            }
        });
        Ok(all)
    }

    /// Sets it.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn set_slots(&mut self, slots: &[Slots<&[f32]>]) -> Result<()> {
        for s in 0..self.options.rule.room().slots {
            let mut flat = vec![0f32; self.store.layout.total];
            for (i, values) in slots {
                let from = self.store.layout.offsets[*i];
                if let Some(values) = values.get(s) {
                    flat[from..from + values.len()].copy_from_slice(values);
                }
            }
            self.store.view(Space::Slot(s))?.write(&self.gpu, &flat)?;
        }
        Ok(())
    }

    /// The gradients of the last step, for tests.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn gradients(&self) -> Result<Vec<Vec<f32>>> {
        let flat = self.store.view(Space::Grads)?.read::<f32>(&self.gpu)?;
        let mut all = vec![];
        self.each(|_, from, len| all.push(flat[from..from + len].to_vec()));
        Ok(all)
    }

    fn each(&self, mut f: impl FnMut(usize, usize, usize)) {
        let layout = &self.store.layout;
        for (i, (from, len)) in layout.offsets.iter().zip(&layout.lens).enumerate() {
            f(i, *from, *len);
        }
    }

    /// Steps on the stream whose reports were not read.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// How many steps may be put on the stream before [`Engine::reports`].
    pub fn room(&self) -> usize {
        RING - self.pending
    }

    /// Puts an optimizer step on the stream. `step` counts from 0 and chooses the dropout; `update` is the number of the
    /// update, from 1, of those on the stream as if none were left out. Nothing is waited for. Target values are normalised ones where the graph's end has statistics of them
    /// ([`Graph::normalised`]); those of [`Engine::evaluate`] are in the units of the data.
    ///
    /// # Errors
    /// An input that does not fit the model; too little memory; [`TrainError::NoGradient`].
    pub fn step(&mut self, inputs: Inputs<'_>, step: u64, update: u64, lr: f64) -> Result<()> {
        self.queue(step)?;
        let room = Some(self.options.rule.room());
        let at = self.machine(&inputs, true, room)?;
        inputs.upload(&self.gpu, &self.machines[at])?;
        self.control(self.options.seed, step, update, lr)?;
        self.numbers(update, lr)?;
        if self.carry == Carry::On {
            self.load_states(&self.machines[at], &inputs)?;
        }
        self.machines[at].run()?;
        if self.carry != Carry::None {
            self.keep_states(at, &inputs)?;
        }
        let loss = self.machines[at].view(Place::new(Space::Loss, 1, Elem::F32))?;
        self.keep_report(loss)?;
        self.pending += 1;
        Ok(())
    }

    /// Room for the report of a step.
    fn queue(&mut self, step: u64) -> Result<()> {
        if self.room() == 0 {
            return Err(TrainError::config(
                "train.steps",
                "run ahead of the reports: read them first",
            ));
        }
        if self.pending == 0 {
            self.first = step;
        }
        Ok(())
    }

    /// Keeps what a step reports, until somebody reads it.
    fn keep_report(&self, loss: View<'_>) -> Result<()> {
        let slot = self.ring.view(self.pending * ROW * 4, ROW, Elem::F32)?;
        slot.slice(0, 1)?.copy_from(&self.gpu, loss)?;
        let report = self.store.view(Space::Report)?;
        slot.slice(1, 2)?.copy_from(&self.gpu, report)?;
        self.keep_scale(slot.slice(3, 2)?)
    }

    /// Waits for the steps since the last call, and gives their reports in order. Where something was not finite: the
    /// reports before that step, and what it was; that step and those behind it changed nothing.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn reports(&mut self) -> Result<(Vec<StepReport>, Option<TrainError>)> {
        let rows = self.ring.view(0, self.pending * ROW, Elem::F32)?;
        let values = rows.read::<f32>(&self.gpu)?;
        self.pending = 0;
        let rows = values.chunks_exact(ROW).map(|row| self.report(row));
        let mut reports: Vec<StepReport> = rows.collect();
        self.look_at_scale()?;
        let latch = self.store.view(Space::Latch)?;
        let words = latch.read::<u32>(&self.gpu)?;
        let words = [words[0], words[1], words[2], words[3]];
        let Some((step, parameter, trouble)) = adamw::cuda::read_latch(words) else {
            return Ok((reports, None));
        };
        latch.fill(&self.gpu, 0)?;
        reports.truncate(step.saturating_sub(self.first) as usize);
        let name = parameter
            .and_then(|p| self.store.layout.trained.get(p))
            .map_or("?", |p| self.graph.params()[*p].name.as_str());
        let what = match trouble {
            adamw::cuda::Trouble::Loss => "the loss".to_owned(),
            adamw::cuda::Trouble::Gradient => format!("the gradient of `{name}`{}", self.scaled()),
            adamw::cuda::Trouble::Square => format!("the squared gradient of `{name}`"),
        };
        Ok((reports, Some(TrainError::NonFinite { what, step })))
    }

    /// Loss, and targets met (for classes), without dropout.
    ///
    /// # Errors
    /// As [`Engine::step`].
    pub fn evaluate(&mut self, inputs: Inputs<'_>) -> Result<(f32, Option<u32>)> {
        let at = self.machine(&inputs, false, None)?;
        inputs.upload(&self.gpu, &self.machines[at])?;
        self.swap(true)?;
        self.machines[at].run()?;
        self.swap(false)?;
        let machine = &self.machines[at];
        let loss = machine.view(Place::new(Space::Loss, 1, Elem::F32))?;
        let loss = loss.read::<f32>(&self.gpu)?[0];
        if !matches!(inputs.wanted, Wanted::Classes(_)) {
            return Ok((loss, None));
        }
        let correct = machine.view(Place::new(Space::Correct, 1, Elem::U32))?;
        Ok((loss, Some(correct.read::<u32>(&self.gpu)?[0])))
    }

    fn control(&self, seed: u64, step: u64, update: u64, lr: f64) -> Result<()> {
        let mut words = [0u32; CONTROL];
        words[0] = seed as u32;
        words[1] = (seed >> 32) as u32;
        words[2] = step as u32;
        words[3] = (step >> 32) as u32;
        let numbers = self.options.rule.control(update, lr);
        for (word, number) in words[4..].iter_mut().zip(numbers) {
            *word = number.to_bits();
        }
        Ok(self.store.view(Space::Control)?.write(&self.gpu, &words)?)
    }

    /// The machine for a batch, made, run once and captured where it is new; the last used one lies last.
    fn machine(&mut self, inputs: &Inputs<'_>, train: bool, update: Option<Room>) -> Result<usize> {
        let mut options = inputs.options(self.options.compute, train, update, self.has_last);
        options.carry = if train { self.carry } else { Carry::None };
        inputs.check(&self.graph)?;
        if let Some(at) = self.machines.iter().position(|m| m.plan.options == options) {
            let machine = self.machines.remove(at);
            self.machines.push(machine);
            return Ok(self.machines.len() - 1);
        }
        if self.machines.len() == PLANS {
            self.gpu.synchronize()?;
            self.machines.remove(0);
        }
        let graph = if train { &self.trained } else { &self.graph };
        let plan = Plan::new(graph, options, &GpuScratch(&self.gpu))?;
        let machine = self.made(plan)?;
        self.machines.push(machine);
        Ok(self.machines.len() - 1)
    }

    /// The machine of a plan, run once and captured.
    fn made(&self, plan: Plan) -> Result<Machine> {
        let mut machine = Machine::new(
            &self.gpu,
            plan,
            self.store.clone(),
            self.options.precision,
            self.options.rule.clone(),
        )?;
        self.warm(&mut machine)?;
        Ok(machine)
    }

    /// Runs a new machine once on zeros, with the latch set, so that no parameter changes, then captures it.
    fn warm(&self, machine: &mut Machine) -> Result<()> {
        let latch = self.store.view(Space::Latch)?;
        let before = latch.read::<u32>(&self.gpu)?;
        latch.write(&self.gpu, &[0, 0, 1, 1])?;
        if machine.has(Space::Lens) {
            let lens = vec![1u32; machine.plan.options.batch];
            let place = Place::new(Space::Lens, lens.len(), Elem::U32);
            machine.view(place)?.write(&self.gpu, &lens)?;
        }
        machine.prepare(self.options.tuned)?;
        latch.write(&self.gpu, &before)?;
        Ok(())
    }

    /// The output of the last evaluation, for tests.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn output(&self) -> Result<Option<View<'_>>> {
        match self.machines.last() {
            Some(machine) => Ok(Some(machine.view(machine.plan.output)?)),
            None => Ok(None),
        }
    }
}
