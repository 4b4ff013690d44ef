//! Mean and standard deviation of features and of values that are predicted.

/// Statistics of each column over the training part, to be stored as buffers of a model: of features, `(x - mean) / std` begins it,
/// of values, `y * std + mean` ends it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// Mean, `[F]`.
    pub mean: Vec<f32>,
    /// Standard deviation (of the population), `[F]`; 1 for a column that never changes.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Statistics over `rows`, each of `width` values, in float64 and in the order given.
    /// Without rows: mean 0, standard deviation 1.
    pub fn over<'a>(width: usize, rows: impl Iterator<Item = &'a [f32]> + Clone) -> Self {
        Statistics::over(width, rows).normalisation()
    }
}

/// The same in float64, as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Mean, `[F]`.
    pub mean: Vec<f64>,
    /// Standard deviation (of the population), `[F]`; 0 for a column that never changes.
    pub std: Vec<f64>,
}

/// Means that are more standard deviations than this away from 0 leave float32 too few digits for what varies.
const FAR: f64 = 1e5;
/// Remarks that are made one by one.
const SHOWN: usize = 8;

impl Statistics {
    /// Over `rows`, each of `width` values, in the order given. Without rows: 0.
    pub fn over<'a>(width: usize, rows: impl Iterator<Item = &'a [f32]> + Clone) -> Self {
        let passed: Result<Self, std::convert::Infallible> = Self::passing(width, |row| {
            rows.clone().for_each(row);
            Ok(())
        });
        match passed {
            Ok(statistics) => statistics,
            Err(never) => match never {},
        }
    }

    /// The same over rows that are gone through twice: `pass` gives each of them to what it is given, in the same order both times.
    ///
    /// # Errors
    /// Those of `pass`.
    pub fn passing<E>(
        width: usize,
        mut pass: impl FnMut(&mut dyn FnMut(&[f32])) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (mut count, mut mean) = (0_usize, vec![0.0_f64; width]);
        pass(&mut |row| {
            count += 1;
            mean.iter_mut()
                .zip(row)
                .for_each(|(m, x)| *m += f64::from(*x));
        })?;
        let count = count.max(1) as f64;
        mean.iter_mut().for_each(|m| *m /= count);
        let mut std = vec![0.0_f64; width];
        pass(&mut |row| {
            for ((s, m), x) in std.iter_mut().zip(&mean).zip(row) {
                *s += (f64::from(*x) - m).powi(2);
            }
        })?;
        std.iter_mut().for_each(|s| *s = (*s / count).sqrt());
        Ok(Self { mean, std })
    }

    /// As buffers of a model.
    pub fn normalisation(&self) -> Normalisation {
        let std = (0..self.std.len()).map(|i| match self.is_constant(i) {
            true => 1.0,
            false => self.std[i] as f32,
        });
        Normalisation {
            mean: self.mean.iter().map(|m| *m as f32).collect(),
            std: std.collect(),
        }
    }

    /// Whether column `i` never changes: a spread within the rounding of the sums is that of a constant. Two f32 that differ, differ by more.
    pub fn is_constant(&self, i: usize) -> bool {
        let noise = 1e-12 * self.mean[i].abs();
        self.std[i] <= noise || (self.std[i] as f32) < f32::MIN_POSITIVE
    }

    /// What to know of columns whose values float32 can hardly hold, a line each. `name` is what column `i` is called.
    pub fn remarks(&self, name: impl Fn(usize) -> String) -> Vec<String> {
        self.remarks_on("the training part", name)
    }

    /// The same of other rows: `part` is what they are.
    pub fn remarks_on(&self, part: &str, name: impl Fn(usize) -> String) -> Vec<String> {
        let far = (0..self.mean.len()).filter(|i| self.mean[*i].abs() > FAR * self.std[*i]);
        let far = far.filter(|i| !self.is_constant(*i) || self.mean[*i].abs() > FAR);
        let mut remarks: Vec<String> = far
            .map(|i| {
                let (name, mean, std) = (name(i), self.mean[i], self.std[i]);
                if self.is_constant(i) {
                    format!(
                        "{name} is {mean} in all of {part}, as far as float32 can tell; if it varies, subtract an offset in the data"
                    )
                } else {
                    format!(
                        "{name} has mean {mean:.6e} and standard deviation {std:.3e}: float32 leaves few digits for what varies; subtract an offset in the data"
                    )
                }
            })
            .collect();
        if remarks.len() > SHOWN {
            let more = remarks.len() - SHOWN;
            remarks.truncate(SHOWN);
            remarks.push(format!("and {more} columns more like these"));
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_of_each_column() {
        let data = [1.0_f32, 10.0, 5.0, 3.0, 10.0, -5.0, 8.0, 10.0, 0.0];
        let n = Normalisation::over(3, data.chunks_exact(3));
        assert_eq!(n.mean, [4.0, 10.0, 0.0]);
        assert_eq!(
            n.std,
            [(26.0_f32 / 3.0).sqrt(), 1.0, (50.0_f32 / 3.0).sqrt()]
        );
    }

    #[test]
    fn large_means_and_no_rows_stay_finite() {
        let same = [0.1_f32; 9];
        assert_eq!(Normalisation::over(1, same.chunks_exact(1)).std, [1.0]);
        let far = [f32::MAX, f32::MAX, -f32::MAX];
        let n = Normalisation::over(1, far.chunks_exact(1));
        assert!(n.mean[0].is_finite() && n.std[0].is_finite());
        assert_eq!(
            Normalisation::over(2, [].chunks_exact(2)),
            Normalisation {
                mean: vec![0.0; 2],
                std: vec![1.0; 2]
            }
        );
    }

    #[test]
    fn values_that_float32_can_hardly_hold_are_named() {
        let rows = |mean: f32, step: f32| (0..10).map(move |i| mean + step * (i % 2) as f32);
        let of = |mean, step| {
            let data: Vec<f32> = rows(mean, step).collect();
            Statistics::over(1, data.chunks_exact(1)).remarks(|_| "feature `t`".into())
        };
        let one = |mean, step| of(mean, step).pop().unwrap_or_default();
        assert!(
            one(1.7e9, 1024.0).contains("feature `t` has mean 1.700001e9"),
            "{}",
            one(1.7e9, 1024.0)
        );
        assert!(one(1.7e9, 1.0).contains("in all of the training part"));
        // Neighbours in f32 are two values, not one.
        assert!(one(1.7e9, 128.0).contains("standard deviation 6.400e1"));
        assert!(one(-1e6, 10.0).contains("float32 leaves few digits"));
        for fine in [
            (1e6, 100.0),
            (5.0, 0.0),
            (0.0, 0.0),
            (5.5e5, 20.0),
            (0.0, 1e-30),
        ] {
            assert_eq!(of(fine.0, fine.1), Vec::<String>::new(), "{fine:?}");
        }
        let many = [1e9_f32; 40];
        let remarks = Statistics::over(20, many.chunks_exact(20)).remarks(|i| i.to_string());
        assert_eq!(
            (remarks.len(), remarks[8].as_str()),
            (9, "and 12 columns more like these")
        );
    }
}
