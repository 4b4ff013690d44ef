//! A small evaluator of the graphs that this crate writes, for tests: every operator straight from its definition in the
//! ONNX standard, in f32, f16 (each result rounded), i64, i32, i8, u8 and bool, with an error where the standard has no
//! words for what a graph asks.

mod array;
mod ops;
mod tests;

use std::collections::BTreeMap;

use crate::ir::{Attr, Graph, Model, Node};

pub(crate) use array::Array;

/// Values by name.
pub(crate) type Env = BTreeMap<String, Array>;

/// Runs a model and gives every value of its main graph; declared inputs and outputs are held against what is there.
pub(crate) fn run(model: &Model, inputs: &Env) -> Result<Env, String> {
    for input in &model.graph.inputs {
        assert!(
            inputs.contains_key(&input.name),
            "input {} is missing",
            input.name
        );
    }
    let opset = model.opset().unwrap();
    let env = graph(&model.graph, inputs.clone(), opset)?;
    for output in &model.graph.outputs {
        let (got, want) = (&env[&output.name].dims, output.dims.as_ref().unwrap());
        let fits = |(g, w): (&usize, &crate::ir::Dim)| !matches!(w, crate::ir::Dim::Fixed(n) if *n as usize != *g);
        assert!(
            got.len() == want.len() && got.iter().zip(want).all(fits),
            "{}: {got:?} for {want:?}",
            output.name
        );
    }
    Ok(env)
}

fn graph(g: &Graph, mut env: Env, opset: i64) -> Result<Env, String> {
    env.extend(
        g.initializers
            .iter()
            .map(|t| (t.name.clone(), Array::constant(t))),
    );
    for node in &g.nodes {
        let inputs: Vec<Option<&Array>> = node
            .inputs
            .iter()
            .map(|i| (!i.is_empty()).then(|| &env[i]))
            .collect();
        let outputs = if node.op_type == "Scan" {
            let all: Vec<&Array> = inputs.iter().map(|i| i.unwrap()).collect();
            scan(node, &all, &env, opset)
        } else {
            ops::apply(&ops::Call {
                node,
                opset,
                inputs,
            })
        };
        let outputs = outputs.map_err(|e| format!("{}: {e}", node.name))?;
        assert!(outputs.len() >= node.outputs.len());
        env.extend(node.outputs.iter().cloned().zip(outputs));
    }
    Ok(env)
}

/// Scan over axis 1 of all inputs, as this crate writes it.
fn scan(node: &Node, inputs: &[&Array], outer: &Env, opset: i64) -> Result<Vec<Array>, String> {
    let Some(Attr::Graph(body)) = node.attr("body") else {
        panic!("no body")
    };
    assert!(
        node.ints("scan_input_axes")
            .unwrap()
            .iter()
            .all(|a| *a == 1)
    );
    assert!(
        node.ints("scan_output_axes")
            .unwrap()
            .iter()
            .all(|a| *a == 1)
    );
    let scanned = node.int("num_scan_inputs").unwrap() as usize;
    let (states, inputs) = inputs.split_at(inputs.len() - scanned);
    let mut states: Vec<Array> = states.iter().map(|s| (*s).clone()).collect();
    let time = inputs[0].dims[1];
    let mut gathered: Vec<Vec<Array>> = vec![vec![]; body.outputs.len() - states.len()];
    for t in 0..time {
        let mut env = outer.clone();
        let step = inputs.iter().map(|x| ops::take(x, 1, t));
        let given = states.iter().cloned().chain(step);
        env.extend(body.inputs.iter().map(|i| i.name.clone()).zip(given));
        let env = graph(body, env, opset)?;
        let mut results = body.outputs.iter().map(|o| env[&o.name].clone());
        states = results.by_ref().take(states.len()).collect();
        gathered
            .iter_mut()
            .zip(results)
            .for_each(|(all, one)| all.push(one));
    }
    let join = |all: Vec<Array>| {
        let rows: Vec<Array> = all.iter().map(|a| ops::insert_axis(a, 1)).collect();
        ops::concat(&rows.iter().collect::<Vec<_>>(), 1)
    };
    Ok(states
        .into_iter()
        .chain(gathered.into_iter().map(join))
        .collect())
}
