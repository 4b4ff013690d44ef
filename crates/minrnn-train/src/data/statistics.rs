//! Mean and standard deviation of features.

/// Statistics of each feature over the steps of the training part, to be stored as buffers of a model
/// that computes `(x - mean) / std`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// Mean, `[F]`.
    pub mean: Vec<f32>,
    /// Standard deviation (of the population), `[F]`; 1 for a feature that never changes.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Statistics over `rows`, each of `width` values, in float64 and in the order given.
    /// Without rows: mean 0, standard deviation 1.
    pub fn over<'a>(width: usize, rows: impl Iterator<Item = &'a [f32]> + Clone) -> Self {
        let count = rows.clone().count().max(1) as f64;
        let mut mean = vec![0.0_f64; width];
        for row in rows.clone() {
            mean.iter_mut()
                .zip(row)
                .for_each(|(m, x)| *m += f64::from(*x));
        }
        mean.iter_mut().for_each(|m| *m /= count);
        let mut square = vec![0.0_f64; width];
        for row in rows {
            for ((s, m), x) in square.iter_mut().zip(&mean).zip(row) {
                *s += (f64::from(*x) - m).powi(2);
            }
        }
        let std = square
            .iter()
            .zip(&mean)
            .map(|(s, m)| Self::usable((s / count).sqrt(), *m))
            .collect();
        Self {
            mean: mean.iter().map(|m| *m as f32).collect(),
            std,
        }
    }

    /// A spread within the rounding of the values themselves is that of a constant.
    fn usable(std: f64, mean: f64) -> f32 {
        let noise = f64::from(f32::EPSILON) * mean.abs();
        if std > noise && std as f32 >= f32::MIN_POSITIVE {
            std as f32
        } else {
            1.0
        }
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
}
