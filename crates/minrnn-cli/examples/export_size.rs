//! How fast and in how much memory a large model is exported, beside a copy of the same bytes:
//! `cargo run --release -p minrnn-cli --example export_size -- [MILLIONS_OF_PARAMETERS]`.
//!
//! Makes a checkpoint with random weights in a temporary folder, exports it with `minrnn export` (another process, whose
//! largest memory is measured), and copies the weights' file by `std::fs::copy` and a sync, before and after.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_train::checkpoint::{Checkpoint, TensorData};

#[expect(clippy::print_stdout, reason = "a measure shows its figures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let millions: f64 = std::env::args().nth(1).map_or(Ok(100.0), |n| n.parse())?;
    let folder = tempfile::tempdir_in(".")?;
    let checkpoint = folder.path().join("checkpoint");
    let count = write(&checkpoint, millions)?;
    let bytes = 4.0 * count as f64;
    println!("{count} parameters, {:.0} MB", bytes / 1e6);
    let binary = std::env::current_exe()?
        .parent()
        .and_then(Path::parent)
        .ok_or("no folder")?
        .join("minrnn");
    for flags in [
        &["--weights", "shared"][..],
        &[
            "--weights",
            "shared",
            "--dtype",
            "f16",
            "--target",
            "onnxruntime",
        ],
        &[
            "--weights",
            "shared",
            "--dtype",
            "int8",
            "--target",
            "onnxruntime",
        ],
        &["--weights", "external", "--form", "step"],
    ] {
        let before = copy(&checkpoint.join("model.safetensors"), folder.path())?;
        let out = folder.path().join("export");
        std::fs::remove_dir_all(&out).ok();
        let start = Instant::now();
        // GNU time's own figure is in KiB.
        let run = Command::new("/usr/bin/time")
            .args(["-f", "%M"])
            .arg(&binary)
            .arg("export")
            .arg(&checkpoint)
            .arg("--out")
            .arg(&out)
            .args(flags)
            .output()?;
        let seconds = start.elapsed().as_secs_f64();
        let errors = String::from_utf8_lossy(&run.stderr);
        if !run.status.success() {
            return Err(errors.into_owned().into());
        }
        let peak: f64 = errors.lines().last().unwrap_or("0").trim().parse()?;
        let after = copy(&checkpoint.join("model.safetensors"), folder.path())?;
        println!(
            "export {}: {seconds:.2} s, {:.2} GB/s of weights; largest memory {:.2} of the weights; copy of the checkpoint's weights with sync {:.2} and {:.2} s",
            flags.join(" "),
            bytes / 1e9 / seconds,
            peak * 1024.0 / bytes,
            before,
            after
        );
    }
    Ok(())
}

/// A language model of about that many parameters.
fn write(folder: &Path, millions: f64) -> Result<usize, Box<dyn std::error::Error>> {
    // 3 layers of minGRU with expansion 2 and an MLP of 4: about 14 width^2 a layer.
    let width = ((millions * 1e6 / 42.0).sqrt() / 64.0).round().max(1.0) as usize * 64;
    let text = format!(
        "width = {width}\nlayers = 3\n[input]\nvocab = 65\n[cell]\nexpansion = 2.0\n[conv]\nkernel = 4\n[mlp]\nexpansion = 4.0\n[head]\nwidth = 65\n"
    );
    let config: ModelConfig = toml::from_str(&text)?;
    let model = Model::from_config(&config)?;
    let params = Params::init(model.graph(), 1);
    let count = params.count();
    let named = params.to_named(model.graph());
    drop(params);
    let tensors = named
        .into_iter()
        .map(|(n, (shape, data))| (n, TensorData { shape, data }));
    let checkpoint = Checkpoint {
        config: serde_json::json!({ "model": model.config() }),
        params: tensors.collect(),
        optimizer: None,
        trainer: None,
        raw: None,
        states: None,
        vocabulary: None,
    };
    checkpoint.save(folder)?;
    Ok(count)
}

fn copy(from: &Path, folder: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let to = folder.join("copy");
    let start = Instant::now();
    std::fs::copy(from, &to)?;
    std::fs::File::open(&to)?.sync_all()?;
    let seconds = start.elapsed().as_secs_f64();
    std::fs::remove_file(to)?;
    Ok(seconds)
}
