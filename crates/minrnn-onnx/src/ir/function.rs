//! Operators made of other operators.

use super::{Attr, Node, ValueInfo};

/// An operator made of other operators, kept in the file that uses it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Function {
    /// Domain of the operator.
    pub domain: String,
    /// Its name there.
    pub name: String,
    /// Tells functions of one name apart.
    pub overload: String,
    /// What the caller gives.
    pub inputs: Vec<String>,
    /// What the caller gets.
    pub outputs: Vec<String>,
    /// Attributes that the caller must give.
    pub attributes: Vec<String>,
    /// Attributes that the caller may give, with their values if it does not.
    pub defaults: Vec<(String, Attr)>,
    /// Human-readable texts of `defaults`, by name.
    pub default_docs: Vec<(String, String)>,
    /// Operations.
    pub nodes: Vec<Node>,
    /// The operator sets these use: `(domain, version)`.
    pub opsets: Vec<(String, i64)>,
    /// Notes on values.
    pub value_info: Vec<ValueInfo>,
    /// Human-readable text.
    pub doc: String,
    /// Key and value (IR 10 and later).
    pub metadata: Vec<(String, String)>,
}
