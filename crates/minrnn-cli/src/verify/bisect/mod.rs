//! The first operation, in the order of the data, at which two graphs part.
//!
//! In float64 first, where rounding is far below anything that a different operation or weight does: what differs there
//! *means* something else. If nothing does, and the files differ all the same, the fault is one of digits: then the first
//! operation of either file whose rounded value departs from its own float64 value is named. Both are the judge's, who traces
//! every value. A node is named only if all that it reads was compared and agrees; else those that it may be are listed.

mod rounding;
mod search;
mod shared;
#[cfg(test)]
mod tests;

use anyhow::Result;
use minrnn_model::rng::Rng;
use serde::Serialize;

use super::pair::{Case, Draw, Request, Two, number};

/// Where two graphs part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Culprit {
    /// `meaning`: the graphs compute something else; `rounding`: one of them loses its digits.
    pub(crate) kind: &'static str,
    /// `float64` or `rounded`: how values were computed.
    pub(crate) arithmetic: &'static str,
    /// Whether it is this node: all that it reads agrees. Else it is one of `suspects`.
    pub(crate) certain: bool,
    /// The file that has the node.
    pub(crate) file: String,
    pub(crate) node: String,
    pub(crate) operator: String,
    pub(crate) tensor: String,
    pub(crate) case: String,
    /// The step, where a step file is run.
    pub(crate) step: Option<usize>,
    pub(crate) index: Vec<usize>,
    /// The value in the first file (kind `rounding`: in float64), and in the second (rounded at each operation).
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
    /// Whether the node has bodies (Scan, Loop, If): the search ends at it.
    #[serde(skip)]
    pub(crate) bodied: bool,
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
            ["in float64", "rounded at each operation"]
        } else {
            ["in the first file", "in the second"]
        };
        let first = match self.certain {
            true => format!(
                "first to differ: node `{}` ({}) of {}\n  it makes `{}`; {}",
                self.node,
                self.operator,
                self.file,
                self.tensor,
                self.why()
            ),
            false => format!(
                "`{}` of {} differs; which node it comes from cannot be said: between it and what agrees, values have no \
                 counterpart in the other file\n  it is one of {}; {}",
                self.tensor,
                self.file,
                self.listed(),
                self.why()
            ),
        };
        let mut text = format!(
            "{first} ({}{step})\n  at {:?}: {} {}, {} {}; largest difference {}, largest value {}\n",
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
        if self.bodied {
            text.push_str("  it has a body, which is not looked into: what a round of it makes is no tensor of the graph\n");
        }
        text + &format!("  {} tensors before it agree\n", self.agreeing)
    }

    /// Those that it may be.
    fn listed(&self) -> String {
        const SHOWN: usize = 12;
        let all = &self.suspects;
        let shown: Vec<String> = all.iter().take(SHOWN).map(|n| format!("`{n}`")).collect();
        match all.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
            _ => shown.join(", "),
        }
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

/// What a search found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) culprit: Option<Culprit>,
    /// Why there is none.
    pub(crate) why: Option<String>,
}

/// Searches two files. `worst`: batch, length and other lengths of a case in which they were found to differ, and how its inputs are
/// drawn.
pub(crate) fn pair(
    two: &Two,
    request: &Request,
    worst: Option<(usize, usize, Vec<usize>, Draw)>,
) -> Result<Found> {
    let draw = worst.as_ref().map_or(Draw::Usual, |(.., draw)| *draw);
    let worst = worst.map(|(batch, time, others, _)| (batch, time, others));
    let mut rng = Rng::named(request.seed, "bisect");
    let batch = two.face.batch.unwrap_or(3);
    let steps = two.face.steps(STEPS.min(two.most));
    let steps = two.face.length.unwrap_or(steps);
    let sizes = [Some((batch, steps, two.face.usual(steps))), worst.clone()];
    let found = |culprit| Found {
        culprit: Some(culprit),
        why: None,
    };
    for (i, size) in sizes.into_iter().flatten().enumerate() {
        let (batch, others) = (size.0, size.2.clone());
        let mut case = whole(two, size, &mut rng)?;
        let draw = match draw {
            Draw::Usual => Draw::Marked,
            other => other,
        };
        if i > 0
            && let Some(redrawn) = case.redrawn(two, draw, &mut rng)?
        {
            case = redrawn;
        }
        if two.takes_states() {
            let before = two.before(case.time, two.most);
            let states = two.random_states((batch, before), &others, &mut rng)?;
            if two.face.grows() {
                let others = two.face.others_of(case.time, &others, &states);
                case = Case::sized(two, (batch, case.time), others, &mut rng)?;
                case.lengths = None;
            }
            case.states = Some(states);
        }
        if let Some(culprit) = search::search(two, &case)? {
            return Ok(found(culprit));
        }
    }
    if let Some(size) = worst.clone()
        && let Some(culprit) = rounding::search(two, &whole(two, size, &mut rng)?)?
    {
        return Ok(found(culprit));
    }
    let shared = shared::shared(two).len();
    let why = match worst {
        None => "bisect: no operation was found to differ".to_owned(),
        Some(_) => format!(
            "bisect: no operation was found to differ by half of its digits, of {shared} tensors that have a counterpart; what \
             the rows show is smaller than that, or comes with states or lengths that the search does not try"
        ),
    };
    Ok(Found {
        culprit: None,
        why: Some(why),
    })
}

/// A case of rows of one length: inner values are not cut where a row ends.
fn whole(
    two: &Two,
    (batch, time, others): (usize, usize, Vec<usize>),
    rng: &mut Rng,
) -> Result<Case> {
    let others = two.face.begun(time, others);
    Ok(Case {
        lengths: None,
        ..Case::sized(two, (batch, time), others, rng)?
    })
}

/// What a node is called: by its name, else by what it makes.
pub(crate) fn label(node: &minrnn_onnx::ir::Node) -> String {
    match node.name.is_empty() {
        true => node.outputs.first().cloned().unwrap_or_default(),
        false => node.name.clone(),
    }
}
