//! A small evaluator of the graphs that this crate writes, for tests: every operator straight from its definition in the
//! ONNX standard, in f32, with an error where the standard has none of its own words for what a graph asks.

mod ops;

use std::collections::BTreeMap;

use crate::ir::{Attr, DType, Graph, Model, Node, Tensor};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) dims: Vec<usize>,
    pub(crate) data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    F32(Vec<f32>),
    I64(Vec<i64>),
}

/// Values by name.
pub(crate) type Env = BTreeMap<String, Array>;

impl Array {
    pub(crate) fn f32(dims: &[usize], data: Vec<f32>) -> Self {
        assert_eq!(dims.iter().product::<usize>(), data.len());
        Self {
            dims: dims.to_vec(),
            data: Data::F32(data),
        }
    }

    pub(crate) fn i64(dims: &[usize], data: Vec<i64>) -> Self {
        assert_eq!(dims.iter().product::<usize>(), data.len());
        Self {
            dims: dims.to_vec(),
            data: Data::I64(data),
        }
    }

    pub(crate) fn floats(&self) -> &[f32] {
        match &self.data {
            Data::F32(v) => v,
            Data::I64(_) => panic!("not f32"),
        }
    }

    pub(crate) fn ints(&self) -> &[i64] {
        match &self.data {
            Data::I64(v) => v,
            Data::F32(_) => panic!("not i64"),
        }
    }

    /// The elements at flat indices, in a new shape.
    fn pick(&self, dims: Vec<usize>, at: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            Data::F32(v) => Data::F32(at.map(|i| v[i]).collect()),
            Data::I64(v) => Data::I64(at.map(|i| v[i]).collect()),
        };
        Self { dims, data }
    }
}

fn constant(t: &Tensor) -> Array {
    let dims: Vec<usize> = t.dims.iter().map(|d| *d as usize).collect();
    match t.dtype {
        DType::F32 => Array::f32(&dims, t.to_f32().unwrap()),
        DType::I64 => Array::i64(&dims, t.to_i64().unwrap()),
        other => panic!("{other}"),
    }
}

/// Runs a model and gives every value of its main graph; declared inputs and outputs are held against what is there.
pub(crate) fn run(model: &Model, inputs: &Env) -> Result<Env, String> {
    for input in &model.graph.inputs {
        assert!(
            inputs.contains_key(&input.name),
            "input {} is missing",
            input.name
        );
    }
    let env = graph(&model.graph, inputs.clone())?;
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

fn graph(g: &Graph, mut env: Env) -> Result<Env, String> {
    env.extend(g.initializers.iter().map(|t| (t.name.clone(), constant(t))));
    for node in &g.nodes {
        let inputs: Vec<&Array> = node.inputs.iter().map(|i| &env[i]).collect();
        let outputs = if node.op_type == "Scan" {
            scan(node, &inputs, &env)
        } else {
            ops::apply(node, &inputs)
        };
        let outputs = outputs.map_err(|e| format!("{}: {e}", node.name))?;
        assert_eq!(outputs.len(), node.outputs.len());
        env.extend(node.outputs.iter().cloned().zip(outputs));
    }
    Ok(env)
}

/// Scan over axis 1 of all inputs, as this crate writes it.
fn scan(node: &Node, inputs: &[&Array], outer: &Env) -> Result<Vec<Array>, String> {
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
        let env = graph(body, env)?;
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
