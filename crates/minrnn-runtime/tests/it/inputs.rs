//! What a caller may not give, and what is said about it.

use minrnn_runtime::{Error, ErrorKind, Head, Input, InputSpec, Lowering, Model, State};

use crate::support::build::{Form, Spec};
use crate::support::random::Random;
use crate::support::{features, random_state, same_bits, tokens};

#[track_caller]
fn refused(what: Result<impl Sized, Error>, place: &str, words: &str) {
    let Err(error) = what else { panic!("taken") };
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Input, "{text}");
    assert!(
        error.place().is_some_and(|p| p.contains(place)),
        "place: {text}"
    );
    assert!(text.contains(words), "words: {text}");
}

/// Both ways to run must refuse.
#[track_caller]
fn run_refused(model: &Model, input: Input<'_>, state: &State, place: &str, words: &str) {
    refused(model.run(input, state), place, words);
    refused(model.run_symbolic(input, state), place, words);
    assert_eq!(model.plans(), 0, "nothing was planned");
}

#[test]
fn features_that_do_not_fit() {
    let model = Spec::gated(Form::Scan).model();
    let state = model.initial_state(2).unwrap();
    let data = [0.5; 2 * 3 * 5];
    run_refused(&model, features(&[], 2, 0, 5), &state, "features", "T = 0");
    run_refused(&model, features(&[], 0, 3, 5), &state, "batch", "is 0");
    run_refused(
        &model,
        features(&data, 2, 3, 4),
        &state,
        "features",
        "width 4, the model takes 5",
    );
    run_refused(
        &model,
        features(&data, 2, 4, 5),
        &state,
        "features",
        "30 values",
    );
    run_refused(
        &model,
        features(&data, 2, usize::MAX, 5),
        &state,
        "features",
        "30 values",
    );
    run_refused(
        &model,
        features(&data, 3, 2, 5),
        &state,
        "state",
        "holds 2 rows",
    );
    run_refused(
        &model,
        tokens(&[1; 6], 2, 3),
        &state,
        "input_ids",
        "takes `features`",
    );
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut data = data;
        data[17] = bad;
        run_refused(
            &model,
            features(&data, 2, 3, 5),
            &state,
            "features",
            "place 17 is not finite",
        );
    }
}

#[test]
fn tokens_that_do_not_fit() {
    let spec = Spec {
        vocab: Some(7),
        ..Spec::gated(Form::Scan)
    };
    let model = spec.model();
    let state = model.initial_state(1).unwrap();
    run_refused(
        &model,
        tokens(&[0, 7, 1], 1, 3),
        &state,
        "input_ids",
        "id 7 at place 1 is outside 0..7",
    );
    run_refused(
        &model,
        tokens(&[0, 1, -1], 1, 3),
        &state,
        "input_ids",
        "id -1 at place 2",
    );
    run_refused(
        &model,
        tokens(&[0, 1], 1, 3),
        &state,
        "input_ids",
        "2 values",
    );
    run_refused(&model, tokens(&[], 1, 0), &state, "input_ids", "T = 0");
    run_refused(
        &model,
        features(&[0.0], 1, 1, 1),
        &state,
        "features",
        "takes `input_ids`",
    );
    // Without a vocabulary in the configuration a negative id is still refused: Gather would count from the end.
    let mut file = spec.file();
    file.prop("minrnn.config", "{}");
    let model = Model::from_bytes(&file.to_bytes()).unwrap();
    assert_eq!(model.info().input, InputSpec::Tokens { vocab: None });
    let state = model.initial_state(1).unwrap();
    run_refused(&model, tokens(&[-2], 1, 1), &state, "input_ids", "id -2");
    let error = model.run(tokens(&[1000], 1, 1), &state).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Run, "{error}");
}

#[test]
fn lengths_that_do_not_fit() {
    let step = Spec::gated(Form::Step).model();
    let state = step.initial_state(1).unwrap();
    run_refused(
        &step,
        features(&[0.5; 10], 1, 2, 5),
        &state,
        "features",
        "T = 2 for a step graph",
    );
    refused(step.prepare(1, 2), "features", "step graph");
    refused(step.prepare(0, 1), "batch", "is 0");
    let fixed = Spec {
        batch: Some(2),
        seq_len: Some(3),
        ..Spec::gated(Form::Scan)
    }
    .model();
    assert_eq!(
        (
            fixed.info().batch,
            fixed.info().seq_len,
            fixed.info().longest()
        ),
        (Some(2), Some(3), Some(3))
    );
    refused(fixed.initial_state(1), "batch", "exported for 2");
    let state = fixed.initial_state(2).unwrap();
    run_refused(
        &fixed,
        features(&[0.5; 40], 2, 4, 5),
        &state,
        "features",
        "exported for T = 3",
    );
    run_refused(
        &fixed,
        features(&[0.5; 45], 3, 3, 5),
        &state,
        "batch",
        "exported for 2",
    );
    fixed.run(features(&[0.5; 30], 2, 3, 5), &state).unwrap();
    refused(
        Spec::gated(Form::Scan).model().initial_state(usize::MAX),
        "batch",
        "too many",
    );
    refused(
        Spec::gated(Form::Scan)
            .model()
            .initial_state(usize::MAX / 64),
        "batch",
        "too many",
    );
}

#[test]
fn states_that_do_not_fit() {
    let spec = Spec::gated(Form::Scan);
    let model = spec.model();
    let input = features(&[0.5; 10], 1, 2, 5);
    let other = Spec {
        seed: 8,
        ..spec.clone()
    }
    .model()
    .initial_state(1)
    .unwrap();
    run_refused(&model, input, &other, "state", "belongs to weights");
    let other = Spec {
        conv: true,
        ..spec.clone()
    }
    .model()
    .initial_state(1)
    .unwrap();
    run_refused(&model, input, &other, "state", "other names or shapes");
    let mut state = model.initial_state(1).unwrap();
    refused(
        state.set("state.1.h", &[0.0; 6]),
        "state.1.h",
        "no state of this model",
    );
    refused(
        state.set("state.0.h", &[0.0; 5]),
        "state.0.h",
        "5 values, this state holds 6",
    );
    refused(
        state.set("state.0.h", &[f32::NAN; 6]),
        "state.0.h",
        "not finite",
    );
    // Bytes may carry what `set` refuses: of the format of earlier versions, whose sum stands at the end.
    let header = format!(
        r#"{{"schema":"minrnn.state/1","weights_sha256":"{}","dtype":"f32","form":"{}","rows":{},"states":[{{"name":"state.0.h","shape":[6]}}]}}"#,
        state.weights_sha256(),
        state.form().as_str(),
        state.rows()
    );
    let mut values = state.get("state.0.h").unwrap().to_vec();
    values[5] = f32::INFINITY;
    let mut bytes = b"MINRNNST".to_vec();
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    let sum = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    bytes.extend_from_slice(&sum);
    let state = model.state_from_bytes(&bytes).unwrap();
    run_refused(&model, input, &state, "state.0.h", "place 5 is not finite");
}

#[test]
fn a_state_that_leaves_the_finite_numbers_is_an_error() {
    let model = Spec::raw(Form::Step, 1).model();
    let mut state = model.initial_state(1).unwrap();
    state.set("state.0.h", &[f32::MAX]).unwrap();
    let error = model
        .run(features(&[2.0, 0.0], 1, 1, 2), &state)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Run, "{error}");
    assert!(error.to_string().contains("next_state.0.h"), "{error}");
}

#[test]
fn info_is_what_the_file_says() {
    let init = vec![0.25, -1.5, 3.0];
    let spec = Spec {
        d: 3,
        conv: true,
        init: Some(init.clone()),
        ..Spec::gated(Form::KoggeStone(24))
    };
    let model = spec.model();
    let info = model.info();
    assert_eq!(
        (info.lowering, info.head, info.padded),
        (Lowering::KoggeStone, Head::PerStep, false)
    );
    assert_eq!(info.input, InputSpec::Features { width: 5 });
    assert_eq!(
        (info.output.name.as_str(), info.output.width),
        ("values", 4)
    );
    assert_eq!((info.max_seq_len, info.longest()), (Some(24), Some(24)));
    assert_eq!(info.weights_sha256, format!("{:064x}", 7));
    assert_eq!(info.config["input"]["features"], 5);
    assert_eq!(info.recurrences.len(), 1);
    assert_eq!(info.states[0].shape, [2, 5]);
    let state = model.initial_state(2).unwrap();
    assert_eq!(
        state.names().collect::<Vec<_>>(),
        ["state.0.conv", "state.0.h"]
    );
    same_bits("conv", state.get("state.0.conv").unwrap(), &[0.0; 20]);
    same_bits(
        "h",
        state.get("state.0.h").unwrap(),
        &[init.clone(), init].concat(),
    );
    let debug = format!("{model:?}");
    assert!(debug.contains("KoggeStone"), "{debug}");
}

#[cfg(feature = "tract")]
#[test]
fn plans_are_bounded_and_reused() {
    let options = minrnn_runtime::Options::with_plans(2);
    let spec = Spec::gated(Form::Scan);
    let model = Model::from_bytes_with(&spec.bytes(), &options).unwrap();
    let mut random = Random::new(1);
    let state = random_state(&model, 2, &mut random);
    let mut first = None;
    for time in [3, 4, 5, 3, 4, 5, 3] {
        let data: Vec<f32> = Random::new(time as u64).values(2 * time * 5);
        let (out, _) = model.run(features(&data, 2, time, 5), &state).unwrap();
        assert!(model.plans() <= 2);
        if time == 3 {
            same_bits(
                "again",
                &out.values,
                first.get_or_insert(out.values.clone()),
            );
        }
    }
}

/// The same model with a head whose sums overflow for all but zeros.
fn steep(form: Form) -> Model {
    let mut file = Spec::gated(form).file();
    let all = &mut file.graph.weights;
    let head = all.iter_mut().find(|w| w.name == "out.weight").unwrap();
    head.raw = head
        .raw
        .chunks(4)
        .flat_map(|_| 3e38f32.to_le_bytes())
        .collect();
    Model::from_bytes(&file.to_bytes()).unwrap()
}

/// An output that is infinite is no answer, though all states are numbers: named, by row and step.
#[test]
fn outputs_that_are_not_finite() {
    let large = |rows: usize, steps: usize| {
        let mut values = vec![0.0; rows * steps * 5];
        values[(rows * steps - 1) * 5..].fill(1e4);
        values
    };
    let model = steep(Form::Scan);
    let run =
        |values: &[f32]| model.run(features(values, 2, 3, 5), &model.initial_state(2).unwrap());
    let (out, _) = run(&[0.0; 30]).unwrap();
    assert!(out.values.iter().all(|v| v.is_finite()));
    let error = run(&large(2, 3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Run, "{error}");
    for words in [
        "` is not finite in row 1, step 2",
        "(f32): normalise the units",
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
    let model = steep(Form::Step);
    let error = model
        .run(
            features(&large(2, 1), 2, 1, 5),
            &model.initial_state(2).unwrap(),
        )
        .unwrap_err();
    assert!(error.to_string().contains("row 1"), "{error}");
}

/// A state of features that overflow is not called something else than what it is.
#[test]
fn states_that_overflow() {
    let model = Spec::raw(Form::Scan, 1).model();
    let state = model.initial_state(1).unwrap();
    let error = model.run(features(&[1.0, 3e38, 1.0, 3e38], 1, 2, 2), &state);
    let error = error.unwrap_err().to_string();
    for words in [
        "`next_state.0.h` is not finite in row 0",
        "overflow in the types",
    ] {
        assert!(error.contains(words), "{error}");
    }
    assert!(!error.contains("give finite values"), "{error}");
}
