//! Files that stop where others go on: counters that run ahead of a table, and lengths that were asked for.

use minrnn_onnx::ir::{Graph, Model as File, Tensor as Constant};

use super::counters::{MODELS, counted, exported, made};
use super::graphs::{Folder, noted};
use super::*;

/// The step file of [`counted`] with another step of its counter.
fn counting_by(more: f32, rows: i64) -> Graph {
    let mut graph = counted(true, rows);
    for t in &mut graph.initializers {
        if t.name == "one" {
            *t = Constant::f32("one", vec![1], &[more]);
        }
    }
    graph
}

/// A counter that goes up by 2 leaves the table before the sequence ends: where both files run they differ, and where one alone is
/// refused that is a difference too.
#[test]
fn a_counter_that_runs_ahead_is_a_wrong_pair() {
    for (rows, longest) in [
        (64, Some(64)),
        (64, None),
        (64, Some(17)),
        (20, None),
        (20, Some(20)),
    ] {
        for state in ["n=n_next:counts=true", "n=n_next"] {
            let request = Request {
                longest,
                states: vec![state.parse().unwrap()],
                ..Request::default()
            };
            let graphs = [counted(false, rows), counting_by(2.0, rows)];
            let pair = Folder::new().pair(Kind::Step, graphs, &request);
            let pair = pair.unwrap_or_else(|e| panic!("{rows} {longest:?} {state}: {e:#}"));
            assert!(!pair.holds);
            let whole = pair
                .rows
                .iter()
                .find(|r| r.check == "whole" && r.tensor == "y");
            let worst = whole.and_then(|r| r.worst.as_ref());
            assert!(worst.is_some(), "{:#?}", pair.rows);
            if longest == Some(rows as usize) {
                let said = pair.rows.iter().find_map(|r| r.said.clone());
                let said = said.unwrap_or_default();
                assert!(said.contains("b.onnx refuses what "), "{said}");
                assert!(said.contains(&format!("index {rows} of {rows}")), "{said}");
            }
        }
    }
}

/// A refusal is all that tells two files apart: a NO where the length was asked for, else the option.
#[test]
fn a_file_that_stops_alone_is_no_file_that_goes_on() {
    let pair = |longest| {
        let request = Request {
            longest,
            states: vec!["n=n_next:counts=true".parse().unwrap()],
            ..Request::default()
        };
        let mut step = counted(true, 64);
        // The same rows, as far as they go.
        let table: Vec<f32> = (0..40).map(|i| (i as f32 * 0.37).sin()).collect();
        step.initializers[0] = Constant::f32("table", vec![20, 2], &table);
        Folder::new().pair(Kind::Step, [counted(false, 64), step], &request)
    };
    let found = pair(Some(40)).unwrap();
    assert!(!found.holds);
    let wrong: Vec<_> = found.rows.iter().filter(|r| !r.holds).collect();
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    let text = Report::new(vec![found]).text(false);
    for words in [
        "NO",
        "b.onnx refuses what ",
        "initial states, step 20): node",
        "index 20 of 20",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(pair(Some(20)).unwrap().holds);
    let error = format!("{:#}", pair(None).unwrap_err());
    assert!(error.contains("--max-len N"), "{error}");
}

/// A step file of ours says by its model how many steps it takes; what was asked for beyond that is told.
#[test]
fn step_files_of_ours_end_where_their_positions_do() {
    for text in &MODELS[..2] {
        let dir = exported(&made(text), |_| {});
        let step = dir.path().join("model.step.onnx");
        for longest in [None, Some(5000)] {
            let request = Request {
                longest,
                ..Request::default()
            };
            let pair = compare(&step, &step, Kind::Same, &request, &mut |_, _, _| ());
            let pair = pair.unwrap_or_else(|e| panic!("{longest:?}: {e:#}"));
            assert!(pair.holds, "{:#?}", pair.rows);
            noted(&pair, "T = 1 to 40");
            let told = "T = 5000 was asked for, and the files take up to T = 40";
            let notes = pair.notes.iter().filter(|n| n.contains(told)).count();
            assert_eq!(notes, usize::from(longest.is_some()));
        }
    }
}

/// One of ours whose counter goes up by 2.
#[test]
fn a_counter_of_ours_that_runs_ahead_is_found() {
    let dir = exported(&made(MODELS[0]), |_| {});
    let [whole, step] = ["scan", "step"].map(|f| dir.path().join(format!("model.{f}.onnx")));
    let mut file = File::decode(&std::fs::read(&step).unwrap()).unwrap();
    let add = file.graph.nodes.iter_mut();
    let mut add = add.filter(|n| n.name == "/input/position/layers.0/Add");
    let inputs = &mut add.next().unwrap().inputs;
    let one = inputs.iter_mut().find(|i| i.contains("1e0"));
    *one.unwrap() = "two".into();
    let two = Constant::f32("two", vec![], &[2.0]);
    file.graph.initializers.push(two);
    std::fs::write(&step, file.encode()).unwrap();
    for longest in [None, Some(40)] {
        let request = Request {
            longest,
            ..Request::default()
        };
        let pair = compare(&whole, &step, Kind::Step, &request, &mut |_, _, _| ()).unwrap();
        assert!(!pair.holds);
        let worst = pair
            .rows
            .iter()
            .find(|r| r.check == "whole" && r.worst.is_some());
        assert!(worst.is_some(), "{:#?}", pair.rows);
    }
}
