//! Rules of ONNX, with inference of types and shapes over named dimensions.
//!
//! It knows the operators that such models are made of (opset 13 to 28), each as its opset has it, and follows dimensions through arithmetic on shapes, so
//! that a declared output `[batch, seq_len, C]` is shown, not believed, even where the graph pads and slices in between.
//! What it cannot follow is unknown, and unknown agrees with everything; what provably disagrees is a [`Problem`].
//! An operator that it does not know is a problem too.

mod expr;
mod infer;
mod profile;
mod signature;
#[cfg(test)]
mod tests;
mod types;
mod walk;

use std::fmt;

pub use expr::Expr;
pub use profile::{TRAPS, Trap, conform};
pub use signature::Description;
pub use types::{Extent, TensorType, Types};

use crate::ir::{MICROSOFT, Model, is_standard};

/// Opsets whose operators the checker knows.
pub const OPSETS: std::ops::RangeInclusive<i64> = 13..=28;

/// Versions of the file format that are known. Before the first, constants had to be inputs too.
pub const IR_VERSIONS: std::ops::RangeInclusive<i64> = 4..=14;

/// Names of the operators that the checker knows, each in some of [`OPSETS`].
pub fn operators() -> Vec<&'static str> {
    signature::names().into_iter().collect()
}

/// What the checker knows of an operator in an opset: parameters, element types, attributes.
pub fn operator(name: &str, opset: i64) -> Option<Description> {
    signature::find(name, opset).map(|s| s.describe(opset))
}

/// What a graph must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The file states its format version and its operator sets, once each.
    Version,
    /// Keys of metadata are not empty and not given twice.
    Metadata,
    /// Graphs, nodes, values and constants have names.
    Name,
    /// A name is written once, sub-graphs included.
    Ssa,
    /// A value is computed before it is used.
    Order,
    /// Every name that is used is defined.
    Undefined,
    /// The operator is known.
    Operator,
    /// The operator has as many inputs and outputs as it takes.
    Arity,
    /// Attributes are known, of the right type, and there if needed.
    Attribute,
    /// Element types fit.
    Type,
    /// Shapes fit.
    Shape,
    /// Constants have as many values as their shape says.
    Constant,
    /// What is declared agrees with what the graph computes.
    Declared,
    /// Named dimensions are C identifiers.
    DimName,
    /// The target can run it, and runs it rightly.
    Profile,
}

/// A rule that does not hold, with the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which rule.
    pub rule: Rule,
    /// Node, value or part of the file.
    pub place: String,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            // Rules of profiles have names of their own.
            Rule::Profile => write!(f, "{}: {}", self.place, self.detail),
            rule => write!(f, "{}: {} (rule {rule:?})", self.place, self.detail),
        }
    }
}

/// All rules that do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the graph breaks {} rule(s): {}", problems.len(), first(problems))]
pub struct CheckError {
    /// In the order of the file; never empty.
    pub problems: Vec<Problem>,
}

/// The first problems: a rule that one node breaks is often broken by hundreds.
fn first(problems: &[Problem]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = problems
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    match problems.len().saturating_sub(SHOWN) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

/// Checks a model and gives the types and shapes of its values.
///
/// # Errors
/// Every rule that does not hold.
pub fn check(model: &Model) -> Result<Types, CheckError> {
    let (types, problems) = infer(model);
    if problems.is_empty() {
        Ok(types)
    } else {
        Err(CheckError { problems })
    }
}

/// Types and shapes as far as they can be known, with every rule that does not hold: for models made elsewhere.
pub fn infer(model: &Model) -> (Types, Vec<Problem>) {
    let mut walker = walk::Walker::new(
        model.opset().unwrap_or(*OPSETS.end()),
        model.opsets.iter().any(|(domain, _)| domain == MICROSOFT),
    );
    versions(model, &mut walker.problems);
    metadata(model, &mut walker.problems);
    let types = walker.root(&model.graph);
    (types, walker.problems)
}

fn versions(model: &Model, problems: &mut Vec<Problem>) {
    let mut say = |detail: String| {
        problems.push(Problem {
            rule: Rule::Version,
            place: "model".into(),
            detail,
        })
    };
    if !IR_VERSIONS.contains(&model.ir_version) {
        say(format!(
            "the version of the format is {}, which is outside of {}..={} (8 goes with opset 17)",
            model.ir_version,
            IR_VERSIONS.start(),
            IR_VERSIONS.end()
        ));
    }
    match model.opset() {
        None => say("no version of the standard operator set is stated".into()),
        Some(v) if !OPSETS.contains(&v) => {
            say(format!(
                "opset {v} is outside of {}..={}, which is what is known here",
                OPSETS.start(),
                OPSETS.end()
            ));
        }
        Some(_) => {}
    }
    for (i, (domain, _)) in model.opsets.iter().enumerate() {
        let same = |d: &String| d == domain || (is_standard(d) && is_standard(domain));
        if model.opsets[..i].iter().any(|(d, _)| same(d)) {
            say(format!("domain `{domain}` is imported twice"));
        }
    }
}

fn metadata(model: &Model, problems: &mut Vec<Problem>) {
    let mut seen = std::collections::BTreeSet::new();
    for (key, _) in &model.metadata {
        let detail = match key.is_empty() {
            true => "a key is empty".to_owned(),
            false if !seen.insert(key) => format!("the key `{key}` is given twice"),
            false => continue,
        };
        problems.push(Problem {
            rule: Rule::Metadata,
            place: "metadata".into(),
            detail,
        });
    }
}
