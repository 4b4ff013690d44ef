//! Time in turns: each round lets every contender run for a while, so that what else the machine does hits all of them.

use std::time::Duration;

use anyhow::Result;

use super::contender::Contender;
use crate::interrupt;

/// Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped;

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) rounds: usize,
    /// Seconds of a turn, about.
    pub(super) turn: f64,
}

/// Threads that wait for more work by looking for it sleep after this time, and do not take a core from the next one.
const PAUSE: Duration = Duration::from_millis(30);

/// Seconds of one call, in each round, of each contender.
pub(super) fn measure(
    contenders: &mut [Box<dyn Contender>],
    pace: Pace,
    mut observe: impl FnMut(usize),
) -> Result<Vec<Vec<f64>>> {
    let calls: Vec<usize> = contenders
        .iter_mut()
        .map(|c| calibrate(c.as_mut(), pace.turn))
        .collect::<Result<_>>()?;
    let mut times = vec![vec![]; contenders.len()];
    for round in 0..pace.rounds {
        observe(round);
        for at in turns(contenders.len(), round) {
            pause()?;
            times[at].push(contenders[at].run(calls[at])? / calls[at] as f64);
        }
    }
    Ok(times)
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

/// How many calls fill a turn. It is the warm-up as well.
fn calibrate(contender: &mut dyn Contender, turn: f64) -> Result<usize> {
    let mut calls = 1;
    loop {
        pause()?;
        let seconds = contender.run(calls)?;
        if seconds >= turn / 4.0 {
            return Ok(((turn / seconds * calls as f64) as usize).max(1));
        }
        // A call that takes no time that the clock could see would fill no turn.
        if calls >= 1 << 24 {
            return Ok(calls);
        }
        calls *= 4;
    }
}

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
    use super::super::contender::Label;
    use super::*;

    /// Takes as long as it says, and writes down who ran.
    struct Fake {
        name: &'static str,
        seconds: f64,
        calls: Vec<usize>,
    }

    impl Contender for Fake {
        fn label(&self) -> Label {
            Label {
                engine: self.name,
                form: String::new(),
                io: None,
            }
        }
        fn outcome(&mut self) -> Result<Vec<Vec<f32>>> {
            Ok(vec![])
        }
        fn run(&mut self, calls: usize) -> Result<f64> {
            self.calls.push(calls);
            Ok(self.seconds * calls as f64)
        }
    }

    #[test]
    fn everyone_has_a_turn_in_each_round_of_about_the_same_length() {
        let fake = |name, seconds| -> Box<dyn Contender> {
            Box::new(Fake {
                name,
                seconds,
                calls: vec![],
            })
        };
        let mut all = [fake("slow", 0.7), fake("quick", 1e-3), fake("none", 0.0)];
        let pace = Pace {
            rounds: 3,
            turn: 0.1,
        };
        let mut seen = vec![];
        let times = measure(&mut all, pace, |round| seen.push(round)).unwrap();
        assert_eq!(seen, [0, 1, 2]);
        for (times, seconds) in times.iter().zip([0.7, 1e-3, 0.0]) {
            assert_eq!(times.len(), 3);
            assert!(
                times.iter().all(|t| (t - seconds).abs() < 1e-12),
                "{times:?}"
            );
        }
        assert_eq!(turns(3, 0), [0, 1, 2]);
        assert_eq!(turns(3, 1), [2, 1, 0]);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 10.0]), 3.0);
        assert_eq!(median(&[3.0, 1.0, 10.0, 4.0]), 3.5);
        assert_eq!(least(&[3.0, 1.0, 10.0]), 1.0);
        assert!(median(&[]).is_nan());
    }
}
