//! What a model means, and new runs from its weights.

use minrnn_model::config::{HeadConfig, HeadSteps};
use minrnn_model::graph::OutputKind;
use minrnn_model::vocabulary::Vocabulary;

use super::*;

/// Each key of a model by itself, with the same shapes: weights would load and mean something else.
#[test]
fn whatever_the_model_means_is_compared_key_by_key() {
    let files = Files::new();
    let path = files.put("a.txt", &text_of("abc", 1));
    let rich = "norm = 'rms'\nconv = { kernel = 3 }\nmlp = { expansion = 2, gated = false }\n\
                cell = { kind = 'min_lstm', candidate = 'g' }\ndropout = 0.1";
    let checkpoint = checkpoint_of(&text_config(&path, rich, ""), 1);
    let cases = [
        (
            "'g'",
            "'linear'",
            "model.cell.candidate: \"g\" in the checkpoint, \"linear\" in the configuration",
        ),
        (
            "'min_lstm'",
            "'min_gru'",
            "model.cell.kind: \"min_lstm\" in",
        ),
        (
            "kind = 'min_lstm'",
            "kind = 'min_lstm', normalize_gates = false",
            "model.cell.normalize_gates: true in the checkpoint, false",
        ),
        (
            "kind = 'min_lstm'",
            "kind = 'min_lstm', time_scale = [1, 8]",
            "model.cell.time_scale: absent in the checkpoint, [1.0,8.0]",
        ),
        (
            "gated = false",
            "gated = false, activation = 'silu'",
            "model.mlp.activation: \"gelu\"",
        ),
        ("'rms'", "'rms'\nnorm_eps = 1e-3", "model.norm_eps: "),
        (
            "'rms'",
            "'rms'\nresidual = false",
            "model.residual: true in the checkpoint, false",
        ),
        (
            "'rms'",
            "'none'",
            "model.norm: \"rms\" in the checkpoint, \"none\"",
        ),
        (
            "kernel = 3",
            "kernel = 3, norm = false",
            "model.conv.norm: absent in the checkpoint, false",
        ),
        ("conv = { kernel = 3 }", "", "model.conv: {"),
    ];
    for (from, to, wanted) in cases {
        let changed = rich.replace(from, to);
        assert_ne!(changed, rich);
        let found = differences(resume(&text_config(&path, &changed, ""), &checkpoint));
        assert_eq!(found.len(), 1, "{found:?}");
        has(&found, wanted);
        let begun = Trainer::from_weights(
            &text_config(&path, &changed, ""),
            &checkpoint,
            Path::new(AT),
            &Device::Cpu,
        );
        has(&differences(begun), wanted);
    }
    // All of them at once, in one message.
    let all = rich
        .replace("'g'", "'linear'")
        .replace("'rms'", "'layer'\nresidual = false");
    let error = resume(&text_config(&path, &all, "seed = 3"), &checkpoint)
        .unwrap_err()
        .to_string();
    for wanted in [
        "\n  model.cell.candidate: ",
        "\n  model.norm: ",
        "\n  model.residual: ",
        "\n  train.seed: 0 in the checkpoint, 3",
    ] {
        assert!(error.contains(wanted), "{error}");
    }
}

/// Hours of reading come after it.
#[test]
fn what_makes_no_model_is_refused_before_data_are_read() {
    let files = Files::new();
    let checkpoint = checkpoint_of(
        &text_config(&files.put("a.txt", &text_of("abc", 1)), "", ""),
        1,
    );
    let nowhere = Path::new("/nowhere");
    for (model, train, key) in [
        (
            "cell = { kind = 'min_gru', time_scale = [1e-300, 1e300] }",
            "",
            "cell.time_scale",
        ),
        (
            "cell = { kind = 'min_gru', expansion = 1.3 }",
            "",
            "cell.expansion",
        ),
        ("", "stop_at_accuracy = 2.0", "train.stop_at_accuracy"),
    ] {
        let config = text_config(nowhere, model, train);
        let all = [
            Trainer::new(&config, &Device::Cpu),
            resume(&config, &checkpoint),
            Trainer::from_weights(&config, &checkpoint, Path::new(AT), &Device::Cpu),
        ];
        for result in all {
            let error = result.map(drop).unwrap_err().to_string();
            assert!(error.contains(key) && !error.contains("nowhere"), "{error}");
        }
    }
}

#[test]
fn another_task_is_refused() {
    let files = Files::new();
    let checkpoint = checkpoint_of(
        &text_config(&files.put("a.txt", &text_of("abcdef", 1)), "", ""),
        1,
    );
    let toml = "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 2\nvocab = 6\n\
                [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 6\nbatch = 2\nlr = 1e-3\n";
    let copying: TrainConfig = toml::from_str(toml).unwrap();
    let found = differences(resume(&copying, &checkpoint));
    has(
        &found,
        "task.kind: \"text\" in the checkpoint, \"selective_copying\" in the configuration",
    );
    has(
        &found,
        "vocabulary: the tokens of the checkpoint are characters",
    );
    let values = csv_config(&files.put("a.csv", &csv(0.0)), "'x', 'y'", "values", "");
    let classes = csv_config(&files.put("b.csv", &csv(0.0)), "'x', 'y'", "classes", "");
    let found = differences(resume(&classes, &checkpoint_of(&values, 1)));
    has(
        &found,
        "model.head.kind: \"values\" in the checkpoint, \"logits\"",
    );
}

/// What the checkpoint has and the task does not is told with all the rest, also where the configuration says it.
#[test]
fn heads_that_contradict_the_task_are_refused() {
    let files = Files::new();
    let values = csv_config(&files.put("a.csv", &csv(0.0)), "'x', 'y'", "values", "");
    let contradicts = |head: &dyn Fn(&mut HeadConfig), wanted: &str| {
        let mut config = values.clone();
        head(&mut config.model.head);
        let error = Trainer::new(&config, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    // The defaults, said.
    contradicts(
        &|head| head.kind = OutputKind::Logits.into(),
        "`model.head.kind`: is \"logits\", the task needs \"values\"; leave it out, or change the task",
    );
    contradicts(
        &|head| head.steps = HeadSteps::Every.into(),
        "`model.head.steps`: is \"every\", the task needs \"last\"",
    );
    let mut classes = csv_config(&files.put("b.csv", &csv(0.0)), "'x', 'y'", "classes", "");
    classes.model.head.kind = OutputKind::Values.into();
    let found = differences(resume(&classes, &checkpoint_of(&values, 1)));
    has(
        &found,
        "model.head.kind: \"values\" in the checkpoint, \"logits\"",
    );
}

#[test]
fn a_new_run_begins_from_weights() {
    let files = Files::new();
    let old = text_config(
        &files.put("a.txt", &text_of("abcdef", 1)),
        "dropout = 0.1",
        "",
    );
    let mut checkpoint = checkpoint_of(&old, 4);
    // As an import has it: the model, the weights, the characters in an order of their own.
    let own = checkpoint.vocabulary.take().unwrap();
    let turned = own.characters().unwrap().iter().rev().cloned();
    let turned: Vocabulary = turned.collect::<Vec<String>>().into();
    checkpoint.vocabulary = Some(turned.clone());
    checkpoint.config = serde_json::json!({ "import": {}, "model": checkpoint.config["model"] });
    (checkpoint.optimizer, checkpoint.trainer) = (None, None);
    let new = text_config(
        &files.put("b.txt", &text_of("cab", 2)),
        "dropout = 0.3",
        "seed = 8",
    );
    let begin = |config: &TrainConfig, from: &Checkpoint| {
        Trainer::from_weights(config, from, Path::new(AT), &Device::Cpu)
    };
    let mut trainer = begin(&new, &checkpoint).unwrap();
    assert_eq!(trainer.steps_done(), 0);
    let first = trainer.checkpoint().unwrap();
    assert_eq!(first.params, checkpoint.params);
    assert_eq!(first.vocabulary, Some(turned));
    assert_eq!(first.optimizer.as_ref().unwrap().step, 0);
    assert_eq!(first.config["model"]["dropout"], 0.3);
    // It goes on from its own checkpoints, bit for bit.
    let mut again = resume(&new, &first).unwrap();
    assert_eq!(again.notes(), [""; 0]);
    assert_eq!(again.step().unwrap(), trainer.step().unwrap());
    // Characters that have no token.
    let strange = text_config(&files.put("c.txt", &text_of("abcß", 2)), "", "");
    has(
        &differences(begin(&strange, &checkpoint)),
        "'ß', which the checkpoint does not know",
    );
    checkpoint.vocabulary = None;
    has(
        &differences(begin(&new, &checkpoint)),
        "does not say which character each of its tokens is",
    );
}

/// No number is smaller than what is none: it would be the best for ever.
#[test]
fn a_loss_that_is_not_finite_is_an_error_and_no_best() {
    let files = Files::new();
    let config = text_config(&files.put("a.txt", &text_of("abc", 1)), "", "");
    let mut checkpoint = checkpoint_of(&config, 1);
    let head = checkpoint.params.get_mut("head.weight").unwrap();
    head.data.iter_mut().for_each(|v| *v = 3e38 * v.signum());
    let trainer = Trainer::from_weights(&config, &checkpoint, Path::new(AT), &Device::Cpu).unwrap();
    let error = trainer.evaluate(Split::Validation, 0).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the loss over the validation part at step 0 is not finite"),
        "{error}"
    );
}
