//! States to begin with, at random.

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two, initial};
use super::file::By;
use super::port::Elem;
use super::stops::is_of_values;
use super::tensor::{Reading, Tensor};

/// The most that states count to where they are drawn.
const COUNTED: usize = 8;

impl Two {
    /// Whether the first file takes every state, and gives it back.
    pub(crate) fn takes_states(&self) -> bool {
        !self.face.states.is_empty()
            && self
                .face
                .states
                .iter()
                .all(|s| s.first.0.is_some() && s.first.1.is_some())
    }

    /// How many steps may lie before a case of `time`, so that both together are what the files take, or where these do not say it
    /// no more than the longest that is tried.
    pub(crate) fn before(&self, time: usize, longest: usize) -> usize {
        self.stated().unwrap_or(longest).saturating_sub(time)
    }

    /// The states that the second file reaches in so many steps, or in fewer where it refuses these.
    fn reached(
        &self,
        (batch, mut steps): (usize, usize),
        others: &[usize],
        rng: &mut Rng,
    ) -> Result<Vec<Option<Tensor>>> {
        loop {
            let warm = Case::sized(self, (batch, steps), others.to_vec(), rng)?;
            let fewer = self.face.steps(steps / 2);
            match self.second(By::Judge, &warm) {
                Err(why) if is_of_values(&why) && fewer < steps => steps = fewer,
                ran => return Ok(ran?.states),
            }
        }
    }

    /// States at random: values at random where the file lists its states as free, else values that the model reaches; what counts
    /// steps is a small whole number, `before` at most.
    pub(crate) fn random_states(
        &self,
        (batch, before): (usize, usize),
        others: &[usize],
        rng: &mut Rng,
    ) -> Result<Vec<Tensor>> {
        let face = &self.face;
        let begin = face.states.iter().map(|s| initial(s, batch, others));
        let mut states = begin.collect::<Result<Vec<Tensor>>>()?;
        let counted = face.states.iter().any(|s| s.counts);
        if face.states.iter().any(|s| !s.any_value && !s.counts) {
            let free = (face.unit() * (1 + rng.below(24))).min(self.most);
            let free = if counted { free.min(before) } else { free };
            let steps = face.length.unwrap_or(face.steps(free));
            if !counted || steps <= before {
                let reached = self.reached((batch, steps), others, rng)?;
                states = reached.iter().flatten().map(Tensor::settled).collect();
            }
        }
        // All that counts in a row counts the same steps.
        let steps: Vec<f64> = (0..batch)
            .map(|_| rng.below(before.min(COUNTED) + 1) as f64)
            .collect();
        for (state, t) in face.states.iter().zip(&mut states) {
            let values: Vec<f64> = if state.counts {
                let first = initial(state, batch, others)?.values(Reading::Exact);
                let each = first.len() / batch;
                let more = |(i, v): (usize, f64)| v + steps[i / each.max(1)];
                first.into_iter().enumerate().map(more).collect()
            } else if state.any_value {
                let count: usize = t.shape().iter().product();
                (0..count).map(|_| f64::from(rng.normal() as f32)).collect()
            } else {
                continue;
            };
            *t = Tensor::floats(Elem::F64, t.shape(), &values)?;
        }
        let counter = face.states.iter().position(|s| s.counts);
        if let Some(rank) = counter.map(|at| states[at].shape().len() + 1) {
            for (state, t) in face.states.iter().zip(&mut states) {
                let first = initial(state, batch, others)?.values(Reading::Exact);
                if t.shape().len() == rank && first.iter().all(|v| *v == 0.0) {
                    *t = begun(t, &steps)?;
                }
            }
        }
        Ok(states)
    }
}

/// A window `[B, .., rows, width]` that has nothing of before the begin, of a sequence of so many steps in each row of the batch.
fn begun(window: &Tensor, steps: &[f64]) -> Result<Tensor> {
    let shape = window.shape();
    let mut values = window.values(Reading::Exact);
    let [.., rows, width] = shape[..] else {
        return Ok(window.clone());
    };
    let (one, each) = ((rows * width).max(1), values.len() / steps.len().max(1));
    for (at, part) in values.chunks_mut(one).enumerate() {
        let seen = steps[at * one / each.max(1)] as usize;
        part[..rows.saturating_sub(seen) * width].fill(0.0);
    }
    Tensor::floats(Elem::F64, shape, &values)
}
