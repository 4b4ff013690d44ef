//! From a device to the host: the one place where a training waits for its device.

use candle_core::{DType, Result, Tensor};

#[cfg(all(test, feature = "cuda"))]
thread_local! {
    /// Transfers of this thread.
    static TRANSFERS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How often the thread has read from a device.
#[cfg(all(test, feature = "cuda"))]
pub(crate) fn transfers() -> usize {
    TRANSFERS.with(std::cell::Cell::get)
}

/// All values, in one transfer.
pub(crate) fn read(tensor: &Tensor) -> Result<Vec<f64>> {
    #[cfg(all(test, feature = "cuda"))]
    TRANSFERS.with(|n| n.set(n.get() + 1));
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

/// The one value.
pub(crate) fn scalar(tensor: &Tensor) -> Result<f64> {
    match read(tensor)?[..] {
        [value] => Ok(value),
        _ => candle_core::bail!(
            "a scalar was expected, got a tensor of shape {:?}",
            tensor.dims()
        ),
    }
}
