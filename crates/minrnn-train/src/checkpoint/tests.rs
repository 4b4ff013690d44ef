use super::replace::Stage;
use super::*;
use crate::schedule::Schedule;
use std::fs;
use std::path::PathBuf;

fn tensor(shape: &[usize], k: f32) -> TensorData {
    TensorData {
        shape: shape.to_vec(),
        data: (0..shape.iter().product::<usize>())
            .map(|i| (i as f32 + k).sin())
            .collect(),
    }
}

/// A full checkpoint; `k` makes them differ.
fn sample(k: f32) -> Checkpoint {
    let names = ["layers.0.rnn.weight", "embed", "head.bias"];
    let all = |k: f32| {
        names
            .iter()
            .map(|n| ((*n).to_owned(), tensor(&[n.len(), 3], k)))
            .collect::<BTreeMap<_, _>>()
    };
    let best = BestMetric {
        name: "loss".into(),
        value: 0.1 + f64::from(k) / 3.0,
        step: 40,
    };
    Checkpoint {
        config: serde_json::json!({"model": {"dim": 64, "k": k}, "lr": 0.1 + 0.2}),
        params: all(k),
        optimizer: Some(OptimizerState {
            step: 50,
            first: all(k + 1.0),
            second: all(k + 2.0),
        }),
        trainer: Some(TrainerState {
            step: 50,
            seed: u64::MAX,
            samples: 3200,
            schedule: Schedule::cosine(1e-3, 1e-5, 10, 100),
            best: Some(best),
            evals_since_best: 2,
        }),
        vocabulary: Some(vec!["\n".into(), "a".into(), "\u{e9}".into()]),
    }
}

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runs").join("best");
    Place { _dir: dir, path }
}

fn saved() -> Place {
    let p = place();
    sample(1.0).save(&p.path).unwrap();
    p
}

fn load_error(path: &Path) -> String {
    Checkpoint::load(path).unwrap_err().to_string()
}

fn contents(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |e: std::io::Result<fs::DirEntry>| {
        e.map(|e| {
            (
                e.file_name().into_string().unwrap(),
                fs::read(e.path()).unwrap(),
            )
        })
    };
    fs::read_dir(path)
        .unwrap()
        .map(|e| entry(e).unwrap())
        .collect()
}

#[test]
fn reads_back_exactly_what_was_saved() {
    let p = saved();
    assert_eq!(Checkpoint::load(&p.path).unwrap(), sample(1.0));
    let bare = Checkpoint {
        optimizer: None,
        trainer: None,
        vocabulary: None,
        ..sample(2.0)
    };
    bare.save(&p.path).unwrap();
    assert_eq!(Checkpoint::load(&p.path).unwrap(), bare);
    assert_eq!(contents(&p.path).len(), 2);
    assert_eq!(
        fs::read_dir(p.path.parent().unwrap()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    assert_eq!(contents(&saved().path), contents(&saved().path));
}

#[test]
fn a_crash_at_any_moment_leaves_the_old_or_the_new() {
    let (old, new, later) = (sample(1.0), sample(2.0), sample(3.0));
    let stages = [0, 1, 2, 3, 4].map(Stage::Writing).into_iter();
    let stages = stages.chain([
        Stage::Written,
        Stage::Complete,
        Stage::OldAside,
        Stage::InPlace,
    ]);
    for (stage, first) in stages.flat_map(|s| [(s, false), (s, true)]) {
        let p = place();
        if !first {
            old.save(&p.path).unwrap();
        }
        let files = files::encode(&new, &p.path).unwrap();
        let mut reached = false;
        let result = replace::replace(&p.path, &files, &mut |now| {
            reached |= now == stage;
            if now == stage {
                Err(TrainError::config("crash", "here"))
            } else {
                Ok(())
            }
        });
        assert!(reached && result.is_err(), "{stage:?}");
        let completed = matches!(stage, Stage::OldAside | Stage::InPlace);
        match Checkpoint::load(&p.path) {
            Ok(found) if completed => assert_eq!(found, new, "{stage:?}"),
            Ok(found) if first => assert_eq!((found, stage), (new.clone(), Stage::Complete)),
            Ok(found) => assert_eq!(found, old, "{stage:?}"),
            Err(error) => {
                assert!(
                    first && matches!(stage, Stage::Writing(_) | Stage::Written),
                    "{stage:?}: {error}"
                );
                assert!(error.to_string().contains("is missing"), "{error}");
            }
        }
        later.save(&p.path).unwrap();
        assert_eq!(Checkpoint::load(&p.path).unwrap(), later, "{stage:?}");
        assert_eq!(
            fs::read_dir(p.path.parent().unwrap()).unwrap().count(),
            1,
            "{stage:?}: leftovers"
        );
    }
}

#[test]
fn a_second_crash_after_the_first_loses_nothing() {
    let stop = |at: Stage| {
        move |now: Stage| {
            if now == at {
                Err(TrainError::config("crash", "here"))
            } else {
                Ok(())
            }
        }
    };
    let p = saved();
    let files = |k| files::encode(&sample(k), &p.path).unwrap();
    assert!(replace::replace(&p.path, &files(2.0), &mut stop(Stage::OldAside)).is_err());
    assert!(replace::replace(&p.path, &files(3.0), &mut stop(Stage::Writing(1))).is_err());
    assert_eq!(Checkpoint::load(&p.path).unwrap(), sample(2.0));
}

#[test]
fn folders_of_others_are_not_replaced() {
    let p = place();
    fs::create_dir_all(&p.path).unwrap();
    sample(1.0).save(&p.path).unwrap();
    fs::write(p.path.join("thesis.txt"), "years of work").unwrap();
    let error = sample(2.0).save(&p.path).unwrap_err().to_string();
    assert!(error.contains("`thesis.txt`"), "{error}");
    assert_eq!(Checkpoint::load(&p.path).unwrap(), sample(1.0));
    assert!(sample(1.0).save(Path::new("/")).is_err());
    assert!(sample(1.0).save(Path::new("..")).is_err());
}

#[test]
fn damaged_files_are_named() {
    type Change<'a> = &'a dyn Fn(Vec<u8>) -> Vec<u8>;
    let cases: [(&str, Change, &str); 6] = [
        (
            "model.safetensors",
            &|b| b[..b.len() - 5].to_vec(),
            "model.safetensors: the file is cut off: tensor `layers.0.rnn.weight` needs",
        ),
        (
            "optimizer.safetensors",
            &|b| b[..100].to_vec(),
            "optimizer.safetensors: the file is cut off: the header",
        ),
        (
            "config.json",
            &|_| b"{\n \"a\": 1,\n}".to_vec(),
            "config.json: trailing comma at line 3",
        ),
        (
            "trainer_state.json",
            &|_| b"{\n\"steps\": 3}".to_vec(),
            "trainer_state.json: unknown field `steps`",
        ),
        ("vocabulary.json", &|_| b"[\n1]".to_vec(), "line 2"),
        ("config.json", &|b| b[..3].to_vec(), "EOF"),
    ];
    for (file, change, wanted) in cases {
        let p = saved();
        let path = p.path.join(file);
        fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
        let found = load_error(&p.path);
        assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
    }
    for file in ["config.json", "model.safetensors"] {
        let p = saved();
        fs::remove_file(p.path.join(file)).unwrap();
        assert!(load_error(&p.path).contains(&format!("`{file}` is missing")));
    }
    assert!(load_error(&place().path).contains("config.json and model.safetensors"));
}

#[test]
fn tensors_are_compared_with_the_model() {
    let c = sample(1.0);
    let path = Path::new("runs/best");
    let model: Vec<(&str, Vec<usize>)> = c
        .params
        .iter()
        .map(|(n, t)| (n.as_str(), t.shape.clone()))
        .collect();
    c.check_against(path, &model).unwrap();
    let problem = |wanted: &[(&str, Vec<usize>)]| match c.check_against(path, wanted).unwrap_err() {
        TrainError::Checkpoint { problem, .. } => problem,
        other => panic!("{other}"),
    };
    let more = [model.clone(), vec![("y", vec![1]), ("x", vec![1])]].concat();
    assert_eq!(
        problem(&more),
        CheckpointProblem::MissingTensors {
            names: vec!["x".into(), "y".into()]
        }
    );
    assert_eq!(
        problem(&model[1..]),
        CheckpointProblem::ExtraTensors {
            names: vec!["embed".into()]
        }
    );
    let mut other = model.clone();
    other[0].1 = vec![3, 5];
    let wanted = CheckpointProblem::WrongShape {
        tensor: "embed".into(),
        found: vec![5, 3],
        wanted: vec![3, 5],
    };
    assert_eq!(problem(&other), wanted);
}

#[test]
fn weights_that_are_not_finite_are_neither_saved_nor_loaded() {
    let p = saved();
    let mut bad = sample(2.0);
    bad.params.get_mut("embed").unwrap().data[7] = f32::NAN;
    let error = bad.save(&p.path).unwrap_err().to_string();
    assert!(error.contains("`embed` has NaN at index 7"), "{error}");
    assert_eq!(Checkpoint::load(&p.path).unwrap(), sample(1.0));
    let path = p.path.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    assert!(load_error(&p.path).contains("`layers.0.rnn.weight` has inf at index 56"));
    let mut best = sample(2.0);
    if let Some(best) = best.trainer.as_mut().and_then(|t| t.best.as_mut()) {
        best.value = f64::NAN;
    }
    assert!(best.save(&p.path).unwrap_err().to_string().contains("loss"));
    let mut size = sample(2.0);
    size.params.get_mut("embed").unwrap().shape = vec![4];
    assert!(
        size.save(&p.path)
            .unwrap_err()
            .to_string()
            .contains("`embed`")
    );
}

#[test]
fn numbers_in_json_keep_every_bit() {
    let p = place();
    for k in 0..200 {
        let mut c = sample(0.0);
        let value = (f64::from(k) * 0.731).exp() / 3.0;
        if let Some(best) = c.trainer.as_mut().and_then(|t| t.best.as_mut()) {
            best.value = value;
        }
        let files = files::encode(&c, &p.path).unwrap();
        let json = &files
            .iter()
            .find(|(name, _)| *name == "trainer_state.json")
            .unwrap()
            .1;
        let back: TrainerState = serde_json::from_slice(json).unwrap();
        assert_eq!(back.best.unwrap().value.to_bits(), value.to_bits());
    }
}

/// What is held to when it is written is held to when it is read; and nothing is waited for.
#[test]
fn states_that_were_never_saved() {
    let place = saved();
    let file = place.path.join("trainer_state.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["schedule"]["lr"] = (-1.0).into();
    fs::write(&file, json.to_string()).unwrap();
    let error = load_error(&place.path);
    assert!(
        error.contains("trainer_state.json") && error.contains("positive"),
        "{error}"
    );
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = load_error(&place.path);
    assert!(error.contains("is no plain file"), "{error}");
}
