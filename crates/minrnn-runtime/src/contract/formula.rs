//! Holds the nodes between `a`, `b`, `h0` and `h` to the recurrence `h[t] = h[t-1] * a[t] + b[t]`. The exact executor puts that
//! in their place, so metadata that name other tensors would make another model of the file.
//!
//! First in closed form, of all steps, rows and channels at once, at up to three lengths (`closed`): step and Scan are one product and
//! one sum, and of each lowering the pattern is followed through its levels. What has no such form is evaluated in numbers
//! (`numbers`), and so are the laws of maxima and of complex numbers, at shorter lengths. What is neither is refused.

mod closed;
mod join;
mod moves;
mod numbers;
mod per_axis;
mod place;
mod scan;
mod steps;
mod term;
mod twins;
mod walk;

use std::collections::BTreeMap;

use crate::proto::{GraphProto, NodeProto, TensorProto};

use self::closed::{Closed, What};
use self::moves::Move;
use self::numbers::{Evaluation, Numbers};
use self::place::Place;
use self::steps::Steps;
use self::term::{Kind, Term};
use self::twins::Outline;
use self::walk::Walk;
use super::recurrence::PLACE;
use crate::error::Breach;
use crate::info::{Form, Info, Law, Recurrence};
use crate::metadata::short;
use crate::names::ByName;
use crate::structure::{Probe, Shapes, Sizes};

/// The longest sequence that is looked at.
const LONGEST: usize = 1 << 20;
/// Steps that are evaluated in numbers where there are no blocks.
const STEPS: usize = 9;
/// The longest sequence that is evaluated in numbers: beyond the third power of the usual block.
const EVALUATED: usize = 5000;
/// Formulas that a recurrence is compared with; models have one or two.
const FORMULAS: usize = 4;

/// What values are, and what nodes make of them.
trait Algebra {
    type Value: Clone;

    /// A constant.
    fn weight(&mut self, data: &TensorProto) -> Result<Self::Value, String>;

    /// A constant of the main graph.
    fn named(&mut self, _name: &str, data: &TensorProto) -> Result<Self::Value, String> {
        self.weight(data)
    }

    fn apply(&mut self, step: &Move, inputs: &[Self::Value]) -> Result<Vec<Self::Value>, String>;

    fn scan(
        &mut self,
        node: &NodeProto,
        inputs: &[Self::Value],
    ) -> Result<Vec<Self::Value>, String>;
}

/// All values of a float constant.
fn floats(data: &TensorProto) -> Option<Vec<f32>> {
    crate::engine::floats(data)
}

/// # Errors
/// The first recurrence whose `h` or `h_last` is not that of its `a`, `b` and `h0`, or of which it is not known.
pub(crate) fn check(
    graph: &GraphProto,
    info: &Info,
    shapes: &Shapes,
    probe: &Probe<'_>,
) -> Result<(), Breach> {
    let mut walk = Walk::of(graph);
    let twins = twins(&mut walk, info, &probe.sizes);
    let mut formulas = Formulas { info, walk, twins };
    formulas.others(shapes, probe)?;
    let unknown = formulas.unknown(&probe.sizes, probe.time);
    for time in longer(info, probe) {
        let sizes = shapes.sizes(probe, time)?;
        let mut late = formulas.unknown(&sizes, time);
        for (at, why) in &unknown {
            late.entry(*at).or_insert_with(|| why.clone());
        }
        formulas.evaluate_all(&late, &sizes, time)?;
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let time = blocks(info, probe);
    formulas.evaluate_all(&unknown, &shapes.sizes(probe, time)?, time)
}

/// Lengths beyond the probe's: the longest that the file takes, and one at which every level of a lowering has several
/// blocks and padding.
fn longer(info: &Info, probe: &Probe) -> Vec<usize> {
    let block = steps(info, &probe.sizes, probe.time);
    let longest = info
        .max_seq_len
        .unwrap_or(block.saturating_mul(3).saturating_add(1));
    let longest = longest.min(LONGEST);
    let free = info.form == Form::Parallel && info.seq_len.is_none();
    let mut times = vec![longest - longest / 3, longest];
    times.dedup();
    times.retain(|t| free && *t > probe.time);
    times
}

/// Two blocks, where the length is free.
fn blocks(info: &Info, probe: &Probe) -> usize {
    if info.form == Form::Step || info.seq_len.is_some() {
        return probe.time;
    }
    let block = steps(info, &probe.sizes, probe.time);
    let time = if info.padded {
        block.saturating_mul(2)
    } else {
        STEPS
    };
    time.min(info.max_seq_len.unwrap_or(usize::MAX))
        .min(LONGEST)
}

/// Lengths at which laws without a closed form are evaluated: two blocks, and as many that blocks of blocks of blocks of the usual
/// number of steps have several, with padding.
fn evaluated(info: &Info, probe: &Probe) -> Vec<usize> {
    let short = blocks(info, probe);
    let free = info.form == Form::Parallel && info.seq_len.is_none();
    if !free {
        return vec![short];
    }
    let longest = info.max_seq_len.unwrap_or(EVALUATED).min(EVALUATED);
    let mut times = vec![short, longest - longest / 3, longest];
    times.sort_unstable();
    times.dedup();
    times
}

/// Steps of the recurrences' tensors, padding too.
fn steps(info: &Info, sizes: &Sizes, time: usize) -> usize {
    let first = info.recurrences.first().filter(|_| info.form.is_sequence());
    let dims = first.and_then(|r| sizes.dims(&r.h));
    dims.and_then(|d| d.get(1).copied()).unwrap_or(time)
}

struct Formulas<'a> {
    info: &'a Info,
    walk: Walk<'a>,
    /// For each recurrence the first of its formula, if it is another.
    twins: Vec<Option<usize>>,
}

/// For each recurrence the first one that is made as it is, if it is another.
fn twins<'a>(walk: &mut Walk<'a>, info: &'a Info, sizes: &Sizes) -> Vec<Option<usize>> {
    let mut firsts: Vec<(usize, Outline)> = vec![];
    let mut twin = |(at, names): (usize, &'a Recurrence)| {
        let targets = [names.h.as_str(), names.h_last.as_str()];
        let seeds: Vec<&str> = names.parts().map(|(_, name)| name.as_str()).collect();
        let outline = walk.outline(targets, &seeds, sizes).ok()?;
        let law = |at: usize| (info.recurrences[at].law, info.recurrences[at].a.is_some());
        let same = |(first, o): &&(usize, Outline)| *o == outline && law(*first) == law(at);
        let first = firsts.iter().find(same).map(|(at, _)| *at);
        if first.is_none() && firsts.len() < FORMULAS {
            firsts.push((at, outline));
        }
        first
    };
    let all = info.recurrences.iter().enumerate();
    all.map(&mut twin).collect()
}

impl<'a> Formulas<'a> {
    /// Recurrences that have no closed form, or another one, and why.
    fn unknown(&mut self, sizes: &Sizes, time: usize) -> BTreeMap<usize, String> {
        let info = self.info;
        let mut unknown = BTreeMap::new();
        let mut algebra = Steps::default();
        for (at, names) in info.recurrences.iter().enumerate() {
            if names.law != Law::Linear || self.follows(at, &unknown, sizes) {
                continue;
            }
            if let Err(why) = self.closed(&mut algebra, names, sizes, time) {
                unknown.insert(at, why);
            }
        }
        unknown
    }

    /// Holds the recurrences of other laws than the linear one to them, in numbers.
    fn others(&mut self, shapes: &Shapes, probe: &Probe<'_>) -> Result<(), Breach> {
        let info = self.info;
        let all = info.recurrences.iter().enumerate();
        let mut others: BTreeMap<usize, String> = all
            .filter(|(_, r)| r.law != Law::Linear)
            .map(|(at, r)| (at, format!("the law {} has no closed form", r.law.as_str())))
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let none = BTreeMap::new();
        others.retain(|at, _| !self.follows(*at, &none, &probe.sizes));
        for time in evaluated(info, probe) {
            self.evaluate_all(&others, &shapes.sizes(probe, time)?, time)?;
        }
        Ok(())
    }

    /// Whether a recurrence is made as one before it is, which is right, of tensors of the same shapes.
    fn follows(&self, at: usize, unknown: &BTreeMap<usize, String>, sizes: &Sizes) -> bool {
        let Some(first) = self.twins[at].filter(|first| !unknown.contains_key(first)) else {
            return false;
        };
        let dims = |at: usize| {
            let names = &self.info.recurrences[at];
            let made_of = names.parts().map(|(_, name)| name);
            let all = made_of.chain([&names.h, &names.h_last]);
            all.map(|name| sizes.dims(name)).collect::<Vec<_>>()
        };
        dims(first) == dims(at)
    }

    fn closed(
        &mut self,
        algebra: &mut Steps,
        names: &'a Recurrence,
        sizes: &Sizes,
        time: usize,
    ) -> Result<(), String> {
        let far = || format!("its tensors are of other shapes at T = {time}");
        let (whole, state) = self.shapes(names, sizes, time).ok_or_else(far)?;
        let timed = self.info.form.is_sequence();
        let (steps, rank) = (if timed { whole[1] } else { 1 }, whole.len());
        let (row, channel) = (Place::along(0, 0, rank), Place::along(rank - 1, 0, rank));
        let after = |base: i64| match timed {
            true => Place::along(1, base, rank),
            false => Place::fixed(base, rank),
        };
        let like = Term::state(&row, &channel, &after(1));
        let of_steps = |kind| {
            Closed::term(
                whole.clone(),
                &Term::of_steps(kind, &like, &after(0), &after(1)),
            )
        };
        let of_state = |to: i64| {
            let term = Term::state(
                &Place::along(0, 0, 2),
                &Place::along(1, 0, 2),
                &Place::fixed(to, 2),
            );
            Closed::term(state.clone(), &term)
        };
        let a = names.a.as_deref().ok_or("it has no a")?;
        let mut values = ByName::from_iter([
            (a, of_steps(Kind::Product).ok_or_else(far)?),
            (names.b.as_str(), of_steps(Kind::End).ok_or_else(far)?),
            (names.h0.as_str(), of_state(0).ok_or_else(far)?),
        ]);
        algebra.end = i64::try_from(steps).map_err(|_| far())?;
        let h = self.walk.value(algebra, &names.h, &mut values, sizes)?;
        let wanted = Closed::term(whole.clone(), &like).ok_or_else(far)?;
        if h != wanted {
            return Err(format!("h is {}", stray(&h)));
        }
        if self.ragged() || names.h_last == names.h {
            return Ok(());
        }
        let last = self
            .walk
            .value(algebra, &names.h_last, &mut values, sizes)?;
        let wanted = i64::try_from(if timed { time } else { 1 })
            .ok()
            .and_then(of_state);
        if Some(&last) != wanted.as_ref() {
            return Err(format!("h_last is {}", stray(&last)));
        }
        Ok(())
    }

    /// The shape of `a`, `b` and `h`, which has steps enough, and that of `h0`.
    fn shapes(
        &self,
        names: &Recurrence,
        sizes: &Sizes,
        time: usize,
    ) -> Option<(Vec<usize>, Vec<usize>)> {
        let (whole, state) = (sizes.dims(&names.h)?, sizes.dims(&names.h0)?);
        let steps = match whole {
            [rows, width] if state == [*rows, *width] => 1,
            [rows, steps, width] if state == [*rows, *width] => *steps,
            _ => return None,
        };
        let timed = self.info.form.is_sequence();
        let enough = match self.info.padded {
            true => steps >= time,
            false => steps == time,
        };
        let mut made_of = names.parts().filter(|(key, _)| *key != "h0");
        let same = made_of.all(|(_, n)| sizes.dims(n) == Some(whole));
        let fits = same && enough && timed == (whole.len() == 3);
        (fits && !whole.contains(&0)).then(|| (whole.to_vec(), state.to_vec()))
    }

    /// Whether rows end at their own steps; what `h_last` is then hangs on values.
    fn ragged(&self) -> bool {
        self.info.lengths
    }

    /// The same of several in numbers.
    fn evaluate_all(
        &mut self,
        unknown: &BTreeMap<usize, String>,
        sizes: &Sizes,
        time: usize,
    ) -> Result<(), Breach> {
        for (at, why) in unknown {
            let evaluated = self.evaluate(*at, sizes, time, why);
            evaluated.map_err(|what| Breach::new(PLACE, format!("{at}.{what}")))?;
        }
        Ok(())
    }

    fn evaluate(&mut self, at: usize, sizes: &Sizes, time: usize, why: &str) -> Result<(), String> {
        let info = self.info;
        let names = &info.recurrences[at];
        let [h, last] = [("h", &names.h), ("h_last", &names.h_last)]
            .map(|(key, name)| format!("{key} `{}`", short(name)));
        let unknown = |what: String| {
            let how = format!("is not known to be {} step by step", names.law.words());
            format!("{h} {how}: {why}; and it cannot be evaluated: {what}")
        };
        let (found, ended, parts) = self.numbers(names, sizes, time).map_err(unknown)?;
        let timed = self.info.form.is_sequence();
        let wanted = numbers::recurrence(
            names.law,
            names.a.is_some(),
            [&parts[0], &parts[1], &parts[2]],
            timed,
        );
        let (channels, steps) = (
            wanted.dims.last().copied().unwrap_or(1).max(1),
            if timed { wanted.dims[1] } else { 1 },
        );
        if found.dims != wanted.dims {
            return Err(format!("{h} is of another shape than a"));
        }
        if let Some((at, x, y)) = numbers::differs(&found, &wanted) {
            let step = at / channels % steps;
            return Err(format!(
                "{h} is not {} step by step ({why}): of step {step} the graph makes {x}, the recurrence {y}",
                names.law.words()
            ));
        }
        let Some(ended) = ended else {
            return Ok(());
        };
        let row = |b: usize| {
            let at = (b * steps + if timed { time - 1 } else { 0 }) * channels;
            wanted.values[at..at + channels].iter().copied()
        };
        let values = (0..wanted.dims[0]).flat_map(row).collect();
        let wanted = Numbers {
            dims: parts[2].dims.clone(),
            values,
        };
        match numbers::differs(&ended, &wanted) {
            None if ended.dims == wanted.dims => Ok(()),
            Some((_, x, y)) => Err(format!(
                "{last} is not the state after the last step: the graph makes {x} of {y}"
            )),
            None => Err(format!("{last} is of another shape than h0")),
        }
    }

    /// `h`, `h_last` where it does not hang on lengths, and what they are made of.
    fn numbers(
        &mut self,
        names: &'a Recurrence,
        sizes: &Sizes,
        time: usize,
    ) -> Result<(Numbers, Option<Numbers>, [Numbers; 3]), String> {
        let shapes = self.shapes(names, sizes, time);
        let (whole, state) = shapes.ok_or("its tensors are of other shapes at other lengths")?;
        let mut algebra = Evaluation::new(state[1], names.law);
        let parts = algebra.seeds([&whole, &whole, &state], names.law, names.a.is_some())?;
        let [a, b, h0] = parts.clone();
        let mut values = ByName::from_iter([(names.b.as_str(), b), (names.h0.as_str(), h0)]);
        if let Some(name) = &names.a {
            values.insert(name, a);
        }
        let h = self
            .walk
            .value(&mut algebra, &names.h, &mut values, sizes)?;
        if self.ragged() {
            return Ok((h, None, parts));
        }
        let last = self
            .walk
            .value(&mut algebra, &names.h_last, &mut values, sizes)?;
        Ok((h, Some(last), parts))
    }
}

/// For messages.
fn stray(value: &Closed) -> &'static str {
    match &value.what {
        What::Term(term) if term.kind == Kind::State => "that of other steps, rows or channels",
        What::Term(term) => term.words(),
        What::Uniform(_) | What::Other => "made of other values",
    }
}
