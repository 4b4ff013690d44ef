//! States that are carried from piece to piece of long streams.

use candle_core::{DType, Tensor};
use minrnn_model::params::Params;

use super::*;
use crate::run::{self, Run, Weights};
use crate::task::{Input, Piece, Targets};

const B: usize = 3;

/// Models with states of all kinds: values and windows, those longer than a piece too, learned beginnings, wide states of scans.
const MODELS: [&str; 7] = [
    "[model.conv]\nkernel = 4\n[model.mlp]\nexpansion = 2",
    "[model.cell]\ninitial_state = 'learned'\ncandidate = 'linear'",
    "[model.cell]\nkind = 'min_lstm'\nexpansion = 2",
    "[model.cell]\nkind = 'signed_min_gru'\n[model.conv]\nkernel = 2",
    "[model.cell]\nkind = 'mamba'\nstates = 3\nexpansion = 1\n[model.block]\nkind = 'mamba'",
    "[model.cell]\nkind = 'mamba2'\nstates = 3\nhead_channels = 2\nexpansion = 1\n[model.block]\nkind = 'mamba'\nkernel = 5",
    "norm = 'layer'\n[model.cell]\nexpansion = 1.5\n[model.block]\nkind = 'mamba'",
];

struct Text(tempfile::TempDir);

impl Text {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let letters = ['a', 'b', 'c', 'd', 'e'];
        let text: String = (0..100).map(|i| letters[(i * i + i / 3) % 5]).collect();
        std::fs::write(folder.path().join("text.txt"), text).unwrap();
        Self(folder)
    }

    fn config(&self, seq_len: usize, model: &str, train: &str) -> TrainConfig {
        let text = format!(
            "[task]\nkind = 'text'\npath = '{}'\nseq_len = {seq_len}\n\
             [train]\nsteps = 40\nbatch = {B}\nseed = 5\ncarry_state = true\n{train}\n\
             [model]\nwidth = 6\nlayers = 2\n{model}\n",
            self.0.path().join("text.txt").display()
        );
        toml::from_str(&text).expect(&text)
    }
}

const STILL: &str = "lr = 1e-30\noptimizer = { weight_decay = 0.0 }";

/// The streams of a pass as one batch, as long as its steps together.
fn whole(trainer: &Trainer, pass: u64) -> (Vec<u32>, Vec<u32>, usize) {
    let steps = trainer.task().pass(B).unwrap();
    let piece = |at| {
        let piece = Piece {
            pass,
            at,
            streams: B,
        };
        trainer.task().pieces(piece).unwrap()
    };
    let (mut ids, mut targets) = (vec![vec![]; B], vec![vec![]; B]);
    for batch in (0..steps).map(piece) {
        let (Input::Tokens { ids: new }, Targets::Classes { ids: wanted, .. }) =
            (&batch.input, &batch.targets)
        else {
            panic!("tokens")
        };
        for row in 0..B {
            let of = row * batch.time..(row + 1) * batch.time;
            ids[row].extend_from_slice(&new[of.clone()]);
            targets[row].extend_from_slice(&wanted[of]);
        }
    }
    for row in 0..B {
        assert_eq!(
            ids[row][1..],
            targets[row][..ids[row].len() - 1],
            "one text"
        );
    }
    (ids.concat(), targets.concat(), steps as usize)
}

/// The mean loss of each piece where the model runs over the whole streams at once, in float64.
fn at_once(trainer: &Trainer, params: &Params, pass: u64) -> Vec<f64> {
    let graph = trainer.model().graph();
    let (ids, targets, steps) = whole(trainer, pass);
    let device = candle_core::Device::Cpu;
    let weights = Weights::new(graph, params, DType::F64, &device).unwrap();
    let time = ids.len() / B;
    let input = Tensor::from_slice(&ids, (B, time), &device).unwrap();
    let output = run::run(graph, &weights, &Run::new(&input)).unwrap().output;
    let rows = output.to_vec3::<f64>().unwrap();
    let each = time / steps;
    let nats = |b: usize, t: usize| {
        let row = &rows[b][t];
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        sum.ln() - row[targets[b * time + t] as usize]
    };
    let mean = |step: usize| {
        let all = (0..B).flat_map(|b| (step * each..(step + 1) * each).map(move |t| (b, t)));
        all.map(|(b, t)| nats(b, t)).sum::<f64>() / (B * each) as f64
    };
    (0..steps).map(mean).collect()
}

fn near(got: f64, wanted: f64, tolerance: f64) -> bool {
    (got - wanted).abs() <= tolerance * (1.0 + wanted.abs())
}

#[test]
fn pieces_give_the_values_of_the_whole_stream_on_every_engine() {
    let text = Text::new();
    for seq_len in [2, 7] {
        for model in MODELS {
            for engine in ["candle", "tape"] {
                let train = format!("{STILL}\nengine = '{engine}'");
                let config = text.config(seq_len, model, &train);
                let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
                let params = trainer.params().unwrap();
                for pass in 0..2 {
                    let wanted = at_once(&trainer, &params, pass);
                    assert!(wanted.len() >= 4);
                    for (at, wanted) in wanted.into_iter().enumerate() {
                        let got = trainer.step().unwrap().loss;
                        assert!(
                            near(got, wanted, 2e-6),
                            "{engine} T={seq_len} {model}, pass {pass}, step {at}: {got}, at once {wanted}"
                        );
                    }
                }
            }
        }
    }
}

/// What the test above is worth: states that begin anew at each piece give other values.
#[test]
fn states_that_are_not_carried_give_other_values() {
    let text = Text::new();
    for model in MODELS {
        let config = text.config(7, model, STILL);
        let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
        let carried: Vec<f64> = (0..3).map(|_| trainer.step().unwrap().loss).collect();
        let mut fresh = Trainer::new(&config, &Device::Cpu).unwrap();
        for (at, carried) in carried.into_iter().enumerate() {
            let piece = Piece {
                pass: 0,
                at: at as u64,
                streams: B,
            };
            let batch = fresh.task.pieces(piece).unwrap();
            let dropout = Dropout { seed: 0, step: 0 };
            let report = fresh.backend.step(&batch, dropout, 1e-30).unwrap().unwrap();
            let same = near(report.loss, carried, 1e-6);
            assert_eq!(
                same,
                at == 0,
                "{model}, step {at}: {} {carried}",
                report.loss
            );
        }
    }
}

/// Losses, gradient norms, and the states at the end.
type Trained = (Vec<[f64; 2]>, Vec<(String, Vec<f32>)>);

fn trained(config: &TrainConfig, device: &Device) -> Trained {
    let mut trainer = Trainer::new(config, device).unwrap();
    let mut logs = vec![];
    while logs.len() < 17 {
        let (steps, error) = trainer.steps(17 - logs.len() as u64).unwrap();
        assert!(error.is_none(), "{error:?}");
        logs.extend(steps.iter().map(|log| [log.loss, log.grad_norm]));
    }
    let states = trainer.checkpoint().unwrap().states.unwrap().into_iter();
    (
        logs,
        states.map(|(name, state)| (name, state.data)).collect(),
    )
}

fn hold(what: &str, got: &Trained, wanted: &Trained) {
    for (step, (got, wanted)) in got.0.iter().zip(&wanted.0).enumerate() {
        for (got, wanted) in got.iter().zip(wanted) {
            assert!(
                near(*got, *wanted, 1e-4),
                "{what}, step {step}: {got} {wanted}"
            );
        }
    }
    assert_eq!(got.1.len(), wanted.1.len());
    for ((name, got), (same, wanted)) in got.1.iter().zip(&wanted.1) {
        assert_eq!((name, got.len()), (same, wanted.len()));
        for (got, wanted) in got.iter().zip(wanted) {
            assert!(
                near((*got).into(), (*wanted).into(), 2e-3),
                "{what} {name}: {got} {wanted}"
            );
        }
    }
}

/// No gradient goes through a cut, the one of a learned beginning is 0 behind it: as one engine has it, so has the other.
#[test]
fn engines_train_alike_with_carried_states() {
    let text = Text::new();
    for model in MODELS {
        let model = format!("dropout = 0.1\n{model}");
        let of = |engine: &str, more: &str| {
            let train = format!(
                "lr = 1e-3\noptimizer = {{ clip_norm = 1.0 }}\nengine = '{engine}'\n{more}"
            );
            text.config(7, &model, &train)
        };
        let wanted = trained(&of("candle", ""), &Device::Cpu);
        hold(&model, &trained(&of("tape", ""), &Device::Cpu), &wanted);
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that could not run says so")]
fn a_gpu_carries_states_as_the_cpu_does() {
    let gpu = match Device::cuda(0) {
        Ok(gpu) => gpu,
        Err(error) => return eprintln!("not run: {error}"),
    };
    let text = Text::new();
    for model in MODELS {
        const PARTS: &str = "engine = 'tape'\naccumulate = 2";
        let of = |engine: &str| text.config(7, model, &format!("lr = 1e-3\n{engine}"));
        let wanted = trained(&of("engine = 'candle'"), &Device::Cpu);
        for engine in ["engine = 'tape'", "engine = 'candle'", PARTS] {
            let what = format!("{engine} {model}");
            hold(&what, &trained(&of(engine), &gpu), &wanted);
        }
        goes_on_bit_for_bit(&of("engine = 'tape'"), &gpu);
        goes_on_bit_for_bit(&of(PARTS), &gpu);
    }
}

#[test]
fn a_batch_in_parts_carries_its_states() {
    let text = Text::new();
    for model in MODELS {
        let of = |engine: &str, more: &str| {
            let train = format!("lr = 1e-3\nengine = '{engine}'\n{more}");
            text.config(7, model, &train)
        };
        let wanted = trained(&of("candle", ""), &Device::Cpu);
        for engine in ["candle", "tape"] {
            for parts in [2, 3] {
                let config = of(engine, &format!("accumulate = {parts}"));
                let what = format!("{engine} in {parts} parts, {model}");
                hold(&what, &trained(&config, &Device::Cpu), &wanted);
            }
        }
    }
}

fn goes_on_bit_for_bit(config: &TrainConfig, device: &Device) {
    let mut whole = Trainer::new(config, device).unwrap();
    let losses: Vec<f64> = (0..9).map(|_| whole.step().unwrap().loss).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let mut first = Trainer::new(config, device).unwrap();
    for cut in 1..9 {
        first.step().unwrap();
        first.checkpoint().unwrap().save(&path).unwrap();
        let checkpoint = Checkpoint::load(&path).unwrap();
        let options = ResumeOptions::default();
        let mut second = Trainer::resume(config, &checkpoint, &path, device, options).unwrap();
        for wanted in &losses[cut..] {
            let got = second.step().unwrap().loss;
            assert_eq!(got.to_bits(), wanted.to_bits(), "cut at {cut}");
        }
        assert_eq!(second.params().unwrap(), whole.params().unwrap());
        assert_eq!(second.checkpoint().unwrap(), whole.checkpoint().unwrap());
    }
}

#[test]
fn a_resumed_run_goes_on_bit_for_bit_within_a_stream() {
    let text = Text::new();
    for (i, model) in MODELS.iter().enumerate() {
        for engine in ["candle", "tape"] {
            let parts = if i == 0 { "accumulate = 2" } else { "" };
            let train = format!("lr = 1e-2\nengine = '{engine}'\n{parts}");
            goes_on_bit_for_bit(&text.config(7, model, &train), &Device::Cpu);
        }
    }
}

#[test]
fn another_batch_begins_a_new_pass_and_says_so() {
    let text = Text::new();
    let config = text.config(7, MODELS[0], "lr = 1e-2");
    let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
    trainer.step().unwrap();
    let checkpoint = trainer.checkpoint().unwrap();
    let place = |trainer: &Trainer| trainer.state.streams.map(|s| (s.pass, s.at, s.streams));
    assert_eq!(place(&trainer), Some((0, 1, B)));
    let mut other = config.clone();
    other.train.batch = 2;
    let path = std::path::Path::new("checkpoint");
    let resume = |config: &TrainConfig, checkpoint: &Checkpoint| {
        let options = ResumeOptions::default();
        Trainer::resume(config, checkpoint, path, &Device::Cpu, options)
    };
    let mut resumed = resume(&other, &checkpoint).unwrap();
    assert_eq!(place(&resumed), Some((1, 0, 2)));
    let said = resumed.notes().join("\n");
    assert!(
        said.contains("a new pass over the streams begins"),
        "{said}"
    );
    resumed.step().unwrap();
    assert_eq!(place(&resumed), Some((1, 1, 2)));
    // A checkpoint that lost its states, or has others.
    let lost = Checkpoint {
        states: None,
        ..checkpoint.clone()
    };
    let error = resume(&config, &lost).unwrap_err().to_string();
    assert!(error.contains("states.safetensors"), "{error}");
    let mut strange = checkpoint;
    let states = strange.states.as_mut().unwrap();
    let (_, state) = states.pop_first().unwrap();
    states.insert("9.h".into(), state);
    let error = resume(&config, &strange).unwrap_err().to_string();
    assert!(error.contains("the model has no state `9.h`"), "{error}");
}

#[test]
fn what_has_no_streams_is_refused_by_name() {
    let text = Text::new();
    let long = text.config(31, "", "lr = 1e-2");
    let error = Trainer::new(&long, &Device::Cpu).unwrap_err().to_string();
    assert!(
        error.contains("`train.carry_state`") && error.contains("train.batch = 3 streams"),
        "{error}"
    );
    let copying = "[task]\nkind = 'selective_copying'\nlength = 12\ndata_tokens = 2\nvocab = 6\neval_samples = 4\n\
         [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 8\nbatch = 4\nlr = 3e-3\ncarry_state = true\n";
    let copying: TrainConfig = toml::from_str(copying).unwrap();
    let error = Trainer::new(&copying, &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`train.carry_state`") && error.contains("samples of their own"),
        "{error}"
    );
}
