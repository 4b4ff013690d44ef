//! What a checkpoint says about its run besides the configuration.

use serde::{Deserialize, Serialize};

use crate::task::DataDigest;

/// The table `run` of a checkpoint's `config.json`. Checkpoints of the first versions have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// Kind of device that computed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
    /// What it was trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<DataDigest>,
}
