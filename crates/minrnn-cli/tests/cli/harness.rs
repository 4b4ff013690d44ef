//! Running the program, and showing what it said.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What a run of the program said.
#[derive(Debug)]
pub(crate) struct Ran {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The whole, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        let code = self.code.map_or("none".into(), |c| c.to_string());
        format!(
            "$ minrnn {}\nexit code {code}\n--- stdout\n{}--- stderr\n{}",
            self.command, self.out, self.err
        )
    }

    /// Stdout of a run that went well.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.shown());
        self.out
    }
}

/// The program as a process with piped streams, in the folder `dir`.
pub(crate) fn process(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minrnn"));
    command
        .args(args)
        .current_dir(dir)
        .env_remove("COLUMNS")
        .env_remove("RUST_BACKTRACE")
        .env_remove("MINRNN_TEXT");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the program in the folder `dir`.
pub(crate) fn minrnn(dir: &Path, args: &[&str]) -> Ran {
    minrnn_with(dir, args, "")
}

/// The same with something on stdin.
pub(crate) fn minrnn_with(dir: &Path, args: &[&str], input: &str) -> Ran {
    let mut child = process(dir, args).spawn().unwrap();
    // A program that ends before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran {
        command: args.join(" "),
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A folder with the text and the configuration of a tiny model.
pub(crate) fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["harbour.txt", "tiny.toml"] {
        std::fs::copy(data(file), dir.path().join(file)).unwrap();
    }
    dir
}

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(file)
}

/// A folder with a trained checkpoint `run/best` and an export `export`, made once by the library.
pub(crate) fn trained() -> TempDir {
    use std::sync::OnceLock;
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = folder();
        minrnn(dir.path(), &["train", "tiny.toml", "--out", "run"]).good();
        minrnn(dir.path(), &["export", "run", "--out", "export"]).good();
        dir
    });
    let dir = tempfile::tempdir().unwrap();
    copy(made.path(), dir.path());
    dir
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A named snapshot, with what differs from run to run or from version to version taken out.
#[track_caller]
pub(crate) fn snapshot(name: &str, ran: &Ran) {
    insta::with_settings!({
        omit_expression => true,
        prepend_module_to_snapshot => false,
        filters => vec![
            (r"\b[0-9a-f]{64}\b", "[sha256]"),
            (r"minrnn \d+\.\d+\.\d+", "minrnn [version]"),
            (r"\(os error \d+\)", "(os error)"),
        ],
    }, {
        insta::assert_snapshot!(name, ran.shown());
    });
}
