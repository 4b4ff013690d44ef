//! Labels of feature sequences from npy, npz, safetensors or CSV files.

mod labels;
mod read;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use minrnn_model::graph;
use serde::{Deserialize, Serialize};

use self::labels::{check_squares, gaps, name_classes, output, target_statistics};
use self::read::read;
use super::{
    Batch, DataDigest, Input, Scales, Split, Targets, Task, TaskShape, check_memory, check_range,
    digest, range,
};
use crate::data::{
    LabelKind, LabelScope, Labels, Normalisation, SampleRng, SequenceSet, Statistics,
};
use crate::error::{Result, TrainError};

/// Options of [`Sequences`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequencesOptions {
    /// `.npz` or `.safetensors` with `x`/`features`, `y`/`labels`/`targets` and optionally `lengths`/`lens`; `.npy` of the features; or `.csv`.
    pub path: PathBuf,
    /// With `.npy`: the file of the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_path: Option<PathBuf>,
    /// With `.npy`: the file of the lengths.
    #[serde(default, alias = "lens_path", skip_serializing_if = "Option::is_none")]
    pub lengths_path: Option<PathBuf>,
    /// With `.npz` and `.safetensors`: arrays that nothing uses; `*` stands for all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_arrays: Vec<String>,
    /// With `.csv`: the column that tells which sequence a row belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// With `.csv`: the columns of the features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature_columns: Vec<String>,
    /// With `.csv`: the column of the label, or the columns of the real targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_columns: Vec<String>,
    /// With `.csv`: columns that nothing uses; `*` stands for all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_columns: Vec<String>,
    /// Whether labels are classes or real numbers.
    pub target: LabelKind,
    /// Whether there is a label for each step or for each sequence.
    pub per: LabelScope,
    /// Number of classes; by default the largest label in the file plus one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Names of the classes in the order of their numbers; by default the labels themselves, sorted, if they are texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// Whether `class_names` are what labels were called before: then a number is no place among names that are not of digits.
    #[serde(skip)]
    pub(crate) labels_were_names: bool,
    /// Of real targets: whether the model computes in units of their standard deviation from their mean, and its last operation leads
    /// back to those of the data. By default it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize_targets: Option<bool>,
    /// The part of the sequences that is kept for validation.
    #[serde(default = "tenth")]
    pub validation_fraction: f64,
    /// The part of the sequences that is kept for the final test.
    #[serde(default)]
    pub test_fraction: f64,
    /// Decides which sequences go into which part; apart from the training seed, so that runs stay comparable.
    #[serde(default)]
    pub split_seed: u64,
    /// All sequences are the test part, and the training part too.
    #[serde(skip)]
    pub(crate) whole: bool,
}

fn tenth() -> f64 {
    0.1
}

/// The task. Training goes through all its sequences in an order that is new in each pass.
#[derive(Debug)]
pub struct Sequences {
    /// For messages.
    path: PathBuf,
    set: SequenceSet,
    /// Sequences of train, validation and test, ascending.
    parts: [Vec<usize>; 3],
    shape: TaskShape,
    normalisation: Normalisation,
    target_normalisation: Option<Normalisation>,
    warnings: Vec<String>,
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
        let mut set = read(options)?;
        name_classes(options, &mut set)?;
        let parts = split(options, set.len())?;
        let (output, width) = output(options, &set)?;
        let shape = TaskShape {
            input: graph::Input::Features { width: set.width },
            output,
            width,
            per_step: options.per == LabelScope::Step,
        };
        let rows = parts[0]
            .iter()
            .flat_map(|i| set.features_of(*i).chunks_exact(set.width));
        let features = Statistics::over(set.width, rows);
        let mut warnings = features.remarks(|i| called("feature", &set.feature_names, i));
        warnings.extend(gaps(options, &set));
        let targets = target_statistics(&set, &parts[0]);
        if let Some(targets) = &targets {
            let name = |i| called("target", &set.label_names, i);
            check_squares(options, targets, name)?;
            warnings.extend(targets.remarks(name));
        }
        let normalised = targets.filter(|_| options.normalize_targets.unwrap_or(true));
        Ok(Self {
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
        match &self.set.labels {
            Labels::Classes(_) => 1,
            Labels::Values { width, .. } => *width,
        }
    }

    fn targets(&self, members: &[usize], time: usize) -> Targets {
        let per_step = self.shape.per_step;
        let rows = if per_step { time } else { 1 };
        match &self.set.labels {
            Labels::Classes(all) => Targets::Classes {
                ids: padded(members, rows, |i| &all[self.set.labels_of(i)]),
                per_step,
            },
            Labels::Values { values, width } => {
                let of = |i| {
                    let labels = self.set.labels_of(i);
                    &values[labels.start * width..labels.end * width]
                };
                Targets::Values {
                    values: padded(members, rows * width, of),
                    width: *width,
                    per_step,
                }
            }
        }
    }
}

/// `feature `speed``, or `feature 3` where there are no names.
fn called(what: &str, names: &Option<Vec<String>>, i: usize) -> String {
    match names.as_ref().and_then(|names| names.get(i)) {
        Some(name) => format!("{what} `{name}`"),
        None => format!("{what} {i}"),
    }
}

/// The slices of all members, each filled up with zeros to `size`.
fn padded<'a, T: Copy + Default + 'a>(
    members: &[usize],
    size: usize,
    of: impl Fn(usize) -> &'a [T],
) -> Vec<T> {
    let mut out = Vec::with_capacity(members.len() * size);
    for (row, i) in members.iter().enumerate() {
        out.extend_from_slice(of(*i));
        out.resize((row + 1) * size, T::default());
    }
    out
}

/// Deals the sequences to train, validation and test.
fn split(options: &SequencesOptions, total: usize) -> Result<[Vec<usize>; 3]> {
    if options.whole {
        let all: Vec<usize> = (0..total).collect();
        return Ok([all.clone(), vec![], all]);
    }
    let (validation, test) = (options.validation_fraction, options.test_fraction);
    for (field, value) in [("validation_fraction", validation), ("test_fraction", test)] {
        if !(0.0..1.0).contains(&value) {
            return Err(TrainError::config(
                field,
                format!("is {value}, expected 0 or more and less than 1"),
            ));
        }
    }
    let size = |fraction: f64| (total as f64 * fraction).round() as usize;
    let (validation, test) = (size(validation), size(test));
    if validation + test >= total {
        let message = format!(
            "of {total} sequences {validation} go to validation and {test} to test: none is left to train on"
        );
        return Err(TrainError::config("validation_fraction", message));
    }
    if validation == 0 && options.validation_fraction > 0.0
        || test == 0 && options.test_fraction > 0.0
    {
        let message = format!(
            "of {total} sequences {validation} go to validation and {test} to test; ask for 0 or for more"
        );
        return Err(TrainError::config("validation_fraction", message));
    }
    let mut order = SampleRng::new(options.split_seed, "sequences split", 0).permutation(total);
    let mut test = order.split_off(total - test);
    let mut validation = order.split_off(order.len() - validation);
    [&mut order, &mut validation, &mut test]
        .into_iter()
        .for_each(|part| part.sort_unstable());
    Ok([order, validation, test])
}

impl Task for Sequences {
    fn shape(&self) -> TaskShape {
        self.shape
    }

    fn len(&self, split: Split) -> Option<u64> {
        Some(self.part(split).len() as u64)
    }

    fn longest(&self) -> Result<usize> {
        let steps = |i| self.set.features_of(i).len() / self.set.width;
        Ok((0..self.set.len()).map(steps).max().unwrap_or(1))
    }

    fn batch(&self, split: Split, first: u64, count: usize) -> Result<Batch> {
        check_range(self, split, first, count)?;
        check_memory(count, 1)?;
        let members = self.members(split, first, count);
        let lens: Vec<usize> = members.iter().map(|i| self.set.steps(*i).len()).collect();
        let time = lens.iter().copied().max().unwrap_or(1);
        check_memory(count, time * self.set.width.max(self.target_width()))?;
        let ones = vec![1.0_f32; time];
        let ragged = lens.iter().any(|len| *len != time);
        let weights = |len: &usize| padded(&[0], time, |_| &ones[..*len]);
        let width = self.set.width;
        Ok(Batch {
            batch: count,
            time,
            input: Input::Features {
                values: padded(&members, time * width, |i| self.set.features_of(i)),
                width,
            },
            targets: self.targets(&members, time),
            weights: (ragged && self.shape.per_step)
                .then(|| lens.iter().flat_map(weights).collect()),
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
        self.set.feature_names.as_deref()
    }

    fn target_names(&self) -> Option<&[String]> {
        self.set.label_names.as_deref()
    }

    fn check_values(&self, features: Scales, targets: Scales) -> Result<()> {
        let (set, path) = (&self.set, self.path.as_path());
        let feature = |i| called("feature", &set.feature_names, i);
        let target = |i| called("target", &set.label_names, i);
        range::check(set, path, (features, targets), [&feature, &target])
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn digest(&self) -> Option<DataDigest> {
        let part = |split| digest::of_sequences(&self.set, self.part(split));
        Some(DataDigest {
            train: part(Split::Train),
            validation: part(Split::Validation),
        })
    }
}
