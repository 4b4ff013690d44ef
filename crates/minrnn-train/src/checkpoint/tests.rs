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
    fs::remove_file(p.path.join("config.json")).unwrap();
    fs::write(p.path.join("thesis.txt"), "years of work").unwrap();
    let error = sample(2.0).save(&p.path).unwrap_err().to_string();
    assert!(error.contains("`thesis.txt`"), "{error}");
    assert_eq!(contents(&p.path)["thesis.txt"], b"years of work");
    assert!(sample(1.0).save(Path::new("/")).is_err());
    assert!(sample(1.0).save(Path::new("..")).is_err());
}

/// Of the checkpoint itself and of each folder that a save goes through. What it finds late, `check_place` finds at once.
#[cfg(unix)]
#[test]
fn links_and_files_in_the_place_of_a_folder_are_found_before_anything_is_written() {
    use std::os::unix::fs::symlink;
    type Put<'a> = &'a dyn Fn(&Path);
    let elsewhere = tempfile::tempdir().unwrap();
    let cases: [(Put, &str); 4] = [
        (
            &|at| symlink("nowhere", at).unwrap(),
            "a link that leads nowhere",
        ),
        (&|at| symlink(elsewhere.path(), at).unwrap(), "a link has"),
        (&|at| fs::write(at, "mine").unwrap(), "a file has"),
        (
            &|at| drop(std::os::unix::net::UnixListener::bind(at).unwrap()),
            "a device, a pipe or a socket",
        ),
    ];
    for ((put, wanted), name) in cases
        .iter()
        .flat_map(|case| ["c", ".c.tmp", ".c.new", ".c.old"].map(|name| (case, name)))
    {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        if name != "c" {
            sample(1.0).save(&path).unwrap();
        }
        Checkpoint::check_place(&path).unwrap();
        let before = fs::read_dir(&path).map_or(0, Iterator::count);
        let at = dir.path().join(name);
        put(&at);
        let kind = fs::symlink_metadata(&at).unwrap().file_type();
        for result in [Checkpoint::check_place(&path), sample(2.0).save(&path)] {
            let error = result.unwrap_err().to_string();
            let begin = format!("checkpoint {}: {wanted}", at.display());
            assert!(error.starts_with(&begin), "wanted {begin:?} in {error:?}");
            assert!(
                error.ends_with("move it away, or choose another folder"),
                "{error}"
            );
        }
        assert_eq!(fs::symlink_metadata(&at).unwrap().file_type(), kind);
        assert_eq!(
            fs::read_dir(&path).map_or(0, Iterator::count),
            before,
            "{name}"
        );
        if name != "c" {
            assert_eq!(Checkpoint::load(&path).unwrap(), sample(1.0));
        }
    }
}

/// A file of others, a folder of others with the name of a file of ours, and what they are after any number of saves,
/// with a crash at any moment of one of them.
#[test]
fn files_of_others_in_a_checkpoint_survive_every_save() {
    let stages = [0, 1, 2, 3, 4].map(Stage::Writing).into_iter();
    let stages = stages.chain([
        Stage::Written,
        Stage::Complete,
        Stage::OldAside,
        Stage::InPlace,
    ]);
    for stage in stages.map(Some).chain([None]) {
        let p = saved();
        fs::write(p.path.join(".DS_Store"), "view").unwrap();
        fs::create_dir(p.path.join("notes")).unwrap();
        fs::write(p.path.join("notes/a.txt"), "mine").unwrap();
        let files = files::encode(&sample(2.0), &p.path).unwrap();
        let crashed = replace::replace(&p.path, &files, &mut |now| match Some(now) == stage {
            true => Err(TrainError::config("crash", "here")),
            false => Ok(()),
        });
        assert_eq!(crashed.is_err(), stage.is_some(), "{stage:?}");
        if stage == Some(Stage::InPlace) {
            // A new one came before the old one was moved along: both stay.
            fs::write(p.path.join(".DS_Store"), "later").unwrap();
        }
        sample(3.0).save(&p.path).unwrap();
        assert_eq!(Checkpoint::load(&p.path).unwrap(), sample(3.0), "{stage:?}");
        let mut views = vec![fs::read(p.path.join(".DS_Store")).unwrap()];
        if stage == Some(Stage::InPlace) {
            views.push(fs::read(p.path.join(".DS_Store.1")).unwrap());
        }
        assert!(views.contains(&b"view".to_vec()), "{stage:?}");
        assert_eq!(fs::read(p.path.join("notes/a.txt")).unwrap(), b"mine");
        let beside = fs::read_dir(p.path.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "{stage:?}: leftovers");
    }
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

/// Weights and configuration of one and the same checkpoint, whenever it is read; and no reader finds nothing.
#[test]
fn readers_find_a_whole_checkpoint_while_it_is_replaced() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let place = saved();
    let (done, path) = (AtomicBool::new(false), place.path.as_path());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..50 {
                sample((round % 7) as f32).save(path).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut reads = 0;
        while !done.load(Ordering::SeqCst) {
            assert!(Checkpoint::is_there(path));
            let found = Checkpoint::load(path).unwrap_or_else(|e| panic!("read {reads}: {e}"));
            let k = found.config["model"]["k"].as_f64().unwrap();
            assert_eq!(found, sample(k as f32), "read {reads}");
            reads += 1;
        }
        assert!(reads > 5, "{reads}");
    });
}

/// A folder that a reader was in the middle of, replaced at every file in turn.
#[test]
fn what_was_read_of_two_checkpoints_does_not_count() {
    let place = saved();
    let looked = std::cell::Cell::new(0);
    let read = |folder: &Path| {
        let config = fs::read(folder.join("config.json")).unwrap();
        if looked.replace(looked.get() + 1) == 0 {
            sample(2.0).save(&place.path).unwrap();
        }
        Ok((config, fs::read(folder.join("model.safetensors")).unwrap()))
    };
    let (config, model) = replace::read_whole(&place.path, read).unwrap();
    let now = contents(&place.path);
    assert_eq!(looked.get(), 2);
    assert!(config == now["config.json"] && model == now["model.safetensors"]);
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
