//! What lies on the GPU beside parameters and slots: states that steps carry on, and the average of the parameters.

use minrnn_kernels::Elem;
use minrnn_kernels::cuda::Memory;
use minrnn_kernels::elementwise::cuda as kernels;
use minrnn_model::params::Params;

use super::{Engine, Inputs, Machine};
use crate::error::Result;
use crate::tape::{Carry, Space};

impl Engine {
    /// Where the states of the steps that follow begin; evaluations begin as the graph says.
    pub fn carry(&mut self, carry: Carry) {
        self.carry = carry;
    }

    /// The states that the last step kept: all rows of a state, then those of the next one.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn carried(&self) -> Result<Vec<f32>> {
        match &self.carried {
            Some(carried) => Ok(carried.all(Elem::F32)?.read::<f32>(&self.gpu)?),
            None => Ok(vec![]),
        }
    }

    /// Sets them.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn set_carried(&mut self, states: &[f32]) -> Result<()> {
        self.carried = Some(Memory::from_slice(&self.gpu, states)?);
        Ok(())
    }

    /// Brings what the step before kept into the memory of the next one.
    pub(super) fn load_states(&self, machine: &Machine, inputs: &Inputs<'_>) -> Result<()> {
        let place = inputs.states(&self.graph, Space::Carried);
        let found = self.carried.as_ref().map_or(0, |c| c.bytes() / 4);
        inputs.check_carried(&self.graph, found)?;
        if let (Some(carried), true) = (&self.carried, place.len > 0) {
            let from = carried.view(0, place.len, Elem::F32)?;
            machine.view(place)?.copy_from(&self.gpu, from)?;
        }
        Ok(())
    }

    /// Takes over what a step kept; on the stream, so that nothing is waited for.
    pub(super) fn keep_states(&mut self, at: usize, inputs: &Inputs<'_>) -> Result<()> {
        let place = inputs.states(&self.graph, Space::Next);
        if place.len == 0 {
            return Ok(());
        }
        let known = self.carried.take();
        let carried = match known.filter(|c| c.bytes() == place.len * 4) {
            Some(carried) => carried,
            None => Memory::zeroed(&self.gpu, place.len * 4)?,
        };
        let to = carried.all(Elem::F32)?;
        to.copy_from(&self.gpu, self.machines[at].view(place)?)?;
        self.carried = Some(carried);
        Ok(())
    }

    /// Evaluations take an average of the parameters from here on: this one, until [`Engine::average`] moves it.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn set_average(&mut self, params: &Params) -> Result<()> {
        let layout = &self.store.layout;
        let mut flat = vec![0f32; layout.total.max(1)];
        self.each(|i, from, len| flat[from..from + len].copy_from_slice(params.get(i)));
        let aside = Memory::zeroed(&self.gpu, flat.len() * 4)?;
        self.average = Some([Memory::from_slice(&self.gpu, &flat)?, aside]);
        Ok(())
    }

    /// The average takes in the parameters as they are after the steps on the stream: this share of it is theirs. Behind a step that
    /// failed nothing is taken in.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn average(&self, share: f32) -> Result<()> {
        let Some([average, _]) = &self.average else {
            return Ok(());
        };
        let (params, latch) = (
            self.store.view(Space::Params)?,
            self.store.view(Space::Latch)?,
        );
        kernels::average(&self.gpu, params, average.all(Elem::F32)?, share, latch)?;
        Ok(())
    }

    /// The average, if there is one.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn averaged(&self) -> Result<Option<Params>> {
        let Some([average, _]) = &self.average else {
            return Ok(None);
        };
        let flat = average.all(Elem::F32)?.read::<f32>(&self.gpu)?;
        let mut params = Params::init(&self.graph, 0);
        self.each(|i, from, len| params.get_mut(i).copy_from_slice(&flat[from..from + len]));
        Ok(Some(params))
    }

    /// Puts the average in the place of the parameters, or these back.
    pub(super) fn swap(&self, averaged: bool) -> Result<()> {
        let Some([average, aside]) = &self.average else {
            return Ok(());
        };
        let params = self.store.view(Space::Params)?;
        let (average, aside) = (average.all(Elem::F32)?, aside.all(Elem::F32)?);
        if averaged {
            aside.copy_from(&self.gpu, params)?;
        }
        params.copy_from(&self.gpu, if averaged { average } else { aside })?;
        Ok(self.store.refresh_shadow(&self.gpu)?)
    }
}
