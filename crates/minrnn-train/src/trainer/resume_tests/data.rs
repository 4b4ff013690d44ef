//! Vocabulary, columns, classes and values of the data.

use super::*;

/// The case: as many characters, so that every shape fits and every id means another one.
#[test]
fn a_text_with_other_characters_is_refused_by_their_names() {
    let files = Files::new();
    let old = text_config(&files.put("a.txt", &text_of("abcdeq\n", 1)), "", "");
    let new = text_config(&files.put("b.txt", &text_of("abcdeé\n", 1)), "", "");
    let checkpoint = checkpoint_of(&old, 2);
    let found = differences(resume(&new, &checkpoint));
    has(
        &found,
        "vocabulary: the text has 'é', which the checkpoint does not know",
    );
    has(&found, "the text lacks 'q' of the checkpoint");
    has(
        &found,
        "data: the training and the validation part are not those of the checkpoint",
    );
    // No data makes a token of a character that has none.
    let found = differences(resume_with(&new, &checkpoint, true));
    assert_eq!(
        found,
        ["vocabulary: the text has 'é', which the checkpoint does not know"]
    );
}

#[test]
fn other_data_is_refused_unless_it_is_asked_for_and_then_what_was_learned_keeps_its_meaning() {
    let files = Files::new();
    let old = text_config(&files.put("a.txt", &text_of("abcdef", 1)), "", "");
    let new = text_config(&files.put("b.txt", &text_of("bcd", 5)), "", "");
    let checkpoint = checkpoint_of(&old, 2);
    let found = differences(resume(&new, &checkpoint));
    has(&found, "the text lacks 'a', 'e', 'f' of the checkpoint");
    has(&found, "data: ");
    let trainer = resume_with(&new, &checkpoint, true).unwrap();
    // 'b' has the number that it had, not the one that it would have in the new text.
    assert_eq!(
        &trainer.task().vocabulary().unwrap().plain(),
        checkpoint.vocabulary.as_ref().unwrap()
    );
    let batch = trainer.task().batch(Split::Train, 0, 2).unwrap();
    let crate::task::Input::Tokens { ids } = batch.input else {
        panic!("tokens expected")
    };
    assert!(ids.iter().all(|id| (1..4).contains(id)), "{ids:?}");
    has(
        trainer.notes(),
        "the data are others than those of the checkpoint; weights and vocabulary stay",
    );
    has(trainer.notes(), "was measured on other validation data");
    has(
        trainer.notes(),
        "from step 2 on the run is no longer, bit for bit",
    );
    let after = trainer.checkpoint().unwrap();
    assert_eq!(after.trainer.as_ref().unwrap().best, None);
    assert_eq!(after.vocabulary, checkpoint.vocabulary);
    // From there it is a run of the new data, whose text lacks characters.
    assert_eq!(resume(&new, &after).unwrap().notes(), [""; 0]);
    has(&differences(resume(&old, &after)), "data: ");
}

#[test]
fn the_same_data_elsewhere_is_the_same() {
    let files = Files::new();
    let text = text_of("abc", 1);
    let old = text_config(&files.put("a.txt", &text), "", "");
    let checkpoint = checkpoint_of(&old, 2);
    let moved = text_config(&files.put("b.txt", &text), "", "");
    let trainer = resume(&moved, &checkpoint).unwrap();
    assert_eq!(trainer.notes(), [""; 0]);
    assert!(
        trainer
            .checkpoint()
            .unwrap()
            .trainer
            .unwrap()
            .best
            .is_some()
    );
    let mut split = old.clone();
    if let TaskConfig::Text(options) = &mut split.task {
        options.validation_fraction = 0.3;
    }
    let found = differences(resume(&split, &checkpoint));
    assert_eq!(found.len(), 1);
    has(&found, "(task.validation_fraction 0.2 -> 0.3)");
}

#[test]
fn columns_in_another_order_are_refused_and_statistics_stay() {
    let files = Files::new();
    let (a, b) = (
        files.put("a.csv", &csv(0.0)),
        files.put("b.csv", &csv(100.0)),
    );
    let old = csv_config(&a, "'x', 'y'", "classes", "");
    let checkpoint = checkpoint_of(&old, 2);
    let turned = csv_config(&a, "'y', 'x'", "classes", "");
    for new_data in [false, true] {
        let found = differences(resume_with(&turned, &checkpoint, new_data));
        has(
            &found,
            "features: the order differs: `x`, `y` in the checkpoint, `y`, `x` in the configuration",
        );
    }
    // Checkpoints of the first versions have the columns only.
    let mut first = checkpoint.clone();
    first.config["model"]["input"]
        .as_object_mut()
        .unwrap()
        .remove("names");
    first.config.as_object_mut().unwrap().remove("run");
    has(
        &differences(resume(&turned, &first)),
        "features: the order differs",
    );
    let shifted = csv_config(&b, "'x', 'y'", "classes", "");
    has(&differences(resume(&shifted, &checkpoint)), "data: ");
    let trainer = resume_with(&shifted, &checkpoint, true).unwrap();
    has(
        trainer.notes(),
        "weights and statistics stay as they are in the checkpoint",
    );
    let after = trainer.checkpoint().unwrap();
    assert_eq!(
        after.config["model"]["input"],
        checkpoint.config["model"]["input"]
    );
    assert_eq!(
        after.params["input.shift"],
        checkpoint.params["input.shift"]
    );
    let mut said = shifted.clone();
    said.model.input = Some(minrnn_model::config::InputConfig {
        mean: Some(vec![1.0, 2.0]),
        ..Default::default()
    });
    has(
        &differences(resume_with(&said, &checkpoint, true)),
        "model.input.mean: other numbers",
    );
}

/// Data that lack the last class still have all of the model's.
#[test]
fn classes_keep_their_numbers() {
    let files = Files::new();
    let a = files.put("a.csv", &csv(0.0));
    let fewer: Vec<String> = csv(1.0)
        .lines()
        .filter(|line| !line.contains(",2,"))
        .map(str::to_owned)
        .collect();
    let fewer = files.put("b.csv", &(fewer.join("\n") + "\n"));
    let more = files.put("c.csv", &csv(0.0).replace(",2,4", ",5,4"));
    let config = |path: &Path| csv_config(path, "'x', 'y'", "classes", "");
    let checkpoint = checkpoint_of(&config(&a), 1);
    let trainer = resume_with(&config(&fewer), &checkpoint, true).unwrap();
    assert_eq!(trainer.config().model.head.width, Some(3));
    let found = differences(resume_with(&config(&more), &checkpoint, true));
    has(
        &found,
        "model.head.width: 3 in the checkpoint, 6 in the configuration",
    );
}

/// A value whose square float32 does not hold, in a part that is looked at late.
#[test]
fn outliers_are_found_in_every_part_when_a_run_begins() {
    let files = Files::new();
    let path = files.put("a.csv", &csv(0.0));
    let far = |column: &str, value: &str, i: usize| {
        let rows = csv(0.0);
        let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
        let at = rows[0].split(',').position(|name| name == column).unwrap();
        // Step 2 of sequence i; a value for the sequence stands in all of its rows.
        let steps = if column == "goal" { 0..4 } else { 2..3 };
        for row in steps.map(|step| 1 + 4 * i + step) {
            let mut cells: Vec<&str> = rows[row].split(',').collect();
            cells[at] = value;
            rows[row] = cells.join(",");
        }
        files.put("far.csv", &(rows.join("\n") + "\n"))
    };
    let task = csv_config(&path, "'x', 'y'", "values", "");
    let trainer = Trainer::new(&task, &Device::Cpu).unwrap();
    let parts = [Split::Train, Split::Validation].map(|split| trainer.task().len(split));
    assert_eq!(parts, [Some(9), Some(3)]);
    let (mut named, checkpoint) = (0, checkpoint_of(&task, 1));
    for i in 0..12 {
        for (column, value, wanted) in [
            (
                "x",
                "3e38",
                format!("sequence {i}, step 2 (from 0), feature `x`: is 3e38, "),
            ),
            (
                "goal",
                "-1e17",
                format!("sequence {i} (from 0), target `goal`: is -1e17"),
            ),
        ] {
            let config = csv_config(&far(column, value, i), "'x', 'y'", "values", "");
            let new = Trainer::new(&config, &Device::Cpu).map(drop);
            // Statistics of the training part make room for its own features; those of a checkpoint do not.
            let found = match new {
                Err(error) => error.to_string(),
                Ok(()) => {
                    assert_eq!(column, "x");
                    let resumed = resume_with(&config, &checkpoint, true).map(drop);
                    resumed.unwrap_err().to_string()
                }
            };
            named += usize::from(found.contains(&wanted));
            assert!(found.contains("beyond float32"), "{found}");
            let measured = open_data(&config, &checkpoint, Path::new(AT)).map(drop);
            assert!(measured.unwrap_err().to_string().contains("beyond float32"));
        }
    }
    // A target in the training part is told by what it makes of the statistics.
    assert_eq!(named, 12 + 3);
}

#[test]
fn data_to_measure_with_has_the_numbers_of_the_checkpoint() {
    let files = Files::new();
    let old = text_config(&files.put("a.txt", &text_of("abcdef", 1)), "", "");
    let checkpoint = checkpoint_of(&old, 1);
    let some = text_config(&files.put("b.txt", &text_of("bdf", 1)), "", "seed = 4");
    let (task, notes) = open_data(&some, &checkpoint, Path::new(AT)).unwrap();
    assert_eq!(task.vocabulary().unwrap().len(), 6);
    assert_eq!(
        notes,
        [
            "the training and the validation part are not those of the checkpoint's training: figures are of these data, and the checkpoint may have been trained on some of them"
        ]
    );
    let (_, notes) = open_data(&old, &checkpoint, Path::new(AT)).unwrap();
    assert_eq!(notes, [""; 0]);
    let mut first = checkpoint.clone();
    first.config.as_object_mut().unwrap().remove("run");
    let (_, notes) = open_data(&old, &first, Path::new(AT)).unwrap();
    has(&notes, "does not say which data it was trained on");
    let others = text_config(
        &files.put("c.txt", &text_of("abcdeg", 1)),
        "residual = false",
        "",
    );
    let error = open_data(&others, &checkpoint, Path::new(AT))
        .unwrap_err()
        .to_string();
    for wanted in [
        "'g', which the checkpoint does not know",
        "model.residual",
        "figures would be of another model",
    ] {
        assert!(error.contains(wanted), "{error}");
    }
}

/// Numbers and names are one thing only where the configuration says so.
#[test]
fn classes_are_called_what_the_checkpoint_calls_them() {
    let files = Files::new();
    let labelled = |name: &str, labels: [&str; 3]| {
        let rows = csv(0.0);
        let mut lines = rows.lines();
        let mut text = format!("{}\n", lines.next().unwrap());
        for line in lines {
            let mut cells: Vec<&str> = line.split(',').collect();
            cells[3] = labels[cells[3].parse::<usize>().unwrap()];
            text += &format!("{}\n", cells.join(","));
        }
        csv_config(&files.put(name, &text), "'x', 'y'", "classes", "")
    };
    let named = |config: &TrainConfig, names: [&str; 3]| {
        let mut config = config.clone();
        let TaskConfig::Sequences(options) = &mut config.task else {
            panic!("a task of sequences")
        };
        options.class_names = names.map(String::from).to_vec();
        config
    };
    let numbers = labelled("numbers.csv", ["0", "1", "2"]);
    let words = labelled("words.csv", ["run", "sit", "walk"]);
    let padded = labelled("padded.csv", ["01", "02", "03"]);
    let tens = labelled("tens.csv", ["08", "09", "10"]);
    let ten = labelled("ten.csv", ["10", "10", "10"]);
    let of_numbers = checkpoint_of(&numbers, 2);
    for other in [&words, &padded] {
        let found = differences(resume_with(other, &of_numbers, true));
        has(&found, "classes: numbers from 0 on in the checkpoint");
        has(&found, "task.class_names");
    }
    // The same data under other names are not new.
    let goes_on = |config: &TrainConfig, checkpoint: &Checkpoint| {
        resume_with(config, checkpoint, true).or_else(|_| resume(config, checkpoint))
    };
    // Said outright, they may get names.
    let said = named(&numbers, ["run", "sit", "walk"]);
    goes_on(&said, &of_numbers).unwrap();
    goes_on(&named(&words, ["walk", "sit", "run"]), &of_numbers).unwrap();

    let of_words = checkpoint_of(&words, 2);
    let found = differences(resume_with(&numbers, &of_words, true));
    has(
        &found,
        "classes: `run`, `sit`, `walk` in the checkpoint, numbers in the data",
    );
    goes_on(&said, &of_words).unwrap();

    // Named by its own task, numbers stay places.
    let of_said = checkpoint_of(&said, 2);
    goes_on(&numbers, &of_said).unwrap();

    let of_tens = checkpoint_of(&tens, 2);
    let trainer = resume_with(&ten, &of_tens, true).unwrap();
    let names = trainer.config().model.head.names.clone().unwrap();
    assert_eq!(names, ["08", "09", "10"]);
}

/// The rows of [`csv`] as arrays, which have no names.
fn arrays(files: &Files, shift: f64, target: &str) -> TrainConfig {
    let put = |name: &str, kind: &str, shape: &str, values: Vec<[u8; 4]>| {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values.concat());
        let path = files.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let x = |id: u32| f64::from(id % 3) + shift;
    let steps = (0..12).flat_map(|id| (0..4).flat_map(move |t: u32| [x(id) as f32, t as f32]));
    let features = put(
        "x.npy",
        "<f4",
        "(12, 4, 2)",
        steps.map(f32::to_le_bytes).collect(),
    );
    let labels = match target {
        "classes" => {
            let classes = (0..12u32).map(|id| (id % 3).to_le_bytes());
            put("y.npy", "<i4", "(12,)", classes.collect())
        }
        _ => {
            let goals = (0..12).map(|id| ((x(id) * 2.0) as f32).to_le_bytes());
            put("y.npy", "<f4", "(12, 1)", goals.collect())
        }
    };
    let toml = format!(
        "[task]\nkind = 'sequences'\npath = '{}'\nlabels_path = '{}'\ntarget = '{target}'\nper = 'sequence'\nvalidation_fraction = 0.25\n\
         [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 6\nbatch = 2\nlr = 1e-3\n",
        features.display(),
        labels.display()
    );
    toml::from_str(&toml).expect(&toml)
}

/// Arrays have no names: nothing tells whether their columns stand in the checkpoint's order.
#[test]
fn names_that_one_side_alone_has_are_told_as_unchecked() {
    let files = Files::new();
    let named = files.put("a.csv", &csv(0.0));
    let moved = files.put("b.csv", &csv(7.0));
    for target in ["classes", "values"] {
        let config = csv_config(&named, "'x', 'y'", target, "");
        let checkpoint = checkpoint_of(&config, 2);
        // The same values in the same order are known to be the same.
        let same = arrays(&files, 0.0, target);
        assert_eq!(resume(&same, &checkpoint).unwrap().notes(), [""; 0]);
        let told = |with: &str, without: &str, notes: &[String]| {
            has(
                notes,
                &format!(
                    "features have names in {with} (`x`, `y`) and none in {without}: that they are the same, in this order, was not checked"
                ),
            );
            let targets = format!("targets have names in {with} (`goal`) and none in {without}");
            let found = notes.iter().any(|note| note.contains(&targets));
            assert_eq!(found, target == "values", "{notes:?}");
        };
        let everywhere = |config: &TrainConfig, checkpoint: &Checkpoint| {
            let resumed = resume_with(config, checkpoint, true).unwrap();
            let begun = Trainer::from_weights(config, checkpoint, Path::new(AT), &Device::Cpu);
            let measured = open_data(config, checkpoint, Path::new(AT)).unwrap().1;
            [
                resumed.notes().to_vec(),
                begun.unwrap().notes().to_vec(),
                measured,
            ]
        };
        let other = arrays(&files, 7.0, target);
        for notes in everywhere(&other, &checkpoint) {
            told("the checkpoint", "the data", &notes);
        }
        let checkpoint = checkpoint_of(&arrays(&files, 0.0, target), 2);
        for notes in everywhere(&csv_config(&moved, "'x', 'y'", target, ""), &checkpoint) {
            told("the data", "the checkpoint", &notes);
        }
    }
}
