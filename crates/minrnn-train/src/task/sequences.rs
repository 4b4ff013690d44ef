//! Labels of feature sequences from npy, npz or CSV files.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use minrnn_model::graph::{self, OutputKind};
use serde::{Deserialize, Serialize};

use super::{
    Batch, DataDigest, Input, Scales, Split, Targets, Task, TaskShape, check_memory, check_range,
    digest, range,
};
use crate::data::{
    ArrayFiles, CsvColumns, LabelKind, LabelScope, Labels, Normalisation, SampleRng, SequenceSet,
    Statistics, read_arrays, read_csv,
};
use crate::error::{Result, TrainError};

/// Options of [`Sequences`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequencesOptions {
    /// `.npz` with `x`/`features`, `y`/`labels`/`targets` and optionally `lengths`/`lens`; `.npy` of the features; or `.csv`.
    pub path: PathBuf,
    /// With `.npy`: the file of the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_path: Option<PathBuf>,
    /// With `.npy`: the file of the lengths.
    #[serde(default, alias = "lens_path", skip_serializing_if = "Option::is_none")]
    pub lengths_path: Option<PathBuf>,
    /// With `.npz`: arrays that nothing uses; `*` stands for all others.
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

/// Statistics of real targets over the labels of sequences `members`; padding is none of them.
fn target_statistics(set: &SequenceSet, members: &[usize]) -> Option<Statistics> {
    let Labels::Values { values, width } = &set.labels else {
        return None;
    };
    let rows = members.iter().flat_map(|i| {
        let labels = set.labels_of(*i);
        values[labels.start * width..labels.end * width].chunks_exact(*width)
    });
    Some(Statistics::over(*width, rows))
}

/// Errors in the data's units are squared in float32, which holds 1e-38 to 1e38. Single values are looked at by [`range::check`].
fn check_squares(
    options: &SequencesOptions,
    targets: &Statistics,
    name: impl Fn(usize) -> String,
) -> Result<()> {
    let out = |i: &usize| {
        !(1e-18..=range::FARTHEST).contains(&targets.std[*i]) && !targets.is_constant(*i)
    };
    let far = |i: &usize| targets.mean[*i].abs() > range::FARTHEST;
    match (0..targets.std.len()).find(|i| out(i) || far(i)) {
        Some(i) => {
            let (mean, std) = (targets.mean[i], targets.std[i]);
            let message = format!(
                "has mean {mean:e} and standard deviation {std:e}, whose squares are beyond float32; give it in another unit"
            );
            Err(TrainError::data(&options.path, name(i), message))
        }
        None => Ok(()),
    }
}

/// Gives classes the names that the options have, in their order. Numbers are places in that order, unless the names are of digits:
/// then they are what labels are called, as 10 is of 08, 09, 10.
fn name_classes(options: &SequencesOptions, set: &mut SequenceSet) -> Result<()> {
    if options.class_names.is_empty() {
        return Ok(());
    }
    let wanted = &options.class_names;
    let mut seen = BTreeSet::new();
    if let Some(twice) = wanted.iter().find(|name| !seen.insert(*name)) {
        return Err(TrainError::config(
            "class_names",
            format!("has `{twice}` twice"),
        ));
    }
    let place = |name: &str| {
        let place = wanted.iter().position(|w| w == name);
        place.map(|i| i as u32).ok_or_else(|| {
            let message = format!("there is a label '{name}', which is not in `class_names`");
            TrainError::data(&options.path, "", message)
        })
    };
    let digits = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    if let Labels::Classes(ids) = &mut set.labels {
        match &set.label_names {
            Some(found) => {
                let places = found
                    .iter()
                    .map(|name| place(name))
                    .collect::<Result<Vec<_>>>()?;
                ids.iter_mut().for_each(|id| *id = places[*id as usize]);
            }
            None if wanted.iter().all(digits) => {
                for id in ids.iter_mut() {
                    *id = place(&id.to_string())?;
                }
            }
            None if options.labels_were_names => {
                let first = ids.first().copied().unwrap_or(0);
                return Err(TrainError::data(
                    &options.path,
                    "",
                    format!("the label {first} is a number, and the classes have names"),
                ));
            }
            None => {}
        }
    }
    set.label_names = Some(wanted.clone());
    Ok(())
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

/// Reads the files in the format that the ending of the path says.
fn read(options: &SequencesOptions) -> Result<SequenceSet> {
    let ending = options
        .path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if !["npy", "npz", "csv"].contains(&ending.as_str()) {
        let message = match ending.as_str() {
            "" => "has no ending, expected .npy, .npz or .csv".to_owned(),
            other => format!("ends in '.{other}', expected .npy, .npz or .csv"),
        };
        return Err(TrainError::config("path", message));
    }
    refuse_unused(options, &ending)?;
    match ending.as_str() {
        "csv" => {
            let Some(id) = options.id_column.clone() else {
                return Err(TrainError::config(
                    "id_column",
                    "is missing: which column tells the sequences apart?",
                ));
            };
            check_separator(&options.path)?;
            let (features, labels) = (
                options.feature_columns.clone(),
                options.target_columns.clone(),
            );
            read_csv(
                &options.path,
                &CsvColumns {
                    id,
                    features,
                    labels,
                    ignored: options.ignore_columns.clone(),
                },
                options.target,
                options.per,
            )
        }
        _ => {
            let files = ArrayFiles {
                features: options.path.clone(),
                labels: options.labels_path.clone(),
                lengths: options.lengths_path.clone(),
                ignored: options.ignore_arrays.clone(),
            };
            read_arrays(&files, options.target, options.per)
        }
    }
}

/// Says what is wrong with a first line that cannot name columns. What is no plain file cannot be read twice.
fn check_separator(path: &Path) -> Result<()> {
    let about = std::fs::metadata(path).map_err(TrainError::io("read", path))?;
    if !about.is_file() {
        return Ok(());
    }
    let file = std::fs::File::open(path).map_err(TrainError::io("read", path))?;
    let mut begin = vec![];
    let read = file.take(FIRST).read_to_end(&mut begin);
    read.map_err(TrainError::io("read", path))?;
    let begin = begin.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&begin);
    if begin.iter().all(u8::is_ascii_whitespace) && (begin.len() as u64) < FIRST {
        return Err(TrainError::data(
            path,
            "",
            "is empty; its first row names the columns",
        ));
    }
    let mut lines = begin.split(|b| *b == b'\n' || *b == b'\r');
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let other = [(b';', "';'"), (b'\t', "tabs")];
    match other
        .iter()
        .find(|(b, _)| first.contains(b) && !first.contains(&b','))
    {
        Some((_, word)) => {
            let message =
                format!("its columns are separated by {word}; the separator must be a comma");
            Err(TrainError::data(path, "row 1", message))
        }
        None => Ok(()),
    }
}

/// Bytes of a CSV file that are looked at for its separator.
const FIRST: u64 = 1 << 16;

/// An option that the format does not use is a misunderstanding.
fn refuse_unused(options: &SequencesOptions, ending: &str) -> Result<()> {
    let (npy, csv) = (ending == "npy", ending == "csv");
    let values = options.target == LabelKind::Values;
    let given = [
        ("labels_path", options.labels_path.is_some() && !npy),
        ("lengths_path", options.lengths_path.is_some() && !npy),
        (
            "ignore_arrays",
            !options.ignore_arrays.is_empty() && ending != "npz",
        ),
        ("ignore_columns", !options.ignore_columns.is_empty() && !csv),
        ("id_column", options.id_column.is_some() && !csv),
        (
            "feature_columns",
            !options.feature_columns.is_empty() && !csv,
        ),
        ("target_columns", !options.target_columns.is_empty() && !csv),
        ("classes", options.classes.is_some() && values),
        ("class_names", !options.class_names.is_empty() && values),
        (
            "normalize_targets",
            options.normalize_targets.is_some() && !values,
        ),
    ];
    match given.iter().find(|(_, unused)| *unused) {
        Some((field, _)) => Err(TrainError::config(
            *field,
            "is not used with this file and target; remove it",
        )),
        None => Ok(()),
    }
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

/// What comes out, and how many channels that has.
fn output(options: &SequencesOptions, set: &SequenceSet) -> Result<(OutputKind, usize)> {
    let ids = match &set.labels {
        Labels::Values { width, .. } => return Ok((OutputKind::Values, *width)),
        Labels::Classes(ids) => ids,
    };
    /// A class number beyond this is rather an identifier.
    const MOST: usize = 1 << 20;
    let largest = ids.iter().copied().max().unwrap_or(0) as usize;
    let named = set.label_names.as_ref().map(Vec::len);
    if let (Some(named), Some(count)) = (named, options.classes)
        && named != count
    {
        let message = format!("is {count}, but the classes have {named} names; leave it out");
        return Err(TrainError::config("classes", message));
    }
    let count = named.or(options.classes).unwrap_or(largest + 1);
    if largest >= count {
        return Err(TrainError::data(
            &options.path,
            "",
            match named {
                Some(_) => format!("there is a label {largest}, but {count} `class_names`"),
                None => format!("there is a label {largest}, but classes = {count}"),
            },
        ));
    }
    if !(2..=MOST).contains(&count) {
        let message = format!("the labels make {count} classes, expected 2 to {MOST}");
        return Err(TrainError::data(&options.path, "", message));
    }
    Ok((OutputKind::Logits, count))
}

/// Numbers of classes that no label has, where the largest label alone says how many there are.
fn gaps(options: &SequencesOptions, set: &SequenceSet) -> Option<String> {
    let Labels::Classes(ids) = &set.labels else {
        return None;
    };
    if options.classes.is_some() || set.label_names.is_some() {
        return None;
    }
    let there: BTreeSet<u32> = ids.iter().copied().collect();
    let largest = *there.last()?;
    let missing = largest as usize + 1 - there.len();
    let first: Vec<String> = (0..largest)
        .filter(|id| !there.contains(id))
        .take(SHOWN)
        .map(|id| id.to_string())
        .collect();
    let more = if missing > SHOWN { ", .." } else { "" };
    (missing > 0).then(|| {
        format!(
            "labels of classes are numbers from 0 on: {largest} is the largest, which makes {} classes, and {missing} of them ({}{more}) have no label; \
             task.classes = {} says that it is so, task.class_names gives classes names in the place of numbers",
            largest + 1,
            first.join(", "),
            largest + 1
        )
    })
}

/// Numbers that are shown of many.
const SHOWN: usize = 8;

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
