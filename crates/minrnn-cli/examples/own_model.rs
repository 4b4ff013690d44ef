//! A whole model of one's own: a small selective state space with a tied embedding, said in primitives, then trained, exported in three
//! forms and verified.
//!
//! Each of D channels has N states: `h[d, n] = exp(-step[d] rate[d, n]) h[d, n] + step[d] u[d] b[n]`, `y[d] = sum_n h[d, n] c[n]`; the step,
//! b and c come from the input, the rates are parameters. The logits are products with the table of embeddings.
//!
//! `cargo run --release --example own_model -- OUT_DIR`

use std::path::PathBuf;

use minrnn_cli::verify::{Export, Options, Report, verify};
use minrnn_model::graph::{Graph, Input, Op, OutputKind, StateInit, Unary, Value};
use minrnn_model::layers::{Layer, Linear, Norm};
use minrnn_model::model::Model;
use minrnn_model::params::{Init, Role};
use minrnn_onnx::export::{DirOptions, write_export};
use minrnn_train::trainer::{Control, Device, Metrics, TrainConfig, Trainer, resolve};

/// The mixer.
struct Selective {
    /// D.
    channels: usize,
    /// N.
    states: usize,
}

/// `ln(1 + e^x)` without overflow: `max(x, 0) + ln(1 + e^-|x|)`.
fn softplus(g: &mut Graph, x: Value) -> minrnn_model::Result<Value> {
    let size = g.unary(Unary::Abs, x)?;
    let minus = g.unary(Unary::Neg, size)?;
    let small = g.unary(Unary::Exp, minus)?;
    let more = g.affine(small, 1.0, 1.0)?;
    let low = g.unary(Unary::Log, more)?;
    let high = g.unary(Unary::Relu, x)?;
    g.add(high, low)
}

impl Layer for Selective {
    fn name(&self) -> &str {
        "selective"
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> minrnn_model::Result<Vec<Value>> {
        let (d, n, width) = (self.channels, self.states, g.width(x[0]));
        let first = Init::InverseSoftplus {
            min: 0.01,
            max: 0.5,
            floor: 1e-4,
        };
        let inner = Linear {
            name: "in".into(),
            outputs: 2 * d,
            bias: Some(Init::Parts(vec![(d, Init::Constant(0.0)), (d, first)])),
            decay: true,
        };
        let packed = g.apply(&inner, x[0])?;
        let [u, step] = g.split::<2>(packed)?;
        let both = g.apply(&Linear::new("states", 2 * n, false), x[0])?;
        let [b, c] = g.split::<2>(both)?;
        let step = softplus(g, step)?;
        let role = Role::Weight {
            init: Init::LogRange { count: n },
            decay: false,
        };
        let rate = g.param("rate", &[d * n], role)?;
        let rate = g.read(rate)?;
        let rate = g.unary(Unary::Exp, rate)?;
        let wide = g.repeat(step, 1, n)?;
        let decay = g.mul(wide, rate)?;
        let decay = g.unary(Unary::Neg, decay)?;
        let a = g.unary(Unary::Exp, decay)?;
        let fed = g.mul(step, u)?;
        let (fed, b) = (g.repeat(fed, 1, n)?, g.repeat(b, n, d)?);
        let fed = g.mul(fed, b)?;
        let h = g.recurrence("h", a, fed, StateInit::Constant(0.125))?;
        let c = g.repeat(c, n, d)?;
        let read = g.mul(h, c)?;
        let y = g.sum(read, n)?;
        Ok(vec![g.apply(&Linear::new("out", width, true), y)?])
    }
}

/// Tokens in, logits of the next ones out, by one table.
fn model(config: &TrainConfig, vocab: usize, classes: usize) -> minrnn_model::Result<Model> {
    let json = serde_json::json!({ "kind": "selective", "input": { "vocab": vocab } });
    let (width, layers) = (config.model.width, config.model.layers);
    Model::trace(
        Input::Tokens { vocab },
        OutputKind::Logits,
        json,
        |g, ids| {
            let role = Role::Weight {
                init: Init::Normal { std: 0.5 },
                decay: false,
            };
            let table = g.param("embedding", &[vocab, width], role)?;
            let mut x = g.op(Op::Embed { table }, &[ids])?;
            for index in 0..layers {
                x = g.block(index, |g| {
                    let y = g.apply(&Norm::Rms { eps: Norm::EPS }, x)?;
                    let mixer = Selective {
                        channels: 16,
                        states: 4,
                    };
                    let y = g.apply(&mixer, y)?;
                    g.add(x, y)
                })?;
            }
            let x = g.scope("head", |g| g.apply(&Norm::Rms { eps: Norm::EPS }, x))?;
            let table = g.read(table)?;
            let logits = g.matmul_transposed(x, table)?;
            g.op(
                Op::Narrow {
                    start: 0,
                    len: classes,
                },
                &[logits],
            )
        },
    )
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
    let size = |n: Option<usize>| n.ok_or_else(|| anyhow::anyhow!("the task tells its sizes"));
    let vocab = size(config.model.input.as_ref().and_then(|i| i.vocab))?;
    let model = model(&config, vocab, size(config.model.head.width)?)?;
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
    let export = Export::open(dir)?;
    let report = verify(
        &export,
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
        .map_or_else(|| PathBuf::from("own_model"), PathBuf::from);
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
    fn a_model_that_nobody_knows_is_trained_exported_and_verified() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (metrics, report) = super::run(dir.path(), 300).expect("it runs");
        assert!(report.holds, "{:#?}", report.rows);
        assert!(metrics.accuracy.expect("classes") > 0.5, "{metrics:?}");
    }
}
