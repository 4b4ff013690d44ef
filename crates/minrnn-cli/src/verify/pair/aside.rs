//! Integers beside those that tables have rows for: past a table, below 0, beyond what narrow types hold.

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::check::Check;
use super::checks::Checks;
use super::file::By;
use super::report::Row;
use super::rounding::{Held, Rounding};
use super::tables::{Aside, Beyond};
use super::tensor::{Reading, Tensor};
use crate::verify::who::Who;

impl Beyond {
    /// What a row of them is called.
    fn words(self) -> &'static str {
        match self {
            Self::Table => "integers past a table",
            Self::Zero => "integers below 0",
            Self::Types => "large integers",
        }
    }
}

impl Two {
    /// Runs with integers that tables have no rows for. What both files have something for is compared; a row tells of what one of them
    /// alone has.
    ///
    /// # Errors
    /// Inputs that take more memory than there is.
    pub(super) fn beside_tables(
        &self,
        limit: usize,
        checks: &mut Checks,
        costs: &mut Rounding,
    ) -> Result<(Vec<Row>, Vec<String>)> {
        let (mut rows, mut notes) = (vec![], vec![]);
        let links = self.face.links.iter().enumerate();
        let links = links.filter(|(i, _)| !self.keeps(*i));
        for (i, aside) in links.flat_map(|(i, link)| link.aside.iter().map(move |a| (i, a))) {
            let link = &self.face.links[i];
            // What was told of a kind need not be told again.
            let told = |r: &Row| r.check == aside.kind.words() && !r.holds;
            if rows.iter().any(told) {
                continue;
            }
            let case = self.case_beside(i, aside, limit)?;
            let ran = [0, 1].map(|side| self.whole(side, By::Judge, &case));
            let name = &link.names[0];
            let meant = format!(
                "--input {name}=:int={}..{} says that they are not meant",
                link.range.0, link.range.1
            );
            match ran {
                [Ok(first), Ok(second)] if aside.kind == Beyond::Table => {
                    costs.learn(0, &case, &first);
                    costs.learn(1, &case, &second);
                    self.hold(&mut checks.whole, &case, (&first, &second), costs);
                }
                [Ok(first), Ok(second)] => {
                    let words = aside.kind.words();
                    let mut check = Check::new(words, &Who::judge(), Held::Meaning, self);
                    costs.learn(0, &case, &first);
                    costs.learn(1, &case, &second);
                    self.hold(&mut check, &case, (&first, &second), costs);
                    if !check.holds() {
                        rows.extend(check.rows());
                        notes.push(format!(
                            "`{name}`: both files run {words} ({}) and part there; {meant}",
                            aside.list()
                        ));
                    }
                }
                [Err(_), Err(_)] => {}
                [first, _] => {
                    let refuses = usize::from(first.is_ok());
                    let [refuses, takes] = [refuses, 1 - refuses].map(|k| self.files[k].name());
                    let said = format!(
                        "`{name}`: {takes} takes {} and {refuses} refuses some of them: what stands there cannot be compared; {meant}",
                        aside.list()
                    );
                    notes.push(said.clone());
                    rows.push(Row {
                        tensor: name.clone(),
                        holds: true,
                        untold: aside.count(),
                        ..Row::without_values(aside.kind.words(), &Who::judge(), said)
                    });
                }
            }
        }
        Ok((rows, notes))
    }

    /// A case with such integers at every third place of an input, the others as usual.
    fn case_beside(&self, i: usize, aside: &Aside, limit: usize) -> Result<Case> {
        let mut rng = Rng::named(i as u64, "past tables");
        // Each of a few is there.
        let rows = match aside.only.is_empty() {
            true => 1,
            false => aside.only.len(),
        };
        let batch = self.face.batch.unwrap_or(rows);
        let time = self.face.length.unwrap_or(self.face.steps(limit.min(17)));
        let mut case = Case::random(self, (batch, time), &mut rng)?;
        case.lengths = None;
        let drawn = case.data[i].values(Reading::Exact);
        let apart = if drawn.len() / 3 < aside.only.len() {
            1
        } else {
            3
        };
        let values = drawn.iter().enumerate().map(|(at, v)| match at % apart {
            0 => match aside.only.get(at / apart % aside.only.len().max(1)) {
                Some(n) => i128::from(*n),
                None => i128::from(aside.low) + rng.below(aside.count()) as i128,
            },
            _ => *v as i128,
        });
        let values: Vec<i128> = values.collect();
        let elem = self.face.links[i].elem;
        case.data[i] = Tensor::ints(elem, case.data[i].shape(), &values)?;
        Ok(case)
    }
}

impl Aside {
    fn count(&self) -> usize {
        match self.only.len() {
            0 => usize::try_from(self.high - self.low + 1).unwrap_or(1),
            few => few,
        }
    }

    fn list(&self) -> String {
        let all: Vec<String> = self.only.iter().map(i64::to_string).collect();
        match all.is_empty() {
            true if self.low == self.high => self.low.to_string(),
            true => format!("{} to {}", self.low, self.high),
            false => all.join(", "),
        }
    }
}
