//! Integers that index a table: each of its rows is read, as far as that can be afforded; the others are compared in the tables.

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::file::By;
use super::interface::Link;
use super::port::Elem;
use super::show::number;
use super::tensor::{Reading, Tensor};

/// Operations of the judge that are spent on that beside the usual cases.
const SPENT: u64 = 10_000_000_000;
/// And the most cases.
const CASES: usize = 256;

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
    ) -> Result<(Vec<Case>, Vec<String>)> {
        let mut missing: Vec<Vec<i64>> = vec![];
        for (i, link) in self.face.links.iter().enumerate() {
            missing.push(match is_indexed(link) && !self.keeps(i) {
                true => missing_of(link, before, i),
                false => vec![],
            });
        }
        let apart = self.first_those_apart(&mut missing, limit);
        let mut cases = vec![];
        let mut left = None;
        while missing.iter().any(|m| !m.is_empty()) && left.is_none_or(|n| cases.len() < n) {
            let batches = self.face.batches.iter().max();
            let batch = self.face.batch.or(batches.copied()).unwrap_or(1);
            let time = self.face.length.unwrap_or(limit);
            let others = self.face.other_lengths(cases.len(), time);
            let mut case = Case::sized(self, (batch, time), others, rng)?;
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
                case.data[i] = Tensor::ints(link.elem, case.data[i].shape(), &values)?;
            }
            left.get_or_insert_with(|| self.afforded(&case));
            cases.push(case);
        }
        let open = self.face.links.iter().zip(&missing).zip(&apart);
        let open = open.filter(|((_, m), _)| !m.is_empty());
        let note = open.map(|((link, m), apart)| not_tried(link, m, apart.as_deref()));
        Ok((cases, note.collect()))
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

    /// How many such cases can be afforded.
    fn afforded(&self, case: &Case) -> usize {
        let mut spent = 1;
        for side in 0..2 {
            self.files[side].took();
            // A refusal is found where the case is run.
            let _ = self.whole(side, By::Judge, case);
            spent += self.files[side].took();
        }
        usize::try_from(SPENT / spent).map_or(CASES, |n| n.clamp(1, CASES))
    }
}

/// What is said of integers that were not tried; `apart`: how far the rows are that the two files have for each.
fn not_tried(link: &Link, missing: &[i64], apart: Option<&[f64]>) -> String {
    let (all, name) = (span(link), &link.names[0]);
    let tried = all - missing.len();
    match apart {
        Some(apart) => {
            let far = missing.iter().map(|n| apart[*n as usize]);
            let far = far.fold(0.0, f64::max);
            format!(
                "of the {all} integers that `{name}` takes, {tried} were tried, those first whose rows in the two tables differ the most; \
                 the rows of the others were compared in the tables: {}",
                match far == 0.0 {
                    true => "they are the same".to_owned(),
                    false => format!(
                        "they are apart by {} of the largest value, or less",
                        number(far)
                    ),
                }
            )
        }
        None => format!(
            "of the {all} integers that `{name}` takes, {tried} were tried: what stands at the others was not compared; a larger --max-len tries more"
        ),
    }
}

fn span(link: &Link) -> usize {
    let (low, high) = link.range;
    usize::try_from(high.saturating_sub(low)).map_or(usize::MAX, |n| n.saturating_add(1))
}

/// Integers of a range that can be counted through.
fn is_indexed(link: &Link) -> bool {
    const MANY: usize = 1 << 20;
    !link.elem.is_float() && ![Elem::Bool, Elem::Str].contains(&link.elem) && span(link) <= MANY
}

fn missing_of(link: &Link, before: &[Case], input: usize) -> Vec<i64> {
    let (low, high) = link.range;
    let mut seen = vec![false; span(link)];
    for case in before {
        let Some(ints) = case.data[input].array(Reading::Exact).ints() else {
            continue;
        };
        for n in ints {
            let at = n - i128::from(low);
            if let Some(seen) = usize::try_from(at).ok().and_then(|at| seen.get_mut(at)) {
                *seen = true;
            }
        }
    }
    let all = (low..=high).zip(seen);
    all.filter(|(_, seen)| !seen).map(|(n, _)| n).collect()
}
