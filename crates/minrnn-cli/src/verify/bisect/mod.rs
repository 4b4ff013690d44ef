//! The first operation, in the order of the data, at which two graphs part.
//!
//! In float64 first, where rounding is far below anything that a different operation or weight does: what differs there
//! *means* something else. If nothing does, and the files differ all the same, the fault is one of digits: then the first
//! operation of either file whose value departs from its own float64 value is named.

mod rounding;
mod search;
mod shared;
#[cfg(test)]
mod tests;

use anyhow::Result;
use minrnn_model::rng::Rng;
use serde::Serialize;

use super::pair::{Arithmetic, Case, Request, Two, number};

/// Where two graphs part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Culprit {
    /// `meaning`: the graphs compute something else; `rounding`: one of them loses its digits.
    pub(crate) kind: &'static str,
    /// `float64` or `as filed`: how values were computed.
    pub(crate) arithmetic: &'static str,
    /// The file that has the node.
    pub(crate) file: String,
    pub(crate) node: String,
    pub(crate) operator: String,
    pub(crate) tensor: String,
    pub(crate) case: String,
    /// The step, where a step file is run.
    pub(crate) step: Option<usize>,
    pub(crate) index: Vec<usize>,
    /// The value in the first file (kind `rounding`: in float64), and in the second (as filed).
    pub(crate) values: [f64; 2],
    /// Largest difference in that tensor, and the largest value.
    pub(crate) max_abs: f64,
    pub(crate) largest: f64,
    /// What the node reads.
    pub(crate) inputs: Vec<InputNote>,
    /// Nodes that may be at fault: those between what agrees and what does not. One, where its own inputs were compared.
    pub(crate) suspects: Vec<String>,
    /// Tensors that were compared before, and agree.
    pub(crate) agreeing: usize,
}

/// An input of the node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct InputNote {
    pub(crate) tensor: String,
    /// `agrees`, `input`, `constant` or `not compared`.
    pub(crate) state: &'static str,
    /// Largest difference, where it was compared.
    pub(crate) max_abs: Option<f64>,
}

impl Culprit {
    pub(crate) fn text(&self) -> String {
        let step = self.step.map_or(String::new(), |t| format!(", step {t}"));
        let sides = if self.kind == "rounding" {
            ["in float64", "as filed"]
        } else {
            ["in the first file", "in the second"]
        };
        let mut text = format!(
            "first to differ: node `{}` ({}) of {}\n  it makes `{}`; {} ({}{step})\n  at {:?}: {} {}, {} {}; largest difference {}, largest value {}\n",
            self.node,
            self.operator,
            self.file,
            self.tensor,
            self.why(),
            self.case,
            self.index,
            self.values[0],
            sides[0],
            self.values[1],
            sides[1],
            number(self.max_abs),
            number(self.largest),
        );
        for input in &self.inputs {
            let by = input
                .max_abs
                .map_or(String::new(), |d| format!(", within {}", number(d)));
            text.push_str(&format!(
                "  reads `{}`: {}{by}\n",
                input.tensor, input.state
            ));
        }
        if self.suspects.len() > 1 {
            text.push_str(&format!(
                "  its inputs have no counterparts; it may also be one of {}\n",
                self.suspects.join(", ")
            ));
        }
        text + &format!("  {} tensors before it agree\n", self.agreeing)
    }

    fn why(&self) -> String {
        match self.kind {
            "rounding" => "in float64 the graphs agree, here digits are lost".into(),
            _ => format!("computed in {}", self.arithmetic),
        }
    }
}

/// Steps of a search: no number that dimensions of a model usually have.
const STEPS: usize = 21;

/// Searches two files. `worst`: batch and length of a case in which they were found to differ.
pub(crate) fn pair(
    two: &Two,
    request: &Request,
    worst: Option<(usize, usize)>,
) -> Result<Option<Culprit>> {
    let mut rng = Rng::named(request.seed, "bisect");
    let batch = two.face.batch.unwrap_or(3);
    let sizes = [Some((batch, two.face.length.unwrap_or(STEPS))), worst];
    let how = if two.files.iter().all(|f| f.narrow_only().is_none()) {
        Arithmetic::Wide
    } else {
        Arithmetic::AsFiled
    };
    for size in sizes.into_iter().flatten() {
        let mut case = Case::random(two, size, &mut rng);
        if two.takes_states() {
            case.states = Some(two.random_states(size.0, &mut rng)?);
        }
        if let Some(found) = search::search(two, &case, how)? {
            return Ok(Some(found));
        }
    }
    let (Some(size), Arithmetic::Wide) = (worst, how) else {
        return Ok(None);
    };
    rounding::search(two, &Case::random(two, size, &mut rng))
}
