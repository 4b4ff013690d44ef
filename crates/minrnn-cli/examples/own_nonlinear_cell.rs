//! A cell of one's own whose feedback is not linear: written once, then trained, exported in its two forms and verified.
//!
//! A step reads the state through a matrix and a tanh, so that nothing makes a parallel scan of it: what is remembered leaks at a rate
//! that each channel learns, `h[t] = h[t-1] + sigmoid(k) (tanh(x[t] + U h[t-1]) - h[t-1])`.
//!
//! `cargo run --release --example own_nonlinear_cell -- OUT_DIR`

use std::path::PathBuf;

use minrnn_cli::verify::{Export, Options, Report, verify};
use minrnn_model::graph::{FoldState, Graph, StateInit, Unary, Value};
use minrnn_model::layers::{Layer, Linear};
use minrnn_model::model::Model;
use minrnn_model::params::{Init, Role};
use minrnn_onnx::export::{DirOptions, write_export};
use minrnn_train::trainer::{Control, Device, Metrics, TrainConfig, Trainer, resolve};

/// The cell, D channels.
struct LeakyCell(usize);

impl Layer for LeakyCell {
    fn name(&self) -> &str {
        "leaky"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> minrnn_model::Result<Vec<Value>> {
        let width = g.width(x[0]);
        let drive = g.apply(&Linear::new("in", self.0, true), x[0])?;
        let role = Role::Weight {
            init: Init::Constant(0.0),
            decay: false,
        };
        let rate = g.param("rate", &[self.0], role)?;
        let state = FoldState {
            name: "h",
            width: self.0,
            init: StateInit::Zero,
        };
        let made = g.fold(&[state], |g, before| {
            let h = before[0];
            let moved = g.apply(&Linear::new("hidden", self.0, false), h)?;
            let sum = g.add(drive, moved)?;
            let candidate = g.unary(Unary::Tanh, sum)?;
            let apart = g.sub(candidate, h)?;
            let rate = g.read(rate)?;
            let rate = g.unary(Unary::Sigmoid, rate)?;
            let step = g.mul(apart, rate)?;
            Ok(vec![g.add(h, step)?])
        })?;
        Ok(vec![g.apply(&Linear::new("out", width, true), made[0])?])
    }
}

const CONFIG: &str = "
[task]
kind = 'selective_copying'
length = 8
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
    let model = Model::with_layer(&config.model, "leaky", &LeakyCell(48))?;
    let mut trainer = Trainer::with_model(config, model, task, &Device::Cpu)?;
    let metrics = trainer.fit(&mut |_, _| Ok(Control::Continue))?;
    let metrics = metrics.ok_or_else(|| anyhow::anyhow!("the task has no validation part"))?;
    let params = trainer.params()?;
    // All forms are those that the model has: scan and step.
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
        .map_or_else(|| PathBuf::from("own_nonlinear_cell"), PathBuf::from);
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
    fn a_nonlinear_cell_that_nobody_knows_is_trained_exported_and_verified() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (metrics, report) = super::run(dir.path(), 120).expect("it runs");
        assert!(report.holds, "{:#?}", report.rows);
        assert!(metrics.accuracy.expect("classes") > 0.3, "{metrics:?}");
    }
}
