//! Runs that go back where a loss or a gradient is not finite.

use super::*;

/// Learning rates of 1e30 and more make the loss infinite at once.
fn config(lr: f64, train: &str) -> TrainConfig {
    let text = format!(
        "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 2\nvocab = 6\neval_samples = 8\n\
         [model]\nwidth = 8\nlayers = 1\n\
         [train]\nsteps = 130\nbatch = 2\nlr = {lr:e}\ndecay = 'constant'\nseed = 5\neval_every = 60\n{train}\n"
    );
    toml::from_str(&text).expect(&text)
}

/// Steps and roll backs, in order, and the learning rates of the steps.
fn seen(trainer: &mut Trainer) -> (Vec<RolledBack>, Vec<(u64, f64)>) {
    let (mut backs, mut steps) = (vec![], vec![]);
    let fit = trainer.fit(&mut |trainer, event| {
        match event {
            Event::RolledBack(back) => {
                assert_eq!(trainer.steps_done(), back.to);
                let what = trainer.trouble().unwrap();
                assert!(what.contains("loss") || what.contains("gradient"), "{what}");
                backs.push(back);
            }
            Event::Step(log) => steps.push((log.step, log.lr)),
            _ => {}
        }
        Ok(Control::Continue)
    });
    fit.unwrap();
    (backs, steps)
}

fn rolls_back(engine: &str, device: &Device) {
    let train = format!(
        "on_nan = 'roll_back'\nroll_back_factor = 1e-33\nengine = '{engine}'\naverage = {{ decay = 0.5 }}"
    );
    let rolling = config(1e30, &train);
    let mut trainer = Trainer::new(&rolling, device).unwrap();
    let (backs, steps) = seen(&mut trainer);
    let [back] = backs[..] else {
        panic!("{engine}: {backs:?}")
    };
    assert_eq!((back.to, back.times), (0, [1, 3]));
    assert!((back.factor - 1e-33).abs() < 1e-40 && back.failed < 20);
    // All steps are made, in the end with the lower rate.
    let last: Vec<(u64, f64)> = steps[steps.len() - 130..].to_vec();
    assert!(
        last.iter()
            .enumerate()
            .all(|(i, (step, lr))| *step == i as u64 && (lr - 1e-3).abs() < 1e-9)
    );
    // From there on it is the run that would have had that rate from its begin.
    let lower = format!("engine = '{engine}'\naverage = {{ decay = 0.5 }}");
    let mut plain = Trainer::new(&config(1e30 * 1e-33, &lower), device).unwrap();
    plain.fit(&mut |_, _| Ok(Control::Continue)).unwrap();
    assert_eq!(
        trainer.params().unwrap(),
        plain.params().unwrap(),
        "{engine}"
    );
    assert_eq!(
        trainer.backend.params().unwrap(),
        plain.backend.params().unwrap()
    );
    assert_eq!(trainer.state.roll_backs, 1);
    assert_eq!(trainer.state.step, 130);
}

#[test]
fn a_run_rolls_back_and_goes_on_with_the_lower_rate_on_every_engine() {
    for engine in ["candle", "tape"] {
        rolls_back(engine, &Device::Cpu);
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that could not run says so")]
fn a_run_on_a_gpu_rolls_back() {
    match Device::cuda(0) {
        Ok(gpu) => ["candle", "tape"]
            .iter()
            .for_each(|engine| rolls_back(engine, &gpu)),
        Err(error) => eprintln!("not run: {error}"),
    }
}

#[test]
fn it_goes_back_to_the_last_hundred_and_carried_states_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text.txt");
    let text: String = (0..400)
        .map(|i| ['a', 'b', 'c'][(i * i + i / 3) % 3])
        .collect();
    std::fs::write(&path, text).unwrap();
    for engine in ["candle", "tape"] {
        let text = format!(
            "[task]\nkind = 'text'\npath = '{}'\nseq_len = 7\n[model]\nwidth = 6\nlayers = 1\n[model.conv]\nkernel = 3\n\
             [train]\nsteps = 115\nbatch = 3\nlr = 1e-3\ndecay = 'constant'\ncarry_state = true\non_nan = 'roll_back'\nengine = '{engine}'",
            path.display()
        );
        let config: TrainConfig = toml::from_str(&text).unwrap();
        let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
        let mut broken = false;
        let mut backs = vec![];
        let mut losses = std::collections::BTreeMap::new();
        trainer
            .fit(&mut |_, event| {
                match event {
                    Event::RolledBack(back) => backs.push((back.failed, back.to)),
                    Event::Step(log) => {
                        losses.insert(log.step, log.loss);
                        if log.step == 105 && !broken {
                            broken = true;
                            return Ok(Control::Stop);
                        }
                    }
                    _ => {}
                }
                Ok(Control::Continue)
            })
            .unwrap();
        // A weight that is no number, in the place of what a device or a rate may do.
        let mut params = trainer.backend.params().unwrap();
        let good = params.clone();
        params.get_mut(0).fill(f32::NAN);
        trainer.backend.set_params(&params).unwrap();
        let first = losses.clone();
        trainer
            .fit(&mut |_, event| {
                match event {
                    Event::RolledBack(back) => backs.push((back.failed, back.to)),
                    Event::Step(log) if log.step == 100 => {
                        assert_eq!(log.loss.to_bits(), first[&100].to_bits(), "{engine}");
                        assert!((log.lr - 5e-4).abs() < 1e-12);
                    }
                    _ => {}
                }
                Ok(Control::Continue)
            })
            .unwrap();
        assert_eq!(backs, [(106, 100)], "{engine}");
        assert_ne!(good, trainer.backend.params().unwrap());
        // How often it rolled back is in the checkpoint, and with it the rate.
        let checkpoint = trainer.checkpoint().unwrap();
        let mut longer = config.clone();
        longer.train.steps = 116;
        let path = std::path::Path::new("checkpoint");
        let options = ResumeOptions::default();
        let mut again = Trainer::resume(&longer, &checkpoint, path, &Device::Cpu, options).unwrap();
        assert!((again.step().unwrap().lr - 5e-4).abs() < 1e-12);
    }
}

#[test]
fn after_so_many_times_it_ends_with_the_error() {
    for (more, times) in [("", 3), ("roll_back_times = 2", 2)] {
        let config = config(1e30, &format!("on_nan = 'roll_back'\n{more}"));
        let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
        let mut backs = 0;
        let ended = trainer.fit(&mut |_, event| {
            backs += u64::from(matches!(event, Event::RolledBack(_)));
            Ok(Control::Continue)
        });
        assert!(
            matches!(ended, Err(TrainError::NonFinite { .. })),
            "{ended:?}"
        );
        assert_eq!(backs, times);
    }
    let mut trainer = Trainer::new(&config(1e30, ""), &Device::Cpu).unwrap();
    let ended = trainer.fit(&mut |_, event| {
        assert!(!matches!(event, Event::RolledBack(_)));
        Ok(Control::Continue)
    });
    assert!(matches!(ended, Err(TrainError::NonFinite { .. })));
}

#[test]
fn keys_without_meaning_are_refused_by_name() {
    for (train, words) in [
        (
            "roll_back_times = 2",
            "`train.roll_back_times`: is of train.on_nan",
        ),
        (
            "roll_back_factor = 0.5",
            "`train.roll_back_factor`: is of train.on_nan",
        ),
        (
            "on_nan = 'roll_back'\nroll_back_factor = 1.0",
            "`train.roll_back_factor`: is 1",
        ),
        (
            "on_nan = 'roll_back'\nroll_back_times = 0",
            "`train.roll_back_times`: is 0",
        ),
    ] {
        let error = Trainer::new(&config(1e-3, train), &Device::Cpu).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(words), "{error}");
    }
}
