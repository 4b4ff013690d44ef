//! Labels of feature sequences from npy, npz, safetensors or CSV files.

mod deal;
mod labels;
mod options;
pub(super) mod read;
pub(super) mod source;
mod streams;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use minrnn_model::graph;

use self::deal::split;
use self::labels::{check_squares, gaps, name_classes, output, target_statistics};
pub use self::options::SequencesOptions;
use self::read::read;
use self::source::{Piece as Rows, Source};
use self::streams::{Steps, Streams};
use super::{
    Batch, DataDigest, Input, Piece, Scales, Split, Targets, Task, TaskShape, check_memory,
    check_range, digest, range,
};
use crate::data::{LabelScope, Normalisation, SampleRng, Statistics};
use crate::error::{Result, TrainError};

/// The task. Training goes through all its sequences in an order that is new in each pass.
#[derive(Debug)]
pub struct Sequences {
    /// For messages.
    path: PathBuf,
    set: Source,
    /// Sequences of train, validation and test, ascending.
    parts: [Vec<usize>; 3],
    shape: TaskShape,
    normalisation: Normalisation,
    target_normalisation: Option<Normalisation>,
    warnings: Vec<String>,
    /// Hashes of a set on disk, which is not gone through again for them.
    digest: Option<DataDigest>,
    /// Sequences as streams, where they are cut into pieces.
    streams: Option<Streams>,
    seed: u64,
    /// The order of the pass last asked for: a cache, never a state.
    order: Mutex<Option<(u64, Vec<usize>)>>,
}

impl Sequences {
    /// Reads the files, splits them, and takes the statistics of the training part.
    ///
    /// # Errors
    /// [`TrainError::Config`]; [`TrainError::Io`]; [`TrainError::Data`] naming file, row, column or element.
    pub fn open(options: &SequencesOptions, seed: u64) -> Result<Self> {
        streams::check(options)?;
        let mut set = read(options)?;
        name_classes(options, &mut set)?;
        let parts = split(options, set.len())?;
        let (output, width) = output(options, &set)?;
        let shape = TaskShape {
            input: graph::Input::Features { width: set.width() },
            output,
            width,
            per_step: options.per == LabelScope::Step,
        };
        let features = Statistics::passing(set.width(), |row| {
            let mut turn = set.turn();
            parts[0].iter().try_for_each(|i| {
                turn.features(*i, &mut |_, rows| {
                    rows.chunks_exact(set.width()).for_each(&mut *row);
                    Ok(())
                })
            })
        })?;
        let mut warnings = features.remarks(|i| called("feature", set.feature_names(), i));
        warnings.extend(gaps(options, &set));
        let targets = target_statistics(&set, &parts[0])?;
        if let Some(targets) = &targets {
            let name = |i| called("target", set.label_names(), i);
            check_squares(options, targets, name)?;
            warnings.extend(targets.remarks(name));
        }
        let normalised = targets.filter(|_| options.normalize_targets.unwrap_or(true));
        let digest = match options.from_disk {
            true => Some(digest_of(&set, &parts)?),
            false => None,
        };
        Ok(Self {
            digest,
            streams: (options.seq_len).map(|time| Streams::new(&set, &parts[0], time, seed)),
            path: options.path.clone(),
            normalisation: features.normalisation(),
            target_normalisation: normalised.map(|t| t.normalisation()),
            warnings,
            set,
            parts,
            shape,
            seed,
            order: Mutex::new(None),
        })
    }

    /// Where the sequences are.
    #[cfg(test)]
    pub(in crate::task) fn source(&self) -> &Source {
        &self.set
    }

    fn part(&self, split: Split) -> &[usize] {
        &self.parts[split as usize]
    }

    /// The sequences of the samples `first..first + count`.
    fn members(&self, split: Split, first: u64, count: usize) -> Vec<usize> {
        let part = self.part(split);
        let samples = first..first + count as u64;
        if split != Split::Train {
            return samples.map(|i| part[i as usize]).collect();
        }
        let size = part.len() as u64;
        let mut cache = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        samples
            .map(|i| {
                let (pass, place) = (i / size, (i % size) as usize);
                if cache.as_ref().is_none_or(|(cached, _)| *cached != pass) {
                    let order =
                        SampleRng::new(self.seed, "sequences train", pass).permutation(part.len());
                    *cache = Some((pass, order));
                }
                cache
                    .as_ref()
                    .map_or(part[place], |(_, order)| part[order[place]])
            })
            .collect()
    }

    /// Numbers for each label.
    fn target_width(&self) -> usize {
        self.set.targets().unwrap_or(1)
    }

    /// The targets of some labels of each row, filled up with zeros to `rows` of them; `None`: a row without any.
    fn targets(&self, members: &[Option<Steps>], rows: usize) -> Result<Targets> {
        let per_step = self.shape.per_step;
        let (mut ids, mut values) = (vec![], vec![]);
        let width = self.target_width();
        for (row, member) in (1..).zip(members) {
            match member
                .clone()
                .map(|(i, of)| self.set.labels(i, of))
                .transpose()?
            {
                Some(Rows::Classes(all)) => ids.extend_from_slice(&all),
                Some(Rows::Values(all, _)) => values.extend_from_slice(&all),
                None => {}
            }
            match self.set.targets() {
                None => ids.resize(row * rows, 0),
                Some(_) => values.resize(row * rows * width, 0.0),
            }
        }
        Ok(match self.set.targets() {
            None => Targets::Classes { ids, per_step },
            Some(_) => Targets::Values {
                values,
                width,
                per_step,
            },
        })
    }

    /// The features of some steps of each row, filled up with zeros to `time` of them.
    fn features(&self, members: &[Option<Steps>], time: usize) -> Result<Input> {
        let width = self.set.width();
        let mut values = Vec::with_capacity(members.len() * time * width);
        for (row, member) in (1..).zip(members) {
            if let Some((i, steps)) = member.clone() {
                values.extend_from_slice(&self.set.features(i, steps)?);
            }
            values.resize(row * time * width, 0.0);
        }
        Ok(Input::Features { values, width })
    }
}

/// 1 for so many steps, then 0.
fn weights(lens: &[usize], time: usize) -> Vec<f32> {
    let row = |len: &usize| {
        let len = *len;
        (0..time).map(move |step| f32::from(u8::from(step < len)))
    };
    lens.iter().flat_map(row).collect()
}

/// Hashes of training and validation.
fn digest_of(set: &Source, parts: &[Vec<usize>; 3]) -> Result<DataDigest> {
    let part = |split: Split| digest::of_sequences(set, &parts[split as usize]);
    Ok(DataDigest {
        train: part(Split::Train)?,
        validation: part(Split::Validation)?,
    })
}

/// `feature `speed``, or `feature 3` where there are no names.
fn called(what: &str, names: Option<&Vec<String>>, i: usize) -> String {
    match names.and_then(|names| names.get(i)) {
        Some(name) => format!("{what} `{name}`"),
        None => format!("{what} {i}"),
    }
}

impl Task for Sequences {
    fn shape(&self) -> TaskShape {
        self.shape
    }

    fn len(&self, split: Split) -> Option<u64> {
        Some(self.part(split).len() as u64)
    }

    fn longest(&self) -> Result<usize> {
        if let Some(streams) = &self.streams {
            return Ok(streams.time);
        }
        let all = 0..self.set.len();
        Ok(all.map(|i| self.set.steps(i)).max().unwrap_or(1))
    }

    fn pass(&self, streams: usize) -> Option<u64> {
        Some(self.streams.as_ref()?.steps(streams))
    }

    fn begins(&self, piece: Piece) -> bool {
        let streams = self.streams.as_ref();
        streams.is_some_and(|streams| streams.begins(piece))
    }

    fn pieces(&self, piece: Piece) -> Result<Batch> {
        let Some(streams) = &self.streams else {
            return Err(TrainError::config("task", "has no streams"));
        };
        let time = streams.time;
        check_memory(
            piece.streams,
            time * self.set.width().max(self.target_width()),
        )?;
        let members = streams.members(piece)?;
        let lens: Vec<usize> = (members.iter())
            .map(|m| m.as_ref().map_or(0, |(_, steps)| steps.len()))
            .collect();
        let ragged = lens.iter().any(|len| *len != time);
        Ok(Batch {
            batch: piece.streams,
            time,
            input: self.features(&members, time)?,
            targets: self.targets(&members, time)?,
            weights: ragged.then(|| weights(&lens, time)),
            // What states do behind the end of a sequence is read by nobody.
            lens: None,
            reset: None,
        })
    }

    fn batch(&self, split: Split, first: u64, count: usize) -> Result<Batch> {
        check_range(self, split, first, count)?;
        check_memory(count, 1)?;
        let members = self.members(split, first, count);
        let lens: Vec<usize> = members.iter().map(|i| self.set.steps(*i)).collect();
        let time = lens.iter().copied().max().unwrap_or(1);
        check_memory(count, time * self.set.width().max(self.target_width()))?;
        let ragged = lens.iter().any(|len| *len != time);
        let rows = if self.shape.per_step { time } else { 1 };
        let steps = |i: &usize| Some((*i, 0..self.set.steps(*i)));
        let labels = |i: &usize| Some((*i, 0..self.set.rows(*i)));
        let [steps, labels]: [Vec<_>; 2] = [
            members.iter().map(steps).collect(),
            members.iter().map(labels).collect(),
        ];
        Ok(Batch {
            batch: count,
            time,
            input: self.features(&steps, time)?,
            targets: self.targets(&labels, rows)?,
            weights: (ragged && self.shape.per_step).then(|| weights(&lens, time)),
            lens: ragged.then(|| lens.iter().map(|len| *len as u32).collect()),
            reset: None,
        })
    }

    fn normalisation(&self) -> Option<&Normalisation> {
        Some(&self.normalisation)
    }

    fn target_normalisation(&self) -> Option<&Normalisation> {
        self.target_normalisation.as_ref()
    }

    fn feature_names(&self) -> Option<&[String]> {
        self.set.feature_names().map(Vec::as_slice)
    }

    fn target_names(&self) -> Option<&[String]> {
        self.set.label_names().map(Vec::as_slice)
    }

    fn check_values(&self, features: Scales, targets: Scales) -> Result<()> {
        let (set, path) = (&self.set, self.path.as_path());
        let feature = |i| called("feature", set.feature_names(), i);
        let target = |i| called("target", set.label_names(), i);
        range::check(set, path, (features, targets), [&feature, &target])
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn digest(&self) -> Option<DataDigest> {
        // In memory there is no file that could fail.
        let digest = || digest_of(&self.set, &self.parts).ok();
        self.digest.clone().or_else(digest)
    }
}
