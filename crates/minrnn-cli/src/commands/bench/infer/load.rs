//! From a step file to its first output.

use std::time::Instant;

use anyhow::{Result, anyhow};

use super::call::Call;
use super::case::Case;
use super::choice::MINRNN;
use super::read;
use super::rounds::{pause, turns};
use super::subject::{File, Subject};
use crate::verify::contender::{Contender, Io, Ours, Roster};

/// From a file to the first output.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) model: String,
    pub(super) dtype: String,
    pub(super) engine: String,
    pub(super) bytes: u64,
    pub(super) seconds: Vec<f64>,
}

/// Every engine in turn; one that does not do it has no figure.
pub(super) fn loads(
    roster: &Roster,
    subject: &Subject,
    case: Case,
    rounds: usize,
) -> Result<Vec<Load>> {
    let Some(file) = subject.fitting(case).into_iter().find(|f| f.own) else {
        return Ok(vec![]);
    };
    let call = Call::new(&file.info, case)?;
    let others = roster.who().into_iter().map(|(name, _)| name);
    let engines: Vec<String> = std::iter::once(MINRNN.to_owned()).chain(others).collect();
    let mut seconds = vec![Some(vec![]); engines.len()];
    for round in 0..rounds {
        for at in turns(engines.len(), round) {
            let Some(seen) = &mut seconds[at] else {
                continue;
            };
            pause()?;
            let load = match at.checked_sub(1) {
                None => Some(load(&mut Ours, file, case, &call)),
                Some(at) => roster.at(at, |engine| load(engine, file, case, &call)),
            };
            match load {
                Some(Ok(took)) => seen.push(took),
                // Why is told where it is timed.
                _ => seconds[at] = None,
            }
        }
    }
    let known = engines.into_iter().zip(seconds);
    let known = known.filter_map(|(engine, seconds)| Some((engine, seconds?)));
    let load = |(engine, seconds)| Load {
        model: subject.name.clone(),
        dtype: subject.dtype.clone(),
        engine,
        bytes: file.bytes,
        seconds,
    };
    Ok(known.map(load).collect())
}

/// Of an engine in a program, the time in which the program worked.
fn load(engine: &mut dyn Contender, file: &File, case: Case, call: &Call) -> Result<f64> {
    let begin = Instant::now();
    let bytes = read(&file.path)?;
    let mut opened = engine
        .open(&file.path, &bytes, case.threads)
        .map_err(|e| anyhow!("{e}"))?;
    let ways = opened.ways();
    let io = ways.iter().min().copied().unwrap_or(Io::Plain);
    let lap = call.timing(io, 1, |timing| opened.time(timing))?;
    Ok(match opened.opening() {
        Some(opening) => opening.as_secs_f64() + lap.seconds,
        None => begin.elapsed().as_secs_f64(),
    })
}
