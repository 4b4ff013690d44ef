//! `bench infer`: what it writes. Its figures are not looked at.

#[cfg(unix)]
mod timed;

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::harness::{minrnn, snapshot, trained};

fn rows(path: &Path) -> Vec<Json> {
    let text = fs::read_to_string(path).unwrap();
    let report: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(report["schema"], "minrnn.bench.infer/2");
    report["rows"].as_array().unwrap().clone()
}

#[test]
fn rows_have_what_the_schema_says() {
    let dir = trained();
    let args = [
        "bench", "infer", "export", "--quick", "--rounds", "1", "--json", "b.json",
    ];
    let text = minrnn(dir.path(), &args).good();
    assert!(text.contains("minrnn"), "{text}");
    let rows = rows(&dir.path().join("b.json"));
    let forms: Vec<&str> = rows.iter().map(|r| r["form"].as_str().unwrap()).collect();
    assert!(
        forms.contains(&"step") && forms.contains(&"parallel"),
        "{forms:?}"
    );
    for row in &rows {
        assert_eq!(row["dtype"], "f32", "{row}");
        for key in ["batch", "seq_len"] {
            assert!(row[key].as_u64().is_some_and(|n| n > 0), "{key}: {row}");
        }
        for key in ["us_per_step", "tokens_per_s"] {
            assert!(row[key].as_f64().is_some_and(|x| x > 0.0), "{key}: {row}");
        }
        // No other engine was named: it is as fast as itself.
        assert!(row["engine"] == "minrnn" && row["ratio"] == 1.0, "{row}");
        assert!(row["wrong"].is_null() && row["refused"].is_null(), "{row}");
    }
}

#[test]
fn what_cannot_be_measured_is_named() {
    let dir = trained();
    for (name, args) in [
        (
            "bench_infer_no_row",
            &["export", "--only", "no such row"][..],
        ),
        ("bench_infer_no_folder", &["nowhere"]),
        (
            "bench_infer_no_python",
            &[
                "export",
                "--engine",
                "onnxruntime",
                "--python",
                "no-such-python",
            ],
        ),
        (
            "bench_infer_python_alone",
            &["export", "--engine", "tract", "--python", "python3"],
        ),
        (
            "bench_infer_timeout_alone",
            &["export", "--engine-timeout", "9"],
        ),
        (
            "bench_infer_baseline",
            &["export", "--baseline", "openvino"],
        ),
        ("bench_infer_seq_len", &["export", "--seq-len", "99999"]),
        (
            "bench_infer_seq_len_of_steps",
            &["export", "--seq-len", "9", "--only", "step"],
        ),
        ("bench_infer_threads", &["--threads", "0"]),
    ] {
        let ran = minrnn(
            dir.path(),
            &[&["bench", "infer", "--quiet", "--quick"], args].concat(),
        );
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        snapshot(name, &ran);
    }
}
