//! `golden.safetensors`: a short trace from the float64 oracle, with which anybody can test an integration.
//!
//! | entry | what |
//! |---|---|
//! | `input_ids` i64 `[B, T]` or `features` f32 `[B, T, F]` | the input of both runs |
//! | `initial.state.{i}.{name}` | the model's own initial states |
//! | `initial.{output}`, `initial.next_state.{i}.{name}` | what comes out of them |
//! | `given.state.{i}.{name}` | other states, none of them zero |
//! | `given.{output}`, `given.next_state.{i}.{name}` | what comes out of these |
//! | `lengths` i64 `[B]`, `reset` bool `[B, T]` | where the files take them |
//! | `{entry}.bound` | how far any right f32 engine is from the entry at most |
//!
//! Values are the oracle's, rounded to f32 once. The bound takes every rounding for the worst one: behind norms and several
//! layers an engine is usually a thousand times closer.

use std::collections::BTreeMap;

use minrnn_model::graph::{Graph, Input, StateSpec};
use minrnn_model::oracle::{self, Data, Run};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{ExportError, ExportOptions, Port};

/// B of the trace.
const BATCH: usize = 2;
/// T of the trace: more than two blocks of the blocked scan, and no multiple of one.
const TIME: usize = 37;
/// Of the random inputs.
const SEED: u64 = 0;

/// Names, types, shapes and bytes of a safetensors file.
type Entries = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// The bytes of `golden.safetensors`.
pub(super) fn golden(
    graph: &Graph,
    params: &Params,
    ports: &[Port],
    options: &ExportOptions,
    weights: &str,
) -> Result<Vec<u8>, ExportError> {
    let mut entries = Entries::new();
    let (ids, features) = input(graph);
    let data = match graph.input() {
        Input::Tokens { .. } => {
            let bytes = ids
                .iter()
                .flat_map(|i| i64::from(*i).to_le_bytes())
                .collect();
            entries.insert("input_ids".into(), (Dtype::I64, vec![BATCH, TIME], bytes));
            Data::Tokens(&ids)
        }
        Input::Features { width } => {
            put(
                &mut entries,
                "features",
                vec![BATCH, TIME, width],
                features.iter().copied(),
            );
            Data::Features(&features)
        }
    };
    if options.lengths {
        let bytes = [(TIME as i64).to_le_bytes(); BATCH].concat();
        entries.insert("lengths".into(), (Dtype::I64, vec![BATCH], bytes));
    }
    let reset = options.reset.then(|| resets(BATCH * TIME));
    if let Some(reset) = &reset {
        let bytes = reset.iter().map(|r| u8::from(*r)).collect();
        entries.insert("reset".into(), (Dtype::BOOL, vec![BATCH, TIME], bytes));
    }
    let params64 = params.to_f64();
    let given = given_states(graph);
    for (prefix, states) in [
        ("initial", oracle::initial_states(graph, &params64, BATCH)),
        ("given", given),
    ] {
        let run = Run {
            states: Some(&states),
            bounds: true,
            reset: reset.as_deref(),
            ..Run::new(BATCH, TIME, data)
        };
        let trace = oracle::run(graph, &params64, &run).map_err(ExportError::Golden)?;
        for port in ports {
            let shape = [vec![BATCH], port.shape.clone()].concat();
            let values = arrange(port, graph, |i| &states[i]);
            let name = format!("{prefix}.{}", port.input);
            put(
                &mut entries,
                &name,
                shape.clone(),
                values.iter().map(|v| *v as f32),
            );
            let data = arrange(port, graph, |i| &trace.states[i].data);
            let bound = arrange(port, graph, |i| &trace.states[i].bound);
            put_bounded(
                &mut entries,
                &format!("{prefix}.{}", port.output),
                shape,
                &data,
                &bound,
            );
        }
        let output = graph.output();
        let width = graph.width(output.value);
        let shape = if graph.is_last_step() {
            vec![BATCH, width]
        } else {
            vec![BATCH, TIME, width]
        };
        put_bounded(
            &mut entries,
            &format!("{prefix}.{}", output.kind.tensor_name()),
            shape,
            &trace.output.data,
            &trace.output.bound,
        );
    }
    Ok(serialize(&entries, weights))
}

/// States of the model `[B, ..]` in the order of a port's values.
fn arrange<'a>(port: &Port, graph: &Graph, state: impl Fn(usize) -> &'a Vec<f64>) -> Vec<f64> {
    let mut values = vec![];
    for row in 0..BATCH {
        for member in &port.members {
            let spec = &graph.states()[*member];
            let of_row = &state(*member)[row * spec.len()..][..spec.len()];
            if port.transposed {
                let lag = spec.len() / spec.width;
                let order = (0..spec.width).flat_map(|c| (0..lag).map(move |k| k * spec.width + c));
                values.extend(order.map(|i| of_row[i]));
            } else {
                values.extend_from_slice(of_row);
            }
        }
    }
    values
}

/// One step in eight begins anew.
fn resets(count: usize) -> Vec<bool> {
    let mut rng = Rng::named(SEED, "reset");
    (0..count).map(|_| rng.below(8) == 0).collect()
}

/// Token ids or features, as the graph takes them; the other list is empty.
fn input(graph: &Graph) -> (Vec<u32>, Vec<f32>) {
    match graph.input() {
        Input::Tokens { vocab } => {
            let mut rng = Rng::named(SEED, "input_ids");
            (
                (0..BATCH * TIME).map(|_| rng.below(vocab) as u32).collect(),
                vec![],
            )
        }
        Input::Features { width } => (vec![], noise("features", BATCH * TIME * width)),
    }
}

/// Approximately normal values, all of them f32.
fn noise(name: &str, count: usize) -> Vec<f32> {
    let mut rng = Rng::named(SEED, name);
    (0..count).map(|_| rng.normal() as f32).collect()
}

fn given_states(graph: &Graph) -> Vec<Vec<f64>> {
    let one = |s: &StateSpec| {
        noise(&s.input_name(), BATCH * s.len())
            .into_iter()
            .map(f64::from)
            .collect()
    };
    graph.states().iter().map(one).collect()
}

fn put(entries: &mut Entries, name: &str, shape: Vec<usize>, values: impl Iterator<Item = f32>) {
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    entries.insert(name.to_owned(), (Dtype::F32, shape, bytes));
}

fn put_bounded(entries: &mut Entries, name: &str, shape: Vec<usize>, data: &[f64], bound: &[f64]) {
    // Rounding to f32 is part of what an engine may differ by.
    let all = bound
        .iter()
        .zip(data)
        .map(|(b, v)| (b + v.abs() * oracle::UNIT) as f32);
    put(entries, &format!("{name}.bound"), shape.clone(), all);
    put(entries, name, shape, data.iter().map(|v| *v as f32));
}

fn serialize(entries: &Entries, weights: &str) -> Vec<u8> {
    let views = entries.iter().map(|(name, (dtype, shape, bytes))| {
        let view = TensorView::new(*dtype, shape.clone(), bytes)
            .expect("bytes are as many as the shape says");
        (name.clone(), view)
    });
    // One key only: a map of more would be written in any order.
    let about =
        std::collections::HashMap::from([("minrnn.weights".to_owned(), weights.to_owned())]);
    safetensors::serialize(views, Some(about)).expect("names are unique and the header is short")
}
