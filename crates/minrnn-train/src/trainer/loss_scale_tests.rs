use std::path::Path;

use minrnn_kernels::loss_scale::LossScale;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::trainer::{Control, Device, ResumeOptions, StepLog, TrainConfig};

fn config(train: &str) -> TrainConfig {
    let text = format!(
        "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 3\nvocab = 8\neval_samples = 4\n\
         [model]\nwidth = 8\nlayers = 2\n[model.conv]\nkernel = 3\n\
         [train]\nsteps = 60\nbatch = 8\nlr = 1e-2\ndecay = 'constant'\n{train}\n"
    );
    toml::from_str(&text).expect(&text)
}

fn said(train: &str) -> String {
    Trainer::new(&config(train), &Device::Cpu)
        .map(drop)
        .unwrap_err()
        .to_string()
}

#[test]
fn float16_is_refused_by_name_where_there_is_no_gpu() {
    for engine in ["auto", "tape", "candle"] {
        let error = said(&format!("engine = '{engine}'\nprecision = 'f16'"));
        assert!(
            error.contains("train.precision") && error.contains("is f16, which GPUs have"),
            "{error}"
        );
    }
}

#[test]
fn a_factor_that_makes_no_sense_is_refused_by_its_key() {
    let error = said("loss_scale = { initial = 1024.0 }");
    assert!(
        error.contains("train.loss_scale") && error.contains("precision = \"f16\""),
        "{error}"
    );
    for (table, key) in [
        ("initial = 1000.0", "initial"),
        ("initial = 0.5", "initial"),
        ("fixed = -2.0", "fixed"),
        ("fixed = inf", "fixed"),
        ("growth_interval = 0", "growth_interval"),
        ("growth_interval = 16777217", "growth_interval"),
        ("fixed = 8.0, initial = 8.0", "initial"),
        ("fixed = 8.0, growth_interval = 8", "growth_interval"),
    ] {
        let error = said(&format!("precision = 'f16'\nloss_scale = {{ {table} }}"));
        let key = format!("train.loss_scale.{key}");
        assert!(error.contains(&key), "{table}: {error}");
    }
}

#[test]
fn the_first_factor_is_that_of_the_configuration() {
    let of = |table: &str| {
        let text = format!("precision = 'f16'\nloss_scale = {{ {table} }}");
        config(&text).train.loss_scale.unwrap_or_default().first()
    };
    let usual = LossScale {
        scale: 65536.0,
        good: 0,
        interval: Some(2000),
    };
    assert_eq!(of(""), usual);
    assert_eq!(
        config("precision = 'f16'")
            .train
            .loss_scale
            .unwrap_or_default()
            .first(),
        usual
    );
    let scale = 8.0;
    assert_eq!(of("initial = 8.0"), LossScale { scale, ..usual });
    let interval = Some(7);
    assert_eq!(of("growth_interval = 7"), LossScale { interval, ..usual });
    let interval = None;
    let fixed = LossScale {
        scale,
        interval,
        ..usual
    };
    assert_eq!(of("fixed = 8.0"), fixed);
    // What a checkpoint has of one that moves.
    let state = ScaleState {
        scale: 4.0,
        good_steps: 30,
    };
    let goes_on = |train: &str| kept(&config(train).train.loss_scale.unwrap_or_default(), &state);
    assert_eq!((goes_on("").scale, goes_on("").good), (4.0, 30));
    let shorter = goes_on("loss_scale = { growth_interval = 7 }");
    assert_eq!((shorter.scale, shorter.good), (4.0, 6));
    assert_eq!(goes_on("loss_scale = { fixed = 8.0 }"), fixed);
}

fn goes_on(config: &TrainConfig, checkpoint: &Checkpoint, device: &Device) -> Trainer {
    let options = ResumeOptions::default();
    Trainer::resume(config, checkpoint, Path::new("run"), device, options).unwrap()
}

/// As a GPU made the checkpoint.
#[test]
fn a_run_in_float16_goes_on_in_another_precision_and_keeps_count() {
    let config = config("");
    let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
    for _ in 0..4 {
        trainer.step().unwrap();
    }
    let mut checkpoint = trainer.checkpoint().unwrap();
    checkpoint.config["train"]["precision"] = "f16".into();
    let state = checkpoint.trainer.as_mut().unwrap();
    assert_eq!((state.skipped, state.loss_scale), (0, None));
    state.skipped = 1;
    state.loss_scale = Some(ScaleState {
        scale: 32768.0,
        good_steps: 2,
    });
    let message = state.contradiction(checkpoint.optimizer.as_ref()).unwrap();
    assert!(message.contains("of which 1 were left out"), "{message}");
    checkpoint.optimizer.as_mut().unwrap().step = 3;
    let mut trainer = goes_on(&config, &checkpoint, &Device::Cpu);
    assert!(
        trainer.notes()[0].contains("train.precision \"f16\" -> \"f32\""),
        "{:?}",
        trainer.notes()
    );
    assert_eq!((trainer.loss_scale(), trainer.skipped()), (None, 1));
    trainer.step().unwrap();
    let next = trainer.checkpoint().unwrap();
    let (state, optimizer) = (next.trainer.unwrap(), next.optimizer.unwrap());
    assert_eq!((state.step, state.skipped, optimizer.step), (5, 1, 4));
    assert_eq!(state.contradiction(Some(&optimizer)), None);
    for (skipped, scale, what) in [
        (6, 8.0, "left out of 5"),
        (1, 3.0, "factor on the loss is 3"),
    ] {
        let mut wrong = state.clone();
        wrong.skipped = skipped;
        wrong.loss_scale = Some(ScaleState {
            scale,
            good_steps: 0,
        });
        let message = wrong.contradiction(Some(&optimizer)).unwrap();
        assert!(message.contains(what), "{message}");
    }
}

/// A GPU, or a word of why there is none.
#[allow(clippy::print_stderr, reason = "a test that could not run says so")]
fn gpu() -> Option<Device> {
    match Device::cuda(0) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            eprintln!("not run: {error}");
            None
        }
    }
}

fn fit(trainer: &mut Trainer) -> Vec<StepLog> {
    let mut logs = vec![];
    // No more than are left: a group of steps goes beyond the end of a run.
    while let left @ 1.. = trainer.config().train.steps - trainer.steps_done() {
        let (steps, error) = trainer.steps(left.min(60)).unwrap();
        assert!(error.is_none(), "{error:?}");
        logs.extend(steps);
    }
    logs
}

#[test]
fn losses_in_float16_follow_those_in_f32() {
    let Some(gpu) = gpu() else { return };
    for options in [
        "",
        "optimizer = { clip_norm = 0.5 }\naverage = { decay = 0.9 }",
        "optimizer = { clip_norm = 0.5, muon = { lr = 5e-3 } }",
        "loss_scale = { fixed = 1024.0 }",
        "accumulate = 3\noptimizer = { clip_norm = 0.5 }",
    ] {
        let run = |precision: &str| {
            let options = match precision {
                "f32" => options.replace("loss_scale = { fixed = 1024.0 }", ""),
                _ => options.to_owned(),
            };
            let train = format!("engine = 'tape'\nprecision = '{precision}'\n{options}");
            let mut trainer = Trainer::new(&config(&train), &gpu).unwrap();
            let logs = fit(&mut trainer);
            let half = precision == "f16";
            assert!(logs.iter().all(|log| log.loss_scale.is_some() == half));
            logs
        };
        let (want, got) = (run("f32"), run("f16"));
        for (want, got) in want.iter().zip(&got) {
            assert!(!got.skipped, "{options} {got:?}");
            let near = |g: f64, w: f64, part: f64| (g - w).abs() <= part * (1.0 + w.abs());
            assert!(
                near(got.loss, want.loss, 0.05),
                "{options} {got:?} {want:?}"
            );
            if want.step < 3 {
                assert!(
                    near(got.grad_norm, want.grad_norm, 0.02),
                    "{got:?} {want:?}"
                );
            }
        }
        assert!(got[59].loss < 0.8 * got[0].loss, "{options} {:?}", got[59]);
    }
}

/// So large that some of the first steps are left out, all in one line.
const LARGE: &str = "engine = 'tape'\nprecision = 'f16'\nloss_scale = { initial = 67108864.0, growth_interval = 4 }\naverage = { decay = 0.5 }\n";

#[test]
fn an_overflow_leaves_the_step_out_and_halves_the_factor() {
    let Some(gpu) = gpu() else { return };
    for optimizer in [
        "",
        "optimizer = { weight_decay = 0.0 }",
        "optimizer = 'muon'",
        "accumulate = 3",
    ] {
        let config = config(&format!("{LARGE}{optimizer}"));
        let mut one = Trainer::new(&config, &gpu).unwrap();
        let first = one.checkpoint().unwrap();
        let mut skipped = 0;
        let log = loop {
            let log = one.step().unwrap();
            assert_eq!(log.loss_scale, Some(2f64.powi(26 - skipped)));
            assert!(log.loss.is_finite());
            if !log.skipped {
                break log;
            }
            skipped += 1;
            assert!(!log.grad_norm.is_finite());
            assert_eq!(one.loss_scale(), Some(2f64.powi(26 - skipped)));
            let now = one.checkpoint().unwrap();
            // The same bits, of the weights, of their average, and of what the optimizer remembers.
            assert_eq!((&now.params, &now.raw), (&first.params, &first.raw));
            assert_eq!(now.optimizer, first.optimizer);
        };
        assert!((2..15).contains(&skipped), "{skipped}");
        assert_eq!(one.skipped(), skipped as u64);
        assert!(log.grad_norm.is_finite() && log.grad_norm > 0.0);
        let now = one.checkpoint().unwrap();
        assert_ne!(now.raw, first.raw);
        let optimizer = now.optimizer.as_ref().unwrap();
        assert_eq!(optimizer.step, 1, "what was left out is no update");
        // AdamW's first update is as long as the learning rate, and shorter the later it is thought to be.
        if optimizer.slots.contains_key("second") && optimizer_is_plain(optimizer) {
            let moved = |(name, old): (&String, &crate::checkpoint::TensorData)| {
                let new = &now.raw.as_ref().unwrap()[name];
                let pairs = old.data.iter().zip(&new.data);
                pairs
                    .map(|(a, b)| f64::from((a - b).abs()))
                    .fold(0.0, f64::max)
            };
            let most = first.raw.as_ref().unwrap().iter().map(moved);
            let most = most.fold(0.0, f64::max);
            assert!((most / 1e-2 - 1.0).abs() < 0.1, "{most}");
        }
        // All in one line, of which the host looks at the end only: which update it is, the GPU knows.
        let mut line = Trainer::new(&config, &gpu).unwrap();
        let (logs, error) = line.steps(skipped as u64 + 1).unwrap();
        assert!(error.is_none());
        assert_eq!(logs.len(), skipped as usize + 1);
        assert!(logs.iter().rev().skip(1).all(|log| log.skipped));
        assert_eq!(line.checkpoint().unwrap(), now);
        // And on from there.
        for _ in 0..5 {
            line.step().unwrap();
        }
        let (_, error) = one.steps(5).unwrap();
        assert!(error.is_none());
        assert_eq!(line.checkpoint().unwrap(), one.checkpoint().unwrap());
    }
}

/// Whether AdamW alone made it.
fn optimizer_is_plain(state: &crate::optim::OptimizerState) -> bool {
    !state.slots.contains_key("momentum")
}

#[test]
fn a_run_in_float16_that_is_resumed_gives_the_same_bytes() {
    let Some(gpu) = gpu() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text.txt");
    let text: String = (0..900)
        .map(|i| ['a', 'b', 'c'][(i * i + i / 3) % 3])
        .collect();
    std::fs::write(&path, text).unwrap();
    let carried = format!(
        "[task]\nkind = 'text'\npath = '{}'\nseq_len = 7\n[model]\nwidth = 6\nlayers = 1\n[model.conv]\nkernel = 3\n\
         [train]\nsteps = 30\nbatch = 3\nlr = 1e-2\ncarry_state = true\n{LARGE}",
        path.display()
    );
    let carried: TrainConfig = toml::from_str(&carried).unwrap();
    let mut plain = config(&format!(
        "{LARGE}optimizer = {{ clip_norm = 0.5, muon = {{ lr = 5e-3 }} }}"
    ));
    plain.train.steps = 30;
    let mut parts = carried.clone();
    parts.train.accumulate = 2;
    for config in [carried, parts, plain] {
        let mut whole = Trainer::new(&config, &gpu).unwrap();
        fit(&mut whole);
        assert!(whole.skipped() > 0);
        // Among the steps that are left out, and among those behind.
        for at in [2, 5, 17] {
            let mut part = Trainer::new(&config, &gpu).unwrap();
            let mut done = 0;
            while done < at {
                done += part.steps(at - done).unwrap().0.len() as u64;
            }
            let mut rest = goes_on(&config, &part.checkpoint().unwrap(), &gpu);
            fit(&mut rest);
            assert_eq!(
                rest.checkpoint().unwrap(),
                whole.checkpoint().unwrap(),
                "{at}"
            );
        }
    }
}

/// A learning rate of 1e30 makes the loss infinite at once, which no factor mends.
#[test]
fn a_loss_that_is_not_finite_in_float16_is_no_overflow_of_gradients() {
    let Some(gpu) = gpu() else { return };
    let with = |lr: f64, more: &str| {
        let mut config = config(&format!("{LARGE}{more}"));
        config.train.lr = lr;
        config
    };
    let stops = Trainer::new(&with(1e30, ""), &gpu)
        .unwrap()
        .fit(&mut |_, _| Ok(Control::Continue));
    let error = stops.map(drop).unwrap_err().to_string();
    assert!(error.contains("the loss at step"), "{error}");
    let rolling = with(1e30, "on_nan = 'roll_back'\nroll_back_factor = 1e-33");
    let mut rolled = Trainer::new(&rolling, &gpu).unwrap();
    rolled.fit(&mut |_, _| Ok(Control::Continue)).unwrap();
    let mut plain = Trainer::new(&with(1e30 * 1e-33, ""), &gpu).unwrap();
    plain.fit(&mut |_, _| Ok(Control::Continue)).unwrap();
    assert_eq!(rolled.params().unwrap(), plain.params().unwrap());
    assert_eq!(rolled.skipped(), plain.skipped());
    assert_eq!(rolled.loss_scale(), plain.loss_scale());
}

#[test]
fn a_fixed_factor_that_is_too_large_ends_the_run() {
    let Some(gpu) = gpu() else { return };
    let large = "engine = 'tape'\nprecision = 'f16'\nloss_scale = { fixed = 1099511627776.0 }";
    let mut trainer = Trainer::new(&config(large), &gpu).unwrap();
    let error = trainer.step().unwrap_err().to_string();
    let of = [
        "the gradient of `",
        "(in float16, of the loss times 1099511627776)",
    ];
    assert!(of.iter().all(|part| error.contains(part)), "{error}");
}
