//! Damage inside well-formed files: names, operators, attributes, shapes and constants exchanged. Bytes rarely get
//! this deep, and here is where an engine panics.

use minrnn_runtime::Model;

use crate::support::build::{Form, Spec};
use crate::support::features;
use crate::support::proto::{Attr, Dim, File, Tensor};
use crate::support::random::Random;

const NUMBERS: [i64; 12] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    7,
    -7,
    1 << 20,
    1 << 40,
    i64::MAX,
    i64::MIN,
];

const OPERATORS: [&str; 16] = [
    "Add",
    "MatMul",
    "Concat",
    "Slice",
    "Reshape",
    "Expand",
    "Gather",
    "Squeeze",
    "Unsqueeze",
    "ReduceSum",
    "ConstantOfShape",
    "Transpose",
    "Split",
    "Softmax",
    "Gemm",
    "Conv",
];

fn pick<T: Clone>(random: &mut Random, all: &[T]) -> T {
    all[random.below(all.len())].clone()
}

fn tensors(file: &File) -> Vec<String> {
    let inputs = file.graph.inputs.iter().map(|p| p.name.clone());
    let weights = file.graph.weights.iter().map(|w| w.name.clone());
    let outputs = file.graph.nodes.iter().flat_map(|n| n.outputs.clone());
    inputs.chain(weights).chain(outputs).collect()
}

fn mutate(file: &mut File, random: &mut Random) {
    let names = tensors(file);
    let node = random.below(file.graph.nodes.len());
    match random.below(9) {
        0 => file.graph.nodes[node].op = pick(random, &OPERATORS).into(),
        1 => {
            let at = random.below(file.graph.nodes[node].inputs.len());
            file.graph.nodes[node].inputs[at] = pick(random, &names);
        }
        2 => drop(file.graph.nodes[node].inputs.pop()),
        3 => file.graph.nodes[node].inputs.push(pick(random, &names)),
        4 => {
            let name = pick(
                random,
                &[
                    "axis",
                    "axes",
                    "perm",
                    "keepdims",
                    "num_outputs",
                    "group",
                    "transA",
                ],
            );
            let value = pick(random, &NUMBERS);
            let value = if random.below(2) == 0 {
                Attr::Int(value)
            } else {
                Attr::Ints(vec![value, 1])
            };
            file.graph.nodes[node].attrs.retain(|(k, _)| k != name);
            file.graph.nodes[node].attrs.push((name.into(), value));
        }
        5 => {
            let ints: Vec<usize> = (0..file.graph.weights.len())
                .filter(|i| file.graph.weights[*i].elem == 7)
                .collect();
            if !ints.is_empty() {
                let at = pick(random, &ints);
                let values: Vec<i64> = (0..random.below(4))
                    .map(|_| pick(random, &NUMBERS))
                    .collect();
                let name = file.graph.weights[at].name.clone();
                file.graph.weights[at] = Tensor::i64(&name, &values);
            }
        }
        6 => {
            let at = random.below(file.graph.weights.len());
            file.graph.weights[at].dims.reverse();
        }
        7 => {
            let scan = file.graph.nodes.iter_mut().find(|n| n.op == "Scan");
            if let Some((_, Attr::Graph(body))) = scan.and_then(|s| s.attrs.first_mut()) {
                body.inputs.rotate_left(1);
                let at = random.below(body.nodes.len());
                body.nodes[at].op = pick(random, &OPERATORS).into();
                body.inputs[0].dims = vec![Dim::None; random.below(5)];
            }
        }
        _ => {
            let attrs = &mut file.graph.nodes[node].attrs;
            for (_, attr) in attrs {
                match attr {
                    Attr::Int(i) => *i = pick(random, &NUMBERS),
                    Attr::Ints(all) => all.push(pick(random, &NUMBERS)),
                    Attr::Graph(_) | Attr::Tensor(_) | Attr::Raw(_) => {}
                }
            }
        }
    }
}

#[test]
fn exchanged_parts() {
    let mut random = Random::new(53);
    let base = Spec {
        width: 3,
        d: 2,
        c: 2,
        conv: true,
        ..Spec::gated(Form::Scan)
    };
    let mut ends = [0; 3];
    for form in [Form::Scan, Form::Step, Form::KoggeStone(4)] {
        let good = base.with(form).file();
        let time = if form == Form::Step { 1 } else { 3 };
        for _ in 0..700 {
            let mut bad = good.clone();
            (0..1 + random.below(2)).for_each(|_| mutate(&mut bad, &mut random));
            let Ok(model) = Model::from_bytes(&bad.to_bytes()) else {
                ends[0] += 1;
                continue;
            };
            let state = model.initial_state(2).expect("the ports are whole");
            let values = vec![0.5; 2 * time * 3];
            ends[1 + usize::from(model.run(features(&values, 2, time, 3), &state).is_ok())] += 1;
        }
    }
    assert!(
        ends[0] > 10 && ends[2] > 10,
        "some are refused, some run: {ends:?}"
    );
}
