use super::*;

fn config(extra_model: &str, extra_train: &str) -> TrainConfig {
    let text = format!(
        "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 2\nvocab = 6\neval_samples = 64\n\
         [model]\nwidth = 16\nlayers = 2\ndropout = 0.1\n{extra_model}\n\
         [train]\nsteps = 8\nbatch = 4\nlr = 3e-3\nseed = 5\n{extra_train}\n"
    );
    toml::from_str(&text).expect(&text)
}

fn trained(config: &TrainConfig, steps: u64) -> (Trainer, Vec<f64>) {
    let mut trainer = Trainer::new(config, &Device::Cpu).unwrap();
    let losses = (0..steps).map(|_| trainer.step().unwrap().loss).collect();
    (trainer, losses)
}

#[test]
fn a_resumed_run_goes_on_bit_for_bit() {
    let config = config(
        "[model.conv]\nkernel = 3",
        "warmup_steps = 3\noptimizer = { clip_norm = 0.5 }",
    );
    let (whole, losses) = trained(&config, 8);
    for cut in 1..8 {
        let (first, _) = trained(&config, cut);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        first.checkpoint().unwrap().save(&path).unwrap();
        let checkpoint = Checkpoint::load(&path).unwrap();
        let mut second = Trainer::resume(&config, &checkpoint, &path, &Device::Cpu).unwrap();
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
        batch: 32,
        lr: 1e-2,
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
        .unwrap();
    assert!(before.accuracy.unwrap() < 0.5, "{before:?}");
    assert!(after.accuracy.unwrap() > 0.9, "{after:?}");
    assert!(evals >= 2);
    assert_eq!(after.count, 128);
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
    check(
        config("input = { features = 7 }", ""),
        "model.input.features",
    );
    check(config("cell = { expansion = 1.3 }", ""), "cell.expansion");
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
    let e =
        Trainer::resume(&config("", ""), &c, path, &Device::Cpu).expect_err("no state to resume");
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
             [model]\nwidth = 8\nlayers = 1\nconv = {{ kernel = 3 }}\n[train]\nsteps = 60\nbatch = 4\nlr = 1e-2\n",
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
        let after = trainer.fit(&mut |_, event| log(event)).unwrap();
        let (first, last) = (
            losses[..10].iter().sum::<f64>(),
            losses[50..].iter().sum::<f64>(),
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
