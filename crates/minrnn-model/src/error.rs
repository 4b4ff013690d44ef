//! What can be wrong with a model's description.

/// Result of describing or reading a model.
pub type Result<T> = std::result::Result<T, ModelError>;

/// A model that cannot be described, with the place and what would mend it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// An operation got values it cannot take.
    #[error("{scope}: {op} {what}")]
    Shape {
        /// Scope of the operation, e.g. `layers.0.rnn`.
        scope: String,
        /// The operation.
        op: String,
        /// What is wrong, with both widths.
        what: String,
    },
    /// A name is used twice, or is not a name.
    #[error("{kind} `{name}`: {what}")]
    Name {
        /// `parameter` or `state`.
        kind: &'static str,
        /// The full name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A state is used by no operation, by two, or with different inputs.
    #[error("state `{name}`: {what}")]
    State {
        /// The full name of the state.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A value of the configuration does not make a model.
    #[error("{key}: {what}")]
    Config {
        /// Dotted key, e.g. `cell.expansion`.
        key: String,
        /// What is wrong and what would mend it.
        what: String,
    },
    /// Parameters do not fit the graph.
    #[error("parameter `{name}`: {what}")]
    Param {
        /// The parameter.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// Inputs of a run do not fit the graph.
    #[error("{what}")]
    Input {
        /// What is wrong, with what was expected.
        what: String,
    },
}

impl ModelError {
    /// A configuration error at `key`.
    pub fn config(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Config {
            key: key.into(),
            what: what.into(),
        }
    }
    /// An error in the inputs of a run.
    pub fn input(what: impl Into<String>) -> Self {
        Self::Input { what: what.into() }
    }
}
