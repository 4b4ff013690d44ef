//! The folder of a checkpoint while it is replaced.

use super::*;
use crate::checkpoint::replace::Stage;

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
