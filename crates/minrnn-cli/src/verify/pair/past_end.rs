//! Cases that a file refuses, and shorter ones, or those from the initial states, it does not: what to say of the files.

use anyhow::Error;

use super::case::{Case, Two};
use super::file::By;
use super::interface::State;
use super::spec::Role;
use super::stops::is_of_values;

impl Two {
    /// The refusal of a case, with the option that mends it where it is the states at random, or the length, that are refused.
    pub(super) fn past_end(&self, case: &Case, asked: bool, why: Error) -> Error {
        let begun = Case {
            states: None,
            ..case.clone()
        };
        let runs = |case: &Case| (0..2).all(|side| self.whole(side, By::Judge, case).is_ok());
        let counted = self.face.states.iter().any(|s| s.counts);
        if case.states.is_some() && (asked || !counted) && runs(&begun) {
            return why.context(format!(
                "the files run this from the initial states, and not from others, which the second file reaches in some steps: {}",
                self.say_what_counts()
            ));
        }
        self.too_long(asked, why)
    }

    /// The refusal of a length that nobody asked for, with the option that mends it.
    pub(super) fn too_long(&self, asked: bool, why: Error) -> Error {
        match !asked && is_of_values(&why) && self.takes_short() {
            true => why.context(
                "the files take shorter sequences and not this one; say by --max-len N how long they may be",
            ),
            false => why,
        }
    }

    /// The options that say of states that they count steps: those of one value a row, where there are any.
    pub(super) fn say_what_counts(&self) -> String {
        let one = |s: &&State| {
            let free = s.shape.iter().filter(|r| **r != Role::Batch);
            !s.counts && free.clone().all(|r| *r == Role::Fixed(1))
        };
        let line = |s: &State| {
            let (input, output) = &s.second;
            format!("--state {input}={output}:counts=true")
        };
        let all: Vec<String> = self.face.states.iter().filter(one).map(line).collect();
        let which = match all.is_empty() {
            true => "--state IN=OUT:counts=true".to_owned(),
            false => all.join(" "),
        };
        format!(
            "where a state counts the steps, say so: {which} (beside the --state options of the others), so that what it has counted \
             and T stay within the longest T (--max-len) together"
        )
    }
}
