//! The same graph with other names in another order, and graphs at random: for tests.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::ir::{Attr, DType, Dim, Graph, Model, Node, Tensor, ValueInfo};

/// Numbers that look random, from a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `n`, by Steele, Lea and Flood's SplitMix64.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn mix<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

/// New names for all but the interface; nodes, constants, notes and attributes in another order that is allowed.
pub(crate) fn shuffled(model: &Model, seed: u64) -> Model {
    let mut dice = Dice(seed);
    let mut m = model.clone();
    let mut names = HashMap::new();
    for v in m.graph.inputs.iter().chain(&m.graph.outputs) {
        names.insert(v.name.clone(), v.name.clone());
    }
    m.graph = graph(&m.graph, &mut names, &mut dice, true);
    dice.mix(&mut m.metadata);
    dice.mix(&mut m.opsets);
    for (_, value) in m
        .metadata
        .iter_mut()
        .filter(|(k, _)| k == "minrnn.recurrences")
    {
        let mut json: serde_json::Value = serde_json::from_str(value).unwrap();
        rename(&mut json, &names);
        *value = json.to_string();
    }
    m.doc = format!("doc {}", dice.below(99));
    m
}

fn rename(json: &mut serde_json::Value, names: &HashMap<String, String>) {
    match json {
        serde_json::Value::String(s) => *s = names.get(s).unwrap_or(s).clone(),
        serde_json::Value::Array(all) => all.iter_mut().for_each(|v| rename(v, names)),
        serde_json::Value::Object(all) => all.values_mut().for_each(|v| rename(v, names)),
        _ => {}
    }
}

fn fresh(name: &str, names: &mut HashMap<String, String>, dice: &mut Dice) -> String {
    if name.is_empty() {
        return String::new();
    }
    let next = format!("n{}_{}", dice.below(1 << 30), names.len());
    names.entry(name.to_owned()).or_insert(next).clone()
}

fn graph(g: &Graph, names: &mut HashMap<String, String>, dice: &mut Dice, root: bool) -> Graph {
    let mut g = g.clone();
    g.name = format!("graph {}", dice.below(99));
    let outer = names.clone();
    if !root {
        for v in &g.inputs {
            names.remove(&v.name);
        }
    }
    let defined: Vec<String> = g.inputs.iter().map(|v| v.name.clone()).collect();
    let written = g.nodes.iter().flat_map(|n| n.outputs.clone());
    let constants = g.initializers.iter().map(|t| t.name.clone());
    for name in defined.into_iter().chain(constants).chain(written) {
        fresh(&name, names, dice);
    }
    let order = order(&g, dice);
    let old = std::mem::take(&mut g.nodes);
    g.nodes = order
        .into_iter()
        .map(|i| node(&old[i], names, dice))
        .collect();
    let values = [&mut g.inputs, &mut g.outputs, &mut g.value_info];
    for v in values.into_iter().flatten() {
        v.name = fresh(&v.name, names, dice);
    }
    for t in &mut g.initializers {
        t.name = fresh(&t.name, names, dice);
    }
    dice.mix(&mut g.initializers);
    dice.mix(&mut g.value_info);
    if !root {
        *names = outer;
    }
    g
}

fn node(n: &Node, names: &mut HashMap<String, String>, dice: &mut Dice) -> Node {
    let mut n = n.clone();
    n.name = format!("node {}", dice.below(1 << 30));
    for name in n.inputs.iter_mut().chain(&mut n.outputs) {
        *name = fresh(name, names, dice);
    }
    for (_, attr) in &mut n.attributes {
        match attr {
            Attr::Graph(g) => **g = graph(g, names, dice, false),
            Attr::Graphs(all) => all
                .iter_mut()
                .for_each(|g| *g = graph(g, names, dice, false)),
            _ => {}
        }
    }
    dice.mix(&mut n.attributes);
    n
}

/// Everything a node reads, sub-graphs included, by name.
fn reads(n: &Node) -> Vec<&str> {
    let mut all: Vec<&str> = n.inputs.iter().map(String::as_str).collect();
    for (_, g) in n.subgraphs() {
        all.extend(g.nodes.iter().flat_map(reads));
        all.extend(g.outputs.iter().map(|v| v.name.as_str()));
    }
    all
}

/// An order at random in which producers come first.
fn order(g: &Graph, dice: &mut Dice) -> Vec<usize> {
    let mut producer = HashMap::new();
    for (i, n) in g.nodes.iter().enumerate() {
        producer.extend(n.outputs.iter().map(|o| (o.as_str(), i)));
    }
    let mut waits = vec![0usize; g.nodes.len()];
    let mut users = vec![vec![]; g.nodes.len()];
    for (i, n) in g.nodes.iter().enumerate() {
        for p in reads(n)
            .into_iter()
            .filter_map(|r| producer.get(r))
            .filter(|p| **p != i)
        {
            waits[i] += 1;
            users[*p].push(i);
        }
    }
    let mut ready: Vec<usize> = (0..waits.len()).filter(|i| waits[*i] == 0).collect();
    let mut order = vec![];
    while !ready.is_empty() {
        let next = ready.swap_remove(dice.below(ready.len()));
        order.push(next);
        for user in &users[next] {
            waits[*user] -= 1;
            if waits[*user] == 0 {
                ready.push(*user);
            }
        }
    }
    assert_eq!(order.len(), g.nodes.len(), "the graph has a cycle");
    order
}

/// A node of a random graph: operator, attribute, what it reads (counted back from the newest value), sub-graph.
#[derive(Debug, Clone)]
struct Recipe {
    op: usize,
    axis: i64,
    reads: Vec<usize>,
    results: usize,
    body: Option<(Vec<Recipe>, Vec<usize>)>,
}

fn recipe() -> BoxedStrategy<Recipe> {
    let leaf = (0..4usize, 0..2i64, vec(0..12usize, 0..3), 1..3usize);
    let leaf = leaf.prop_map(|(op, axis, reads, results)| Recipe {
        op,
        axis,
        reads,
        results,
        body: None,
    });
    leaf.prop_recursive(2, 12, 4, |inner| {
        let body = (vec(inner.clone(), 0..5), vec(0..12usize, 1..3));
        (inner, proptest::option::weighted(0.3, body)).prop_map(|(r, body)| Recipe { body, ..r })
    })
    .boxed()
}

fn build(recipes: &[Recipe], visible: &[String], path: &str) -> (Vec<Node>, Vec<String>) {
    let mut visible = visible.to_vec();
    let (mut nodes, mut mine) = (vec![], vec![]);
    for (i, r) in recipes.iter().enumerate() {
        let pick = |back: &usize| visible[visible.len() - 1 - back % visible.len()].clone();
        let name = format!("{path}/{i}");
        let mut attributes = vec![("axis".to_owned(), Attr::Int(r.axis))];
        if let Some((inner, outputs)) = &r.body {
            let formal = format!("{name}/in");
            let seen: Vec<String> = visible.iter().cloned().chain([formal.clone()]).collect();
            let (inside, results) = build(inner, &seen, &name);
            let results = if results.is_empty() {
                vec![formal.clone()]
            } else {
                results
            };
            let out = |o: &usize| ValueInfo::new(&results[o % results.len()], DType::F32, vec![]);
            let body = Graph {
                name: name.clone(),
                inputs: vec![ValueInfo::new(formal, DType::F32, vec![Dim::Unknown])],
                outputs: outputs.iter().map(out).collect(),
                nodes: inside,
                ..Graph::default()
            };
            attributes.push(("body".to_owned(), Attr::Graph(Box::new(body))));
        }
        let outputs: Vec<String> = (0..r.results).map(|k| format!("{name}.{k}")).collect();
        nodes.push(Node {
            op_type: ["Relu", "Add", "Concat", "Scan"][r.op].into(),
            name,
            inputs: r.reads.iter().map(pick).collect(),
            outputs: outputs.clone(),
            attributes,
            ..Node::default()
        });
        mine.extend(outputs.iter().cloned());
        visible.extend(outputs);
    }
    (nodes, mine)
}

/// Graphs at random: equal nodes, nodes of no use, shared and equal constants, sub-graphs that read from outside.
pub(crate) fn random() -> BoxedStrategy<Model> {
    let constants = vec(0..3i64, 0..4);
    (vec(recipe(), 1..14), constants, vec(0..30usize, 1..3))
        .prop_map(|(recipes, constants, outputs)| {
            let inputs = ["x", "y"].map(|n| ValueInfo::new(n, DType::F32, vec![Dim::Fixed(2)]));
            let constant = |(i, v): (usize, &i64)| Tensor::i64(format!("c{i}"), vec![1], &[*v]);
            let initializers: Vec<Tensor> = constants.iter().enumerate().map(constant).collect();
            let mut visible: Vec<String> = initializers.iter().map(|t| t.name.clone()).collect();
            visible.extend(["x".to_owned(), "y".to_owned()]);
            let (nodes, mine) = build(&recipes, &visible, "n");
            let mut names: Vec<&String> = outputs.iter().map(|o| &mine[o % mine.len()]).collect();
            names.sort();
            names.dedup();
            let out = |n: &&String| ValueInfo::new(n.as_str(), DType::F32, vec![Dim::Fixed(2)]);
            Model {
                ir_version: 8,
                opsets: vec![(String::new(), 17), ("org.example".into(), 1)],
                graph: Graph {
                    name: "g".into(),
                    outputs: names.iter().map(out).collect(),
                    inputs: inputs.to_vec(),
                    initializers,
                    nodes,
                    ..Graph::default()
                },
                ..Model::default()
            }
        })
        .boxed()
}
