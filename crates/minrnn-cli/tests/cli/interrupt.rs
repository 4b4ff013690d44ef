//! Signals during training.
#![cfg(unix)]

use std::fs;
#[cfg(target_os = "linux")]
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{folder, minrnn, process};
use crate::training::{ENDLESS, Training, send, state};

/// Whether whoever runs these tests ignores SIGHUP, which children then do too.
fn hangup_is_ignored() -> bool {
    Command::new("sh")
        .args(["-c", "kill -HUP $$"])
        .status()
        .unwrap()
        .success()
}

/// The last step that `last` has, and that the words say so.
fn saved(training: &Training, rest: &str, by: &str) -> u64 {
    let steps = state(training.dir.path())["step"].as_u64().unwrap();
    let wanted = format!(
        "{by}: stopped after step {steps}; saved run/last; the same command with --resume goes on"
    );
    assert!(rest.contains(&wanted), "{rest}");
    steps
}

#[test]
fn ctrl_c_saves_a_checkpoint_to_go_on_from() {
    let mut training = Training::begin();
    training.signal("INT");
    let (code, rest) = training.end();
    assert_eq!(code, Some(130), "{rest}");
    let steps = saved(&training, &rest, "Ctrl-C") + 7;
    let set = format!("train.steps={steps}");
    let args = [
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--resume",
        "--set",
        &set,
    ];
    minrnn(training.dir.path(), &args).good();
    let log = fs::read_to_string(training.dir.path().join("run/metrics.jsonl")).unwrap();
    let lines = log.lines().filter(|l| l.contains("\"event\":\"step\""));
    assert_eq!(lines.count() as u64, steps);
}

#[test]
fn sigterm_and_sighup_save_as_ctrl_c_does() {
    for (signal, name, code) in [("TERM", "SIGTERM", 143), ("HUP", "SIGHUP", 129)] {
        if signal == "HUP" && hangup_is_ignored() {
            continue;
        }
        let mut training = Training::begin();
        training.signal(signal);
        // As of a shell and its terminal, or of `timeout`: no second request.
        training.signal(signal);
        let (found, rest) = training.end();
        assert_eq!(found, Some(code), "{rest}");
        saved(&training, &rest, name);
    }
}

#[test]
fn nohup_outlives_its_terminal() {
    let dir = folder();
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "trap '' HUP; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_minrnn"),
        ])
        .args(ENDLESS)
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut training = Training::of(dir, shell);
    training.until("step 2 ");
    training.signal("HUP");
    // It goes on, past the next checkpoints.
    let steps = state(training.dir.path())["step"].as_u64().unwrap() + 20;
    training.until(&format!("step {} ", steps - steps % 2));
    assert!(training.goes_on());
    training.signal("TERM");
    let (code, rest) = training.end();
    assert_eq!(code, Some(143), "{rest}");
    saved(&training, &rest, "SIGTERM");
}

/// A program that cannot go on, because nobody reads what it says, and its pipe is full.
#[cfg(target_os = "linux")]
#[test]
fn a_second_signal_ends_at_once_whatever_it_is_at() {
    let (_reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b' '; 15 << 12]).unwrap();
    let dir = folder();
    let mut command = process(dir.path(), &ENDLESS);
    let mut child = command.stderr(writer).spawn().unwrap();
    drop(command);
    let log = dir.path().join("run/metrics.jsonl");
    let size = || fs::metadata(&log).map_or(0, |about| about.len());
    let wait = |time| std::thread::sleep(Duration::from_millis(time));
    let mut before = 0;
    while before == 0 || size() != before {
        before = size();
        wait(700);
    }
    send("TERM", &child);
    wait(400);
    assert!(
        child.try_wait().unwrap().is_none(),
        "it waits for its reader"
    );
    send("TERM", &child);
    let begin = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

/// Steps may be long: whoever asks is answered before they end, and does not wait where he asks twice.
#[test]
fn a_signal_is_answered_at_once_however_long_a_step_is() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[task]\nkind = 'selective_copying'\nlength = 1000\ndata_tokens = 2\nvocab = 6\neval_samples = 4\n\
        [model]\nwidth = 16\nlayers = 4\n[train]\nsteps = 1000\nbatch = 500\nlr = 1e-3\n";
    fs::write(dir.path().join("long.toml"), config).unwrap();
    let (log, last) = (
        dir.path().join("run/metrics.jsonl"),
        dir.path().join("run/last"),
    );
    let command = process(dir.path(), &["train", "long.toml", "--out", "run"]);
    let mut training = Training::of(dir, command);
    // From its log on, signals are noted.
    while !log.is_file() {
        assert!(training.goes_on(), "it ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    training.signal("INT");
    let line = training.until("Ctrl-C");
    assert!(!last.exists(), "the step ended");
    assert!(
        line.starts_with(
            "Ctrl-C: stops and saves when this step, or this batch of an evaluation, is done;"
        ),
        "{line}"
    );
    std::thread::sleep(Duration::from_millis(150));
    training.signal("INT");
    let (code, rest) = training.end();
    assert_eq!((code, last.exists()), (Some(130), false), "{rest}");
}

/// `last` is there before a long evaluation, which ends at a signal, and is made again.
#[test]
fn a_long_evaluation_neither_risks_a_run_nor_holds_it_up() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[task]\nkind = 'selective_copying'\nlength = 20\ndata_tokens = 2\nvocab = 6\neval_samples = 3000000\n\
        [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 1000\nbatch = 2\nlr = 1e-3\neval_every = 2\n";
    fs::write(dir.path().join("long.toml"), config).unwrap();
    let mut child = process(dir.path(), &["train", "long.toml", "--out", "run"])
        .spawn()
        .unwrap();
    let last = dir.path().join("run/last");
    while !last.is_dir() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(
        (
            &state(dir.path())["step"],
            &state(dir.path())["evaluation_due"]
        ),
        (&2.into(), &true.into())
    );
    send("TERM", &child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert!(said.contains("stopped after step 2;"), "{said}");
    let log = fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap();
    assert!(log.lines().count() == 2 && !log.contains("eval"), "{log}");
}

/// Evaluations on the way are of a few sequences and short; the one at the end is not, and `last` is there before it.
#[test]
fn a_long_evaluation_behind_short_ones_has_its_checkpoint_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[task]\nkind = 'selective_copying'\nlength = 20\ndata_tokens = 2\nvocab = 6\neval_samples = 3000000\n\
        [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 3\nbatch = 2\nlr = 1e-3\neval_every = 2\neval_samples = 4\n";
    fs::write(dir.path().join("long.toml"), config).unwrap();
    let mut child = process(dir.path(), &["train", "long.toml", "--out", "run"])
        .spawn()
        .unwrap();
    let file = dir.path().join("run/last/trainer_state.json");
    let step = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let state: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        state["step"].as_u64()
    };
    let begin = Instant::now();
    while step() != Some(3) {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "nothing is saved"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    send("TERM", &child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert!(said.contains("stopped after step 3;"), "{said}");
}
