//! Who computed what a report compares.

use serde::Serialize;

use super::contender::{Contender, Tract};

/// An engine, the oracle or the judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Who {
    /// What rows call it.
    pub name: String,
    /// Its version, as it says itself.
    pub version: String,
}

/// The version of the oracle, the judge and minrnn's own executor.
const OURS: &str = env!("CARGO_PKG_VERSION");
/// candle has no name for its version.
const CANDLE: &str = "0.11.1";

impl Who {
    /// The evaluator of `minrnn-onnx`, which is of our version.
    pub(super) fn judge() -> Self {
        Self {
            name: "judge".into(),
            version: OURS.into(),
        }
    }

    /// By what a row calls it; `None`: no engine. Engines beside the judge are called by name and version.
    pub(super) fn of(called: &str) -> Option<Self> {
        let (name, version) = match called {
            "oracle" | "judge" | "minrnn" => (called, OURS),
            "candle" => (called, CANDLE),
            "tract" => (called, Tract.version()),
            _ => return None,
        };
        Some(Self {
            name: name.into(),
            version: version.into(),
        })
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_candle_is_the_one_that_is_built_in() {
        let lock = include_str!("../../../../Cargo.lock");
        let at = lock.find("name = \"candle-core\"\nversion = \"").unwrap();
        let version = lock[at..].split('"').nth(3).unwrap();
        assert_eq!(CANDLE, version);
    }
}
