//! Streaming, and states that are kept, cut, joined and saved.

use std::sync::Arc;

use minrnn_runtime::{Error, ErrorKind, Model, Session, State};
use proptest::prelude::*;

use crate::support::build::{Form, Spec};
use crate::support::random::Random;
use crate::support::{
    close, columns, features, in_chunks, random_state, same_bits, same_states, tokens,
};

#[track_caller]
fn refused(what: Result<impl Sized, Error>, words: &str) {
    let Err(error) = what else { panic!("taken") };
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

fn session(spec: &Spec, batch: usize) -> Session {
    Session::new(Arc::new(spec.with(Form::Step).model()), batch).unwrap()
}

#[test]
fn a_session_steps_like_run() {
    let spec = Spec {
        conv: true,
        ..Spec::gated(Form::Step)
    };
    let mut session = session(&spec, 2);
    let model = session.model().clone();
    let mut random = Random::new(2);
    let data = random.values(2 * 8 * 5);
    let start = random_state(&model, 2, &mut random);
    let (all, end) = in_chunks(&model, &data, 2, 5, &[1; 8], &start);
    session.set_state(start.clone()).unwrap();
    for t in 0..8 {
        let out = session.step_features(&columns(&data, 2, t * 5, 5)).unwrap();
        assert_eq!(out.shape, [2, 4]);
        same_bits("values", &out.values, &columns(&all, 2, t * 4, 4));
    }
    same_states("end", session.state(), &end);
    session.reset().unwrap();
    same_states("reset", session.state(), &model.initial_state(2).unwrap());
    assert_eq!(session.batch(), 2);
}

#[test]
fn a_saved_state_goes_on_where_it_was() {
    let spec = Spec {
        vocab: Some(9),
        ..Spec::gated(Form::Step)
    };
    let mut one = session(&spec, 2);
    let mut two = session(&spec, 2);
    let ids = [[1, 8], [0, 3], [5, 5], [2, 7]];
    one.step_tokens(&ids[0]).unwrap();
    one.step_tokens(&ids[1]).unwrap();
    let bytes = one.state().to_bytes();
    assert_eq!(bytes, one.state().to_bytes());
    two.set_state(two.model().state_from_bytes(&bytes).unwrap())
        .unwrap();
    for ids in &ids[2..] {
        let (a, b) = (one.step_tokens(ids).unwrap(), two.step_tokens(ids).unwrap());
        same_bits("logits", &a.values, &b.values);
    }
    same_states("end", one.state(), two.state());
}

#[test]
fn a_call_that_fails_leaves_the_state() {
    let spec = Spec {
        vocab: Some(9),
        ..Spec::gated(Form::Step)
    };
    let mut session = session(&spec, 2);
    session.step_tokens(&[1, 2]).unwrap();
    let before = session.state().clone();
    refused(session.step_tokens(&[1]), "1 values");
    refused(session.step_tokens(&[1, 9]), "outside 0..9");
    refused(session.step_features(&[1.0, 2.0]), "takes `input_ids`");
    refused(
        session.set_state(session.model().initial_state(3).unwrap()),
        "holds 3 rows",
    );
    let scan = spec.with(Form::Scan).model();
    refused(
        session.prefill(&scan, tokens(&[1, 2, 3, 9], 2, 2)),
        "outside 0..9",
    );
    refused(
        session.prefill(&scan, tokens(&[1, 2, 3], 1, 3)),
        "holds 2 rows",
    );
    refused(session.prefill(&scan, tokens(&[], 2, 0)), "T = 0");
    same_states("after", session.state(), &before);
}

#[test]
fn models_that_do_not_fit_a_session() {
    let spec = Spec::gated(Form::Step);
    refused(
        Session::new(Arc::new(spec.with(Form::Scan).model()), 1),
        "scan file",
    );
    refused(Session::new(Arc::new(spec.model()), 0), "is 0");
    let mut session = session(&spec, 1);
    let input = features(&[0.5; 10], 1, 2, 5);
    refused(session.prefill(&spec.model(), input), "is a step file");
    let other = Spec {
        seed: 99,
        ..spec.with(Form::Scan)
    }
    .model();
    refused(session.prefill(&other, input), "of another model");
    let other = Spec {
        last: true,
        ..spec.with(Form::Scan)
    }
    .model();
    refused(session.prefill(&other, input), "another output");
    let other = Spec {
        batch: Some(2),
        ..spec.with(Form::Scan)
    }
    .model();
    refused(session.prefill(&other, input), "exported for 2");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_prompt_is_stepping(batch in 2usize..4, time in 1usize..70, last: bool, conv: bool, seed: u64) {
        let mut random = Random::new(seed);
        let spec = Spec { last, conv, seed, ..Spec::gated(Form::Scan) };
        let scan = spec.model();
        let data = random.values(batch * time * 5);
        let start = random_state(&scan, batch, &mut random);
        let mut stepped = session(&spec, batch);
        let mut prefilled = session(&spec, batch);
        stepped.set_state(start.clone()).unwrap();
        prefilled.set_state(start).unwrap();
        let rows: Vec<Vec<f32>> =
            (0..time).map(|t| stepped.step_features(&columns(&data, batch, t * 5, 5)).unwrap().values).collect();
        let out = prefilled.prefill(&scan, features(&data, batch, time, 5)).unwrap();
        same_states("state", prefilled.state(), stepped.state());
        if last {
            assert_eq!(out.shape, [batch, 4]);
            same_bits("last", &out.values, &rows[time - 1]);
        } else {
            assert_eq!(out.shape, [batch, time, 4]);
            for (t, row) in rows.iter().enumerate() {
                same_bits("row", &columns(&out.values, batch, t * 4, 4), row);
            }
        }
        prop_assert!(scan.plans() <= 3);
    }

    #[test]
    fn rows_are_taken_apart_and_put_together(rows in 1usize..6, seed: u64) {
        let mut random = Random::new(seed);
        let model = Spec { conv: true, ..Spec::gated(Form::Step) }.model();
        let state = random_state(&model, rows, &mut random);
        let each: Vec<State> = (0..rows).map(|r| state.select(&[r]).unwrap()).collect();
        let all = State::stack(&each.iter().collect::<Vec<_>>()).unwrap();
        same_states("apart and together", &all, &state);
        prop_assert_eq!(&all, &state);
        let pick: Vec<usize> = (0..rows + 1).map(|_| random.below(rows)).collect();
        let picked = state.select(&pick).unwrap();
        prop_assert_eq!(picked.rows(), rows + 1);
        for name in state.names() {
            let len: usize = state.shape(name).unwrap().iter().product();
            for (to, from) in pick.iter().enumerate() {
                let (a, b) = (picked.get(name).unwrap(), state.get(name).unwrap());
                same_bits(name, &a[to * len..][..len], &b[from * len..][..len]);
            }
        }
        let back = State::from_bytes(&state.to_bytes()).unwrap();
        same_states("bytes", &back, &state);
    }
}

#[cfg(feature = "tract")]
#[test]
fn prompts_through_parallel_and_fixed_files() {
    let spec = Spec::gated(Form::KoggeStone(20));
    let mut random = Random::new(31);
    let data = random.values(2 * 50 * 5);
    let step = spec.with(Form::Step).model();
    let (all, _) = in_chunks(
        &step,
        &data,
        2,
        5,
        &[1; 50],
        &step.initial_state(2).unwrap(),
    );
    let wanted: Vec<f64> = all.iter().map(|v| f64::from(*v)).collect();
    for sequence in [
        spec.portable(),
        Spec {
            seq_len: Some(20),
            ..spec.clone()
        }
        .portable(),
    ] {
        let mut session = session(&spec, 2);
        let out = session
            .prefill(&sequence, features(&data, 2, 50, 5))
            .unwrap();
        close("prompt", &out.values, &wanted, 4e-6);
        assert_eq!(sequence.plans(), 1);
    }
}

#[test]
fn states_of_several_models_do_not_mix() {
    let a = Spec::gated(Form::Step).model().initial_state(1).unwrap();
    let b = Spec {
        seed: 8,
        ..Spec::gated(Form::Step)
    }
    .model()
    .initial_state(1)
    .unwrap();
    refused(State::stack(&[&a, &b]), "belongs to weights");
    refused(State::stack(&[]), "nothing");
    refused(a.select(&[]), "nothing");
    refused(a.select(&[0, 1]), "row 1 of a state of 1 rows");
    assert_eq!(a.get("state.9.h"), None);
    assert_eq!(a.shape("state.9.h"), None);
    let model = Spec::gated(Form::Step).model();
    refused(model.state_from_bytes(&b.to_bytes()), "belongs to weights");
    assert_eq!(a.weights_sha256(), model.info().weights_sha256);
}

#[test]
fn damaged_bytes_are_no_state() {
    let model: Model = Spec {
        conv: true,
        ..Spec::gated(Form::Step)
    }
    .model();
    let good = random_state(&model, 2, &mut Random::new(4)).to_bytes();
    for cut in 0..good.len() {
        refused(State::from_bytes(&good[..cut]), "state bytes");
    }
    for at in 0..good.len() {
        for bit in [1, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            refused(State::from_bytes(&bad), "state bytes");
        }
    }
    refused(
        State::from_bytes(&[good.as_slice(), &[0]].concat()),
        "state bytes",
    );
}

/// A state in the format before safetensors.
fn before(state: &State, change: impl Fn(String) -> String) -> Vec<u8> {
    let entry = |name: &str| {
        format!(
            r#"{{"name":"{name}","shape":{:?}}}"#,
            state.shape(name).unwrap()
        )
    };
    let entries: Vec<String> = state.names().map(entry).collect();
    let header = change(format!(
        r#"{{"schema":"minrnn.state/1","weights_sha256":"{}","dtype":"{}","form":"{}","rows":{},"states":[{}]}}"#,
        state.weights_sha256(),
        state.dtype().as_str(),
        state.form().as_str(),
        state.rows(),
        entries.join(",")
    ));
    let mut bytes = b"MINRNNST".to_vec();
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    for name in state.names() {
        bytes.extend(
            state
                .get(name)
                .unwrap()
                .iter()
                .flat_map(|v| v.to_le_bytes()),
        );
    }
    let sum = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

#[test]
fn states_of_earlier_versions_are_read() {
    let spec = Spec {
        conv: true,
        ..Spec::gated(Form::Step)
    };
    let model = spec.model();
    let state = random_state(&model, 2, &mut Random::new(4));
    let old = before(&state, |h| h);
    assert_eq!(State::from_bytes(&old).unwrap(), state);
    assert_eq!(model.state_from_bytes(&old).unwrap(), state);
    for at in 0..old.len() {
        let mut bad = old.clone();
        bad[at] ^= 4;
        refused(State::from_bytes(&bad), "state bytes");
        refused(State::from_bytes(&old[..at]), "state bytes");
    }
}

/// With a checksum that fits, the header is all that stands between its numbers and the memory.
#[test]
fn headers_that_lie_are_no_state() {
    let state = Spec::gated(Form::Step).model().initial_state(1).unwrap();
    for (from, to) in [
        ("[6]", "[7]"),
        ("[6]", "[18446744073709551615,2]"),
        ("[6]", "[0]"),
        ("\"rows\":1", "\"rows\":0"),
        ("\"rows\":1", "\"rows\":2"),
        ("\"rows\":1", "\"rows\":18446744073709551615"),
        ("\"rows\":1", "\"rows\":-1"),
        ("minrnn.state/1", "minrnn.state/2"),
        ("\"rows\"", "\"columns\""),
    ] {
        let lying = before(&state, |h| {
            assert!(h.contains(from), "{h}");
            h.replace(from, to)
        });
        let error = State::from_bytes(&lying).unwrap_err().to_string();
        assert!(error.contains("header"), "{error}");
        assert!(
            !error.contains("usize") && !error.contains("struct"),
            "{error}"
        );
    }
}

/// A writer of its own, of the layout in docs/runtime.md: tensors in the order given.
fn by_hand(
    state: &State,
    order: &[&str],
    change: impl Fn(&mut Vec<(&str, String)>),
    tamper: (&str, &str),
) -> Vec<u8> {
    use sha2::Digest;
    let shape = |name: &str| [&[state.rows()], state.shape(name).unwrap()].concat();
    let values = |name: &str| -> Vec<u8> {
        state
            .get(name)
            .unwrap()
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect()
    };
    let lines = [
        "minrnn.state/1",
        state.weights_sha256(),
        state.dtype().as_str(),
        state.form().as_str(),
    ];
    let mut sum = sha2::Sha256::new();
    lines
        .iter()
        .for_each(|line| sum.update(format!("{line}\n")));
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    for name in sorted {
        sum.update(format!("{name} {:?}\n", shape(name)));
        sum.update(values(name));
    }
    let sum: String = sum.finalize().iter().map(|b| format!("{b:02x}")).collect();
    let keys = ["schema", "weights", "dtype", "form"];
    let mut about: Vec<(&str, String)> = keys.into_iter().zip(lines.map(String::from)).collect();
    about.push(("sha256", sum));
    about.push(("format", "pt".into()));
    change(&mut about);
    let about: Vec<String> = about.iter().map(|(k, v)| format!("{k:?}: {v:?}")).collect();
    let (mut header, mut data) = (
        format!("{{\"__metadata__\": {{{}}}", about.join(", ")),
        vec![],
    );
    for name in order {
        let from = data.len();
        data.extend(values(name));
        header += &format!(
            ", \"{name}\": {{\"dtype\": \"F32\", \"shape\": {:?}, \"data_offsets\": [{from}, {}]}}",
            shape(name),
            data.len()
        );
    }
    header += "}";
    assert!(header.contains(tamper.0), "{header}");
    let header = header.replace(tamper.0, tamper.1);
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &data,
    ]
    .concat()
}

#[test]
fn a_saved_state_is_a_safetensors_file() {
    let model = Spec {
        conv: true,
        ..Spec::gated(Form::Step)
    }
    .model();
    let state = random_state(&model, 3, &mut Random::new(4));
    let bytes = state.to_bytes();
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert!(len.is_multiple_of(8));
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
    assert_eq!(header["__metadata__"]["schema"], "minrnn.state/1");
    assert_eq!(
        header["__metadata__"]["weights"],
        model.info().weights_sha256
    );
    for name in ["state.0.conv", "state.0.h"] {
        let entry = &header[name];
        let whole = [&[3], state.shape(name).unwrap()].concat();
        assert_eq!(entry["dtype"], "F32");
        assert_eq!(entry["shape"], serde_json::json!(whole));
        let at = |i: usize| 8 + len + entry["data_offsets"][i].as_u64().unwrap() as usize;
        let found = bytes[at(0)..at(1)].chunks_exact(4);
        let found: Vec<f32> = found
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        same_bits(name, &found, state.get(name).unwrap());
    }
}

#[test]
fn a_state_that_another_program_wrote() {
    let spec = Spec {
        conv: true,
        ..Spec::gated(Form::Step)
    };
    let model = std::sync::Arc::new(spec.model());
    let state = random_state(&model, 2, &mut Random::new(4));
    let order = ["state.0.h", "state.0.conv"];
    let bytes = by_hand(&state, &order, |_| (), ("", ""));
    assert_eq!(model.state_from_bytes(&bytes).unwrap(), state);
    let mut session = Session::new(model.clone(), 2).unwrap();
    session
        .set_state(State::from_bytes(&bytes).unwrap())
        .unwrap();
    assert_eq!(*session.state(), state);
    let lies: [(&str, &str, &str); 9] = [
        ("minrnn.state/1", "minrnn.state/2", "schema"),
        ("\"form\": \"step\"", "\"form\": \"step2\"", "`form`"),
        ("\"form\": \"step\"", "\"form\": \"scan\"", "sha256 differs"),
        ("\"dtype\": \"f32\"", "\"dtype\": \"f64\"", "`dtype`"),
        ("state.0.h", "state.1.h", "sha256 differs"),
        ("F32", "I32", "other"),
        ("[2, 6]", "[6, 2]", ""),
        ("[2, 6]", "[12]", "[rows, ..]"),
        ("[2, 6]", "[0, 6]", ""),
    ];
    for (from, to, words) in lies {
        refused(
            State::from_bytes(&by_hand(&state, &order, |_| (), (from, to))),
            words,
        );
    }
    let without = |key: &'static str| {
        by_hand(
            &state,
            &order,
            move |about| about.retain(|(k, _)| *k != key),
            ("", ""),
        )
    };
    for key in ["schema", "weights", "dtype", "form", "sha256"] {
        refused(State::from_bytes(&without(key)), key);
    }
    assert!(State::from_bytes(&without("format")).is_ok());
    let more = by_hand(
        &state,
        &order,
        |about| about.push(("note", "x".into())),
        ("", ""),
    );
    refused(State::from_bytes(&more), "`note`");
}

/// Streams that start and end at random, stepped together: each gets the bits that it gets alone.
#[test]
fn many_streams_together_equal_each_alone() {
    let spec = Spec::gated(Form::Step);
    let model = std::sync::Arc::new(spec.model());
    let mut random = Random::new(77);
    let open = |random: &mut Random| {
        let mut session = Session::new(model.clone(), 1).unwrap();
        session.set_state(random_state(&model, 1, random)).unwrap();
        session
    };
    let mut streams: Vec<(Session, Session)> = vec![];
    let outputs = model.info().output.width;
    for round in 0..60 {
        for _ in 0..(round * 7) % 11 {
            let session = open(&mut random);
            let alone = session.fork();
            streams.push((session, alone));
        }
        if streams.len() > 40 {
            streams.drain(..(round % 9) + 1);
        }
        if streams.is_empty() {
            continue;
        }
        let data = random.values(streams.len() * spec.width);
        let mut out = vec![0.0; streams.len() * outputs];
        let mut together: Vec<&mut Session> = streams.iter_mut().map(|(s, _)| s).collect();
        let stopped = Session::step_features_together(&mut together, &data, &mut out).unwrap();
        assert!(stopped.is_empty());
        let rows = data.chunks_exact(spec.width).zip(out.chunks_exact(outputs));
        for ((session, alone), (x, got)) in streams.iter_mut().zip(rows) {
            let want = alone.step_features(x).unwrap();
            same_bits("output", got, &want.values);
            same_states("state", session.state(), alone.state());
        }
    }
}

#[test]
fn a_stream_that_is_not_finite_stops_alone() {
    let spec = Spec::gated(Form::Step);
    let model = std::sync::Arc::new(spec.model());
    let mut random = Random::new(78);
    let mut sessions: Vec<Session> = (0..3)
        .map(|_| Session::new(model.clone(), 1).unwrap())
        .collect();
    sessions[2].set_begin_anew(true);
    let first = random.values(3 * spec.width);
    let mut out = vec![0.0; 3 * model.info().output.width];
    let mut step = |sessions: &mut [Session], data: &[f32]| {
        let mut all: Vec<&mut Session> = sessions.iter_mut().collect();
        Session::step_features_together(&mut all, data, &mut out).unwrap()
    };
    assert!(step(&mut sessions, &first).is_empty());
    let before: Vec<State> = sessions.iter().map(|s| s.state().clone()).collect();
    let mut bad = random.values(3 * spec.width);
    bad[spec.width] = f32::NAN;
    bad[2 * spec.width] = f32::INFINITY;
    let stopped = step(&mut sessions, &bad);
    assert_eq!(stopped, [1, 2]);
    assert_ne!(*sessions[0].state(), before[0], "the good one went on");
    assert_eq!(*sessions[1].state(), before[1], "the bad one stayed");
    assert_eq!(*sessions[2].state(), model.initial_state(1).unwrap());
    assert_eq!(sessions[2].began_anew(), [0]);
    let (good, poor) = out.split_at(out.len() / 3);
    assert!(good.iter().all(|v| v.is_finite()) && poor.iter().all(|v| v.is_nan()));
    // One value too many is not left out.
    let mut all: Vec<&mut Session> = sessions.iter_mut().collect();
    bad.push(0.0);
    refused(
        Session::step_features_together(&mut all, &bad, &mut out),
        "features",
    );
}

/// Rows of one session are streams of their own too.
#[test]
fn a_row_that_is_not_finite_begins_anew_alone() {
    let spec = Spec::gated(Form::Step);
    let (mut a, mut b) = (session(&spec, 3), session(&spec, 3));
    a.set_begin_anew(true);
    let mut random = Random::new(80);
    let first = random.values(3 * spec.width);
    assert_eq!(
        a.step_features(&first).unwrap(),
        b.step_features(&first).unwrap()
    );
    let good = random.values(3 * spec.width);
    let want = b.step_features(&good).unwrap();
    let mut bad = good.clone();
    bad[2 * spec.width - 1] = f32::NEG_INFINITY;
    let got = a.step_features(&bad).unwrap();
    assert_eq!(a.began_anew(), [1]);
    let width = want.values.len() / 3;
    for row in [0, 2] {
        let at = row * width..(row + 1) * width;
        same_bits("output", &got.values[at.clone()], &want.values[at]);
    }
    assert!(got.values[width..2 * width].iter().all(|v| v.is_nan()));
    let others = [0, 2];
    assert_eq!(
        a.state().select(&others).unwrap(),
        b.state().select(&others).unwrap()
    );
    let start = a.model().initial_state(1).unwrap();
    assert_eq!(a.state().select(&[1]).unwrap(), start);
}

/// An output that overflows from a state that is a number.
#[test]
fn a_step_whose_output_is_not_finite_is_refused() {
    let mut file = Spec::gated(Form::Step).file();
    let all = &mut file.graph.weights;
    let head = all.iter_mut().find(|w| w.name == "out.weight").unwrap();
    head.raw = head
        .raw
        .chunks(4)
        .flat_map(|_| 3e38f32.to_le_bytes())
        .collect();
    let model = Arc::new(Model::from_bytes(&file.to_bytes()).unwrap());
    let mut session = Session::new(model.clone(), 2).unwrap();
    let mut data = vec![0.0; 2 * 5];
    session.step_features(&data).unwrap();
    let before = session.state().clone();
    data[5..].fill(1e4);
    let error = session.step_features(&data).unwrap_err().to_string();
    for words in ["output of row 1 is not finite", "normalise the units"] {
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(*session.state(), before);
    session.set_begin_anew(true);
    let out = session.step_features(&data).unwrap().values;
    assert_eq!(session.began_anew(), [1]);
    let (good, poor) = out.split_at(out.len() / 2);
    assert!(good.iter().all(|v| v.is_finite()) && poor.iter().all(|v| v.is_nan()));
}

#[test]
fn a_step_into_room_of_the_caller() {
    let spec = Spec::gated(Form::Step);
    let (mut a, mut b) = (session(&spec, 3), session(&spec, 3));
    let data = Random::new(79).values(3 * spec.width);
    let want = a.step_features(&data).unwrap();
    let mut out = vec![f32::NAN; want.values.len()];
    b.step_features_into(&data, &mut out).unwrap();
    same_bits("output", &out, &want.values);
    refused(b.step_features_into(&data, &mut out[1..]), "out");
}
