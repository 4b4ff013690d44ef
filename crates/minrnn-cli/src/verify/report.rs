//! What a verification found.

use minrnn_model::compare::Comparison;
use serde::Serialize;

use super::contract::Export;
use super::picture::ByLength;
use super::who::Who;

/// How strict a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Bit for bit.
    Exact,
    /// At most twice as far from the oracle as the step form is, plus `4 eps max|y|`.
    Portable,
    /// Within the running error bound of the oracle, value by value.
    Bound,
}

impl Grade {
    /// The grade's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Portable => "portable",
            Self::Bound => "bound",
        }
    }
}

/// One line of the report: one engine and form against another, over many cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// `tract`, `candle`, `oracle` or `files`.
    pub engine: String,
    /// What ran, e.g. `parallel` or `scan in chunks`.
    pub form: String,
    /// What it is compared with.
    pub against: String,
    /// How strictly.
    pub grade: Grade,
    /// Runs compared.
    pub cases: usize,
    /// Largest absolute difference; `null` in JSON where values are not comparable.
    pub max_abs: f64,
    /// Largest difference in units in the last place of f32.
    pub max_ulp: u64,
    /// Smallest absolute tolerance that would pass.
    pub min_tolerance: f64,
    /// Share of the steps whose largest logit is the same one; `None` for outputs that are no logits.
    pub argmax_agreement: Option<f64>,
    /// Largest absolute difference by T, of rows that have cases of several lengths.
    #[serde(skip_serializing_if = "ByLength::is_empty")]
    pub errors_by_length: ByLength,
    /// Whether everything held.
    pub holds: bool,
    /// Whether the verdict hangs on it: not on an engine that nobody asked for by its name.
    #[serde(skip_serializing_if = "is_so")]
    pub decides: bool,
    /// Why a row is graded as it is, or where it fails first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

fn is_so(b: &bool) -> bool {
    *b
}

/// What rows of engines are held to; others say something of the files.
pub(super) const JUDGE: &str = "judge";

/// A verification.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// `minrnn.verify/1`.
    pub schema: &'static str,
    /// Hash of `manifest.json` of the export that was verified, which has the hashes of its files: it tells whether the report is of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
    /// Whether all rows hold.
    pub holds: bool,
    /// The rows.
    pub rows: Vec<Row>,
    /// Who computed them, each once, in order of the rows.
    pub engines: Vec<Who>,
    /// What was covered, and what was not.
    pub notes: Vec<String>,
}

impl Report {
    pub(super) fn new(rows: Vec<Row>, notes: Vec<String>) -> Self {
        let holds = !rows.is_empty() && rows.iter().all(|r| r.holds || !r.decides);
        Self {
            schema: "minrnn.verify/1",
            manifest_sha256: None,
            holds,
            engines: engines(&rows),
            rows,
            notes,
        }
    }

    /// Whether all rows hold that say something of the files.
    pub(super) fn files_hold(&self) -> bool {
        let mut rows = self.rows.iter().filter(|r| r.against != JUDGE);
        rows.all(|r| r.holds)
    }

    /// Engines that are wrong, with versions, each once.
    pub(super) fn wrong_engines(&self) -> Vec<&str> {
        let wrong = |r: &&Row| r.against == JUDGE && !r.holds;
        let mut all: Vec<&str> = vec![];
        for row in self.rows.iter().filter(wrong) {
            if !all.contains(&row.engine.as_str()) {
                all.push(&row.engine);
            }
        }
        all
    }

    /// The verdict in words.
    pub(super) fn verdict(&self) -> &'static str {
        match (self.holds, self.files_hold()) {
            (true, _) => "Everything holds.",
            (false, true) => "The files hold. An engine does not.",
            (false, false) => "Something does not hold.",
        }
    }

    /// The same with what engines came to.
    pub(crate) fn with(self, rows: Vec<Row>, notes: Vec<String>) -> Self {
        let rows = self.rows.into_iter().chain(rows).collect();
        let notes = self.notes.into_iter().chain(notes).collect();
        Self {
            manifest_sha256: self.manifest_sha256,
            ..Self::new(rows, notes)
        }
    }

    /// The same, and of which export.
    pub(super) fn of(self, export: &Export) -> Self {
        Self {
            manifest_sha256: Some(export.manifest_sha256().to_owned()),
            ..self
        }
    }

    /// The rows, those that fail first, else in their order.
    pub(crate) fn failures_first(&self) -> impl Iterator<Item = &Row> {
        let of = |holds: bool| self.rows.iter().filter(move |r| r.holds == holds);
        of(false).chain(of(true))
    }
}

/// Who is in rows.
fn engines(rows: &[Row]) -> Vec<Who> {
    let mut all: Vec<Who> = vec![];
    for row in rows {
        // What is held to the judge is called by its name and version.
        let by = match row.against.as_str() {
            JUDGE => row.engine.split_once(' ').map(|(name, version)| Who {
                name: name.into(),
                version: version.into(),
            }),
            _ => Who::of(&row.engine),
        };
        for who in [by, Who::of(&row.against)].into_iter().flatten() {
            if !all.contains(&who) {
                all.push(who);
            }
        }
    }
    all
}

/// A state of this size has grown with the steps: others are a handful.
const LARGE: f64 = 100.0;

/// A row in the making.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    engine: &'static str,
    form: String,
    against: &'static str,
    grade: Grade,
    cases: usize,
    comparison: Comparison,
    rows: usize,
    agreeing: usize,
    by_length: ByLength,
    failed: Option<String>,
    why: Option<String>,
    /// Largest differences of the output and of the states, and what that state's tensor has as its largest value.
    output: f64,
    state: (f64, f64),
}

impl Tally {
    pub(super) fn new(
        engine: &'static str,
        form: impl Into<String>,
        against: &'static str,
        grade: Grade,
    ) -> Self {
        let comparison = Comparison::default();
        let form = form.into();
        Self {
            engine,
            form,
            against,
            grade,
            cases: 0,
            comparison,
            rows: 0,
            agreeing: 0,
            by_length: ByLength::default(),
            failed: None,
            why: None,
            output: 0.0,
            state: (0.0, 0.0),
        }
    }

    /// Of one run: the largest difference of the output, and those of the states, each with the largest value of its tensor.
    pub(super) fn sizes(&mut self, output: f64, states: impl Iterator<Item = (f64, f64)>) {
        self.output = output.max(self.output);
        self.state = states.fold(self.state, |a, b| if b.0 > a.0 { b } else { a });
    }

    /// What a reader of the largest difference has to know: that it belongs to a state which sums over all steps.
    fn of_a_large_state(&self) -> Option<String> {
        let (apart, largest) = self.state;
        (largest >= LARGE && apart > 10.0 * self.output).then(|| {
            format!(
                "the largest difference, {apart:.1e}, is of a state that has grown to {largest:.1e} (a sum over the steps); the output's is {:.1e}",
                self.output
            )
        })
    }

    pub(super) fn because(mut self, why: &str) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Whether it is of this engine.
    pub(super) fn is_of(&self, engine: &str) -> bool {
        self.engine == engine
    }

    /// Something more to be said of it, once.
    pub(super) fn remark(&mut self, what: &str) {
        match &mut self.why {
            Some(why) if why.contains(what) => {}
            Some(why) => {
                why.push_str("; ");
                why.push_str(what);
            }
            None => self.why = Some(what.into()),
        }
    }

    /// The row of a check that could not be made and should have been.
    pub(super) fn missing(mut self, why: String) -> Row {
        self.failed = Some(why);
        self.row()
    }

    /// The row of a check that compares no values and holds.
    pub(super) fn agreeing(mut self) -> Row {
        self.cases = 1;
        self.comparison.extend_exact(&[0.0], &[0.0]);
        self.row()
    }

    /// Takes in the comparison of one case.
    pub(super) fn add(&mut self, case: &str, comparison: &Comparison) {
        self.cases += 1;
        if !comparison.holds() && self.failed.is_none() {
            let worst = comparison.worst.as_ref();
            let at = worst.map_or("nothing was compared".into(), |w| {
                format!("value {}: got {:e}, wanted {:e}", w.index, w.got, w.want)
            });
            self.failed = Some(format!(
                "fails first at {case}; {} of {} values, worst {at}",
                comparison.failing, comparison.count
            ));
        }
        self.comparison.merge(comparison);
    }

    /// Takes in the comparison of one case of so many steps.
    pub(super) fn add_at(&mut self, time: usize, case: &str, comparison: &Comparison) {
        self.by_length.add(time, comparison.max_abs);
        self.add(case, comparison);
    }

    /// Counts steps whose largest logit agrees.
    pub(super) fn agreement(&mut self, got: &[f32], want: &[f64], classes: usize) {
        for (g, w) in got.chunks(classes).zip(want.chunks(classes)) {
            self.rows += 1;
            self.agreeing += usize::from(argmax(g) == argmax(w));
        }
    }

    pub(super) fn cases(&self) -> usize {
        self.cases
    }

    pub(super) fn row(mut self) -> Row {
        if let Some(what) = self.of_a_large_state() {
            self.remark(&what);
        }
        let agreement = (self.rows > 0).then(|| self.agreeing as f64 / self.rows as f64);
        Row {
            engine: self.engine.into(),
            form: self.form,
            against: self.against.into(),
            grade: self.grade,
            cases: self.cases,
            max_abs: self.comparison.max_abs,
            max_ulp: self.comparison.max_ulp,
            min_tolerance: self.comparison.min_tolerance,
            argmax_agreement: agreement,
            errors_by_length: self.by_length,
            holds: self.comparison.holds(),
            decides: true,
            note: self.failed.or(self.why),
        }
    }
}

/// Index of the largest value; the first of equals.
pub(crate) fn argmax<T: PartialOrd + Copy>(x: &[T]) -> usize {
    (1..x.len()).fold(0, |best, i| if x[i] > x[best] { i } else { best })
}
