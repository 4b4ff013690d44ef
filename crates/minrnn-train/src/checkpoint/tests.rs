mod parts;
mod replaced;

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
            slots: BTreeMap::from([
                ("first".to_owned(), all(k + 1.0)),
                ("second".to_owned(), all(k + 2.0)),
            ]),
        }),
        trainer: Some(TrainerState {
            step: 50,
            seed: u64::MAX,
            samples: 3200,
            schedule: Schedule::cosine(1e-3, 1e-5, 10, 100),
            best: Some(best),
            evals_since_best: 2,
            reached: Some(0.9375),
            evaluation_due: true,
            roll_backs: 1,
            average_since: 12,
            skipped: 0,
            loss_scale: Some(ScaleState {
                scale: 32768.0,
                good_steps: 7,
            }),
            streams: Some(StreamPlace {
                pass: 2,
                at: 7,
                streams: 3,
                steps: 5,
            }),
            parts: BTreeMap::new(),
        }),
        raw: Some(all(k + 4.0)),
        states: Some(all(k + 3.0)),
        vocabulary: Some(vec!["\n".into(), "a".into(), "\u{e9}".into()].into()),
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
        raw: None,
        states: None,
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

/// Steps and samples that no training reaches together are neither written nor read.
#[test]
fn states_that_contradict_each_other_are_refused() {
    type Change = fn(&mut Checkpoint);
    let cases: [(Change, &str); 4] = [
        (
            |c| c.optimizer.as_mut().unwrap().step = 7,
            "the optimizer's state is of step 7, the trainer's of step 50",
        ),
        (
            |c| c.trainer.as_mut().unwrap().samples = 49,
            "49 samples were used in 50 steps",
        ),
        (
            |c| c.trainer.as_mut().unwrap().best.as_mut().unwrap().step = 51,
            "the best loss is of step 51, but only 50 steps",
        ),
        (
            |c| {
                c.optimizer.as_mut().unwrap().step = 0;
                c.trainer.as_mut().unwrap().step = 0;
                c.trainer.as_mut().unwrap().best = None;
            },
            "3200 samples were used in 0 steps",
        ),
    ];
    for (change, wanted) in cases {
        let p = saved();
        let mut bad = sample(2.0);
        change(&mut bad);
        let error = bad.save(&p.path).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert_eq!(Checkpoint::load(&p.path).unwrap(), sample(1.0));
    }
    // Files of two checkpoints in one folder.
    let (p, other) = (saved(), place());
    let mut later = sample(1.0);
    later.optimizer.as_mut().unwrap().step = 60;
    later.trainer.as_mut().unwrap().step = 60;
    later.save(&other.path).unwrap();
    let file = "optimizer.safetensors";
    fs::copy(other.path.join(file), p.path.join(file)).unwrap();
    let error = load_error(&p.path);
    assert!(
        error.contains("trainer_state.json: the optimizer's state is of step 60"),
        "{error}"
    );
    let weights = Checkpoint::load_weights(&p.path).unwrap();
    assert_eq!(
        (weights.optimizer, weights.trainer),
        (None, sample(1.0).trainer)
    );
    // Weights need no trainer state, and believe none that cannot be.
    let file = p.path.join("trainer_state.json");
    let text = fs::read_to_string(&file).unwrap();
    for bad in [text.replace("3200", "7").as_str(), &text[..text.len() / 2]] {
        fs::write(&file, bad).unwrap();
        assert_eq!(Checkpoint::load_weights(&p.path).unwrap().trainer, None);
    }
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

/// The names that files have had since the first version, in this order.
#[test]
fn the_optimizers_file_is_the_same_bytes_whatever_knows_its_slots() {
    let tensor = |k: f32| TensorData {
        shape: vec![1],
        data: vec![k],
    };
    let of = |k: f32| BTreeMap::from([("b".to_owned(), tensor(k))]);
    let checkpoint = Checkpoint {
        optimizer: Some(OptimizerState {
            step: 50,
            slots: BTreeMap::from([
                ("second".to_owned(), of(2.0)),
                ("first".to_owned(), of(1.0)),
            ]),
        }),
        ..sample(1.0)
    };
    let place = place();
    checkpoint.save(&place.path).unwrap();
    let bytes = std::fs::read(place.path.join("optimizer.safetensors")).unwrap();
    let header = r#"{"__metadata__":{"step":"50"},"first.b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"second.b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let padded = format!("{header:<width$}", width = header.len().next_multiple_of(8));
    let mut want = (padded.len() as u64).to_le_bytes().to_vec();
    want.extend(padded.bytes());
    want.extend([1.0f32, 2.0].iter().flat_map(|v| v.to_le_bytes()));
    assert_eq!(bytes, want);
}
