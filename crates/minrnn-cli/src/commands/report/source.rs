//! What a page is of: a model, the run that trained it, the export that was made from it, the verification of that.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::vocabulary::Vocabulary;
use minrnn_onnx::export::weights_sha256;
use serde_json::Value as Json;

use super::history::History;
use super::verification::Verification;
use crate::args::Report;
use crate::commands::eval::Subject;
use crate::files::{self, Loaded, MANIFEST, METRICS};
use crate::ui::Ui;
use crate::verify::Export;

/// All that is looked at.
pub(super) struct Sources {
    /// The model that is measured.
    pub(super) subject: Subject,
    /// The weights of an export, which a checkpoint has in itself.
    exported: Option<(Model, Params)>,
    /// The run or checkpoint that an export was made from.
    trained: Option<Loaded>,
    /// The export that was made from a run.
    beside: Option<Export>,
    pub(super) history: Option<History>,
    pub(super) verification: Option<Verification>,
}

impl Sources {
    pub(super) fn open(args: &Report, ui: &Ui) -> Result<Self> {
        let subject = Subject::open(&args.dir)?;
        match &subject {
            Subject::Checkpoint(_) if args.run.is_some() => bail!(
                "--run would change nothing: {} is no export, and its run is itself; leave it out",
                args.dir.display()
            ),
            Subject::Export(_) if args.export.is_some() => bail!(
                "--export would change nothing: {} is an export itself; leave it out",
                args.dir.display()
            ),
            _ => {}
        }
        let (mut exported, mut trained, mut beside, mut log) = (None, None, None, None);
        match &subject {
            Subject::Checkpoint(loaded) => {
                log = log_of(&args.dir, &loaded.path);
                beside = export_of(args, loaded, ui)?;
            }
            Subject::Export(export) => {
                let model = export.model()?;
                let params = export.params(&model)?;
                if let Some(run) = &args.run {
                    let loaded = files::load_checkpoint(run)?;
                    if let Some(why) = other(export, &loaded) {
                        bail!(
                            "--run {}: {why}; give the checkpoint that it was made from, or export again",
                            run.display()
                        );
                    }
                    log = log_of(run, &loaded.path);
                    trained = Some(loaded);
                }
                exported = Some((model, params));
            }
        }
        let mut all = Self {
            subject,
            exported,
            trained,
            beside,
            history: log.as_deref().map(History::read).transpose()?,
            verification: None,
        };
        if let (Some(log), Some(history)) = (&log, &all.history) {
            for note in &history.notes {
                ui.error(&format!("note: {}: {note}", log.display()));
            }
        }
        all.verification = verification(args, all.export(), ui)?;
        Ok(all)
    }

    pub(super) fn model(&self) -> (&Model, &Params) {
        match (&self.subject, &self.exported) {
            (_, Some((model, params))) => (model, params),
            (Subject::Checkpoint(loaded), None) => (&loaded.model, &loaded.params),
            (Subject::Export(_), None) => unreachable!("an export is opened with its weights"),
        }
    }

    /// The checkpoint, or that which an export was made from.
    pub(super) fn loaded(&self) -> Option<&Loaded> {
        match &self.subject {
            Subject::Checkpoint(loaded) => Some(loaded),
            Subject::Export(_) => self.trained.as_ref(),
        }
    }

    pub(super) fn export(&self) -> Option<&Export> {
        match &self.subject {
            Subject::Export(export) => Some(export),
            Subject::Checkpoint(_) => self.beside.as_ref(),
        }
    }

    /// What it was made from: of a checkpoint task, model and training, of an export the model alone.
    pub(super) fn config(&self) -> Json {
        match (self.loaded(), &self.subject) {
            (Some(loaded), _) => loaded.checkpoint.config.clone(),
            (None, Subject::Export(export)) => serde_json::json!({ "model": export.config() }),
            (None, Subject::Checkpoint(_)) => Json::Null,
        }
    }

    /// The tokens of a text model.
    pub(super) fn vocabulary(&self) -> Option<&Vocabulary> {
        match &self.subject {
            Subject::Checkpoint(loaded) => loaded.checkpoint.vocabulary.as_ref(),
            Subject::Export(export) => export.vocabulary(),
        }
    }
}

/// The log of a run, given its folder or one of its checkpoints.
fn log_of(dir: &Path, checkpoint: &Path) -> Option<PathBuf> {
    let of_run = checkpoint.parent().map(|run| run.join(METRICS));
    let mut places = [Some(dir.join(METRICS)), of_run].into_iter().flatten();
    places.find(|path| path.is_file())
}

/// The export of a checkpoint: the one that is named must be of it, the one that lies there may be older.
fn export_of(args: &Report, loaded: &Loaded, ui: &Ui) -> Result<Option<Export>> {
    let (dir, named) = match &args.export {
        Some(dir) => (dir.clone(), true),
        None => (args.dir.join("export"), false),
    };
    if !named && !dir.join(MANIFEST).is_file() {
        return Ok(None);
    }
    let export = files::open_export(&dir)?;
    match (other(&export, loaded), named) {
        (None, _) => Ok(Some(export)),
        (Some(why), true) => bail!("--export {}: {why}; export again", dir.display()),
        (Some(why), false) => {
            ui.error(&format!(
                "note: {} is left out: {why}; export again, or name another one with --export",
                dir.display()
            ));
            Ok(None)
        }
    }
}

/// Why an export is not of a checkpoint.
fn other(export: &Export, loaded: &Loaded) -> Option<String> {
    let (said, given) = (
        export.weights_sha256(),
        weights_sha256(loaded.model.graph(), &loaded.params),
    );
    (said != given).then(|| {
        format!(
            "the export was made from other weights than those of {}",
            loaded.path.display()
        )
    })
}

/// The verification that is named, or that lies with the export.
fn verification(args: &Report, export: Option<&Export>, ui: &Ui) -> Result<Option<Verification>> {
    let Some(export) = export else {
        return match &args.verification {
            Some(path) => bail!(
                "--verification {}: there is no export that it could be of; name it with --export",
                path.display()
            ),
            None => Ok(None),
        };
    };
    if let Some(path) = &args.verification {
        let found = Verification::read(path)?;
        if let Some(why) = found.other(export) {
            bail!(
                "--verification {}: {why}; verify again with --json FILE",
                path.display()
            );
        }
        return Ok(Some(found));
    }
    let dir = export.dir();
    let whole = dir
        .canonicalize()
        .with_context(|| format!("cannot read {}", dir.display()))?;
    let places = [
        Some(dir.join("verify.json")),
        whole.parent().map(|p| p.join("verify.json")),
    ];
    let Some(path) = places.into_iter().flatten().find(|path| path.is_file()) else {
        return Ok(None);
    };
    let found = Verification::read(&path)?;
    match found.other(export) {
        None => Ok(Some(found)),
        Some(why) => {
            ui.error(&format!(
                "note: {} is left out: {why}; verify again with --json FILE",
                path.display()
            ));
            Ok(None)
        }
    }
}
