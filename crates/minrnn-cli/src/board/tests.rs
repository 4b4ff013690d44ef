use super::*;

fn log(step: u64) -> StepLog {
    StepLog {
        step,
        loss: 0.5 + step as f64,
        lr: 1e-3,
        grad_norm: 2.0,
        tokens: 8,
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
