//! Labelled sequences of NumPy arrays.

use std::path::Path;

use anyhow::{Result, bail};
use minrnn_train::data::{ARRAY_NAMES, Array, Values, named_arrays, read_named};

use super::write::{Page, Sizes, Value, parts, rest};

/// More whole numbers than these are values rather than classes.
const CLASSES: i64 = 1000;

/// What a file is taken for.
struct Guess {
    ignored: Vec<String>,
    classes: bool,
    per_step: bool,
    sequences: usize,
    time: usize,
    features: usize,
}

pub(super) fn configuration(file: Option<&Path>) -> Result<String> {
    let Some(path) = file else {
        let guess = Guess {
            ignored: vec![],
            classes: false,
            per_step: true,
            sequences: 100,
            time: 64,
            features: 2,
        };
        return Ok(page("pump.npz", &guess, "an example"));
    };
    let guess = guess(path)?;
    let why = format!(
        "{} sequences of up to {} steps, {} features",
        guess.sequences, guess.time, guess.features
    );
    Ok(page(&path.display().to_string(), &guess, &why))
}

fn page(path: &str, guess: &Guess, why: &str) -> String {
    const TABLE: &str = "task.sequences";
    let mut page = Page::default();
    page.note(
        "Labels of sequences: `minrnn train` with this file, then `minrnn eval` with the run.",
    );
    page.table("task");
    page.key(TABLE, "kind", Value::Text("sequences"), "");
    page.key(TABLE, "path", Value::Text(path), why);
    if !guess.ignored.is_empty() {
        page.key(TABLE, "ignore_arrays", Value::Texts(&guess.ignored), "");
    }
    let target = if guess.classes { "classes" } else { "values" };
    page.key(TABLE, "target", Value::Text(target), "");
    let per = if guess.per_step { "step" } else { "sequence" };
    page.key(TABLE, "per", Value::Text(per), "the labels' shape says it");
    let evaluates = parts(&mut page, guess.sequences);
    let sizes = Sizes {
        width: 64,
        longest: guess.time,
        steps: 1000,
        batch: (guess.sequences / 4).clamp(1, 16),
        evaluates,
    };
    rest(&mut page, &sizes);
    page.finish()
}

fn guess(path: &Path) -> Result<Guess> {
    let names = named_arrays(path)?;
    let [features, labels, _] = ARRAY_NAMES;
    let known = |name: &&String| ARRAY_NAMES.iter().any(|list| list.contains(&name.as_str()));
    let ignored: Vec<String> = names.iter().filter(|n| !known(n)).cloned().collect();
    let one = |list: &[&str], what: &str| -> Result<Array> {
        let found = read_named(path, list, &["*".to_owned()])?;
        let found: Vec<Array> = found.into_iter().flatten().collect();
        match <[Array; 1]>::try_from(found) {
            Ok([array]) => Ok(array),
            Err(all) => bail!(
                "{}: {} arrays are {what} ({}), and there must be one; it has {}",
                path.display(),
                all.len(),
                list.join(", "),
                names.join(", ")
            ),
        }
    };
    let (x, y) = (one(features, "features")?, one(labels, "labels")?);
    let (n, t, f) = match *x.shape {
        [n, t] => (n, t, 1),
        [n, t, f] => (n, t, f),
        _ => bail!(
            "{}: features have shape {:?}, expected [N, T, F] or [N, T]",
            path.display(),
            x.shape
        ),
    };
    let lengths = lengths(path)?;
    // What stands behind a sequence's end is not read.
    let lens = |i: usize| lengths.get(i).copied().unwrap_or(t);
    let per_step = y.shape.starts_with(&[n, t]);
    let dims = if per_step { 2 } else { 1 };
    let classes = y.shape.len() == dims
        && match &y.values {
            Values::Texts(_) => true,
            Values::Ints(all) => {
                let used = |i: usize| if per_step { t.min(lens(i)) } else { 1 };
                let stride = if per_step { t } else { 1 };
                let mut rows = (0..n).flat_map(|i| {
                    all.get(i * stride..)
                        .unwrap_or_default()
                        .iter()
                        .take(used(i))
                });
                rows.all(|v| (0..CLASSES).contains(v))
            }
            Values::Floats(_) => false,
        };
    Ok(Guess {
        ignored,
        classes,
        per_step,
        sequences: n,
        time: (0..n).map(lens).max().unwrap_or(t).min(t),
        features: f,
    })
}

/// Those of the sequences, as far as they are said and are some: what is wrong with them, opening the data says.
fn lengths(path: &Path) -> Result<Vec<usize>> {
    let [_, _, lengths] = ARRAY_NAMES;
    let found = read_named(path, lengths, &["*".to_owned()])?;
    let found = found.into_iter().flatten().next();
    Ok(match found.map(|array| array.values) {
        Some(Values::Ints(all)) => {
            let whole = |v: i64| usize::try_from(v).unwrap_or(0);
            all.into_iter().map(whole).collect()
        }
        _ => vec![],
    })
}

#[cfg(test)]
mod tests {
    use minrnn_train::data::write_npz;

    use super::*;
    use crate::npy;

    /// Of two sequences of up to 4 steps.
    fn guessed(labels: [i64; 8], lengths: Option<[i64; 2]>) -> (bool, usize) {
        let mut arrays = vec![
            ("x", npy::encode(&[2, 4, 1], &[0.5; 8])),
            ("y", npy::encode_ints(&[2, 4], &labels)),
        ];
        arrays.extend(lengths.map(|all| ("lengths", npy::encode_ints(&[2], &all))));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npz");
        std::fs::write(&path, write_npz(&arrays).unwrap()).unwrap();
        let guess = guess(&path).unwrap();
        assert!(guess.per_step);
        (guess.classes, guess.time)
    }

    #[test]
    fn labels_behind_a_sequences_end_are_not_looked_at() {
        let padded = [0, 1, -1, -1, 1, 0, 1, -1];
        assert_eq!(guessed(padded, Some([2, 3])), (true, 3));
        assert_eq!(guessed(padded, Some([3, 3])), (false, 3));
        assert_eq!(guessed(padded, None), (false, 4));
        assert_eq!(
            guessed([0, 1, 0, 1, 1, 0, 1, 2000], Some([4, 3])),
            (true, 4)
        );
    }
}
