//! Cases that do not run: what they say of the files.
//!
//! Where one file refuses what the other runs, the two are not the same. Where both refuse, or nothing says that the files are meant for
//! it, that is a question, which only stands if nothing else differs.

use anyhow::Error;
use minrnn_onnx::eval::{EvalError, EvalErrorKind};

use super::case::{Case, Two};
use super::file::By;
use super::report::Row;
use super::way::Draw;
use crate::verify::who::Who;

/// What did not run.
#[derive(Debug, Default)]
pub(super) struct Stops {
    /// Where one file alone refuses, and why.
    alone: Option<String>,
    /// Whether that is from the initial states.
    begun: bool,
    /// What has to be asked for, if nothing differs.
    open: Option<Error>,
    /// Cases that both files refuse because of their other lengths.
    left_out: Option<String>,
}

impl Stops {
    /// Takes in a case that did not run.
    ///
    /// # Errors
    /// What does not hang on the values of the case: a limit, or what the judge does not evaluate.
    pub(super) fn add(
        &mut self,
        two: &Two,
        case: &Case,
        asked: bool,
        why: Error,
    ) -> Result<(), Error> {
        let ran = [0, 1].map(|side| two.whole(side, By::Judge, case));
        // What a file looks for it need not take everywhere.
        if matches!(case.draw, Draw::Marked | Draw::Centred | Draw::Silent)
            && ran.iter().all(Result::is_err)
        {
            return Ok(());
        }
        if !two.face.lengths.is_empty() && ran.iter().all(Result::is_err) {
            let refused = || format!("{}: {}", case.name(), why.root_cause());
            self.left_out.get_or_insert_with(refused);
            return Ok(());
        }
        if !is_of_values(&why) {
            return Err(two.past_end(case, asked, why).context(case.name()));
        }
        let alone = match &ran {
            [Err(error), Ok(_)] if is_of_values(error) => Some((0, error)),
            [Ok(_), Err(error)] if is_of_values(error) => Some((1, error)),
            _ => None,
        };
        if let Some((side, error)) = alone
            && two.is_meant(case, asked)
        {
            let [file, other] = [side, 1 - side].map(|k| two.files[k].name());
            let said = format!(
                "{file} refuses what {other} runs ({error}): {}",
                reason(error)
            );
            // From the initial states it is sooner seen what it comes of.
            if self.alone.is_none() || case.states.is_none() && !self.begun {
                (self.alone, self.begun) = (Some(said), case.states.is_none());
            }
            return Ok(());
        }
        if self.open.is_none() {
            self.open = Some(two.past_end(case, asked, why).context(case.name()));
        }
        Ok(())
    }

    /// The row of a file that refuses alone, and the remarks. `differ`: whether anything else does.
    ///
    /// # Errors
    /// The question that is left if nothing differs.
    pub(super) fn finish(self, differ: bool) -> Result<(Option<Row>, Vec<String>), Error> {
        let mut notes = vec![];
        match self.open {
            Some(why) if !differ && self.alone.is_none() => return Err(why),
            Some(why) => notes.push(format!("not all cases ran ({why:#})")),
            None => {}
        }
        notes.extend(
            self.left_out
                .map(|why| format!("lengths that both files refuse were left out ({why})")),
        );
        let row = |said| Row::without_values("whole", &Who::judge(), said);
        Ok((self.alone.map(row), notes))
    }
}

impl Two {
    /// Whether the files are meant to run a case: from states that they begin with, or that count as they are said to, and no longer than
    /// was asked for or than they say themselves.
    fn is_meant(&self, case: &Case, asked: bool) -> bool {
        let begins = case.states.is_none() || self.face.states.iter().any(|s| s.counts);
        begins && (asked || self.stated().is_some())
    }
}

/// The node that refuses, and why.
fn reason(error: &Error) -> String {
    let node = error.downcast_ref::<EvalError>();
    node.map_or_else(|| error.root_cause().to_string(), EvalError::to_string)
}

/// Whether a run was refused for what its values or sizes are: an index beyond a table, shapes that do not fit.
pub(super) fn is_of_values(error: &Error) -> bool {
    let kind = error.downcast_ref::<EvalError>().map(|e| &e.kind);
    matches!(
        kind,
        Some(EvalErrorKind::Value(_) | EvalErrorKind::Shape(_) | EvalErrorKind::Input { .. })
    )
}
