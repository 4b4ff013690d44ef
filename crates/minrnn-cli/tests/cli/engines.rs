//! Engines that are programs: a worker that answers, and one for each way to fail.
//!
//! The worker is this test binary, called for the test `fake_worker` alone. What the test harness prints goes to stderr; frames
//! go to descriptor 3, which the shell makes of stdout.
#![cfg(unix)]

use std::io::{Read, Write};
use std::path::Path;

use minrnn_onnx::builder::Builder;
use minrnn_onnx::ir::{DType, Dim, External, Model, Tensor, TensorData};
use serde_json::{Value as Json, json};

use crate::harness::{Ran, minrnn, snapshot, trained};

/// `y = x + x`, `z = -x`.
fn model() -> Vec<u8> {
    let mut b = Builder::new("twice");
    let dims = vec![Dim::symbol("b"), Dim::symbol("t"), Dim::Fixed(3)];
    let x = b.input("x", DType::F32, dims.clone());
    let (y, z) = (b.add(x, x), b.neg(x));
    b.output("y", y, DType::F32, dims.clone());
    b.output("z", z, DType::F32, dims);
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph: b.finish().unwrap(),
        ..Model::default()
    }
    .encode()
}

/// The command line of a worker that behaves so.
fn worker(way: &str) -> String {
    let this = std::env::current_exe().unwrap();
    let this = this.to_str().unwrap();
    format!("FAKE_WORKER={way} '{this}' --exact engines::fake_worker --nocapture 3>&1 1>&2")
}

/// A file against itself, with such a worker and tract.
fn verify(way: &str, more: &[&str]) -> (Ran, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.onnx"), model()).unwrap();
    let own = format!("my={}", worker(way));
    let usual = ["verify", "a.onnx", "--against", "a.onnx", "--max-len", "3"];
    let engines = ["--engine", &own, "--engine", "tract"];
    let args = [&usual[..], &engines, more].concat();
    (minrnn(dir.path(), &args), dir)
}

#[track_caller]
fn says(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{}", ran.shown());
    for word in words {
        assert!(
            ran.out.contains(word) || ran.err.contains(word),
            "{word}: {}",
            ran.shown()
        );
    }
}

/// Rows of tract in the table.
fn rows_of_tract(ran: &Ran) -> usize {
    let rows = ran.out.lines().filter(|l| l.contains("│ tract "));
    rows.filter(|l| l.contains("yes")).count()
}

#[test]
fn a_worker_that_answers_holds() {
    let (ran, _dir) = verify("answers", &[]);
    says(&ran, 0, &["my 1.5", "Everything holds."]);
    assert_eq!(rows_of_tract(&ran), 4);
    let rows = ran.out.lines().filter(|l| l.contains("│ my 1.5 "));
    assert_eq!(rows.count(), 4, "{}", ran.shown());
}

/// Each way to fail has its own message, decides, and takes nobody else with it.
#[test]
fn each_way_to_fail_is_told() {
    let ways = [
        (
            "prints",
            "it prints to stdout, which is for frames: `loading the model",
        ),
        ("dies", "it ended (exit status: 3); its last words: "),
        ("leaves_out", "it leaves out `z`"),
        ("twice", "it gives `y` twice"),
        ("another_type", "it gives `y` as f64, the file declares f32"),
        ("another_shape", "shapes [1, 1, 4] and [1, 1, 3]"),
        ("long", "its answer has 4294967295 bytes of header"),
        ("cut", "it ended in the midst of an answer"),
        ("no_json", "its answer is not one of the protocol"),
    ];
    for (way, words) in ways {
        let (ran, _dir) = verify(way, &[]);
        says(
            &ran,
            1,
            &[words, "THE FILES HOLD. AN ENGINE DOES NOT.", "my 1.5"],
        );
        assert_eq!(rows_of_tract(&ran), 4, "{}", ran.shown());
    }
}

#[test]
fn a_lie_is_a_wrong_engine_and_no_wrong_file() {
    let (ran, _dir) = verify("lies", &[]);
    says(
        &ran,
        1,
        &[
            "THE FILES HOLD. AN ENGINE DOES NOT.",
            "not the files: my 1.5.",
            "my computes a.onnx wrongly, from node",
        ],
    );
    let judge = ran.out.lines().filter(|l| l.contains("│ judge "));
    assert!(judge.clone().count() > 0 && judge.clone().all(|l| l.contains("yes")));
}

/// The same of a file whose constant lies beside it: `y = x w`.
#[test]
fn the_first_wrong_node_is_found_where_constants_lie_beside() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = Model::decode(&model()).unwrap();
    let graph = &mut file.graph;
    let twice = &mut graph.nodes[0];
    twice.op_type = "Mul".into();
    twice.inputs[1] = "w".into();
    graph.initializers.push(Tensor {
        data: TensorData::External(External {
            location: "w.bin".into(),
            ..External::default()
        }),
        ..Tensor::f32("w", vec![1], &[2.0])
    });
    std::fs::write(dir.path().join("w.bin"), 2f32.to_le_bytes()).unwrap();
    std::fs::write(dir.path().join("a.onnx"), file.encode()).unwrap();
    let own = format!("my={}", worker("lies"));
    let args = [
        "verify",
        "a.onnx",
        "--against",
        "a.onnx",
        "--max-len",
        "3",
        "--engine",
        &own,
    ];
    let ran = minrnn(dir.path(), &args);
    says(
        &ran,
        1,
        &["my computes a.onnx wrongly, from node", "(Mul) on"],
    );
}

#[test]
fn whoever_refuses_all_ran_nothing() {
    let (ran, _dir) = verify("refuses", &[]);
    says(
        &ran,
        2,
        &[
            "my does not run a.onnx: no Scan here",
            "my was asked for and ran no case",
        ],
    );
    let (ran, _dir) = verify("no_hello", &[]);
    says(
        &ran,
        2,
        &[
            "my cannot be used: the device is not there",
            "docs/engines.md",
        ],
    );
    let (ran, _dir) = verify("dies_at_once", &[]);
    says(&ran, 2, &["my cannot be used: it ended (exit status: 4)"]);
}

/// A worker that hangs is not waited for, and what it started is gone with it.
#[test]
fn a_worker_that_hangs_is_ended_with_its_children() {
    let (ran, dir) = verify("hangs", &["--engine-timeout", "3"]);
    says(&ran, 1, &["it did not answer within 3 s", "THE FILES HOLD"]);
    assert_eq!(rows_of_tract(&ran), 4, "{}", ran.shown());
    let child = std::fs::read_to_string(dir.path().join("child")).unwrap();
    let stat = Path::new("/proc").join(child.trim()).join("stat");
    if let Ok(stat) = std::fs::read_to_string(stat) {
        assert!(stat.contains(") Z "), "{stat}");
    }
}

/// The forms of an export, by a worker that gives everything as zeros.
#[test]
fn an_export_is_asked_for_form_by_form() {
    let dir = trained();
    let own = format!("my={}", worker("zeros"));
    let quick = ["--max-len", "3", "--probe-len", "16"];
    let args = [
        &["verify", "export", "--engine", &own, "--json", "-"][..],
        &quick,
    ]
    .concat();
    let ran = minrnn(dir.path(), &args);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
    let report: Json = serde_json::from_str(&ran.out).unwrap();
    let rows = report["rows"].as_array().unwrap();
    for form in ["parallel", "scan", "step"] {
        let row = rows
            .iter()
            .find(|r| r["engine"] == "my 1.5" && r["form"] == form);
        let row = row.unwrap_or_else(|| panic!("{form}: {rows:?}"));
        assert_eq!(row["holds"], false);
        assert!(
            row["note"]
                .as_str()
                .unwrap()
                .starts_with("the engine is wrong")
        );
    }
    let others = rows.iter().filter(|r| r["against"] != "judge");
    assert!(others.clone().count() > 5 && others.clone().all(|r| r["holds"] == true));
    let args = [&["verify", "export", "--engine", "minrnn"][..], &quick].concat();
    let ran = minrnn(dir.path(), &args);
    says(
        &ran,
        0,
        &["minrnn 0.1.0", "parallel in pieces", "Everything holds."],
    );
}

#[test]
fn flags_of_engines_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.onnx"), model()).unwrap();
    let run = |more: &[&str]| {
        let usual = ["verify", "a.onnx", "--against", "a.onnx"];
        minrnn(dir.path(), &[&usual[..], more].concat())
    };
    snapshot("engine_unknown", &run(&["--engine", "none"]));
    snapshot("engine_timeout", &run(&["--engine-timeout", "0"]));
    let nowhere = ["--engine", "onnxruntime", "--python", "/nowhere/python"];
    snapshot("engine_no_python", &run(&nowhere));
    #[cfg(not(feature = "candle-onnx"))]
    snapshot("engine_no_candle", &run(&["--engine", "candle-onnx"]));
}

/// The matrix of one engine, printed.
#[test]
fn the_matrix_is_printed() {
    let dir = trained();
    let args = [
        "bench",
        "engines",
        "export",
        "--engine",
        "tract",
        "--max-len",
        "3",
    ];
    let out = minrnn(dir.path(), &[&args[..], &["--json", "m.json"]].concat()).good();
    assert!(out.contains("| model | type | tract |\n"), "{out}");
    assert!(
        out.contains("### scan") && out.contains("| export | f32 | "),
        "{out}"
    );
    let json = std::fs::read_to_string(dir.path().join("m.json")).unwrap();
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"].as_array().unwrap().len(), 3);
}

/// No test: the worker. Without the variable it does nothing.
#[test]
fn fake_worker() {
    let Ok(way) = std::env::var("FAKE_WORKER") else {
        return;
    };
    serve(|request, feeds| answer(&way, request, feeds));
}

/// Answers requests with frames, to the end of stdin.
pub(crate) fn serve(mut answer: impl FnMut(&Json, &[(Json, Vec<u8>)]) -> Vec<Vec<u8>>) -> ! {
    let mut frames = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/fd/3")
        .unwrap();
    let mut stdin = std::io::stdin();
    let mut start = [0; 4];
    while stdin.read_exact(&mut start).is_ok() {
        let mut header = vec![0; u32::from_le_bytes(start) as usize];
        stdin.read_exact(&mut header).unwrap();
        let request: Json = serde_json::from_slice(&header).unwrap();
        let mut feeds = vec![];
        for t in request["tensors"].as_array().into_iter().flatten() {
            let mut data = vec![0; bytes(t)];
            stdin.read_exact(&mut data).unwrap();
            feeds.push((t.clone(), data));
        }
        for part in answer(&request, &feeds) {
            frames.write_all(&part).unwrap();
        }
        frames.flush().unwrap();
    }
    std::process::exit(0);
}

pub(crate) fn bytes(tensor: &Json) -> usize {
    let shape = tensor["shape"].as_array().unwrap().iter();
    let count: u64 = shape.map(|d| d.as_u64().unwrap()).product();
    let width = match tensor["type"].as_str().unwrap() {
        "float32" => 4,
        "int64" => 8,
        other => panic!("{other}"),
    };
    count as usize * width
}

pub(crate) fn frame(header: Json, data: &[u8]) -> Vec<Vec<u8>> {
    let text = header.to_string().into_bytes();
    let length = u32::try_from(text.len()).unwrap();
    vec![length.to_le_bytes().to_vec(), text, data.to_vec()]
}

fn answer(way: &str, request: &Json, feeds: &[(Json, Vec<u8>)]) -> Vec<Vec<u8>> {
    match (way, request["do"].as_str().unwrap()) {
        ("no_hello", _) => frame(json!({"refused": "the device is not there"}), &[]),
        ("dies_at_once", _) => std::process::exit(4),
        (_, "hello") => frame(json!({"ok": true, "name": "fake", "version": "1.5"}), &[]),
        ("refuses", "open") => frame(json!({"refused": "no Scan here\nand more"}), &[]),
        (_, "run") => ran(way, request, feeds),
        _ => frame(json!({"ok": true}), &[]),
    }
}

fn ran(way: &str, request: &Json, feeds: &[(Json, Vec<u8>)]) -> Vec<Vec<u8>> {
    if way == "zeros" {
        // Of the right shapes only where all are as the first input is; a wrong shape is wrong as well.
        let wanted = request["wanted"].as_array().unwrap();
        let shape = json!([1, 1, 1]);
        let tensors = wanted.iter();
        let tensors: Vec<Json> = tensors
            .map(|n| json!({"name": n, "type": "float32", "shape": shape}))
            .collect();
        let zeros = vec![0; 4 * tensors.len()];
        return frame(json!({"ok": true, "tensors": tensors}), &zeros);
    }
    let (x, data) = &feeds[0];
    let (values, _) = data.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let mut shape = x["shape"].clone();
    let [mut y, z] = [2.0, -1.0].map(|k| values.iter().map(|v| k * v).collect::<Vec<f32>>());
    let mut kind = "float32";
    match way {
        "prints" => return vec![b"loading the model\n".to_vec()],
        "dies" => {
            std::io::stderr().write_all(b"out of cheese\n").unwrap();
            std::process::exit(3);
        }
        "long" => return vec![vec![0xff; 4]],
        "no_json" => return vec![4u32.to_le_bytes().to_vec(), b"nope".to_vec()],
        "hangs" => {
            let child = std::process::Command::new("sleep").arg("300").spawn();
            std::fs::write("child", child.unwrap().id().to_string()).unwrap();
            std::thread::sleep(std::time::Duration::from_secs(300));
        }
        "lies" => y.iter_mut().for_each(|v| *v += 0.1),
        "another_type" => kind = "float64",
        "another_shape" => {
            let rows = y.len() / 3;
            y = vec![0.0; 4 * rows];
            shape[2] = json!(4);
        }
        _ => {}
    }
    let meta =
        |name: &str, kind: &str, shape: &Json| json!({"name": name, "type": kind, "shape": shape});
    let mut tensors = vec![meta("y", kind, &shape), meta("z", "float32", &x["shape"])];
    let mut data: Vec<u8> = match kind {
        "float64" => y.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
        _ => y.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    match way {
        "leaves_out" => {
            tensors.pop();
        }
        "twice" => {
            tensors[1] = meta("y", "float32", &x["shape"]);
            data.extend(z.iter().flat_map(|v| v.to_le_bytes()));
        }
        _ => data.extend(z.iter().flat_map(|v| v.to_le_bytes())),
    }
    let all = frame(json!({"ok": true, "tensors": tensors}), &data);
    if way == "cut" {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/fd/3")
            .unwrap();
        file.write_all(&all.concat()[..20]).unwrap();
        std::process::exit(0);
    }
    all
}
