//! What may change, and what it does.

use super::*;

#[test]
fn what_may_change_is_told_with_what_it_does() {
    let files = Files::new();
    let path = files.put("a.txt", &text_of("abc", 1));
    let old = text_config(&path, "dropout = 0.1", "");
    let checkpoint = checkpoint_of(&old, 3);
    let notes = |config: &TrainConfig| resume(config, &checkpoint).unwrap().notes().to_vec();
    assert_eq!(notes(&old), [""; 0]);
    // Another end of a constant rate changes no step.
    let mut longer = old.clone();
    longer.train.steps = 9;
    assert_eq!(notes(&longer), ["changed at step 3: train.steps 6 -> 9"]);
    let mut rate = old.clone();
    (rate.train.lr, rate.train.min_lr) = (4e-3, 1e-3);
    rate.train.decay = crate::schedule::Decay::Cosine;
    let found = notes(&rate);
    has(&found, "train.lr 0.001 -> 0.004");
    has(
        &found,
        "learning rate of the next step, 3: 2.5000e-3, it was to be 1.0000e-3; it ends with 0.001 at step 6",
    );
    has(
        &found,
        "from step 3 on the run is no longer, bit for bit, the one without these changes: the learning rate",
    );
    type Set = fn(&mut TrainConfig);
    let cases: [(Set, &str, bool); 7] = [
        (
            |c| c.train.batch = 3,
            "training goes on with sample 6, 3 a step",
            true,
        ),
        (|c| c.model.dropout = 0.0, "model.dropout 0.1 -> 0.0", true),
        (
            |c| c.train.optimizer.clip_norm = Some(1.0),
            "train.optimizer.clip_norm absent -> 1.0",
            true,
        ),
        (
            |c| c.train.optimizer.weight_decay = 0.5,
            "train.optimizer.weight_decay 0.01 -> 0.5",
            true,
        ),
        (|c| c.train.eval_every = 2, "train.eval_every 0 -> 2", false),
        (
            |c| c.train.steps = 3,
            "the checkpoint is at step 3, where the configuration ends (train.steps is 3)",
            false,
        ),
        (
            |c| {
                if let TaskConfig::Text(options) = &mut c.task {
                    options.seq_len = 9;
                }
            },
            "task.seq_len 12 -> 9",
            true,
        ),
    ];
    for (set, wanted, ends) in cases {
        let mut config = old.clone();
        set(&mut config);
        let found = notes(&config);
        has(&found, wanted);
        let told = found.iter().any(|n| n.contains("no longer, bit for bit"));
        assert_eq!(told, ends, "{found:?}");
    }
    let mut on_gpu = checkpoint.clone();
    on_gpu.config["run"]["device"] = "cuda".into();
    let found = resume(&old, &on_gpu).unwrap().notes().to_vec();
    has(&found, "device \"cuda\" -> \"cpu by the tape\"");
    has(&found, "no longer, bit for bit");
    // Before the tape it was candle that computed on the CPU.
    on_gpu.config["run"]["device"] = "cpu".into();
    let found = resume(&old, &on_gpu).unwrap().notes().to_vec();
    has(&found, "device \"cpu\" -> \"cpu by the tape\"");
    has(&found, "no longer, bit for bit");
    let mut candle = old.clone();
    candle.train.engine = crate::trainer::TrainEngine::Candle;
    let found = resume(&candle, &on_gpu).unwrap().notes().to_vec();
    assert!(
        !found.iter().any(|n| n.contains("no longer, bit for bit")),
        "{found:?}"
    );
}

#[test]
fn a_run_that_would_have_to_go_back_is_refused() {
    let files = Files::new();
    let old = text_config(&files.put("a.txt", &text_of("abc", 1)), "", "");
    let checkpoint = checkpoint_of(&old, 3);
    let mut shorter = old.clone();
    shorter.train.steps = 2;
    let error = resume(&shorter, &checkpoint).map(drop).unwrap_err();
    assert_eq!(
        error.to_string(),
        "option `train.steps`: is 2, and the checkpoint is at step 3: there is nothing to do; raise it above 3 to go on"
    );
    // At its end there is no next step to tell of.
    shorter.train.steps = 3;
    (shorter.train.lr, shorter.train.batch) = (1e-2, 3);
    let notes = resume(&shorter, &checkpoint).unwrap().notes().join("\n");
    assert!(
        !notes.contains("next step") && !notes.contains("goes on with sample"),
        "{notes}"
    );
}

#[test]
fn new_data_are_new() {
    let files = Files::new();
    let old = text_config(&files.put("a.txt", &text_of("abc", 1)), "", "");
    let checkpoint = checkpoint_of(&old, 3);
    let said = |path: &Path, new_data: bool| {
        let config = text_config(path, "", "");
        let made = resume_with(&config, &checkpoint, new_data).map(drop);
        made.map_err(|e| e.to_string())
    };
    let error = said(&files.put("b.txt", &text_of("abc", 1)), true).unwrap_err();
    assert!(error.contains("`--new-data`: nothing is new"), "{error}");
    let other = files.put("c.txt", &text_of("abc", 2));
    said(&other, true).unwrap();
    let error = said(&other, false).unwrap_err();
    assert!(error.ends_with("--new-data goes on with others"), "{error}");
    // Characters that the model does not know: no flag helps.
    let strange = files.put("d.txt", &text_of("abcx", 2));
    let error = said(&strange, true).unwrap_err();
    assert!(
        error.contains("whatever the data") && !error.contains("--new-data"),
        "{error}"
    );
    let error = said(&strange, false).unwrap_err();
    assert!(
        error.contains("with --new-data, others of its characters"),
        "{error}"
    );
}

/// As a GPU made the checkpoint.
#[test]
fn another_precision_is_told_and_ends_exactness() {
    let files = Files::new();
    let old = text_config(&files.put("a.txt", &text_of("abc", 1)), "", "");
    let checkpoint = checkpoint_of(&old, 3);
    let notes = |key: &str, value: serde_json::Value| {
        let mut made = checkpoint.clone();
        made.config["train"][key] = value;
        resume(&old, &made).unwrap().notes().to_vec()
    };
    assert_eq!(
        notes("precision", "bf16".into()),
        [
            "changed at step 3: train.precision \"bf16\" -> \"f32\"",
            "from step 3 on the run is no longer, bit for bit, the one without these changes: train.precision",
        ]
    );
    // Nothing is chosen by time on the CPU.
    assert_eq!(
        notes("tuned", true.into()),
        ["changed at step 3: train.tuned true -> false"]
    );
    let mut narrow = old.clone();
    narrow.train.precision = Precision::Tf32;
    let error = resume(&narrow, &checkpoint)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("train.precision") && error.contains("is tf32, which GPUs have"),
        "{error}"
    );
}

/// Longer windows, other sequences: losses that cannot be compared.
#[test]
fn the_best_so_far_is_of_the_same_validation_data() {
    let files = Files::new();
    let old = text_config(&files.put("a.txt", &text_of("abc", 1)), "", "");
    let checkpoint = checkpoint_of(&old, 3);
    let best = |config: &TrainConfig| {
        let trainer = resume(config, &checkpoint).unwrap();
        trainer.checkpoint().unwrap().trainer.unwrap().best
    };
    let mut other = old.clone();
    (other.train.batch, other.train.eval_every) = (5, 2);
    assert_eq!(best(&other), checkpoint.trainer.as_ref().unwrap().best);
    other.train.eval_samples = 2;
    assert_eq!(best(&other), None);
    has(
        resume(&other, &checkpoint).unwrap().notes(),
        "was measured on all sequences of the validation part, not on the first 2 sequences, and is",
    );
    let mut windows = old.clone();
    if let TaskConfig::Text(options) = &mut windows.task {
        options.seq_len = 20;
    }
    assert_eq!(best(&windows), None);
    has(
        resume(&windows, &checkpoint).unwrap().notes(),
        "was measured in windows of 12 steps, not of 20, and is",
    );
}

#[test]
fn checkpoints_of_the_first_versions_go_on_with_a_note() {
    let files = Files::new();
    let old = text_config(&files.put("a.txt", &text_of("abc", 1)), "", "");
    let mut checkpoint = checkpoint_of(&old, 3);
    checkpoint.config.as_object_mut().unwrap().remove("run");
    let trainer = resume(&old, &checkpoint).unwrap();
    has(trainer.notes(), "does not say which data it was trained on");
    assert_eq!(trainer.notes().len(), 1);
    let after = trainer.checkpoint().unwrap();
    assert!(after.trainer.as_ref().unwrap().best.is_some());
    assert_eq!(resume(&old, &after).unwrap().notes(), [""; 0]);
    // The characters tell, even so.
    let other = text_config(&files.put("b.txt", &text_of("ab", 1)), "", "");
    has(
        &differences(resume(&other, &checkpoint)),
        "the text lacks 'c'",
    );
}

/// Where the data lie, and what in them nothing uses, changes no sample: also where a checkpoint does not say which data it had.
#[test]
fn a_file_that_was_moved_ends_neither_exactness_nor_the_best_of_the_first_versions() {
    let files = Files::new();
    let (a, b) = (files.put("a.csv", &csv(0.0)), files.put("b.csv", &csv(0.0)));
    let old = csv_config(&a, "'x', 'y'", "classes", "");
    let mut checkpoint = checkpoint_of(&old, 3);
    checkpoint.config.as_object_mut().unwrap().remove("run");
    let mut moved = csv_config(&b, "'x', 'y'", "classes", "");
    if let TaskConfig::Sequences(options) = &mut moved.task {
        options.ignore_columns = vec!["goal".into()];
    }
    let open = |config: &TrainConfig, new_data: bool| {
        let trainer = resume_with(config, &checkpoint, new_data).unwrap();
        let best = trainer.checkpoint().unwrap().trainer.unwrap().best;
        (trainer.notes().join("\n"), best.is_some())
    };
    let (notes, best) = open(&moved, false);
    assert!(best, "{notes}");
    assert!(
        notes.contains("task.ignore_columns [\"*\"] -> [\"goal\"], task.path"),
        "{notes}"
    );
    assert!(
        notes.contains("that they are the same was not checked"),
        "{notes}"
    );
    assert!(!notes.contains("no longer"), "{notes}");
    // What deals the sequences out does, and so do data that are said to be new.
    let mut dealt = moved.clone();
    if let TaskConfig::Sequences(options) = &mut dealt.task {
        options.split_seed = 1;
    }
    for (config, new_data) in [(&dealt, false), (&moved, true)] {
        let (notes, best) = open(config, new_data);
        assert!(!best && notes.contains("no longer, bit for bit"), "{notes}");
    }
}

#[test]
fn states_of_two_moments_do_not_go_on() {
    let files = Files::new();
    let config = text_config(&files.put("a.txt", &text_of("abc", 1)), "", "");
    let mut checkpoint = checkpoint_of(&config, 4);
    checkpoint.optimizer.as_mut().unwrap().step = 2;
    let error = resume(&config, &checkpoint)
        .map(|t| t.steps_done())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the optimizer's state is of step 2, the trainer's of step 4"),
        "{error}"
    );
}

/// By the tape and by candle; what another optimizer remembers is no good.
#[test]
fn a_run_with_muon_goes_on_bit_for_bit_and_not_with_another_optimizer() {
    let files = Files::new();
    let path = files.put("a.txt", &text_of("abc", 1));
    for engine in ["tape", "candle"] {
        let with = |optimizer: &str| {
            let train = format!("engine = '{engine}'\noptimizer = {optimizer}");
            text_config(&path, "", &train)
        };
        let config = with("{ clip_norm = 1.0, muon = { lr = 2e-3 } }");
        let mut whole = resume(&config, &checkpoint_of(&config, 2)).unwrap();
        let half = checkpoint_of(&config, 4);
        let mut parts = resume(&config, &half).unwrap();
        for _ in 0..2 {
            whole.step().unwrap();
        }
        let same = |a: &Trainer, b: &Trainer| {
            let [a, b] = [a, b].map(|t| t.checkpoint().unwrap());
            assert_eq!((a.params, a.optimizer), (b.params, b.optimizer));
        };
        same(&whole, &parts);
        for trainer in [&mut whole, &mut parts] {
            trainer.step().unwrap();
        }
        same(&whole, &parts);
        let adamw = with("{ clip_norm = 1.0 }");
        let error = |config: &TrainConfig, checkpoint: &Checkpoint| {
            let resumed = resume(config, checkpoint).map(|t| t.steps_done());
            resumed.unwrap_err().to_string()
        };
        let said = error(&adamw, &half);
        let words = "`train.optimizer`: is adamw, and the checkpoint was trained with muon";
        assert!(said.contains(words), "{said}");
        let said = error(&config, &checkpoint_of(&adamw, 4));
        let words = "`train.optimizer`: is muon, and the checkpoint was trained with adamw";
        assert!(said.contains(words), "{said}");
        // Of a checkpoint that does not say its optimizer, what it remembers does.
        let mut silent = half.clone();
        silent.config.as_object_mut().unwrap().remove("train");
        let said = error(&adamw, &silent);
        assert!(
            said.contains("momentum") && said.contains("another optimizer"),
            "{said}"
        );
    }
}

#[test]
fn muon_is_refused_where_a_model_has_nothing_for_it() {
    let text = "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 3\nvocab = 8\neval_samples = 4\n\
                [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 2\nbatch = 2\nlr = 1e-2\noptimizer = 'muon'";
    let config: TrainConfig = toml::from_str(text).unwrap();
    let task = config.task.open_within(0, None).unwrap();
    let shape = task.shape();
    let minrnn_model::graph::Input::Tokens { vocab } = shape.input else {
        panic!("{shape:?}")
    };
    use minrnn_model::params::{Init, Role};
    // A table, a recurrence of its rows and a head.
    let model = Model::trace(
        shape.input,
        shape.output,
        serde_json::Value::Null,
        |g, x| {
            let role = || Role::Weight {
                init: Init::Uniform { bound: 0.5 },
                decay: true,
            };
            let table = g.param("table", &[vocab, 6], role())?;
            let x = g.op(minrnn_model::graph::Op::Embed { table }, &[x])?;
            let head = g.param("head", &[6, shape.width], role())?;
            let head = g.read(head)?;
            g.matmul(x, head)
        },
    );
    let trained = Trainer::with_model(config, model.unwrap(), task, &Device::Cpu);
    let error = trained.map(|t| t.steps_done()).unwrap_err().to_string();
    assert!(error.contains("train.optimizer.muon"), "{error}");
}
