//! Where to compute.

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Device {
    Cpu,
    /// CUDA GPU by number.
    Cuda(usize),
}

impl Device {
    /// The trainer's.
    pub(crate) fn open(self) -> anyhow::Result<minrnn_train::trainer::Device> {
        match self {
            Self::Cpu => Ok(minrnn_train::trainer::Device::Cpu),
            Self::Cuda(n) => Ok(minrnn_train::trainer::Device::cuda(n)?),
        }
    }
}

/// Reads what `--device` says.
pub(super) fn device(text: &str) -> Result<Device, String> {
    let number = |n: &str| {
        n.parse()
            .map_err(|_| format!("`{n}` is no number of a GPU"))
    };
    match text.split_once(':') {
        None if text == "cpu" => return Ok(Device::Cpu),
        None if text == "cuda" => Ok(Device::Cuda(0)),
        Some(("cuda", n)) => number(n).map(Device::Cuda),
        _ => Err("no such device; use cpu, cuda or cuda:N".into()),
    }
    .and_then(|device| {
        if cfg!(feature = "cuda") {
            return Ok(device);
        }
        Err("this minrnn was built without CUDA; build it with --features cuda, or use --device cpu".into())
    })
}
