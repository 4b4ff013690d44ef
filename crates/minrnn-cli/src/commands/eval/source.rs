//! What is measured, and on which data.

use std::path::Path;

use anyhow::{Result, bail};
use minrnn_onnx::export::is_unfinished;
use serde_json::{Value as Json, json};

use crate::args::{Eval, Part};
use crate::config::set_keys;
use crate::files::{self, Loaded, MANIFEST};
use crate::given::Given;
use crate::measure::{self, Held, Source, Where, checkpoint_of};
use crate::verify::Export;

/// A model.
pub(in crate::commands) enum Subject {
    /// Run by candle.
    Checkpoint(Box<Loaded>),
    /// Run by minrnn-runtime.
    Export(Box<Export>),
}

impl Subject {
    pub(in crate::commands) fn open(dir: &Path) -> Result<Self> {
        if dir.join(MANIFEST).exists() || is_unfinished(dir) {
            return Ok(Self::Export(Box::new(files::open_export(dir)?)));
        }
        if dir.is_dir() && !files::has_checkpoint(dir) {
            bail!(
                "{} is neither a checkpoint nor a run nor an export: it has no config.json, no {}/ and no {MANIFEST}",
                dir.display(),
                files::BEST
            );
        }
        Ok(Self::Checkpoint(Box::new(files::load_checkpoint(dir)?)))
    }

    /// What the files of an export may ask for, bytes, where it is said.
    pub(super) fn with_memory(self, memory: Option<u64>) -> Self {
        match self {
            Self::Export(export) => Self::Export(Box::new(export.with_memory(memory))),
            Self::Checkpoint(_) => self,
        }
    }
}

/// Flags that would change nothing.
pub(super) fn refuse_unused(args: &Eval, given: &Given, subject: &Subject) -> Result<()> {
    if args.form.is_some() && matches!(subject, Subject::Checkpoint(_)) {
        bail!(
            "--form would change nothing: {} is no export, and candle has one form; leave it out",
            args.dir.display()
        );
    }
    if args.memory.is_some() && matches!(subject, Subject::Checkpoint(_)) {
        bail!(
            "--memory would change nothing: {} is no export; leave it out",
            args.dir.display()
        );
    }
    if let Some(Source::File(path)) = named(args)
        && given.has("split")
    {
        bail!(
            "--split would change nothing: --data {} is measured whole; leave it out, or give a training configuration, CONFIG.toml, whose task has parts",
            path.display()
        );
    }
    refuse_sets(args)
}

/// The same for values that `--set` replaces. The seed of a training orders its training part alone; a model that a configuration
/// describes is held against the one that is measured, but for what only training uses.
fn refuse_sets(args: &Eval) -> Result<()> {
    let source = named(args).unwrap_or(Source::Own);
    let train = args.split == Part::Train && !matches!(source, Source::File(_));
    let used = |key: &str| match key.split_once('.').unwrap_or((key, "")) {
        ("train", what) => what == "seed" && train,
        ("model", what) => matches!(source, Source::Config(_)) && what != "dropout",
        _ => true,
    };
    match set_keys(&args.set).iter().find(|key| !used(key)) {
        Some(key) if key == "train.seed" => bail!(
            "--set train.seed would change nothing: it orders the training part alone, which --split train measures; leave it out"
        ),
        Some(key) => bail!(
            "--set {key} would change nothing: of the configuration of the data, eval reads [task], and the model is that of {}; leave it out",
            args.dir.display()
        ),
        None => Ok(()),
    }
}

/// What `--data` names, where it is no folder.
fn named(args: &Eval) -> Option<Source<'_>> {
    let path = args.data.as_deref()?;
    let toml = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    match (path.is_dir(), toml) {
        (true, _) => None,
        (_, true) => Some(Source::Config(path)),
        (_, false) => Some(Source::File(path)),
    }
}

/// The data, as the model takes them.
pub(in crate::commands) fn open(args: &Eval, subject: &Subject) -> Result<Held> {
    let run = match args.data.as_deref().filter(|path| path.is_dir()) {
        Some(dir) => Some(files::load_checkpoint(dir)?),
        None => None,
    };
    let own = match (subject, &run) {
        (_, Some(run)) => Some(run),
        (Subject::Checkpoint(loaded), None) => Some(&**loaded),
        (Subject::Export(_), None) => None,
    };
    let wanted = Where {
        flag: "--data",
        source: named(args).unwrap_or(Source::Own),
        sets: &args.set,
        carried: own.and_then(|run| run.checkpoint.vocabulary.as_ref()),
    };
    match (subject, &run) {
        (Subject::Checkpoint(loaded), None) => {
            measure::open(&wanted, &loaded.checkpoint, &loaded.path)
        }
        (Subject::Checkpoint(loaded), Some(run)) => {
            let config = of_run(&loaded.checkpoint.config["model"], run);
            let words = loaded.checkpoint.vocabulary.as_ref();
            measure::open(&wanted, &checkpoint_of(config, words), &run.path)
        }
        (Subject::Export(export), Some(run)) => {
            export.model()?;
            let config = of_run(export.config(), run);
            measure::open(
                &wanted,
                &checkpoint_of(config, export.vocabulary()),
                &run.path,
            )
        }
        (Subject::Export(export), None) => {
            export.model()?;
            if !matches!(wanted.source, Source::Config(_)) {
                let dir = export.dir().display();
                bail!(
                    "{dir} is an export, which does not say what it was trained on and how data are read; give --data RUN, the folder of the run that it was exported from, or --data CONFIG.toml"
                );
            }
            let config = json!({ "model": export.config() });
            measure::open(
                &wanted,
                &checkpoint_of(config, export.vocabulary()),
                export.dir(),
            )
        }
    }
}

/// What a model takes, with the task of a run.
fn of_run(model: &Json, run: &Loaded) -> Json {
    let mut config = run.checkpoint.config.clone();
    if let Json::Object(map) = &mut config {
        map.insert("model".into(), model.clone());
    }
    config
}
