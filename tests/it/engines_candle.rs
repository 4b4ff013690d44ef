//! candle-onnx, an engine with few operators and its own reading of them: exported files against the oracle.

mod traps;

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor, WithDType};
use candle_onnx::onnx::ModelProto;
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Form, Lowering, Target, Weights, write_export,
};

use crate::matrix::{Array, Engine, FIXED, Feed, Results, Values, cases, variants, words};

/// A file as candle-onnx reads it; it reads it again in each run.
struct Candle(ModelProto);

impl Engine for Candle {
    fn open(bytes: &[u8]) -> Result<Self, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Ok(Self(
            candle_onnx::read_file(file.path()).map_err(|e| e.to_string())?,
        ))
    }

    fn run(&self, feed: Feed) -> Result<Results, String> {
        let feed = feed.into_iter().map(|(name, x)| (name, tensor(x)));
        let results = candle_onnx::simple_eval(&self.0, feed.collect());
        let results = results.map_err(|e| e.to_string())?;
        let plain = |(name, x): (String, Tensor)| {
            assert_eq!(x.dtype(), DType::F32, "{name}");
            let values = x.flatten_all().and_then(|x| x.to_vec1()).unwrap();
            (name, (x.dims().to_vec(), values))
        };
        Ok(results.into_iter().map(plain).collect())
    }
}

fn tensor(x: Array) -> Tensor {
    fn make<T: WithDType>(values: Vec<T>, shape: &[usize]) -> Tensor {
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }
    match x.values {
        Values::F32(v) => make(v, &x.shape),
        Values::I64(v) => make(v, &x.shape),
        // The type that it reads bool as.
        Values::Bool(v) => make(v.into_iter().map(u8::from).collect(), &x.shape),
    }
}

#[test]
fn files_for_candle_are_the_oracles() {
    let mut rows = BTreeSet::new();
    for case in cases() {
        for options in variants(&case, Target::Candle) {
            let what = words(&options);
            if let Err(said) = case.check::<Candle>(&options, &what) {
                panic!("{}, {what}: {said}", case.name);
            }
            rows.insert(what);
        }
    }
    insta::assert_snapshot!("candle", rows.into_iter().collect::<Vec<_>>().join("\n"));
}

/// `minrnn verify --engine candle-onnx` runs the files, and holds them to the judge.
#[test]
fn verify_has_it_as_a_witness() {
    let dir = tempfile::tempdir().unwrap();
    let case = cases()
        .into_iter()
        .find(|c| c.name == "lstm_tokens")
        .unwrap();
    let choices = Target::Candle.choices();
    let options = DirOptions {
        forms: choices.forms.to_vec(),
        options: ExportOptions {
            target: Target::Candle,
            lowering: choices.lowering,
            block: choices.block,
            opset: choices.opset,
            max_seq_len: 64,
            ..ExportOptions::default()
        },
        ..DirOptions::default()
    };
    let export = dir.path().join("export");
    write_export(&export, &case.model, &case.params, &options).unwrap();
    let report = dir.path().join("report.json");
    let [export, report] = [&export, &report].map(|p| p.to_str().unwrap());
    let line = [
        "minrnn", "verify", export, "--quick", "--quiet", "--json", report,
    ];
    let engine = [
        "--engine",
        "candle-onnx",
        "--max-len",
        "20",
        "--probe-len",
        "64",
    ];
    let code = minrnn_cli::main_with(line.iter().chain(&engine).copied());
    let rows: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let rows = rows["rows"].as_array().unwrap().iter();
    let own: Vec<_> = rows
        .filter(|r| r["engine"] == "candle-onnx 0.11.1")
        .collect();
    for form in ["parallel", "step"] {
        assert!(own.iter().any(|r| r["form"] == form), "{form}: {own:?}");
    }
    assert!(own.iter().all(|r| r["holds"] == true), "{own:?}");
    assert_eq!(code, std::process::ExitCode::SUCCESS);
}

/// The cut of the engine matrix that the gate has of the other engines: `minrnn bench engines`, four models in their portable forms.
#[test]
fn it_runs_the_portable_forms_of_four_models() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "gru_bare",
        "gru_tokens",
        "lstm_tokens",
        "lstm_linear_learned_last",
    ];
    let mut line: Vec<String> = ["minrnn", "bench", "engines"].map(String::from).to_vec();
    for case in cases()
        .into_iter()
        .filter(|c| names.contains(&c.name.as_str()))
    {
        let options = DirOptions {
            forms: vec![Form::Parallel, Form::Step],
            options: ExportOptions {
                max_seq_len: 64,
                ..ExportOptions::default()
            },
            ..DirOptions::default()
        };
        let export = dir.path().join(&case.name);
        write_export(&export, &case.model, &case.params, &options).unwrap();
        line.push(export.to_str().unwrap().into());
    }
    let json = dir.path().join("engines.json");
    let more = [
        "--engine",
        "candle-onnx",
        "--max-len",
        "17",
        "--quiet",
        "--json",
    ];
    line.extend(more.map(String::from));
    line.push(json.to_str().unwrap().into());
    let code = minrnn_cli::main_with(&line);
    let matrix: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let rows = matrix["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2 * names.len());
    for row in rows {
        assert_eq!(row["results"][0]["verdict"], "right", "{row}");
    }
    assert_eq!(code, std::process::ExitCode::SUCCESS);
}

/// What the target refuses, the engine refuses: each with a part of its words.
#[test]
fn what_is_not_for_candle_does_not_run() {
    let own = ExportOptions {
        target: Target::OnnxRuntime,
        max_seq_len: 256,
        ..ExportOptions::default()
    };
    let lowered = |lowering: Lowering| ExportOptions {
        lowering,
        opset: lowering.opset().max(17),
        ..own.clone()
    };
    let typed = |weights| ExportOptions {
        weights,
        ..own.clone()
    };
    let rows = [
        (lowered(Lowering::KoggeStone), "number of inputs 3 for Pad"),
        (lowered(Lowering::BlockedScan), "Scan"),
        (lowered(Lowering::LinearAttention), "LinearAttention"),
        (
            ExportOptions {
                form: Form::Scan,
                seq_len: Some(FIXED),
                ..own.clone()
            },
            "Scan",
        ),
        (typed(Weights::Bf16), "Bfloat16"),
        (typed(Weights::Int8(Activations::Row)), "op_type Max"),
        (
            ExportOptions {
                fused_norms: true,
                opset: 23,
                ..own.clone()
            },
            "RMSNormalization",
        ),
    ];
    let case = cases()
        .into_iter()
        .find(|c| c.name == "lstm_tokens")
        .unwrap();
    for (options, says) in rows {
        let what = words(&options);
        let said = case.check::<Candle>(&options, &what).expect_err(&what);
        assert!(said.contains(says), "{what}: {said}");
    }
}
