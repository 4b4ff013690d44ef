//! States that are carried from piece to piece of long sequences.

use candle_core::{DType, Tensor};

use super::*;
use crate::run::{self, Run, Weights};
use crate::task::{Batch, Input, Piece, Targets};

const B: usize = 3;
const LENS: [usize; 8] = [9, 25, 4, 17, 18, 30, 1, 12];

const MODELS: [&str; 5] = [
    "[model.conv]\nkernel = 4\n[model.mlp]\nexpansion = 2",
    "[model.cell]\ninitial_state = 'learned'\ncandidate = 'linear'",
    "[model.cell]\nkind = 'min_lstm'\nexpansion = 2",
    "[model.cell]\nkind = 'mamba'\nstates = 3\nexpansion = 1\n[model.block]\nkind = 'mamba'",
    "norm = 'layer'\n[model.cell]\nexpansion = 1.5\n[model.block]\nkind = 'mamba'",
];

struct Waves(tempfile::TempDir);

impl Waves {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "id,x,y,class,level\n".to_owned();
        for (i, len) in LENS.iter().enumerate() {
            for step in 0..*len {
                let x = (0.7 * step as f64 + i as f64).sin();
                let y = ((i * step) % 5) as f64 * 0.3;
                text += &format!("{i},{x},{y},{},{}\n", (i + step) % 3, 40.0 + x * y);
            }
        }
        std::fs::write(folder.path().join("waves.csv"), text).unwrap();
        Self(folder)
    }

    fn config(&self, values: bool, seq_len: usize, model: &str, train: &str) -> TrainConfig {
        let (target, column, other) = match values {
            true => ("values", "level", "class"),
            false => ("classes", "class", "level"),
        };
        let text = format!(
            "[task]\nkind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['x', 'y']\n\
             target_columns = ['{column}']\nignore_columns = ['{other}']\ntarget = '{target}'\nper = 'step'\n\
             validation_fraction = 0.13\nseq_len = {seq_len}\n\
             [train]\nsteps = 40\nbatch = {B}\nseed = 5\ncarry_state = true\n{train}\n\
             [model]\nwidth = 6\nlayers = 2\n{model}\n",
            self.0.path().join("waves.csv").display()
        );
        toml::from_str(&text).expect(&text)
    }
}

const STILL: &str = "lr = 1e-30\noptimizer = { weight_decay = 0.0 }";

/// The pieces of a pass, and whether each begins anew.
fn pieces(trainer: &Trainer, pass: u64) -> Vec<(bool, Batch)> {
    let steps = trainer.task().pass(B).unwrap();
    let piece = |at| Piece {
        pass,
        at,
        streams: B,
    };
    let task = trainer.task();
    (0..steps)
        .map(|at| (task.begins(piece(at)), task.pieces(piece(at)).unwrap()))
        .collect()
}

/// The mean loss of each piece where the model runs over a whole round at once, in float64.
fn at_once(trainer: &Trainer, pass: u64) -> Vec<f64> {
    let graph = trainer.model().graph();
    let trained = graph.normalised().unwrap_or_else(|| graph.clone());
    let device = candle_core::Device::Cpu;
    let params = trainer.params().unwrap();
    let weights = Weights::new(&trained, &params, DType::F64, &device).unwrap();
    let norm = trainer.task().target_normalisation();
    let mut losses = vec![];
    let all = pieces(trainer, pass);
    for round in all.chunk_by(|_, (begins, _)| !begins) {
        let time = round[0].1.time;
        let mut rows = vec![vec![]; B];
        for (_, batch) in round {
            let Input::Features { values, width } = &batch.input else {
                panic!("features")
            };
            for (row, all) in rows.iter_mut().enumerate() {
                all.extend_from_slice(&values[row * time * width..(row + 1) * time * width]);
            }
        }
        let long = time * round.len();
        let input: Vec<f64> = rows.concat().into_iter().map(f64::from).collect();
        let input = Tensor::from_slice(&input, (B, long, 2), &device).unwrap();
        let output = run::run(&trained, &weights, &Run::new(&input))
            .unwrap()
            .output;
        let output = output.to_vec3::<f64>().unwrap();
        for (at, (_, batch)) in round.iter().enumerate() {
            let (mut sum, mut count) = (0.0, 0.0);
            for (row, output) in output.iter().enumerate() {
                for t in 0..time {
                    let place = row * time + t;
                    let weight = batch.weights.as_ref().map_or(1.0, |w| f64::from(w[place]));
                    let said = &output[at * time + t];
                    let loss = match &batch.targets {
                        Targets::Classes { ids, .. } => {
                            let sum: f64 = said.iter().map(|x| x.exp()).sum();
                            sum.ln() - said[ids[place] as usize]
                        }
                        Targets::Values { values, .. } => {
                            let norm = norm.unwrap();
                            let [mean, std] = [norm.mean[0], norm.std[0]].map(f64::from);
                            (said[0] - (f64::from(values[place]) - mean) / std).powi(2)
                        }
                    };
                    sum += weight * loss;
                    count += weight;
                }
            }
            losses.push(sum / count);
        }
    }
    losses
}

fn near(got: f64, wanted: f64, tolerance: f64) -> bool {
    (got - wanted).abs() <= tolerance * (1.0 + wanted.abs())
}

#[test]
fn pieces_give_the_values_of_whole_sequences_on_every_engine() {
    let waves = Waves::new();
    for (values, seq_len) in [(true, 7), (false, 7), (false, 2)] {
        for model in MODELS {
            for engine in ["candle", "tape"] {
                let train = format!("{STILL}\nengine = '{engine}'");
                let config = waves.config(values, seq_len, model, &train);
                let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
                for pass in 0..2 {
                    let wanted = at_once(&trainer, pass);
                    assert!(wanted.len() >= 5);
                    for (at, wanted) in wanted.into_iter().enumerate() {
                        let got = trainer.step().unwrap().loss;
                        assert!(
                            near(got, wanted, 5e-6),
                            "{engine} T={seq_len} {model}, pass {pass}, step {at}: {got}, at once {wanted}"
                        );
                    }
                }
            }
        }
    }
}

/// Losses, gradient norms, and the states at the end.
fn trained(config: &TrainConfig, device: &Device) -> Vec<[f64; 2]> {
    let mut trainer = Trainer::new(config, device).unwrap();
    let mut logs = vec![];
    while logs.len() < 17 {
        let (steps, error) = trainer.steps(17 - logs.len() as u64).unwrap();
        assert!(error.is_none(), "{error:?}");
        logs.extend(steps.iter().map(|log| [log.loss, log.grad_norm]));
    }
    logs
}

fn hold(what: &str, got: &[[f64; 2]], wanted: &[[f64; 2]]) {
    for (step, (got, wanted)) in got
        .iter()
        .flatten()
        .zip(wanted.iter().flatten())
        .enumerate()
    {
        assert!(near(*got, *wanted, 2e-4), "{what}, {step}: {got} {wanted}");
    }
}

#[test]
fn engines_train_alike_with_states_of_sequences() {
    let waves = Waves::new();
    for model in MODELS {
        let of = |engine: &str, more: &str| {
            let train = format!(
                "lr = 1e-3\noptimizer = {{ clip_norm = 1.0 }}\nengine = '{engine}'\n{more}"
            );
            waves.config(true, 7, &format!("dropout = 0.1\n{model}"), &train)
        };
        let wanted = trained(&of("candle", ""), &Device::Cpu);
        hold(model, &trained(&of("tape", ""), &Device::Cpu), &wanted);
    }
    let of = |engine: &str, more: &str| {
        let train = format!("lr = 1e-3\nengine = '{engine}'\n{more}");
        waves.config(true, 7, MODELS[1], &train)
    };
    let wanted = trained(&of("candle", ""), &Device::Cpu);
    for engine in ["candle", "tape"] {
        let config = of(engine, "accumulate = 3");
        hold("in parts", &trained(&config, &Device::Cpu), &wanted);
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that could not run says so")]
fn a_gpu_carries_states_of_sequences_as_the_cpu_does() {
    let gpu = match Device::cuda(0) {
        Ok(gpu) => gpu,
        Err(error) => return eprintln!("not run: {error}"),
    };
    let waves = Waves::new();
    for model in MODELS {
        let of =
            |engine: &str| waves.config(true, 7, model, &format!("lr = 1e-3\nengine = '{engine}'"));
        let wanted = trained(&of("candle"), &Device::Cpu);
        for engine in ["tape", "candle"] {
            hold(
                &format!("{engine} {model}"),
                &trained(&of(engine), &gpu),
                &wanted,
            );
        }
        goes_on_bit_for_bit(&of("tape"), &gpu);
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
        assert_eq!(second.checkpoint().unwrap(), whole.checkpoint().unwrap());
    }
}

#[test]
fn a_resumed_run_goes_on_bit_for_bit_within_a_round() {
    let waves = Waves::new();
    for model in &MODELS[..2] {
        for engine in ["candle", "tape"] {
            let train = format!("lr = 1e-2\nengine = '{engine}'");
            goes_on_bit_for_bit(&waves.config(false, 7, model, &train), &Device::Cpu);
        }
    }
}

#[test]
fn what_has_no_pieces_is_refused_by_name() {
    let waves = Waves::new();
    let refused = |change: &dyn Fn(&mut TrainConfig), words: &str| {
        let mut config = waves.config(true, 7, "", "lr = 1e-2");
        change(&mut config);
        let error = Trainer::new(&config, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    let options = |config: &mut TrainConfig,
                   change: &dyn Fn(&mut crate::task::SequencesOptions)| {
        if let crate::task::TaskConfig::Sequences(options) = &mut config.task {
            change(options);
        }
    };
    refused(
        &|c| c.train.carry_state = false,
        "`task.seq_len`: cuts sequences into pieces whose states are carried on",
    );
    refused(
        &|c| c.train.batch = 8,
        "takes train.batch = 8 sequences side by side, and the training part has 7",
    );
    refused(
        &|c| options(c, &|o| o.seq_len = None),
        "or set task.seq_len for sequences",
    );
    let whole = |o: &mut crate::task::SequencesOptions| {
        (o.seq_len, o.per) = (None, crate::data::LabelScope::Sequence);
        (o.target_columns, o.ignore_columns) = (vec!["id2".into()], vec!["*".into()]);
    };
    let text: String = (0..10).map(|i| format!("{},1,2,{i}\n", i / 2)).collect();
    let path = waves.0.path().join("whole.csv");
    std::fs::write(
        &path,
        "id,x,y,id2\n".to_owned()
            + &text
                .replace(",9\n", ",8\n")
                .replace(",7\n", ",6\n")
                .replace(",5\n", ",4\n")
                .replace(",3\n", ",2\n")
                .replace(",1\n", ",0\n"),
    )
    .unwrap();
    refused(
        &|c| {
            options(c, &|o| {
                whole(o);
                o.path = path.clone();
                o.validation_fraction = 0.0;
            })
        },
        "a target of the whole sequence is known at its end only",
    );
}
