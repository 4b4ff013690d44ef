//! `minrnn train`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use minrnn_train::checkpoint::Checkpoint;
use minrnn_train::trainer::{TrainConfig, Trainer};

use crate::Outcome;
use crate::args::Train;
use crate::config::Config;
use crate::files;
use crate::progress::{duration, short};
use crate::table::{facts, grouped};
use crate::training::{self, Ended, said};
use crate::ui::Ui;

pub(super) fn run(args: &Train, ui: &Ui) -> Result<Outcome> {
    let device = args.device.open()?;
    let config = Config::read(&args.config, &args.set)?;
    let dir = args
        .out
        .clone()
        .unwrap_or_else(|| default_dir(&args.config));
    let mut trainer = if args.resume {
        let last = dir.join(files::LAST);
        if files::is_free(&dir)? {
            bail!(
                "{} holds no run to go on with; leave --resume out to begin one",
                dir.display()
            );
        }
        let checkpoint = Checkpoint::load(&last)?;
        Trainer::resume(&config.train, &checkpoint, &last, &device)
            .map_err(|e| config.explain(e))?
    } else {
        check_free(&dir)?;
        Trainer::new(&config.train, &device).map_err(|e| config.explain(e))?
    };
    let steps = trainer.config().train.steps;
    let count = trainer.params()?.count();
    let begin = if args.resume {
        format!(", from step {}", trainer.steps_done())
    } else {
        String::new()
    };
    ui.note(&format!(
        "training {} parameters for {steps} steps{begin}, into {}",
        grouped(count),
        dir.display()
    ));
    let ended = training::fit(&mut trainer, &dir, ui)?;
    if ended.metrics.is_none() {
        let again = "the same command with --resume goes on";
        ui.error(&format!(
            "stopped after step {}; saved {}; {again}",
            trainer.steps_done(),
            dir.join(files::LAST).display()
        ));
        return Ok(Outcome::Interrupted);
    }
    ui.print(&format!("{}\n", summary(&trainer, &ended, &dir, count)))?;
    Ok(Outcome::Holds)
}

/// `runs/` and the name of the file.
fn default_dir(config: &Path) -> PathBuf {
    Path::new("runs").join(config.file_stem().unwrap_or_default())
}

fn check_free(dir: &Path) -> Result<()> {
    if files::is_free(dir)? {
        return Ok(());
    }
    if dir.join(files::LAST).is_dir() || dir.join(files::METRICS).exists() {
        bail!(
            "{} holds a run already; go on with --resume, or choose another folder with --out",
            dir.display()
        );
    }
    bail!(
        "{} is not empty and no run of minrnn; choose another folder with --out",
        dir.display()
    );
}

fn summary(trainer: &Trainer, ended: &Ended, dir: &Path, count: usize) -> String {
    let TrainConfig { model, train, .. } = trainer.config();
    let done = trainer.steps_done();
    let early = if done < train.steps {
        format!(" of {} (accuracy reached)", train.steps)
    } else {
        String::new()
    };
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
        (
            "time",
            format!("{}, {} tokens/s", duration(ended.time), short(ended.rate)),
        ),
    ];
    if let Some(metrics) = &ended.metrics {
        rows.push(("at the end", said(metrics)));
    }
    if let Some(best) = &ended.best {
        rows.push((
            "best",
            format!(
                "validation {} {:.4}, after step {}",
                best.name, best.value, best.step
            ),
        ));
    }
    rows.push((
        "checkpoints",
        format!(
            "{} and {}",
            dir.join(files::BEST).display(),
            dir.join(files::LAST).display()
        ),
    ));
    rows.push(("log", dir.join(files::METRICS).display().to_string()));
    let next = format!(
        "minrnn export {} --out {}",
        dir.join(files::BEST).display(),
        dir.join("export").display()
    );
    rows.push(("next", next));
    facts(rows).to_string()
}
