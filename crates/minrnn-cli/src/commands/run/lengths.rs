//! How many steps each row has.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use minrnn_runtime::{Model, Output};
use minrnn_train::data::{Values, read_data, read_npy};

use crate::verify::Export;

/// How each .npy file begins.
const NPY: &[u8] = b"\x93NUMPY";
/// Steps of each row; none given: all.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Lengths(Option<Vec<i64>>);

impl Lengths {
    #[cfg(test)]
    pub(super) fn new(all: Vec<i64>) -> Self {
        Self(Some(all))
    }

    /// Reads them, and holds them to the rows of the data, `[B, T]`, and to what the export takes.
    pub(super) fn read(
        given: Option<&Path>,
        [rows, time]: [usize; 2],
        export: &Export,
        model: &Model,
    ) -> Result<Self> {
        let info = model.info();
        let Some(given) = given else {
            if wanted(export, model)? {
                bail!(
                    "the export {} takes the length of each row, and none are given: rows that are padded would end in their padding; give --lengths, an .npy file of integers [B] or a list such as {}",
                    export.dir().display(),
                    vec![time.to_string(); rows.clamp(1, 3)].join(",")
                );
            }
            return Ok(Self(None));
        };
        if info.form.is_sequence() && !info.lengths {
            bail!(
                "--lengths: the {} file takes none; export with --lengths, or run --form step, which ends each row by itself",
                info.form.as_str()
            );
        }
        let all = numbers(given)?;
        if all.len() != rows {
            bail!(
                "--lengths: {} numbers for {rows} rows; give one for each row",
                all.len()
            );
        }
        let fits = |n: &i64| usize::try_from(*n).is_ok_and(|n| (1..=time).contains(&n));
        if let Some(row) = all.iter().position(|n| !fits(n)) {
            bail!(
                "--lengths: row {row} has {} steps of T = {time}; give each row's own length, from 1 to T",
                all[row]
            );
        }
        Ok(Self(Some(all)))
    }

    pub(super) fn given(&self) -> Option<&[i64]> {
        self.0.as_deref()
    }

    /// Steps of `row`, of `time` in all.
    pub(super) fn of(&self, row: usize, time: usize) -> usize {
        let own = self.0.as_ref().and_then(|all| all.get(row));
        own.and_then(|n| usize::try_from(*n).ok()).unwrap_or(time)
    }

    /// Puts NaN in the place of outputs of steps behind a row's end: they mean nothing.
    pub(super) fn cut(&self, output: &mut Output) {
        let ([_, time, width], Some(_)) = (output.shape.as_slice(), &self.0) else {
            return;
        };
        let (time, width) = (*time, *width);
        for (row, values) in output.values.chunks_mut((time * width).max(1)).enumerate() {
            values[self.of(row, time) * width..].fill(f32::NAN);
        }
    }
}

/// Whether the sequence forms of the export take lengths. Its step file takes none, and runs padded rows as wrongly without.
fn wanted(export: &Export, model: &Model) -> Result<bool> {
    if model.info().form.is_sequence() {
        return Ok(model.info().lengths);
    }
    for form in ["parallel", "scan"] {
        if export.is_for_other_engines(form) {
            continue;
        }
        if let Some(other) = export.load(form)? {
            return Ok(other.info().lengths);
        }
    }
    Ok(false)
}

fn numbers(given: &Path) -> Result<Vec<i64>> {
    if let Some(list) = given.to_str().and_then(|text| list(text).ok()) {
        return Ok(list);
    }
    let what = || format!("--lengths: cannot read {}", given.display());
    let bytes = read_data(given).with_context(what)?;
    if !bytes.starts_with(NPY) {
        let text = std::str::from_utf8(&bytes).ok();
        let text = text
            .with_context(|| format!("--lengths: {} is neither .npy nor text", given.display()))?;
        return list(text).with_context(|| format!("--lengths: {}", given.display()));
    }
    let array = read_npy(given)?;
    let bools = array.is_bool();
    match array.values {
        Values::Ints(all) if array.shape.len() == 1 && !bools => Ok(all),
        _ => bail!(
            "--lengths: {}: {} of shape {:?}; give integers [B]",
            given.display(),
            array.dtype,
            array.shape
        ),
    }
}

/// Whole numbers, apart by commas or blanks.
fn list(text: &str) -> Result<Vec<i64>> {
    let mut all = vec![];
    for (line, text) in (1..).zip(text.lines()) {
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        for word in words.filter(|w| !w.is_empty()) {
            let number = word.parse();
            all.push(number.map_err(|_| {
                let shown: String = word.chars().take(40).collect();
                anyhow!("line {line}: `{shown}` is no whole number")
            })?);
        }
    }
    if all.is_empty() {
        bail!("there is no number");
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_numbers_apart_by_commas_or_blanks() {
        assert_eq!(list("9,5, 7\n3\r\n").unwrap(), [9, 5, 7, 3]);
        assert_eq!(list("4").unwrap(), [4]);
        let error = list("4\n5,x").unwrap_err().to_string();
        assert_eq!(error, "line 2: `x` is no whole number");
        assert!(list(" ,\n").is_err());
    }

    #[test]
    fn what_is_behind_the_end_is_nan() {
        let mut output = Output {
            values: (0..12).map(|i| i as f32).collect(),
            shape: vec![2, 3, 2],
        };
        Lengths::new(vec![1, 3]).cut(&mut output);
        let kept: Vec<bool> = output.values.iter().map(|v| !v.is_nan()).collect();
        assert_eq!(kept[..6], [true, true, false, false, false, false]);
        assert!(kept[6..].iter().all(|k| *k));
        let mut last = Output {
            values: vec![1.0; 4],
            shape: vec![2, 2],
        };
        Lengths::new(vec![1, 3]).cut(&mut last);
        assert_eq!(last.values, [1.0; 4]);
    }
}
