//! Thousands of damaged files: each is refused or runs; none panics, none asks for more than a machine has.

use minrnn_runtime::{ErrorKind, Model};

use crate::support::build::{Form, Spec};
use crate::support::random::Random;
use crate::support::{features, tokens};

/// Opens and, if the file is taken, runs it. Returns how far it came: 0 refused at opening, 1 while running, 2 ran.
fn try_all(bytes: &[u8]) -> u8 {
    let model = match Model::from_bytes(bytes) {
        Ok(model) => model,
        Err(error) => {
            let kinds = [ErrorKind::Foreign, ErrorKind::Contract, ErrorKind::Load];
            assert!(kinds.contains(&error.kind()), "{error}");
            return 0;
        }
    };
    let info = model.info();
    let batch = info.batch.unwrap_or(2);
    let time = info.longest().unwrap_or(3).min(3);
    let Ok(state) = model.initial_state(batch) else {
        return 1;
    };
    let result = match info.input {
        minrnn_runtime::InputSpec::Tokens { .. } => {
            model.run(tokens(&vec![1; batch * time], batch, time), &state)
        }
        minrnn_runtime::InputSpec::Features { width } => {
            let values = vec![0.5; batch * time * width];
            model.run(features(&values, batch, time, width), &state)
        }
    };
    match result {
        Ok((out, _)) => {
            assert_eq!(out.values.len(), out.shape.iter().product::<usize>());
            2
        }
        Err(_) => 1,
    }
}

fn files() -> Vec<Vec<u8>> {
    let small = Spec {
        width: 3,
        d: 2,
        c: 2,
        conv: true,
        ..Spec::gated(Form::Scan)
    };
    let token = Spec {
        vocab: Some(4),
        ..small.clone()
    };
    vec![
        small.bytes(),
        token.bytes(),
        small.with(Form::Step).bytes(),
        small.with(Form::KoggeStone(4)).bytes(),
    ]
}

#[test]
fn flipped_bytes() {
    let mut random = Random::new(41);
    let mut ends = [0; 3];
    for good in files() {
        for _ in 0..1000 {
            let mut bad = good.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(bad.len());
                bad[at] ^= 1 << random.below(8);
            }
            ends[usize::from(try_all(&bad))] += 1;
        }
    }
    assert!(
        ends[0] > 10 && ends[2] > 10,
        "some are refused, some run: {ends:?}"
    );
}

#[test]
fn cut_files() {
    for good in files() {
        for len in (0..good.len()).step_by(7) {
            assert!(try_all(&good[..len]) == 0, "cut at {len} of {}", good.len());
        }
    }
}

#[test]
fn spliced_files() {
    let mut random = Random::new(43);
    let files = files();
    for _ in 0..1500 {
        let mut bad = files[random.below(files.len())].clone();
        let from = random.below(bad.len());
        let to = (from + 1 + random.below(40)).min(bad.len());
        match random.below(3) {
            0 => drop(bad.drain(from..to)),
            1 => {
                let piece = bad[from..to].to_vec();
                let at = random.below(bad.len());
                bad.splice(at..at, piece);
            }
            _ => bad[from..to]
                .iter_mut()
                .for_each(|b| *b = random.word() as u8),
        }
        try_all(&bad);
    }
}

#[test]
fn random_bytes() {
    let mut random = Random::new(47);
    for _ in 0..2000 {
        let len = random.below(300);
        let bytes: Vec<u8> = (0..len).map(|_| random.word() as u8).collect();
        assert_eq!(try_all(&bytes), 0);
    }
}
