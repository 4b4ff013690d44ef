//! What a model said, as files: CSV and npz with labels and probabilities, npy with the bare output.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};
use minrnn_runtime::{Model, Output};
use minrnn_train::data::write_npz;

use super::lengths::Lengths;
use super::named::Sequences;
use crate::measure::likeliest;
use crate::outputs::is_device;
use crate::verify::Export;
use crate::{files, npy};

/// Answers of sequences: each `[steps, C]`, one step where a model answers once.
#[derive(Debug, Default)]
pub(super) struct Answers {
    width: usize,
    per_step: bool,
    /// T of an array with all of them.
    time: usize,
    rows: Vec<Vec<f32>>,
}

/// What things are called.
pub(super) struct Names {
    /// Classes, of which there are probabilities; else values.
    classes: bool,
    /// Of classes or values, in order; numbers where there are no names.
    outputs: Vec<String>,
    /// Whether the model has names for them.
    named: bool,
    /// The column of the sequences, and what stands in it.
    id: String,
    ids: Option<Vec<String>>,
}

impl Names {
    pub(super) fn of(export: &Export, model: &Model, sequences: Option<&Sequences>) -> Self {
        let output = &model.info().output;
        let names = export.output_names();
        let ids = sequences.and_then(|s| s.ids.clone());
        let (id, ids) = ids.map_or(("row".to_owned(), None), |(id, ids)| (id, Some(ids)));
        Self {
            classes: output.name == "logits",
            named: names.is_some(),
            outputs: names.unwrap_or_else(|| (0..output.width).map(|i| i.to_string()).collect()),
            id,
            ids,
        }
    }

    fn called(&self, row: usize) -> String {
        let own = self.ids.as_ref().map(|ids| ids[row].clone());
        own.unwrap_or_else(|| row.to_string())
    }

    /// Of the columns of a CSV file.
    fn header(&self, per_step: bool) -> Result<Vec<String>> {
        let mut all = vec![self.id.clone()];
        all.extend(per_step.then(|| "step".to_owned()));
        match (self.classes, self.named) {
            (true, _) => {
                all.push("label".into());
                all.extend(self.outputs.iter().map(|name| format!("p_{name}")));
            }
            (false, true) => all.extend(self.outputs.iter().cloned()),
            (false, false) => all.extend(self.outputs.iter().map(|i| format!("value_{i}"))),
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = all.iter().find(|name| !seen.insert(*name)) {
            bail!(
                "--out: two columns would be called '{twice}'; write .npz, or rename the column of the input"
            );
        }
        Ok(all)
    }
}

fn ending(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?;
    Some(ending.to_ascii_lowercase())
}

/// Refuses a file whose name promises another format than those that are written. A device or a pipe has no ending: NumPy's goes there.
pub(super) fn check_ending(out: Option<&Path>) -> Result<()> {
    let Some(path) = out.filter(|path| !is_device(path)) else {
        return Ok(());
    };
    match ending(path).as_deref() {
        Some("csv" | "npz" | "npy") => Ok(()),
        _ => bail!(
            "--out {}: the ending says what is written: .csv, .npz or .npy; without --out the answers are printed",
            path.display()
        ),
    }
}

impl Answers {
    /// Of an output of several rows.
    pub(super) fn of(output: Output, lengths: &Lengths) -> Self {
        let (rows, time, width, per_step) = match *output.shape.as_slice() {
            [rows, time, width] => (rows, time, width, true),
            [rows, width] => (rows, 1, width, false),
            _ => (0, 0, 0, false),
        };
        let row = |i: usize| {
            let steps = if per_step { lengths.of(i, time) } else { 1 };
            output.values[i * time * width..][..steps * width].to_vec()
        };
        Self {
            width,
            per_step,
            time,
            rows: (0..rows).map(row).collect(),
        }
    }

    /// None yet, of sequences in an array of T steps.
    pub(super) fn within(time: usize) -> Self {
        Self {
            time,
            ..Self::default()
        }
    }

    /// One more sequence: the first of `copies` rows that are the same.
    pub(super) fn add(&mut self, output: Output, copies: usize) {
        self.per_step = output.shape.len() == 3;
        self.width = output.shape.last().copied().unwrap_or(0);
        let mut values = output.values;
        values.truncate(values.len() / copies);
        self.time = self.time.max(values.len() / self.width.max(1));
        self.rows.push(values);
    }

    pub(super) fn write(&self, path: &Path, names: &Names) -> Result<()> {
        let bytes = match ending(path).as_deref() {
            Some("csv") => self.csv(names)?.into_bytes(),
            Some("npz") => self.npz(names)?,
            _ => npy::encode(
                &self.shape(self.width),
                &self.padded(self.width, f32::NAN, <[f32]>::to_vec),
            ),
        };
        files::write(path, &bytes)
    }

    /// A line a step, or a sequence: which it is, then the label and the probability of each class, or the values.
    pub(super) fn csv(&self, names: &Names) -> Result<String> {
        let mut text = String::new();
        line(&mut text, &names.header(self.per_step)?);
        for (i, row) in self.rows.iter().enumerate() {
            for (t, step) in row.chunks(self.width.max(1)).enumerate() {
                let mut cells = vec![names.called(i)];
                cells.extend(self.per_step.then(|| t.to_string()));
                if names.classes {
                    cells.push(names.outputs[likeliest(step)].clone());
                    cells.extend(probabilities(step).iter().map(f32::to_string));
                } else {
                    cells.extend(step.iter().map(f32::to_string));
                }
                line(&mut text, &cells);
            }
        }
        Ok(text)
    }

    fn npz(&self, names: &Names) -> Result<Vec<u8>> {
        let whole = self.shape(self.width);
        let output = self.padded(self.width, f32::NAN, <[f32]>::to_vec);
        let mut arrays = vec![];
        if names.classes {
            let chances = self.padded(self.width, f32::NAN, probabilities);
            let labels = self.padded(1, -1, |step| vec![likeliest(step) as i64]);
            arrays.push((
                "labels",
                npy::encode_ints(&whole[..whole.len() - 1], &labels),
            ));
            arrays.push(("probabilities", npy::encode(&whole, &chances)));
            arrays.push(("logits", npy::encode(&whole, &output)));
        } else {
            arrays.push(("values", npy::encode(&whole, &output)));
        }
        if self.per_step {
            let steps = |row: &Vec<f32>| (row.len() / self.width.max(1)) as i64;
            let lengths: Vec<i64> = self.rows.iter().map(steps).collect();
            arrays.push(("lengths", npy::encode_ints(&[lengths.len()], &lengths)));
        }
        if names.named {
            arrays.push(("names", npy::encode_texts(&names.outputs)));
        }
        if let Some(ids) = &names.ids {
            arrays.push(("ids", npy::encode_texts(ids)));
        }
        Ok(write_npz(&arrays)?)
    }

    /// `[N, T, width]`, or `[N, width]` of a model that answers once.
    fn shape(&self, width: usize) -> Vec<usize> {
        match self.per_step {
            true => vec![self.rows.len(), self.time, width],
            false => vec![self.rows.len(), width],
        }
    }

    /// `of` each step, `width` values; `behind` a sequence's end.
    fn padded<T: Copy>(&self, width: usize, behind: T, of: impl Fn(&[f32]) -> Vec<T>) -> Vec<T> {
        let size = if self.per_step {
            self.time * width
        } else {
            width
        };
        let mut all = vec![];
        for (i, row) in self.rows.iter().enumerate() {
            all.extend(row.chunks(self.width.max(1)).flat_map(&of));
            all.resize((i + 1) * size, behind);
        }
        all
    }
}

/// `softmax(logits)`, in float64.
fn probabilities(logits: &[f32]) -> Vec<f32> {
    let top = logits[likeliest(logits)];
    let weights: Vec<f64> = logits
        .iter()
        .map(|x| (f64::from(*x) - f64::from(top)).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| (w / sum) as f32).collect()
}

/// Cells as RFC 4180 has them: in quotes where they have commas, quotes, line breaks, or blanks at an end, which readers may trim.
fn line(text: &mut String, cells: &[String]) {
    for (i, cell) in cells.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        let plain = !cell.contains([',', '"', '\n', '\r']) && cell.trim() == cell;
        match plain {
            true => text.push_str(cell),
            false => text.push_str(&format!("\"{}\"", cell.replace('"', "\"\""))),
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(classes: bool, outputs: &[&str]) -> Names {
        Names {
            classes,
            outputs: outputs.iter().map(|n| (*n).to_owned()).collect(),
            named: true,
            id: "day".into(),
            ids: Some(vec!["mon".into(), "tue, wed".into()]),
        }
    }

    #[test]
    fn csv_has_labels_and_probabilities_by_name() {
        let output = Output {
            values: vec![0.0, 0.0, 3.0f32.ln(), 0.0, f32::NAN, f32::NAN, 0.0, 0.0],
            shape: vec![2, 2, 2],
        };
        let answers = Answers::of(output, &Lengths::new(vec![2, 1]));
        assert_eq!(answers.rows.len(), 2);
        let text = answers.csv(&names(true, &["calm", "a \"b\""])).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "day,step,label,p_calm,\"p_a \"\"b\"\"\"");
        assert_eq!(lines[1], "mon,0,calm,0.5,0.5");
        assert_eq!(lines[2], "mon,1,calm,0.75,0.25");
        assert!(lines[3].starts_with("\"tue, wed\",0,calm,NaN"), "{text}");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn values_of_a_model_that_answers_once_are_a_line_a_sequence() {
        let mut answers = Answers::default();
        for values in [vec![1.5, -2.0, 1.5, -2.0], vec![3.0, 4.0, 3.0, 4.0]] {
            answers.add(
                Output {
                    values,
                    shape: vec![2, 2],
                },
                2,
            );
        }
        let text = answers.csv(&names(false, &["level", "flow"])).unwrap();
        assert_eq!(text, "day,level,flow\nmon,1.5,-2\n\"tue, wed\",3,4\n");
        assert_eq!(answers.shape(2), [2, 2]);
        let error = answers.csv(&names(false, &["level", "day"])).unwrap_err();
        assert!(error.to_string().contains("'day'"));
    }

    #[test]
    fn an_array_of_sequences_has_the_steps_of_its_input() {
        let mut answers = Answers::within(5);
        for steps in [1, 3] {
            answers.add(
                Output {
                    values: vec![1.0; steps],
                    shape: vec![1, steps, 1],
                },
                1,
            );
        }
        assert_eq!(answers.shape(1), [2, 5, 1]);
        let all = answers.padded(1, -1, |_| vec![0]);
        assert_eq!(all, [0, -1, -1, -1, -1, 0, 0, 0, -1, -1]);
    }

    #[test]
    fn an_ending_that_promises_another_format_is_refused() {
        for name in ["a.csv", "a.NPZ", "b/a.npy"] {
            check_ending(Some(Path::new(name))).unwrap();
        }
        check_ending(None).unwrap();
        for name in ["a.tsv", "a.txt", "a.parquet", "a", "-", "csv"] {
            let error = check_ending(Some(Path::new(name))).unwrap_err().to_string();
            let of = ["--out", name, ".csv, .npz or .npy"];
            assert!(of.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn what_is_behind_the_end_is_no_number() {
        let mut answers = Answers::default();
        for steps in [1, 3] {
            answers.add(
                Output {
                    values: vec![1.0; steps],
                    shape: vec![1, steps, 1],
                },
                1,
            );
        }
        let all = answers.padded(1, f32::NAN, <[f32]>::to_vec);
        let kept: Vec<bool> = all.iter().map(|v| !v.is_nan()).collect();
        assert_eq!(kept, [true, false, false, true, true, true]);
    }
}
