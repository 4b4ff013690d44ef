//! What the tests share: files, random numbers, comparisons, ways to run a model.

pub mod build;
pub mod proto;
pub mod random;

use minrnn_runtime::{Input, Model, Output, State};

/// Each value has the same bits.
#[track_caller]
pub fn same_bits(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}: lengths");
    let differ: Vec<usize> = (0..a.len())
        .filter(|i| a[*i].to_bits() != b[*i].to_bits())
        .collect();
    if let Some(at) = differ.first() {
        panic!(
            "{what}: {} of {} differ, first at {at}: {} {}",
            differ.len(),
            a.len(),
            a[*at],
            b[*at]
        );
    }
}

#[track_caller]
pub fn same_states(what: &str, a: &State, b: &State) {
    assert_eq!(a.names().collect::<Vec<_>>(), b.names().collect::<Vec<_>>());
    for name in a.names() {
        same_bits(
            &format!("{what}: {name}"),
            a.get(name).unwrap(),
            b.get(name).unwrap(),
        );
    }
}

/// Each pair is finite and at most `tolerance` apart.
#[track_caller]
pub fn close(what: &str, a: &[f32], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len(), "{what}: lengths");
    for (at, (x, y)) in a.iter().zip(b).enumerate() {
        let apart = (f64::from(*x) - y).abs();
        assert!(
            apart <= tolerance,
            "{what}: at {at}: {x} and {y}, more than {tolerance:e} apart"
        );
    }
}

/// A state of random values.
pub fn random_state(model: &Model, rows: usize, random: &mut random::Random) -> State {
    let mut state = model.initial_state(rows).expect("rows");
    let names: Vec<String> = state.names().map(String::from).collect();
    for name in names {
        let values = random.values(state.get(&name).unwrap().len());
        state.set(&name, &values).expect("same length");
    }
    state
}

pub fn features(values: &[f32], batch: usize, time: usize, width: usize) -> Input<'_> {
    Input::Features {
        values,
        batch,
        time,
        width,
    }
}

pub fn tokens(ids: &[i64], batch: usize, time: usize) -> Input<'_> {
    Input::Tokens { ids, batch, time }
}

/// Columns `from..from + len` of `[rows, columns]`.
pub fn columns<T: Copy>(all: &[T], rows: usize, from: usize, len: usize) -> Vec<T> {
    let columns = all.len() / rows;
    all.chunks(columns)
        .flat_map(|row| row[from..from + len].iter().copied())
        .collect()
}

/// Runs `[batch, time, width]` features in chunks of the given lengths; outputs `[batch, time, C]`.
pub fn in_chunks(
    model: &Model,
    data: &[f32],
    batch: usize,
    width: usize,
    chunks: &[usize],
    start: &State,
) -> (Vec<f32>, State) {
    let time: usize = chunks.iter().sum();
    let c = model.info().output.width;
    let mut all = vec![f32::NAN; batch * time * c];
    let mut state = start.clone();
    let mut from = 0;
    for len in chunks {
        let part = columns(data, batch, from * width, len * width);
        let (out, next): (Output, State) = model
            .run(features(&part, batch, *len, width), &state)
            .expect("a good call");
        assert_eq!(out.values.len(), batch * len * c);
        for b in 0..batch {
            let to = (b * time + from) * c;
            all[to..to + len * c].copy_from_slice(&out.values[b * len * c..(b + 1) * len * c]);
        }
        state = next;
        from += len;
    }
    (all, state)
}

/// Holds that a file keeps its contract: it is opened, or, without tract, refused for its operators alone.
pub fn taken(bytes: &[u8]) {
    if let Err(error) = Model::from_bytes(bytes) {
        let operators = error.to_string().contains("cannot be run exactly");
        assert!(operators && !cfg!(feature = "tract"), "{error}");
    }
}
