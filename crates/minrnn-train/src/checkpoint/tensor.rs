//! A float32 tensor in plain memory.

use candle_core::{DType, Device, Tensor};

use crate::error::{Result, TrainError};

/// Shape and values of a float32 tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorData {
    /// Sizes of the dimensions, outermost first.
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub data: Vec<f32>,
}

impl TensorData {
    /// Copies a tensor from its device.
    ///
    /// # Errors
    /// [`TrainError::Candle`] if its dtype is not f32, or the device fails.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self> {
        Ok(Self {
            shape: tensor.dims().to_vec(),
            data: tensor.flatten_all()?.to_vec1::<f32>()?,
        })
    }

    /// Copies to a device, as f32.
    ///
    /// # Errors
    /// [`TrainError::Candle`] if shape and data disagree, or the device fails.
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        let tensor = Tensor::from_slice(&self.data, self.shape.as_slice(), device)?;
        debug_assert_eq!(tensor.dtype(), DType::F32);
        Ok(tensor)
    }

    /// Checks that there are as many values as the shape says.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] with `name`.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        let count = self
            .shape
            .iter()
            .try_fold(1_usize, |n, d| n.checked_mul(*d));
        if count == Some(self.data.len()) {
            return Ok(());
        }
        Err(TrainError::tensor(
            name,
            format!("has shape {:?} but {} values", self.shape, self.data.len()),
        ))
    }
}
