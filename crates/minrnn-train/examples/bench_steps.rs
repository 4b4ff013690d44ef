//! What `minrnn bench train` measures on the CPU, without the rest of the program:
//! `cargo run --release -p minrnn-train --example bench_steps -- [ROUNDS] [PYTHON]`.
#![allow(
    clippy::print_stdout,
    missing_docs,
    dead_code,
    reason = "a program for measuring"
)]

#[path = "../../minrnn-cli/src/commands/bench/steps/ours.rs"]
mod ours;
#[path = "../../minrnn-cli/src/commands/bench/steps/torch.rs"]
mod torch;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rounds = arguments.first().map_or(Ok(5), |n| n.parse())?;
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut torch = match arguments.get(1) {
        Some(python) => Some(torch::Torch::start(Path::new(python), 2)?),
        None => None,
    };
    for case in ours::Case::all()? {
        if !case.name.contains(&only) {
            continue;
        }
        let (mut tape, mut candle) = (ours::Tape::new(&case)?, ours::Candle::new(&case)?);
        let mut best = [f64::INFINITY; 4];
        for _ in 0..rounds {
            for _ in 0..3 {
                let start = Instant::now();
                tape.step(&case)?;
                best[0] = best[0].min(start.elapsed().as_secs_f64() * 1e3);
            }
            for _ in 0..3 {
                let start = Instant::now();
                candle.step(&case)?;
                best[1] = best[1].min(start.elapsed().as_secs_f64() * 1e3);
            }
            for (mode, best) in ["eager", "compile"].into_iter().zip(&mut best[2..]) {
                if let Some(torch) = &mut torch {
                    let times = torch.steps(&case, mode, 2)?;
                    *best = times.into_iter().fold(*best, f64::min);
                }
            }
        }
        let tokens = (case.batch * case.time) as f64;
        let rates = best.map(|ms| (tokens / ms * 1e3).round());
        println!(
            "{}: tape, candle, eager, compile: ms {best:.1?} tokens/s {rates:?}",
            case.name
        );
        println!(
            "  bytes {} launches {}",
            tape.engine.bytes(),
            tape.engine.launches()
        );
        let mut kinds: Vec<(String, usize, f64)> = vec![];
        for (name, ms) in tape.engine.profile(4) {
            match kinds.iter_mut().find(|k| k.0 == name) {
                Some(kind) => (kind.1, kind.2) = (kind.1 + 1, kind.2 + ms),
                None => kinds.push((name, 1, ms)),
            }
        }
        kinds.sort_by(|a, b| b.2.total_cmp(&a.2));
        for (name, count, ms) in kinds {
            println!("  {ms:8.3} ms {count:3} {name}");
        }
    }
    Ok(())
}
