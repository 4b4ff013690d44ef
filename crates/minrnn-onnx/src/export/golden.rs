//! `golden.safetensors`: a short trace from the float64 oracle, with which anybody can test an integration.
//!
//! | entry | what |
//! |---|---|
//! | `input_ids` i64 `[B, T]` or `features` f32 `[B, T, F]` | the input of both runs |
//! | `initial.state.{i}.{name}` | the model's own initial states |
//! | `initial.{output}`, `initial.next_state.{i}.{name}` | what comes out of them |
//! | `given.state.{i}.{name}` | other states, none of them zero but what a window has of before its begin |
//! | `given.{output}`, `given.next_state.{i}.{name}` | what comes out of these |
//! | `lengths` i64 `[B]`, `reset` bool `[B, T]` | where the files take them |
//! | `{entry}.bound` | how far any right f32 engine is from the entry at most |
//!
//! Features are drawn as the model's own normalisation has them (mean + std N(0, 1)), raw N(0, 1) where it has none.
//! Values are the oracle's, rounded to f32 once: with the weights as they are stored and, where products are narrow, with their
//! arguments rounded as the graph rounds them. There an argument may fall on the other side of a rounding, so the bound has, for
//! each tensor, the most that the narrow type moved a value in it. The bound takes every rounding for the worst one: behind norms and several
//! layers an engine is usually a thousand times closer.

use std::collections::BTreeMap;

use minrnn_model::graph::{Graph, Input, StateSpec};
use minrnn_model::oracle::{self, Data, Run, Trace};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_model::usual::usual;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{ExportError, ExportOptions, Port, Store, Weights};

/// B and T of the trace: more than two blocks of the blocked scan, and no multiple of one. Large models get a shorter one,
/// as the oracle takes its time.
fn size(params: usize) -> (usize, usize) {
    const MANY: usize = 4 << 20;
    if params <= MANY {
        (2, 37)
    } else {
        (1, (37 * MANY / params).max(2))
    }
}

/// Steps that were before those of the given states.
const BEFORE: usize = 5;

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
    let (batch, time) = size(params.count());
    // One step at least is before those of the given states.
    let time = graph.longest().map_or(time, |most| time.min(most - 1));
    let (ids, features) = input(graph, params, batch, time);
    let data = match graph.input() {
        Input::Tokens { .. } => {
            let bytes = ids
                .iter()
                .flat_map(|i| i64::from(*i).to_le_bytes())
                .collect();
            entries.insert("input_ids".into(), (Dtype::I64, vec![batch, time], bytes));
            Data::Tokens(&ids)
        }
        Input::Features { width } => {
            let shape = vec![batch, time, width];
            put(&mut entries, "features", shape, features.iter().copied());
            Data::Features(&features)
        }
    };
    if options.lengths {
        let bytes = [(time as i64).to_le_bytes()].repeat(batch).concat();
        entries.insert("lengths".into(), (Dtype::I64, vec![batch], bytes));
    }
    let reset = options.reset.then(|| resets(batch * time));
    if let Some(reset) = &reset {
        let bytes = reset.iter().map(|r| u8::from(*r)).collect();
        entries.insert("reset".into(), (Dtype::BOOL, vec![batch, time], bytes));
    }
    let narrow = options.weights != Weights::F32;
    let store = Store::plan(graph, params, &options.weights, None)?;
    let stored = |param, at, v| store.rounded(param, at, v);
    let rounding = options.weights.rounding(graph);
    let run = |states: &Vec<Vec<f64>>, narrow: bool| {
        let run = Run {
            states: Some(states),
            bounds: true,
            reset: reset.as_deref(),
            rounding: rounding.as_ref().filter(|_| narrow),
            ..Run::new(batch, time, data)
        };
        let values = match narrow {
            true => oracle::Weights::Rounded(params, &stored),
            false => oracle::Weights::F32(params),
        };
        oracle::run(graph, values, &run).map_err(ExportError::Golden)
    };
    let initial = oracle::initial_states(graph, params, batch);
    let given = given_states(graph, batch, time);
    let both = |states| -> Result<Trace, ExportError> {
        let mut trace = run(states, narrow)?;
        if narrow {
            let plain = run(states, false)?;
            let pairs = trace.states.iter_mut().zip(&plain.states);
            for (own, wide) in pairs.chain([(&mut trace.output, &plain.output)]) {
                widen(own, wide);
            }
        }
        Ok(trace)
    };
    // The two runs are all that an export computes: side by side.
    let traces = std::thread::scope(|s| {
        let second = s.spawn(|| both(&given));
        let first = both(&initial);
        [first, second.join().expect("the oracle does not panic")]
    });
    for (prefix, (states, trace)) in ["initial", "given"]
        .into_iter()
        .zip([&initial, &given].into_iter().zip(traces))
    {
        let trace = trace?;
        for port in ports {
            let shape = [vec![batch], port.shape.clone()].concat();
            let values = port.gather(graph, batch, |i| states[i].as_slice());
            let name = format!("{prefix}.{}", port.input);
            let values = values.iter().map(|v| *v as f32);
            put(&mut entries, &name, shape.clone(), values);
            let data = port.gather(graph, batch, |i| trace.states[i].data.as_slice());
            let bound = port.gather(graph, batch, |i| trace.states[i].bound.as_slice());
            let name = format!("{prefix}.{}", port.output);
            put_bounded(&mut entries, &name, shape, &data, &bound);
        }
        let output = graph.output();
        let width = graph.width(output.value);
        let shape = if graph.is_last_step() {
            vec![batch, width]
        } else {
            vec![batch, time, width]
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

/// Adds to the bounds of a tensor the most that the narrow type moved a value in it. `wide`: the same run with the weights as they
/// were before they were stored, and no argument rounded.
pub fn widen(own: &mut oracle::Tensor, wide: &oracle::Tensor) {
    let moved = own.data.iter().zip(&wide.data);
    let most = moved.fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
    own.bound.iter_mut().for_each(|b| *b += most);
}

/// One step in eight begins anew.
fn resets(count: usize) -> Vec<bool> {
    let mut rng = Rng::named(SEED, "reset");
    (0..count).map(|_| rng.below(8) == 0).collect()
}

/// Token ids or features, as the graph takes them; the other list is empty.
fn input(graph: &Graph, params: &Params, batch: usize, time: usize) -> (Vec<u32>, Vec<f32>) {
    match graph.input() {
        Input::Tokens { vocab } => {
            let mut rng = Rng::named(SEED, "input_ids");
            (
                (0..batch * time).map(|_| rng.below(vocab) as u32).collect(),
                vec![],
            )
        }
        Input::Features { width } => (vec![], features(graph, params, batch * time, width)),
    }
}

/// A model of time stamps sees nothing in numbers around 0.
fn features(graph: &Graph, params: &Params, steps: usize, width: usize) -> Vec<f32> {
    let mut values = noise("features", steps * width);
    if let Some(usual) = usual(graph, params) {
        for row in values.chunks_exact_mut(width) {
            let scales = usual.mean.iter().zip(&usual.std);
            for (v, (mean, std)) in row.iter_mut().zip(scales) {
                *v = (mean + std * f64::from(*v)) as f32;
            }
        }
    }
    values
}

/// Approximately normal values, all of them f32.
fn noise(name: &str, count: usize) -> Vec<f32> {
    let mut rng = Rng::named(SEED, name);
    (0..count).map(|_| rng.normal() as f32).collect()
}

fn given_states(graph: &Graph, batch: usize, time: usize) -> Vec<Vec<f64>> {
    // Of steps so far there are few enough for the positions.
    let before = graph
        .longest()
        .map_or(BEFORE, |most| BEFORE.min(most - time));
    let one = |s: &StateSpec| {
        if graph.counter().is_some_and(|c| graph.state_spec(c) == s) {
            return vec![before as f64; batch];
        }
        noise(&s.input_name(), batch * s.len())
            .into_iter()
            .map(f64::from)
            .collect()
    };
    let mut states: Vec<Vec<f64>> = graph.states().iter().map(one).collect();
    for (state, most) in graph.counts() {
        let before = most.saturating_sub(time).min(3);
        states[state.index()].fill(before as f64);
    }
    graph.begun(&mut states, batch);
    states
}

fn put(entries: &mut Entries, name: &str, shape: Vec<usize>, values: impl Iterator<Item = f32>) {
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    entries.insert(name.to_owned(), (Dtype::F32, shape, bytes));
}

fn put_bounded(entries: &mut Entries, name: &str, shape: Vec<usize>, data: &[f64], bound: &[f64]) {
    let all = allowed(data, bound).into_iter();
    put(entries, &format!("{name}.bound"), shape.clone(), all);
    put(entries, name, shape, data.iter().map(|v| *v as f32));
}

/// What stands in the trace under `.bound`: rounding to f32 is part of what an engine may differ by.
pub fn allowed(data: &[f64], bound: &[f64]) -> Vec<f32> {
    let pairs = bound.iter().zip(data);
    pairs
        .map(|(b, v)| (b + v.abs() * oracle::UNIT) as f32)
        .collect()
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
