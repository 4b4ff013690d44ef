//! `minrnn train`.

mod folder;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use minrnn_model::config::ModelConfig;
use minrnn_train::TrainError;
use minrnn_train::checkpoint::{Checkpoint, model_config};
use minrnn_train::task::Split;
use minrnn_train::trainer::{Device, ResumeOptions, TrainConfig, Trainer};

use crate::Outcome;
use crate::args::Train;
use crate::board;
use crate::config::Config;
use crate::files;
use crate::interrupt;
use crate::lock::Lock;
use crate::memory;
use crate::outputs::Outputs;
use crate::progress::duration;
use crate::table::{facts, grouped};
use crate::training::{self, Ended, number, said};
use crate::ui::Ui;
use folder::Folder;

pub(super) fn run(args: &Train, ui: &Ui) -> Result<Outcome> {
    let done = whole(args, ui)?;
    let ended = done.ended?;
    if ended.interrupted {
        let again = match args.from {
            Some(_) => "the same command with --resume in the place of --from goes on",
            None => "the same command with --resume goes on",
        };
        ui.error(&format!(
            "{}: stopped after step {}; saved {}; {again}",
            interrupt::name(),
            done.trainer.steps_done(),
            done.dir.join(files::LAST).display()
        ));
        return Ok(Outcome::Interrupted);
    }
    let text = summary(&done.trainer, &ended, &done.dir, done.count);
    ui.print(&format!("{text}\n"))?;
    Ok(Outcome::Holds)
}

/// A training that is over.
pub(super) struct Done {
    /// How it ended; an error is one of a step or an evaluation, as of a loss that is not finite.
    pub(super) ended: Result<Ended>,
    pub(super) trainer: Trainer,
    dir: PathBuf,
    /// Parameters.
    count: usize,
}

/// Whether there is a run in `dir` to go on with.
pub(super) fn has_run(dir: &Path) -> Result<bool> {
    Ok(matches!(Folder::of(dir)?, Folder::Run(_)))
}

/// A whole training; what is said of its end is left to the caller.
///
/// # Errors
/// What keeps it from its first step: configuration, data, memory, a folder that is no place for it.
pub(super) fn whole(args: &Train, ui: &Ui) -> Result<Done> {
    let device = args.device.open()?;
    let dir = args
        .out
        .clone()
        .unwrap_or_else(|| default_dir(&args.config));
    check_before(&Folder::of(&dir)?, args.resume, &dir)?;
    let _lock = Lock::inside(&dir, ui)?;
    // At the first save, hours from here, is too late.
    for name in [files::LAST, files::BEST] {
        Checkpoint::check_place(&dir.join(name))?;
    }
    let origin = Origin::of(args, &dir, ui)?;
    let model = origin.model()?;
    let mut config = Config::read_for(&args.config, &args.set, model.as_ref())?;
    check_outputs(args, &config, &dir)?;
    config.train.train.memory = match args.force {
        true => None,
        false => memory::available(),
    };
    let mut trainer = origin
        .trainer(&config.train, &device, args.new_data)
        .map_err(|e| config.explain(e))?;
    for warning in trainer.task().warnings() {
        ui.error(&format!("warning: {warning}"));
    }
    for note in trainer.notes() {
        ui.note(&format!("note: {note}"));
    }
    if let Some(note) = beyond(&trainer) {
        ui.note(&note);
    }
    if let (Origin::Run(..), Some(why)) = (&origin, early(&trainer)) {
        ui.note(&format!(
            "note: the run in {} ended after step {} ({why}): there is nothing to train; it goes on with another train.patience or train.stop_at_accuracy",
            dir.display(),
            trainer.steps_done()
        ));
    }
    if matches!(origin, Origin::Run(..)) {
        forget_lost_best(&mut trainer, &dir, ui)?;
    }
    if !trainer.has_validation() {
        ui.note("note: the task has no validation part: nothing is evaluated, and there is no best checkpoint, only the last");
    }
    let begin = origin.begin(&trainer);
    if matches!(origin, Origin::Weights(..)) {
        // From here on --resume goes on from these weights, and never from others.
        trainer.checkpoint()?.save(&dir.join(files::LAST))?;
    }
    // A checkpoint is as large as the model with its moments: not for the whole training.
    drop(origin);
    let steps = trainer.config().train.steps;
    let count = trainer.params()?.count();
    ui.note(&format!(
        "training {} parameters for {steps} steps{begin}, into {}",
        grouped(count),
        dir.display()
    ));
    Ok(Done {
        ended: training::fit(&mut trainer, &dir, args.tensorboard, ui),
        trainer,
        dir,
        count,
    })
}

/// The best so far is the checkpoint `best`: where that is gone, so is what it was.
fn forget_lost_best(trainer: &mut Trainer, dir: &Path, ui: &Ui) -> Result<()> {
    let best = trainer.checkpoint()?.trainer.and_then(|t| t.best);
    let path = dir.join(files::BEST);
    let (Some(best), false) = (best, Checkpoint::is_there(&path)) else {
        return Ok(());
    };
    trainer.forget_best();
    ui.note(&format!(
        "note: {} is gone, the checkpoint of the best {} so far, {} after step {}: it is forgotten, and the next evaluation makes a new one",
        path.display(),
        best.name,
        number(best.value),
        best.step
    ));
    Ok(())
}

/// What to say where evaluations are to have more sequences than there are.
fn beyond(trainer: &Trainer) -> Option<String> {
    let asked = trainer.config().train.eval_samples;
    let all = trainer.task().len(Split::Validation)?;
    (asked > all).then(|| {
        format!("note: train.eval_samples is {asked}, and the validation part has {all} sequences: an evaluation takes all of them")
    })
}

/// `runs/` and the name of the file.
fn default_dir(config: &Path) -> PathBuf {
    Path::new("runs").join(config.file_stem().unwrap_or_default())
}

/// Configuration and data may lie in the folder of the run, but not in the place of what it writes.
fn check_outputs(args: &Train, config: &Config, dir: &Path) -> Result<()> {
    let word = match args.out {
        Some(_) => "--out",
        None => "the folder of the run",
    };
    Outputs::new()
        .reads("CONFIG.toml", Some(&args.config))
        .reads_task(&config.train.task)
        .writes_folder(word, &dir.join(files::LAST))
        .writes_folder(word, &dir.join(files::BEST))
        .writes(word, Some(&dir.join(files::METRICS)))
        .writes(
            "--tensorboard",
            args.tensorboard.then(|| board::place(dir)).as_deref(),
        )
        .check()
}

/// What needs no lock to be known. Whether there is a run already is said under it: that one goes on there says more.
fn check_before(folder: &Folder, resume: bool, dir: &Path) -> Result<()> {
    match (folder, resume) {
        (Folder::Free | Folder::Foreign, true) => bail!("{}", nothing(dir)),
        (Folder::Foreign, false) => folder.check_new(dir),
        _ => Ok(()),
    }
}

fn nothing(dir: &Path) -> String {
    format!(
        "{} holds no run to go on with; leave --resume out to begin one",
        dir.display()
    )
}

/// What a run begins with.
enum Origin {
    /// Weights by chance.
    New,
    /// A checkpoint of the same run.
    Run(PathBuf, Box<Checkpoint>),
    /// The weights of another run, or of an import.
    Weights(PathBuf, Box<Checkpoint>),
}

impl Origin {
    fn of(args: &Train, dir: &Path, ui: &Ui) -> Result<Self> {
        let folder = Folder::of(dir)?;
        if let (true, Folder::Run(path)) = (args.resume, &folder) {
            if !path.ends_with(files::LAST) {
                ui.note(&format!(
                    "note: {} has no last; going on from best",
                    dir.display()
                ));
            }
            return Ok(Self::Run(path.clone(), Box::new(Checkpoint::load(path)?)));
        }
        match (args.resume, &folder) {
            (true, Folder::Begun) => {
                ui.note(&format!(
                    "note: {} has no checkpoint yet; beginning at step 0",
                    dir.display()
                ));
            }
            (true, _) => bail!("{}", nothing(dir)),
            (false, _) => folder.check_new(dir)?,
        }
        let Some(from) = &args.from else {
            return Ok(Self::New);
        };
        let path = files::find_checkpoint(from)?;
        let checkpoint = Checkpoint::load_weights(&path)?;
        Ok(Self::Weights(path, Box::new(checkpoint)))
    }

    /// The model that [model] may leave out.
    fn model(&self) -> Result<Option<ModelConfig>> {
        match self {
            Self::New => Ok(None),
            Self::Run(path, checkpoint) | Self::Weights(path, checkpoint) => {
                Ok(Some(model_config(checkpoint, path)?))
            }
        }
    }

    fn trainer(
        &self,
        config: &TrainConfig,
        device: &Device,
        new_data: bool,
    ) -> Result<Trainer, TrainError> {
        match self {
            Self::New => Trainer::new(config, device),
            Self::Run(path, checkpoint) => {
                Trainer::resume(config, checkpoint, path, device, ResumeOptions { new_data })
            }
            Self::Weights(path, checkpoint) => {
                Trainer::from_weights(config, checkpoint, path, device)
            }
        }
    }

    /// How it begins, for the first line.
    fn begin(&self, trainer: &Trainer) -> String {
        match self {
            Self::New => String::new(),
            Self::Run(..) => format!(", from step {}", trainer.steps_done()),
            Self::Weights(path, _) => format!(", from the weights of {}", path.display()),
        }
    }
}

/// Why a run is over before its last step.
fn early(trainer: &Trainer) -> Option<&'static str> {
    let steps = trainer.config().train.steps;
    match trainer.is_out_of_patience() {
        _ if trainer.steps_done() >= steps || !trainer.has_ended_early() => None,
        true => Some("no better for as many evaluations as train.patience says"),
        false => Some("accuracy reached"),
    }
}

fn summary(trainer: &Trainer, ended: &Ended, dir: &Path, count: usize) -> String {
    let TrainConfig { model, train, .. } = trainer.config();
    let done = trainer.steps_done();
    let early = early(trainer).map_or(String::new(), |why| format!(" of {} ({why})", train.steps));
    let mut rows = vec![
        (
            "model",
            format!(
                "{} layers of width {}, {} parameters",
                model.layers,
                model.width,
                grouped(count)
            ),
        ),
        ("steps", format!("{done}{early}, batch {}", train.batch)),
        ("time", format!("{}, {}", duration(ended.time), ended.speed)),
    ];
    if let Some(average) = &train.average {
        let all = format!(
            "{}; evaluated, and kept in the checkpoints",
            average.words()
        );
        rows.push(("weights", all));
    }
    if let Some(metrics) = &ended.metrics {
        rows.push(("at the end", said(metrics)));
    }
    if let Some(best) = &ended.best {
        let of = match trainer.evaluates_a_part() {
            true => format!(
                ", of the first {} validation sequences (train.eval_samples); at the end it was all of them",
                train.eval_samples
            ),
            false => String::new(),
        };
        rows.push((
            "best",
            format!(
                "validation {} {}, after step {}{of}",
                best.name,
                number(best.value),
                best.step
            ),
        ));
    }
    let [best, last] = [files::BEST, files::LAST].map(|name| dir.join(name));
    let (best, last) = (best.display(), last.display());
    let (kept, next) = match (&ended.best, trainer.has_validation()) {
        (Some(_), _) => (format!("{best} and {last}"), best),
        (None, true) => (format!("{last}"), last),
        (None, false) if Checkpoint::is_there(&dir.join(files::BEST)) => (
            format!("{last}; {best} is of before, when there was a validation part"),
            last,
        ),
        (None, false) => (
            format!("{last}; without a validation part there is no best"),
            last,
        ),
    };
    rows.push(("checkpoints", kept));
    rows.push(("log", dir.join(files::METRICS).display().to_string()));
    let next = format!(
        "minrnn export {next} --out {}",
        dir.join("export").display()
    );
    rows.push(("next", next));
    facts(rows).to_string()
}
