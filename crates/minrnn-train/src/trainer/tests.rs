use super::*;
use crate::checkpoint::{load_model, take_model};
use minrnn_model::config::ModelConfig;
use std::path::Path;

fn config(extra_model: &str, extra_train: &str) -> TrainConfig {
    let text = format!(
        "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 2\nvocab = 6\neval_samples = 64\n\
         [model]\nwidth = 16\nlayers = 2\ndropout = 0.1\n{extra_model}\n\
         [train]\nsteps = 8\nbatch = 4\nlr = 3e-3\nseed = 5\n{extra_train}\n"
    );
    toml::from_str(&text).expect(&text)
}

fn trained(config: &TrainConfig, steps: u64) -> (Trainer, Vec<f64>) {
    trained_on(&Device::Cpu, config, steps)
}

fn trained_on(device: &Device, config: &TrainConfig, steps: u64) -> (Trainer, Vec<f64>) {
    let mut trainer = Trainer::new(config, device).unwrap();
    let losses = (0..steps).map(|_| trainer.step().unwrap().loss).collect();
    (trainer, losses)
}

#[test]
fn a_resumed_run_goes_on_bit_for_bit() {
    for (optimizer, more) in [
        ("clip_norm = 0.5", ""),
        ("clip_norm = 0.5", "accumulate = 3"),
        ("clip_norm = 0.5, muon = {}", ""),
    ] {
        goes_on_bit_for_bit(&config(
            "[model.conv]\nkernel = 3",
            &format!("warmup_steps = 3\noptimizer = {{ {optimizer} }}\n{more}"),
        ));
    }
}

fn goes_on_bit_for_bit(config: &TrainConfig) {
    let (whole, losses) = trained(config, 8);
    let mut first = Trainer::new(config, &Device::Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    for cut in 1..8 {
        first.step().unwrap();
        first.checkpoint().unwrap().save(&path).unwrap();
        let checkpoint = Checkpoint::load(&path).unwrap();
        let mut second = Trainer::resume(
            config,
            &checkpoint,
            &path,
            &Device::Cpu,
            ResumeOptions::default(),
        )
        .unwrap();
        for wanted in &losses[cut as usize..] {
            assert_eq!(
                second.step().unwrap().loss.to_bits(),
                wanted.to_bits(),
                "cut at {cut}"
            );
        }
        assert_eq!(
            second.params().unwrap(),
            whole.params().unwrap(),
            "cut at {cut}"
        );
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let config = config(
        "[model.mlp]\nexpansion = 2\n[model.cell]\nexpansion = 3",
        "",
    );
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| trained(&config, 4).0.params().unwrap())
    };
    let one = run(1);
    assert!(run(2) == one && run(5) == one);
}

#[test]
fn it_learns() {
    let mut config = config("", "");
    config.train = TrainOptions {
        steps: 250,
        batch: 16,
        lr: 2e-2,
        eval_every: 25,
        stop_at_accuracy: Some(0.95),
        ..config.train
    };
    config.model.dropout = 0.0;
    let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
    let before = trainer.evaluate(Split::Validation, 0).unwrap();
    let mut evals = 0;
    let after = trainer
        .fit(&mut |_, event| {
            evals += usize::from(matches!(event, Event::Eval { .. }));
            Ok(Control::Continue)
        })
        .unwrap()
        .unwrap();
    assert!(before.accuracy.unwrap() < 0.5, "{before:?}");
    assert!(after.accuracy.unwrap() > 0.9, "{after:?}");
    assert!(evals >= 2);
    assert_eq!(after.count, 128);
}

/// Steps at which evaluations were made, and the counter of those without a new best after each.
fn counted(trainer: &mut Trainer) -> Vec<(u64, u64)> {
    let mut all = vec![];
    trainer
        .fit(&mut |t, event| {
            if let Event::Eval { step, .. } = event {
                all.push((step, t.state.evals_since_best));
            }
            Ok(Control::Continue)
        })
        .unwrap();
    all
}

/// A learning rate of almost 0 leaves the loss where it is, but for its last digits, which dropout would not touch either.
fn stands_still(patience: u64) -> TrainConfig {
    let text = format!("eval_every = 2\npatience = {patience}");
    let mut config = config("", &text);
    (config.train.lr, config.train.steps) = (1e-30, 40);
    config.train.optimizer.weight_decay = 0.0;
    config
}

#[test]
fn a_run_ends_when_its_patience_does() {
    let config = stands_still(3);
    let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
    // The first is the best; the last one, over all, is made again at the end and does not count.
    assert_eq!(
        counted(&mut trainer),
        [(2, 0), (4, 1), (6, 2), (8, 3), (8, 3)]
    );
    assert!(trainer.is_out_of_patience());
    // What is over stays over when it goes on, and goes on where there is more patience.
    let checkpoint = trainer.checkpoint().unwrap();
    let again = |patience| {
        let path = Path::new("checkpoint");
        let config = stands_still(patience);
        let options = ResumeOptions::default();
        let mut trainer =
            Trainer::resume(&config, &checkpoint, path, &Device::Cpu, options).unwrap();
        counted(&mut trainer)
    };
    assert_eq!(again(3), [(8, 3)]);
    assert_eq!(again(4), [(10, 4), (10, 4)]);
}

/// The evaluation at the end of a run counts once, however often the run goes on without a step.
#[test]
fn a_run_that_is_over_loses_no_patience() {
    let mut config = stands_still(30);
    config.train.steps = 8;
    let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
    assert_eq!(counted(&mut trainer), [(2, 0), (4, 1), (6, 2), (8, 3)]);
    let path = Path::new("checkpoint");
    for _ in 0..2 {
        let checkpoint = trainer.checkpoint().unwrap();
        let options = ResumeOptions::default();
        trainer = Trainer::resume(&config, &checkpoint, path, &Device::Cpu, options).unwrap();
        assert_eq!(counted(&mut trainer), [(8, 3)]);
        assert_eq!(trainer.checkpoint().unwrap(), checkpoint);
    }
}

#[test]
fn a_run_with_patience_goes_on_as_if_it_had_not_stopped() {
    let config = stands_still(3);
    let mut whole = Trainer::new(&config, &Device::Cpu).unwrap();
    let wanted = counted(&mut whole);
    for cut in 1..8 {
        let mut first = Trainer::new(&config, &Device::Cpu).unwrap();
        let mut taken = None;
        first
            .fit(&mut |t, _| {
                if t.steps_done() == cut && taken.is_none() {
                    taken = Some(t.checkpoint()?);
                }
                Ok(Control::Continue)
            })
            .unwrap();
        let options = ResumeOptions::default();
        let path = Path::new("checkpoint");
        let mut second =
            Trainer::resume(&config, &taken.unwrap(), path, &Device::Cpu, options).unwrap();
        let later = |e: &&(u64, u64)| e.0 >= cut;
        let rest: Vec<_> = wanted.iter().filter(later).copied().collect();
        assert_eq!(counted(&mut second), rest, "cut at {cut}");
        assert_eq!(second.params().unwrap(), whole.params().unwrap());
    }
}

#[test]
fn a_caller_can_stop() {
    let mut trainer = Trainer::new(&config("", ""), &Device::Cpu).unwrap();
    trainer
        .fit(&mut |t, _| {
            Ok(if t.steps_done() == 3 {
                Control::Stop
            } else {
                Control::Continue
            })
        })
        .unwrap();
    assert_eq!(trainer.steps_done(), 3);
}

#[test]
fn what_does_not_fit_the_task_is_refused_by_key() {
    let check = |config: TrainConfig, wanted: &str| {
        let e = Trainer::new(&config, &Device::Cpu)
            .expect_err("must be refused")
            .to_string();
        assert!(e.contains(wanted), "{e}");
    };
    check(config("input = { vocab = 7 }", ""), "model.input.vocab");
    check(config("head = { width = 3 }", ""), "model.head.width");
    // Whatever the default is: what is said is not overruled.
    for (said, wanted) in [
        (
            "head = { kind = 'values' }",
            "`model.head.kind`: is \"values\", the task needs \"logits\"; leave it out, or change the task",
        ),
        (
            "head = { steps = 'last' }",
            "is \"last\", the task needs \"every\"",
        ),
    ] {
        check(config(said, ""), wanted);
    }
    let same = config("head = { kind = 'logits', steps = 'every' }", "");
    Trainer::new(&same, &Device::Cpu).unwrap();
    check(
        config("input = { features = 7 }", ""),
        "model.input.features",
    );
    check(config("cell = { expansion = 1.3 }", ""), "cell.expansion");
    check(
        config("cell = { kind = 'hyena', longest = 2 }", ""),
        "`model.cell.longest`: is 2, and the task has sequences of",
    );
    check(
        config("positions = 2", ""),
        "`model.positions`: is 2, and the task has sequences of",
    );
    let mut none = config("", "");
    none.train.batch = 0;
    check(none, "train.batch");
}

#[test]
fn checkpoints_of_other_models_are_refused() {
    let (trainer, _) = trained(&config("", ""), 1);
    let good = trainer.checkpoint().unwrap();
    let path = Path::new("somewhere");
    assert!(load_model(&good, path).unwrap().1 == trainer.params().unwrap());
    let check = |c: Checkpoint, wanted: &str| {
        let e = load_model(&c, path)
            .expect_err("must be refused")
            .to_string();
        assert!(e.contains(wanted), "{e}");
    };
    let mut c = good.clone();
    c.params.remove("head.weight");
    check(c, "head.weight");
    let mut c = good.clone();
    c.config["model"]["widht"] = 3.into();
    check(c, "widht");
    let mut c = good.clone();
    c.config["model"]["width"] = 8.into();
    check(c, "shape");
    let mut c = good.clone();
    c.config["model"]["cell"] = serde_json::json!({"kind": "custom", "name": "mine"});
    check(c, "layer of its own");
    let mut c = good;
    c.trainer = None;
    let e = Trainer::resume(
        &config("", ""),
        &c,
        path,
        &Device::Cpu,
        ResumeOptions::default(),
    )
    .expect_err("no state to resume");
    assert!(e.to_string().contains("trainer_state.json"), "{e}");
}

#[test]
fn features_with_labels_or_targets_for_steps_or_sequences_train_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.csv");
    let mut text = String::from("id,x,y,label\n");
    for id in 0..12 {
        for t in 0..(3 + id % 4) {
            text += &format!(
                "{id},{},{},{}\n",
                f64::from(id % 2) + 0.1 * f64::from(t),
                f64::from(t) - 1.5,
                id % 2
            );
        }
    }
    std::fs::write(&path, text).unwrap();
    for (target, per) in [
        ("classes", "sequence"),
        ("classes", "step"),
        ("values", "sequence"),
        ("values", "step"),
    ] {
        let toml = format!(
            "[task]\nkind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['x', 'y']\n\
             target_columns = ['label']\ntarget = '{target}'\nper = '{per}'\nvalidation_fraction = 0.25\n\
             [model]\nwidth = 8\nlayers = 1\nconv = {{ kernel = 3 }}\n[train]\nsteps = 40\nbatch = 4\nlr = 2e-2\n",
            path.display()
        );
        let mut trainer = Trainer::new(&toml::from_str(&toml).expect(&toml), &Device::Cpu).unwrap();
        assert_eq!(trainer.model().graph().is_last_step(), per == "sequence");
        let before = trainer.evaluate(Split::Train, 0);
        assert!(before.is_err(), "the training part is endless");
        let mut losses = vec![];
        let mut log = |event| {
            if let Event::Step(step) = event {
                losses.push(step.loss);
            }
            Ok(Control::Continue)
        };
        let after = trainer.fit(&mut |_, event| log(event)).unwrap().unwrap();
        let (first, last) = (
            losses[..10].iter().sum::<f64>(),
            losses[30..].iter().sum::<f64>(),
        );
        assert!(last < 0.9 * first, "{target} {per}: {first} to {last}");
        assert!(after.loss.is_finite());
        assert_eq!(after.accuracy.is_some(), target == "classes");
        let names: Vec<_> = trainer
            .model()
            .graph()
            .params()
            .iter()
            .map(|p| p.name.clone())
            .collect();
        assert!(
            names.contains(&"input.shift".to_owned()) && names.contains(&"input.scale".to_owned())
        );
    }
}

/// The evaluations of a run, which `cut` may end.
fn evaluations(trainer: &mut Trainer, cut: &dyn Fn(u64, Event) -> bool) -> Vec<(u64, u64, bool)> {
    let mut evals = vec![];
    // Its end is the cut's, or there is none.
    let _ = trainer.fit(&mut |trainer, event| {
        if let Event::Eval {
            step,
            metrics,
            best,
        } = event
        {
            evals.push((step, metrics.loss.to_bits(), best));
        }
        match cut(trainer.steps_done(), event) {
            true => Err(TrainError::config("cut", "here")),
            false => Ok(Control::Continue),
        }
    });
    evals
}

#[test]
fn an_evaluation_that_was_cut_short_is_made_again() {
    let config = config("", "eval_every = 3");
    let mut whole = Trainer::new(&config, &Device::Cpu).unwrap();
    let wanted = evaluations(&mut whole, &|_, _| false);
    assert_eq!(wanted.iter().map(|e| e.0).collect::<Vec<_>>(), [3, 6, 8]);
    type Cut = fn(u64, Event) -> bool;
    let cuts: [Cut; 3] = [
        |step, event| step == 3 && matches!(event, Event::Step(_)),
        |step, event| step == 3 && matches!(event, Event::Evaluating { done: 0, .. }),
        |step, event| step == 3 && matches!(event, Event::Evaluating { done: 8, .. }),
    ];
    for cut in cuts {
        let mut first = Trainer::new(&config, &Device::Cpu).unwrap();
        assert!(evaluations(&mut first, &cut).is_empty());
        let checkpoint = first.checkpoint().unwrap();
        assert!(checkpoint.trainer.as_ref().unwrap().evaluation_due);
        let mut second = Trainer::resume(
            &config,
            &checkpoint,
            Path::new("c"),
            &Device::Cpu,
            ResumeOptions::default(),
        )
        .unwrap();
        assert_eq!(evaluations(&mut second, &|_, _| false), wanted);
        let state = |t: &Trainer| t.checkpoint().unwrap().trainer;
        assert_eq!(state(&second), state(&whole));
    }
}

#[test]
fn each_evaluation_at_the_end_of_a_run_is_seen_from_its_beginning_and_can_be_cut() {
    let config = config("", "eval_every = 3\neval_samples = 6");
    let mut whole = Trainer::new(&config, &Device::Cpu).unwrap();
    let mut seen = vec![];
    whole
        .fit(&mut |trainer, event| {
            if let (8, Event::Evaluating { done: 0, all }) = (trainer.steps_done(), event) {
                seen.push(all);
            }
            Ok(Control::Continue)
        })
        .unwrap();
    assert_eq!(
        seen,
        [6, 64],
        "the part by which the best is chosen, and all"
    );
    let mut again = Trainer::new(&config, &Device::Cpu).unwrap();
    let wanted = evaluations(&mut again, &|_, _| false);
    for cut in [0, 4] {
        let mut first = Trainer::new(&config, &Device::Cpu).unwrap();
        let at = |step, event| {
            step == 8 && matches!(event, Event::Evaluating { done, all: 6 } if done == cut)
        };
        assert_eq!(evaluations(&mut first, &at), wanted[..2]);
        let mut second = Trainer::resume(
            &config,
            &first.checkpoint().unwrap(),
            Path::new("c"),
            &Device::Cpu,
            ResumeOptions::default(),
        )
        .unwrap();
        assert_eq!(evaluations(&mut second, &|_, _| false), wanted[2..]);
        let state = |t: &Trainer| t.checkpoint().unwrap().trainer;
        assert_eq!(state(&second), state(&whole));
    }
}

#[test]
fn a_run_that_needs_too_much_memory_is_refused_before_it_takes_it() {
    let mut config = config("", "");
    config.train.memory = Some(1 << 30);
    Trainer::new(&config, &Device::Cpu).unwrap();
    config.model.width = 200_000;
    let error = Trainer::new(&config, &Device::Cpu).unwrap_err();
    assert!(matches!(&error, TrainError::Memory { limit, .. } if *limit == 1 << 30));
    let text = error.to_string();
    assert!(
        text.contains(" TB of memory: ") && text.ends_with("; 1.1 GB are available"),
        "{text}"
    );
    config.model.width = 16;
    config.train.batch = 1 << 20;
    let text = Trainer::new(&config, &Device::Cpu).unwrap_err().to_string();
    assert!(
        text.contains("of B = 1048576 sequences of T = 14 steps"),
        "{text}"
    );
}

/// Sequences of two targets a step: a wave around 1000, and one a thousand times smaller. `scaled`: by hand, as the trainer does it.
fn series(scaled: Option<&ModelConfig>) -> String {
    let mut text = String::from("id,x,wave,small\n");
    for id in 0..40 {
        for t in 0..(10 + id % 3) {
            let x = f64::from(t) * 0.4 + f64::from(id);
            let [wave, small] =
                [1000.0 + 25.0 * libm::sin(x), 0.03 * libm::cos(x)].map(|v| v as f32);
            let of = |i: usize, v: f32| match scaled.map(|m| (&m.head.mean, &m.head.std)) {
                Some((Some(mean), Some(std))) if i < mean.len() => {
                    ((f64::from(v) - f64::from(mean[i])) / f64::from(std[i])) as f32
                }
                _ => v,
            };
            text += &format!(
                "{id},{},{},{}\n",
                libm::sin(x - 0.4),
                of(0, wave),
                of(1, small)
            );
        }
    }
    text
}

fn series_config(path: &Path, targets: &str, more: &str, steps: u64) -> TrainConfig {
    let text = format!(
        "[task]\nkind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['x']\n\
         target_columns = {targets}\nignore_columns = ['*']\ntarget = 'values'\nper = 'step'\n{more}\n\
         [model]\nwidth = 16\nlayers = 1\ndropout = 0.1\nhead = {{ bias = true }}\n\
         [train]\nsteps = {steps}\nbatch = 8\nlr = 1e-2\noptimizer = {{ clip_norm = 1.0 }}\n",
        path.display()
    );
    toml::from_str(&text).expect(&text)
}

#[test]
fn targets_around_1000_train_as_those_scaled_by_hand_bit_for_bit() {
    scaled_targets(&Device::Cpu);
}

#[cfg(feature = "cuda")]
#[test]
fn targets_around_1000_train_on_a_gpu_as_those_scaled_by_hand_bit_for_bit() {
    let Ok(gpu) = minrnn_kernels::cuda::Gpu::new(0) else {
        return;
    };
    scaled_targets(&Device::Cuda(gpu));
}

fn scaled_targets(device: &Device) {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let raw = put("raw.csv", series(None));
    for (targets, steps) in [("['wave']", 120), ("['wave', 'small']", 12)] {
        let config = series_config(&raw, targets, "", steps);
        let (mut ours, losses) = trained_on(device, &config, steps);
        let statistics = ours.config().model.clone();
        let by_hand = put("scaled.csv", series(Some(&statistics)));
        let config = series_config(&by_hand, targets, "normalize_targets = false", steps);
        let (mut theirs, want) = trained_on(device, &config, steps);
        assert_eq!(losses, want, "{targets}");
        let named = |t: &Trainer| t.params().unwrap().to_named(t.model().graph());
        let (mut ours_named, theirs_named) = (named(&ours), named(&theirs));
        let std = ours_named.remove("head.scale").expect("a buffer").1;
        ours_named.remove("head.shift").expect("a buffer");
        assert!(ours_named == theirs_named, "{targets}");
        // Reports are in the units of the data.
        let evaluate = |t: &mut Trainer| t.evaluate(Split::Validation, 0).unwrap().loss;
        let (raw_loss, scaled_loss) = (evaluate(&mut ours), evaluate(&mut theirs));
        if targets == "['wave']" {
            assert!(scaled_loss < 0.2, "{scaled_loss} of a variance");
            let wanted = scaled_loss * f64::from(std[0]).powi(2);
            assert!(
                (raw_loss / wanted - 1.0).abs() < 1e-3,
                "{raw_loss} {wanted}"
            );
            let off = series_config(&raw, targets, "normalize_targets = false", 12);
            let plain = evaluate(&mut trained_on(device, &off, 12).0);
            assert!(raw_loss < 100.0 && plain > 100_000.0, "{raw_loss} {plain}");
        }
    }
}

#[test]
fn a_resumed_run_keeps_the_statistics_and_names_that_it_has_or_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw.csv");
    std::fs::write(&raw, series(None)).unwrap();
    let path = folder.path().join("checkpoint");
    for (more, has) in [("", true), ("normalize_targets = false", false)] {
        let config = series_config(&raw, "['wave', 'small']", more, 8);
        let (whole, losses) = trained(&config, 8);
        let (first, _) = trained(&config, 5);
        let mut checkpoint = first.checkpoint().unwrap();
        let head = &mut checkpoint.config["model"]["head"];
        assert_eq!(head.get("mean").is_some(), has);
        assert_eq!(head["names"], serde_json::json!(["wave", "small"]));
        assert_eq!(
            checkpoint.config["model"]["input"]["names"],
            serde_json::json!(["x"])
        );
        if !has {
            // As an older version made it, which knew of neither.
            checkpoint.config["model"]["head"]
                .as_object_mut()
                .unwrap()
                .remove("names");
            checkpoint.config["model"]["input"]
                .as_object_mut()
                .unwrap()
                .remove("names");
            checkpoint.config["task"]
                .as_object_mut()
                .unwrap()
                .remove("normalize_targets");
        }
        // The file says nothing: the checkpoint decides.
        let config = series_config(&raw, "['wave', 'small']", "", 8);
        let mut second = Trainer::resume(
            &config,
            &checkpoint,
            &path,
            &Device::Cpu,
            ResumeOptions::default(),
        )
        .unwrap();
        for wanted in &losses[5..] {
            assert_eq!(second.step().unwrap().loss, *wanted);
        }
        assert!(second.params().unwrap() == whole.params().unwrap());
        let graph = second.model().graph();
        assert_eq!(graph.denormalisation().is_some(), has);
        // Names are learned where the checkpoint has none.
        assert!(second.config().model.head.names.is_some());
        if has {
            let other = series_config(&raw, "['small', 'wave']", "", 8);
            let refused = Trainer::resume(
                &other,
                &checkpoint,
                &path,
                &Device::Cpu,
                ResumeOptions::default(),
            );
            let found = refused.expect_err("targets in another order").to_string();
            assert!(found.contains("wave"), "{found}");
        }
    }
}

#[test]
fn names_that_are_not_those_of_the_data_are_refused_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw.csv");
    std::fs::write(&raw, series(None)).unwrap();
    let mut config = series_config(&raw, "['wave']", "", 8);
    config.model.head.names = Some(vec!["waves".into()]);
    let found = Trainer::new(&config, &Device::Cpu)
        .expect_err("another name")
        .to_string();
    assert!(found.contains("model.head.names"), "{found}");
}

#[test]
fn so_many_sequences_are_measured_whatever_the_batch_and_the_best_is_chosen_among_the_same() {
    let counts = [1, 3, 8, 64].map(|batch| {
        let mut config = config("", "eval_samples = 5\neval_every = 2");
        config.train.batch = batch;
        let (trainer, _) = trained(&config, 1);
        let metrics = trainer.evaluate(Split::Validation, 5).unwrap();
        (metrics.count, metrics.loss.is_finite())
    });
    assert_eq!(counts, [(10, true); 4], "two targets a sequence");
    let config = config("", "eval_samples = 5\neval_every = 2\nwarmup_steps = 1");
    let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
    let mut seen = vec![];
    let whole = trainer
        .fit(&mut |trainer, event| {
            if let Event::Eval { .. } = event {
                seen.push(trainer.evaluate(Split::Validation, 5)?.loss);
            }
            Ok(Control::Continue)
        })
        .unwrap()
        .unwrap();
    assert_eq!(whole.count, 2 * 64);
    let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
    let best = trainer.checkpoint().unwrap().trainer.unwrap().best.unwrap();
    assert_eq!((seen.len(), best.value), (4, least));
}

#[test]
fn statistics_that_the_tensors_do_not_have_are_refused_by_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.csv");
    std::fs::write(&path, series(None)).unwrap();
    let config = series_config(&path, "['wave']", "", 2);
    let good = trained(&config, 1).0.checkpoint().unwrap();
    assert!(load_model(&good, &path).is_ok());
    for (key, tensor) in [
        ("/model/head/mean/0", "head.shift"),
        ("/model/head/std/0", "head.scale"),
        ("/model/input/mean/0", "input.shift"),
        ("/model/input/std/0", "input.scale"),
    ] {
        let mut bad = good.clone();
        *bad.config.pointer_mut(key).unwrap() = serde_json::json!(5.0);
        let resumed = Trainer::resume(&config, &bad, &path, &Device::Cpu, ResumeOptions::default());
        let errors = [
            load_model(&bad, &path).map(|_| ()).unwrap_err(),
            take_model(&mut bad.clone(), &path).map(|_| ()).unwrap_err(),
            resumed.map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains(tensor), "{key}: {error}");
        }
    }
}

#[test]
fn options_that_would_change_nothing_are_refused_by_name() {
    let refused = |config: &TrainConfig| {
        let made = Trainer::new(config, &Device::Cpu).map(drop);
        made.unwrap_err().to_string()
    };
    for (line, words) in [
        (
            "decay = 'constant'\nmin_lr = 1e-4",
            "`train.min_lr`: is where a cosine ends",
        ),
        ("tuned = true", "`train.tuned`: chooses among a GPU's"),
        (
            "patience = 2",
            "`train.patience`: counts evaluations on the way",
        ),
        ("patience = 0\neval_every = 2", "`train.patience`: is 0"),
        ("accumulate = 0", "`train.accumulate`: is 0, expected 1 to"),
        ("accumulate = 5", "`train.accumulate`: is 5, expected 1 to"),
        (
            "stop_at_accuracy = 0.9",
            "`train.stop_at_accuracy`: only an evaluation on the way",
        ),
        (
            "eval_samples = 4",
            "`train.eval_samples`: is of evaluations on the way",
        ),
    ] {
        let error = refused(&config("", line));
        assert!(error.contains(words), "{error}");
    }
    Trainer::new(
        &config(
            "",
            "eval_samples = 4\nstop_at_accuracy = 0.9\neval_every = 2",
        ),
        &Device::Cpu,
    )
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let rows = (0..12).map(|i| format!("{i},{i},{}\n", i * 2));
    std::fs::write(&path, "id,x,y\n".to_owned() + &rows.collect::<String>()).unwrap();
    let values: TrainConfig = toml::from_str(&format!(
        "[task]\nkind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['x']\ntarget_columns = ['y']\n\
         target = 'values'\nper = 'step'\n[model]\nwidth = 8\nlayers = 1\n\
         [train]\nsteps = 2\nbatch = 2\nlr = 1e-3\neval_every = 1\nstop_at_accuracy = 0.9\n",
        path.display()
    ))
    .unwrap();
    let error = refused(&values);
    assert!(
        error.contains("`train.stop_at_accuracy`: the task has values"),
        "{error}"
    );
}

#[test]
fn without_a_validation_part_a_run_trains_to_its_end_and_has_no_result() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let rows = (0..8).map(|i| format!("{},{}.5,{}\n", i / 2, i, i * i));
    std::fs::write(&path, format!("id,x,y\n{}", rows.collect::<String>())).unwrap();
    let toml = |more: &str| {
        format!(
            "[task]\nkind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['x']\ntarget_columns = ['y']\n\
             target = 'values'\nper = 'step'\nvalidation_fraction = 0.0\n[model]\nwidth = 8\nlayers = 1\n\
             [train]\nsteps = 3\nbatch = 2\nlr = 1e-3\n{more}",
            path.display()
        )
    };
    let mut trainer = Trainer::new(&toml::from_str(&toml("")).unwrap(), &Device::Cpu).unwrap();
    let mut evaluated = false;
    let ended = trainer.fit(&mut |_, event| {
        evaluated |= !matches!(event, Event::Step(_));
        Ok(Control::Continue)
    });
    assert_eq!((ended.unwrap(), evaluated), (None, false));
    let state = trainer.checkpoint().unwrap().trainer.unwrap();
    assert_eq!((state.step, state.best), (3, None));
    let error = trainer.evaluate(Split::Validation, 0).unwrap_err();
    assert!(
        error.to_string().contains("`task`: has no validation part"),
        "{error}"
    );
    let config = toml::from_str(&toml("eval_every = 1")).unwrap();
    let error = Trainer::new(&config, &Device::Cpu).unwrap_err().to_string();
    assert!(
        error.contains("`train.eval_every`: evaluations measure"),
        "{error}"
    );
}

#[test]
fn what_is_said_of_norms_is_refused_where_there_are_none() {
    let with = |norm: &str, more: &str| {
        let mut config = config("", "");
        let table = format!("width = 8\nlayers = 1\nnorm = '{norm}'\n{more}");
        config.model = toml::from_str(&table).unwrap();
        Trainer::new(&config, &Device::Cpu)
            .err()
            .map(|e| e.to_string())
    };
    for (more, words) in [
        (
            "norm_eps = 1e-3",
            "`model.norm_eps`: is of the norms, and model.norm is \"none\"",
        ),
        ("norm_eps = 1e-5", "`model.norm_eps`: "),
        (
            "conv = { kernel = 3, norm = true }",
            "`model.conv.norm`: is the model's norm",
        ),
    ] {
        let error = with("none", more).unwrap();
        assert!(error.contains(words), "{more}: {error}");
        assert_eq!(with("rms", more), None);
    }
    for more in [
        "",
        "conv = { kernel = 3 }",
        "conv = { kernel = 3, norm = false }",
    ] {
        assert_eq!(with("none", more), None);
    }
}
