//! Parameters by layer.

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;
use minrnn_model::params::{ParamSpec, Role};

use super::html::{self, Cell, number, text};
use super::numbers::short;
use crate::table::grouped;

/// The layer of a parameter: `layers.0` of `layers.0.rnn.in.weight`, else what stands before the first dot.
fn layer(name: &str) -> &str {
    let mut dots = name.match_indices('.').map(|(at, _)| at);
    let Some(first) = dots.next() else {
        return name;
    };
    let second = dots.next().unwrap_or(name.len());
    let numbered = name[first + 1..second].chars().all(|c| c.is_ascii_digit());
    &name[..if numbered { second } else { first }]
}

/// Layers in the order of the graph, each with the indices of its parameters.
fn layers(params: &[ParamSpec]) -> Vec<(&str, Vec<usize>)> {
    let mut all: Vec<(&str, Vec<usize>)> = vec![];
    for (i, spec) in params.iter().enumerate() {
        let name = layer(&spec.name);
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, list)) => list.push(i),
            None => all.push((name, vec![i])),
        }
    }
    all
}

fn shape(spec: &ParamSpec) -> String {
    let sizes: Vec<String> = spec.shape.iter().map(usize::to_string).collect();
    sizes.join(" × ")
}

/// Root of the mean square.
fn rms(values: &[f32]) -> f64 {
    let square = |v: &f32| f64::from(*v) * f64::from(*v);
    (values.iter().map(square).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

pub(super) fn section(graph: &Graph, params: &Params) -> String {
    let specs = graph.params();
    let all = params.count().max(1) as f64;
    let row = |(name, list): &(&str, Vec<usize>)| {
        let count: usize = list.iter().map(|i| specs[*i].len()).sum();
        let largest = list.iter().max_by_key(|i| specs[**i].len());
        let largest = largest.map_or(String::new(), |i| shape(&specs[*i]));
        let share = 100.0 * count as f64 / all;
        vec![
            text(*name),
            number(grouped(count)),
            number(format!("{share:.1} %")),
            number(list.len().to_string()),
            number(largest),
        ]
    };
    let layers = layers(specs);
    let rows: Vec<Vec<Cell>> = layers.iter().map(row).collect();
    let header = ["layer", "parameters", "share", "tensors", "largest"];
    let mut out = html::table(&header, &rows);
    let each = |(i, spec): (usize, &ParamSpec)| {
        let role = match spec.role {
            Role::Weight { decay: true, .. } => "trained, decays",
            Role::Weight { decay: false, .. } => "trained",
            Role::Buffer { .. } => "statistics of the data",
        };
        vec![
            text(&spec.name),
            number(shape(spec)),
            number(grouped(spec.len())),
            text(role),
            number(short(rms(params.get(i)))),
        ]
    };
    let rows: Vec<Vec<Cell>> = specs.iter().enumerate().map(each).collect();
    let header = [
        "parameter",
        "shape",
        "values",
        "what it is",
        "root mean square",
    ];
    let title = format!("All {} tensors", specs.len());
    out.push_str(&html::details(&title, &html::table(&header, &rows)));
    let states: usize = graph.states().iter().map(|s| s.len()).sum();
    let state = |s: &minrnn_model::graph::StateSpec| {
        let sizes: Vec<String> = s.shape().iter().map(usize::to_string).collect();
        vec![
            text(&s.name),
            number(sizes.join(" × ")),
            number(grouped(s.len())),
        ]
    };
    let rows: Vec<Vec<Cell>> = graph.states().iter().map(state).collect();
    let title = format!(
        "{} values are kept from one step to the next, in {} states",
        grouped(states),
        rows.len()
    );
    out.push_str(&html::details(
        &title,
        &html::table(&["state", "shape", "values"], &rows),
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_numbered_or_named() {
        let all = [
            "layers.12.rnn.in.weight",
            "embed.weight",
            "head.weight",
            "scale",
            "a.0",
        ];
        assert_eq!(
            all.map(layer),
            ["layers.12", "embed", "head", "scale", "a.0"]
        );
    }
}
