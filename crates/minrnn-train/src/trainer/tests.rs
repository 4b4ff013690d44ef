mod evaluating;
mod refused;
mod targets;

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
