//! A program at the other end of two pipes: asked, waited for so long and no longer, ended with all that it started.

use std::collections::VecDeque;
use std::io::{BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::frame::{self, Frame, FrameError, Limits};

/// A worker. When this is dropped, it and all of its process group are killed and it is waited for.
pub(super) struct Worker {
    child: Child,
    requests: Sender<Vec<u8>>,
    answers: Receiver<Result<Frame, FrameError>>,
    words: Words,
}

/// The worker is of no use any more: why, and its last words. Reading what it writes has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gone(pub(super) String);

impl Worker {
    /// Starts a program in a process group of its own.
    pub(super) fn start(mut command: Command) -> std::io::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        own_group(&mut command);
        let mut child = command.spawn()?;
        let (requests, to_write) = channel::<Vec<u8>>();
        let (read, answers) = sync_channel(1);
        if let Some(mut stdin) = child.stdin.take() {
            std::thread::spawn(move || {
                for request in to_write {
                    // Whoever reads its answers learns that it is gone.
                    if stdin
                        .write_all(&request)
                        .and_then(|()| stdin.flush())
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || read_all(stdout, &read));
        }
        let words = Words::listen(child.stderr.take());
        Ok(Self {
            child,
            requests,
            answers,
            words,
        })
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, request: Vec<u8>, limit: Duration) -> Result<Frame, Gone> {
        match self.answers.try_recv() {
            Ok(Ok(_)) => return Err(self.gone("it answers without being asked".into())),
            Ok(Err(e)) => return Err(self.ended(&e)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        // Where nobody takes it, nobody answers.
        let _ = self.requests.send(request);
        match self.answers.recv_timeout(limit) {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(e)) => Err(self.ended(&e)),
            Err(RecvTimeoutError::Timeout) => Err(self.gone(format!(
                "it did not answer within {} s (--engine-timeout)",
                limit.as_secs_f64()
            ))),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended(&FrameError::End)),
        }
    }

    /// Where nothing more comes, how it ended is known soon; else it is ended.
    fn ended(&mut self, error: &FrameError) -> Gone {
        let status = match error {
            FrameError::End | FrameError::Cut => self.status(),
            _ => None,
        };
        self.gone(match status {
            Some(status) => format!("{error} ({status})"),
            None => error.to_string(),
        })
    }

    fn status(&mut self) -> Option<std::process::ExitStatus> {
        for _ in 0..WAITS {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(WAIT),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
        None
    }

    fn gone(&mut self, why: String) -> Gone {
        self.end();
        Gone(match self.words.last() {
            Some(words) => format!("{why}; its last words: {words}"),
            None => why,
        })
    }

    /// Kills the group and waits for the program.
    fn end(&mut self) {
        // It may have ended by itself: nobody is left to tell of errors.
        kill_group(&self.child);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a program may take to end after its last word.
const WAITS: u32 = 50;
const WAIT: Duration = Duration::from_millis(10);

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

fn read_all(stdout: impl Read, to: &SyncSender<Result<Frame, FrameError>>) {
    let mut from = BufReader::new(stdout);
    loop {
        let frame = frame::read(&mut from, Limits::default());
        let last = frame.is_err();
        if to.send(frame).is_err() || last {
            return;
        }
    }
}

/// The end of what a program writes to stderr.
struct Words {
    kept: Arc<Mutex<VecDeque<u8>>>,
    done: Receiver<()>,
}

/// Bytes of stderr that are kept, lines and characters of them that are shown.
const KEPT: usize = 4096;
const LINES: usize = 3;
const SHOWN: usize = 400;

impl Words {
    fn listen(stderr: Option<impl Read + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (end, done) = channel();
        if let Some(mut stderr) = stderr {
            let to = kept.clone();
            std::thread::spawn(move || {
                let mut part = [0; 1024];
                while let Ok(n @ 1..) = stderr.read(&mut part) {
                    let mut kept = to.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.extend(&part[..n]);
                    let over = kept.len().saturating_sub(KEPT);
                    kept.drain(..over);
                }
                // Nobody may be waiting.
                let _ = end.send(());
            });
        }
        Self { kept, done }
    }

    /// The last lines, once the program is gone.
    fn last(&self) -> Option<String> {
        // A process that left the group may hold the pipe open.
        let _ = self.done.recv_timeout(Duration::from_secs(1));
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        drop(kept);
        shown(&String::from_utf8_lossy(&bytes))
    }
}

/// The last lines of a text, in one line.
fn shown(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let lines: Vec<&str> = lines.collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join(" / ");
    let visible: String = last.chars().filter(|c| !c.is_control()).collect();
    let over = visible.chars().count().saturating_sub(SHOWN);
    let text: String = visible.chars().skip(over).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn own_group(_: &mut Command) {}

/// Everything that a program started and that did not leave its group.
#[cfg(unix)]
fn kill_group(child: &Child) {
    use nix::sys::signal::{Signal, killpg};
    use nix::unistd::Pid;
    if let Ok(id) = i32::try_from(child.id()) {
        // Of a group whose processes have all ended there is nothing to kill.
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_: &Child) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_bounded_and_in_one_line() {
        assert_eq!(shown("\n \n"), None);
        assert_eq!(shown("a\nb\n\nc\nd\n").as_deref(), Some("b / c / d"));
        let long = shown(&"ü".repeat(5000)).unwrap();
        assert_eq!(long.chars().count(), SHOWN);
        assert_eq!(shown("\u{1b}[31mred").as_deref(), Some("[31mred"));
    }
}
