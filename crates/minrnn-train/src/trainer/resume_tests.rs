//! What a checkpoint may go on with.

mod changes;
mod data;
mod model;

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::task::TaskConfig;

/// A folder with files of data.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

fn text_of(characters: &str, seed: usize) -> String {
    let all: Vec<char> = characters.chars().collect();
    (0..300)
        .map(|i| all[(i * i + seed * i / 3 + i / 7) % all.len()])
        .chain(all.iter().copied())
        .collect()
}

fn text_config(path: &Path, model: &str, train: &str) -> TrainConfig {
    let toml = format!(
        "[task]\nkind = 'text'\npath = '{}'\nseq_len = 12\nvalidation_fraction = 0.2\n\
         [model]\nwidth = 8\nlayers = 1\n{model}\n[train]\nsteps = 6\nbatch = 2\nlr = 1e-3\ndecay = 'constant'\n{train}\n",
        path.display()
    );
    toml::from_str(&toml).expect(&toml)
}

/// A CSV file of sequences with two features, and a class and a value for each sequence.
fn csv(shift: f64) -> String {
    let mut text = String::from("id,x,y,label,goal\n");
    for id in 0..12 {
        for t in 0..4 {
            let (x, y) = (f64::from(id % 3) + shift, f64::from(t));
            text += &format!("{id},{x},{y},{},{}\n", id % 3, x * 2.0);
        }
    }
    text
}

fn csv_config(path: &Path, columns: &str, target: &str, more: &str) -> TrainConfig {
    let label = if target == "classes" { "label" } else { "goal" };
    let toml = format!(
        "[task]\nkind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = [{columns}]\n\
         target_columns = ['{label}']\nignore_columns = ['*']\ntarget = '{target}'\nper = 'sequence'\nvalidation_fraction = 0.25\n{more}\n\
         [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 6\nbatch = 2\nlr = 1e-3\n",
        path.display()
    );
    toml::from_str(&toml).expect(&toml)
}

fn checkpoint_of(config: &TrainConfig, steps: u64) -> Checkpoint {
    let mut trainer = Trainer::new(config, &Device::Cpu).unwrap();
    for _ in 0..steps {
        trainer.step().unwrap();
    }
    let metrics = trainer.evaluate(Split::Validation, 0).unwrap();
    trainer.note(metrics, true);
    trainer.checkpoint().unwrap()
}

const AT: &str = "run/last";

fn resume_with(config: &TrainConfig, checkpoint: &Checkpoint, new_data: bool) -> Result<Trainer> {
    let options = ResumeOptions { new_data };
    Trainer::resume(config, checkpoint, Path::new(AT), &Device::Cpu, options)
}

fn resume(config: &TrainConfig, checkpoint: &Checkpoint) -> Result<Trainer> {
    resume_with(config, checkpoint, false)
}

/// What differs, as `what: message`.
#[track_caller]
fn differences(result: Result<Trainer>) -> Vec<String> {
    match result.map(|t| t.notes().to_vec()).unwrap_err() {
        TrainError::Differs { differences, .. } => differences
            .iter()
            .map(|d| format!("{}: {}", d.what, d.message))
            .collect(),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn has(all: &[String], wanted: &str) {
    assert!(
        all.iter().any(|line| line.contains(wanted)),
        "wanted {wanted:?} in {all:#?}"
    );
}
