//! What a training is said to need, against what it takes.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use minrnn_train::trainer::{Control, Device, Memory, TrainConfig, Trainer};
use peak_alloc::PeakAlloc;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

fn config(model: &str, train: &str, length: usize) -> TrainConfig {
    let text = format!(
        "[task]\nkind = 'selective_copying'\nlength = {length}\ndata_tokens = 4\nvocab = 8\neval_samples = 4\n\
         [model]\n{model}\n[train]\nsteps = 2\nlr = 1e-3\n{train}\n"
    );
    toml::from_str(&text).expect(&text)
}

/// Bytes that making a trainer, two steps, an evaluation and a checkpoint took at their largest; what candle is said to need, and the
/// tape.
fn measured(config: &TrainConfig) -> (u64, Memory, Memory) {
    let dir = tempfile::tempdir().unwrap();
    let before = PEAK.current_usage();
    PEAK.reset_peak_usage();
    let mut trainer = Trainer::new(config, &Device::Cpu).unwrap();
    trainer.fit(&mut |_, _| Ok(Control::Continue)).unwrap();
    trainer
        .checkpoint()
        .unwrap()
        .save(&dir.path().join("c"))
        .unwrap();
    let peak = (PEAK.peak_usage() - before) as u64;
    let time = trainer.task().longest().unwrap();
    let graph = trainer.model().graph();
    let memory = Memory::of(graph, config.train.batch, time, true);
    (peak, memory, memory.planned(graph))
}

/// One test: a second one beside it would be measured too.
#[test]
fn estimates_are_within_a_factor_of_two_and_never_far_above() {
    let cases = [
        ("wide", "width = 512\nlayers = 2", "batch = 1", 12),
        (
            "wide with feed-forward",
            "width = 384\nlayers = 1\nmlp = { expansion = 4, activation = 'gelu' }",
            "batch = 1",
            12,
        ),
        ("long", "width = 32\nlayers = 2", "batch = 8", 2000),
        ("many", "width = 64\nlayers = 1", "batch = 512", 60),
        (
            "all layers",
            "width = 48\nlayers = 3\nnorm = 'layer'\ndropout = 0.1\nconv = { kernel = 4 }\nmlp = { expansion = 2, activation = 'silu', gated = true }\n[model.cell]\nkind = 'min_lstm'\nexpansion = 2",
            "batch = 32",
            300,
        ),
        (
            "even",
            "width = 256\nlayers = 2\n[model.cell]\nkind = 'min_gru'\nexpansion = 2",
            "batch = 8",
            300,
        ),
    ];
    let mut wrong = vec![];
    for (name, model, train, length) in cases {
        let by = |engine: &str| {
            let train = format!("{train}\nengine = '{engine}'");
            let config = config(model, &train, length);
            measured(&config)
        };
        let (candle, tape) = (by("candle"), by("tape"));
        for (engine, peak, memory) in [("candle", candle.0, candle.1), ("the tape", tape.0, tape.2)]
        {
            let ratio = memory.peak() as f64 / peak as f64;
            if !(0.5..=1.15).contains(&ratio) {
                wrong.push(format!(
                    "{name} by {engine}: {ratio:.2} of {peak} measured, {memory}\n"
                ));
            }
        }
        // Plans and graphs are counted too.
        if tape.0 > candle.0 + (64 << 10) {
            wrong.push(format!(
                "{name}: the tape took {}, candle {}\n",
                tape.0, candle.0
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}
