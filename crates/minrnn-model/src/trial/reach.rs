//! States as cases begin with them.

use super::case::{Case, Draw, How};
use crate::Result;
use crate::graph::{Binary, Graph, Node, Op, Unary};
use crate::rng::Rng;
use crate::usual::Usual;

/// Most steps that are run to reach a state.
const WARM: usize = 24;

/// What cases of a model are drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The model.
    pub graph: &'a Graph,
    /// Its parameters, which states are reached with.
    pub params: &'a [Vec<f64>],
    /// What it normalises; none: nothing.
    pub usual: Option<&'a Usual>,
}

impl Source<'_> {
    /// Random inputs `(B, T)`, drawn so, and pieces. With `states` random states: any numbers where [`takes_any_state`], else states
    /// that the model comes to from its initial ones in up to 24 random steps; as many as leave it the T after them, and where none do, the
    /// initial ones.
    ///
    /// # Errors
    /// Those of the oracle.
    pub fn case(
        &self,
        size: (usize, usize),
        states: bool,
        draw: Draw,
        rng: &mut Rng,
    ) -> Result<Case> {
        let mut case = Case::random(self.graph, size, states, rng).drawn(draw, self.usual);
        if states && !takes_any_state(self.graph) {
            let room = self
                .graph
                .longest()
                .map_or(WARM, |n| n.saturating_sub(size.1));
            if room == 0 {
                case.states = None;
                return Ok(case);
            }
            let steps = 1 + rng.below(WARM.min(room));
            let before = Case::of(self.graph.input(), (size.0, steps), rng);
            let before = before.drawn(draw, self.usual);
            let trace = before.trace(self.graph, self.params, How::default())?;
            let single = |v: f64| v as f32;
            let reached = trace.states.into_iter();
            case.states = Some(
                reached
                    .map(|s| s.data.into_iter().map(single).collect())
                    .collect(),
            );
        }
        Ok(case)
    }
}

/// What is known of a value, whatever the states hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    Any,
    NotNegative,
    /// Away from 0 by what does not depend on the states.
    Positive,
}

/// Whether a model's states may hold any numbers: none divides by, or takes the root or the logarithm of, what states could bring to 0
/// or below. A sum of weights that a model divides by is such a state: it is positive wherever the model comes, and numbers at random
/// are near the pole sometimes, where no two engines agree.
pub fn takes_any_state(graph: &Graph) -> bool {
    // By node: whether states reach it, and its sign.
    let mut known: Vec<(bool, Sign)> = vec![];
    for node in graph.nodes() {
        let of = |i: usize| known[node.inputs[i].index()];
        let unsafe_at = |i: usize, least: Sign| {
            let (stateful, sign) = of(i);
            stateful && sign < least
        };
        let pole = match node.op {
            // A count is a whole number, no less than 1 and not too large a one.
            Op::Limit { .. } | Op::Attend { .. } => true,
            Op::Embed { .. } if known[node.inputs[0].index()].0 => true,
            Op::Binary(Binary::Div) => unsafe_at(1, Sign::Positive),
            Op::Unary(Unary::Log) => unsafe_at(0, Sign::Positive),
            Op::Unary(Unary::Sqrt) => unsafe_at(0, Sign::NotNegative),
            _ => false,
        };
        if pole {
            return false;
        }
        let stateful = match node.op {
            Op::Recur { .. }
            | Op::Delay { .. }
            | Op::Conv { .. }
            | Op::Attend { .. }
            | Op::Before { .. } => true,
            _ => node.inputs.iter().any(|v| known[v.index()].0),
        };
        let signs: Vec<Sign> = node.inputs.iter().map(|v| known[v.index()].1).collect();
        known.push((stateful, sign(node, &signs)));
    }
    true
}

fn sign(node: &Node, of: &[Sign]) -> Sign {
    use Sign::{Any, NotNegative, Positive};
    let least = of.iter().copied().min().unwrap_or(Any);
    match node.op {
        Op::Const { value } if value > 0.0 => Positive,
        Op::Unary(Unary::Exp | Unary::Sigmoid) => Positive,
        Op::Unary(Unary::Abs | Unary::Relu) => least.max(NotNegative),
        Op::Unary(Unary::Sqrt)
        | Op::Reduce { .. }
        | Op::Repeat { .. }
        | Op::Narrow { .. }
        | Op::Concat
        | Op::Dropout { .. }
        | Op::Last => least,
        Op::Affine { mul, add } if least > Any && mul >= 0.0 && add >= 0.0 => {
            match add > 0.0 || (least == Positive && mul > 0.0) {
                true => Positive,
                false => NotNegative,
            }
        }
        Op::Binary(Binary::Add) if least > Any => of.iter().copied().max().unwrap_or(Any),
        Op::Binary(Binary::Mul) if node.inputs[0] == node.inputs[1] => least.max(NotNegative),
        Op::Binary(Binary::Mul | Binary::Div) => least,
        _ => Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::graph::{Input, Law, OutputKind, StateInit};
    use crate::model::Model;
    use crate::params::Params;

    fn model(more: &str, cell: &str) -> Model {
        let text = format!(
            "width = 8\nlayers = 2\n{more}\n[input]\nvocab = 5\n[head]\nwidth = 3\n[cell]\n{cell}\n"
        );
        let config: ModelConfig = toml::from_str(&text).unwrap();
        Model::from_config(&config).unwrap()
    }

    /// Norms and softplus are safe wherever states lie; a division by a sum of weights is not.
    #[test]
    fn a_division_by_a_state_alone_asks_for_states_that_are_reached() {
        for cell in [
            "kind = 'min_gru'",
            "kind = 'min_lstm'",
            "kind = 'signed_min_gru'",
            "kind = 'gru'",
            "kind = 'lstm'",
            "kind = 's4d'\nstates = 4",
            "kind = 'h3'\nstates = 2\ntaps = 3",
            "kind = 'mamba'",
            "kind = 'mamba2'\nhead_channels = 4",
        ] {
            for norm in ["layer", "rms"] {
                let model = model(&format!("norm = '{norm}'"), cell);
                assert!(takes_any_state(model.graph()), "{cell}, {norm}");
            }
        }
        let aaren = model("", "kind = 'aaren'\nhead_channels = 2");
        assert!(!takes_any_state(aaren.graph()));
        let hyena = model("", "kind = 'hyena'\nlongest = 9");
        assert!(!takes_any_state(hyena.graph()), "a count is a whole number");
    }

    /// A recurrence of numbers that may have either sign, and what is made of it.
    fn own(end: impl FnOnce(&mut Graph, crate::graph::Value) -> crate::graph::Value) -> bool {
        let graph = Graph::trace(Input::Features { width: 2 }, OutputKind::Values, |g, x| {
            let h = g.block(0, |g| g.recur("h", Law::Linear, &[x, x], StateInit::Zero))?;
            Ok(end(g, h))
        });
        takes_any_state(&graph.unwrap())
    }

    #[test]
    fn signs_are_followed() {
        assert!(own(|_, h| h));
        assert!(!own(|g, h| g.div(h, h).unwrap()), "h / h");
        let square = |g: &mut Graph, h| g.mul(h, h).unwrap();
        assert!(!own(|g, h| {
            let s = square(g, h);
            g.div(h, s).unwrap()
        }));
        assert!(own(|g, h| {
            let s = square(g, h);
            let s = g.affine(s, 1.0, 1e-5).unwrap();
            let s = g.unary(Unary::Sqrt, s).unwrap();
            g.div(h, s).unwrap()
        }));
        assert!(!own(|g, h| {
            let s = g.affine(h, 1.0, 1.0).unwrap();
            g.unary(Unary::Log, s).unwrap()
        }));
    }

    /// Sums of weights are positive in every case, and other models' states are drawn as ever.
    #[test]
    fn states_are_drawn_as_reached_where_they_must() {
        let aaren = model("", "kind = 'aaren'\nhead_channels = 2");
        let params = Params::init(aaren.graph(), 1).to_f64();
        let source = Source {
            graph: aaren.graph(),
            params: &params,
            usual: None,
        };
        let mut rng = Rng::named(1, "reach");
        for time in [1, 5, 40] {
            let case = source.case((3, time), true, Draw::Usual, &mut rng).unwrap();
            let states = case.states.unwrap();
            for (spec, values) in aaren.graph().states().iter().zip(&states) {
                assert_eq!(values.len(), 3 * spec.len());
                let sums = spec.name.ends_with(".c");
                assert!(!sums || values.iter().all(|c| *c >= 0.99), "{values:?}");
            }
        }
        let plain = model("", "kind = 'min_gru'");
        let params = Params::init(plain.graph(), 1).to_f64();
        let source = Source {
            graph: plain.graph(),
            params: &params,
            usual: None,
        };
        let drawn = |i| Rng::named(i, "same");
        let case = source.case((2, 9), true, Draw::Usual, &mut drawn(3));
        let wanted = Case::random(plain.graph(), (2, 9), true, &mut drawn(3));
        assert_eq!(case.unwrap(), wanted);
    }
}
