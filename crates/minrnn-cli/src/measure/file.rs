//! An exported file on windows of data, one at a time.

use std::sync::Arc;

use anyhow::{Result, bail};
use minrnn_runtime::{self as runtime, Head};
use minrnn_train::task::{Batch, Input};

/// A file of an export.
pub(crate) struct File {
    model: Arc<runtime::Model>,
    /// Rows of a call: those of a fixed batch are all the same.
    rows: usize,
}

impl File {
    pub(crate) fn new(model: runtime::Model) -> Self {
        let rows = model.info().batch.unwrap_or(1);
        Self {
            model: Arc::new(model),
            rows,
        }
    }

    /// What the file says of itself.
    pub(crate) fn info(&self) -> &runtime::Info {
        self.model.info()
    }

    /// The outputs of a batch of one row: `[T, C]`, or `[C]` of a model that answers once.
    pub(crate) fn run(&self, batch: &Batch) -> Result<Vec<f32>> {
        if batch.batch != 1 {
            bail!(
                "windows are measured one at a time, and these are {}",
                batch.batch
            );
        }
        match self.model.info().form.is_sequence() {
            true => self.whole(batch),
            false => self.steps(batch),
        }
    }

    fn whole(&self, batch: &Batch) -> Result<Vec<f32>> {
        let (rows, time) = (self.rows, batch.time);
        let ids: Vec<i64>;
        let many: Vec<f32>;
        let input = match &batch.input {
            Input::Tokens { ids: one } => {
                ids = widened(one).repeat(rows);
                runtime::Input::Tokens {
                    ids: &ids,
                    batch: rows,
                    time,
                }
            }
            Input::Features { values, width } => {
                many = values.repeat(rows);
                runtime::Input::Features {
                    values: &many,
                    batch: rows,
                    time,
                    width: *width,
                }
            }
        };
        let state = self.model.initial_state(rows)?;
        let output = self.model.run(input, &state)?.0;
        Ok(first_row(output, rows))
    }

    fn steps(&self, batch: &Batch) -> Result<Vec<f32>> {
        let mut session = runtime::Session::new(self.model.clone(), self.rows)?;
        let per_step = self.model.info().head == Head::PerStep;
        let mut all = vec![];
        for t in 0..batch.time {
            let output = match &batch.input {
                Input::Tokens { ids } => {
                    session.step_tokens(&vec![i64::from(ids[t]); self.rows])?
                }
                Input::Features { values, width } => {
                    let step = &values[t * width..(t + 1) * width];
                    session.step_features(&step.repeat(self.rows))?
                }
            };
            if !per_step {
                all.clear();
            }
            all.extend(first_row(output, self.rows));
        }
        Ok(all)
    }
}

fn widened(ids: &[u32]) -> Vec<i64> {
    ids.iter().map(|id| i64::from(*id)).collect()
}

fn first_row(output: runtime::Output, rows: usize) -> Vec<f32> {
    let mut values = output.values;
    values.truncate(values.len() / rows);
    values
}
