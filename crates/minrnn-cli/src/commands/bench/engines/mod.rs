//! `minrnn bench engines`: which engine runs which form of which export, and how far off it is.

mod matrix;
mod page;

use anyhow::{Context, Result};

use crate::Outcome;
use crate::args::BenchEngines;
use crate::commands::engines::refuse_unused;
use crate::files;
use crate::given::Given;
use crate::outputs::Outputs;
use crate::ui::Ui;
use crate::verify::contender::Choice;
use crate::verify::forms_heard;
use matrix::Matrix;

/// `--out` is a page that is read as well: its table is replaced.
fn check_outputs(args: &BenchEngines) -> Result<()> {
    let folders = args.dirs.iter().fold(Outputs::new(), |all, dir| {
        all.reads_folder("EXPORT_DIR", Some(dir))
    });
    folders
        .writes("--out", args.out.as_deref())
        .writes("--json", args.json.as_deref())
        .check()
}

pub(super) fn run(args: &BenchEngines, given: &Given, ui: &Ui) -> Result<Outcome> {
    check_outputs(args)?;
    let choices = match args.engine.as_slice() {
        [] => vec![Choice::All],
        some => some.to_vec(),
    };
    refuse_unused(given, &choices)?;
    let roster = args.programs.open(&choices)?;
    let mut matrix = Matrix::new(&roster, args.max_len);
    let mut progress = ui.progress("export", args.dirs.len() as u64);
    for (i, dir) in args.dirs.iter().enumerate() {
        let export = files::open_export(dir)?;
        let name = dir.canonicalize().ok();
        let name = name.as_deref().and_then(|d| d.file_name());
        let name = name.context("the folder has no name")?.to_string_lossy();
        let mut observe = |_: usize, _: usize, what: &str| {
            progress.set_of(i as u64, args.dirs.len() as u64, || {
                format!("{name}, {what}")
            })
        };
        let bounds = (args.seed, Some(args.max_len));
        for form in forms_heard(&export, &roster, bounds, &mut observe)? {
            matrix.add(&name, form);
        }
    }
    drop(progress);
    let section = page::section(&matrix);
    match &args.out {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let text = page::put(&text, &section)
                .with_context(|| format!("{} is left as it is", path.display()))?;
            files::write(path, text.as_bytes())?;
        }
        None => ui.print(&section)?,
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&matrix)? + "\n";
        files::write(path, text.as_bytes())?;
    }
    Ok(match matrix.all_right() {
        true => Outcome::Holds,
        false => Outcome::Fails,
    })
}
