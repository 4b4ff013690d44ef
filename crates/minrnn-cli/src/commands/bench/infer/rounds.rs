//! Time in turns: each round lets every contender run for a while, so that what else the machine does hits all of them.

use std::time::Duration;

use anyhow::Result;

use crate::interrupt;

/// Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped;

/// Why a runner has no time.
#[derive(Debug)]
pub(super) enum Fault {
    /// It says that it does not do this.
    Refused(String),
    /// What it gives is not what must come out, or it is gone.
    Wrong(String),
    /// What it is held to could not be computed.
    Ours(anyhow::Error),
}

/// Something that can be timed.
pub(super) trait Runner {
    /// Seconds of so many calls, 1 at least.
    fn run(&mut self, calls: usize) -> Result<f64, Fault>;
}

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) rounds: usize,
    /// Seconds of a turn, about.
    pub(super) turn: f64,
}

/// Threads that wait for more work by looking for it sleep after this time, and do not take a core from the next one.
const PAUSE: Duration = Duration::from_millis(30);

/// Seconds of one call, in each round, of each runner; of one that fails once, why.
///
/// # Errors
/// Ctrl-C; [`Fault::Ours`].
pub(super) fn measure<R: Runner>(
    runners: &mut [R],
    pace: Pace,
    mut observe: impl FnMut(usize),
) -> Result<Vec<Result<Vec<f64>, Fault>>> {
    let mut calls = vec![0; runners.len()];
    let mut times = vec![];
    for (runner, calls) in runners.iter_mut().zip(&mut calls) {
        times.push(match calibrate(runner, pace.turn)? {
            Ok(found) => {
                *calls = found;
                Ok(vec![])
            }
            Err(fault) => Err(fault),
        });
    }
    for round in 0..pace.rounds {
        observe(round);
        for at in turns(runners.len(), round) {
            let Ok(seen) = &mut times[at] else {
                continue;
            };
            pause()?;
            match run(&mut runners[at], calls[at])? {
                Ok(seconds) => seen.push(seconds / calls[at] as f64),
                Err(fault) => times[at] = Err(fault),
            }
        }
    }
    Ok(times)
}

fn run(runner: &mut impl Runner, calls: usize) -> Result<Result<f64, Fault>> {
    match runner.run(calls) {
        Err(Fault::Ours(error)) => Err(error),
        other => Ok(other),
    }
}

/// The order of a round: forwards and backwards in turn, so that nobody always runs after the same one.
pub(super) fn turns(count: usize, round: usize) -> Vec<usize> {
    let forwards = 0..count;
    match round % 2 {
        0 => forwards.collect(),
        _ => forwards.rev().collect(),
    }
}

/// Waits until other threads sleep.
pub(super) fn pause() -> Result<()> {
    if interrupt::asked() {
        return Err(Stopped.into());
    }
    std::thread::sleep(PAUSE);
    Ok(())
}

/// How many calls fill a turn, after one in which an engine may plan.
fn calibrate(runner: &mut impl Runner, turn: f64) -> Result<Result<usize, Fault>> {
    if let Err(fault) = run(runner, 1)? {
        return Ok(Err(fault));
    }
    let mut calls = 1;
    loop {
        pause()?;
        let seconds = match run(runner, calls)? {
            Ok(seconds) => seconds,
            Err(fault) => return Ok(Err(fault)),
        };
        if seconds >= turn / 4.0 {
            return Ok(Ok(((turn / seconds * calls as f64) as usize).max(1)));
        }
        // A call that takes no time that the clock could see would fill no turn.
        if calls >= MOST {
            return Ok(Ok(calls));
        }
        calls *= 4;
    }
}

/// The most calls of a turn.
const MOST: usize = 1 << 20;

/// The middle of the times; of an even number the mean of the two in the middle.
pub(super) fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => f64::NAN,
        _ => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
    }
}

/// The least of the times.
pub(super) fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as long as it says; `fails`: the round from which on it is wrong.
    struct Fake {
        seconds: f64,
        runs: usize,
        fails: usize,
    }

    impl Runner for Fake {
        fn run(&mut self, calls: usize) -> Result<f64, Fault> {
            self.runs += 1;
            match self.runs > self.fails {
                true => Err(Fault::Wrong("off".into())),
                false => Ok(self.seconds * calls as f64),
            }
        }
    }

    fn fake(seconds: f64, fails: usize) -> Fake {
        let runs = 0;
        Fake {
            seconds,
            runs,
            fails,
        }
    }

    #[test]
    fn everyone_has_a_turn_in_each_round_of_about_the_same_length() {
        let mut all = [0.7, 1e-3, 0.0].map(|seconds| fake(seconds, usize::MAX));
        let pace = Pace {
            rounds: 3,
            turn: 0.1,
        };
        let mut seen = vec![];
        let times = measure(&mut all, pace, |round| seen.push(round)).unwrap();
        assert_eq!(seen, [0, 1, 2]);
        for (times, seconds) in times.iter().zip([0.7, 1e-3, 0.0]) {
            let times = times.as_ref().unwrap();
            assert_eq!(times.len(), 3);
            assert!(
                times.iter().all(|t| (t - seconds).abs() < 1e-12),
                "{times:?}"
            );
        }
        assert_eq!(turns(3, 0), [0, 1, 2]);
        assert_eq!(turns(3, 1), [2, 1, 0]);
    }

    /// One that fails, at once or in a later round, has no time at all; the others go on.
    #[test]
    fn whoever_fails_once_is_out() {
        let mut all = [fake(0.7, 0), fake(0.7, 2), fake(0.7, usize::MAX)];
        let pace = Pace {
            rounds: 3,
            turn: 0.1,
        };
        let times = measure(&mut all, pace, |_| ()).unwrap();
        assert!(matches!(&times[0], Err(Fault::Wrong(_))), "{times:?}");
        assert!(matches!(&times[1], Err(Fault::Wrong(_))), "{times:?}");
        assert_eq!(times[2].as_ref().unwrap().len(), 3);
        assert_eq!(all.map(|f| f.runs), [1, 3, 5]);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 10.0]), 3.0);
        assert_eq!(median(&[3.0, 1.0, 10.0, 4.0]), 3.5);
        assert_eq!(least(&[3.0, 1.0, 10.0]), 1.0);
        assert!(median(&[]).is_nan());
    }
}
