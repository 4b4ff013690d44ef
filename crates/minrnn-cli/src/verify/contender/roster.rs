//! The engines of one command: which were asked for, how their programs are started.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use minrnn_onnx::ir::Model;

use super::process::{Program, Start};
use super::{Contender, Ours, Refusal, Tract};

/// Every engine that has a name.
pub(crate) const NAMES: [&str; 8] = [
    "tract",
    "minrnn",
    "candle-onnx",
    "onnxruntime",
    "openvino",
    "reference",
    "onnxruntime-node",
    "onnxruntime-web",
];

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Whatever is here.
    All,
    /// One of [`NAMES`].
    Named(&'static str),
    /// A program of the user's own, as a line of the shell.
    Own { name: String, command: String },
}

/// `NAME`, `all`, or `NAME=CMD`
impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((name, command)) = text.split_once('=') {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(plain) || command.trim().is_empty() {
                return Err("expected NAME=CMD, the name of letters, digits, - _ .".into());
            }
            if name == "all" || NAMES.contains(&name) {
                return Err(format!(
                    "`{name}` is the name of an engine that is known here; give yours another one"
                ));
            }
            let [name, command] = [name, command].map(str::to_owned);
            return Ok(Self::Own { name, command });
        }
        if text == "all" {
            return Ok(Self::All);
        }
        let known = NAMES.into_iter().find(|n| *n == text);
        known.map(Self::Named).ok_or_else(|| {
            format!(
                "there is no engine `{text}`; there are {}, all, and any program of yours as NAME=CMD",
                NAMES.join(", ")
            )
        })
    }
}

/// What an engine runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// This process.
    This,
    Python,
    Node,
    /// A program of the user's.
    Own,
}

impl Choice {
    /// Whether any engine that this asks for may run in it.
    pub(crate) fn is_within(&self, within: Within) -> bool {
        match self {
            Self::All => within != Within::Own,
            Self::Named(name) => place(name) == within,
            Self::Own { .. } => within == Within::Own,
        }
    }
}

fn place(name: &str) -> Within {
    match name {
        "tract" | "minrnn" | "candle-onnx" => Within::This,
        "onnxruntime-node" | "onnxruntime-web" => Within::Node,
        _ => Within::Python,
    }
}

/// How programs are started and how long they are waited for.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) python: PathBuf,
    pub(crate) node: PathBuf,
    /// For each answer.
    pub(crate) limit: Duration,
}

impl Default for Programs {
    fn default() -> Self {
        Self {
            python: "python3".into(),
            node: "node".into(),
            limit: Duration::from_secs(60),
        }
    }
}

/// Why an engine is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is here, and for such files.
    No,
    /// Somebody named it: what it does counts.
    ByName,
}

/// An engine with why it is asked.
pub(crate) type Member = (Box<dyn Contender>, Asked);

/// The engines of a command, opened once for all of its files.
#[derive(Clone)]
pub(crate) struct Roster {
    members: Rc<RefCell<Vec<Member>>>,
    /// Engines that are not here, where all that are were asked for.
    absent: Rc<Vec<(&'static str, String)>>,
}

impl Default for Roster {
    /// The engines in this process.
    fn default() -> Self {
        let all: Vec<Member> = vec![(Box::new(Tract), Asked::No), (Box::new(Ours), Asked::No)];
        Self {
            members: Rc::new(RefCell::new(all)),
            absent: Rc::default(),
        }
    }
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.who().into_iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

impl Roster {
    /// Opens what was asked for; of nothing, the engines in this process.
    ///
    /// # Errors
    /// An engine that was asked for by its name and is not here: why, and what would mend it.
    pub(crate) fn open(choices: &[Choice], programs: &Programs) -> Result<Self, Refusal> {
        if choices.is_empty() {
            return Ok(Self::default());
        }
        let mut members: Vec<Member> = vec![];
        let mut absent = vec![];
        for choice in choices {
            match choice {
                Choice::Named(name) => members.push((open(name, programs)?, Asked::ByName)),
                Choice::Own { name, command } => {
                    members.push((own(name, command, programs)?, Asked::ByName));
                }
                Choice::All => {}
            }
        }
        if choices.contains(&Choice::All) {
            for name in NAMES {
                let there = |c: &Choice| *c == Choice::Named(name);
                match choices.iter().any(there) {
                    true => {}
                    false => match open(name, programs) {
                        Ok(engine) => members.push((engine, Asked::No)),
                        Err(e) => absent.push((name, e.why)),
                    },
                }
            }
        }
        Ok(Self {
            members: Rc::new(RefCell::new(members)),
            absent: Rc::new(absent),
        })
    }

    /// No engine at all.
    pub(crate) fn empty() -> Self {
        Self {
            members: Rc::default(),
            absent: Rc::default(),
        }
    }

    /// Names and versions, in order.
    pub(crate) fn who(&self) -> Vec<(String, String)> {
        let members = self.members.borrow();
        let one = |(c, _): &Member| (c.name().to_owned(), c.version().to_owned());
        members.iter().map(one).collect()
    }

    /// Names of the engines that were asked for by name.
    pub(crate) fn asked(&self) -> Vec<String> {
        let members = self.members.borrow();
        let named = members.iter().filter(|(_, asked)| *asked == Asked::ByName);
        named.map(|(c, _)| c.name().to_owned()).collect()
    }

    /// Engines that were asked for and are not here, with what they say.
    pub(crate) fn absent(&self) -> &[(&'static str, String)] {
        &self.absent
    }

    /// Each engine, in order.
    pub(crate) fn every<T>(&self, mut with: impl FnMut(&mut dyn Contender, Asked) -> T) -> Vec<T> {
        let mut members = self.members.borrow_mut();
        let all = members.iter_mut();
        all.map(|(c, asked)| with(c.as_mut(), *asked)).collect()
    }

    /// The engine at a place of that order.
    pub(crate) fn at<T>(&self, at: usize, with: impl FnOnce(&mut dyn Contender) -> T) -> Option<T> {
        let mut members = self.members.borrow_mut();
        members.get_mut(at).map(|(c, _)| with(c.as_mut()))
    }

    /// The others.
    pub(crate) fn without(self, name: &str) -> Self {
        self.members.borrow_mut().retain(|(c, _)| c.name() != name);
        self
    }

    /// Each engine that is for one of these files, or was asked for.
    pub(crate) fn each<T>(
        &self,
        files: &[&Model],
        mut with: impl FnMut(&mut dyn Contender, Asked) -> T,
    ) -> Vec<T> {
        let mut members = self.members.borrow_mut();
        let wanted = members.iter_mut().filter(|(c, asked)| {
            *asked == Asked::ByName || files.iter().any(|file| c.is_for(file))
        });
        wanted.map(|(c, asked)| with(c.as_mut(), *asked)).collect()
    }
}

const PYTHON: &str = include_str!("process/worker.py");
const NODE: &str = include_str!("process/worker.cjs");

fn open(name: &'static str, programs: &Programs) -> Result<Box<dyn Contender>, Refusal> {
    let mend = match name {
        "tract" => return Ok(Box::new(Tract)),
        "minrnn" => return Ok(Box::new(Ours)),
        "candle-onnx" => return candle(),
        "onnxruntime" => "pip install onnxruntime numpy",
        "openvino" => "pip install openvino numpy",
        "reference" => "pip install onnx numpy",
        "onnxruntime-node" => "npm install onnxruntime-node",
        _ => "npm install onnxruntime-web",
    };
    let (program, flag, script) = match place(name) {
        Within::Node => (&programs.node, "-e", NODE),
        _ => (&programs.python, "-c", PYTHON),
    };
    let start = Start {
        program: program.into(),
        args: [flag, script, name].map(str::to_owned).to_vec(),
    };
    let option = match flag {
        "-c" => "--python names the Python that has it",
        _ => {
            "--node names Node.js; packages are looked for from the current folder upwards, and in NODE_PATH"
        }
    };
    let opened = Program::start(name, start, programs.limit);
    let opened = opened.map_err(|e| Refusal {
        why: format!("{name} cannot be used: {e}; what would mend it: {mend} ({option})"),
    })?;
    Ok(Box::new(opened))
}

#[cfg(feature = "candle-onnx")]
fn candle() -> Result<Box<dyn Contender>, Refusal> {
    Ok(Box::new(super::candle::Candle))
}

#[cfg(not(feature = "candle-onnx"))]
fn candle() -> Result<Box<dyn Contender>, Refusal> {
    Err(Refusal {
        why: "candle-onnx cannot be used: this build does not have it; what would mend it: cargo build --release -p minrnn-cli --features candle-onnx (its build needs protoc)".into(),
    })
}

/// A user's own worker.
fn own(name: &str, command: &str, programs: &Programs) -> Result<Box<dyn Contender>, Refusal> {
    let (shell, flag) = match cfg!(windows) {
        true => ("cmd", "/C"),
        false => ("sh", "-c"),
    };
    let start = Start {
        program: shell.into(),
        args: [flag, command].map(str::to_owned).to_vec(),
    };
    let opened = Program::start(name, start, programs.limit);
    let opened = opened.map_err(|e| Refusal {
        why: format!("{name} cannot be used: {e}; docs/engines.md says how a worker answers"),
    })?;
    Ok(Box::new(opened))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_asked_for_by_name_or_as_a_command() {
        assert_eq!("all".parse(), Ok(Choice::All));
        assert_eq!("openvino".parse(), Ok(Choice::Named("openvino")));
        let own = Choice::Own {
            name: "my".into(),
            command: "./worker --at=1".into(),
        };
        assert_eq!("my=./worker --at=1".parse(), Ok(own));
        for wrong in ["", "none", "=x", "my=", "my= ", "a b=x", "tract=x", "all=x"] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_what_would_mend_it() {
        let nowhere = Programs {
            python: "/nowhere/python".into(),
            node: "/nowhere/node".into(),
            ..Programs::default()
        };
        for name in &NAMES[3..] {
            let refused = Roster::open(&[Choice::Named(name)], &nowhere).unwrap_err();
            assert!(refused.why.contains("install"), "{refused}");
            assert!(refused.why.contains("cannot start /nowhere/"), "{refused}");
        }
        let all = Roster::open(&[Choice::All], &nowhere).unwrap();
        assert_eq!(all.who().len() + all.absent().len(), NAMES.len());
    }
}
