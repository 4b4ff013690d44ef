//! A recurrent cell of one's own: written once, then trained, exported in three forms and verified.
//!
//! Its channels can turn their sign, which the paper's cells cannot (their `a` is in [0, 1]):
//! `a = tanh(k)`, `h[t] = a h[t-1] + (1 - |a|) v`, and what comes out is `h * sigmoid(o)`.
//!
//! `cargo run --release --example own_cell -- OUT_DIR`

use std::path::PathBuf;

use minrnn_cli::verify::{Export, Options, Report, verify};
use minrnn_model::graph::{Graph, StateInit, Unary, Value};
use minrnn_model::layers::{Layer, Linear};
use minrnn_model::model::Model;
use minrnn_onnx::export::{DirOptions, write_export};
use minrnn_train::trainer::{Control, Device, Metrics, TrainConfig, Trainer, resolve};

/// The cell, D channels.
struct SignedCell(usize);

impl Layer for SignedCell {
    fn name(&self) -> &str {
        "signed"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> minrnn_model::Result<Vec<Value>> {
        let width = g.width(x[0]);
        let packed = g.apply(&Linear::new("in", 3 * self.0, true), x[0])?;
        let [k, v, o] = g.split::<3>(packed)?;
        let a = g.unary(Unary::Tanh, k)?;
        let size = g.unary(Unary::Abs, a)?;
        let rest = g.affine(size, -1.0, 1.0)?;
        let b = g.mul(rest, v)?;
        let h = g.recurrence("h", a, b, StateInit::Zero)?;
        let gate = g.unary(Unary::Sigmoid, o)?;
        let y = g.mul(h, gate)?;
        Ok(vec![g.apply(&Linear::new("out", width, true), y)?])
    }
}

const CONFIG: &str = "
[task]
kind = 'selective_copying'
length = 16
data_tokens = 2
vocab = 6
[model]
width = 32
layers = 2
[train]
steps = 200
batch = 32
lr = 1e-2
";

/// Trains, exports to `dir`, verifies.
fn run(dir: &std::path::Path, steps: u64) -> anyhow::Result<(Metrics, Report)> {
    let mut config: TrainConfig = toml::from_str(CONFIG)?;
    config.train.steps = steps;
    let task = config.task.open(config.train.seed)?;
    config.model = resolve(&config.model, &*task)?;
    let model = Model::with_layer(&config.model, "signed", &SignedCell(48))?;
    let mut trainer = Trainer::with_model(config, model, task, &Device::Cpu)?;
    let metrics = trainer.fit(&mut |_, _| Ok(Control::Continue))?;
    let metrics = metrics.ok_or_else(|| anyhow::anyhow!("the task has no validation part"))?;
    let params = trainer.params()?;
    write_export(dir, trainer.model(), &params, &DirOptions::default())?;
    let options = Options {
        longest: Some(130),
        probe_steps: 1024,
        ..Options::default()
    };
    let report = verify(
        &Export::open(dir)?,
        trainer.model(),
        &params,
        &options,
        &mut |_, _, _| (),
    )?;
    Ok((metrics, report))
}

#[expect(clippy::print_stdout, reason = "an example shows what it did")]
fn main() -> anyhow::Result<()> {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(|| PathBuf::from("own_cell"), PathBuf::from);
    let (metrics, report) = run(&dir, 200)?;
    println!(
        "accuracy {:.1} %\n{}",
        100.0 * metrics.accuracy.unwrap_or(0.0),
        report.table()
    );
    anyhow::ensure!(report.holds, "the forms do not agree");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cell_that_nobody_knows_is_trained_exported_and_verified() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (metrics, report) = super::run(dir.path(), 120).expect("it runs");
        assert!(report.holds, "{:#?}", report.rows);
        assert!(metrics.accuracy.expect("classes") > 0.5, "{metrics:?}");
    }
}
