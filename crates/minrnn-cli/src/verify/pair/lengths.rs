//! Rows of unequal length: inputs that say how long each row is, and files that have no such input.
//!
//! A file without lengths runs each row alone, for as many steps as the row has. What lies behind the end of a row is compared
//! in neither file: only RNN, GRU and LSTM say what stands there.

use anyhow::{Context, Result};
use minrnn_model::rng::Rng;

use super::case::{Case, Ran, Two};
use super::file::By;
use super::rounding::tensors;
use super::shape::Shape;
use super::sizes::BATCHES;
use super::spec::Role;
use super::tensor::{Reading, Tensor};

/// The steps of the case that asks whether files take a row of length 0.
const ASKED: usize = 3;

impl Two {
    /// Whether a file has an input for the lengths of rows.
    pub(super) fn reads_lengths(&self, side: usize) -> bool {
        let mut filled = self.face.filled.iter();
        filled.any(|f| f.side == side && f.ends_rows())
    }

    /// Whether rows of length 0 are drawn, beside others; where they are not and might be, why.
    pub(super) fn takes_empty_rows(&self) -> Result<(bool, Option<String>)> {
        let told: Vec<usize> = (0..2).filter(|side| self.reads_lengths(*side)).collect();
        if told.is_empty() || !self.rows_apart() {
            return Ok((false, None));
        }
        let why = |side: usize, why: String| {
            let name = self.files[side].name();
            let note = format!("no row of length 0 was tried: {name} {why}");
            Ok((false, Some(note)))
        };
        if let [one] = told[..] {
            return why(1 - one, "has no input that says how long a row is".into());
        }
        let case = Case {
            lengths: Some(vec![ASKED, 1, 0]),
            ..Case::random(self, (BATCHES[1], ASKED), &mut Rng::named(0, "empty rows"))?
        };
        let mut missing = vec![];
        for side in told {
            match self.whole(side, By::Judge, &case) {
                Ok(ran) => missing.push(nowhere(&ran)),
                Err(error) => return why(side, format!("refuses it ({})", error.root_cause())),
            }
        }
        match missing
            .iter()
            .all(|all| *all == missing[0] && !all.is_empty())
        {
            true => why(0, "gives no numbers for it, nor does the other file".into()),
            false => Ok((true, None)),
        }
    }

    /// A file that has no input for lengths: each row alone, up to its end. Outputs are filled up with zeros.
    pub(super) fn row_by_row(
        &self,
        side: usize,
        by: By,
        case: &Case,
        lengths: &[usize],
    ) -> Result<Ran> {
        let mut rows = vec![];
        for (b, length) in lengths.iter().enumerate() {
            let row = self.row(case, b)?.cut(self, 0, *length, None)?;
            let row = Case {
                states: self.row(case, b)?.states,
                ..row
            };
            let ran = self.whole(side, by, &row)?;
            rows.push(Ran {
                outputs: self.ended(ran.outputs, *length, case.time)?,
                ..ran
            });
        }
        let mut joined = Ran {
            outputs: vec![],
            states: vec![],
        };
        for i in 0..self.face.outputs.len() {
            let parts: Vec<Tensor> = rows.iter().map(|r| r.outputs[i].clone()).collect();
            joined.outputs.push(Tensor::join(&parts, self.rows_of(i)?)?);
        }
        for (i, state) in self.face.states.iter().enumerate() {
            let axis = state
                .shape
                .iter()
                .position(|r| *r == Role::Batch)
                .unwrap_or(0);
            let parts: Option<Vec<Tensor>> = rows.iter().map(|r| r.states[i].clone()).collect();
            let all = parts.map(|p| Tensor::join(&p, axis)).transpose()?;
            joined.states.push(all);
        }
        Ok(joined)
    }

    /// Outputs without what stands behind the end of each row.
    pub(super) fn up_to_ends(&self, ran: Ran, lengths: &[usize]) -> Result<Ran> {
        let mut outputs = vec![];
        for (i, whole) in ran.outputs.into_iter().enumerate() {
            let Some(time) = self.shapes[i].time else {
                outputs.push(whole);
                continue;
            };
            let axis = self.rows_of(i)?;
            let total = whole.shape()[time];
            let mut rows = vec![];
            for (b, length) in lengths.iter().enumerate() {
                let row = whole.cut(axis, b, b + 1)?.cut(time, 0, *length)?;
                rows.push(with_zeros(row, time, total)?);
            }
            outputs.push(Tensor::join(&rows, axis)?);
        }
        Ok(Ran { outputs, ..ran })
    }

    fn ended(&self, outputs: Vec<Tensor>, length: usize, total: usize) -> Result<Vec<Tensor>> {
        let one = |(t, shape): (Tensor, &Shape)| match shape.time {
            Some(axis) if length < total => with_zeros(t, axis, total),
            _ => Ok(t),
        };
        outputs.into_iter().zip(&self.shapes).map(one).collect()
    }

    /// The axis of an output that holds the rows.
    fn rows_of(&self, output: usize) -> Result<usize> {
        let rows = self.shapes.get(output).and_then(|s| s.rows);
        rows.context("an output has no axis of rows")
    }

    /// Row `b` of a case.
    fn row(&self, case: &Case, b: usize) -> Result<Case> {
        let part = |t: &Tensor, roles: &[Role]| match roles.iter().position(|r| *r == Role::Batch) {
            Some(axis) => t.cut(axis, b, b + 1),
            None => Ok(t.clone()),
        };
        let data = self.face.links.iter().zip(&case.data);
        let data = data
            .map(|(l, t)| part(t, &l.roles))
            .collect::<Result<_>>()?;
        let states = case.states.as_ref().map(|all| {
            let each = self.face.states.iter().zip(all);
            each.map(|(s, t)| part(t, &s.shape)).collect::<Result<_>>()
        });
        Ok(Case {
            batch: 1,
            time: case.time,
            others: case.others.clone(),
            data,
            states: states.transpose()?,
            lengths: None,
            ends: case
                .ends
                .iter()
                .map(|all| all.get(b).copied().into_iter().collect())
                .collect(),
            own: case.own,
            draw: case.draw,
        })
    }
}

/// Where a run gives no numbers: tensor and position.
fn nowhere(ran: &Ran) -> Vec<(usize, usize)> {
    let mut all = vec![];
    for (i, t) in tensors(ran).enumerate() {
        let values = t.map(|t| t.values(Reading::Exact)).unwrap_or_default();
        let none = values.iter().enumerate().filter(|(_, v)| v.is_nan());
        all.extend(none.map(|(at, _)| (i, at)));
    }
    all
}

/// Zeros behind the last entry of an axis.
fn with_zeros(t: Tensor, axis: usize, total: usize) -> Result<Tensor> {
    let mut dims = t.shape().to_vec();
    let missing = total - dims[axis].min(total);
    if missing == 0 {
        return Ok(t);
    }
    dims[axis] = missing;
    let count: usize = dims.iter().product();
    let elem = t.value.dtype();
    let zeros = match elem.is_float() {
        true => Tensor::floats(elem, &dims, &vec![0.0; count])?,
        false => Tensor::ints(elem, &dims, &vec![0; count])?,
    };
    Tensor::join(&[t, zeros], axis)
}
