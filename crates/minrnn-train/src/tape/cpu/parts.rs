//! A step whose batch is computed in parts.

use std::sync::Arc;

use minrnn_kernels::Elem;

use super::engine::{Engine, StepReport};
use super::sums::Sums;
use crate::error::Result;
use crate::tape::part::{self, Part};
use crate::tape::state_rows::{all_states, state_rows};
use crate::tape::{Carry, NoScratch, Place, Plan, Space};

impl Engine {
    /// An optimizer step whose batch is computed in parts: as [`Engine::step`] of the whole batch, in the memory of a part. The states that
    /// are carried on are those of all its sequences.
    ///
    /// # Errors
    /// As [`Engine::step`]; no part.
    pub fn step_in_parts(
        &mut self,
        parts: &[Part<'_>],
        step: u64,
        update: u64,
        lr: f64,
    ) -> Result<StepReport> {
        let found = (self.carry == Carry::On).then_some(self.carried.len());
        let all = part::check(parts, &self.graph, found)?;
        let mut sums = self.sums();
        let mut kept = vec![0.0; self.kept(all)];
        let mut row = 0;
        for part in parts {
            let rows = row..row + part.inputs.batch;
            row = rows.end;
            self.plan(&part.inputs, true, None)?;
            self.machine.seed_and_step = (part.seed, step);
            let places = state_rows(&self.graph, all, rows);
            let mut begin = vec![];
            if self.carry == Carry::On {
                let own = places.iter().map(|at| &self.carried[at.whole..][..at.len]);
                begin = own.collect::<Vec<_>>().concat();
            }
            self.run(&part.inputs, &begin);
            if self.carry != Carry::None {
                let next = part.inputs.states(&self.graph, Space::Next);
                let next = self.machine.memory.read(next);
                for at in places {
                    kept[at.whole..][..at.len].copy_from_slice(&next[at.part..][..at.len]);
                }
            }
            if part.share != 0.0 {
                let grads = self.machine.memory.read(self.trained_grads());
                sums.add(self.machine.loss(), grads, part.share);
            }
        }
        self.machine.rate = (lr, update);
        self.update(&sums);
        self.parts = Some(sums);
        if self.machine.trouble.is_none() && self.carry != Carry::None {
            self.carried = kept;
        }
        self.reported(step)
    }

    /// Values of the states of so many sequences, if they are kept.
    fn kept(&self, rows: usize) -> usize {
        match self.carry {
            Carry::None => 0,
            _ => all_states(&self.graph, rows, Space::Next).len,
        }
    }

    fn trained_grads(&self) -> Place {
        let len = self.machine.layout.trained_len;
        Place::new(Space::Grads, len, Elem::F32)
    }

    /// Sums of nothing.
    fn sums(&mut self) -> Box<Sums> {
        let mut sums = self.parts.take().unwrap_or_else(|| {
            let room = self.options.rule.room();
            let plan = Plan::update(&self.trained, Elem::F32, room, &NoScratch);
            let addresses = Arc::new(self.machine.memory.addresses(&plan));
            Box::new(Sums {
                plan,
                addresses,
                grads: vec![],
                loss: 0.0,
            })
        });
        sums.loss = 0.0;
        sums.grads.clear();
        sums.grads.resize(self.machine.layout.trained_len, 0.0);
        sums
    }

    /// The optimizer, on the sums.
    fn update(&mut self, sums: &Sums) {
        let grads = self.trained_grads();
        let machine = &mut self.machine;
        machine.memory.take(&sums.addresses);
        machine.memory.write(grads, &sums.grads);
        let loss = Place::new(Space::Loss, 1, Elem::F32);
        machine.memory.write(loss, &[sums.loss]);
        machine.trouble = None;
        rayon::scope(|_| {
            for launch in &sums.plan.launches {
                machine.launch(launch);
            }
        });
    }
}
