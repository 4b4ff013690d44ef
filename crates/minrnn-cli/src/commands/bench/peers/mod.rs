//! Linear recurrences of other packages (fla, accelerated-scan), for `bench scan --python`: in a process of their own, which is
//! started again where one of them has ended it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

/// The program.
const PROGRAM: &str = include_str!("program.py");

/// What is asked for: a pass at a size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) shape: [usize; 3],
    pub(super) dtype: &'a str,
    pub(super) backward: bool,
    /// Times of which the median is taken.
    pub(super) rounds: usize,
    /// Memory that sets of buffers used in turn have at least.
    pub(super) bytes: usize,
}

impl Question<'_> {
    /// How far from float64 a result may be, as a share of its size. Some sum in the type of their inputs.
    fn most(&self) -> f64 {
        match self.dtype {
            "f32" => 1e-4,
            "f16" => 1e-2,
            _ => 8e-2,
        }
    }
}

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Timed {
        ms: f64,
        /// Of the result against float64, as a share of its size.
        error: f64,
        /// Whether runs were captured in a graph, as ours are.
        graph: bool,
    },
    Refused(String),
}

/// A line of the program.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    torch: Option<String>,
    gpu: Option<String>,
    engines: BTreeMap<String, String>,
    missing: BTreeMap<String, String>,
    ms: Option<f64>,
    error: f64,
    graph: bool,
    refused: Option<String>,
    fatal: Option<String>,
}

/// The packages that a Python has.
#[derive(Debug)]
pub(super) struct Peers {
    python: PathBuf,
    /// What it runs.
    program: String,
    /// Which GPU.
    ordinal: usize,
    process: Option<Process>,
    /// Versions by name.
    pub(super) engines: BTreeMap<String, String>,
    /// Why others are not there.
    pub(super) missing: BTreeMap<String, String>,
    /// PyTorch's version.
    pub(super) torch: String,
    /// The GPU's name, as PyTorch says it.
    pub(super) gpu: String,
}

impl Peers {
    /// Those of a Python, on GPU number `ordinal`.
    ///
    /// # Errors
    /// No such program; no PyTorch there, or none that sees a GPU; none of the packages, each named.
    pub(super) fn start(python: &Path, ordinal: usize) -> Result<Self> {
        Self::of(python, PROGRAM, ordinal)
    }

    fn of(python: &Path, program: &str, ordinal: usize) -> Result<Self> {
        let what = || format!("--python {}", python.display());
        let (process, first) = Process::start(python, program, ordinal).with_context(what)?;
        if first.engines.is_empty() {
            let all = first.missing.iter();
            let all: Vec<String> = all.map(|(name, why)| format!("{name}: {why}")).collect();
            bail!(
                "{} has nothing to measure against; install flash-linear-attention or accelerated-scan there: {}",
                what(),
                all.join("; ")
            );
        }
        Ok(Self {
            python: python.to_owned(),
            program: program.to_owned(),
            ordinal,
            process: Some(process),
            engines: first.engines,
            missing: first.missing,
            torch: first.torch.unwrap_or_default(),
            gpu: first.gpu.unwrap_or_default(),
        })
    }

    /// What an engine makes of a question.
    ///
    /// # Errors
    /// The program cannot be started again.
    pub(super) fn ask(&mut self, engine: &str, question: &Question<'_>) -> Result<Answer> {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => Process::start(&self.python, &self.program, self.ordinal)?.0,
        };
        let line = match process.ask(engine, question) {
            Ok(line) => line,
            Err(error) => return Ok(Answer::Refused(format!("its process ended: {error}"))),
        };
        if let Some(why) = line.fatal {
            return Ok(Answer::Refused(why));
        }
        self.process = Some(process);
        Ok(match (line.ms, line.refused) {
            (Some(ms), None) => Answer::Timed {
                ms,
                error: line.error,
                graph: line.graph,
            },
            (_, why) => Answer::Refused(why.unwrap_or_else(|| "gave no time".into())),
        })
    }
}

/// The program, waiting for a line.
#[derive(Debug)]
struct Process {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it, and what it says first.
    fn start(python: &Path, program: &str, ordinal: usize) -> Result<(Self, Line)> {
        let mut child = Command::new(python)
            .args(["-c", program, &ordinal.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let gone = || io::Error::other("has no pipes");
        let ask = child.stdin.take().ok_or_else(gone)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(gone)?);
        let mut process = Self {
            child,
            ask,
            answers,
        };
        let first = process.answer()?;
        match first.fatal {
            Some(why) => bail!("{why}"),
            None => Ok((process, first)),
        }
    }

    fn ask(&mut self, engine: &str, q: &Question<'_>) -> io::Result<Line> {
        let question = json!({
            "engine": engine, "shape": q.shape, "dtype": q.dtype, "backward": q.backward, "rounds": q.rounds,
            "bytes": q.bytes, "most": q.most(),
        });
        writeln!(self.ask, "{question}")?;
        self.ask.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Line> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other("ended without an answer"));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const QUESTION: Question<'_> = Question {
        shape: [2, 64, 8],
        dtype: "f32",
        backward: false,
        rounds: 3,
        bytes: 1,
    };

    /// Peers whose Python is a shell with this script.
    fn with(script: &str, test: impl Fn(Result<Peers>)) {
        test(Peers::of(Path::new("sh"), script, 0));
    }

    const HELLO: &str = r#"echo '{"torch":"2","gpu":"G","engines":{"a":"1","b":"2"},"missing":{"c":"No module named c"}}'"#;

    #[test]
    fn a_python_that_is_not_there_is_named() {
        let error = Peers::start(Path::new("no/such/python"), 0).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("--python no/such/python"), "{error}");
    }

    #[test]
    fn what_is_not_installed_is_named() {
        with(HELLO, |peers| {
            let peers = peers.unwrap();
            assert_eq!(peers.engines.len(), 2);
            assert_eq!(peers.missing["c"], "No module named c");
            assert_eq!((peers.torch.as_str(), peers.gpu.as_str()), ("2", "G"));
        });
        let none =
            r#"echo '{"torch":"2","gpu":"G","missing":{"fla chunk_hgrn":"No module named fla"}}'"#;
        with(none, |peers| {
            let error = format!("{:#}", peers.unwrap_err());
            assert!(
                error.contains("fla chunk_hgrn: No module named fla") && error.contains("install"),
                "{error}"
            );
        });
        for (script, wanted) in [
            (
                r#"echo '{"fatal":"PyTorch sees no GPU"}'"#,
                "PyTorch sees no GPU",
            ),
            ("exit 3", "ended without an answer"),
        ] {
            with(script, |peers| {
                let error = format!("{:#}", peers.unwrap_err());
                assert!(
                    error.contains("--python") && error.contains(wanted),
                    "{error}"
                );
            });
        }
    }

    #[test]
    fn a_wrong_engine_has_no_time_and_one_that_ends_the_process_hinders_no_other() {
        let script = format!(
            r#"{HELLO}
while read line; do
  case "$line" in
    *'"engine":"a"'*) echo '{{"ms":0.5,"error":1e-6,"graph":true}}' ;;
    *'"dtype":"bf16"'*) echo '{{"fatal":"CUDA error: an illegal memory access"}}'; exit 0 ;;
    *'"dtype":"f16"'*) exit 1 ;;
    *) echo '{{"refused":"is off by 3.0e-1 of its size, more than 1e-4: not timed"}}' ;;
  esac
done"#
        );
        with(&script, |peers| {
            let mut peers = peers.unwrap();
            let timed = Answer::Timed {
                ms: 0.5,
                error: 1e-6,
                graph: true,
            };
            for (dtype, wanted) in [
                ("f32", "off by"),
                ("bf16", "illegal memory access"),
                ("f16", "its process ended"),
            ] {
                let question = Question { dtype, ..QUESTION };
                match peers.ask("b", &question).unwrap() {
                    Answer::Refused(why) => assert!(why.contains(wanted), "{why}"),
                    other => panic!("{other:?}"),
                }
                assert_eq!(peers.ask("a", &question).unwrap(), timed, "{dtype}");
            }
        });
    }
}
