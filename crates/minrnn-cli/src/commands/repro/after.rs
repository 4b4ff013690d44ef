//! What is measured of a model when its training is over.

use std::sync::Arc;

use anyhow::{Result, bail};
use minrnn_runtime::{Input, Model, Session};
use minrnn_train::checkpoint::Checkpoint;
use minrnn_train::task::{Split, TaskConfig};
use minrnn_train::trainer::Trainer;

use super::context::Context;
use super::experiment::After;
use super::outcome::Done;
use super::queue::{Item, lengths};
use crate::config::Config;
use crate::files::Loaded;

pub(super) fn measure(
    cx: &Context,
    item: &Item,
    config: &Config,
    loaded: &Loaded,
    done: &mut Done,
) -> Result<()> {
    for after in &item.row.after {
        match after {
            After::Test => {
                let (loss, accuracy) = test(cx, config, loaded)?;
                done.figure("test_loss", loss);
                if let Some(accuracy) = accuracy {
                    done.figure("accuracy", 100.0 * accuracy);
                }
            }
            After::Lengths => by_length(cx, item, config, loaded, done)?,
            After::Carried => match carried(cx, item, loaded, config)? {
                Some(loss) => done.figure("carried", loss),
                None => cx.ui.note(&format!(
                    "{}: the model has no form parallel, and the state is not carried through the text",
                    item.key()
                )),
            },
        }
    }
    Ok(())
}

/// Loss and accuracy of the best weights on the test part.
fn test(cx: &Context, config: &Config, loaded: &Loaded) -> Result<(f64, Option<f64>)> {
    let checkpoint = Checkpoint::load_weights(&loaded.path)?;
    let trainer = Trainer::from_weights(&config.train, &checkpoint, &loaded.path, &cx.device);
    let trainer = trainer.map_err(|e| config.explain(e))?;
    let metrics = trainer.evaluate(Split::Test, 0)?;
    Ok((metrics.loss, metrics.accuracy))
}

/// The same for strings of each range of lengths.
fn by_length(
    cx: &Context,
    item: &Item,
    config: &Config,
    loaded: &Loaded,
    done: &mut Done,
) -> Result<()> {
    let lengths = lengths(item.row, cx.small);
    for ends in lengths.windows(2) {
        let mut part = cx.config(item.row, item.case, None)?;
        part.train.task = config.train.task.clone();
        match &mut part.train.task {
            TaskConfig::FormalLanguage(options) => {
                options.eval_length = [ends[0] as usize, ends[1] as usize];
            }
            _ => bail!(
                "{}: what is measured by length is a formal language",
                item.key()
            ),
        }
        let (_, accuracy) = test(cx, &part, loaded)?;
        done.figure(
            format!("length.{}", ends[1]),
            100.0 * accuracy.unwrap_or_default(),
        );
    }
    Ok(())
}

/// Mean loss over the validation text in one go, the state carried from piece to piece, by the exported sequence.
fn carried(cx: &Context, item: &Item, loaded: &Loaded, config: &Config) -> Result<Option<f64>> {
    let export = cx.export(&item.key());
    let (step, sequence) = (
        export.join("model.step.onnx"),
        export.join("model.parallel.onnx"),
    );
    if !step.exists() || !sequence.exists() {
        return Ok(None);
    }
    let checkpoint = Checkpoint::load_weights(&loaded.path)?;
    let (task, _) = minrnn_train::trainer::open_data(&config.train, &checkpoint, &loaded.path)?;
    let mut ids: Vec<i64> = vec![];
    for first in 0..task.len(Split::Validation).unwrap_or(0) {
        let batch = task.batch(Split::Validation, first, 1)?;
        let minrnn_train::task::Input::Tokens { ids: window } = &batch.input else {
            bail!("a text has tokens");
        };
        ids.extend(window.iter().map(|id| i64::from(*id)));
    }
    let mut session = Session::new(Arc::new(Model::open(step)?), 1)?;
    let sequence = Model::open(sequence)?;
    let (mut sum, mut count) = (0.0, 0_u32);
    let (inputs, targets) = (&ids[..ids.len() - 1], &ids[1..]);
    for (piece, wanted) in inputs.chunks(PIECE).zip(targets.chunks(PIECE)) {
        let input = Input::Tokens {
            ids: piece,
            batch: 1,
            time: piece.len(),
        };
        let output = session.prefill(&sequence, input)?;
        let width = output.values.len() / piece.len();
        for (logits, wanted) in output.values.chunks(width).zip(wanted) {
            sum += cross_entropy(logits, *wanted as usize);
            count += 1;
        }
    }
    Ok(Some(sum / f64::from(count.max(1))))
}

/// Steps of a piece.
const PIECE: usize = 512;

/// In nats.
fn cross_entropy(logits: &[f32], wanted: usize) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let all: f64 = logits.iter().map(|l| f64::from(l - most).exp()).sum();
    all.ln() - f64::from(logits[wanted] - most)
}
