//! Two files of any program against each other.

use std::fs;
use std::path::{Path, PathBuf};

use minrnn_model::graph::{Input, OutputKind, StateInit};
use minrnn_model::layers::{Candidate, Gates, Linear, MinGru, MinLstm};
use minrnn_model::model::Model as Network;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_onnx::builder::{Builder, Val};
use minrnn_onnx::export::{DirOptions, write_export};
use minrnn_onnx::ir::{Attr, DType, Dim, Graph, Model, Tensor};

use crate::harness::{Ran, minrnn, snapshot, trained};

fn file(graph: Graph, opset: i64) -> Vec<u8> {
    let opsets = vec![(String::new(), opset)];
    Model {
        ir_version: 8,
        opsets,
        graph,
        ..Model::default()
    }
    .encode()
}

/// A recurrent layer that a log-space exporter writes: `h = exp(A + logcumsumexp(log b - A))`, `A` the running sum of `log a`,
/// with the logarithm of the sum taken after a shift by the largest term of the whole sequence. Right on paper; in f32 early
/// terms vanish beside late ones. The axis of `CumSum` is 1-D, as one exporter has it. `weight [D, 2D]`: candidate, gate.
fn log_space(width: usize, weight: &[f32]) -> Vec<u8> {
    let mut b = Builder::new("log_space");
    let dims = vec![Dim::symbol("b"), Dim::symbol("t"), Dim::Fixed(width as i64)];
    let x = b.input("x", DType::F32, dims.clone());
    let w = b.param(Tensor::f32(
        "weight",
        vec![width as i64, 2 * width as i64],
        weight,
    ));
    let axis = b.i64s(&[1]);
    let packed = b.matmul(x, w);
    let parts = b.split(packed, 2, 2);
    let (v, k) = (parts[0], parts[1]);
    let soft = |b: &mut Builder, x: Val| b.node("Softplus", &[x], vec![]);
    let log_a = soft(&mut b, k);
    let log_a = b.neg(log_a);
    let minus = b.neg(k);
    let log_z = soft(&mut b, minus);
    // log g(v), g(v) = relu(v) + sigmoid(-relu(-v)).
    let (positive, minus) = (b.relu(v), b.neg(v));
    let negative = b.relu(minus);
    let folded = b.neg(negative);
    let sigmoid = b.sigmoid(folded);
    let g = b.add(positive, sigmoid);
    let log_g = b.node("Log", &[g], vec![]);
    let log_b = b.sub(log_g, log_z);
    let sum = b.node("CumSum", &[log_a, axis], vec![]);
    let term = b.sub(log_b, sum);
    let largest = b.node(
        "ReduceMax",
        &[term],
        vec![("axes", Attr::Ints(vec![1])), ("keepdims", Attr::Int(1))],
    );
    let shifted = b.sub(term, largest);
    let e = b.exp(shifted);
    let total = b.node("CumSum", &[e, axis], vec![]);
    let log = b.node("Log", &[total], vec![]);
    let back = b.add(log, largest);
    let log_h = b.add(sum, back);
    let h = b.exp(log_h);
    b.output("h", h, DType::F32, dims);
    file(b.finish().unwrap(), 17)
}

/// Our own model with that weight, parts of the other one's columns in our order; exported to `dir`.
fn ours(dir: &Path, gates: &dyn Gates, width: usize, weight: &[f32], order: &[usize]) {
    let parts = order.len();
    let columns: Vec<f32> = weight
        .chunks(parts * width)
        .flat_map(|row| {
            order
                .iter()
                .flat_map(move |p| &row[p * width..(p + 1) * width])
        })
        .copied()
        .collect();
    let config = serde_json::json!({});
    let model = Network::trace(
        Input::Features { width },
        OutputKind::Values,
        config,
        |g, x| {
            g.block(0, |g| {
                let packed = g.apply(&Linear::new("in", parts * width, false), x)?;
                g.apply(&*gates.cell(StateInit::Zero), packed)
            })
        },
    )
    .unwrap();
    let name = model.graph().params()[0].name.clone();
    let params = [(name, (vec![width, parts * width], columns))]
        .into_iter()
        .collect();
    let params = Params::from_named(model.graph(), params).unwrap();
    write_export(dir, &model, &params, &DirOptions::default()).unwrap();
}

fn weights(count: usize) -> Vec<f32> {
    let mut rng = Rng::named(5, "weights");
    (0..count).map(|_| rng.normal() as f32 * 0.4).collect()
}

fn code(ran: &Ran, want: i32) {
    assert_eq!(ran.code, Some(want), "{}", ran.shown());
}

/// The reference must pass over short sequences and fail over long ones, and the first operation to lose its digits is
/// the logarithm of a sum that has become 0.
fn collapses(dir: &Path, reference: &str) {
    let short = minrnn(
        dir,
        &["verify", "--against", reference, "ours", "--max-len", "16"],
    );
    code(&short, 0);
    assert!(short.out.contains("is taken as 0-D"), "{}", short.shown());
    for form in ["ours", "ours/model.parallel.onnx"] {
        let long = [
            "verify",
            "--against",
            reference,
            form,
            "--max-len",
            "256",
            "--json",
            "-",
        ];
        let ran = minrnn(dir, &long);
        code(&ran, 1);
        let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(report["schema"], "minrnn.verify.pair/2");
        for pair in report["pairs"].as_array().unwrap() {
            let row = &pair["rows"][0];
            let zeros = |i: usize| row["zeros"][i].as_f64().unwrap();
            assert!(zeros(0) > 0.05 && zeros(1) == 0.0, "{row}");
            assert!(row["worst"]["time"].as_u64().unwrap() == 256, "{row}");
            let notes = pair["notes"].to_string();
            assert!(notes.contains("loses its digits"), "{notes}");
        }
    }
    let bisect = minrnn(
        dir,
        &[
            "verify",
            "--against",
            reference,
            "ours/model.scan.onnx",
            "--max-len",
            "256",
            "--bisect",
            "--json",
            "-",
        ],
    );
    code(&bisect, 1);
    let report: serde_json::Value = serde_json::from_str(&bisect.out).unwrap();
    let culprit = &report["pairs"][0]["bisect"];
    assert_eq!(
        (&culprit["kind"], &culprit["operator"]),
        (&"rounding".into(), &"Log".into()),
        "{culprit}"
    );
}

#[test]
fn a_log_space_export_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let weight = weights(16 * 32);
    fs::write(dir.path().join("theirs.onnx"), log_space(16, &weight)).unwrap();
    ours(
        &dir.path().join("ours"),
        &MinGru {
            candidate: Candidate::G,
        },
        16,
        &weight,
        &[1, 0],
    );
    collapses(dir.path(), "theirs.onnx");
}

/// The exports of another framework, where the folder with them is given.
#[test]
fn exports_of_another_framework_are_caught() {
    let Some(folder) = std::env::var_os("MINRNN_TEST_ANCHORS").map(PathBuf::from) else {
        return;
    };
    let gru = MinGru {
        candidate: Candidate::G,
    };
    let lstm = MinLstm {
        candidate: Candidate::G,
        normalize: true,
    };
    let all: [(&str, &dyn Gates, &[usize]); 2] = [
        ("torch-minGRU-dynamo.onnx", &gru, &[1, 0]),
        // Theirs: candidate, forget gate, input gate.
        ("torch-minLSTM-dynamo.onnx", &lstm, &[1, 2, 0]),
    ];
    for (name, gates, order) in all {
        let dir = tempfile::tempdir().unwrap();
        let bytes = fs::read(folder.join(name)).unwrap();
        fs::write(dir.path().join("theirs.onnx"), &bytes).unwrap();
        let model = Model::decode(&bytes).unwrap();
        let weight = model
            .graph
            .initializers
            .iter()
            .find(|t| t.name == "val_1")
            .unwrap();
        let width = weight.dims[0] as usize;
        ours(
            &dir.path().join("ours"),
            gates,
            width,
            &weight.to_f32().unwrap(),
            order,
        );
        collapses(dir.path(), "theirs.onnx");
    }
}

/// `h = tanh(x w + a h)`, one step or a few written out, of names that only it has.
fn foreign(steps: Option<usize>, decay: f32) -> Vec<u8> {
    let mut b = Builder::new("foreign");
    let row = |mut dims: Vec<Dim>| {
        dims.insert(0, Dim::symbol("n"));
        dims.push(Dim::Fixed(3));
        dims
    };
    let w = b.param(Tensor::f32("w", vec![3, 3], &weights(9)));
    let a = b.f32(decay);
    let x = b.input(
        "signal",
        DType::F32,
        row(steps.map(|t| Dim::Fixed(t as i64)).into_iter().collect()),
    );
    let mut h = b.input("memory", DType::F32, row(vec![]));
    let mut all = vec![];
    for t in 0..steps.unwrap_or(1) {
        let x = match steps {
            Some(_) => {
                let one = b.slice_at(x, t as i64, t as i64 + 1, 1);
                b.squeeze(one, 1)
            }
            None => x,
        };
        let (u, kept) = (b.matmul(x, w), b.mul(h, a));
        let sum = b.add(u, kept);
        h = b.tanh(sum);
        all.push(b.unsqueeze(h, 1));
    }
    let y = match steps {
        Some(_) => b.concat(&all, 1),
        None => b.neg(h),
    };
    let y = if steps.is_some() { b.neg(y) } else { y };
    b.output(
        "out",
        y,
        DType::F32,
        row(steps.map(|t| Dim::Fixed(t as i64)).into_iter().collect()),
    );
    b.output("memory_next", h, DType::F32, row(vec![]));
    file(b.finish().unwrap(), 17)
}

fn foreign_folder(steps: usize, decay: f32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("whole.onnx"), foreign(Some(steps), 0.5)).unwrap();
    fs::write(dir.path().join("step.onnx"), foreign(None, decay)).unwrap();
    dir
}

const FILES: [&str; 5] = ["verify", "--sequence", "whole.onnx", "--step", "step.onnx"];

#[test]
fn files_of_another_program_agree_or_not() {
    let with = |dir: &Path, more: &[&str]| minrnn(dir, &[&FILES[..], more].concat());
    let state = ["--state", "memory=memory_next:init=0.25"];
    let good = foreign_folder(6, 0.5);
    code(&with(good.path(), &state), 0);
    fs::write(good.path().join("states.toml"), "[[state]]\ninput = 'memory'\noutput = 'memory_next'\nbatch = 0\ninitial = [0.25, -1.0, 2]\n").unwrap();
    code(&with(good.path(), &["--states", "states.toml"]), 0);
    // Another weight shows in outputs and states, and an absolute tolerance lets it pass.
    let bad = foreign_folder(6, 0.501);
    let ran = with(bad.path(), &[&state[..], &["--json", "-"]].concat());
    code(&ran, 1);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let rows = report["pairs"][0]["rows"].as_array().unwrap();
    // The judge holds the files to each other; an engine is held to the judge, and is right about both.
    assert!(
        rows.iter()
            .filter(|r| r["check"] != "back to a state")
            .all(|r| r["holds"] == (r["by"] != "judge")),
        "{rows:?}"
    );
    let needed = rows
        .iter()
        .map(|r| r["min_tolerance"].as_f64().unwrap())
        .fold(0.0, f64::max);
    let given = |f: f64| {
        with(
            bad.path(),
            &[&state[..], &["--tolerance", &f.to_string()]].concat(),
        )
    };
    code(&given(needed), 0);
    code(&given(needed * 0.99), 1);
}

#[test]
fn what_cannot_be_found_is_asked_for() {
    let dir = foreign_folder(4, 0.5);
    let with = |more: &[&str]| minrnn(dir.path(), &[&FILES[..], more].concat());
    let refused = |name: &str, ran: Ran| {
        code(&ran, 2);
        snapshot(name, &ran);
    };
    // Nothing says that `memory` is a state, so it goes from file to file as an input without time.
    refused("pair_unknown_state", with(&["--state", "memo=memory_next"]));
    refused(
        "pair_wrong_axis",
        with(&["--state", "memory=memory_next:batch=7"]),
    );
    refused("pair_bad_state", with(&["--state", "memory"]));
    refused(
        "pair_no_step",
        minrnn(dir.path(), &["verify", "--sequence", "whole.onnx"]),
    );
    refused("pair_nothing", minrnn(dir.path(), &["verify"]));
    refused(
        "pair_flag_without_files",
        minrnn(dir.path(), &["verify", "somewhere", "--tolerance", "1"]),
    );
    refused(
        "pair_no_file",
        minrnn(
            dir.path(),
            &["verify", "--against", "none.onnx", "step.onnx"],
        ),
    );
}

/// A name that no file has, or that nothing asks for, was taken without a word: what it was to say was not said.
#[test]
fn names_that_the_files_do_not_have_are_refused() {
    let dir = foreign_folder(4, 0.5);
    let same = ["verify", "step.onnx", "--against", "step.onnx"];
    let state = ["--state", "memory=memory_next"];
    let with = |base: &[&str], more: &[&str]| minrnn(dir.path(), &[base, more].concat());
    let cases: [(&[&str], &str); 15] = [
        (&["--map", "signal=signol"], "was `signal` meant?"),
        (
            &["--map", "memori=memory"],
            "has no input and no output `memori`",
        ),
        (
            &["--map", "memory=out"],
            "one is an input and the other an output",
        ),
        (
            &["--map", "memory=signal", "--map", "memory=memory"],
            "name one tensor twice",
        ),
        (
            &["--map", "signal=memory", "--map", "memory=memory"],
            "name one tensor twice",
        ),
        (&["--input", "sginal=B,3"], "--input sginal: neither"),
        (
            &["--input", "signal=B,4"],
            "--input signal: says 4 entries along axis 1, where there are 3",
        ),
        (
            &["--input", "signal=B,3", "--input", "signal=B,T,3"],
            "--input signal is given twice",
        ),
        (&["--value", "mem=1"], "--value mem: neither"),
        (&["--value", "out=1"], "(it is an output)"),
        (
            &["--value", "memory=1", "--value", "memory=2"],
            "--value memory is given twice",
        ),
        (
            &["--dim", "m=2"],
            "--dim m: `m` is no named dimension of an input of either file; there is n",
        ),
        (&["--dim", "n=2", "--dim", "n=3"], "--dim n is given twice"),
        (&["--state", "memo=memory_next"], "has no input `memo`"),
        (
            &[state[0], state[1], state[0], "memory=out"],
            "name one tensor twice",
        ),
    ];
    for (more, words) in cases {
        let ran = with(&same, more);
        code(&ran, 2);
        assert!(ran.err.contains(words), "{}", ran.shown());
        // Of a sequence and its steps too, where the name alone tells.
        if !more[1].starts_with("signal=B") {
            let ran = with(&FILES, more);
            code(&ran, 2);
            assert!(ran.err.contains(words), "{}", ran.shown());
        }
    }
    let ran = with(&same, &[&state[..], &["--value", "memory=1"]].concat());
    code(&ran, 2);
    assert!(
        ran.err
            .contains("--value memory would change nothing: it is a state"),
        "{}",
        ran.shown()
    );
    snapshot(
        "pair_unknown_map",
        &with(&FILES, &["--map", "signal=signals"]),
    );
    // What they have is taken.
    let said = [
        "--map",
        "signal=signal",
        "--dim",
        "n=2",
        "--input",
        "signal=B,3",
    ];
    with(&same, &[&state[..], &said].concat()).good();
}

#[test]
fn an_export_is_searched_for_the_first_difference() {
    let dir = trained();
    let run = |args: &[&str]| {
        minrnn(
            dir.path(),
            &[&["verify", "export", "--bisect", "--max-len", "3"], args].concat(),
        )
    };
    let good = run(&[]).good();
    assert_eq!(
        good.matches("no operation was found to differ").count(),
        2,
        "{good}"
    );
    // A weight of the step file changed, in a file that is compared by itself.
    let path = dir.path().join("export/model.step.onnx");
    let mut model = Model::decode(&fs::read(&path).unwrap()).unwrap();
    let node = model
        .graph
        .nodes
        .iter()
        .rfind(|n| n.op_type == "MatMul")
        .unwrap()
        .clone();
    let weight = model
        .graph
        .initializers
        .iter_mut()
        .find(|t| t.name == node.inputs[1])
        .unwrap();
    let mut values = weight.to_f32().unwrap();
    values[1] += 0.01;
    *weight = Tensor::f32(weight.name.clone(), weight.dims.clone(), &values);
    fs::write(dir.path().join("bad.onnx"), model.encode()).unwrap();
    let ran = minrnn(
        dir.path(),
        &[
            "verify",
            "--sequence",
            "export/model.scan.onnx",
            "--step",
            "bad.onnx",
            "--bisect",
            "--max-len",
            "3",
        ],
    );
    code(&ran, 1);
    assert!(
        ran.out
            .contains(&format!("first to differ: node `{}` (MatMul)", node.name)),
        "{}",
        ran.shown()
    );
}
