use super::*;

fn log(step: u64) -> StepLog {
    StepLog {
        step,
        loss: 0.5 + step as f64,
        lr: 1e-3,
        grad_norm: 2.0,
        tokens: 8,
        loss_scale: None,
        skipped: false,
    }
}

const METRICS: Metrics = Metrics {
    loss: 0.25,
    accuracy: Some(0.5),
    count: 4,
};

fn write(dir: &Path, from: u64, to: u64) -> Vec<u8> {
    let mut board = Board::open(dir, from).unwrap();
    for step in from..to {
        board.step(log(step), 100.0).unwrap();
        board.eval(step + 1, &METRICS, Some("a\nb")).unwrap();
    }
    drop(board);
    fs::read(place(dir)).unwrap()
}

#[test]
fn a_resumed_file_is_that_of_a_run_that_never_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let whole = write(&dir.path().join("a"), 0, 6);
    let part = dir.path().join("b");
    write(&part, 0, 4);
    // A crash within a record, and two steps that are made again.
    let mut bytes = fs::read(place(&part)).unwrap();
    bytes.truncate(bytes.len() - 3);
    fs::write(place(&part), bytes).unwrap();
    assert_eq!(write(&part, 2, 6), whole);
}

#[test]
fn what_is_no_event_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0, 1);
    fs::write(place(dir.path()), "twelve bytes and more").unwrap();
    let error = Board::open(dir.path(), 0).unwrap_err().to_string();
    assert!(
        error.contains("it is no event file, or damaged at byte 0"),
        "{error}"
    );
    fs::write(place(dir.path()), record::framed(b"\x0f")).unwrap();
    let error = Board::open(dir.path(), 0).unwrap_err().to_string();
    assert!(error.contains("a record of it is no event"), "{error}");
}

/// The evaluation that a run at its end makes again is there already.
#[test]
fn an_evaluation_that_is_made_again_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let whole = write(dir.path(), 0, 3);
    for _ in 0..2 {
        let mut board = Board::open(dir.path(), 3).unwrap();
        board.eval(3, &METRICS, Some("a\nb")).unwrap();
        drop(board);
        assert_eq!(fs::read(place(dir.path())).unwrap(), whole);
    }
    let mut board = Board::open(dir.path(), 3).unwrap();
    board.eval(3, &METRICS, Some("another")).unwrap();
    drop(board);
    assert!(fs::read(place(dir.path())).unwrap().len() > whole.len());
}

#[test]
fn files_of_others_are_refused_and_stay_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0, 1);
    // An event file of another program has the time of its begin in its first record.
    let other = record::framed(&Event::values(17, &[Value::scalar("x", 1.0)]));
    fs::write(place(dir.path()), &other).unwrap();
    let error = Board::open(dir.path(), 0).unwrap_err().to_string();
    assert!(
        error.contains("of another program; move it away"),
        "{error}"
    );
    assert_eq!(fs::read(place(dir.path())).unwrap(), other);
}

#[cfg(unix)]
#[test]
fn links_are_refused_and_their_ends_stay_as_they_are() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let whole = write(&run, 0, 2);
    let end = dir.path().join("end");
    fs::rename(place(&run), &end).unwrap();
    symlink(&end, place(&run)).unwrap();
    let error = Board::open(&run, 0).unwrap_err().to_string();
    assert!(
        error.contains("is a symbolic link, to ") && error.contains("end"),
        "{error}"
    );
    assert_eq!(fs::read(&end).unwrap(), whole);
    fs::remove_dir_all(run.join(FOLDER)).unwrap();
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    symlink(&folder, run.join(FOLDER)).unwrap();
    let error = Board::open(&run, 0).unwrap_err().to_string();
    assert!(error.contains("is a symbolic link, to "), "{error}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_run_that_rolled_back_has_the_events_of_the_run_as_it_went_on() {
    let dir = tempfile::tempdir().unwrap();
    let whole = write(&dir.path().join("a"), 0, 4);
    let part = dir.path().join("b");
    let mut board = Board::open(&part, 0).unwrap();
    for step in 0..3 {
        board.step(log(step), 100.0).unwrap();
        board.eval(step + 1, &METRICS, Some("a\nb")).unwrap();
    }
    board.rolled_back(2).unwrap();
    for step in 2..4 {
        board.step(log(step), 100.0).unwrap();
        board.eval(step + 1, &METRICS, Some("a\nb")).unwrap();
    }
    drop(board);
    assert_eq!(fs::read(place(&part)).unwrap(), whole);
}
