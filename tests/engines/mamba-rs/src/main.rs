//! A step of Mamba, batch 1, by mamba-rs and by minrnn-runtime in one process, in turn, on the same weights and inputs: width 128, 3 layers,
//! 16 states, which mamba-rs has as its defaults.
//!
//! ```text
//! RUSTFLAGS="-C target-cpu=native" cargo run --release --manifest-path tests/engines/mamba-rs/Cargo.toml --target-dir target/mamba-rs
//! ```
//!
//! Before anything is timed, the outputs of both over some steps are held to each other.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mamba_rs::{MambaBackbone, MambaConfig, MambaWeights};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{DirOptions, Form, write_export};
use minrnn_runtime::Session;

const WIDTH: usize = 128;
const MODEL: &str = "width = 128\nlayers = 3\nblock = 'mamba'\n[input]\nfeatures = 128\n[cell]\nkind = 'mamba'\nstates = 16\n[head]\nkind = 'values'\nwidth = 1\n";
/// Steps whose outputs are compared, and of a round; rounds.
const CHECKED: usize = 200;
const STEPS: usize = 2000;
const ROUNDS: usize = 31;

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::from_config(&toml::from_str(MODEL)?)?;
    let params = Params::init(model.graph(), 1);
    let theirs = Theirs::new(&model, &params)?;
    let dir = std::env::temp_dir().join(format!("minrnn-mamba-rs-{}", std::process::id()));
    let ours = opened(&dir, &model, &params);
    std::fs::remove_dir_all(&dir)?;
    compare(theirs, ours?)
}

/// The model exported as a step, and opened: exact execution.
fn opened(dir: &Path, model: &Model, params: &Params) -> Result<Session, Box<dyn Error>> {
    let options = DirOptions {
        forms: vec![Form::Step],
        ..DirOptions::default()
    };
    write_export(dir, model, params, &options)?;
    let model = minrnn_runtime::Model::open(dir.join("model.step.onnx"))?;
    Ok(Session::new(Arc::new(model), 1)?)
}

/// mamba-rs with the same weights, and the row of the head that it has none of.
struct Theirs {
    backbone: MambaBackbone,
    state: mamba_rs::MambaState,
    scratch: mamba_rs::MambaStepScratch,
    hidden: Vec<f32>,
    head: Vec<f32>,
}

impl Theirs {
    fn new(model: &Model, params: &Params) -> Result<Self, Box<dyn Error>> {
        let config = MambaConfig::default();
        let named = |name: &str| -> Result<Vec<f32>, Box<dyn Error>> {
            let specs = model.graph().params();
            let at = specs.iter().position(|p| p.name == name);
            let at = at.ok_or_else(|| {
                let all: Vec<&str> = specs.iter().map(|p| p.name.as_str()).collect();
                format!("no parameter {name} among {}", all.join(", "))
            })?;
            Ok(params.get(at).to_vec())
        };
        let mut weights = MambaWeights::zeros(&config, WIDTH);
        weights.input_proj_w = named("input.projection.weight")?;
        weights.input_proj_b = named("input.projection.bias")?;
        weights.norm_f_weight = named("head.norm.weight")?;
        for (i, layer) in weights.layers.iter_mut().enumerate() {
            let of = |name: &str| named(&format!("layers.{i}.{name}"));
            layer.norm_weight = of("norm.weight")?;
            layer.in_proj_w = swapped(&of("mixer.in.weight")?, config.d_inner());
            layer.conv1d_weight = transposed(&of("mixer.depthwise.weight")?, config.d_conv);
            layer.conv1d_bias = of("mixer.depthwise.bias")?;
            layer.x_proj_w = of("mixer.ssm.x.weight")?;
            layer.dt_proj_w = of("mixer.ssm.dt.weight")?;
            layer.dt_proj_b = of("mixer.ssm.dt.bias")?;
            layer.a_log = of("mixer.ssm.A_log")?;
            layer.d_param = of("mixer.ssm.D")?;
            layer.out_proj_w = of("mixer.out.weight")?;
        }
        let backbone = MambaBackbone::from_weights(config, weights)?;
        Ok(Self {
            state: backbone.alloc_state(),
            scratch: backbone.alloc_scratch(),
            hidden: vec![0.0; WIDTH],
            head: named("head.weight")?,
            backbone,
        })
    }

    fn step(&mut self, input: &[f32]) -> f32 {
        let Self {
            backbone,
            state,
            scratch,
            hidden,
            ..
        } = self;
        backbone.forward_step(input, hidden, state, scratch);
        let products = self.hidden.iter().zip(&self.head).map(|(h, w)| h * w);
        products.sum()
    }
}

/// Rows `[z | x]` as `[x | z]`, each half of so many columns.
fn swapped(values: &[f32], half: usize) -> Vec<f32> {
    let rows = values.chunks_exact(2 * half);
    let each = |row: &[f32]| [&row[half..], &row[..half]].concat();
    rows.flat_map(each).collect()
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows;
    let all = (0..columns).flat_map(|c| (0..rows).map(move |r| r * columns + c));
    all.map(|at| values[at]).collect()
}

fn inputs(count: usize) -> Vec<Vec<f32>> {
    let value = |i: usize| ((i * 2654435761) % 4096) as f32 / 2048.0 - 1.0;
    let row = |t: usize| (0..WIDTH).map(|j| value(t * WIDTH + j)).collect();
    (0..count).map(row).collect()
}

fn compare(mut theirs: Theirs, mut ours: Session) -> Result<(), Box<dyn Error>> {
    let inputs = inputs(CHECKED);
    let mut out = [0f32];
    let (mut largest, mut error) = (0f32, 0f32);
    for input in &inputs {
        ours.step_features_into(input, &mut out)?;
        let want = theirs.step(input);
        (largest, error) = (largest.max(want.abs()), error.max((out[0] - want).abs()));
    }
    if !(error <= 1e-3 * largest) {
        return Err(format!("outputs up to {largest} differ by {error}").into());
    }
    let (mut of_theirs, mut of_ours) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for input in inputs.iter().cycle().take(STEPS) {
            black_box(theirs.step(black_box(input)));
        }
        of_theirs.push(start.elapsed().as_secs_f64() / STEPS as f64 * 1e6);
        let start = Instant::now();
        for input in inputs.iter().cycle().take(STEPS) {
            ours.step_features_into(black_box(input), &mut out)?;
            black_box(out);
        }
        of_ours.push(start.elapsed().as_secs_f64() / STEPS as f64 * 1e6);
    }
    let (theirs, ours) = (median(of_theirs), median(of_ours));
    println!("outputs up to {largest} agree within {error:e} over {CHECKED} steps");
    println!("mamba-rs 0.4.2: {theirs:.1} us a step");
    println!(
        "minrnn:         {ours:.1} us a step, {:.2} times as fast",
        theirs / ours
    );
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
