//! What is refused before a run begins.

use std::path::Path;

use super::*;
use crate::checkpoint::load_model;

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
