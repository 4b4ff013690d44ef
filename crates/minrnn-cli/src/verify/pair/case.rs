//! Cases: inputs and states at random, and how the two files run them.

use anyhow::{Context, Result};
use minrnn_model::rng::Rng;
use minrnn_runtime::Elem;

use super::file::{Arithmetic, GraphFile};
use super::interface::{Interface, Kind, Link, State};
use super::spec::{Fill, Init, Role};
use super::tensor::Tensor;

/// The two files and what they share.
#[derive(Debug)]
pub(crate) struct Two {
    pub(crate) files: [GraphFile; 2],
    pub(crate) kind: Kind,
    pub(crate) face: Interface,
    /// For each output: the axis of time in the first file, `None` for one of the last step alone; and whether a step lacks it.
    pub(crate) times: Vec<(Option<usize>, bool)>,
}

/// Inputs of one run.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    /// By link, in the shape of the first file.
    pub(crate) data: Vec<Tensor>,
    /// By state; `None`: the initial ones.
    pub(crate) states: Option<Vec<Tensor>>,
}

/// What came out: outputs, whole, then last states, where a file has them.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) outputs: Vec<Tensor>,
    pub(crate) states: Vec<Option<Tensor>>,
}

fn shape(roles: &[Role], batch: usize, time: usize) -> Vec<usize> {
    let one = |r: &Role| match r {
        Role::Batch => batch,
        Role::Time => time,
        Role::Fixed(n) => *n,
    };
    roles.iter().map(one).collect()
}

impl Case {
    pub(crate) fn random(two: &Two, (batch, time): (usize, usize), rng: &mut Rng) -> Self {
        let data = two
            .face
            .links
            .iter()
            .map(|link| draw(link, batch, time, rng))
            .collect();
        Self {
            batch,
            time,
            data,
            states: None,
        }
    }

    /// The steps `from..to`, beginning with `states`.
    pub(crate) fn cut(
        &self,
        two: &Two,
        from: usize,
        to: usize,
        states: Option<Vec<Tensor>>,
    ) -> Self {
        let part = |(link, t): (&Link, &Tensor)| {
            link.time()
                .map_or_else(|| t.clone(), |axis| t.cut(axis, from, to))
        };
        Self {
            batch: self.batch,
            time: to - from,
            data: two.face.links.iter().zip(&self.data).map(part).collect(),
            states,
        }
    }

    pub(crate) fn name(&self) -> String {
        let states = if self.states.is_some() {
            "random"
        } else {
            "initial"
        };
        format!("B={}, T={}, {states} states", self.batch, self.time)
    }
}

fn draw(link: &Link, batch: usize, time: usize, rng: &mut Rng) -> Tensor {
    let shape = shape(&link.roles, batch, time);
    let count: usize = shape.iter().product();
    let (low, high) = link.range;
    let span =
        usize::try_from(high.saturating_sub(low)).map_or(usize::MAX, |n| n.saturating_add(1));
    let mut one = || match link.elem {
        // Numbers that every narrower float type has too.
        Elem::F16 => (rng.normal() * 256.0).round() / 256.0,
        Elem::F32 | Elem::F64 => f64::from(rng.normal() as f32),
        _ => low as f64 + rng.below(span) as f64,
    };
    Tensor {
        values: (0..count).map(|_| one()).collect(),
        shape,
    }
}

/// The state before the first step, for `batch` rows.
pub(crate) fn initial(state: &State, batch: usize) -> Tensor {
    let shape = shape(&state.shape, batch, 1);
    let count: usize = shape.iter().product();
    let values = match &state.init {
        Init::Fill(v) => vec![*v; count],
        Init::Values(row) => {
            let axis = state.shape.iter().position(|r| *r == Role::Batch);
            let inner: usize = axis.map_or(count, |a| shape[a + 1..].iter().product());
            let rows = axis.map_or(1, |_| batch);
            row.chunks(inner.max(1))
                .flat_map(|c| std::iter::repeat_n(c, rows))
                .flatten()
                .copied()
                .collect()
        }
    };
    Tensor { shape, values }
}

impl Two {
    /// The states to begin with.
    pub(crate) fn start(&self, case: &Case) -> Vec<Tensor> {
        match &case.states {
            Some(states) => states.clone(),
            None => self
                .face
                .states
                .iter()
                .map(|s| initial(s, case.batch))
                .collect(),
        }
    }

    /// Whether the first file takes every state, and gives it back.
    pub(crate) fn takes_states(&self) -> bool {
        !self.face.states.is_empty()
            && self
                .face
                .states
                .iter()
                .all(|s| s.first.0.is_some() && s.first.1.is_some())
    }

    /// States at random: values at random where the file lists its states as free, else values that the model reaches.
    pub(crate) fn random_states(&self, batch: usize, rng: &mut Rng) -> Result<Vec<Tensor>> {
        let mut states: Vec<Tensor> = self.face.states.iter().map(|s| initial(s, batch)).collect();
        if self.face.states.iter().any(|s| !s.any_value) {
            let steps = self.face.length.unwrap_or(1 + rng.below(24));
            let warm = Case::random(self, (batch, steps), rng);
            let reached = self.second(Arithmetic::AsFiled, &warm)?.states;
            states = reached.into_iter().flatten().collect();
        }
        for (state, t) in self.face.states.iter().zip(&mut states) {
            if state.any_value {
                t.values
                    .iter_mut()
                    .for_each(|v| *v = f64::from(rng.normal() as f32));
            }
        }
        Ok(states)
    }

    /// The second file: step by step, or at once if it is no step file.
    pub(crate) fn second(&self, how: Arithmetic, case: &Case) -> Result<Ran> {
        if self.kind == Kind::Same {
            return self.whole(1, how, case);
        }
        let mut states = self.start(case);
        let mut parts: Vec<Vec<Tensor>> = vec![vec![]; self.face.outputs.len()];
        let wanted = self.wanted(1);
        for t in 0..case.time {
            let results = self.step(how, case, t, &states, &wanted)?;
            let (outputs, next) = results.split_at(self.face.outputs.len());
            parts
                .iter_mut()
                .zip(outputs)
                .for_each(|(all, one)| all.push(one.clone()));
            states = next.to_vec();
        }
        let with_time = |(parts, (axis, lacks)): (Vec<Tensor>, &(Option<usize>, bool))| {
            let one = |t: Tensor| match axis {
                Some(axis) if *lacks => t.unsqueeze(*axis),
                _ => t,
            };
            join(parts.into_iter().map(one).collect(), *axis)
        };
        let outputs = parts
            .into_iter()
            .zip(&self.times)
            .map(with_time)
            .collect::<Result<_>>()?;
        Ok(Ran {
            outputs,
            states: states.into_iter().map(Some).collect(),
        })
    }

    /// Step `t` of the second file, for the tensors wanted.
    pub(crate) fn step(
        &self,
        how: Arithmetic,
        case: &Case,
        t: usize,
        states: &[Tensor],
        wanted: &[&str],
    ) -> Result<Vec<Tensor>> {
        let data: Vec<Tensor> = self
            .face
            .links
            .iter()
            .zip(&case.data)
            .map(|(link, x)| match link.time() {
                Some(axis) if link.kept => x.cut(axis, t, t + 1),
                Some(axis) => x.cut(axis, t, t + 1).squeeze(axis),
                None => x.clone(),
            })
            .collect();
        self.call(1, how, (case.batch, 1), &data, states, wanted)
            .with_context(|| format!("{}, step {t}", case.name()))
    }

    /// A file over all steps of the case at once.
    pub(crate) fn whole(&self, side: usize, how: Arithmetic, case: &Case) -> Result<Ran> {
        let wanted = self.wanted(side);
        let results = self.tensors(side, how, case, &wanted)?;
        let mut results = results.into_iter();
        let outputs = results.by_ref().take(self.face.outputs.len()).collect();
        let states = self.face.states.iter().map(|s| match side {
            0 => s.first.1.as_ref().and_then(|_| results.next()),
            _ => results.next(),
        });
        Ok(Ran {
            outputs,
            states: states.collect(),
        })
    }

    /// The first file over all steps, for the tensors wanted.
    pub(crate) fn tensors(
        &self,
        side: usize,
        how: Arithmetic,
        case: &Case,
        wanted: &[&str],
    ) -> Result<Vec<Tensor>> {
        let states = self.start(case);
        self.call(
            side,
            how,
            (case.batch, case.time),
            &case.data,
            &states,
            wanted,
        )
        .with_context(|| case.name())
    }

    /// The first file in pieces, its states given back from one to the next.
    pub(crate) fn pieces(&self, how: Arithmetic, case: &Case, pieces: &[usize]) -> Result<Ran> {
        let mut parts: Vec<Vec<Tensor>> = vec![vec![]; self.face.outputs.len()];
        let mut states = case.states.clone();
        let mut last = vec![];
        let mut from = 0;
        for piece in pieces {
            let ran = self.whole(0, how, &case.cut(self, from, from + piece, states.take()))?;
            parts
                .iter_mut()
                .zip(ran.outputs)
                .for_each(|(all, one)| all.push(one));
            states = ran.states.iter().cloned().collect();
            last = ran.states;
            from += piece;
        }
        let outputs = parts
            .into_iter()
            .zip(&self.times)
            .map(|(p, (axis, _))| join(p, *axis));
        Ok(Ran {
            outputs: outputs.collect::<Result<_>>()?,
            states: last,
        })
    }

    /// The begin through the first file, the rest step by step.
    pub(crate) fn then_steps(&self, case: &Case, at: usize) -> Result<Ran> {
        let begin = self.whole(
            0,
            Arithmetic::AsFiled,
            &case.cut(self, 0, at, case.states.clone()),
        )?;
        let states: Option<Vec<Tensor>> = begin.states.into_iter().collect();
        let end = self.second(Arithmetic::AsFiled, &case.cut(self, at, case.time, states))?;
        let both = begin.outputs.into_iter().zip(end.outputs).zip(&self.times);
        let outputs = both.map(|((a, b), (axis, _))| match axis {
            Some(axis) => Tensor::join(&[a, b], *axis),
            None => Ok(b),
        });
        Ok(Ran {
            outputs: outputs.collect::<Result<_>>()?,
            states: end.states,
        })
    }

    /// Names of outputs and last states of a file.
    pub(crate) fn wanted(&self, side: usize) -> Vec<&str> {
        let outputs = self.face.outputs.iter().map(|names| names[side].as_str());
        let states = self.face.states.iter().filter_map(|s| match side {
            0 => s.first.1.as_deref(),
            _ => Some(s.second.1.as_str()),
        });
        outputs.chain(states).collect()
    }

    fn call(
        &self,
        side: usize,
        how: Arithmetic,
        (batch, time): (usize, usize),
        data: &[Tensor],
        states: &[Tensor],
        wanted: &[&str],
    ) -> Result<Vec<Tensor>> {
        let filled: Vec<(&str, Tensor)> = self
            .face
            .filled
            .iter()
            .filter(|f| f.side == side)
            .map(|f| {
                let shape = shape(&f.roles, batch, time);
                let value = match f.fill {
                    Fill::Number(n) => n,
                    Fill::Time => time as f64,
                };
                (
                    f.name.as_str(),
                    Tensor {
                        values: vec![value; shape.iter().product()],
                        shape,
                    },
                )
            })
            .collect();
        let mut feeds: Vec<(&str, &Tensor)> = filled.iter().map(|(n, t)| (*n, t)).collect();
        feeds.extend(
            self.face
                .links
                .iter()
                .zip(data)
                .map(|(l, t)| (l.names[side].as_str(), t)),
        );
        feeds.extend(
            self.face
                .states
                .iter()
                .zip(states)
                .filter_map(|(s, t)| match side {
                    0 => s.first.0.as_deref().map(|n| (n, t)),
                    _ => Some((s.second.0.as_str(), t)),
                }),
        );
        self.files[side].run(how, &feeds, wanted)
    }
}

/// Outputs of single steps as one: along the axis of time, which a step may lack; without one, the last step's.
fn join(mut parts: Vec<Tensor>, axis: Option<usize>) -> Result<Tensor> {
    let Some(axis) = axis else {
        return parts.pop().context("no step ran");
    };
    Tensor::join(&parts, axis)
}
