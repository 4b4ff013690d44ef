//! The tokens of a text against those of a checkpoint.

use std::collections::BTreeSet;

use super::super::differences::{Differences, characters};
use super::{Origin, Purpose};
use crate::data::Vocabulary;
use crate::error::{CheckpointProblem, Result, TrainError};
use crate::task::{DataDigest, Task};

impl Origin<'_> {
    /// Whether tokens mean the same from here on.
    pub(super) fn adopt_vocabulary(
        &self,
        task: &mut dyn Task,
        data: &Option<DataDigest>,
        purpose: Purpose,
        found: &mut Differences,
    ) -> Result<bool> {
        let (old, new) = match (self.vocabulary, task.vocabulary()) {
            (None, None) => return Ok(true),
            (Some(old), None) => {
                let unit = old.unit();
                let message = match unit {
                    "token" => "the tokens of the checkpoint are those of its tokenizer.json, and of those of the task nobody says it: `task.tokenizer` does".to_owned(),
                    _ => format!("the tokens of the checkpoint are {unit}s, those of the task are not"),
                };
                found.push("vocabulary", message);
                return Ok(false);
            }
            (None, Some(new)) => {
                let message = match self.numbers() {
                    Some(kind) => format!(
                        "the tokens of the checkpoint are numbers (task.tokens = \"{kind}\"), and of what text they are it does not say; those of the data are {}",
                        self::kind(new.unit())
                    ),
                    None => "the checkpoint does not say which character each of its tokens is (`minrnn import --vocab` would)".to_owned(),
                };
                found.push("vocabulary", message);
                return Ok(false);
            }
            (Some(old), Some(new)) => (old, new),
        };
        let (old, vocabulary) = (
            old.characters(),
            Vocabulary::of(old).map_err(|e| self.malformed(&e))?,
        );
        let (Some(old), Some(new)) = (old, new.characters()) else {
            let fits = vocabulary == *new;
            if !fits {
                found.push("vocabulary", others(&vocabulary, new));
            }
            return Ok(fits);
        };
        let lacks = without(new, old);
        let gone = without(old, new);
        let mut words = vec![];
        if !lacks.is_empty() {
            let lacks = characters(&lacks);
            words.push(format!(
                "the text has {lacks}, which the checkpoint does not know"
            ));
        }
        // Where the data is known to be the same, its characters are; else the text is another one.
        let must_be_same = purpose == Purpose::Resume { new_data: false };
        if !gone.is_empty() && must_be_same && !self.same_data(data) {
            let gone = characters(&gone);
            words.push(format!("the text lacks {gone} of the checkpoint"));
        }
        let fits = lacks.is_empty();
        if !words.is_empty() {
            found.push("vocabulary", words.join("; "));
        }
        if fits {
            task.adopt_vocabulary(&vocabulary)?;
        }
        Ok(fits)
    }

    /// The type of the numbers that the checkpoint's task read as tokens, if it did.
    fn numbers(&self) -> Option<&str> {
        let kind = self.task.as_ref()?.get("tokens")?.as_str()?;
        kind.starts_with('u').then_some(kind)
    }

    fn malformed(&self, error: &TrainError) -> TrainError {
        let message = error.to_string();
        let problem = CheckpointProblem::Malformed { message };
        TrainError::checkpoint(&self.path.join("vocabulary.json"), problem)
    }
}

/// Tokens of two kinds, or of two tokenizers.
fn others(old: &Vocabulary, new: &Vocabulary) -> String {
    match (old.unit(), new.unit()) {
        ("token", "token") => "the tokenizer.json of the data is another one than the checkpoint's, whose tokens have other numbers or texts".to_owned(),
        (old, new) => format!("the tokens of the checkpoint are {}, those of the data {}", kind(old), kind(new)),
    }
}

fn kind(unit: &str) -> &str {
    match unit {
        "character" => "characters",
        "byte" => "bytes",
        _ => "pieces of a tokenizer.json",
    }
}

/// The tokens of `all` that `others` has not.
fn without<'t>(all: &'t [String], others: &[String]) -> Vec<&'t String> {
    let others: BTreeSet<&String> = others.iter().collect();
    all.iter().filter(|t| !others.contains(t)).collect()
}
