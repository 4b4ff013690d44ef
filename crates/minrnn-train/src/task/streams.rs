//! Long streams cut from a row of tokens, side by side, in pieces that follow each other.

use crate::data::SampleRng;
use crate::error::{Result, TrainError};

/// Which pieces a step of a training with carried states takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Number of the pass over the data.
    pub pass: u64,
    /// Number of the step in it.
    pub at: u64,
    /// B, streams side by side.
    pub streams: usize,
}

/// Streams of the same length: `steps` pieces of `time` tokens each. What is left over is fewer than that for each stream; a pass begins
/// at a place drawn by chance, so that other passes leave out something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Streams {
    /// Tokens that can be predicted.
    pub(super) predicted: usize,
    /// T.
    pub(super) time: usize,
    pub(super) seed: u64,
}

impl Streams {
    /// Steps of a pass with so many streams; 0: they are shorter than T.
    pub(super) fn steps(self, streams: usize) -> u64 {
        (self.predicted / streams.max(1) / self.time.max(1)) as u64
    }

    /// Where each stream's piece begins.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a piece beyond the end of a pass.
    pub(super) fn starts(self, piece: Piece) -> Result<Vec<usize>> {
        let steps = self.steps(piece.streams);
        if piece.at >= steps {
            let message = format!(
                "step {} of a pass is asked for, and one with {} streams has {steps}",
                piece.at, piece.streams
            );
            return Err(TrainError::config("batch", message));
        }
        let each = steps as usize * self.time;
        let rest = self.predicted - each * piece.streams;
        let mut rng = SampleRng::new(self.seed, "text streams", piece.pass);
        let first = rng.below(rest as u64 + 1) as usize + piece.at as usize * self.time;
        Ok((0..piece.streams)
            .map(|stream| first + stream * each)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other_and_cover_each_stream_once() {
        let streams = Streams {
            predicted: 103,
            time: 5,
            seed: 3,
        };
        assert_eq!(streams.steps(4), 5);
        let mut begins = vec![];
        for pass in 0..20 {
            let at = |at| {
                let piece = Piece {
                    pass,
                    at,
                    streams: 4,
                };
                streams.starts(piece).unwrap()
            };
            let first = at(0);
            assert_eq!(first, [0, 25, 50, 75].map(|s| s + first[0]));
            assert!(first[0] <= 3, "{first:?}");
            for step in 1..5 {
                let wanted: Vec<usize> = first.iter().map(|s| s + step as usize * 5).collect();
                assert_eq!(at(step), wanted);
            }
            begins.push(first[0]);
        }
        begins.sort_unstable();
        begins.dedup();
        assert_eq!(begins, [0, 1, 2, 3], "every rest is left out at times");
        let beyond = Piece {
            pass: 0,
            at: 5,
            streams: 4,
        };
        let error = streams.starts(beyond).unwrap_err().to_string();
        assert!(error.contains("one with 4 streams has 5"), "{error}");
        assert_eq!(streams.steps(21), 0);
        assert_eq!(streams.steps(20), 1);
    }
}
