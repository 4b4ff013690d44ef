//! Engines that are timed behind the protocol: one that does what it is asked for, and one for each way to win without.
//!
//! The worker is this test binary, called for the test `fake_engine` alone, as in `engines.rs`; it computes by tract.

use std::time::Instant;

use minrnn_runtime::{AnyModel, Array, Values};
use serde_json::{Value as Json, json};

use super::rows;
use crate::engines::{frame, serve};
use crate::harness::{Ran, minrnn, trained};

/// `bench infer` with such a worker.
fn bench(way: &str, more: &[&str]) -> (Ran, tempfile::TempDir) {
    let dir = trained();
    let this = std::env::current_exe().unwrap();
    let this = this.to_str().unwrap();
    let own = format!(
        "my=FAKE_ENGINE={way} '{this}' --exact bench::timed::fake_engine --nocapture 3>&1 1>&2"
    );
    let usual = ["bench", "infer", "export", "--quick", "--rounds", "2"];
    let args = ["--engine", &own, "--json", "b.json"];
    let only = ["--only", "B=1 T=1 1", "--only", "T=21", "--seq-len", "21"];
    (
        minrnn(dir.path(), &[&usual[..], &args, &only, more].concat()),
        dir,
    )
}

#[test]
fn engines_are_timed_in_one_run_and_compared() {
    let (ran, dir) = bench("honest", &["--engine", "tract", "--baseline", "my"]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert!(ran.out.contains("times my"), "{}", ran.shown());
    let rows = rows(&dir.path().join("b.json"));
    for (engine, form, io) in [
        ("minrnn", "step", "bound"),
        ("minrnn", "parallel", "bound"),
        ("tract", "step", "plain"),
        ("tract", "parallel", "plain"),
        ("my", "step", "plain"),
        ("my", "step", "bound"),
        ("my", "scan", "bound"),
    ] {
        let is = |r: &&Json| r["engine"] == engine && r["form"] == form && r["io"] == io;
        let row = rows.iter().find(is);
        let row = row.unwrap_or_else(|| panic!("{engine} {form} {io}: {rows:?}"));
        assert!(row["us_per_step"].as_f64().unwrap() > 0.0, "{row}");
        let range = row["ratio_range"].as_array().unwrap();
        let [least, most] = [0, 1].map(|i| range[i].as_f64().unwrap());
        let ratio = row["ratio"].as_f64().unwrap();
        assert!(0.0 < least && least <= ratio && ratio <= most, "{row}");
    }
    // Of an engine with both ways, a sequence is run in buffers alone.
    let plain = |r: &&Json| r["engine"] == "my" && r["form"] == "scan" && r["io"] == "plain";
    assert_eq!(rows.iter().find(plain), None);
    let json = std::fs::read_to_string(dir.path().join("b.json")).unwrap();
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(json["baseline"], "my");
    for list in ["call_us", "loads"] {
        let named = |r: &Json| r["engine"] == "my";
        let list = json[list].as_array().unwrap();
        assert!(list.iter().any(named), "{list:?}");
    }
}

/// Whatever is not the work that was asked for has no time, and decides.
#[test]
fn an_engine_that_is_wrong_cannot_win() {
    for (way, words) in [
        (
            "lies",
            "is WRONG and has no time: after 1 calls, `logits` at",
        ),
        ("forgets", "is WRONG and has no time: after "),
        (
            "boasts",
            "is WRONG and has no time: it says that it took 86400 s",
        ),
        (
            "no_clock",
            "is WRONG and has no time: it does not say how long",
        ),
        (
            "leaves_out",
            "is WRONG and has no time: it leaves out `logits`",
        ),
    ] {
        let (ran, dir) = bench(way, &[]);
        assert_eq!(ran.code, Some(1), "{way}: {}", ran.shown());
        assert!(ran.out.contains(words), "{way}: {}", ran.shown());
        let rows = rows(&dir.path().join("b.json"));
        let mut mine = rows.iter().filter(|r| r["engine"] == "my");
        assert!(mine.any(|r| r["us_per_step"].is_null() && r["wrong"].is_string()));
        let ours = |r: &&Json| r["engine"] == "minrnn";
        assert!(rows.iter().filter(ours).all(|r| r["wrong"].is_null()));
    }
}

#[test]
fn whoever_times_nothing_is_named() {
    let (ran, _dir) = bench("refuses", &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let words = [
        "is not timed: no clock here",
        "my was asked for and timed nothing",
    ];
    for word in words {
        let said = ran.out.contains(word) || ran.err.contains(word);
        assert!(said, "{word}: {}", ran.shown());
    }
}

/// No test: the worker. Without the variable it does nothing.
#[test]
fn fake_engine() {
    let Ok(way) = std::env::var("FAKE_ENGINE") else {
        return;
    };
    let mut opened = None;
    serve(|request, feeds| match request["do"].as_str().unwrap() {
        "hello" => frame(
            json!({"ok": true, "name": "fake", "version": "1.5", "io": ["plain", "bound", "other"]}),
            &[],
        ),
        "open" => {
            opened = Some(AnyModel::open(request["path"].as_str().unwrap()).unwrap());
            frame(json!({"ok": true}), &[])
        }
        "time" if way == "refuses" => frame(json!({"refused": "no clock here"}), &[]),
        "time" => time(&way, opened.as_ref().unwrap(), request, feeds),
        _ => frame(json!({"ok": true}), &[]),
    });
}

fn time(way: &str, model: &AnyModel, request: &Json, feeds: &[(Json, Vec<u8>)]) -> Vec<Vec<u8>> {
    let text = |v: &Json| v.as_str().unwrap().to_owned();
    let list = |key: &str| request[key].as_array().unwrap().clone();
    let mut given: Vec<(String, Array)> = feeds
        .iter()
        .map(|(t, d)| (text(&t["name"]), array(t, d)))
        .collect();
    let wanted: Vec<String> = list("wanted").iter().map(text).collect();
    let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let mut last = vec![];
    let begin = Instant::now();
    for _ in 0..request["calls"].as_u64().unwrap() {
        let feeds: Vec<(&str, Array)> =
            given.iter().map(|(n, a)| (n.as_str(), a.clone())).collect();
        last = model.run_for(&feeds, &names).unwrap();
        for pair in list("feedback") {
            let at = wanted.iter().position(|n| *n == pair[0]).unwrap();
            let slot = given.iter_mut().find(|(n, _)| *n == pair[1]).unwrap();
            if way != "forgets" {
                slot.1 = last[at].clone();
            }
        }
    }
    let seconds = match way {
        "boasts" => json!(86400.0),
        "no_clock" => Json::Null,
        _ => json!(begin.elapsed().as_secs_f64()),
    };
    let (mut tensors, mut data) = (vec![], vec![]);
    for (name, array) in wanted.iter().zip(last) {
        let Values::F32(mut values) = array.values else {
            panic!("{name}");
        };
        if way == "leaves_out" && name == "logits" {
            continue;
        }
        if way == "lies" && name == "logits" {
            values[0] += 0.1;
        }
        tensors.push(json!({"name": name, "type": "float32", "shape": array.shape}));
        data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }
    frame(
        json!({"ok": true, "seconds": seconds, "tensors": tensors}),
        &data,
    )
}

fn array(tensor: &Json, data: &[u8]) -> Array {
    let shape = tensor["shape"].as_array().unwrap().iter();
    let shape = shape.map(|d| d.as_u64().unwrap() as usize).collect();
    let values = match tensor["type"].as_str().unwrap() {
        "float32" => Values::F32(
            data.as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
        ),
        "int64" => Values::I64(
            data.as_chunks()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b))
                .collect(),
        ),
        other => panic!("{other}"),
    };
    Array { shape, values }
}
