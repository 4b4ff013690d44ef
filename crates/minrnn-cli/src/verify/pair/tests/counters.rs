//! States that count steps: drawn as what they are, and what is said where nothing says that they are.

#[expect(dead_code, reason = "its list of files is of another crate's folder")]
#[path = "../../../../../../tests/golden/read.rs"]
mod read;

use std::path::PathBuf;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model as Network;
use minrnn_model::params::Params;
use minrnn_onnx::export::{DirOptions, StateLayout, StateNames, write_export};
use minrnn_onnx::ir::{Attr, Graph, Model as File, Tensor as Constant};

use super::graphs::{Folder, floats, node, noted, same};
use super::*;

/// Positions of a recurrence, all of nanoGPT's block, and a window without positions.
pub(super) const MODELS: [&str; 3] = [
    "width = 6\nlayers = 2\npositions = 40\n[input]\nvocab = 5\n[head]\nwidth = 5\n",
    "width = 8\nlayers = 1\nnorm = 'layer'\npositions = 40\n[input]\nvocab = 5\n[head]\nwidth = 5\n\
     [cell]\nkind = 'attention'\nheads = 2\n[mlp]\n",
    "width = 6\nlayers = 1\n[input]\nfeatures = 3\n[head]\nwidth = 2\nkind = 'values'\n\
     [cell]\nkind = 'attention'\nheads = 3\nwindow = 20\n",
];

pub(super) fn made(text: &str) -> (Network, Params) {
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Network::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    (model, params)
}

pub(super) fn exported(
    (model, params): &(Network, Params),
    change: impl FnOnce(&mut DirOptions),
) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut options = DirOptions::default();
    change(&mut options);
    write_export(dir.path(), model, params, &options).unwrap();
    dir
}

/// Golden models that count their steps, by name.
fn golden() -> Vec<(String, (Network, Params))> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    paths.sort();
    let mut all = vec![];
    for path in paths {
        let golden = read::Golden::read(&std::fs::read(&path).unwrap()).unwrap();
        let model = Network::from_config(&golden.config).unwrap();
        if !model.graph().counters().is_empty() {
            let params = golden.params(&model);
            all.push((path.display().to_string(), (model, params)));
        }
    }
    all
}

#[track_caller]
fn holds_in_pairs(dir: &std::path::Path, longest: usize, name: &str) {
    let request = Request {
        longest: Some(longest),
        ..Request::default()
    };
    let step = dir.join("model.step.onnx");
    for form in ["parallel", "scan"] {
        let whole = dir.join(format!("model.{form}.onnx"));
        let pair = compare(&whole, &step, Kind::Step, &request, &mut |_, _, _| ());
        let pair = pair.unwrap_or_else(|e| panic!("{name} {form}: {e:#}"));
        assert!(
            pair.holds,
            "{name} {form}: {:#?}\n{:#?}",
            pair.rows, pair.notes
        );
        let counted = Two::open(&whole, &step, Kind::Step, &request).unwrap();
        assert!(counted.face.states.iter().any(|s| s.counts), "{name}");
    }
}

#[test]
fn golden_models_that_count_hold_in_pairs() {
    let golden = golden();
    assert!(golden.len() >= 2, "both with the mixer Hyena");
    for (name, made) in golden {
        let dir = exported(&made, |_| {});
        holds_in_pairs(dir.path(), 24, &name);
    }
}

#[test]
fn positions_and_attention_hold_in_pairs() {
    for text in MODELS {
        let dir = exported(&made(text), |_| {});
        holds_in_pairs(dir.path(), 40, text);
    }
}

/// Names and layouts are found in the metadata, not guessed.
#[test]
fn counters_of_other_names_hold_in_pairs() {
    for text in &MODELS[..2] {
        let made = made(text);
        for layout in [StateLayout::Separate, StateLayout::Stacked] {
            let dir = exported(&made, |o| {
                o.options.state_names = StateNames::Icefall;
                o.options.state_layout = layout;
            });
            holds_in_pairs(dir.path(), 40, text);
        }
    }
}

/// Counters are whole numbers that leave room for the case, up to the table's end, where there is none.
#[test]
fn counters_are_drawn_within_the_positions() {
    let dir = exported(&made(MODELS[0]), |_| {});
    let files = ["parallel", "step"].map(|f| dir.path().join(format!("model.{f}.onnx")));
    let two = Two::open(&files[0], &files[1], Kind::Step, &Request::default()).unwrap();
    let cases = two.cases(40, &mut Rng::named(0, "cases")).unwrap();
    let at = two.face.states.iter().position(|s| s.counts).unwrap();
    let mut largest = 0.0f64;
    for case in cases.iter().filter(|c| c.states.is_some()) {
        let counts = case.states.as_ref().unwrap()[at].values(Reading::Exact);
        for count in counts {
            assert!(count >= 0.0 && count == count.trunc(), "{count}");
            assert!(count + case.time as f64 <= 40.0, "{count} at {}", case.time);
            largest = largest.max(count);
        }
    }
    assert!(largest > 4.0, "{largest}");
}

/// A file of another program: `y[t] = x[t] + table[n + t]`, by one step or many, which says nothing of its counter.
pub(super) fn counted(step: bool, rows: i64) -> Graph {
    let time = if step { "B,2" } else { "B,T,2" };
    let table: Vec<f32> = (0..rows * 2).map(|i| (i as f32 * 0.37).sin()).collect();
    let one = Constant::f32("one", vec![1], &[1.0]);
    let mut nodes = vec![];
    if step {
        nodes.extend([
            node("Cast", &["n"], &["at"], &[("to", Attr::Int(7))]),
            node("Squeeze", &["at", "axis"], &["index"], &[]),
            node("Gather", &["table", "index"], &["row"], &[]),
            node("Add", &["n", "one"], &["n_next"], &[]),
        ]);
    } else {
        nodes.extend([
            node("Slice", &["x", "zero", "end", "axis2"], &["first"], &[]),
            node("Mul", &["first", "nothing"], &["nil"], &[]),
            node("Add", &["nil", "one"], &["ones"], &[]),
            node("CumSum", &["ones", "axis"], &["sums"], &[]),
            node("Unsqueeze", &["n", "axis"], &["begun"], &[]),
            node("Add", &["sums", "begun"], &["counts"], &[]),
            node("Sub", &["counts", "one"], &["before"], &[]),
            node("Cast", &["before"], &["at"], &[("to", Attr::Int(7))]),
            node("Squeeze", &["at", "axis2"], &["index"], &[]),
            node("Gather", &["table", "index"], &["row"], &[]),
            node(
                "Slice",
                &["counts", "last", "far", "axis"],
                &["end_count"],
                &[],
            ),
            node("Squeeze", &["end_count", "axis"], &["n_next"], &[]),
        ]);
    }
    nodes.push(node("Add", &["x", "row"], &["y"], &[]));
    let ints = |name: &str, v: i64| Constant::i64(name, vec![1], &[v]);
    let mut initializers = vec![
        Constant::f32("table", vec![rows, 2], &table),
        one,
        ints("axis", 1),
    ];
    if !step {
        initializers.extend([
            ints("zero", 0),
            ints("end", 1),
            ints("axis2", 2),
            ints("last", -1),
            ints("far", i64::MAX),
            Constant::f32("nothing", vec![1], &[0.0]),
        ]);
    }
    Graph {
        inputs: vec![floats("x", time), floats("n", "B,1")],
        outputs: vec![floats("y", time), floats("n_next", "B,1")],
        nodes,
        initializers,
        ..Graph::default()
    }
}

#[test]
fn a_counter_that_nothing_tells_of_is_asked_for() {
    let folder = Folder::new();
    let request = |state: &str| Request {
        longest: Some(64),
        states: vec![state.parse().unwrap()],
        ..Request::default()
    };
    let pair = |state: &str| {
        let graphs = [counted(false, 64), counted(true, 64)];
        folder.pair(Kind::Step, graphs, &request(state))
    };
    let error = format!("{:#}", pair("n=n_next").unwrap_err());
    assert!(error.contains("--state n=n_next:counts=true"), "{error}");
    assert!(error.contains("random states"), "{error}");
    let held = pair("n=n_next:counts=true").unwrap();
    assert!(held.holds, "{:#?}", held.rows);
    let chunks = held.rows.iter().find(|r| r.check == "in chunks");
    assert!(chunks.is_some_and(|r| r.holds), "{:#?}", held.rows);
}

/// Nothing is drawn where the sequence file takes no states.
#[test]
fn a_counter_that_nothing_draws_is_refused() {
    let mut whole = counted(false, 64);
    whole.inputs.pop();
    whole
        .initializers
        .push(Constant::f32("n", vec![1, 1], &[0.0]));
    let request = Request {
        longest: Some(16),
        states: vec!["n=n_next:counts=true".parse().unwrap()],
        ..Request::default()
    };
    let error = Folder::new()
        .pair(Kind::Step, [whole, counted(true, 64)], &request)
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("counts=true would change nothing"),
        "{error}"
    );
}

/// A longer sequence than the table has rows is another question than the states.
#[test]
fn a_table_that_ends_asks_for_the_longest_length() {
    let graphs = [counted(false, 64), counted(true, 64)];
    let request = Request {
        states: vec!["n=n_next:counts=true".parse().unwrap()],
        ..Request::default()
    };
    let error = Folder::new()
        .pair(Kind::Step, graphs, &request)
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("--max-len N"), "{error}");
}

/// `y = x`, but no number in its first channel where the state is beyond what a step takes, in both files alike; with `else_one` a
/// number in the second one.
fn broken(other: bool) -> Graph {
    let value = if other { 1.0 } else { f32::NAN };
    Graph {
        inputs: vec![floats("x", "B,T,2")],
        outputs: vec![floats("y", "B,T,2")],
        nodes: vec![
            node("Sub", &["x", "x"], &["zero"], &[]),
            node("Add", &["zero", "holes"], &["hole"], &[]),
            node("Add", &["x", "hole"], &["y"], &[]),
        ],
        initializers: vec![Constant::f32("holes", vec![2], &[value, 0.0])],
        ..Graph::default()
    }
}

/// What is no number in either file accuses neither, and clears neither.
#[test]
fn what_is_no_number_in_both_cannot_be_told() {
    let folder = Folder::new();
    let request = super::graphs::request();
    let nan = folder.write("nan.onnx", broken(false));
    let pair = same(&nan, &nan, &request);
    assert!(!pair.holds);
    assert!(pair.rows.iter().all(|r| r.holds), "{:#?}", pair.rows);
    noted(&pair, "neither file has a number");
    noted(&pair, "the first at [0, 0, 0]");
    let report = Report::new(vec![pair]);
    assert!(report.is_open());
    let text = report.text(false);
    assert!(text.contains("IT CANNOT BE TOLD"), "{text}");
    assert!(text.contains("cannot be told │"), "{text}");
    // A number against none is a difference.
    let number = folder.write("number.onnx", broken(true));
    let pair = same(&nan, &number, &request);
    assert!(pair.rows.iter().any(|r| !r.holds), "{:#?}", pair.rows);
    assert!(!Report::new(vec![pair]).is_open());
}

/// A file of ours of which the metadata does not say that a state counts is no file of which a table is exceeded in silence.
#[test]
fn metadata_that_miss_the_counter_are_no_accusation() {
    let dir = exported(&made(MODELS[0]), |_| {});
    for form in ["scan", "step"] {
        let path = dir.path().join(format!("model.{form}.onnx"));
        let mut file = File::decode(&std::fs::read(&path).unwrap()).unwrap();
        for (key, value) in &mut file.metadata {
            if key == "minrnn.states" {
                assert!(value.contains("\"counts\":true"), "{value}");
                *value = value.replace("\"counts\":true,", "");
            }
        }
        std::fs::write(&path, file.encode()).unwrap();
    }
    let request = Request {
        longest: Some(40),
        ..Request::default()
    };
    let [whole, step] = ["scan", "step"].map(|f| dir.path().join(format!("model.{f}.onnx")));
    match compare(&whole, &step, Kind::Step, &request, &mut |_, _, _| ()) {
        Err(error) => {
            let error = format!("{error:#}");
            assert!(
                error.contains("state.0.n=next_state.0.n:counts=true"),
                "{error}"
            );
        }
        Ok(pair) => {
            assert!(
                pair.rows.iter().all(|r| r.holds || r.said.is_some()),
                "{:#?}",
                pair.rows
            );
            noted(&pair, "state.0.n=next_state.0.n:counts=true");
        }
    }
}
