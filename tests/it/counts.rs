//! States that count steps, given by a caller: those that runs leave are taken, those that nobody's run leaves are refused by name before
//! anything runs, in every form and execution.

use std::sync::Arc;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_onnx::export::{ExportOptions, Form, StateLayout, export_graph};
use minrnn_runtime::{ErrorKind, Options, Session, State};

use crate::runs::{drawn, run};

/// A table of positions and a window as long.
const NANO: &str = "width = 8\nlayers = 2\nnorm = 'layer'\npositions = 40\n[input]\nvocab = 5\n[head]\nwidth = 5\n[cell]\nkind = 'attention'\nheads = 2\n[mlp]\n";
/// A window that is shorter than sequences, and a short convolution.
const WINDOW: &str = "width = 6\nlayers = 2\n[input]\nfeatures = 3\n[head]\nwidth = 2\nkind = 'values'\n[cell]\nkind = 'attention'\nheads = 3\nwindow = 9\n[conv]\nkernel = 4\n";
/// As many steps as there are taps.
const HYENA: &str = "width = 4\nlayers = 2\n[input]\nvocab = 5\n[cell]\nkind = 'hyena'\nlongest = 40\nfilter_width = 8\n[head]\nwidth = 3\n";

fn file(text: &str, options: &ExportOptions) -> Vec<u8> {
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    let file = export_graph(model.graph(), &params, options).unwrap();
    file.encode()
}

fn executions() -> [Options; 3] {
    [
        Options::default(),
        Options::with_plans(8),
        Options::referee(),
    ]
}

/// The counts and the windows of a state, by name.
fn parts(state: &State) -> (Vec<String>, Vec<String>) {
    let named = |end: &str| {
        let all = state.names().filter(|n| n.ends_with(end));
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let counts = [named(".n"), named(".count")].concat();
    (counts, [named(".window"), named(".conv")].concat())
}

/// Whatever the lengths, the resets and the cuts, the state that a run leaves is taken by the next one.
#[test]
fn states_that_runs_leave_are_taken() {
    let mut rng = Rng::named(0, "counts");
    for text in [NANO, WINDOW, HYENA] {
        for layout in [StateLayout::Separate, StateLayout::Stacked] {
            let options = ExportOptions {
                lengths: true,
                reset: true,
                state_layout: layout,
                ..ExportOptions::default()
            };
            let model = minrnn_runtime::Model::from_bytes(&file(text, &options)).unwrap();
            for _ in 0..20 {
                let mut state = model.initial_state(3).unwrap();
                for _ in 0..4 {
                    let time = 1 + rng.below(9);
                    let mut case = drawn(model.info().input, (3, time), &mut rng);
                    case.lengths = Some((0..3).map(|_| 1 + rng.below(time)).collect());
                    case.reset = Some((0..3 * time).map(|_| rng.below(9) == 0).collect());
                    state = run(&model, &case, &state).unwrap().1;
                    let bytes = state.to_bytes();
                    assert_eq!(model.state_from_bytes(&bytes).unwrap(), state);
                }
            }
        }
    }
}

/// A way to spoil the second of two rows of a state of 3 steps, and what is said then.
type Forgery = (&'static str, fn(&mut State), &'static [&'static str]);

fn counted(state: &mut State, value: f32) {
    for name in parts(state).0 {
        let each = state.get(&name).unwrap().len() / 2;
        let mut values = state.get(&name).unwrap().to_vec();
        values[each..].fill(value);
        state.set(&name, &values).unwrap();
    }
}

const FORGED: [Forgery; 6] = [
    (
        "negative",
        |s| counted(s, -1.0),
        &["row 1 counts -1.0 steps", "whole number"],
    ),
    (
        "fractional",
        |s| counted(s, 2.5),
        &["row 1 counts 2.5 steps", "whole number"],
    ),
    (
        "huge",
        |s| counted(s, 1e30),
        &["row 1 counts 1e30 steps", "2^24"],
    ),
    (
        "just beyond what f32 counts",
        |s| counted(s, 16_777_218.0),
        &["row 1 counts 16777218.0", "2^24"],
    ),
    (
        "too few for the window",
        |s| counted(s, 1.0),
        &["row 1 holds", "steps ago", "has 1 steps so far"],
    ),
    (
        "begun anew by the count alone",
        |s| counted(s, 0.0),
        &["row 1 holds", "has 0 steps so far"],
    ),
];

#[test]
fn counts_that_no_run_leaves_are_refused_by_name() {
    let mut rng = Rng::named(1, "counts");
    for text in [NANO, WINDOW, HYENA] {
        for form in [Form::Step, Form::Parallel] {
            let options = ExportOptions {
                form,
                ..ExportOptions::default()
            };
            let bytes = file(text, &options);
            for options in executions() {
                let model = minrnn_runtime::Model::from_bytes_with(&bytes, &options).unwrap();
                let case = drawn(model.info().input, (2, 1), &mut rng);
                let mut state = model.initial_state(2).unwrap();
                for _ in 0..3 {
                    state = run(&model, &case, &state).unwrap().1;
                }
                for (what, forge, wanted) in FORGED {
                    let mut forged = state.clone();
                    forge(&mut forged);
                    let error = run(&model, &case, &forged).expect_err(what);
                    let said = error.to_string();
                    assert_eq!(error.kind(), ErrorKind::Input, "{what}: {said}");
                    assert!(said.starts_with("state.0."), "{what}: {said}");
                    for part in wanted {
                        assert!(said.contains(part), "{what}: {part:?} in {said}");
                    }
                    let read = model.state_from_bytes(&forged.to_bytes()).expect_err(what);
                    assert_eq!(read.to_string(), said);
                }
            }
        }
    }
}

/// A session takes no such state, and stays where it is.
#[test]
fn a_session_takes_no_forged_count() {
    for text in [NANO, HYENA] {
        let step = ExportOptions {
            form: Form::Step,
            ..ExportOptions::default()
        };
        let model = Arc::new(minrnn_runtime::Model::from_bytes(&file(text, &step)).unwrap());
        let mut session = Session::new(model.clone(), 1).unwrap();
        for id in 0..4 {
            session.step_tokens(&[id]).unwrap();
        }
        let before = session.state().clone();
        let (counts, _) = parts(&before);
        assert!(!counts.is_empty());
        for (count, wanted) in [
            (0.5, "counts 0.5 steps"),
            (41.0, "row 0 counts 41 steps, and the"),
            (3.0, "of 4 steps ago, and its sequence has 3 steps"),
        ] {
            let mut forged = before.clone();
            for name in &counts {
                forged.set(name, &[count]).unwrap();
            }
            let error = session.set_state(forged).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
            assert!(session.state() == &before);
        }
        if let [first, second] = &counts[..] {
            let mut forged = before.clone();
            forged.set(second, &[5.0]).unwrap();
            let error = session.set_state(forged).unwrap_err().to_string();
            let wanted = format!("{second}: row 0 counts 5 steps, and `{first}` 4 of it");
            assert!(error.contains(&wanted), "{error}");
        }
        // All steps are used up: that is a state, and its next step is the error.
        let mut end = before.clone();
        for name in &counts {
            end.set(name, &[40.0]).unwrap();
        }
        session.set_state(end).unwrap();
        let error = session.step_tokens(&[1]).unwrap_err().to_string();
        assert!(error.contains("comes to step 40"), "{error}");
    }
}
