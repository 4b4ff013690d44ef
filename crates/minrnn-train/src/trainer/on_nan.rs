//! What a run does once a loss or a gradient is not finite, as configured.

use serde::{Deserialize, Serialize};

/// What a run does once a loss or a gradient is not finite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNan {
    /// It ends with an error.
    #[default]
    Stop,
    /// It goes back to an earlier state that it kept in memory, and on from there with a lower learning rate.
    RollBack,
}

impl OnNan {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
