//! What is run: lengths, batches, inputs, states, chunkings.

use minrnn_model::graph::{Graph, Input};
use minrnn_model::rng::Rng;
use minrnn_model::usual::Usual;

/// How features are drawn. A model sees little of features that are far from those that it normalises: all of them look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Draw {
    /// Normal numbers with the model's own means and spreads.
    #[default]
    Usual,
    /// Normal numbers, whatever the model normalises.
    Raw,
    /// As the model's own, with a hundred times the spread.
    Large,
}

/// Times the model's own spread.
const LARGE: f64 = 100.0;

/// One run of all engines.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) batch: usize,
    pub(super) time: usize,
    /// How the features were drawn.
    pub(super) draw: Draw,
    /// `[B, T]`, for models that take tokens.
    pub(super) ids: Vec<u32>,
    /// `[B, T, F]`, for models that take features.
    pub(super) features: Vec<f32>,
    /// States to begin with, in the graph's order; `None`: the initial ones.
    pub(super) states: Option<Vec<Vec<f32>>>,
    /// Where the sequence is cut for the chunked runs: lengths of the pieces.
    pub(super) pieces: Vec<usize>,
}

impl Case {
    /// Random inputs, and random states if `states`.
    pub(super) fn random(
        graph: &Graph,
        (batch, time): (usize, usize),
        states: bool,
        rng: &mut Rng,
    ) -> Self {
        let n = batch * time;
        let (mut ids, mut features) = (vec![], vec![]);
        match graph.input() {
            Input::Tokens { vocab } => ids.extend((0..n).map(|_| rng.below(vocab) as u32)),
            Input::Features { width } => {
                features.extend((0..n * width).map(|_| rng.normal() as f32))
            }
        }
        let state =
            |rng: &mut Rng, len: usize| (0..len * batch).map(|_| rng.normal() as f32).collect();
        let states = states.then(|| graph.states().iter().map(|s| state(rng, s.len())).collect());
        Self {
            batch,
            time,
            draw: Draw::Usual,
            ids,
            features,
            states,
            pieces: pieces(time, rng),
        }
    }

    /// The same with its features, normal numbers, drawn so. `usual`: what the model normalises; none: nothing.
    pub(super) fn drawn(mut self, draw: Draw, usual: Option<&Usual>) -> Self {
        self.draw = draw;
        let by = match draw {
            Draw::Raw => return self,
            Draw::Usual => 1.0,
            Draw::Large => LARGE,
        };
        let width = self.features.len() / (self.batch * self.time);
        for (i, x) in self.features.iter_mut().enumerate() {
            let channel = i % width;
            let (mean, std) = usual.map_or((0.0, 1.0), |u| (u.mean[channel], u.std[channel]));
            *x = (mean + by * std * f64::from(*x)) as f32;
        }
        self
    }

    /// The steps `from..to` of all rows, beginning with `states`.
    pub(super) fn cut(&self, from: usize, to: usize, states: Option<Vec<Vec<f32>>>) -> Self {
        Self {
            batch: self.batch,
            time: to - from,
            draw: self.draw,
            ids: cut(&self.ids, self.batch, self.time, from, to),
            features: cut(&self.features, self.batch, self.time, from, to),
            states,
            pieces: vec![to - from],
        }
    }

    /// For messages.
    pub(super) fn name(&self) -> String {
        let states = if self.states.is_some() {
            "random"
        } else {
            "initial"
        };
        let features = match (self.features.is_empty(), self.draw) {
            (true, _) | (_, Draw::Usual) => "",
            (_, Draw::Raw) => ", features that are not normalised",
            (_, Draw::Large) => ", large features",
        };
        format!(
            "B={}, T={}, {states} states{features}",
            self.batch, self.time
        )
    }
}

/// Columns `from..to` of `[B, T, ..]`.
pub(super) fn cut<T: Copy>(
    data: &[T],
    batch: usize,
    time: usize,
    from: usize,
    to: usize,
) -> Vec<T> {
    let width = data.len() / (batch * time);
    data.chunks(time * width.max(1))
        .flat_map(|row| &row[from * width..to * width])
        .copied()
        .collect()
}

/// Lengths of pieces that add up to T: powers of two and their neighbours, so that plans for a length serve again.
fn pieces(time: usize, rng: &mut Rng) -> Vec<usize> {
    let mut left = time;
    let mut all = vec![];
    while left > 0 {
        let power = 1usize << rng.below(9);
        let piece = (power + rng.below(3)).saturating_sub(1).clamp(1, left);
        let piece = if all.len() > 24 { left } else { piece };
        all.push(piece);
        left -= piece;
    }
    all
}

/// Lengths that catch what goes wrong at edges: 1, 2, 3, and around the powers of two and of 16 (the block size of the default
/// lowering), up to `limit`; then the limit itself.
pub(super) fn lengths(limit: usize) -> Vec<usize> {
    let mut all: Vec<usize> = vec![1, 2, 3];
    let powers = (2..=12)
        .map(|p| 1usize << p)
        .filter(|p| *p <= 512 || [1024, 4096].contains(p));
    for power in powers {
        all.extend([power - 1, power, power + 1]);
    }
    all.retain(|t| *t <= limit);
    all.push(limit);
    all.sort_unstable();
    all.dedup();
    all
}

/// The same in short: one step, two, around a block, and the limit.
pub(super) fn few_lengths(limit: usize) -> Vec<usize> {
    let mut all = vec![1, 2, 15, 16, 17, 33];
    all.retain(|t| *t < limit);
    all.push(limit);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_lie_around_block_boundaries() {
        let all = lengths(65_536);
        for t in [1, 2, 3, 15, 16, 17, 255, 256, 257, 4095, 4096, 4097, 65_536] {
            assert!(all.contains(&t), "{t}");
        }
        assert_eq!(lengths(5), [1, 2, 3, 4, 5]);
        assert_eq!(lengths(1), [1]);
        assert_eq!(few_lengths(130), [1, 2, 15, 16, 17, 33, 130]);
        assert_eq!(
            (few_lengths(1), few_lengths(16)),
            (vec![1], vec![1, 2, 15, 16])
        );
    }

    #[test]
    fn pieces_add_up() {
        let mut rng = Rng::named(0, "pieces");
        for time in [1, 2, 17, 300, 5000] {
            let all = pieces(time, &mut rng);
            assert_eq!(all.iter().sum::<usize>(), time);
            assert!(all.iter().all(|p| *p > 0));
        }
    }

    #[test]
    fn features_are_drawn_as_the_model_normalises_them() {
        let case = Case {
            batch: 1,
            time: 2,
            draw: Draw::Raw,
            ids: vec![],
            features: vec![1.0, -1.0, 0.0, 2.0],
            states: None,
            pieces: vec![2],
        };
        let usual = Usual {
            mean: vec![100.0, 0.0],
            std: vec![2.0, 0.5],
        };
        let of = |draw, usual| case.clone().drawn(draw, usual).features;
        assert_eq!(of(Draw::Usual, Some(&usual)), [102.0, -0.5, 100.0, 1.0]);
        assert_eq!(of(Draw::Raw, Some(&usual)), case.features);
        assert_eq!(of(Draw::Large, Some(&usual)), [300.0, -50.0, 100.0, 100.0]);
        assert_eq!(of(Draw::Usual, None), case.features);
    }

    #[test]
    fn a_cut_takes_columns() {
        assert_eq!(cut(&[1, 2, 3, 4, 5, 6], 2, 3, 1, 3), [2, 3, 5, 6]);
        assert_eq!(cut::<u8>(&[], 2, 3, 1, 3), [] as [u8; 0]);
    }
}
