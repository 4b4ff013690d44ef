//! `minrnn bench train`: whole training steps.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use minrnn_kernels::Elem;
use minrnn_kernels::cuda::{Gpu, Precision, Timer};
use minrnn_model::graph::Input;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_train::optim::AdamWConfig;
use minrnn_train::tape::cuda::{Engine, EngineOptions, GpuScratch, Inputs, Machine, Store, Wanted};
use minrnn_train::tape::{Carry, Options, Place, Plan, Recompute, Space, Target};
use serde_json::{Value as Json, json};

mod beside;
mod candle;

use beside::Beside;

use super::memory::{Tensor, median};
use super::models::{Language, Layer};
use crate::table::{grouped, table};
use crate::ui::Ui;

const LAYERS: [[usize; 3]; 4] = [
    [64, 512, 64],
    [64, 4096, 64],
    [64, 512, 384],
    [64, 4096, 384],
];
const PRECISIONS: [(&str, Elem, Precision); 3] = [
    ("f32", Elem::F32, Precision::F32),
    ("tf32", Elem::F32, Precision::Tf32),
    ("bf16", Elem::Bf16, Precision::F32),
];
const REPEATS: usize = 20;

struct Row {
    model: String,
    engine: String,
    shape: [usize; 3],
    dtype: &'static str,
    ms: f64,
    peak_bytes: usize,
    /// Of the captured graph; candle's are not counted.
    launches: Option<u64>,
}

impl Row {
    fn tokens_per_s(&self) -> f64 {
        (self.shape[0] * self.shape[1]) as f64 / self.ms * 1e3
    }
}

pub(super) fn run(
    gpu: &Gpu,
    ui: &Ui,
    only: &dyn Fn(&str) -> bool,
    (profile, tuned): (bool, bool),
    python: Option<&Path>,
) -> Result<(Json, String)> {
    let mut rows: Vec<Row> = vec![];
    let mut profiles = String::new();
    let mut beside = python
        .map(|python| Beside::start(python, gpu.ordinal()))
        .transpose()?;
    let torch = beside.as_ref().map(|beside| beside.torch.clone());
    let mut add = |row: Row| {
        ui.note(&format!(
            "{} by {} {:?} {}: {:.3} ms, {} tokens/s",
            row.model,
            row.engine,
            row.shape,
            row.dtype,
            row.ms,
            grouped(row.tokens_per_s() as usize)
        ));
        rows.push(row);
    };
    for (dtype, compute, precision) in PRECISIONS {
        for kind in Layer::ALL {
            for shape in LAYERS {
                if only(&format!("{} {shape:?} {dtype}", kind.name())) {
                    let rows = layer(gpu, kind, shape, dtype, (compute, precision), tuned)?;
                    rows.into_iter().for_each(&mut add);
                    if let Some(beside) = &mut beside {
                        others(beside, ui, kind.name(), shape, dtype)?
                            .into_iter()
                            .for_each(&mut add);
                    }
                }
            }
        }
        for kind in Language::ALL {
            if !only(&format!("{} {dtype}", kind.name())) {
                continue;
            }
            let (row, engine) = language(gpu, kind, dtype, compute, precision, tuned)?;
            let shape = row.shape;
            add(row);
            if profile && matches!(kind, Language::MinGru | Language::Transformer) {
                profiles += &profiled(&engine, kind.name(), dtype)?;
            }
            drop(engine);
            if let Some(beside) = &mut beside {
                others(beside, ui, kind.name(), shape, dtype)?
                    .into_iter()
                    .for_each(&mut add);
            }
        }
    }
    for kind in [Layer::MinGru, Layer::MinLstm] {
        for shape in LAYERS {
            if only(&format!("{} {shape:?} f32 candle", kind.name())) {
                add(candle::layer(gpu, kind, shape)?);
            }
        }
    }
    if only(&format!("{} candle", super::language_model("f32"))) {
        add(candle::language(gpu)?);
    }
    let json = json(gpu, tuned, torch.as_deref(), &rows)?;
    Ok((json, text(&rows) + &profiles))
}

/// Rows of other programs; what one refuses is said as a note.
fn others(
    beside: &mut Beside,
    ui: &Ui,
    model: &str,
    shape: [usize; 3],
    dtype: &'static str,
) -> Result<Vec<Row>> {
    let mut rows = vec![];
    for figure in beside.steps(model, shape, dtype)? {
        let Some(ms) = figure.ms else {
            let why = figure.refused.unwrap_or_default();
            ui.note(&format!(
                "{model} by {} {shape:?} {dtype}: {why}",
                figure.engine
            ));
            continue;
        };
        rows.push(Row {
            model: model.to_owned(),
            engine: figure.engine,
            shape,
            dtype,
            ms,
            peak_bytes: figure.peak_bytes,
            launches: None,
        });
    }
    Ok(rows)
}

/// Forward, mean square, backward with the gradient of the input, as the anchors measure a layer. Of a step so large that its backward pass
/// computes values again, a row without that too.
fn layer(
    gpu: &Gpu,
    kind: Layer,
    shape: [usize; 3],
    dtype: &'static str,
    (compute, precision): (Elem, Precision),
    tuned: bool,
) -> Result<Vec<Row>> {
    let [batch, time, width] = shape;
    let model = kind.model(time, width)?;
    let options = Options {
        batch,
        time,
        compute,
        train: true,
        update: None,
        input_gradient: true,
        carry: Carry::None,
        recompute: Recompute::Large,
        target: Target::Zeros,
        weights: false,
        lens: false,
    };
    let plan = |recompute| {
        let options = Options {
            recompute,
            ..options
        };
        Plan::new(model.graph(), options, &GpuScratch::new(gpu))
    };
    let mut plans = vec![("tape", plan(Recompute::Large)?)];
    if plans[0].1.recomputed > 0 {
        plans.push(("tape, all values kept", plan(Recompute::Nothing)?));
    }
    let rows = plans.into_iter().map(|(engine, plan)| {
        let (ms, peak_bytes, launches) = step(gpu, &model, plan, precision, tuned)?;
        Ok(Row {
            model: kind.name().to_owned(),
            engine: engine.to_owned(),
            shape,
            dtype,
            ms,
            peak_bytes,
            launches: Some(launches),
        })
    });
    rows.collect()
}

/// Milliseconds of a layer's step by events, the caches flushed before each; the memory that it holds, and its launches.
fn step(
    gpu: &Gpu,
    model: &Model,
    plan: Plan,
    precision: Precision,
    tuned: bool,
) -> Result<(f64, usize, u64)> {
    let Options {
        batch,
        time,
        compute,
        ..
    } = plan.options;
    let Input::Features { width } = model.graph().input() else {
        anyhow::bail!("a layer takes features");
    };
    let params = Params::init(model.graph(), 0);
    let store = Arc::new(Store::new(gpu, plan.layout.clone(), compute, 0)?);
    store.set_params(gpu, &params)?;
    let bytes = store.bytes();
    let mut machine = Machine::new(gpu, plan, store, precision, AdamWConfig::default().rule()?)?;
    let features = Place {
        space: Space::Features,
        offset: 0,
        len: batch * time * width,
        elem: Elem::F32,
    };
    let random = Tensor::random(gpu, features.len, Elem::F32, (-1.7, 1.7), 3)?;
    machine.view(features)?.copy_from(gpu, random.view()?)?;
    drop(random);
    machine.prepare(tuned)?;
    let flush = Tensor::new(gpu, 64 << 20, Elem::F32)?;
    let mut timer = Timer::new(gpu);
    for i in 0..REPEATS + 3 {
        flush.view()?.fill(gpu, 1)?;
        if i >= 3 {
            timer.mark()?;
        }
        machine.run()?;
        if i >= 3 {
            timer.mark()?;
        }
    }
    let ms = median(timer.pairs()?);
    Ok((ms, machine.bytes() + bytes, machine.launches()))
}

/// Whole optimizer steps with new batches, by the clock.
fn language(
    gpu: &Gpu,
    kind: Language,
    dtype: &'static str,
    compute: Elem,
    precision: Precision,
    tuned: bool,
) -> Result<(Row, Engine)> {
    let model: Model = kind.model()?;
    let [batch, time] = kind.shape();
    let params = Params::init(model.graph(), 0);
    let options = EngineOptions {
        compute,
        precision,
        rule: AdamWConfig {
            clip_norm: Some(0.25),
            ..AdamWConfig::default()
        }
        .rule()?,
        seed: 0,
        tuned,
    };
    let mut engine = Engine::new(gpu, model.graph(), &params, options)?;
    let mut rng = Rng::named(1, "bench");
    let batches: Vec<Vec<u32>> = (0..8)
        .map(|_| (0..batch * time).map(|_| rng.below(65) as u32).collect())
        .collect();
    let (mut step, mut times) = (0u64, vec![]);
    for round in 0..8 {
        let start = Instant::now();
        for _ in 0..32 {
            let ids = &batches[step as usize % batches.len()];
            let inputs = Inputs {
                batch,
                time,
                ids,
                features: &[],
                wanted: Wanted::Classes(ids),
                weights: None,
                lens: None,
            };
            engine.step(inputs, step, step + 1, 1e-3)?;
            step += 1;
        }
        let (_, error) = engine.reports()?;
        if let Some(error) = error {
            return Err(error.into());
        }
        if round > 0 {
            times.push(start.elapsed().as_secs_f32() * 1e3 / 32.0);
        }
    }
    let row = Row {
        model: kind.name().to_owned(),
        engine: "tape".to_owned(),
        shape: [batch, time, 384],
        dtype,
        ms: median(times),
        peak_bytes: engine.bytes(),
        launches: Some(engine.launches()),
    };
    Ok((row, engine))
}

/// Launches of a kind together, the longest first.
fn profiled(engine: &Engine, model: &str, dtype: &str) -> Result<String> {
    let launches = engine.profile(10)?;
    let all: f64 = launches.iter().map(|l| l.1).sum();
    let mut kinds: Vec<(String, usize, f64)> = vec![];
    for (name, ms) in launches {
        match kinds.iter_mut().find(|k| k.0 == name) {
            Some(kind) => {
                kind.1 += 1;
                kind.2 += ms;
            }
            None => kinds.push((name, 1, ms)),
        }
    }
    kinds.sort_by(|a, b| b.2.total_cmp(&a.2));
    let lines = kinds.into_iter().map(|(name, count, ms)| {
        [
            name,
            count.to_string(),
            format!("{ms:.3}"),
            format!("{:.1}", 100.0 * ms / all),
        ]
    });
    let header = ["launch", "count", "ms", "%"];
    Ok(format!(
        "{model}, {dtype}: {all:.3} ms in launches one after the other\n{}\n",
        table(header, lines, &[1, 2, 3])
    ))
}

fn json(gpu: &Gpu, tuned: bool, torch: Option<&str>, rows: &[Row]) -> Result<Json> {
    let rows: Vec<Json> = rows
        .iter()
        .map(|r| {
            json!({
                "model": r.model,
                "engine": r.engine,
                "shape": r.shape,
                "dtype": r.dtype,
                "ms": r.ms,
                "tokens_per_s": r.tokens_per_s(),
                "peak_bytes": r.peak_bytes,
                "launches": r.launches,
            })
        })
        .collect();
    Ok(json!({
        "schema": "minrnn.bench.train/1",
        "device": gpu.name()?,
        "tuned": tuned,
        "torch": torch,
        "rows": rows,
    }))
}

fn text(rows: &[Row]) -> String {
    let lines = rows.iter().map(|r| {
        let [b, t, d] = r.shape;
        [
            r.model.clone(),
            r.engine.clone(),
            format!("{b},{t},{d}"),
            r.dtype.to_owned(),
            format!("{:.3}", r.ms),
            grouped(r.tokens_per_s() as usize),
            format!("{:.0}", r.peak_bytes as f64 / 1e6),
            r.launches.map_or("".into(), |n| n.to_string()),
        ]
    });
    let header = [
        "model", "engine", "B,T,D", "dtype", "ms", "tokens/s", "MB", "launches",
    ];
    format!("{}\n", table(header, lines, &[4, 5, 6, 7]))
}
