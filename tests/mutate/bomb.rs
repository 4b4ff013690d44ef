//! Files of about one MB that are made to cost much more than that: the worst that the format allows, kind by kind.

use super::seed::Seed;
use super::wire::{self, Field, Kind, Value};

/// Bytes of such a file.
const SIZE: usize = 1 << 20;

/// Name and bytes.
pub(crate) fn all(seeds: &[Seed]) -> Vec<(String, Vec<u8>)> {
    let mut bombs = vec![];
    for seed in seeds.iter().filter(|s| ["step", "scan"].contains(&s.name)) {
        let mut add = |name: &str, change: &dyn Fn(&mut Vec<Field>)| {
            let mut tree = seed.tree.clone();
            change(&mut tree);
            bombs.push((format!("{}: {name}", seed.name), wire::write(&tree)));
        };
        for (number, what) in [
            (1, "nodes"),
            (5, "tensors"),
            (11, "inputs"),
            (13, "types"),
            (15, "sparse"),
        ] {
            add(&format!("empty {what}"), &|t| empty(t, number));
        }
        add("nodes that nothing reads", &|t| nodes(t, "Tanh", SIZE / 32));
        add("a chain of nodes", &|t| chain(t, SIZE / 32));
        add("a chain of half a thousand", &|t| chain(t, 500));
        add("a chain as long as may be", &|t| {
            chain(t, 5900);
            let rest = SIZE - wire::write(t).len();
            graph(t).push(Field::text(10, &"x".repeat(rest)));
        });
        add("doubling", &|t| doubling(t, 20_000));
        add("products of large constants", &|t| products(t));
        add("names of nothing", &|t| names(t));
        add("a list of numbers", &|t| numbers(t));
        add("one long name", &|t| {
            graph(t).push(Field::text(2, &"x".repeat(SIZE)))
        });
        for key in [
            "minrnn.config",
            "minrnn.states",
            "minrnn.recurrences",
            "minrnn.weights",
        ] {
            for (open, piece) in [
                ("[", "0,"),
                ("[", "[],"),
                ("{", "\"\":0,"),
                ("", "["),
                ("\"", "x"),
            ] {
                let value = open.to_owned() + &piece.repeat(SIZE / piece.len());
                add(&format!("{key} of {open}{piece}"), &|t| {
                    metadata(t, key, &value)
                });
            }
        }
        add("an initial state of ones", &|t| {
            let init = "1,".repeat(SIZE / 2 - 1) + "1";
            let n = SIZE / 2;
            let states = format!(
                r#"[{{"input":"state.0.h","output":"next_state.0.h","shape":[{n}],"init":[{init}]}}]"#
            );
            metadata(t, "minrnn.states", &states);
        });
        add("a thousand recurrences", &|t| {
            let one = r#"{"a":"x","b":"x","h0":"x","h":"x","h_last":"x"}"#;
            metadata(
                t,
                "minrnn.recurrences",
                &format!("[{}]", vec![one; SIZE / one.len()].join(",")),
            );
        });
    }
    bombs
}

fn graph(tree: &mut [Field]) -> &mut Vec<Field> {
    wire::nth(tree, Kind::Graph, &mut 0).expect("a graph")
}

fn empty(tree: &mut [Field], number: u64) {
    let one = Field::new(number, Value::Bytes(vec![]));
    graph(tree).extend(std::iter::repeat_n(one, SIZE / 2));
}

fn node(op: &str, inputs: &[&str], output: &str) -> Field {
    let mut fields: Vec<Field> = inputs.iter().map(|i| Field::text(1, i)).collect();
    fields.extend([Field::text(2, output), Field::text(4, op)]);
    Field::new(1, Value::Message(Kind::Node, fields))
}

fn nodes(tree: &mut [Field], op: &str, count: usize) {
    let all = (0..count).map(|i| node(op, &["state.0.h"], &format!("n{i}")));
    graph(tree).extend(all);
}

/// Between the state and what reads it.
fn chain(tree: &mut [Field], count: usize) {
    let graph = graph(tree);
    for field in graph.iter_mut() {
        if let Value::Message(Kind::Node, node) = &mut field.value {
            for input in node
                .iter_mut()
                .filter(|f| *f == &Field::text(1, "state.0.h"))
            {
                input.value = Value::Bytes(format!("n{count}").into_bytes());
            }
        }
    }
    let first = node("Tanh", &["state.0.h"], "n1");
    let rest = (2..=count).map(|i| node("Tanh", &[&format!("n{}", i - 1)], &format!("n{i}")));
    graph.splice(0..0, std::iter::once(first).chain(rest));
}

/// Each sum reads the one before it twice.
fn doubling(tree: &mut [Field], count: usize) {
    let mut all = vec![node("Tanh", &["state.0.h"], "n0")];
    for i in 0..count {
        let before = format!("n{i}");
        all.push(node("Add", &[&before, &before], &format!("n{}", i + 1)));
    }
    graph(tree).extend(all);
}

/// As much work as the limits let pass, and then more.
fn products(tree: &mut [Field]) {
    let n = 256i64;
    let data = vec![
        Field::int(1, n),
        Field::int(1, n),
        Field::int(2, 1),
        Field::text(8, "p0"),
        Field::new(9, Value::Bytes(vec![0x2e; (4 * n * n) as usize])),
    ];
    graph(tree).push(Field::new(5, Value::Message(Kind::Tensor, data)));
    let product = |i: usize| node("MatMul", &[&format!("p{i}"), "p0"], &format!("p{}", i + 1));
    let mut all: Vec<Field> = (0..30).map(product).collect();
    // The model needs them all.
    all.push(node("ReduceMax", &["p30"], "n0"));
    all.push(node("Add", &["state.0.h", "n0"], "n1"));
    chain(tree, 2);
    let graph = graph(tree);
    let at = graph
        .iter()
        .position(|f| *f == node("Tanh", &["state.0.h"], "n1"));
    let at = at.expect("the first of the chain");
    graph.splice(at..=at, all);
}

fn names(tree: &mut [Field]) {
    let fields = std::iter::repeat_n(Field::text(1, ""), SIZE / 2);
    graph(tree).push(Field::new(1, Value::Message(Kind::Node, fields.collect())));
}

/// One byte each in the file, eight in memory.
fn numbers(tree: &mut [Field]) {
    let tensor = vec![
        Field::text(8, "t"),
        Field::new(1, Value::Bytes(vec![1; SIZE])),
    ];
    graph(tree).push(Field::new(5, Value::Message(Kind::Tensor, tensor)));
}

fn metadata(tree: &mut [Field], key: &str, value: &str) {
    for field in tree.iter_mut().filter(|f| f.number == 14) {
        if let Value::Message(_, entry) = &mut field.value
            && entry.contains(&Field::text(1, key))
        {
            *entry = vec![Field::text(1, key), Field::text(2, value)];
        }
    }
}
