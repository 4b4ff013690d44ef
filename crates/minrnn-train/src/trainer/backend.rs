//! Where the weights live and the steps are computed.

use minrnn_kernels::loss_scale::LossScale;
use minrnn_model::params::Params;

use crate::checkpoint::TensorData;
use crate::error::{Result, TrainError};
use crate::optim::OptimizerState;
use crate::run::Dropout;
use crate::tape::Carry;
use crate::task::Batch;

/// Where a trainer computes.
#[derive(Debug, Clone, Default)]
pub enum Device {
    /// The CPU, by the tape of this crate ([`crate::tape`]) or by candle ([`TrainEngine`](super::TrainEngine)).
    #[default]
    Cpu,
    /// A GPU, by either of them too.
    #[cfg(feature = "cuda")]
    Cuda(minrnn_kernels::cuda::Gpu),
}

impl Device {
    pub(super) fn is_cpu(&self) -> bool {
        matches!(self, Self::Cpu)
    }

    /// CUDA GPU number `ordinal`.
    ///
    /// # Errors
    /// A program without CUDA; no such GPU.
    #[cfg_attr(
        not(feature = "cuda"),
        allow(clippy::missing_const_for_fn, reason = "with CUDA it asks the driver")
    )]
    pub fn cuda(ordinal: usize) -> Result<Self> {
        #[cfg(feature = "cuda")]
        {
            Ok(Self::Cuda(minrnn_kernels::cuda::Gpu::new(ordinal)?))
        }
        #[cfg(not(feature = "cuda"))]
        {
            let message = format!(
                "is cuda:{ordinal}, but this program was built without CUDA; build it with --features cuda, or use cpu"
            );
            Err(TrainError::config("device", message))
        }
    }

    /// As candle's.
    pub(super) fn of_candle(&self) -> Result<candle_core::Device> {
        match self {
            Self::Cpu => Ok(candle_core::Device::Cpu),
            #[cfg(feature = "cuda")]
            Self::Cuda(gpu) => Ok(gpu.to_candle()?),
        }
    }
}

/// One step as the backend reports it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Report {
    pub(super) loss: f64,
    pub(super) grad_norm: f64,
    /// What the loss was multiplied by, where gradients are computed in float16.
    pub(super) loss_scale: Option<f64>,
    /// Whether it was left out.
    pub(super) skipped: bool,
}

/// Weights and optimizer on a device.
pub(super) trait Backend: std::fmt::Debug + Send + Sync {
    /// The weights as they are now.
    fn params(&self) -> Result<Params>;

    /// Puts weights in the place of those that are there.
    fn set_params(&mut self, params: &Params) -> Result<()>;

    /// Evaluations take an average of the weights from here on, this one, until [`Backend::average`] moves it.
    fn set_average(&mut self, params: &Params) -> Result<()>;

    /// The average takes in the weights that the steps in line leave: this share of it is theirs.
    fn average(&mut self, share: f32) -> Result<()>;

    /// The average, if there is one.
    fn averaged(&self) -> Result<Option<Params>>;

    /// What the optimizer must keep for a run to go on exactly.
    fn state_dict(&self) -> Result<OptimizerState>;

    /// Takes over such a state; nothing is changed where an error is returned.
    fn load_state_dict(&mut self, state: &OptimizerState) -> Result<()>;

    /// Where the states of the steps that follow begin.
    fn carry(&mut self, carry: Carry);

    /// The states that the last step kept, in the graph's order, `[B, ..]` each.
    fn states(&self) -> Result<Vec<TensorData>>;

    /// Takes over such states, for a step that goes on from them.
    fn set_states(&mut self, states: &[&TensorData]) -> Result<()>;

    /// What the loss of the next step is multiplied by, where gradients are computed in float16.
    fn loss_scale(&self) -> Option<LossScale> {
        None
    }

    /// Sets it, where there is one.
    fn set_loss_scale(&mut self, _: LossScale) -> Result<()> {
        Ok(())
    }

    /// How many steps are best put in line before their reports are read.
    fn line(&self) -> u64 {
        1
    }

    /// Bytes that the steps so far hold on the device, weights and moments too; `None` where that is not counted.
    fn bytes(&self) -> Option<usize> {
        None
    }

    /// Puts a step in line, `dropout` choosing the masks; the report may come later.
    fn step(&mut self, batch: &Batch, dropout: Dropout, lr: f64) -> Result<Option<Report>>;

    /// The reports of the steps in line, and the error of the one that failed.
    fn reports(&mut self) -> Result<(Vec<Report>, Option<TrainError>)> {
        Ok((vec![], None))
    }

    /// Mean loss of a batch, in the units of the data, and how many targets were met (`None` for real targets).
    fn evaluate(&self, batch: &Batch) -> Result<(f64, Option<usize>)>;
}
