//! Inputs, states, ends of rows and resets.

use std::ops::Range;

use super::carry::{carried, spans};
use super::result::{Outcome, join};
use crate::Result;
use crate::graph::{Graph, Input, StateSpec};
use crate::oracle::{self, Data, Rounding, Run, Trace, Weights};
use crate::rng::Rng;
use crate::usual::Usual;

/// How features are drawn. A model sees little of features that are far from those that it normalises: all of them look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Draw {
    /// Normal numbers with the model's own means and spreads.
    #[default]
    Usual,
    /// Normal numbers, whatever the model normalises.
    Raw,
    /// As the model's own, with a hundred times the spread.
    Large,
}

/// Steps before a random state, fewer than that.
const BEFORE: usize = 9;

/// Times the model's own spread.
const LARGE: f64 = 100.0;

/// What goes into one run of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// B, 1 at least.
    pub batch: usize,
    /// T, 1 at least.
    pub time: usize,
    /// How the features were drawn.
    pub draw: Draw,
    /// `[B, T]`, for models that take tokens.
    pub ids: Vec<u32>,
    /// `[B, T, F]`, for models that take features.
    pub features: Vec<f32>,
    /// States to begin with, in the graph's order; `None`: the initial ones.
    pub states: Option<Vec<Vec<f32>>>,
    /// `[B]`, the steps of each row; `None`: all T.
    pub lengths: Option<Vec<usize>>,
    /// `[B, T]`, steps before which states begin anew; `None`: nowhere.
    pub reset: Option<Vec<bool>>,
    /// Where the sequence is cut for the runs in pieces: lengths of the pieces.
    pub pieces: Vec<usize>,
}

/// What is asked of the oracle beside a case.
#[derive(Debug, Clone, Copy, Default)]
pub struct How<'a> {
    /// States in the place of the case's own, in float64.
    pub states: Option<&'a [Vec<f64>]>,
    /// Whether bounds are carried.
    pub bounds: bool,
    /// What the arguments of products are rounded to.
    pub rounding: Option<&'a Rounding>,
}

impl Case {
    /// Random inputs from the initial states, in one piece.
    pub fn of(input: Input, (batch, time): (usize, usize), rng: &mut Rng) -> Self {
        let n = batch * time;
        let (mut ids, mut features) = (vec![], vec![]);
        match input {
            Input::Tokens { vocab } => ids.extend((0..n).map(|_| rng.below(vocab) as u32)),
            Input::Features { width } => {
                features.extend((0..n * width).map(|_| rng.normal() as f32))
            }
        }
        Self {
            batch,
            time,
            draw: Draw::Usual,
            ids,
            features,
            states: None,
            lengths: None,
            reset: None,
            pieces: vec![time],
        }
    }

    /// Random inputs and pieces, and random states if `states`; counters of steps have a few, and windows nothing of before them.
    pub fn random(graph: &Graph, size: (usize, usize), states: bool, rng: &mut Rng) -> Self {
        let mut case = Self::of(graph.input(), size, rng);
        if states {
            let counters: Vec<usize> = graph.counters().iter().map(|s| s.index()).collect();
            let one = |(i, s): (usize, &StateSpec)| {
                let value = |_| match counters.contains(&i) {
                    true => rng.below(BEFORE) as f32,
                    false => rng.normal() as f32,
                };
                (0..s.len() * case.batch).map(value).collect()
            };
            let mut all: Vec<Vec<f32>> = graph.states().iter().enumerate().map(one).collect();
            graph.begun(&mut all, case.batch);
            case.states = Some(all);
        }
        case.pieces = pieces(case.time, rng);
        case
    }

    /// The same with its features, normal numbers, drawn so. `usual`: what the model normalises; none: nothing.
    #[must_use]
    pub fn drawn(mut self, draw: Draw, usual: Option<&Usual>) -> Self {
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

    /// The steps `from..to` of all rows, beginning with `states`. Of a row that has ended before, 0 steps are left.
    ///
    /// # Panics
    /// Steps that the case does not have.
    #[must_use]
    pub fn cut(&self, from: usize, to: usize, states: Option<Vec<Vec<f32>>>) -> Self {
        let left = |n: &usize| n.clamp(&from, &to) - from;
        let size = (self.batch, self.time);
        Self {
            batch: self.batch,
            time: to - from,
            draw: self.draw,
            ids: cut(&self.ids, size, (from, to)),
            features: cut(&self.features, size, (from, to)),
            states,
            lengths: self.lengths.as_ref().map(|l| l.iter().map(left).collect()),
            reset: self.reset.as_ref().map(|r| cut(r, size, (from, to))),
            pieces: vec![to - from],
        }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// Rows that the case does not have.
    #[must_use]
    pub fn rows(&self, rows: Range<usize>) -> Self {
        fn part<T: Clone>(data: &[T], batch: usize, rows: &Range<usize>) -> Vec<T> {
            let n = data.len() / batch;
            data[rows.start * n..rows.end * n].to_vec()
        }
        let batch = self.batch;
        let states = self.states.as_ref();
        Self {
            batch: rows.len(),
            time: self.time,
            draw: self.draw,
            ids: part(&self.ids, batch, &rows),
            features: part(&self.features, batch, &rows),
            states: states.map(|s| s.iter().map(|v| part(v, batch, &rows)).collect()),
            lengths: self.lengths.as_ref().map(|l| part(l, batch, &rows)),
            reset: self.reset.as_ref().map(|r| part(r, batch, &rows)),
            pieces: self.pieces.clone(),
        }
    }

    /// Its inputs as the oracle takes them.
    pub fn data(&self) -> Data<'_> {
        match self.ids.is_empty() {
            true => Data::Features(&self.features),
            false => Data::Tokens(&self.ids),
        }
    }

    /// The oracle's run of it.
    ///
    /// # Errors
    /// Those of [`oracle::run`].
    pub fn trace<'a>(
        &self,
        graph: &Graph,
        params: impl Into<Weights<'a>>,
        how: How,
    ) -> Result<Trace> {
        let own = match how.states {
            Some(_) => None,
            None => self.wide_states(),
        };
        let run = Run {
            states: how.states.or(own.as_deref()),
            lens: self.lengths.as_deref(),
            reset: self.reset.as_deref(),
            bounds: how.bounds,
            rounding: how.rounding,
            ..Run::new(self.batch, self.time, self.data())
        };
        oracle::run(graph, params, &run)
    }

    /// Its states in float64.
    pub fn wide_states(&self) -> Option<Vec<Vec<f64>>> {
        let wide = |v: &Vec<f32>| v.iter().map(|x| f64::from(*x)).collect();
        self.states.as_ref().map(|s| s.iter().map(wide).collect())
    }

    /// Runs it in pieces, states given back from one to the next.
    ///
    /// # Errors
    /// The first one of `run`.
    pub fn in_pieces<E>(
        &self,
        graph: &Graph,
        pieces: &[usize],
        mut run: impl FnMut(&Self) -> std::result::Result<Outcome, E>,
    ) -> std::result::Result<Outcome, E> {
        let first = self.states.clone();
        let (parts, states) = carried(spans(pieces), first, |(from, to), states| {
            let outcome = run(&self.cut(from, to, states))?;
            Ok(((to - from, outcome.output), Some(outcome.states)))
        })?;
        Ok(Outcome {
            output: join(graph, self.batch, parts),
            states: states.unwrap_or_default(),
        })
    }

    /// For messages.
    pub fn name(&self) -> String {
        let states = match self.states {
            Some(_) => "random",
            None => "initial",
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

/// Columns `from..to` of `[B, T, ..]`; nothing of nothing.
///
/// # Panics
/// Columns that there are not.
pub fn cut<T: Copy>(
    data: &[T],
    (batch, time): (usize, usize),
    (from, to): (usize, usize),
) -> Vec<T> {
    let width = data.len() / (batch * time);
    data.chunks(time * width.max(1))
        .flat_map(|row| &row[from * width..to * width])
        .copied()
        .collect()
}

/// Lengths of pieces that add up to T: powers of two and their neighbours, so that plans for a length serve again.
pub fn pieces(time: usize, rng: &mut Rng) -> Vec<usize> {
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
