//! What a narrow type costs: the loss of the exported file on held-out data beside that of the checkpoint; and the largest
//! activations, for scales that do not depend on the input.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use minrnn_model::graph::{Graph, Op};
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data as Given, Run};
use minrnn_model::params::Params;
use minrnn_runtime as runtime;
use minrnn_train::task::{Batch, Input, Split, Targets, Task};
use minrnn_train::trainer::{Device, Trainer};

use crate::config::Config;
use crate::verify::Export;

/// Samples that are measured, and samples that scales are calibrated on.
const SAMPLES: u64 = 32;
const CALIBRATION: usize = 8;

/// A task with held-out data.
pub(super) struct Data {
    trainer: Trainer,
}

/// Two losses on the same data.
pub(super) struct Measured {
    samples: u64,
    steps: usize,
    unit: &'static str,
    wide: f64,
    narrow: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = self.narrow - self.wide;
        write!(
            f,
            "held-out loss ({}, {} targets in {} samples): checkpoint {:.5}, exported file {:.5} ({change:+.5})",
            self.unit, self.steps, self.samples, self.wide, self.narrow
        )
    }
}

impl Data {
    pub(super) fn open(path: &Path, sets: &[String]) -> Result<Self> {
        let config = Config::read(path, sets)?;
        let trainer = Trainer::new(&config.train, &Device::Cpu).map_err(|e| config.explain(e))?;
        Ok(Self { trainer })
    }

    fn task(&self) -> &dyn Task {
        self.trainer.task()
    }

    /// The data must be of the model's kind.
    pub(super) fn fits(&self, model: &Model) -> Result<()> {
        let (own, theirs) = (self.trainer.model().graph(), model.graph());
        let width = |g: &Graph| g.width(g.output().value);
        if own.input() != theirs.input()
            || width(own) != width(theirs)
            || own.is_last_step() != theirs.is_last_step()
        {
            bail!(
                "the data of --eval is not what the model takes: the data has {:?}, the model {:?}",
                own.input(),
                theirs.input()
            );
        }
        Ok(())
    }

    /// The largest magnitude before each matrix product, by name of the weight, over samples of the training part.
    pub(super) fn calibrate(
        &self,
        model: &Model,
        params: &Params,
    ) -> Result<BTreeMap<String, f32>> {
        let graph = model.graph();
        let batch = self.task().batch(Split::Train, 0, CALIBRATION)?;
        let data = match &batch.input {
            Input::Tokens { ids } => Given::Tokens(ids),
            Input::Features { values, .. } => Given::Features(values),
        };
        let mut largest = vec![0.0f64; graph.nodes().len()];
        oracle::walk(
            graph,
            params,
            &Run::new(batch.batch, batch.time, data),
            &mut |value, t| {
                largest[value.index()] = t.data.iter().fold(0.0, |m, v| m.max(v.abs()));
            },
        )?;
        let mut scales = BTreeMap::new();
        for node in graph.nodes() {
            if let Op::MatMul { weight } = node.op {
                let name = graph.param_spec(weight).name.clone();
                let seen = largest[node.inputs[0].index()] as f32;
                let scale = scales.entry(name).or_insert(0.0f32);
                *scale = scale.max(seen);
            }
        }
        Ok(scales)
    }

    /// Losses of the checkpoint and of the export in `out`, on the validation part.
    pub(super) fn measure(&self, model: &Model, params: &Params, out: &Path) -> Result<Measured> {
        let task = self.task();
        let samples = task.len(Split::Validation).unwrap_or(0).min(SAMPLES);
        if samples == 0 {
            bail!("the data of --eval has no validation part");
        }
        let export = Export::open(out)?;
        let form = ["parallel", "scan"]
            .into_iter()
            .find(|f| export.forms().any(|n| n == *f));
        let form = form.context(
            "the loss is measured with whole sequences; export the form parallel or scan too",
        )?;
        let file = export.load(form)?.context("the export has no form")?;
        let (mut wide, mut narrow) = (Sum::default(), Sum::default());
        for first in 0..samples {
            let batch = task.batch(Split::Validation, first, 1)?;
            if batch.reset.is_some()
                || batch
                    .lens
                    .as_ref()
                    .is_some_and(|l| l[0] as usize != batch.time)
            {
                bail!(
                    "the data of --eval has rows with resets or lengths; measure with whole rows"
                );
            }
            wide.add(&batch, &checkpoint(model, params, &batch)?);
            narrow.add(&batch, &exported(&file, &batch)?);
        }
        let unit = match task.batch(Split::Validation, 0, 1)?.targets {
            Targets::Classes { .. } => "nats",
            Targets::Values { .. } => "mean square",
        };
        Ok(Measured {
            samples,
            steps: wide.count,
            unit,
            wide: wide.mean(),
            narrow: narrow.mean(),
        })
    }
}

/// The checkpoint's outputs, in f32 by candle.
fn checkpoint(model: &Model, params: &Params, batch: &Batch) -> Result<Vec<f32>> {
    use candle_core::{DType, Device, Tensor};
    use minrnn_train::run::{self, Weights};
    let weights = Weights::new(model.graph(), params, DType::F32, &Device::Cpu)?;
    let shape = (batch.batch, batch.time);
    let input = match &batch.input {
        Input::Tokens { ids } => Tensor::from_slice(ids, shape, &Device::Cpu)?,
        Input::Features { values, width } => {
            Tensor::from_slice(values, (shape.0, shape.1, *width), &Device::Cpu)?
        }
    };
    let outcome = run::run(model.graph(), &weights, &run::Run::new(&input))?;
    Ok(outcome.output.flatten_all()?.to_vec1()?)
}

fn exported(file: &runtime::Model, batch: &Batch) -> Result<Vec<f32>> {
    let state = file.initial_state(batch.batch)?;
    let ids: Vec<i64>;
    let input = match &batch.input {
        Input::Tokens { ids: given } => {
            ids = given.iter().map(|id| i64::from(*id)).collect();
            runtime::Input::Tokens {
                ids: &ids,
                batch: batch.batch,
                time: batch.time,
            }
        }
        Input::Features { values, width } => runtime::Input::Features {
            values,
            batch: batch.batch,
            time: batch.time,
            width: *width,
        },
    };
    Ok(file.run(input, &state)?.0.values)
}

/// A weighted mean.
#[derive(Default)]
struct Sum {
    total: f64,
    weight: f64,
    count: usize,
}

impl Sum {
    fn add(&mut self, batch: &Batch, output: &[f32]) {
        let losses: Vec<f64> = match &batch.targets {
            Targets::Classes { ids, .. } => {
                let rows = output.chunks_exact(output.len() / ids.len());
                ids.iter()
                    .zip(rows)
                    .map(|(id, row)| cross_entropy(row, *id as usize))
                    .collect()
            }
            Targets::Values { values, width, .. } => values
                .chunks_exact(*width)
                .zip(output.chunks_exact(*width))
                .map(|(want, got)| {
                    let squares = want.iter().zip(got).map(|(w, g)| f64::from(w - g).powi(2));
                    squares.sum::<f64>() / *width as f64
                })
                .collect(),
        };
        for (i, loss) in losses.iter().enumerate() {
            let weight = batch.weights.as_ref().map_or(1.0, |w| f64::from(w[i]));
            self.total += weight * loss;
            self.weight += weight;
            self.count += usize::from(weight != 0.0);
        }
    }

    fn mean(&self) -> f64 {
        self.total / self.weight
    }
}

fn cross_entropy(logits: &[f32], class: usize) -> f64 {
    let top = logits
        .iter()
        .fold(f64::NEG_INFINITY, |m, v| m.max(f64::from(*v)));
    let sum: f64 = logits.iter().map(|v| (f64::from(*v) - top).exp()).sum();
    top + sum.ln() - f64::from(logits[class])
}
