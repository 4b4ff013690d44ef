//! A step whose batch is computed in parts.

use minrnn_kernels::Elem;
use minrnn_kernels::cuda::{Memory, View};
use minrnn_kernels::elementwise::{Map, cuda as kernels};

use super::{Engine, Machine};
use crate::error::Result;
use crate::tape::cuda::machine::GpuScratch;
use crate::tape::part::{self, Part};
use crate::tape::state_rows::{StateRows, all_states, state_rows};
use crate::tape::{Carry, Place, Plan, Space};

/// Sums over the parts of a step, and the optimizer behind them.
#[derive(Debug)]
pub(super) struct Parts {
    machine: Machine,
    /// The trained parameters' gradients, as they lie.
    grads: Memory,
}

impl Parts {
    pub(super) fn bytes(&self) -> usize {
        self.machine.bytes() + self.grads.bytes()
    }

    fn grads(&self) -> Result<View<'_>> {
        Ok(self.grads.all(Elem::F32)?)
    }

    /// The sum of the losses, which the norm looks at.
    fn loss(&self) -> Result<View<'_>> {
        Ok(self.machine.view(LOSS)?)
    }
}

const LOSS: Place = Place {
    space: Space::Loss,
    offset: 0,
    len: 1,
    elem: Elem::F32,
};

impl Engine {
    /// Puts an optimizer step on the stream whose batch is computed in parts: as [`Engine::step`] of the whole batch, in the memory of a
    /// part. Where gradients are float16, all parts have one factor on their losses, and one gradient that is not finite, of whichever part,
    /// leaves the whole step out. The states that are carried on are those of all its sequences.
    ///
    /// # Errors
    /// As [`Engine::step`]; no part.
    pub fn step_in_parts(
        &mut self,
        parts: &[Part<'_>],
        step: u64,
        update: u64,
        lr: f64,
    ) -> Result<()> {
        self.queue(step)?;
        let found = self.carried.as_ref().map_or(0, |c| c.bytes() / 4);
        let found = (self.carry == Carry::On).then_some(found);
        let all = part::check(parts, &self.graph, found)?;
        let mut sums = match self.parts.take() {
            Some(sums) => sums,
            None => self.sums()?,
        };
        self.make_room(all)?;
        let (mut row, mut first) = (0, true);
        for part in parts {
            let at = self.machine(&part.inputs, true, None)?;
            part.inputs.upload(&self.gpu, &self.machines[at])?;
            self.control(part.seed, step, update, lr)?;
            let rows = row..row + part.inputs.batch;
            row = rows.end;
            let rows = state_rows(&self.graph, all, rows);
            if self.carry == Carry::On {
                self.move_states(at, part, &rows, Space::Carried)?;
            }
            self.machines[at].run()?;
            if self.carry != Carry::None {
                self.move_states(at, part, &rows, Space::Next)?;
            }
            // What runs for its states alone may have gradients that are not finite.
            if part.share != 0.0 {
                self.add(at, &sums, part.share, !first)?;
                first = false;
            }
        }
        let grads = self.grads()?;
        grads.copy_from(&self.gpu, sums.grads()?)?;
        self.numbers(update, lr)?;
        sums.machine.run()?;
        self.keep_report(sums.loss()?)?;
        self.parts = Some(sums);
        self.pending += 1;
        Ok(())
    }

    /// Gradients of what is trained.
    fn grads(&self) -> Result<View<'_>> {
        let grads = self.store.view(Space::Grads)?;
        Ok(grads.slice(0, self.store.layout.trained_len)?)
    }

    fn sums(&self) -> Result<Parts> {
        let room = self.options.rule.room();
        let scratch = GpuScratch(&self.gpu);
        let plan = Plan::update(&self.trained, self.options.compute, room, &scratch);
        Ok(Parts {
            machine: self.made(plan)?,
            grads: Memory::zeroed(&self.gpu, self.store.layout.trained_len * 4)?,
        })
    }

    /// Takes a part's loss and gradients into the sums, of which they are the first or not.
    fn add(&self, at: usize, sums: &Parts, share: f64, add: bool) -> Result<()> {
        let times = Map::Affine {
            mul: share,
            add: 0.0,
        };
        kernels::map(&self.gpu, times, self.grads()?, sums.grads()?, add)?;
        let loss = self.machines[at].view(LOSS)?;
        kernels::map(&self.gpu, times, loss, sums.loss()?, add)?;
        Ok(())
    }

    /// Memory for the states of so many sequences, those of the step before if it had as many.
    fn make_room(&mut self, rows: usize) -> Result<()> {
        let bytes = all_states(&self.graph, rows, Space::Next).len * 4;
        let known = self.carried.as_ref().map(Memory::bytes);
        if self.carry != Carry::None && bytes > 0 && known != Some(bytes) {
            self.carried = Some(Memory::zeroed(&self.gpu, bytes)?);
        }
        Ok(())
    }

    /// Brings the states of a part to where it begins with them, or what it kept of them back.
    fn move_states(&self, at: usize, part: &Part<'_>, rows: &[StateRows], to: Space) -> Result<()> {
        let place = part.inputs.states(&self.graph, to);
        let Some(carried) = self.carried.as_ref().filter(|_| place.len > 0) else {
            return Ok(());
        };
        let (all, own) = (carried.all(Elem::F32)?, self.machines[at].view(place)?);
        for row in rows {
            let (all, own) = (
                all.slice(row.whole, row.len)?,
                own.slice(row.part, row.len)?,
            );
            match to {
                Space::Carried => own.copy_from(&self.gpu, all)?,
                _ => all.copy_from(&self.gpu, own)?,
            }
        }
        Ok(())
    }
}
