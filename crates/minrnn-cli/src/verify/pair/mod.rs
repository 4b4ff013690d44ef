//! Two ONNX files of any program: a sequence file against its step file, or a file against another one.

mod case;
mod file;
mod interface;
mod normal;
mod report;
mod spec;
mod tensor;
#[cfg(test)]
mod tests;
mod widen;
mod yardstick;

use std::path::Path;

use anyhow::{Context, Result, bail};
use minrnn_model::rng::Rng;

pub(crate) use case::{Case, Ran, Two};
pub(crate) use file::{Arithmetic, GraphFile};
pub(crate) use interface::Kind;
pub(crate) use report::{Pair, Report, number};
pub(crate) use spec::{
    Fill, InputSpec, Request, StateSpec, dim_spec, input_spec, map_spec, states_file, value_spec,
};
pub(crate) use tensor::Tensor;

use report::Check;
use yardstick::Yardstick;

use super::bisect;

/// The longest sequence if nothing says another one.
const LONGEST: usize = 1024;

/// Opens two files, finds what belongs together, and compares them.
///
/// # Errors
/// Files that cannot be read, run or matched. What differs is no error: it is in the report.
pub(crate) fn compare(
    first: &Path,
    second: &Path,
    kind: Kind,
    request: &Request,
    observe: super::Observer,
) -> Result<Pair> {
    let two = Two::open(first, second, kind, request)?;
    two.compare(request, observe)
}

impl Two {
    pub(crate) fn open(first: &Path, second: &Path, kind: Kind, request: &Request) -> Result<Self> {
        let mut files = [GraphFile::open(first)?, GraphFile::open(second)?];
        let mut request = request.clone();
        // The file whose states are known is the second one: the other is given no states.
        if kind == Kind::Same
            && request.states.is_empty()
            && spec::listed(&files[1])?.is_empty()
            && !spec::listed(&files[0])?.is_empty()
        {
            files.reverse();
            request
                .names
                .iter_mut()
                .for_each(|(a, b)| std::mem::swap(a, b));
        }
        let face = interface::interface(&files[0], &files[1], kind, &request)?;
        let mut two = Self {
            files,
            kind,
            face,
            times: vec![],
        };
        two.probe();
        two.times = two
            .find_times()
            .context("finding the axis of time of the outputs")?;
        Ok(two)
    }

    /// Runs both files in float64 once: operators that the engine has for f32 alone show only then.
    fn probe(&mut self) {
        let batch = self.face.batch.unwrap_or(BATCHES[1]);
        let time = self.face.length.unwrap_or(1);
        let case = Case::random(self, (batch, time), &mut Rng::named(0, "probe"));
        for side in 0..2 {
            if self.files[side].narrow_only().is_some() {
                continue;
            }
            let states = self.start(&case);
            let ran = match (side, self.kind) {
                (1, Kind::Step) => self.step(Arithmetic::Wide, &case, 0, &states, &self.wanted(1)),
                _ => self.tensors(side, Arithmetic::Wide, &case, &self.wanted(side)),
            };
            if let Err(e) = ran {
                self.files[side].narrow_down(format!("{e:#}"));
            }
        }
    }

    /// The longest sequence that the files say they take.
    fn stated(&self) -> Option<usize> {
        let of = |f: &GraphFile| f.metadata("minrnn.max_seq_len")?.parse().ok();
        self.files.iter().filter_map(of).min()
    }

    /// Runs both files at two lengths: the axis that grows is time.
    fn find_times(&self) -> Result<Vec<(Option<usize>, bool)>> {
        let batch = self.face.batch.unwrap_or(BATCHES[1]);
        let longest = self.stated().unwrap_or(usize::MAX).clamp(2, 17);
        let lengths = self.face.length.map_or([longest - 1, longest], |n| [n, n]);
        // Shapes are the same in float64, whose plans are made much faster.
        let wide = self.files.iter().all(|f| f.narrow_only().is_none());
        let how = if wide {
            Arithmetic::Wide
        } else {
            Arithmetic::AsFiled
        };
        let mut rng = Rng::named(0, "shapes");
        let mut shapes = vec![];
        for time in lengths {
            let case = Case::random(self, (batch, time), &mut rng);
            shapes.push(self.whole(0, how, &case)?.outputs);
        }
        let step = match self.kind {
            Kind::Same => None,
            Kind::Step => {
                let case = Case::random(self, (batch, lengths[0]), &mut rng);
                Some(self.step(how, &case, 0, &self.start(&case), &self.wanted(1))?)
            }
        };
        let one = |i: usize| -> Result<(Option<usize>, bool)> {
            let (a, b) = (&shapes[0][i].shape, &shapes[1][i].shape);
            let step = step.as_ref().map(|s| &s[i].shape);
            let axis = if self.face.length.is_none() {
                (0..a.len().min(b.len())).find(|k| a[*k] != b[*k])
            } else {
                fixed_axis(a, step, lengths[0])
            };
            let name = &self.face.outputs[i][0];
            if let (Some(axis), None) = (axis, self.face.length)
                && [a[axis], b[axis]] != lengths
            {
                bail!(
                    "output `{name}` has shapes {a:?} and {b:?} for T = {lengths:?}: no axis of it is time"
                );
            }
            Ok((axis, step.is_some_and(|s| s.len() < a.len())))
        };
        (0..self.face.outputs.len()).map(one).collect()
    }

    fn compare(&self, request: &Request, observe: super::Observer) -> Result<Pair> {
        let mut rng = Rng::named(request.seed, "pair");
        let mut yard = Yardstick::new(request.tolerance);
        let limit = self.face.length.unwrap_or_else(|| self.longest(request));
        let mut notes = self.notes(limit, request);
        observe(0, 1, "measuring rounding");
        self.calibrate(limit, &mut rng, &mut yard)
            .context("measuring how f32 rounds in these files")?;
        let mut checks = [WHOLE, CHUNKS, THEN, WIDE].map(|name| Check::new(name, self));
        let cases = self.cases(limit, &mut rng)?;
        for (i, case) in cases.iter().enumerate() {
            observe(i, cases.len(), &case.name());
            self.one(case, &mut yard, &mut checks, &mut rng)
                .with_context(|| case.name())?;
        }
        let [whole, chunks, then, wide] = checks.map(Check::rows);
        let rows: Vec<_> = [whole, chunks, then].concat();
        let holds = !rows.is_empty() && rows.iter().all(|r| r.holds);
        if !holds && !wide.is_empty() {
            notes.push(meaning(&wide));
        }
        if !yard.is_measured() && request.tolerance.is_none() {
            notes.push(
                "no float64 form to measure rounding with: the tolerance is 4 eps (4 + T) max|y|"
                    .into(),
            );
        }
        notes.push(format!(
            "{} cases, T = 1 to {limit}, seed {}",
            cases.len(),
            request.seed
        ));
        let worst = rows
            .iter()
            .filter(|r| !r.holds)
            .find_map(|r| r.worst.as_ref())
            .map(|w| (w.batch, w.time));
        let bisect = if request.bisect {
            bisect::pair(self, request, worst)?
        } else {
            None
        };
        if request.bisect && bisect.is_none() {
            notes.push("bisect: no operation was found to differ".into());
        }
        Ok(Pair {
            mode: match self.kind {
                Kind::Step => "sequence against step",
                Kind::Same => "file against file",
            },
            first: self.files[0].name(),
            second: self.files[1].name(),
            holds: holds && bisect.is_none(),
            rows,
            bisect,
            notes,
        })
    }

    /// Runs that only measure rounding: a few values alone may be right by luck.
    fn calibrate(&self, limit: usize, rng: &mut Rng, yard: &mut Yardstick) -> Result<()> {
        let time = self.face.length.unwrap_or(limit.min(64));
        for _ in 0..8 {
            let case = Case::random(self, (self.face.batch.unwrap_or(BATCHES[1]), time), rng);
            self.measure(&case, yard)?;
        }
        Ok(())
    }

    /// Runs both files as they are and in float64.
    fn measure(&self, case: &Case, yard: &mut Yardstick) -> Result<([Ran; 2], [Option<Ran>; 2])> {
        let run = |side: usize, how| match side {
            0 => self.whole(0, how, case),
            _ => self.second(how, case),
        };
        let narrow = [run(0, Arithmetic::AsFiled)?, run(1, Arithmetic::AsFiled)?];
        let mut wide = [None, None];
        for side in 0..2 {
            if self.files[side].narrow_only().is_some() {
                continue;
            }
            // A graph whose float64 form does not run is measured by the other one's.
            if let Ok(ran) = run(side, Arithmetic::Wide) {
                yard.learn(side, case, &narrow[side], &ran);
                wide[side] = Some(ran);
            }
        }
        Ok((narrow, wide))
    }

    fn one(
        &self,
        case: &Case,
        yard: &mut Yardstick,
        checks: &mut [Check; 4],
        rng: &mut Rng,
    ) -> Result<()> {
        let ([first, second], wide) = self.measure(case, yard)?;
        let [whole, chunks, then, in_wide] = checks;
        whole.add(case, &first, &second, yard);
        if let [Some(a), Some(b)] = &wide {
            in_wide.add(case, a, b, yard);
        }
        let free = self.face.length.is_none() && case.time > 1;
        if self.kind == Kind::Step && free && self.face.states.iter().all(|s| s.first.1.is_some()) {
            let at = piece(case.time - 1, rng);
            then.add(case, &self.then_steps(case, at)?, &second, yard);
        }
        if free && self.takes_states() {
            let pieces = pieces(case.time, rng);
            chunks.add(
                case,
                &self.pieces(Arithmetic::AsFiled, case, &pieces)?,
                &second,
                yard,
            );
        }
        Ok(())
    }

    fn longest(&self, request: &Request) -> usize {
        let possible = self.stated().unwrap_or(usize::MAX);
        request.longest.unwrap_or(LONGEST).clamp(1, possible)
    }

    fn cases(&self, limit: usize, rng: &mut Rng) -> Result<Vec<Case>> {
        let mut all = LENGTHS.to_vec();
        all.retain(|t| *t < limit);
        all.push(limit);
        let times = self.face.length.map_or(all, |t| vec![t]);
        let batches = self.face.batch.map_or(BATCHES.to_vec(), |b| vec![b]);
        let mut cases = vec![];
        for time in times {
            for batch in &batches {
                let case = Case::random(self, (*batch, time), rng);
                if self.takes_states() {
                    let states = Some(self.random_states(*batch, rng)?);
                    cases.push(Case {
                        states,
                        ..Case::random(self, (*batch, time), rng)
                    });
                }
                cases.push(case);
            }
        }
        Ok(cases)
    }

    fn notes(&self, limit: usize, request: &Request) -> Vec<String> {
        let mut notes = self.face.notes.clone();
        for file in &self.files {
            let all = file.notes.iter().map(|n| format!("{}: {n}", file.name()));
            let new: Vec<String> = all.filter(|n| !notes.contains(n)).collect();
            notes.extend(new);
            if let Some(why) = file.narrow_only() {
                notes.push(format!("{}: no float64 form: {why}", file.name()));
            }
        }
        for state in &self.face.states {
            if state.first.0.is_none() {
                notes.push(format!(
                    "state `{}`: {} has no such input; begun with the initial value only",
                    state.second.0,
                    self.files[0].name()
                ));
            }
        }
        if let Some(given) = request.tolerance {
            notes.push(format!("tolerance {given}, as given"));
        }
        if self.face.length.is_some() {
            notes.push(format!("the files take T = {limit} only"));
        }
        notes
    }
}

/// Lengths that catch what goes wrong at edges: few steps, around a block, and far beyond. A graph is planned anew for each
/// length, so these few serve for pieces too.
const LENGTHS: [usize; 11] = [1, 2, 3, 16, 17, 64, 256, 1024, 4096, 16_384, 65_536];

const BATCHES: [usize; 2] = [1, 3];

/// One of the lengths, `limit` at most.
fn piece(limit: usize, rng: &mut Rng) -> usize {
    let count = LENGTHS.iter().filter(|n| **n <= limit).count();
    LENGTHS[rng.below(count.max(1))]
}

/// Pieces that add up to T; the first ones are random, then as few as there can be.
fn pieces(time: usize, rng: &mut Rng) -> Vec<usize> {
    let mut all = vec![];
    let mut left = time;
    while left > 0 {
        let fits = LENGTHS.iter().rev().find(|n| **n <= left).copied();
        let next = if all.len() < 24 {
            piece(left, rng)
        } else {
            fits.unwrap_or(1)
        };
        all.push(next);
        left -= next;
    }
    all
}

const WHOLE: &str = "whole";
const CHUNKS: &str = "in chunks";
const THEN: &str = "whole, then steps";
const WIDE: &str = "float64";

/// What float64 says about files that differ.
fn meaning(wide: &[report::Row]) -> String {
    if wide.iter().all(|r| r.holds) {
        return "in float64 the two agree: they mean the same, but one of them computes it in a way that loses its digits".into();
    }
    let worst = wide.iter().map(|r| r.max_abs).fold(0.0, f64::max);
    format!(
        "in float64 the two differ as well, by {}: they do not mean the same (or not even float64 holds what one of them computes)",
        number(worst)
    )
}

/// Where only one length runs: the axis of that length without which a step's shape is left.
fn fixed_axis(whole: &[usize], step: Option<&Vec<usize>>, time: usize) -> Option<usize> {
    let fits = |axis: &usize| {
        let without = [&whole[..*axis], &whole[*axis + 1..]].concat();
        let one = [&whole[..*axis], &[1], &whole[*axis + 1..]].concat();
        whole[*axis] == time && step.is_none_or(|s| *s == without || *s == one)
    };
    (0..whole.len())
        .rev()
        .find(|axis| *axis == 1 && fits(axis))
        .or_else(|| (0..whole.len()).find(fits))
}
