//! How long sequences may be before the judge would take minutes: said before it starts.

use anyhow::{Result, bail};
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::file::By;
use super::interface::Kind;
use super::sizes::LENGTHS;
use super::stops::is_of_values;

/// Operations that all cases of a pair may take: under a minute.
const USUAL: u64 = 20_000_000_000;
/// And where the length was asked for: ten minutes.
const ASKED: u64 = 300_000_000_000;

/// Lengths at which costs are measured; the shorter ones of files that refuse the longer ones.
const MEASURED: [[usize; 2]; 3] = [[16, 32], [4, 8], [1, 2]];

/// Operations of one row over T steps: `linear T + square T^2`.
#[derive(Debug, Clone, Copy)]
struct Cost {
    linear: f64,
    square: f64,
}

impl Cost {
    fn fit([(t, x), (u, y)]: [(f64, f64); 2]) -> Self {
        let square = if u > t {
            ((y / u - x / t) / (u - t)).max(0.0)
        } else {
            0.0
        };
        Self {
            linear: (y / u - square * u).max(0.0),
            square,
        }
    }

    fn at(self, time: usize) -> f64 {
        let t = time as f64;
        self.linear * t + self.square * t * t
    }
}

impl Two {
    /// The longest T that the judge can afford, `limit` at most; with a note where it is shorter.
    pub(super) fn affordable(&self, limit: usize, asked: bool) -> Result<(usize, Option<String>)> {
        if self.face.length.is_some() || limit <= MEASURED[0][1] {
            return Ok((limit, None));
        }
        let costs = [0, 1].map(|side| self.cost(side));
        let [first, second] = costs.map(|c| c.map_err(|why| self.too_long(asked, why)));
        let costs = [first?, second?];
        let most = if asked { ASKED } else { USUAL };
        let fits = |limit: &usize| self.all(costs, *limit) <= most as f64;
        if fits(&limit) {
            return Ok((limit, None));
        }
        let shorter = LENGTHS.into_iter().rev().filter(|t| *t < limit);
        let fitting = shorter.map(|t| self.face.steps(t)).find(fits);
        let fitting = fitting.unwrap_or(self.face.steps(LENGTHS[0]));
        let what = format!(
            "T = {limit} would take some {:.0e} operations of the judge, minutes",
            self.all(costs, limit)
        );
        if asked {
            bail!("{what}; --max-len {fitting} is what {most:.0e} of them suffice for");
        }
        let note = format!("{what}: the longest is T = {fitting}; --max-len {limit} insists on it");
        Ok((fitting, Some(note)))
    }

    /// What one row of a file costs.
    fn cost(&self, side: usize) -> Result<Cost> {
        let [longest, shorter @ ..] = MEASURED;
        match self.cost_at(side, longest) {
            Err(why) if is_of_values(&why) => {
                let mut others = shorter.into_iter().map(|times| self.cost_at(side, times));
                others.find(Result::is_ok).unwrap_or(Err(why))
            }
            cost => cost,
        }
    }

    fn cost_at(&self, side: usize, times: [usize; 2]) -> Result<Cost> {
        let mut rng = Rng::named(0, "costs");
        let batch = self.face.batch.unwrap_or(1);
        let mut points = [(1.0, 1.0); 2];
        for (point, time) in points.iter_mut().zip(times) {
            let time = self.face.steps(time);
            let case = Case {
                lengths: None,
                ..Case::sized(self, (batch, time), self.face.others_near(time), &mut rng)?
            };
            self.files[side].took();
            self.tensors(side, By::Judge, &case, &self.wanted(side))?;
            let took = self.files[side].took() as f64 / batch as f64;
            let calls = self.face.frames[side].map_or(1.0, |n| time as f64 / n as f64);
            *point = (time as f64, took * calls);
        }
        Ok(Cost::fit(points))
    }

    /// Operations of all cases up to a length.
    fn all(&self, costs: [Cost; 2], limit: usize) -> f64 {
        let kinds = if self.takes_states() { 2.0 } else { 1.0 };
        let [first, second] = match self.kind {
            Kind::Step => [1.0 + kinds, 2.0],
            Kind::Same => [kinds, 1.0],
        };
        let of = |(t, rows): (usize, Vec<usize>)| {
            let rows: usize = rows.iter().sum();
            kinds * rows as f64 * (first * costs[0].at(t) + second * costs[1].at(t))
        };
        self.sizes(limit).into_iter().map(of).sum()
    }
}
