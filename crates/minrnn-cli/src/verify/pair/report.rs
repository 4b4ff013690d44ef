//! What a comparison of two files found.

use serde::Serialize;

use super::way::{Draw, FAR};
use crate::verify::bisect::Culprit;
use crate::verify::picture::ByLength;
use crate::verify::who::Who;

/// The whole report, schema `minrnn.verify.pair/2`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: &'static str,
    /// Whether all pairs hold.
    pub(crate) holds: bool,
    pub(crate) pairs: Vec<Pair>,
}

/// Two files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Pair {
    /// `sequence against step`, or `file against file`.
    pub(crate) mode: &'static str,
    pub(crate) first: String,
    pub(crate) second: String,
    pub(crate) holds: bool,
    /// Those that fail first.
    pub(crate) rows: Vec<Row>,
    pub(crate) bisect: Option<Culprit>,
    pub(crate) notes: Vec<String>,
    /// Who computed the rows: the judge, then the engines.
    pub(crate) judge: Who,
    pub(crate) engines: Vec<Who>,
    /// Names of the engines that were asked for.
    #[serde(skip)]
    pub(crate) asked: Vec<String>,
}

/// Who rows are by that hold files to each other.
pub(super) const JUDGE: &str = "judge";

/// One tensor in one check, over many cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) check: String,
    /// `judge`, or the engine that is held to it.
    pub(crate) by: String,
    pub(crate) version: String,
    pub(crate) tensor: String,
    pub(crate) cases: usize,
    pub(crate) values: usize,
    pub(crate) failing: usize,
    /// `null` in JSON where values are not comparable.
    pub(crate) max_abs: f64,
    pub(crate) max_ulp: u64,
    /// The tolerance of the worst value, the furthest off in units of its own.
    pub(crate) tolerance: f64,
    /// The largest difference in units of its tolerance; `null` in JSON: not comparable.
    pub(crate) of_tolerance: f64,
    /// Smallest absolute tolerance by which all would pass; `null` in JSON: none.
    pub(crate) min_tolerance: f64,
    pub(crate) worst: Option<Place>,
    /// Shares of values that are exactly 0, in the first and the second file.
    pub(crate) zeros: [f64; 2],
    /// Values that hang on a decision within rounding; of them one quantum is allowed.
    pub(crate) on_edge: usize,
    /// Of logits: the share of rows whose largest value is at the same place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) argmax: Option<f64>,
    pub(crate) holds: bool,
    /// Largest absolute difference by T in steps.
    #[serde(skip_serializing_if = "ByLength::is_empty")]
    pub(crate) errors_by_length: ByLength,
    /// Whether the verdict hangs on it: an engine that nobody asked for may be wrong without the files being so.
    pub(crate) decides: bool,
    /// Values of which it cannot be told whether they agree: the tolerance is half as large as they are, or more.
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) untold: usize,
    /// Whether it is of an output that has the same values in all runs, although it hangs on what the files are given.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) still: bool,
    /// Values that are no number in either file: there is nothing to hold to each other.
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) no_number: usize,
    /// The first of them.
    #[serde(skip)]
    pub(crate) nowhere: Option<String>,
    /// Values of which float64 has a number and the type, rounded at each operation, has none: nothing is shown there.
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) beyond: usize,
    /// The first of them.
    #[serde(skip)]
    pub(crate) outside: Option<String>,
    /// Values that hang on a decision, and are apart by more than is allowed of others.
    #[serde(skip)]
    pub(crate) tipped: usize,
    /// Whether so much was not compared, or not held to anything, that the row is no proof.
    #[serde(skip)]
    pub(crate) open: bool,
    /// The longest T up to which all of its values are numbers, where they grow with T until they are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grows: Option<usize>,
    /// Why there are no values to compare: an engine that stopped, or gave something else than was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) said: Option<String>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Row {
    /// Of an engine that gave nothing to compare: why.
    pub(super) fn without_values(check: &str, by: &Who, said: String) -> Self {
        Self {
            check: check.into(),
            by: by.name.clone(),
            version: by.version.clone(),
            tensor: "all".into(),
            cases: 0,
            values: 0,
            failing: 0,
            max_abs: f64::NAN,
            max_ulp: 0,
            tolerance: f64::NAN,
            of_tolerance: f64::NAN,
            min_tolerance: f64::NAN,
            worst: None,
            zeros: [0.0; 2],
            on_edge: 0,
            argmax: None,
            holds: false,
            errors_by_length: ByLength::default(),
            decides: true,
            untold: 0,
            still: false,
            no_number: 0,
            nowhere: None,
            beyond: 0,
            outside: None,
            tipped: 0,
            open: false,
            grows: None,
            said: Some(said),
        }
    }

    /// Whether what it says of files is no proof.
    pub(super) fn is_untold(&self) -> bool {
        self.holds && self.by == JUDGE && self.untold > 0
    }

    /// Whether it compares files, and there are values of which neither has a number.
    pub(super) fn is_without_numbers(&self) -> bool {
        self.holds && self.by == JUDGE && self.no_number > 0 && self.grows.is_none()
    }

    /// Whether it compares files, and values grow until neither has a number: up to there they were compared.
    pub(super) fn is_outgrown(&self) -> bool {
        self.holds && self.by == JUDGE && self.grows.is_some()
    }

    /// Whether there are values that left the range of their type, other than by growth with T in both files.
    pub(super) fn is_beyond(&self) -> bool {
        self.beyond > 0 && (self.by != JUDGE || self.grows.is_none())
    }

    /// Whether its values never change, so that nothing is shown.
    pub(super) fn is_still(&self) -> bool {
        self.holds && self.still
    }

    /// Whether it tells nothing at all, of inputs as the files have them: far out many a right file is all rounding.
    fn is_all_untold(&self) -> bool {
        let far = self.check.contains(FAR);
        self.is_untold() && !far && self.values > 0 && self.untold >= self.values
    }

    /// Whether nothing fails, and of some values nothing is shown either.
    pub(super) fn is_open(&self) -> bool {
        self.is_without_numbers()
            || self.holds && (self.is_beyond() || self.open)
            || self.is_still()
            || self.is_all_untold()
    }

    /// Who computed it, as people read it.
    pub(super) fn who(&self) -> String {
        match self.by.as_str() {
            JUDGE => self.by.clone(),
            _ => format!("{} {}", self.by, self.version),
        }
    }
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Place {
    pub(crate) case: String,
    pub(crate) batch: usize,
    pub(crate) time: usize,
    /// Lengths that are not T.
    #[serde(skip)]
    pub(crate) others: Vec<usize>,
    pub(crate) index: Vec<usize>,
    /// How the inputs of the case are drawn.
    #[serde(skip)]
    pub(crate) draw: Draw,
    pub(crate) first: f64,
    pub(crate) second: f64,
}

impl Report {
    pub(crate) fn new(pairs: Vec<Pair>) -> Self {
        let holds = !pairs.is_empty() && pairs.iter().all(|p| p.holds);
        Self {
            schema: "minrnn.verify.pair/2",
            holds,
            pairs,
        }
    }

    /// What it comes to, and which engines are wrong.
    pub(super) fn verdict(&self) -> (&'static str, String) {
        let files_hold = self.pairs.iter().all(Pair::files_hold);
        let verdict = match (self.holds, files_hold) {
            (true, _) if self.any(Row::is_outgrown) => {
                "Everything holds, as far as there are numbers: values grow with T, see the notes."
            }
            (true, _) => "Everything holds.",
            (false, true) if self.is_open() && self.is_without_numbers() => {
                "IT CANNOT BE TOLD WHETHER THE FILES HOLD: of some values neither has a number."
            }
            (false, true) if self.is_open() && self.has_gaps() => {
                "IT CANNOT BE TOLD WHETHER THE FILES HOLD: not all of it was compared."
            }
            (false, true) if self.is_open() && self.any(Row::is_still) => {
                "IT CANNOT BE TOLD WHETHER THE FILES HOLD: an output never changes."
            }
            (false, true) if self.is_open() && self.any(Row::is_all_untold) => {
                "IT CANNOT BE TOLD WHETHER THE FILES HOLD: rounding is as large as the values."
            }
            (false, true) if self.is_open() && self.opens(JUDGE) => {
                "IT CANNOT BE TOLD WHETHER THE FILES HOLD: some values are beyond the range of their type."
            }
            (false, true) if self.is_open() => {
                "THE FILES HOLD. OF AN ENGINE IT CANNOT BE TOLD: some values leave the range of their type."
            }
            (false, true) => "THE FILES HOLD. AN ENGINE DOES NOT.",
            (false, false) => "SOMETHING DOES NOT HOLD.",
        };
        let engines = self.wrong_engines();
        let untold = self.pairs.iter().flat_map(|p| &p.rows);
        let untold = match untold
            .filter(|r| r.is_untold() || r.holds && (r.is_beyond() || r.open))
            .count()
        {
            0 => "",
            _ => "\nOf some values it cannot be told whether they agree: see the notes.",
        };
        if engines.is_empty() {
            return (verdict, untold.to_owned());
        }
        let which = match files_hold {
            true => "not the files",
            false => "besides",
        };
        let engines = engines.join(", ");
        (
            verdict,
            format!("{untold}\nAn engine is wrong, {which}: {engines}."),
        )
    }

    fn any(&self, of: fn(&Row) -> bool) -> bool {
        self.pairs.iter().flat_map(|p| &p.rows).any(of)
    }

    /// Why it cannot be told whether the files hold.
    pub(crate) fn question(&self) -> &'static str {
        if self.any(Row::is_still) {
            "an output has the same values in all runs, so that it cannot be told whether the files hold; the notes above say which"
        } else if self.any(Row::is_all_untold) {
            "rounding costs as much as the values are, so that it cannot be told whether the files hold; the notes above say where"
        } else {
            "of some values there is no number to compare, so that it cannot be told whether they hold; the notes above say which"
        }
    }

    /// Whether there are values of which no file has a number.
    fn is_without_numbers(&self) -> bool {
        let mut rows = self.pairs.iter().flat_map(|p| &p.rows);
        rows.any(Row::is_without_numbers)
    }

    /// Whether there are values that nothing was held to.
    pub(crate) fn has_gaps(&self) -> bool {
        let mut rows = self.pairs.iter().flat_map(|p| &p.rows);
        rows.any(|r| r.holds && r.open)
    }

    /// Whether a row of the judge, or of engines, shows nothing of some values.
    fn opens(&self, by: &str) -> bool {
        let mut rows = self.pairs.iter().flat_map(|p| &p.rows);
        rows.any(|r| r.decides && r.is_open() && r.by == by)
    }

    /// Whether it does not hold for nothing that was found, but because there are no numbers to compare.
    pub(crate) fn is_open(&self) -> bool {
        let files_hold = self.pairs.iter().all(Pair::files_hold);
        let decide = || {
            let all = self.pairs.iter().flat_map(|p| &p.rows);
            all.filter(|r| r.decides)
        };
        files_hold && decide().all(|r| r.holds) && decide().any(Row::is_open)
    }

    /// Engines that are wrong, with versions, each once.
    fn wrong_engines(&self) -> Vec<String> {
        let rows = self.pairs.iter().flat_map(|p| &p.rows);
        let mut all: Vec<String> = vec![];
        for row in rows.filter(|r| !r.holds && r.by != JUDGE) {
            let who = row.who();
            let who = match row.decides {
                true => who,
                false => format!("{who} (its rows are marked `engine`)"),
            };
            if !all.contains(&who) {
                all.push(who);
            }
        }
        all
    }

    /// Engines that were asked for by name and ran no case of any file.
    pub(crate) fn silent(&self) -> Vec<&str> {
        let spoke = |name: &str| {
            let mut rows = self.pairs.iter().flat_map(|p| &p.rows);
            rows.any(|r| r.by == name)
        };
        let asked = self.pairs.iter().flat_map(|p| &p.asked);
        let mut all: Vec<&str> = asked.map(String::as_str).filter(|n| !spoke(n)).collect();
        all.dedup();
        all
    }
}

impl Pair {
    /// Whether all that says something of the files holds, engines apart.
    fn files_hold(&self) -> bool {
        let judged = || self.rows.iter().filter(|r| r.by == JUDGE);
        judged().next().is_some() && judged().all(|r| r.holds) && self.bisect.is_none()
    }
}
