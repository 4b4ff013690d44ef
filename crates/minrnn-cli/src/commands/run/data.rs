//! What goes into a model: an .npy file, or token ids on stdin.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use minrnn_runtime::{Input, InputSpec, Output, Session};
use minrnn_train::data::{Array, Values, read_npy};
use minrnn_train::task::FARTHEST;

use super::lengths::Lengths;

/// The most that is read from stdin, which may have no end, bytes.
const MOST: u64 = 64 << 20;

/// Values `[B, T]` or `[B, T, F]`.
#[derive(Debug, PartialEq)]
pub(super) struct Data {
    pub(super) batch: usize,
    pub(super) time: usize,
    kind: Kind,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Tokens(Vec<i64>),
    Features { values: Vec<f32>, width: usize },
}

impl Data {
    /// Reads what a model with such an input takes.
    pub(super) fn read(path: &Path, spec: InputSpec) -> Result<Self> {
        if path == Path::new("-") {
            return Self::stdin(spec);
        }
        Self::of(read_npy(path)?, path, spec)
    }

    fn of(array: Array, path: &Path, spec: InputSpec) -> Result<Self> {
        let fail = |wanted: &str| {
            bail!(
                "{}: {} of shape {:?}, the model takes {wanted}",
                path.display(),
                array.dtype,
                array.shape
            )
        };
        let bools = array.is_bool();
        match (spec, array.values) {
            (InputSpec::Tokens { .. }, Values::Ints(ids)) if !bools => {
                match *array.shape.as_slice() {
                    [time] => Ok(Self {
                        batch: 1,
                        time,
                        kind: Kind::Tokens(ids),
                    }),
                    [batch, time] => Ok(Self {
                        batch,
                        time,
                        kind: Kind::Tokens(ids),
                    }),
                    _ => fail("token ids [T] or [B, T]"),
                }
            }
            (InputSpec::Features { .. }, Values::Floats(values)) => match *array.shape.as_slice() {
                [time, width] => Ok(Self {
                    batch: 1,
                    time,
                    kind: Kind::Features { values, width },
                }),
                [batch, time, width] => Ok(Self {
                    batch,
                    time,
                    kind: Kind::Features { values, width },
                }),
                _ => fail("features [T, F] or [B, T, F]"),
            },
            (InputSpec::Tokens { .. }, _) => fail("integers: token ids [T] or [B, T]"),
            (InputSpec::Features { width }, Values::Ints(_) | Values::Texts(_)) => fail(&format!(
                "float32: features [T, {width}] or [B, T, {width}]"
            )),
        }
    }

    /// One sequence of features `[T, F]`.
    pub(super) fn features(values: Vec<f32>, width: usize) -> Self {
        Self {
            batch: 1,
            time: values.len() / width.max(1),
            kind: Kind::Features { values, width },
        }
    }

    /// One sequence of token ids `[T]`.
    pub(super) fn tokens(ids: Vec<i64>) -> Self {
        Self {
            batch: 1,
            time: ids.len(),
            kind: Kind::Tokens(ids),
        }
    }

    /// The same rows so many times.
    pub(super) fn repeated(&self, times: usize) -> Self {
        Self {
            batch: self.batch * times,
            time: self.time,
            kind: match &self.kind {
                Kind::Tokens(ids) => Kind::Tokens(ids.repeat(times)),
                Kind::Features { values, width } => Kind::Features {
                    values: values.repeat(times),
                    width: *width,
                },
            },
        }
    }

    fn stdin(spec: InputSpec) -> Result<Self> {
        if let InputSpec::Features { width } = spec {
            bail!(
                "the model takes {width} features a step; give them as an .npy file, stdin is for token ids"
            );
        }
        let mut text = String::new();
        let read = std::io::stdin()
            .lock()
            .take(MOST + 1)
            .read_to_string(&mut text);
        read.context("cannot read stdin")?;
        if text.len() as u64 > MOST {
            bail!(
                "stdin: more than {} MiB of token ids; give them as an .npy file",
                MOST >> 20
            );
        }
        Self::ids(&text)
    }

    fn ids(text: &str) -> Result<Self> {
        let id = |word: &str| {
            let id = word.parse::<i64>();
            id.map_err(|_| {
                anyhow!("stdin: {word:?} is no token id; give whole numbers, separated by blanks")
            })
        };
        let ids = text
            .split_whitespace()
            .map(id)
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            batch: 1,
            time: ids.len(),
            kind: Kind::Tokens(ids),
        })
    }

    /// What stands behind a row's end is nobody's input, whatever it is: -1, NaN, a token of another vocabulary.
    pub(super) fn cut(&mut self, lengths: &Lengths) {
        fn zeros<T: Copy + Default>(values: &mut [T], size: usize, end: impl Fn(usize) -> usize) {
            for (row, values) in values.chunks_mut(size.max(1)).enumerate() {
                values[end(row)..].fill(T::default());
            }
        }
        let time = self.time;
        match &mut self.kind {
            Kind::Tokens(ids) => zeros(ids, time, |row| lengths.of(row, time)),
            Kind::Features { values, width } => {
                let width = *width;
                zeros(values, time * width, |row| lengths.of(row, time) * width);
            }
        }
    }

    /// Refuses what the model cannot take, by its place in the data: a step file sees one step of them at a time. Rows and steps
    /// are counted from 0, as in Python.
    pub(super) fn check(&self, spec: InputSpec, usual: &Usual) -> Result<()> {
        match (&self.kind, spec) {
            (Kind::Tokens(ids), InputSpec::Tokens { vocab: Some(vocab) }) => {
                let known = |id: &i64| usize::try_from(*id).is_ok_and(|id| id < vocab);
                match ids.iter().position(|id| !known(id)) {
                    Some(at) => bail!(
                        "--input: {}: id {} is outside 0..{vocab}; encode the text with the model's own vocabulary",
                        self.place(at),
                        ids[at]
                    ),
                    None => Ok(()),
                }
            }
            (Kind::Features { values, width }, InputSpec::Features { width: wanted })
                if *width == wanted =>
            {
                match values.iter().position(|v| !v.is_finite()) {
                    Some(at) => bail!(
                        "--input: {}, feature {}: is {}; features must be finite",
                        self.place(at / width.max(&1)),
                        at % width,
                        values[at]
                    ),
                    None => self.check_range(usual),
                }
            }
            // The model says what it takes.
            _ => Ok(()),
        }
    }

    /// Features so far out that float32 does not hold their squares, of which norms are made: a model answers 0, or anything else.
    fn check_range(&self, usual: &Usual) -> Result<()> {
        let Kind::Features { values, width } = &self.kind else {
            return Ok(());
        };
        for (at, value) in values.iter().enumerate() {
            let (step, feature) = (at / width, at % width);
            let scaled = usual.scaled(*value, feature);
            // A number that is none is beyond as well.
            if scaled.abs() <= FARTHEST {
                continue;
            }
            let unit = match usual.0 {
                Some(_) => " standard deviations from the mean of the model's training",
                None => "",
            };
            bail!(
                "--input: {}, feature {feature}: is {value:e}, {scaled:.1e}{unit}: float32 does not hold the squares of such values, and the answer would be wrong; correct it",
                self.place(step)
            );
        }
        Ok(())
    }

    /// Where the step number `at` of all rows is.
    fn place(&self, at: usize) -> String {
        let time = self.time.max(1);
        format!("row {}, step {} (counted from 0)", at / time, at % time)
    }

    /// For messages.
    pub(super) fn shape(&self) -> Vec<usize> {
        match self.kind {
            Kind::Tokens(_) => vec![self.batch, self.time],
            Kind::Features { width, .. } => vec![self.batch, self.time, width],
        }
    }

    /// All of it.
    pub(super) fn input(&self) -> Input<'_> {
        let (batch, time) = (self.batch, self.time);
        match &self.kind {
            Kind::Tokens(ids) => Input::Tokens { ids, batch, time },
            Kind::Features { values, width } => Input::Features {
                values,
                batch,
                time,
                width: *width,
            },
        }
    }

    /// Step `t` of all rows.
    pub(super) fn step(&self, session: &mut Session, t: usize) -> Result<Output> {
        Ok(match &self.kind {
            Kind::Tokens(ids) => session.step_tokens(&column(ids, self.time, t, 1))?,
            Kind::Features { values, width } => {
                session.step_features(&column(values, self.time, t, *width))?
            }
        })
    }
}

/// Means and standard deviations of the features that a model was trained with; none where it takes them as they are.
#[derive(Debug, Default)]
pub(super) struct Usual(pub(super) Option<[Vec<f64>; 2]>);

impl Usual {
    fn scaled(&self, value: f32, feature: usize) -> f64 {
        let of = |k: usize, none: f64| {
            let all = self.0.as_ref().map(|both| &both[k]);
            all.and_then(|v| v.get(feature)).copied().unwrap_or(none)
        };
        (f64::from(value) - of(0, 0.0)) / of(1, 1.0)
    }
}

/// Step `t` of `[B, T, width]`.
fn column<T: Copy>(values: &[T], time: usize, t: usize, width: usize) -> Vec<T> {
    values
        .chunks(time * width)
        .flat_map(|row| &row[t * width..(t + 1) * width])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_words() {
        let data = Data::ids(" 3 1\n\t4\r\n").unwrap();
        assert_eq!(
            data,
            Data {
                batch: 1,
                time: 3,
                kind: Kind::Tokens(vec![3, 1, 4])
            }
        );
        assert!(
            Data::ids("3 x")
                .unwrap_err()
                .to_string()
                .contains("\"x\" is no token id")
        );
    }

    #[test]
    fn what_no_model_takes_is_told_by_row_and_step() {
        let mut data = Data::ids("3 1 4 1 -5 9").unwrap();
        (data.batch, data.time) = (2, 3);
        let said = |data: &Data, spec| data.check(spec, &Usual::default()).unwrap_err().to_string();
        let error = said(&data, InputSpec::Tokens { vocab: Some(5) });
        assert!(
            error.contains("row 1, step 1 (counted from 0): id -5 is outside 0..5"),
            "{error}"
        );
        let values = vec![1.0, 2.0, 3.0, 4.0, 5.0, f32::NAN, 7.0, 8.0];
        let mut data = Data {
            batch: 2,
            time: 2,
            kind: Kind::Features { values, width: 2 },
        };
        let error = said(&data, InputSpec::Features { width: 2 });
        assert!(
            error.contains("row 1, step 0 (counted from 0), feature 1: is NaN"),
            "{error}"
        );
        // What stands behind a row's end is nobody's input.
        data.cut(&Lengths::new(vec![2, 1]));
        assert!(
            data.check(InputSpec::Features { width: 2 }, &Usual::default())
                .is_err()
        );
    }

    #[test]
    fn what_float32_does_not_square_is_refused_in_units_of_the_model() {
        let data = |values: [f32; 4]| Data {
            batch: 1,
            time: 2,
            kind: Kind::Features {
                values: values.to_vec(),
                width: 2,
            },
        };
        let spec = InputSpec::Features { width: 2 };
        let none = Usual::default();
        data([0.0, -1e14, 3.0, 1e14]).check(spec, &none).unwrap();
        let error = data([0.0, 1.0, 3.0, 1e20]).check(spec, &none).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("step 1 (counted from 0), feature 1: is 1e20"),
            "{error}"
        );
        let usual = Usual(Some([vec![0.0, 0.0], vec![1.0, 1e-10]]));
        data([1e10, 0.0, 3.0, 1.0]).check(spec, &usual).unwrap();
        let error = data([1e10, 0.0, 3.0, 1e10])
            .check(spec, &usual)
            .unwrap_err();
        assert!(
            error.to_string().contains("1.0e20 standard deviations"),
            "{error}"
        );
    }

    #[test]
    fn what_is_behind_the_end_is_zero() {
        let mut data = Data::ids("3 -1 -1 4 5 -1").unwrap();
        (data.batch, data.time) = (2, 3);
        data.cut(&Lengths::default());
        assert_eq!(data.kind, Kind::Tokens(vec![3, -1, -1, 4, 5, -1]));
        data.cut(&Lengths::new(vec![1, 2]));
        assert_eq!(data.kind, Kind::Tokens(vec![3, 0, 0, 4, 5, 0]));
        let values = vec![1.0, 2.0, f32::NAN, f32::NAN, 3.0, 4.0, 5.0, 6.0];
        let mut data = Data {
            batch: 2,
            time: 2,
            kind: Kind::Features { values, width: 2 },
        };
        data.cut(&Lengths::new(vec![1, 2]));
        let Kind::Features { values, .. } = data.kind else {
            panic!("features expected")
        };
        assert_eq!(values, [1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn a_column_is_one_step_of_each_row() {
        let values: Vec<u8> = (0..12).collect();
        assert_eq!(column(&values, 3, 1, 2), [2, 3, 8, 9]);
        assert_eq!(column(&values, 3, 2, 1), [2, 5, 8, 11]);
    }
}
