//! The arrays of a sequence set: features, labels and lengths, found by their names or in files of their own.

use std::path::{Path, PathBuf};

use super::array::Array;
use super::stored::Stored;
use super::{NAMED_ARRAYS, archive, read_named, read_npy};
use crate::error::{Result, TrainError};

pub(super) const FEATURES: [&str; 2] = ["x", "features"];
pub(super) const LABELS: [&str; 3] = ["y", "labels", "targets"];
pub(super) const LENGTHS: [&str; 2] = ["lengths", "lens"];

/// Where the arrays are: one `.npz` or `.safetensors` with `x` or `features`, `y` or `labels` or `targets`, and optionally `lengths` (or `lens`);
/// or an `.npy` for each.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayFiles {
    /// The `.npz` or `.safetensors`, or the `.npy` of the features.
    pub features: PathBuf,
    /// The `.npy` of the labels.
    pub labels: Option<PathBuf>,
    /// The `.npy` of the lengths.
    pub lengths: Option<PathBuf>,
    /// Arrays that the one file may have besides; `*` stands for all others.
    pub ignored: Vec<String>,
}

/// Names that arrays of one file may have to be used: features, labels, lengths.
pub const ARRAY_NAMES: [&[&str]; 3] = [&FEATURES, &LABELS, &LENGTHS];

/// An array and where it came from.
pub(super) struct Named {
    pub(super) array: Array,
    pub(super) path: PathBuf,
    pub(super) place: String,
}

impl Named {
    pub(super) fn new(array: Array, path: &Path, place: &str) -> Self {
        Self {
            array,
            path: path.to_path_buf(),
            place: place.to_owned(),
        }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> TrainError {
        TrainError::data(&self.path, self.place.clone(), message)
    }

    pub(super) fn at(&self, index: &[usize], message: impl std::fmt::Display) -> TrainError {
        self.error(format!("element {index:?} {message}"))
    }
}

/// Features, labels and lengths.
pub(super) type Three<A> = (A, A, Option<A>);

pub(super) fn load(files: &ArrayFiles) -> Result<Three<Named>> {
    let one = |path: &Path| Ok(Named::new(read_npy(path)?, path, ""));
    let named = |path: &Path| load_named(path, &files.ignored);
    load_by(files, &one, &named)
}

/// Where the arrays lie.
///
/// # Errors
/// Those of [`read_arrays`], as far as they are of the files and not of what is in the arrays; arrays of which no rows can be read.
pub(super) fn layout(files: &ArrayFiles) -> Result<Three<Stored>> {
    let named = |path: &Path| {
        let names = useful(&files.ignored);
        let found = archive::stored(path, &names, &files.ignored)?;
        three(path, &files.ignored, found, &|name, array: Stored| {
            array.called(name)
        })
    };
    load_by(files, &Stored::open_npy, &named)
}

fn load_by<A>(
    files: &ArrayFiles,
    one: &dyn Fn(&Path) -> Result<A>,
    named: &dyn Fn(&Path) -> Result<Three<A>>,
) -> Result<Three<A>> {
    let is_one =
        |ending: &std::ffi::OsStr| NAMED_ARRAYS.iter().any(|e| ending.eq_ignore_ascii_case(e));
    if files.features.extension().is_some_and(is_one) {
        return named(&files.features);
    }
    let Some(labels) = &files.labels else {
        let message = "an npy file holds one array only; name the file of the labels too";
        return Err(TrainError::config("labels_path", message));
    };
    Ok((
        one(&files.features)?,
        one(labels)?,
        files.lengths.as_deref().map(one).transpose()?,
    ))
}

/// Those of the names that are not ignored by their name; `*` stands for what nothing uses.
pub(super) fn used(names: &[&'static str], ignored: &[String]) -> Vec<&'static str> {
    let is_used = |n: &&'static str| ignored.iter().all(|i| i != n);
    names.iter().copied().filter(is_used).collect()
}

/// All that an archive may have of use.
fn useful(ignored: &[String]) -> Vec<&'static str> {
    used(&[&FEATURES[..], &LABELS, &LENGTHS].concat(), ignored)
}

/// How many bytes the arrays of an `.npz` or `.safetensors` that are read have when they are unpacked; 0 for what is none.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read.
pub(crate) fn unpacked(path: &Path, ignored: &[String]) -> Result<u64> {
    let names = useful(ignored);
    archive::unpacked(path, |name| names.contains(&name))
}

fn load_named(path: &Path, ignored: &[String]) -> Result<Three<Named>> {
    let found = read_named(path, &useful(ignored), ignored)?;
    three(path, ignored, found, &|name, array| {
        place(path, name, array)
    })
}

/// An array under its name.
pub(super) fn place(path: &Path, name: &str, array: Array) -> Named {
    Named::new(array, path, &format!("array '{name}'"))
}

/// The arrays of use among those of an archive, in the order of [`useful`].
fn three<A, B>(
    path: &Path,
    ignored: &[String],
    found: Vec<Option<A>>,
    called: &dyn Fn(&str, A) -> B,
) -> Result<Three<B>> {
    let mut found = found.into_iter();
    let mut pick = |names: &[&'static str]| {
        let names = used(names, ignored);
        let one = pick(path, &names, found.by_ref().take(names.len()))?;
        Ok::<_, TrainError>(one.map(|(name, array)| called(name, array)))
    };
    let (features, labels) = (pick(&FEATURES)?, pick(&LABELS)?);
    Ok((
        require(features, path, &FEATURES)?,
        require(labels, path, &LABELS)?,
        pick(&LENGTHS)?,
    ))
}

/// The one array among `names` that the archive has, and its name.
pub(super) fn pick<'n, A>(
    path: &Path,
    names: &[&'n str],
    found: impl Iterator<Item = Option<A>>,
) -> Result<Option<(&'n str, A)>> {
    let mut present: Vec<(&str, A)> = names
        .iter()
        .zip(found)
        .filter_map(|(name, array)| Some((*name, array?)))
        .collect();
    if let [(a, _), (b, _), ..] = &present[..] {
        return Err(TrainError::data(
            path,
            "",
            format!("both '{a}' and '{b}' are in the archive; keep one of them"),
        ));
    }
    Ok(present.pop())
}

pub(super) fn require<A>(found: Option<A>, path: &Path, names: &[&str]) -> Result<A> {
    let wanted = names.join("' or '");
    found.ok_or_else(|| {
        TrainError::data(
            path,
            "",
            format!("there is no array '{wanted}' in the archive"),
        )
    })
}
