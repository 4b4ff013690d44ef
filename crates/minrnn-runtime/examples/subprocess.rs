//! A file of a stranger, in a process of its own: with a limit of memory and of time, so that neither an allocation that fails
//! nor a panic in a build with `panic = "abort"` ends the program.
//!
//! `cargo run --release -p minrnn-runtime --example subprocess -- MODEL.step.onnx [KIB_OF_MEMORY]`

use std::error::Error;
use std::io::{self, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use minrnn_runtime::{InputSpec, Model, Session};

/// How long the other process may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many steps it runs.
const STEPS: i64 = 8;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--child", file] => child(file),
        [file] => parent(file, "1048576"),
        [file, memory] => parent(file, memory),
        _ => Err("give a step file".into()),
    };
    match done {
        Ok(text) => {
            drop(io::stdout().write_all(text.as_bytes()));
            ExitCode::SUCCESS
        }
        Err(why) => {
            drop(writeln!(io::stderr(), "{why}"));
            ExitCode::FAILURE
        }
    }
}

/// What the other process wrote, or why it ended.
fn parent(file: &str, memory: &str) -> Result<String, Box<dyn Error>> {
    memory
        .parse::<u64>()
        .map_err(|_| "the limit of memory is no number")?;
    let mut child = limited(memory)?
        .arg("--child")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (mut stdout, mut stderr) = (
        child.stdout.take().ok_or("no stdout")?,
        child.stderr.take().ok_or("no stderr")?,
    );
    let (send, receive) = channel();
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        // Nobody listens any more after the time is over.
        drop(send.send(read.map(|_| text)));
    });
    let Ok(text) = receive.recv_timeout(PATIENCE) else {
        child.kill()?;
        child.wait()?;
        return Err(format!("{file}: took more than {} s", PATIENCE.as_secs()).into());
    };
    let status = child.wait()?;
    if status.success() {
        return Ok(text?);
    }
    let said = said.join().map_err(|_| "the reader panicked")??;
    Err(format!(
        "{file}: the process that runs it ended ({status}): {}",
        said.trim()
    )
    .into())
}

/// This program, with a limit of its memory where there is a shell that can set one.
fn limited(memory: &str) -> Result<Command, Box<dyn Error>> {
    let exe = std::env::current_exe()?;
    if !cfg!(unix) {
        return Ok(Command::new(exe));
    }
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {memory} && exec \"$0\" \"$@\"");
    command.arg("-c").arg(script).arg(exe);
    Ok(command)
}

/// Some steps of the file: one line of outputs each.
fn child(file: &str) -> Result<String, Box<dyn Error>> {
    let model = Arc::new(Model::open(file)?);
    let mut outputs = vec![0.0; model.info().output.width];
    let input = model.info().input;
    let mut session = Session::new(model, 1)?;
    let mut text = String::new();
    for t in 0..STEPS {
        match input {
            InputSpec::Tokens { vocab } => {
                let id = t % vocab.map_or(1, |v| v as i64);
                session.step_tokens_into(&[id], &mut outputs)?;
            }
            InputSpec::Features { width } => {
                session.step_features_into(&vec![t as f32 / STEPS as f32; width], &mut outputs)?;
            }
        }
        let words: Vec<String> = outputs.iter().map(f32::to_string).collect();
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    Ok(text)
}
