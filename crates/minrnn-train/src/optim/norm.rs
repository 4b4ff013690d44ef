//! The global norm of the gradients, in float64 and in one fixed order whatever the number of threads.

use candle_core::{CpuStorage, DType, Storage, Tensor};
use rayon::prelude::*;

use crate::error::Result;
use crate::host;

/// Values summed by one task; fixed, because it decides the order of summation.
const CHUNK: usize = 1 << 15;
/// Independent sums within a chunk.
const LANES: usize = 8;

/// The sums of squares of float32 tensors, and a scalar beside them (0 without one), from a device in one transfer.
pub(super) fn sums_of_squares(
    tensors: &[&Tensor],
    scalar: Option<&Tensor>,
) -> Result<(f64, Vec<f64>)> {
    if tensors.iter().all(|t| t.device().is_cpu()) {
        let first = scalar.map_or(Ok(0.0), host::scalar)?;
        let sums = tensors.iter().map(|t| sum_of_squares(t));
        return Ok((first, sums.collect::<Result<_>>()?));
    }
    let sum = |t: &&Tensor| t.to_dtype(DType::F64)?.sqr()?.sum_all();
    let sums = tensors.iter().map(sum);
    let first = scalar.map(|s| s.to_dtype(DType::F64)).into_iter();
    let all: Vec<Tensor> = first.chain(sums).collect::<candle_core::Result<_>>()?;
    let mut all = host::read(&Tensor::stack(&all, 0)?)?;
    let first = match scalar {
        Some(_) => all.remove(0),
        None => 0.0,
    };
    Ok((first, all))
}

/// The sum of squares of a float32 tensor on the CPU. Infinite or NaN if and only if an element is: no float32 overflows
/// when squared in float64.
fn sum_of_squares(tensor: &Tensor) -> Result<f64> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((from, to))) => Ok(squares(&values[from..to])),
        _ => Err(candle_core::Error::Msg("gradients must be float32".to_owned()).into()),
    }
}

/// The same of values in memory.
pub(crate) fn squares(values: &[f32]) -> f64 {
    if values.len() <= CHUNK {
        return chunk(values);
    }
    let parts: Vec<f64> = values.par_chunks(CHUNK).map(chunk).collect();
    parts.iter().sum()
}

fn chunk(values: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let groups = values.chunks_exact(LANES);
    let rest: f64 = groups
        .remainder()
        .iter()
        .map(|v| f64::from(*v) * f64::from(*v))
        .sum();
    for group in groups {
        for (lane, v) in lanes.iter_mut().zip(group) {
            *lane += f64::from(*v) * f64::from(*v);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn any_layout_and_number_of_threads_gives_the_same_bits() {
        let values: Vec<f32> = (0..200_000)
            .map(|i| ((i * 7919) % 1009) as f32 * 1e-3 - 0.4)
            .collect();
        let naive: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
        let tensor = Tensor::from_vec(values, (400, 500), &Device::Cpu).unwrap();
        let sum = sum_of_squares(&tensor).unwrap();
        assert!((sum - naive).abs() < 1e-9 * naive, "{sum} {naive}");
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            assert_eq!(pool.install(|| sum_of_squares(&tensor).unwrap()), sum);
        }
        let twice = tensor.t().unwrap().contiguous().unwrap().t().unwrap();
        assert!(!twice.is_contiguous());
        assert_eq!(sum_of_squares(&twice).unwrap(), sum);
        let part = tensor.narrow(0, 100, 3).unwrap();
        let wanted: f64 = part
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .map(|v| f64::from(*v).powi(2))
            .sum();
        assert!((sum_of_squares(&part).unwrap() - wanted).abs() < 1e-9 * wanted);
    }

    #[test]
    fn largest_float_does_not_overflow_and_a_single_nan_shows() {
        let t = |v: Vec<f32>| Tensor::new(v, &Device::Cpu).unwrap();
        assert!(sum_of_squares(&t(vec![f32::MAX; 50])).unwrap().is_finite());
        let mut one = vec![1.0; 50];
        one[33] = f32::NAN;
        assert!(!sum_of_squares(&t(one)).unwrap().is_finite());
        assert!(
            !sum_of_squares(&t(vec![f32::NEG_INFINITY]))
                .unwrap()
                .is_finite()
        );
    }
}
