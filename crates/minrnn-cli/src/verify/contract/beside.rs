//! A file that lies beside another one, as a manifest names it.

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Beside {
    pub(super) file: String,
    pub(super) sha256: String,
    pub(super) bytes: Option<u64>,
}
