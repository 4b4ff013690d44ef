//! A mixer whose channels turn their sign learns what no decay in (0, 1) can: the parity of bits, beyond the lengths that it saw.

use std::fmt::Write as _;

use minrnn_model::oracle::{self, Data, Run};
use minrnn_model::rng::Rng;
use minrnn_train::trainer::{Control, Device, TrainConfig, Trainer};

/// Sequences of 1 to 40 bits with the parity so far at each step.
fn data(rng: &mut Rng) -> String {
    let mut text = "sequence,bit,parity\n".to_owned();
    for sequence in 0..1200 {
        let mut parity = 0;
        for _ in 0..1 + rng.below(40) {
            let bit = rng.below(2);
            parity ^= bit;
            writeln!(text, "{sequence},{bit},{parity}").expect("text");
        }
    }
    text
}

/// The committed configuration, shorter.
fn config(path: &std::path::Path, cell: &str) -> TrainConfig {
    let text = include_str!("../../models/parity-signed-min-gru/train.toml");
    let text = text
        .replace("parity.csv", &path.display().to_string())
        .replace("signed_min_gru", cell)
        .replace("steps = 2000", "steps = 300")
        .replace("eval_every = 500", "eval_every = 0");
    toml::from_str(&text).expect(&text)
}

/// The part of steps of sequences of `time` bits whose parity is right.
fn accuracy(trainer: &Trainer, time: usize) -> f64 {
    let batch = 8;
    let mut rng = Rng::named(5, "longer");
    let bits: Vec<f32> = (0..batch * time).map(|_| rng.below(2) as f32).collect();
    let params = trainer.params().expect("weights");
    let run = Run::new(batch, time, Data::Features(&bits));
    let trace = oracle::run(trainer.model().graph(), &params, &run).expect("runs");
    let rows = bits.chunks(time).zip(trace.output.data.chunks(2 * time));
    let right = rows.flat_map(|(bits, logits)| {
        let mut odd = false;
        bits.iter().zip(logits.chunks(2)).map(move |(bit, logits)| {
            odd ^= *bit == 1.0;
            (logits[1] > logits[0]) == odd
        })
    });
    right.filter(|r| *r).count() as f64 / bits.len() as f64
}

#[test]
fn a_signed_cell_learns_parity_and_keeps_it_beyond_what_it_saw() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("bits.csv");
    std::fs::write(&path, data(&mut Rng::named(3, "bits"))).expect("written");
    let trained = |cell: &str| {
        let config = config(&path, cell);
        let mut trainer = Trainer::new(&config, &Device::Cpu).expect("a trainer");
        trainer
            .fit(&mut |_, _| Ok(Control::Continue))
            .expect("trains");
        trainer
    };
    let signed = trained("signed_min_gru");
    let [short, long] = [40, 400].map(|time| accuracy(&signed, time));
    assert!(short > 0.99 && long > 0.95, "{short} {long}");
    // The same with a decay in (0, 1) is no better than a guess where sequences are longer.
    let plain = accuracy(&trained("min_gru"), 400);
    assert!(plain < 0.7, "{plain}");
}
