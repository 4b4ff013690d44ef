//! Writes graphs for the benchmark of lowerings, which `lowerings.py` beside this file runs:
//! `cargo run -p minrnn-tests --example lowerings -- DIR [--quick]`.
//!
//! One file for each lowering, length (or a free one) and width: the recurrence alone, whose input holds `a | b`, and a
//! small language model of the size in the paper. `index.json` says what each file is.

use std::path::{Path, PathBuf};

use minrnn_model::config::ModelConfig;
use minrnn_model::graph::{Input, OutputKind, StateInit};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{ExportOptions, Form, Lowering, Target, export_graph};
use serde_json::{Value as Json, json};

/// Every graph is for one row, as on a machine that serves one user.
const BATCH: usize = 1;

const LANGUAGE_MODEL: &str = "
width = 384
layers = 3
[input]
vocab = 65
[cell]
kind = \"min_gru\"
expansion = 2.0
[conv]
kernel = 4
[mlp]
expansion = 4.0
[head]
width = 65
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let dir = PathBuf::from(args.next().ok_or("usage: lowerings DIR [--quick]")?);
    let quick = match args.next() {
        None => false,
        Some(flag) if flag == "--quick" => true,
        Some(other) => return Err(format!("{}: unknown", other.display()).into()),
    };
    std::fs::create_dir_all(&dir)?;
    let (widths, lengths): (&[usize], &[usize]) = if quick {
        (&[64], &[64, 512])
    } else {
        (&[64, 384, 768], &[64, 512, 4096, 32_768])
    };
    let mut index = vec![];
    for &width in widths {
        write(
            &dir,
            "recurrence",
            width,
            lengths,
            &recurrence(width)?,
            &mut index,
        )?;
    }
    if !quick {
        let config: ModelConfig = toml::from_str(LANGUAGE_MODEL)?;
        let model = Model::from_config(&config)?;
        write(
            &dir,
            "language-model",
            384,
            &[512, 4096],
            &model,
            &mut index,
        )?;
    }
    std::fs::write(
        dir.join("index.json"),
        serde_json::to_string_pretty(&index)?,
    )?;
    Ok(())
}

/// `h[t] = a[t] h[t-1] + b[t]` alone, `features [B, T, 2 width]` being `a | b`.
fn recurrence(width: usize) -> Result<Model, Box<dyn std::error::Error>> {
    let input = Input::Features { width: 2 * width };
    let config = json!({ "recurrence": width });
    Ok(Model::trace(input, OutputKind::Values, config, |g, x| {
        g.block(0, |g| {
            let [a, b] = g.split::<2>(x)?;
            g.recurrence("h", a, b, StateInit::Zero)
        })
    })?)
}

/// One way to write the recurrence, and its name in tables.
struct Variant {
    name: String,
    form: Form,
    lowering: Lowering,
    block: usize,
}

fn variants() -> Vec<Variant> {
    let variant = |name: &str, form, lowering, block| Variant {
        name: name.to_owned(),
        form,
        lowering,
        block,
    };
    let mut all = vec![];
    for block in [8, 16, 32, 64] {
        let name = format!("blocked, C={block}");
        all.push(variant(&name, Form::Parallel, Lowering::Blocked, block));
    }
    for lowering in Lowering::ALL.into_iter().skip(1) {
        let name = match lowering {
            Lowering::BlockedScan => "blocked-scan, C=16",
            other => other.name(),
        };
        all.push(variant(name, Form::Parallel, lowering, 16));
    }
    all.push(variant("scan", Form::Scan, Lowering::Blocked, 16));
    all
}

/// One model in all variants, with each length fixed, and with a free length.
fn write(
    dir: &Path,
    kind: &str,
    width: usize,
    lengths: &[usize],
    model: &Model,
    index: &mut Vec<Json>,
) -> Result<(), Box<dyn std::error::Error>> {
    let params = Params::init(model.graph(), 1);
    for variant in variants() {
        for seq_len in lengths.iter().copied().map(Some).chain([None]) {
            let options = ExportOptions {
                form: variant.form,
                lowering: variant.lowering,
                block: variant.block,
                batch: Some(BATCH),
                seq_len,
                opset: variant.lowering.opset().max(17),
                // The widest rules: whether an engine takes a file is for the benchmark to find out.
                target: Target::OnnxRuntime,
                config: model.config().clone(),
                ..ExportOptions::default()
            };
            let length = seq_len.map_or("free".to_owned(), |t| t.to_string());
            let slug = variant.name.replace(", C=", "-");
            let file = format!("{kind}-{width}-{slug}-{length}.onnx");
            let onnx = export_graph(model.graph(), &params, &options)?;
            std::fs::write(dir.join(&file), onnx.encode())?;
            index.push(json!({
                "file": file,
                "model": kind,
                "width": width,
                "lowering": variant.name,
                "seq_len": seq_len,
                "nodes": onnx.graph.nodes.len(),
            }));
        }
    }
    Ok(())
}
