//! The features that a model is made for: those that its own normalisation makes numbers around 0 with spread 1 of.

use crate::graph::{Binary, Graph, Input, Op};
use crate::params::Params;
use crate::spec::Role;

/// Mean and standard deviation of each feature, as a model's normalisation has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Usual {
    /// By feature.
    pub mean: Vec<f64>,
    /// By feature, positive.
    pub std: Vec<f64>,
}

/// What the first operations of the graph normalise: products and sums with buffers and constants, one after the other, of the
/// features alone. None where the graph takes tokens, or features as they are.
pub fn usual(graph: &Graph, params: &Params) -> Option<Usual> {
    let Input::Features { width } = graph.input() else {
        return None;
    };
    let (mut mul, mut add) = (vec![1.0; width], vec![0.0; width]);
    let mut at = graph.nodes().iter().position(|n| n.op == Op::Input)?;
    let mut found = false;
    while let Some(next) = only_reader(graph, at) {
        match graph.nodes()[next].op {
            Op::Binary(Binary::Add) => {
                let Some(by) = buffer(graph, params, next, width) else {
                    break;
                };
                add.iter_mut()
                    .zip(by)
                    .for_each(|(a, b)| *a += f64::from(*b));
            }
            Op::Binary(Binary::Mul) => {
                let Some(by) = buffer(graph, params, next, width) else {
                    break;
                };
                let both = mul.iter_mut().zip(&mut add).zip(by);
                both.for_each(|((m, a), b)| {
                    *m *= f64::from(*b);
                    *a *= f64::from(*b);
                });
            }
            Op::Affine { mul: m, add: a } => {
                mul.iter_mut().for_each(|v| *v *= m);
                add.iter_mut().for_each(|v| *v = *v * m + a);
            }
            _ => break,
        }
        (at, found) = (next, true);
    }
    let sound = mul.iter().all(|m| m.is_normal()) && add.iter().all(|a| a.is_finite());
    (found && sound).then(|| Usual {
        mean: add.iter().zip(&mul).map(|(a, m)| -a / m).collect(),
        std: mul.iter().map(|m| 1.0 / m.abs()).collect(),
    })
}

/// The node that reads the value of the node at `index`, if it is the only one, and reads nothing else that depends on the input.
fn only_reader(graph: &Graph, index: usize) -> Option<usize> {
    let value = graph.value_at(index);
    let mut readers =
        (0..graph.nodes().len()).filter(|i| graph.nodes()[*i].inputs.contains(&value));
    let first = readers.next().filter(|_| readers.next().is_none())?;
    let inputs = &graph.nodes()[first].inputs;
    let alone = inputs[0] == value && inputs[1..].iter().all(|v| graph.span(*v).is_model());
    alone.then_some(first)
}

/// Values of the row of a buffer that is the second argument of the node at `index`; none where it is trained, or computed.
fn buffer<'a>(graph: &Graph, params: &'a Params, index: usize, width: usize) -> Option<&'a [f32]> {
    let (param, row) = graph.as_row(graph.nodes()[index].inputs[1])?;
    let spec = graph.param_spec(param);
    let fixed = matches!(spec.role, Role::Buffer { .. }) && spec.shape.last() == Some(&width);
    params
        .get(param.index())
        .get(row * width..(row + 1) * width)
        .filter(|_| fixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::model::Model;

    fn of(input: &str) -> Option<Usual> {
        let text = format!("width = 4\nlayers = 1\n[input]\n{input}\n[head]\nwidth = 1\n");
        let config: ModelConfig = toml::from_str(&text).unwrap();
        let model = Model::from_config(&config).unwrap();
        usual(model.graph(), &Params::init(model.graph(), 0))
    }

    #[test]
    fn the_normalisation_of_a_model_is_read_from_its_graph() {
        let found = of("features = 2\nmean = [5.5e6, -1.0]\nstd = [10.0, 0.25]").unwrap();
        assert_eq!(found.mean, [5.5e6, -1.0].map(|m: f64| m));
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
        assert!(
            near(found.std[0], 10.0) && near(found.std[1], 0.25),
            "{found:?}"
        );
        let mean_only = of("features = 1\nmean = [3.0]").unwrap();
        assert_eq!((mean_only.mean, mean_only.std), (vec![3.0], vec![1.0]));
        assert_eq!(of("features = 2"), None);
        assert_eq!(of("vocab = 5"), None);
    }
}
