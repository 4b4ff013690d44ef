//! The first place, from the inputs on, that one graph has and the other has not.

use std::collections::HashMap;

use super::{Place, Side};
use crate::ir::Node;
use crate::text::colour::{Colour, Content, Outer, by_content, graph_colour, read, signature};
use crate::text::operator;
use crate::text::scope::{Ref, Scope};
use crate::text::value::{name, one_line};

const CONTENT: Content = Content::NoWeights;
/// Lines of context before the node, and after it.
const BEFORE: usize = 3;
const AFTER: usize = 2;

/// A graph with colours by what computes each value.
struct View<'v, 'a> {
    scope: &'v Scope<'a>,
    around: Option<&'v Outer<'v>>,
    values: Vec<Colour>,
    nodes: Vec<Colour>,
    /// Of each node: nodes on the longest path before it.
    depths: Vec<usize>,
    title: String,
}

impl<'v, 'a> View<'v, 'a> {
    fn new(scope: &'v Scope<'a>, around: Option<&'v Outer<'v>>, title: String) -> Self {
        let (values, nodes) = by_content(scope, around, CONTENT);
        let mut depths = vec![0; nodes.len()];
        for node in scope.order.iter().chain(&scope.unused) {
            let below = scope.reads_all(*node).filter_map(|r| scope.producer(r));
            depths[*node] = below.map(|p| depths[p] + 1).max().unwrap_or(0);
        }
        Self {
            scope,
            around,
            values,
            nodes,
            depths,
            title,
        }
    }

    fn outer(&self) -> Outer<'_> {
        Outer {
            colours: &self.values,
            around: self.around,
        }
    }

    /// The first node, by depth and then in canonical order, that the other graph has not as often.
    fn missing_in(&self, other: &View<'_, '_>) -> Option<usize> {
        let mut there: HashMap<Colour, usize> = HashMap::new();
        for colour in &other.nodes {
            *there.entry(*colour).or_default() += 1;
        }
        let all = self.scope.order.iter().chain(&self.scope.unused);
        let mut all: Vec<usize> = all.copied().collect();
        all.sort_by_key(|n| self.depths[*n]);
        all.into_iter()
            .find(|n| match there.get_mut(&self.nodes[*n]) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    false
                }
                _ => true,
            })
    }

    fn side(&self, node: usize) -> Side {
        let scope = self.scope;
        let line = |n: usize| line(scope.node(n));
        let mut before: Vec<usize> = vec![];
        for producer in scope.reads_all(node).filter_map(|r| scope.producer(r)) {
            if producer != node && !before.contains(&producer) && before.len() < BEFORE {
                before.push(producer);
            }
        }
        let user =
            |n: &usize| *n != node && scope.reads(*n).any(|r| scope.producer(r) == Some(node));
        let all = scope.order.iter().chain(&scope.unused);
        let after = all.copied().filter(user).take(AFTER);
        let lines = before.iter().copied().chain([node]).chain(after);
        Side {
            scope: self.title.clone(),
            node: scope.node(node).name.clone(),
            depth: self.depths[node],
            lines: lines.map(line).collect(),
            at: before.len(),
        }
    }

    /// What a node reads, by colour.
    fn inputs(&self, node: usize) -> Vec<Colour> {
        let all = self.scope.inputs[node].iter();
        all.map(|r| read(*r, &self.values, self.around)).collect()
    }
}

/// A node in the names of its file.
fn line(n: &Node) -> String {
    let names = |all: &[String]| all.iter().map(|v| name(v)).collect::<Vec<_>>().join(", ");
    let text = operator(n, &names(&n.inputs), true);
    let comment = if n.name.is_empty() {
        String::new()
    } else {
        format!("  # {}", one_line(&n.name))
    };
    format!("{} = {text}{comment}", names(&n.outputs))
}

pub(super) fn first(left: &Scope<'_>, right: &Scope<'_>) -> Option<Place> {
    let view = |scope| View::new(scope, None, "graph".to_owned());
    between(&view(left), &view(right))
}

fn between(left: &View<'_, '_>, right: &View<'_, '_>) -> Option<Place> {
    let (l, r) = match (left.missing_in(right), right.missing_in(left)) {
        (None, None) => outputs(left, right)?,
        (Some(l), Some(r)) => match inside(left, l, right, r) {
            Some(place) => return Some(place),
            None => (Some(l), Some(r)),
        },
        found => found,
    };
    Some(Place {
        left: l.map(|n| left.side(n)),
        right: r.map(|n| right.side(n)),
    })
}

/// If two nodes differ in their sub-graphs only: the place in there.
fn inside(left: &View<'_, '_>, l: usize, right: &View<'_, '_>, r: usize) -> Option<Place> {
    let same_node =
        signature(left.scope.node(l), CONTENT) == signature(right.scope.node(r), CONTENT);
    if !same_node || left.inputs(l) != right.inputs(r) {
        return None;
    }
    let envs = (left.outer(), right.outer());
    let bodies = left.scope.bodies[l].iter().zip(&right.scope.bodies[r]);
    for (a, b) in bodies.filter(|(a, b)| a.label == b.label) {
        let colour = |scope, outer| graph_colour(scope, Some(outer), CONTENT);
        if colour(&a.scope, &envs.0) == colour(&b.scope, &envs.1) {
            continue;
        }
        let title = |label: &str, n: &Node| format!("{label} of {}", one_line(&n.name));
        let a = View::new(&a.scope, Some(&envs.0), title(a.label, left.scope.node(l)));
        let b = View::new(&b.scope, Some(&envs.1), title(b.label, right.scope.node(r)));
        if let Some(place) = between(&a, &b) {
            return Some(place);
        }
    }
    None
}

/// Both have the same nodes: the producers of an output that is not the same value.
fn outputs(left: &View<'_, '_>, right: &View<'_, '_>) -> Option<(Option<usize>, Option<usize>)> {
    let named = |view: &View<'_, '_>, i: usize, r: Ref<'_>| {
        // Outputs of the outermost graph go by name, of others by place.
        let key = if view.scope.depth == 0 {
            view.scope.source.outputs[i].to_owned()
        } else {
            i.to_string()
        };
        (
            key,
            (read(r, &view.values, view.around), view.scope.producer(r)),
        )
    };
    let theirs: HashMap<_, _> = right
        .scope
        .outputs
        .iter()
        .enumerate()
        .map(|(i, r)| named(right, i, *r))
        .collect();
    let mut mine = left
        .scope
        .outputs
        .iter()
        .enumerate()
        .map(|(i, r)| named(left, i, *r));
    mine.find_map(|(key, (colour, l))| {
        let (other, r) = theirs.get(&key)?;
        (*other != colour && (l.is_some() || r.is_some())).then_some((l, *r))
    })
}
