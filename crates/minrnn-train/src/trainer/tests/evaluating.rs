//! Evaluations on the way: when they are made, what they count, what they end.

use std::path::Path;

use super::*;

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

/// Whenever its checkpoint was taken since the evaluation that ended it.
#[test]
fn a_run_that_an_accuracy_ended_stays_over() {
    let wanting = |accuracy| {
        let mut config = stands_still(30);
        config.train.stop_at_accuracy = Some(accuracy);
        config
    };
    let mut trainer = Trainer::new(&wanting(0.0), &Device::Cpu).unwrap();
    let mut taken = vec![];
    trainer
        .fit(&mut |t, event| {
            if let Event::Eval { .. } = event {
                taken.push(t.checkpoint()?);
            }
            Ok(Control::Continue)
        })
        .unwrap();
    assert!(trainer.is_accurate_enough() && trainer.has_ended_early());
    taken.push(trainer.checkpoint().unwrap());
    assert_eq!(taken.len(), 3);
    for checkpoint in &taken {
        let again = |accuracy| {
            let path = Path::new("checkpoint");
            let options = ResumeOptions::default();
            let config = wanting(accuracy);
            let mut trainer =
                Trainer::resume(&config, checkpoint, path, &Device::Cpu, options).unwrap();
            let steps: Vec<u64> = counted(&mut trainer)
                .iter()
                .map(|(step, _)| *step)
                .collect();
            (steps, trainer)
        };
        let (steps, over) = again(0.0);
        assert_eq!(steps, [2]);
        assert_eq!(&over.checkpoint().unwrap(), taken.last().unwrap());
        // Where more is wanted, it goes on to its last step.
        let (steps, on) = again(1.0);
        assert_eq!((steps[0], steps.last()), (4, Some(&40)));
        assert!(!on.has_ended_early());
    }
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
