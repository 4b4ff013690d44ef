//! Integers that index a table: each of its rows is read, as far as that can be afforded; the others are compared in the tables.

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::file::By;
use super::interface::Link;
use super::port::Elem;
use super::report::Row;
use super::show::number;
use super::spec::Role;
use super::tensor::{Reading, Tensor};
use super::way::Draw;
use crate::verify::who::Who;

/// Operations of the judge that are spent on that beside the usual cases.
const SPENT: u64 = 10_000_000_000;
/// And the most cases.
const CASES: usize = 256;
/// Of many integers, cases have more rows than usual: so many times as many, and as take so many operations.
const TALLER: usize = 32;
const TALL: u64 = 50_000_000;

/// The most cases with floats that become rows of a table.
const INDEXED: usize = 16;

/// What is said of integers that were not tried, and the row that leaves the verdict open for them.
type NotTried = (Option<Row>, String);

/// How many cases there may be, and of how many rows.
#[derive(Debug, Clone, Copy)]
struct Afforded {
    cases: usize,
    taller: usize,
}

impl Two {
    /// Cases with the integers that no case before has, and a note where there are more of them than can be afforded.
    ///
    /// # Errors
    /// Inputs that take more memory than there is. A case that does not run is said where it is run.
    pub(super) fn cover(
        &self,
        before: &[Case],
        limit: usize,
        rng: &mut Rng,
    ) -> Result<(Vec<Case>, Vec<NotTried>)> {
        let mut missing: Vec<Vec<i64>> = vec![];
        for (i, link) in self.face.links.iter().enumerate() {
            missing.push(match is_indexed(link) && !self.keeps(i) {
                true => missing_of(link, before, i),
                false => vec![],
            });
        }
        let apart = self.first_those_apart(&mut missing, limit);
        let mut cases: Vec<Case> = vec![];
        let mut left: Option<Afforded> = None;
        while missing.iter().any(|m| !m.is_empty()) && left.is_none_or(|n| cases.len() < n.cases) {
            let batches = self.face.batches.iter().max();
            let batch = self.face.batch.or(batches.copied()).unwrap_or(1);
            let time = self.face.length.unwrap_or(limit);
            let others = self.face.other_lengths(cases.len(), time);
            let taller = left.map_or(1, |n| n.taller);
            let tall = Case::sized(self, (batch * taller, time), others.clone(), rng);
            let mut case = match tall {
                // What is given beside the integers may be too large for so many rows.
                Err(_) if taller > 1 => Case::sized(self, (batch, time), others, rng)?,
                sized => sized?,
            };
            for (i, link) in self.face.links.iter().enumerate() {
                let count: usize = case.data[i].shape().iter().product();
                if missing[i].is_empty() || count == 0 {
                    continue;
                }
                let some = count.min(missing[i].len());
                let rest = missing[i].split_off(some);
                let first = std::mem::replace(&mut missing[i], rest);
                let drawn = case.data[i].values(Reading::Exact);
                let drawn = drawn.iter().skip(first.len()).map(|v| *v as i128);
                let values: Vec<i128> = first.into_iter().map(i128::from).chain(drawn).collect();
                case.data[i] = link.integers(case.data[i].shape(), &values)?;
            }
            left.get_or_insert_with(|| self.afforded(&case));
            cases.push(case);
        }
        let open = self.face.links.iter().zip(&missing).zip(&apart);
        let open = open.filter(|((_, m), _)| !m.is_empty());
        let note = open.map(|((link, m), apart)| self.not_tried(link, m, apart.as_deref()));
        Ok((cases, note.collect()))
    }

    /// Cases in which floats that become rows of a table, some of them or behind arithmetic, are the numbers of all rows, and lie between
    /// them.
    ///
    /// # Errors
    /// Inputs that take more memory than there is.
    pub(super) fn indexed_floats(&self, limit: usize, rng: &mut Rng) -> Result<Vec<Case>> {
        let mut cases = vec![];
        for (i, link) in self.face.links.iter().enumerate() {
            let tables = [0, 1].map(|side| self.files[side].table(&link.names[side]));
            let rows = tables.iter().flatten().map(|t| t.rows).min().unwrap_or(0);
            if !link.is_free() || self.keeps(i) || rows == 0 {
                continue;
            }
            let changed = tables.iter().flatten().any(|t| t.changed);
            let batch = self.face.batch.unwrap_or(1);
            let time = self.face.length.unwrap_or(self.face.steps(limit.min(64)));
            let count = rows.div_ceil((batch * time).max(1)).min(INDEXED);
            let between = if changed { vec![0.0, 0.5] } else { vec![0.0] };
            for n in (0..count).flat_map(|n| between.iter().map(move |by| (n, *by))) {
                let mut case = Case {
                    lengths: None,
                    draw: Draw::Marked,
                    ..Case::random(self, (batch, time), rng)?
                };
                let shape = case.data[i].shape().to_vec();
                let of_step = |r: &Role| matches!(r, Role::Batch | Role::Time);
                let behind = link.roles.iter().rposition(of_step).map_or(0, |i| i + 1);
                let width: usize = shape.iter().skip(behind).product();
                let all: usize = shape.iter().product();
                let one = |at: usize| (at / width.max(1) + n.0 * batch * time) % rows;
                let values: Vec<f64> = (0..all).map(|at| one(at) as f64 + n.1).collect();
                case.data[i] = Tensor::floats(link.elem, &shape, &values)?;
                cases.push(case);
            }
        }
        Ok(cases)
    }

    /// Of integers that may be too many to be tried, those come first whose rows in the two files' tables are the furthest apart. By
    /// input how far they all are, where that is known.
    fn first_those_apart(&self, missing: &mut [Vec<i64>], limit: usize) -> Vec<Option<Vec<f64>>> {
        let links = self.face.links.iter().zip(missing);
        let one = |(link, missing): (&Link, &mut Vec<i64>)| {
            if missing.len() <= self.face.length.unwrap_or(limit) {
                return None;
            }
            let apart = self.rows_apart_by(link)?;
            missing.sort_by(|a, b| apart[*b as usize].total_cmp(&apart[*a as usize]));
            Some(apart)
        };
        links.map(one).collect()
    }

    /// How many such cases can be afforded, and of how many times as many rows.
    fn afforded(&self, case: &Case) -> Afforded {
        let mut spent = 1;
        for side in 0..2 {
            self.files[side].took();
            // A refusal is found where the case is run.
            let _ = self.whole(side, By::Judge, case);
            spent += self.files[side].took();
        }
        let taller = match self.face.batch {
            Some(_) => 1,
            None => usize::try_from(TALL / spent).map_or(TALLER, |n| n.clamp(1, TALLER)),
        };
        let cases = SPENT / spent.saturating_mul(taller as u64);
        Afforded {
            cases: usize::try_from(cases).map_or(CASES, |n| n.clamp(1, CASES)),
            taller,
        }
    }

    /// What is said of integers that were not tried; `apart`: how far the rows are that the two files have for each.
    fn not_tried(&self, link: &Link, missing: &[i64], apart: Option<&[f64]>) -> NotTried {
        let (all, name) = (span(link), &link.names[0]);
        let tried = all - missing.len();
        let Some(apart) = apart else {
            let said = format!(
                "of the {all} integers that `{name}` takes, {tried} were tried: what stands at the others was not compared; a larger --max-len \
                 tries more, and --input {name}=:int=LOW..HIGH says which are meant"
            );
            let read = (0..2).any(|side| !self.files[side].tables(&link.names[side]).is_empty());
            let row = Row {
                tensor: name.clone(),
                holds: true,
                open: true,
                ..Row::without_values("integers that were not tried", &Who::judge(), said.clone())
            };
            return (read.then_some(row), said);
        };
        let far = missing.iter().map(|n| apart[*n as usize]);
        let far = far.fold(0.0, f64::max);
        let rows = match far == 0.0 {
            true => "they are the same".to_owned(),
            false => format!(
                "they are apart by {} of the largest value, or less",
                number(far)
            ),
        };
        let said = format!(
            "of the {all} integers that `{name}` takes, {tried} were tried, those first whose rows in the tables differ the most; \
             the rows of the others were compared in the tables: {rows}"
        );
        (None, said)
    }
}

fn span(link: &Link) -> usize {
    let (low, high) = link.range;
    usize::try_from(high.saturating_sub(low)).map_or(usize::MAX, |n| n.saturating_add(1))
}

/// Integers of a range that can be counted through.
fn is_indexed(link: &Link) -> bool {
    const MANY: usize = 1 << 20;
    let counts = !link.elem.is_float() || link.whole;
    counts && ![Elem::Bool, Elem::Str].contains(&link.elem) && span(link) <= MANY
}

fn missing_of(link: &Link, before: &[Case], input: usize) -> Vec<i64> {
    let (low, high) = link.range;
    let mut seen = vec![false; span(link)];
    for case in before {
        for value in case.data[input].values(Reading::Exact) {
            let at = value as i128 - i128::from(low);
            if let Some(seen) = usize::try_from(at).ok().and_then(|at| seen.get_mut(at)) {
                *seen = true;
            }
        }
    }
    let all = (low..=high).zip(seen);
    all.filter(|(_, seen)| !seen).map(|(n, _)| n).collect()
}
