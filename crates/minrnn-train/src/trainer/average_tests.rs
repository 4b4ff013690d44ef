//! Averages of the weights.

use minrnn_model::params::Params;

use super::*;
use crate::task::Split;

fn config(train: &str) -> TrainConfig {
    let text = format!(
        "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 2\nvocab = 6\neval_samples = 64\n\
         [model]\nwidth = 8\nlayers = 2\ndropout = 0.1\n[model.conv]\nkernel = 3\n\
         [train]\nsteps = 30\nbatch = 4\nlr = 1e-2\nseed = 5\n{train}\n"
    );
    toml::from_str(&text).expect(&text)
}

const KINDS: [&str; 2] = [
    "average = { decay = 0.75 }",
    "average = { kind = 'tail', from = 4 }",
];

fn values(params: &Params) -> Vec<f32> {
    (0..params.len())
        .flat_map(|i| params.get(i).to_vec())
        .collect()
}

/// What the average is after each step, by its definition.
fn wanted(kind: usize, weights: &[Vec<f64>]) -> Vec<f64> {
    let n = weights.len();
    let mut average = weights[0].clone();
    for (step, now) in weights.iter().enumerate().skip(1) {
        let keep = match kind {
            // The mean of all, until there are 1 / (1 - decay) = 4.
            0 if step < 4 => step as f64 / (step as f64 + 1.0),
            0 => 0.75,
            _ if step <= 4 => 0.0,
            _ => (step - 4) as f64 / (step - 3) as f64,
        };
        for (average, now) in average.iter_mut().zip(now) {
            *average = keep * *average + (1.0 - keep) * now;
        }
    }
    if kind == 1 && n > 5 {
        // The mean of the weights after steps 4, 5, ..
        let tail = &weights[4..];
        let mean = |i: usize| tail.iter().map(|w| w[i]).sum::<f64>() / tail.len() as f64;
        average = (0..average.len()).map(mean).collect();
    }
    average
}

fn near(got: &[f32], wanted: &[f64]) {
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let error = (f64::from(*got) - wanted).abs();
        assert!(error <= 1e-6 * (1.0 + wanted.abs()), "{i}: {got} {wanted}");
    }
}

fn follows_its_definition(device: &Device) {
    for (kind, average) in KINDS.iter().enumerate() {
        for engine in ["candle", "tape"] {
            let config = config(&format!("{average}\nengine = '{engine}'"));
            let mut trainer = Trainer::new(&config, device).unwrap();
            let mut weights: Vec<Vec<f64>> = vec![];
            for step in 0..12 {
                trainer.step().unwrap();
                let now = values(&trainer.backend.params().unwrap());
                weights.push(now.into_iter().map(f64::from).collect());
                let got = values(&trainer.params().unwrap());
                near(&got, &wanted(kind, &weights));
                let raw = &weights[step];
                let apart = got.iter().zip(raw).any(|(a, b)| f64::from(*a) != *b);
                assert_eq!(apart, step > kind * 4, "{engine} {average} {step}");
            }
        }
    }
}

#[test]
fn the_average_follows_its_definition_on_every_engine() {
    follows_its_definition(&Device::Cpu);
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that could not run says so")]
fn the_average_on_a_gpu_follows_its_definition() {
    let gpu = match Device::cuda(0) {
        Ok(gpu) => gpu,
        Err(error) => return eprintln!("not run: {error}"),
    };
    follows_its_definition(&gpu);
    evaluations_are_of_the_average(&gpu);
    for kind in KINDS {
        goes_on_bit_for_bit(&config(kind), &gpu);
    }
}

fn evaluations_are_of_the_average(device: &Device) {
    let path = std::path::Path::new("checkpoint");
    for engine in ["candle", "tape"] {
        let averaged = config(&format!("{}\nengine = '{engine}'", KINDS[0]));
        let mut trainer = Trainer::new(&averaged, device).unwrap();
        let (mut plain, mut losses) = (averaged.clone(), [vec![], vec![]]);
        plain.train.average = None;
        let mut beside = Trainer::new(&plain, device).unwrap();
        for _ in 0..10 {
            for (trainer, losses) in [&mut trainer, &mut beside].into_iter().zip(&mut losses) {
                losses.push(trainer.step().unwrap().loss);
                trainer.evaluate(Split::Validation, 0).unwrap();
            }
        }
        assert_eq!(
            losses[0], losses[1],
            "the steps are those without an average"
        );
        let metrics = trainer.evaluate(Split::Validation, 0).unwrap();
        let checkpoint = trainer.checkpoint().unwrap();
        // Whoever reads the checkpoint's weights finds the average.
        let read = Trainer::from_weights(&plain, &checkpoint, path, device).unwrap();
        assert_eq!(read.evaluate(Split::Validation, 0).unwrap(), metrics);
        let raw = beside.evaluate(Split::Validation, 0).unwrap();
        assert_ne!(raw.loss, metrics.loss);
        let named = |params: Params| params.to_named(trainer.model().graph());
        let weights = checkpoint.raw.unwrap();
        for (name, (_, data)) in named(beside.params().unwrap()) {
            assert_eq!(weights[&name].data, data, "{engine} {name}");
        }
    }
}

#[test]
fn evaluations_and_checkpoints_are_of_the_average_and_steps_are_not() {
    evaluations_are_of_the_average(&Device::Cpu);
}

fn goes_on_bit_for_bit(config: &TrainConfig, device: &Device) {
    let mut whole = Trainer::new(config, device).unwrap();
    let losses: Vec<f64> = (0..9).map(|_| whole.step().unwrap().loss).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let mut first = Trainer::new(config, device).unwrap();
    for cut in 1..9 {
        first.step().unwrap();
        first.checkpoint().unwrap().save(&path).unwrap();
        let checkpoint = Checkpoint::load(&path).unwrap();
        let options = ResumeOptions::default();
        let mut second = Trainer::resume(config, &checkpoint, &path, device, options).unwrap();
        for wanted in &losses[cut..] {
            assert_eq!(
                second.step().unwrap().loss.to_bits(),
                wanted.to_bits(),
                "cut at {cut}"
            );
        }
        assert_eq!(second.checkpoint().unwrap(), whole.checkpoint().unwrap());
    }
    // Without the key the weights go on, not their average.
    let plain = TrainConfig {
        train: TrainOptions {
            average: None,
            ..config.train.clone()
        },
        ..config.clone()
    };
    let checkpoint = Checkpoint::load(&path).unwrap();
    let options = ResumeOptions::default();
    let mut plain = Trainer::resume(&plain, &checkpoint, &path, device, options).unwrap();
    assert_eq!(plain.step().unwrap().loss.to_bits(), losses[8].to_bits());
    assert!(
        plain
            .notes()
            .iter()
            .any(|note| note.contains("train.average"))
    );
}

#[test]
fn a_resumed_run_goes_on_with_its_average_bit_for_bit() {
    for kind in KINDS {
        for engine in ["candle", "tape"] {
            goes_on_bit_for_bit(
                &config(&format!("{kind}\nengine = '{engine}'")),
                &Device::Cpu,
            );
        }
    }
}

/// Where a run goes on with an average for the first time, its weights then are the first of it, and count once.
#[test]
fn an_average_that_begins_later_is_of_the_weights_from_there_on() {
    let path = std::path::Path::new("checkpoint");
    let mut plain = config("");
    plain.train.engine = TrainEngine::Candle;
    let mut first = Trainer::new(&plain, &Device::Cpu).unwrap();
    for _ in 0..6 {
        first.step().unwrap();
    }
    let begun = first.checkpoint().unwrap();
    for (kind, first_step) in [
        ("{ decay = 0.999 }", 6),
        ("{ kind = 'tail', from = 2 }", 6),
        ("{ kind = 'tail', from = 7 }", 8),
    ] {
        let mut later = config(&format!("average = {kind}"));
        later.train.engine = TrainEngine::Candle;
        let options = ResumeOptions::default();
        let mut trainer = Trainer::resume(&later, &begun, path, &Device::Cpu, options).unwrap();
        let mut weights = vec![values(&first.params().unwrap())];
        for _ in 0..4 {
            trainer.step().unwrap();
            weights.push(values(&trainer.backend.params().unwrap()));
        }
        let taken = &weights[first_step - 6..];
        let mean =
            |i: usize| taken.iter().map(|w| f64::from(w[i])).sum::<f64>() / taken.len() as f64;
        let wanted: Vec<f64> = (0..weights[0].len()).map(mean).collect();
        near(&values(&trainer.params().unwrap()), &wanted);
        let state = trainer.checkpoint().unwrap().trainer.unwrap();
        let average = later.train.average.as_ref().unwrap();
        assert_eq!(
            average.span(state.step, state.average_since),
            Some((first_step as u64, 10)),
            "{kind}"
        );
        // It is known where the run goes on again.
        let again = trainer.checkpoint().unwrap();
        let again = Trainer::resume(&later, &again, path, &Device::Cpu, options).unwrap();
        assert_eq!(again.state.average_since, 6);
    }
}

#[test]
fn what_would_change_nothing_or_has_no_meaning_is_refused_by_name() {
    for (average, words) in [
        ("{ decay = 1.0 }", "`train.average.decay`: is 1"),
        (
            "{ kind = 'tail', from = 2, decay = 0.5 }",
            "`train.average.decay`: is of kind = \"ema\"",
        ),
        (
            "{ from = 2 }",
            "`train.average.from`: is of kind = \"tail\"",
        ),
        ("{ kind = 'tail' }", "`train.average.from`: is missing"),
        ("{ kind = 'tail', from = 29 }", "the run has 30 steps"),
    ] {
        let config = config(&format!("average = {average}"));
        let error = Trainer::new(&config, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(words), "{average}: {error}");
    }
}
