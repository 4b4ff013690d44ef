use minrnn_model::graph::{Graph, Input, Law, Op, OutputKind, StateInit, Unary};
use minrnn_model::model::Model;
use minrnn_model::params::{Init, Role};

use super::*;
use crate::trainer::Trainer;

fn config(train: &str) -> TrainConfig {
    let text = format!(
        "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 3\nvocab = 8\neval_samples = 4\n\
         [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 60\nbatch = 8\nlr = 1e-2\n{train}"
    );
    toml::from_str(&text).expect(&text)
}

/// A recurrence of complex numbers without a layer, which the tape has no kernel for, beside sums of groups, a logarithm and a tied head.
fn own() -> Model {
    let role = || Role::Weight {
        init: Init::Uniform { bound: 0.5 },
        decay: true,
    };
    let model = Model::trace(
        Input::Tokens { vocab: 8 },
        OutputKind::Logits,
        serde_json::Value::Null,
        |g, x| {
            let table = g.param("table", &[8, 12], role())?;
            let x = g.op(Op::Embed { table }, &[x])?;
            let h = g.block(0, |g| {
                let a = g.unary(Unary::Sigmoid, x)?;
                let a = g.repeat(a, 1, 2)?;
                let b = g.repeat(x, 12, 2)?;
                let h = g.recurrence("h", a, b, StateInit::Zero)?;
                let half = g.affine(a, 0.5, 0.0)?;
                let init = StateInit::Zero;
                let turned = |g: &mut Graph| g.recur("h", Law::Complex, &[half, b], init);
                let turned = g.scope("turned", turned)?;
                let both = g.add(h, turned)?;
                g.sum(both, 2)
            })?;
            let size = g.unary(Unary::Abs, h)?;
            let size = g.affine(size, 1.0, 1.0)?;
            let log = g.unary(Unary::Log, size)?;
            let both = g.add(h, log)?;
            let table = g.read(table)?;
            g.matmul_transposed(both, table)
        },
    );
    model.unwrap()
}

/// Positions, dropout on the weights and a window shorter than the sequence: each engine draws the same masks.
#[test]
fn the_tape_trains_attention_as_candle_does() {
    let losses = |engine: &str| -> Vec<f64> {
        let text = format!(
            "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 3\nvocab = 8\neval_samples = 4\n\
             [model]\nwidth = 8\nlayers = 1\npositions = 20\ndropout = 0.2\n\
             [model.cell]\nkind = 'attention'\nheads = 2\nwindow = 7\n\
             [train]\nsteps = 6\nbatch = 8\nlr = 1e-2\n{engine}"
        );
        let config: TrainConfig = toml::from_str(&text).expect(&text);
        let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
        (0..6).map(|_| trainer.step().unwrap().loss).collect()
    };
    let tape = losses("engine = 'tape'");
    assert_eq!(losses(""), tape, "the tape is what trains it");
    for (got, want) in tape.iter().zip(losses("engine = 'candle'")) {
        let near = (got - want).abs() <= 2e-5 * (1.0 + want);
        assert!(near, "{got}, by candle {want}");
    }
}

#[test]
fn an_engine_that_cannot_be_is_refused_by_key() {
    let refused = |train: &str| {
        let error = Trainer::new(&config(train), &Device::Cpu).unwrap_err();
        error.to_string()
    };
    for engine in ["candle", "tape", "auto"] {
        let bf16 = refused(&format!("engine = '{engine}'\nprecision = 'bf16'"));
        assert!(
            bf16.contains("train.precision") && bf16.contains("--device cuda"),
            "{bf16}"
        );
    }
    let loss = refused("engine = 'tape'\nloss = { kind = 'cross_entropy', label_smoothing = 0.1 }");
    assert!(loss.contains("train.loss"), "{loss}");
    let tape = trained("engine = 'tape'", &Device::Cpu).unwrap_err();
    let tape = tape.to_string();
    assert!(
        tape.contains("does not know the operation Recur of the law complex")
            && tape.contains("candle"),
        "{tape}"
    );
}

#[test]
fn a_configuration_says_no_engine_where_none_was_chosen() {
    let text = |train| serde_json::to_string(&config(train)).unwrap();
    assert!(!text("").contains("engine"));
    assert_eq!(text("engine = 'auto'"), text(""));
    assert!(text("engine = 'candle'").contains(r#""engine":"candle""#));
}

/// Losses and gradient norms of six steps with dropout and clipping.
fn steps(train: &str) -> Vec<[f64; 2]> {
    let mut config = config(train);
    config.model.dropout = 0.2;
    config.model.layers = 2;
    let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
    assert_eq!(trainer.notes(), &[] as &[String]);
    let log = |_| {
        let log = trainer.step().unwrap();
        [log.loss, log.grad_norm]
    };
    (0..6).map(log).collect()
}

#[test]
fn the_tape_trains_on_the_cpu_where_nothing_is_said_and_as_candle_does() {
    let auto = steps("optimizer = { clip_norm = 0.5 }");
    let by = |engine| {
        steps(&format!(
            "engine = '{engine}'\noptimizer = {{ clip_norm = 0.5 }}"
        ))
    };
    assert_eq!(auto, by("tape"));
    let candle = by("candle");
    assert_ne!(auto, candle, "another engine computes other last bits");
    for (got, want) in auto.iter().flatten().zip(candle.iter().flatten()) {
        assert!(
            (got - want).abs() <= 2e-5 * (1.0 + want),
            "{got}, by candle {want}"
        );
    }
}

#[test]
fn muon_trains_by_the_tape_as_by_candle_and_otherwise_than_adamw() {
    let by = |engine: &str, optimizer: &str| {
        steps(&format!("engine = '{engine}'\noptimizer = {optimizer}"))
    };
    let muon = "{ clip_norm = 0.5, muon = { lr = 5e-3, momentum = 0.9 } }";
    let tape = by("tape", muon);
    let candle = by("candle", muon);
    for (got, want) in tape.iter().flatten().zip(candle.iter().flatten()) {
        assert!(
            (got - want).abs() <= 2e-5 * (1.0 + want),
            "{got}, by candle {want}"
        );
    }
    let adamw = by("tape", "{ clip_norm = 0.5 }");
    assert_eq!(
        adamw[0], tape[0],
        "the first step's loss is before any update"
    );
    assert!((adamw[5][0] - tape[5][0]).abs() > 1e-3);
    assert_eq!(by("tape", "'muon'"), by("tape", "{ muon = {} }"));
}

#[test]
fn gru_and_lstm_train_by_the_tape_as_by_candle() {
    for cell in ["gru", "lstm"] {
        let steps = |engine: &str| {
            let mut config = config(engine);
            let cell = format!("kind = '{cell}'\ninitial_state = 'learned'");
            config.model.cell = toml::from_str(&cell).unwrap();
            config.model.layers = 2;
            let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
            assert_eq!(trainer.notes(), &[] as &[String]);
            let mut log = |_| {
                let log = trainer.step().unwrap();
                [log.loss, log.grad_norm]
            };
            (0..6).map(&mut log).collect::<Vec<_>>()
        };
        let auto = steps("");
        assert_eq!(auto, steps("engine = 'tape'"));
        let candle = steps("engine = 'candle'");
        assert_ne!(auto, candle, "another engine computes other last bits");
        for (got, want) in auto.iter().flatten().zip(candle.iter().flatten()) {
            assert!(
                (got - want).abs() <= 2e-5 * (1.0 + want),
                "{cell}: {got}, by candle {want}"
            );
        }
    }
}

/// A fold without a layer.
#[test]
fn a_fold_of_ones_own_is_refused_by_the_tape_and_left_to_candle() {
    use minrnn_model::graph::FoldState;
    let model = Model::trace(
        Input::Tokens { vocab: 8 },
        OutputKind::Logits,
        serde_json::Value::Null,
        |g, x| {
            let init = Init::Uniform { bound: 0.5 };
            let table = g.param("table", &[8, 8], Role::Weight { init, decay: true })?;
            let x = g.op(Op::Embed { table }, &[x])?;
            let state = FoldState {
                name: "h",
                width: 8,
                init: StateInit::Zero,
            };
            let body = |g: &mut Graph, h: &[minrnn_model::graph::Value]| {
                let sum = g.add(h[0], x)?;
                Ok(vec![g.unary(Unary::Tanh, sum)?])
            };
            let h = g.block(0, |g| g.fold(&[state], body))?;
            let table = g.read(table)?;
            g.matmul_transposed(h[0], table)
        },
    );
    let model = model.unwrap();
    let trained = |engine: &str| {
        let config = config(engine);
        let task = config.task.open_within(0, None).unwrap();
        let mut trainer = Trainer::with_model(config, model.clone(), task, &Device::Cpu)?;
        trainer.step()?;
        Ok::<_, TrainError>(trainer.notes().to_vec())
    };
    let refused = trained("engine = 'tape'").unwrap_err().to_string();
    let says = "the tape does not know the operation Fold of node";
    assert!(
        refused.contains(says) && refused.contains("engine = \"candle\""),
        "{refused}"
    );
    let notes = trained("").unwrap();
    assert!(
        notes.len() == 1 && notes[0].contains("candle trains on the CPU, because"),
        "{notes:?}"
    );
}

#[test]
fn the_run_records_which_engine_computed_it() {
    let of = |train| {
        let trainer = Trainer::new(&config(train), &Device::Cpu).unwrap();
        let config = trainer.checkpoint().unwrap().config;
        config["run"]["device"].as_str().unwrap().to_owned()
    };
    assert_eq!(of(""), "cpu by the tape");
    assert_eq!(of("engine = 'candle'"), "cpu");
}

/// What the run says, and its first and last loss.
fn trained(train: &str, device: &Device) -> Result<(Vec<String>, [f64; 2])> {
    let config = config(train);
    let task = config.task.open_within(0, None)?;
    let mut trainer = Trainer::with_model(config, own(), task, device)?;
    let first = trainer.step()?.loss;
    let mut last = first;
    for _ in 1..60 {
        last = trainer.step()?.loss;
    }
    Ok((trainer.notes().to_vec(), [first, last]))
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that could not run says so")]
fn every_model_trains_and_the_run_says_by_what() {
    let (notes, [first, want]) = trained("", &Device::Cpu).unwrap();
    let note = "train.engine is \"auto\": candle trains on the CPU, because the tape does not know the operation Recur of the law complex";
    assert!(notes.len() == 1 && notes[0].starts_with(note), "{notes:?}");
    assert!(want < 0.8 * first, "{first} {want}");
    let gpu = match Device::cuda(0) {
        Ok(gpu) => gpu,
        Err(error) => return eprintln!("not run: {error}"),
    };
    let (notes, [_, got]) = trained("", &gpu).unwrap();
    let note = "train.engine is \"auto\": candle trains on the GPU, because the tape does not know the operation Recur of the law complex";
    assert!(notes.len() == 1 && notes[0].starts_with(note), "{notes:?}");
    assert!((got - want).abs() < 1e-2 * want, "{got}, on the CPU {want}");
    let said = |train| trained(train, &gpu).unwrap_err().to_string();
    let tape = said("engine = 'tape'");
    assert!(
        tape.contains("does not know the operation Recur of the law complex")
            && tape.contains("candle"),
        "{tape}"
    );
    for (train, key) in [
        ("precision = 'bf16'", "train.precision"),
        ("tuned = true", "train.tuned"),
    ] {
        let refused = said(train);
        assert!(
            refused.contains(key) && refused.contains("complex"),
            "{refused}"
        );
    }
    let known = Trainer::new(&config(""), &gpu).unwrap();
    assert_eq!(
        known.notes(),
        ["train.engine is \"auto\": the tape trains, which knows all of this model"]
    );
}
