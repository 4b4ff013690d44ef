//! The largest activations on real data: the scales of static int8.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run};
use minrnn_model::params::Params;
use minrnn_train::task::{Batch, Input};

/// The largest magnitude before each matrix product, by name of the weight, over all steps of a batch.
///
/// What lies behind a row's end is no data: zeros there are far from all features whose mean is far from 0, and a scale that has room
/// for them has none for the features. So rows of unequal length go one by one, each as long as it is.
pub(super) fn largest(
    batch: &Batch,
    model: &Model,
    params: &Params,
) -> Result<BTreeMap<String, f32>> {
    if batch.reset.is_some() {
        bail!("the data of --eval has rows with resets; calibrate with whole rows");
    }
    let graph = model.graph();
    let mut largest = vec![0.0f64; graph.nodes().len()];
    let pieces: Vec<(usize, usize, usize)> = match &batch.lens {
        None => vec![(0, batch.batch, batch.time)],
        Some(lens) => (0..)
            .zip(lens)
            .map(|(row, n)| (row, 1, *n as usize))
            .collect(),
    };
    for (first, rows, time) in pieces {
        let data = match &batch.input {
            Input::Tokens { ids } => Data::Tokens(&ids[first * batch.time..][..rows * time]),
            Input::Features { values, width } => {
                Data::Features(&values[first * batch.time * width..][..rows * time * width])
            }
        };
        let run = Run::new(rows, time, data);
        oracle::walk(graph, params, &run, &mut |value, t| {
            let seen = &mut largest[value.index()];
            *seen = t.data.iter().fold(*seen, |m, v| m.max(v.abs()));
        })?;
    }
    let mut scales = BTreeMap::new();
    let uses = graph.uses();
    for node in graph.nodes() {
        if let Some(weight) = graph.weight(node).filter(|w| uses[w.index()].is_narrow()) {
            let name = graph.param_spec(weight).name.clone();
            let seen = largest[node.inputs[0].index()] as f32;
            let scale = scales.entry(name).or_insert(0.0f32);
            *scale = scale.max(seen);
        }
    }
    Ok(scales)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use minrnn_onnx::export::{Activations, Weights};
    use minrnn_train::task::{Split, Task, TaskConfig};
    use minrnn_train::trainer::{TrainConfig, resolve};

    use super::*;

    /// Sequences of 3 to 12 steps of a clock at 5.5e6 +- 10, and a small model of them.
    fn clocks(per: &str) -> (Box<dyn Task>, Model, Params) {
        let dir = tempfile::tempdir().unwrap();
        let mut text = String::from("id,clock,class\n");
        for id in 0..20 {
            for t in 0..3 + id * 7 % 10 {
                let clock = 5.5e6 + 10.0 * f64::from(t + id).sin();
                writeln!(text, "{id},{clock},{}", id % 2).unwrap();
            }
        }
        let path = dir.path().join("clocks.csv");
        std::fs::write(&path, text).unwrap();
        let toml = format!(
            "[task]\nkind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['clock']\n\
             target_columns = ['class']\ntarget = 'classes'\nper = '{per}'\n[model]\nwidth = 8\nlayers = 1\n\
             [train]\nsteps = 1\nbatch = 1\nlr = 1e-3\n",
            path.display()
        );
        let config: TrainConfig = toml::from_str(&toml).unwrap();
        let task = TaskConfig::open(&config.task, 0).unwrap();
        let model = Model::from_config(&resolve(&config.model, &*task).unwrap()).unwrap();
        let params = Params::init(model.graph(), 3);
        (task, model, params)
    }

    #[test]
    fn scales_are_those_of_real_steps_alone() {
        for per in ["sequence", "step"] {
            let (task, model, params) = clocks(per);
            let batch = task.batch(Split::Train, 0, 8).unwrap();
            let lens = batch.lens.as_ref().unwrap();
            assert!(lens.iter().any(|n| (*n as usize) < batch.time), "{lens:?}");
            let scales = largest(&batch, &model, &params).unwrap();
            // The same rows one at a time, which have no padding.
            let mut alone: BTreeMap<String, f32> = BTreeMap::new();
            for i in 0..8 {
                let row = task.batch(Split::Train, i, 1).unwrap();
                assert_eq!((&row.lens, row.time), (&None, lens[i as usize] as usize));
                for (name, scale) in largest(&row, &model, &params).unwrap() {
                    let all = alone.entry(name).or_default();
                    *all = all.max(scale);
                }
            }
            assert_eq!(scales, alone);
            // Normalised, real features are below 3; zeros behind a row's end would be 8e5.
            assert!(!scales.is_empty());
            assert!(
                scales.values().all(|s| (0.1..50.0).contains(s)),
                "{scales:?}"
            );
        }
    }

    /// With a scale for padding every feature is rounded to the same step, and the answer is that of a clock that stands.
    #[test]
    fn rounded_by_their_scales_features_still_tell() {
        let (task, model, params) = clocks("sequence");
        let batch = task.batch(Split::Train, 0, 8).unwrap();
        let scales = largest(&batch, &model, &params).unwrap();
        let rounding = Weights::Int8(Activations::Static(scales)).rounding(model.graph());
        let answer = |values: &[f32]| {
            let run = Run {
                rounding: rounding.as_ref(),
                ..Run::new(1, values.len(), Data::Features(values))
            };
            let output = oracle::run(model.graph(), &params, &run).unwrap().output;
            output.data
        };
        for i in 0..8 {
            let row = task.batch(Split::Train, i, 1).unwrap();
            let Input::Features { values, .. } = &row.input else {
                panic!("features")
            };
            let (moves, stands) = (answer(values), answer(&vec![5.5e6; values.len()]));
            assert!(
                moves.iter().zip(&stands).any(|(a, b)| (a - b).abs() > 1e-3),
                "{moves:?} {stands:?}"
            );
        }
    }
}
