//! The models of `models/`: exported again byte for byte, verified, and writing the same text in every engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use minrnn_cli::verify::{Export, Options, verify};
use minrnn_onnx::export::{DirOptions, write_export};
use minrnn_runtime as runtime;
use minrnn_runtime::text::Sampler;
use minrnn_train::checkpoint::{Checkpoint, load_model};
use minrnn_train::generate::Generator;
use minrnn_train::task::{Input, Split, Targets, TaskConfig};

fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let entries = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<_> = entries
        .filter(|p| p.join("model.safetensors").exists())
        .collect();
    all.sort();
    assert!(all.len() >= 2, "at least one minGRU and one minLSTM");
    all
}

#[test]
fn are_exported_again_byte_for_byte() {
    for dir in models() {
        let checkpoint = Checkpoint::load(&dir).unwrap();
        let (model, params) = load_model(&checkpoint, &dir).unwrap();
        let again = tempfile::tempdir().unwrap();
        let options = DirOptions {
            vocabulary: checkpoint.vocabulary,
            ..DirOptions::default()
        };
        let written = write_export(again.path(), &model, &params, &options).unwrap();
        for file in written.files {
            let name = file.path.file_name().unwrap();
            let stored = std::fs::read(dir.join("export").join(name)).unwrap();
            assert!(
                std::fs::read(&file.path).unwrap() == stored,
                "{} of {} differs",
                name.display(),
                dir.display()
            );
        }
    }
}

/// Verifies one of them to `longest`, gates to 1024 steps.
fn holds(dir: &Path, longest: usize) {
    let (model, params) = load_model(&Checkpoint::load(dir).unwrap(), dir).unwrap();
    let export = Export::open(&dir.join("export")).unwrap();
    assert!(
        export.params(&model).unwrap() == params,
        "{}",
        dir.display()
    );
    let options = Options {
        longest: Some(longest),
        probe_steps: 1024,
        ..Options::default()
    };
    let report = verify(&export, &model, &params, &options, &mut |_, _, _| ()).unwrap();
    assert!(
        report.holds,
        "{}\n{}\n{:#?}",
        dir.display(),
        report.table(),
        report.remarks()
    );
    for engine in ["tract", "minrnn"] {
        let mut rows = report.rows.iter().filter(|r| r.engine == engine);
        let back = rows.find(|r| r.form == "step, back to a state");
        assert!(back.is_some_and(|r| r.cases == 1), "{engine}");
    }
}

/// Past a block of blocks.
#[test]
fn hold_in_every_form() {
    let all = models();
    holds(&all[0], 257);
}

#[test]
fn the_others_hold_in_every_form() {
    models().iter().skip(1).for_each(|dir| holds(dir, 65));
}

/// The greedy text of 500 characters: candle step by step, the step file, and the parallel file fed with growing prefixes.
#[test]
fn write_the_same_text_in_every_engine() {
    const LENGTH: usize = 500;
    let mut written = 0;
    for dir in models() {
        let checkpoint = Checkpoint::load(&dir).unwrap();
        if checkpoint.vocabulary.is_none() {
            continue;
        }
        let (model, params) = load_model(&checkpoint, &dir).unwrap();
        let mut sampler = Sampler::new(0.0, 0).unwrap();
        let open = |form: &str| {
            runtime::Model::open(dir.join(format!("export/model.{form}.onnx"))).unwrap()
        };

        let mut text = vec![1u32];
        let mut generator = Generator::new(&model, &params, &Device::Cpu).unwrap();
        while text.len() <= LENGTH {
            let logits = generator.feed(&text[text.len() - 1..]).unwrap();
            text.push(sampler.choose(&logits) as u32);
        }

        let mut session = runtime::Session::new(Arc::new(open("step")), 1).unwrap();
        for i in 0..LENGTH {
            let logits = session.step_tokens(&[i64::from(text[i])]).unwrap().values;
            assert_eq!(
                sampler.choose(&logits) as u32,
                text[i + 1],
                "step, character {i} of {}",
                dir.display()
            );
        }

        let parallel = open("parallel");
        let ids: Vec<i64> = text.iter().map(|id| i64::from(*id)).collect();
        let start = parallel.initial_state(1).unwrap();
        for i in 0..LENGTH {
            let input = runtime::Input::Tokens {
                ids: &ids[..=i],
                batch: 1,
                time: i + 1,
            };
            let (output, _) = parallel.run_symbolic(input, &start).unwrap();
            let width = output.values.len() / (i + 1);
            let choice = sampler.choose(&output.values[i * width..]);
            assert_eq!(
                choice as u32,
                text[i + 1],
                "parallel, prefix of {} of {}",
                i + 1,
                dir.display()
            );
        }
        written += 1;
    }
    assert!(written > 0, "no text model among the models");
}

/// Of the test part of their task, by their file: what README says of them.
#[test]
fn copy_what_they_were_trained_to_copy() {
    const SEQUENCES: usize = 8;
    let mut counted = 0;
    for dir in models() {
        let config = Checkpoint::load(&dir).unwrap().config;
        let task: TaskConfig = serde_json::from_value(config["task"].clone()).unwrap();
        if !matches!(task, TaskConfig::SelectiveCopying(_)) {
            continue;
        }
        let batch = task
            .open(0)
            .unwrap()
            .batch(Split::Test, 0, SEQUENCES)
            .unwrap();
        let (Input::Tokens { ids }, Targets::Classes { ids: wanted, .. }, Some(weights)) =
            (&batch.input, &batch.targets, &batch.weights)
        else {
            panic!("tokens with classes");
        };
        let model = runtime::Model::open(dir.join("export/model.parallel.onnx")).unwrap();
        let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        let input = runtime::Input::Tokens {
            ids: &ids,
            batch: SEQUENCES,
            time: batch.time,
        };
        let start = model.initial_state(SEQUENCES).unwrap();
        let (logits, _) = model.run_symbolic(input, &start).unwrap();
        let width = logits.values.len() / wanted.len();
        let mut sampler = Sampler::new(0.0, 0).unwrap();
        let asked: Vec<usize> = (0..wanted.len()).filter(|i| weights[*i] != 0.0).collect();
        let right = asked.iter().filter(|i| {
            let said = sampler.choose(&logits.values[*i * width..][..width]);
            said as u32 == wanted[**i]
        });
        let share = right.count() as f64 / asked.len() as f64;
        assert!(share >= 0.98, "{share} of {}", dir.display());
        counted += 1;
    }
    assert!(counted >= 3, "models of selective copying");
}
