//! Keys of attention.

use serde::Serialize;

use super::keys::Keys;
use super::whole;
use crate::error::{ModelError, Result};
use crate::layers::{self, Mixer};

/// Longest window: its rows are a state.
const LONGEST: usize = 1 << 16;

/// Keys of causal attention over a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attention {
    /// D / M.
    pub expansion: f64,
    /// Heads; their number divides D.
    pub heads: usize,
    /// Steps that a step sees at most, itself among them; `None`: as many as the model has positions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// In the plain block: whether the linear maps before and after have a bias.
    pub bias: bool,
    /// The model's dropout, which the weights of the rows have too.
    #[serde(skip)]
    pub dropout: f64,
}

impl Default for Attention {
    fn default() -> Self {
        Self {
            expansion: 1.0,
            heads: 1,
            window: None,
            bias: false,
            dropout: 0.0,
        }
    }
}

impl Attention {
    pub(super) fn take(keys: &mut Keys) -> Self {
        let usual = Self::default();
        Self {
            expansion: keys.expansion.take().unwrap_or(usual.expansion),
            heads: keys.heads.take().unwrap_or(usual.heads),
            window: keys.window.take(),
            bias: keys.bias.take().unwrap_or(usual.bias),
            dropout: usual.dropout,
        }
    }

    pub(super) fn channels(&self, width: usize) -> Result<usize> {
        whole("cell.expansion", width, self.expansion)
    }

    pub(super) fn mixer(&self, width: usize) -> Result<Box<dyn Mixer>> {
        let Some(window) = self.window else {
            return Err(ModelError::config(
                "cell.window",
                "is missing: how many steps a step sees; or set positions, which it is then",
            ));
        };
        Ok(Box::new(layers::Attention {
            channels: self.channels(width)?,
            heads: self.heads,
            lag: window - 1,
            dropout: self.dropout,
        }))
    }

    pub(super) fn validate(&self, width: usize) -> Result<()> {
        let channels = self.channels(width)?;
        if self.heads == 0 || !channels.is_multiple_of(self.heads) {
            let what = format!(
                "is {}; it must divide {channels}, the channels of all heads (width times cell.expansion)",
                self.heads
            );
            return Err(ModelError::config("cell.heads", what));
        }
        match self.window {
            Some(n) if !(2..=LONGEST).contains(&n) => Err(ModelError::config(
                "cell.window",
                format!(
                    "is {n}; it must be between 2 and {LONGEST}, the steps that a step sees, itself among them; leave it out to see as many as there are positions"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Whether as many positions can be the window, where nobody says another, and can fill the one that somebody says.
    pub(super) fn validate_positions(&self, positions: usize) -> Result<()> {
        if let Some(window) = self.window.filter(|window| *window > positions) {
            let what = format!(
                "is {window}, and positions is {positions}: no sequence is longer than its positions, so that the window never fills; set it to at most {positions}, leave it out (it is positions then), or have more positions"
            );
            return Err(ModelError::config("cell.window", what));
        }
        if self.window.is_some() || positions <= LONGEST {
            return Ok(());
        }
        let what = format!(
            "is {positions}, and attention sees as many steps where cell.window is left out; no window is longer than {LONGEST}: set cell.window, or have fewer positions"
        );
        Err(ModelError::config("positions", what))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::ModelConfig;

    fn refused(rest: &str) -> String {
        let text = format!("width = 8\nlayers = 1\n{rest}");
        let config: ModelConfig = toml::from_str(&text).expect(rest);
        config.validate().expect_err(rest).to_string()
    }

    /// What people wrote is named, not what it stands for.
    #[test]
    fn errors_have_the_key_and_its_value() {
        for (rest, wanted) in [
            (
                "positions = 1\ncell = { kind = 'attention' }",
                "positions: is 1; it must be between 2 and",
            ),
            (
                "positions = 70000\ncell = { kind = 'attention' }",
                "positions: is 70000, and attention sees as many steps where cell.window is left out",
            ),
            (
                "positions = 16\ncell = { kind = 'attention', window = 17 }",
                "cell.window: is 17, and positions is 16: no sequence is longer",
            ),
            (
                "cell = { kind = 'attention', window = 0 }",
                "cell.window: is 0; it must be between 2 and",
            ),
            (
                "positions = 4\ncell = { kind = 'attention', heads = 5 }",
                "cell.heads: is 5; it must divide 8, the channels",
            ),
            (
                "cell = { kind = 'hyena', longest = 1 }",
                "cell.longest: is 1; it must be between 2 and",
            ),
            (
                "cell = { kind = 'gru', expansion = 2, output_projection = false }",
                "cell.output_projection: is false, and the cell has 16 channels in a model of width 8",
            ),
        ] {
            let said = refused(rest);
            assert!(said.starts_with(wanted), "{rest}: {said}");
        }
        let with =
            "width = 8\nlayers = 1\npositions = 70000\ncell = { kind = 'attention', window = 9 }";
        let config: ModelConfig = toml::from_str(with).expect(with);
        config.validate().expect("a window of its own");
    }

    #[test]
    fn null_is_no_number_of_heads() {
        let json = r#"{"width": 8, "layers": 1, "cell": {"kind": "attention", "window": 4, "heads": null}}"#;
        serde_json::from_str::<ModelConfig>(json).expect_err("null");
    }
}
