//! The content of a checkpoint as the bytes of its files, and back.

use std::collections::BTreeMap;
use std::path::Path;

use minrnn_model::vocabulary::{self, Vocabulary};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::parts::{self, File, Summed, Sums};
use super::{Checkpoint, TensorData, TrainerState, tensors};
use crate::data::read_at_most;
use crate::error::{CheckpointProblem, Result, TrainError};
use crate::optim::{OptimizerState, SLOTS};

pub(super) const CONFIG: &str = "config.json";
pub(super) const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const TRAINER: &str = "trainer_state.json";
/// See [`Checkpoint::raw`].
pub(super) const RAW: &str = "training.safetensors";
const STATES: &str = "states.safetensors";
const VOCABULARY: &str = "vocabulary.json";
const TOKENIZER: &str = vocabulary::TOKENIZER;
/// Every file that a checkpoint may have.
pub(super) const ALL: [&str; 8] = [
    CONFIG, MODEL, OPTIMIZER, TRAINER, RAW, STATES, VOCABULARY, TOKENIZER,
];

/// In the metadata of the weights: the sha256 of the tokenizer whose numbers they know.
const SHA256: &str = "tokenizer_sha256";

/// Longest of the files that are text: names of many features and tokens fit, a device does not.
const MOST_TEXT: u64 = 64 << 20;

/// All files. Refuses what [`decode`] would refuse, so that a good checkpoint is never replaced by a useless one.
pub(super) fn encode(checkpoint: &Checkpoint, path: &Path) -> Result<Vec<File>> {
    let mut files = vec![(CONFIG, json(&checkpoint.config)?)];
    let params: BTreeMap<String, &TensorData> = checkpoint
        .params
        .iter()
        .map(|(n, t)| (n.clone(), t))
        .collect();
    let tokenizer = checkpoint
        .vocabulary
        .as_ref()
        .and_then(Vocabulary::tokenizer);
    let tokenizer = tokenizer.map(|file| (SHA256, sha256(file)));
    files.push((MODEL, finite_tensors(path, MODEL, &params, tokenizer)?));
    if let Some(state) = &checkpoint.optimizer {
        let slots = state.slots.iter();
        let all = slots
            .flat_map(|(slot, all)| all.iter().map(move |(n, t)| (format!("{slot}.{n}"), t)))
            .collect();
        files.push((
            OPTIMIZER,
            finite_tensors(
                path,
                OPTIMIZER,
                &all,
                Some(("step", state.step.to_string())),
            )?,
        ));
    }
    for (file, tensors) in [(RAW, &checkpoint.raw), (STATES, &checkpoint.states)] {
        if let Some(tensors) = tensors {
            let all = tensors.iter().map(|(n, t)| (n.clone(), t)).collect();
            files.push((file, finite_tensors(path, file, &all, None)?));
        }
    }
    if let Some(trainer) = &checkpoint.trainer {
        check_trainer(trainer)?;
        refuse_contradiction(path, checkpoint)?;
        files.push((TRAINER, json(&parts::beside(trainer, &files))?));
    }
    match &checkpoint.vocabulary {
        Some(Vocabulary::Tokenizer(file)) => files.push((TOKENIZER, file.to_vec())),
        Some(vocabulary) => files.push((VOCABULARY, json(vocabulary)?)),
        None => {}
    }
    Ok(files)
}

fn finite_tensors(
    path: &Path,
    file: &str,
    all: &BTreeMap<String, &TensorData>,
    metadata: Option<(&str, String)>,
) -> Result<Vec<u8>> {
    for (name, tensor) in all {
        if let Some((index, value)) = tensor.data.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            let problem = CheckpointProblem::NonFinite {
                tensor: name.clone(),
                index,
                value: *value,
            };
            return Err(TrainError::checkpoint(&path.join(file), problem));
        }
    }
    tensors::encode(all, metadata)
}

/// JSON has no infinity and no NaN.
fn check_trainer(trainer: &TrainerState) -> Result<()> {
    trainer.schedule.validate()?;
    match &trainer.best {
        Some(best) if !best.value.is_finite() => Err(TrainError::NonFinite {
            what: format!("the best value of {}", best.name),
            step: best.step,
        }),
        _ => Ok(()),
    }
}

/// States that cannot be of one moment of one training.
fn refuse_contradiction(path: &Path, checkpoint: &Checkpoint) -> Result<()> {
    let (trainer, optimizer) = (&checkpoint.trainer, &checkpoint.optimizer);
    let found = trainer
        .as_ref()
        .and_then(|t| t.contradiction(optimizer.as_ref()));
    match found {
        Some(message) => Err(TrainError::checkpoint(
            &path.join(TRAINER),
            CheckpointProblem::Malformed { message },
        )),
        None => Ok(()),
    }
}

fn sha256(bytes: &[u8]) -> String {
    parts::hex(&Sha256::digest(bytes))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(value);
    let text = text
        .map_err(|e| TrainError::config("checkpoint", format!("cannot be written as JSON: {e}")))?;
    Ok((text + "\n").into_bytes())
}

/// Reads the files of the folder; `all`: also what only training needs.
pub(super) fn decode(folder: &Path, all: bool) -> Result<Checkpoint> {
    let config = parse(folder, CONFIG)?.ok_or_else(|| missing(folder, CONFIG))?;
    let mut sums = all.then(Sums::new);
    let model = read_tensors(folder, MODEL, &mut sums)?;
    let model = model.ok_or_else(|| missing(folder, MODEL))?;
    let mut also = |file| match all {
        true => read_tensors(folder, file, &mut sums),
        false => Ok(None),
    };
    let mut checkpoint = Checkpoint {
        config,
        params: model.tensors,
        optimizer: also(OPTIMIZER)?.map(|d| optimizer(folder, d)).transpose()?,
        raw: also(RAW)?.map(|d| d.tensors),
        states: also(STATES)?.map(|d| d.tensors),
        trainer: match all {
            true => trainer(folder)?,
            false => remembered(folder),
        },
        vocabulary: words(folder, model.metadata.get(SHA256))?,
    };
    refuse_contradiction(folder, &checkpoint)?;
    if let Some(state) = &mut checkpoint.trainer {
        parts::hold(folder, state, &sums.unwrap_or_default())?;
    }
    Ok(checkpoint)
}

/// What the tokens are: one of two files. `said`: the sha256 of the tokenizer that the weights were saved with; checkpoints of
/// older versions do not say it.
fn words(folder: &Path, said: Option<&String>) -> Result<Option<Vocabulary>> {
    let listed = parse(folder, VOCABULARY)?;
    let path = folder.join(TOKENIZER);
    let file = read(&path)?;
    let found = file.as_deref().map(sha256);
    if let Some(said) = said.filter(|said| found.as_ref() != Some(*said)) {
        let message = match found {
            Some(found) => format!(
                "has sha256 {found}, and the weights of {MODEL} were saved with one of sha256 {said}, whose tokens have other numbers or texts: put that one back"
            ),
            None => format!(
                "is missing: the weights of {MODEL} were saved with one, of sha256 {said}; put it back"
            ),
        };
        let problem = CheckpointProblem::Malformed { message };
        return Err(TrainError::checkpoint(&path, problem));
    }
    match (listed, file) {
        (listed, None) => Ok(listed),
        (None, Some(file)) => Ok(Some(Vocabulary::Tokenizer(file.into()))),
        (Some(_), Some(_)) => {
            let message = format!(
                "stands beside {VOCABULARY}, and tokens are one or the other; remove one of them"
            );
            let problem = CheckpointProblem::Malformed { message };
            Err(TrainError::checkpoint(&path, problem))
        }
    }
}

/// Held to what is held to when it is written: a schedule that makes no sense would be followed.
fn trainer(folder: &Path) -> Result<Option<TrainerState>> {
    let state: Option<TrainerState> = parse(folder, TRAINER)?;
    if let Some(Err(e)) = state.as_ref().map(check_trainer) {
        let message = e.to_string();
        let problem = CheckpointProblem::Malformed { message };
        return Err(TrainError::checkpoint(&folder.join(TRAINER), problem));
    }
    Ok(state)
}

/// The same for a reader of weights, which need it for nothing: what cannot be read, or cannot be, is as what is absent.
fn remembered(folder: &Path) -> Option<TrainerState> {
    let state = trainer(folder).ok().flatten()?;
    state.contradiction(None).is_none().then_some(state)
}

/// A pipe or a device has no end to wait for. What a link leads to counts.
fn is_plain(path: &Path) -> Result<bool> {
    match std::fs::metadata(path) {
        Ok(about) if about.is_file() => Ok(true),
        Ok(_) => Err(TrainError::checkpoint(
            path,
            CheckpointProblem::Malformed {
                message: "is no plain file".to_owned(),
            },
        )),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(TrainError::io("read", path)(e)),
    }
}

fn missing(folder: &Path, file: &str) -> TrainError {
    TrainError::checkpoint(
        folder,
        CheckpointProblem::MissingFile {
            file: file.to_owned(),
        },
    )
}

/// The bytes of a file, or `None` where it is absent.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    if !is_plain(path)? {
        return Ok(None);
    }
    match read_at_most(path, MOST_TEXT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(TrainError::io("read", path)(e)),
    }
}

fn parse<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<Option<T>> {
    let path = folder.join(file);
    let Some(bytes) = read(&path)? else {
        return Ok(None);
    };
    // serde_json says line and column.
    let malformed = |e: serde_json::Error| CheckpointProblem::Malformed {
        message: e.to_string(),
    };
    minrnn_model::json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| TrainError::checkpoint(&path, malformed(e)))
}

/// The tensors of a file, or `None` where it is absent; its digest goes to `sums`, where one is asked for.
fn read_tensors(
    folder: &Path,
    name: &str,
    sums: &mut Option<Sums>,
) -> Result<Option<tensors::Decoded>> {
    let path = folder.join(name);
    if !is_plain(&path)? {
        return Ok(None);
    }
    let mut file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(TrainError::io("read", &path)(e)),
    };
    let size = file
        .metadata()
        .map_err(TrainError::io("read", &path))?
        .len();
    let decoded = match sums {
        None => tensors::decode_from(&mut file, size),
        Some(sums) => {
            let mut summed = Summed::new(file);
            let decoded = tensors::decode_from(&mut summed, size);
            sums.insert(name.to_owned(), summed.sum());
            decoded
        }
    };
    match decoded {
        Ok(decoded) => Ok(Some(decoded)),
        Err(tensors::ReadError::Problem(problem)) => Err(TrainError::checkpoint(&path, problem)),
        Err(tensors::ReadError::Io(e)) => Err(TrainError::io("read", &path)(e)),
    }
}

/// The slots of rules that there are, by name of slot and parameter.
fn optimizer(folder: &Path, decoded: tensors::Decoded) -> Result<OptimizerState> {
    let wrong = |message: String| {
        TrainError::checkpoint(
            &folder.join(OPTIMIZER),
            CheckpointProblem::Malformed { message },
        )
    };
    let step = decoded.metadata.get("step").and_then(|s| s.parse().ok());
    let step = step.ok_or_else(|| wrong("the metadata has no step count `step`".to_owned()))?;
    let mut state = OptimizerState {
        step,
        ..OptimizerState::default()
    };
    let known: Vec<&str> = SLOTS.iter().copied().flatten().map(|s| s.name).collect();
    for (name, tensor) in decoded.tensors {
        match name.split_once('.') {
            Some((slot, parameter)) if known.contains(&slot) => {
                let all = state.slots.entry(slot.to_owned()).or_default();
                all.insert(parameter.to_owned(), tensor);
            }
            _ => {
                let names = known.iter().map(|slot| format!("`{slot}.<name>`"));
                let names = names.collect::<Vec<_>>().join(" nor ");
                return Err(wrong(format!("tensor `{name}` is neither {names}")));
            }
        }
    }
    Ok(state)
}
