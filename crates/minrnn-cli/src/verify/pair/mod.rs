//! Two ONNX files of any program: a sequence file against its step file, or a file against another one.

mod alone;
#[cfg(test)]
mod beyond;
mod case;
#[cfg(test)]
mod cases;
mod check;
mod defaults;
#[cfg(test)]
mod drawn;
mod file;
mod interface;
mod least;
mod lengths;
mod limits;
mod outputs;
#[cfg(test)]
mod people;
mod port;
mod report;
mod rounding;
mod ruler;
mod run;
#[cfg(test)]
mod scales;
#[cfg(test)]
mod spans;
mod spec;
mod tensor;
#[cfg(test)]
mod tests;
mod unused;
mod witness;

use std::path::Path;

use anyhow::{Context, Result};
use minrnn_model::rng::Rng;

pub(crate) use alone::alone;
pub(crate) use case::{Case, Ran, Two};
pub(crate) use file::{By, GraphFile};
pub(crate) use interface::Kind;
pub(crate) use report::{Pair, Report, Row, number};
pub(crate) use spec::{
    Fill, InputSpec, Request, StateSpec, dim_spec, input_spec, map_spec, states_file, value_spec,
};
pub(crate) use tensor::{Reading, Tensor};
pub(crate) use unused::once;
pub(crate) use witness::Heard;

use check::Check;
use report::JUDGE;
use rounding::{Held, Rounding};
use witness::{BOTH, Witness};

use super::bisect;
use super::contender::Contender;
use super::course::Course;
use super::who::Who;

/// The longest sequence if nothing says another one.
const LONGEST: usize = 1024;

/// And of files that take several steps a call, the most calls.
const CALLS: usize = 16;

/// Opens two files, finds what belongs together, and compares them.
///
/// # Errors
/// Files that cannot be read, run or matched. What differs is no error: it is in the report.
pub(crate) fn compare(
    first: &Path,
    second: &Path,
    kind: Kind,
    request: &Request,
    observe: super::Observer,
) -> Result<Pair> {
    let two = Two::open(first, second, kind, request)?;
    two.compare(request, observe)
}

impl Two {
    pub(crate) fn open(first: &Path, second: &Path, kind: Kind, request: &Request) -> Result<Self> {
        let mut files = [GraphFile::open(first)?, GraphFile::open(second)?];
        let given = defaults::adopt(&mut files, request);
        unused::refuse_strangers(&files, request)?;
        let mut request = request.clone();
        // The file whose states are known is the second one: the other is given no states.
        if kind == Kind::Same
            && request.states.is_empty()
            && spec::listed(&files[1])?.is_empty()
            && !spec::listed(&files[0])?.is_empty()
        {
            files.reverse();
            request
                .names
                .iter_mut()
                .for_each(|(a, b)| std::mem::swap(a, b));
        }
        let face = interface::interface(&files[0], &files[1], kind, &request)?;
        unused::refuse_idle(&face, &request)?;
        let mut two = Self {
            files,
            kind,
            face,
            shapes: vec![],
            most: usize::MAX,
            empty_rows: false,
        };
        two.most = two.stated().unwrap_or(usize::MAX);
        if let Some(longest) = request.longest {
            two.most = two.face.steps(longest.clamp(1, two.most));
        }
        two.find_least()?;
        let found = two
            .find_shapes()
            .context("finding the axis of time of the outputs");
        two.shapes = match found {
            Err(why) if request.longest.is_none() && two.takes_short() => {
                return Err(why.context("the files take short sequences and not these; say by --max-len N how long they may be"));
            }
            found => found?,
        };
        let (empty_rows, note) = two.takes_empty_rows()?;
        two.empty_rows = empty_rows;
        two.face.notes.extend(given.into_iter().chain(note));
        Ok(two)
    }

    /// The longest sequence that the files say they take.
    fn stated(&self) -> Option<usize> {
        let of = |f: &GraphFile| f.metadata("minrnn.max_seq_len")?.parse().ok();
        self.files.iter().filter_map(of).min()
    }

    fn compare(&self, request: &Request, mut observe: super::Observer) -> Result<Pair> {
        let mut rng = Rng::named(request.seed, "pair");
        let mut costs = Rounding::new(request.tolerance, self.times());
        let wanted = self.face.length.unwrap_or_else(|| self.longest(request));
        let (limit, shortened) = self.affordable(wanted, request.longest.is_some())?;
        let mut notes = self.notes(limit, request);
        notes.extend(shortened);
        observe(0, 1, "measuring rounding");
        self.calibrate(limit, &mut rng, &mut costs, &[0, 1])
            .context("measuring how f32 rounds in these files")?;
        let mut checks = Checks::new(self);
        let mut witnesses = self.witnesses(request, &BOTH);
        let cases = self.cases(limit, &mut rng)?;
        let mut course = Course::new(&mut observe, cases.iter().map(Case::work));
        for case in &cases {
            course.begin(case.work(), &case.name());
            self.one(case, &mut costs, (&mut checks, &mut witnesses), &mut rng)
                .with_context(|| case.name())?;
        }
        let (lost, beyond) = (checks.lost(), checks.beyond());
        let mut rows = checks.rows();
        notes.extend(lost.map(str::to_owned));
        notes.extend(beyond);
        notes.extend(untold(&rows));
        let mut engines = vec![];
        for witness in witnesses {
            let heard = witness.finish(self);
            rows.extend(heard.rows);
            notes.extend(heard.notes);
            engines.push(heard.who);
        }
        notes.extend(request.engines.absent().iter().map(|(_, why)| why.clone()));
        notes.extend(self.on_edges(&rows));
        let span = self.span(limit);
        notes.push(format!(
            "{} cases{span}, seed {}",
            cases.len(),
            request.seed
        ));
        // A file against itself is told of once.
        let mut told: Vec<String> = vec![];
        notes.retain(|n| {
            !told.contains(n) && {
                told.push(n.clone());
                true
            }
        });
        rows.sort_by_key(|r| (r.holds, !r.decides));
        let decide = || rows.iter().filter(|r| r.decides);
        let holds = decide().next().is_some() && decide().all(|r| r.holds);
        let worst = decide()
            .filter(|r| !r.holds && r.by == JUDGE)
            .find_map(|r| r.worst.as_ref())
            .map(|w| (w.batch, w.time, w.large));
        let bisect = match request.bisect {
            true => bisect::pair(self, request, worst)?,
            false => bisect::Found::default(),
        };
        notes.extend(bisect.why);
        Ok(Pair {
            mode: match self.kind {
                Kind::Step => "sequence against step",
                Kind::Same => "file against file",
            },
            first: self.files[0].name(),
            second: self.files[1].name(),
            holds: holds && bisect.culprit.is_none(),
            rows,
            bisect: bisect.culprit,
            notes,
            judge: Who::judge(),
            engines,
            asked: request.engines.asked(),
        })
    }

    /// The engines to ask, with the files of these sides.
    fn witnesses(&self, request: &Request, sides: &[(usize, &str)]) -> Vec<Witness> {
        let models = self.files.each_ref().map(|f| &f.model);
        let open = |c: &mut dyn Contender, asked| Witness::open(c, self, asked, sides);
        request.engines.each(&models, open)
    }

    /// Runs that only measure rounding: a few values alone may be right by luck.
    fn calibrate(
        &self,
        limit: usize,
        rng: &mut Rng,
        costs: &mut Rounding,
        sides: &[usize],
    ) -> Result<()> {
        let time = self.face.length.unwrap_or(self.face.steps(limit.min(64)));
        for _ in 0..CALIBRATIONS {
            let case = Case::random(self, (self.face.batch.unwrap_or(BATCHES[1]), time), rng)?;
            if let Some(far) = case.enlarged(self)? {
                for side in sides {
                    // What a file refuses of such inputs is said where they are compared.
                    let _ = self.judged(*side, &far, costs);
                }
            }
            let other = self.overridden(&case, rng)?;
            for case in std::iter::once(&case).chain(&other) {
                for side in sides {
                    self.judged(*side, case, costs)?;
                }
            }
        }
        Ok(())
    }

    /// A file by the judge; what rounding costs it is remembered.
    fn judged(&self, side: usize, case: &Case, costs: &mut Rounding) -> Result<Ran> {
        let ran = self.whole(side, By::Judge, case)?;
        costs.learn(side, case, &ran);
        // What f16 and bf16 cost shows only beside a run without them.
        if self.files[side].is_short() {
            let plain = self.whole(side, By::Unrounded, case)?;
            costs.learn_from(side, case, &ran, &plain);
        }
        Ok(ran)
    }

    fn one(
        &self,
        case: &Case,
        costs: &mut Rounding,
        (checks, witnesses): (&mut Checks, &mut [Witness]),
        rng: &mut Rng,
    ) -> Result<()> {
        if case.large {
            if let Err(error) = self.far(case, costs, checks) {
                checks.refused.get_or_insert(error.root_cause().to_string());
            }
            return Ok(());
        }
        let first = self.judged(0, case, costs)?;
        let second = self.judged(1, case, costs)?;
        checks.whole.add(case, &first, &second, costs);
        checks.rounded.add(case, &first, &second, costs);
        let unit = self.face.unit();
        let free = self.is_free(case);
        let back = self
            .rewinds(case)
            .then(|| unit * (1 + rng.below(case.time / unit - 1)));
        if let Some(at) = back {
            let ran = self.rewound(By::Judge, case, at)?;
            checks.rewind.add(case, &ran, &second, costs);
        }
        if self.kind == Kind::Step && free && self.face.states.iter().all(|s| s.first.1.is_some()) {
            let at = unit * piece(case.time / unit - 1, rng);
            let ran = self.then_steps(case, at)?;
            checks.then.add(case, &ran, &second, costs);
        }
        if self.takes_pieces(case) {
            let pieces = pieces(case.time, rng);
            let ran = self.pieces(By::Judge, case, &pieces)?;
            checks.chunks.add(case, &ran, &second, costs);
        }
        // Engines take what they must be given: other values for defaults are a question to the files.
        for witness in witnesses.iter_mut().filter(|_| case.own) {
            witness.add(self, case, back, [&first, &second], costs);
        }
        Ok(())
    }

    /// A case with inputs far beyond the usual: what the files mean there.
    fn far(&self, case: &Case, costs: &mut Rounding, checks: &mut Checks) -> Result<()> {
        let first = self.judged(0, case, costs)?;
        let second = self.judged(1, case, costs)?;
        checks.large.add(case, &first, &second, costs);
        checks.large_rounded.add(case, &first, &second, costs);
        Ok(())
    }

    /// Whether a case may be cut. Rows of unequal length end where they end: pieces of them are another question.
    fn is_free(&self, case: &Case) -> bool {
        self.face.length.is_none()
            && case.lengths.is_none()
            && case.time > self.face.unit()
            && (self.face.least, self.face.grain) == (1, 1)
            && self.step_by_step()
    }

    /// Whether the first file can run a case in pieces, its states given back.
    fn takes_pieces(&self, case: &Case) -> bool {
        self.is_free(case) && self.takes_states() && self.face.frames[0].is_none()
    }

    fn longest(&self, request: &Request) -> usize {
        // Of a file that takes so many steps and no others, a few calls show it all.
        let usual = match self.face.call() {
            1 => LONGEST,
            unit => LONGEST.min(CALLS * unit),
        };
        let longest = request.longest.unwrap_or(usual).clamp(1, self.most);
        self.face.steps(longest)
    }

    /// Lengths to run, `limit` the longest.
    fn lengths(&self, limit: usize) -> Vec<usize> {
        if let Some(length) = self.face.length {
            return vec![length];
        }
        let mut all: Vec<usize> = LENGTHS.iter().map(|t| self.face.steps(*t)).collect();
        all.dedup();
        all.retain(|t| *t < limit);
        all.push(limit);
        all
    }

    /// Whether a case is one to go back in: the second file goes call by call, and the case is short.
    fn rewinds(&self, case: &Case) -> bool {
        self.face.frames[1].is_some()
            && !self.face.states.is_empty()
            && case.lengths.is_none()
            && case.time >= 2 * self.face.unit()
            && case.time <= REWOUND.max(2 * self.face.unit())
            && self.step_by_step()
    }

    fn cases(&self, limit: usize, rng: &mut Rng) -> Result<Vec<Case>> {
        let times = self.lengths(limit);
        let batches = self.face.batch;
        let batches = batches.map_or(self.face.batches.clone(), |b| vec![b]);
        let kinds = if self.takes_states() { 2 } else { 1 };
        let sizes = times.iter().flat_map(|t| batches.iter().map(|b| (*b, *t)));
        let sizes: Vec<_> = sizes.flat_map(|s| std::iter::repeat_n(s, kinds)).collect();
        self.room(&sizes)?;
        let mut cases = vec![];
        for time in times {
            for batch in &batches {
                let case = Case::random(self, (*batch, time), rng)?;
                if self.takes_states() {
                    let states = Some(self.random_states(*batch, rng)?);
                    cases.push(Case {
                        states,
                        ..Case::random(self, (*batch, time), rng)?
                    });
                }
                cases.extend(self.overridden(&case, rng)?);
                if time <= FAR.max(self.face.length.unwrap_or(0)) && Some(batch) == batches.last() {
                    cases.extend(case.enlarged(self)?);
                }
                cases.push(case);
            }
        }
        Ok(cases)
    }

    /// What hung on rounding.
    fn on_edges(&self, rows: &[Row]) -> Vec<String> {
        let counted = rows.iter().filter(|r| r.on_edge > 0 && r.by == JUDGE);
        let mut notes: Vec<String> = counted
            .map(|r| {
                format!(
                    "{}, `{}`: {} of {} values hang on a decision that rounding can tip; of them one quantum is allowed",
                    r.check, r.tensor, r.on_edge, r.values
                )
            })
            .collect();
        for file in &self.files {
            let places = file.undecided();
            if let Some(place) = places.first() {
                notes.push(format!(
                    "{}: {place}; {} such places in all, where one way was gone only",
                    file.name(),
                    places.len()
                ));
            }
        }
        notes
    }

    /// Inputs and outputs that were taken for the same because nothing else was left.
    fn other_names(&self, request: &Request) -> Vec<String> {
        let [first, second] = self.files.each_ref().map(GraphFile::name);
        let links = self.face.links.iter().map(|l| ("input", &l.names));
        let outputs = self.face.outputs.iter().map(|names| ("output", names));
        let said = |[a, b]: &[String; 2]| request.names.iter().any(|(x, y)| x == a && y == b);
        let other = links
            .chain(outputs)
            .filter(|(_, n)| n[0] != n[1] && !said(n));
        other
            .map(|(kind, [a, b])| {
                format!(
                    "{kind} `{a}` of {first} was taken for `{b}` of {second}: the names differ, and no other was left; --map {a}={b} says that it is so"
                )
            })
            .collect()
    }

    fn notes(&self, limit: usize, request: &Request) -> Vec<String> {
        let mut notes = self.face.notes.clone();
        notes.extend(self.other_names(request));
        notes.extend(self.other_beginnings());
        for state in &self.face.states {
            if state.first.0.is_none() {
                notes.push(format!(
                    "state `{}`: {} has no such input; begun with the initial value only",
                    state.second.0,
                    self.files[0].name()
                ));
            }
        }
        if let Some(given) = request.tolerance {
            notes.push(format!(
                "tolerance {given}, as given; integers are compared exactly"
            ));
        }
        if self.face.length.is_some() && self.timed() {
            notes.push(if self.said_by_dim(request) {
                format!("T = {limit} only, as --dim says")
            } else {
                format!("the files take T = {limit} only")
            });
        }
        notes
    }

    fn timed(&self) -> bool {
        self.face.links.iter().any(|l| l.time().is_some())
    }

    /// Whether the length is one that was given for a named dimension, not one of the files.
    fn said_by_dim(&self, request: &Request) -> bool {
        let of = |side: usize, link: &interface::Link| {
            let mut ports = self.files[side].inputs().iter();
            let dims = ports.find(|p| p.name == link.names[side])?.dims.as_ref()?;
            match dims.get(link.time()?)? {
                port::Dim::Symbol(name) => request.dims.get(name).copied(),
                _ => None,
            }
        };
        let mut links = self.face.links.iter();
        links.any(|link| (0..2).any(|side| of(side, link).is_some()))
    }

    /// The lengths that ran, for a note.
    fn span(&self, limit: usize) -> String {
        match self.lengths(limit).first() {
            _ if !self.timed() => String::new(),
            Some(first) if *first < limit => format!(", T = {first} to {limit}"),
            _ => format!(", T = {limit}"),
        }
    }
}

/// Lengths that catch what goes wrong at edges: few steps, around a block, and far beyond. A graph is planned anew for each
/// length, so these few serve for pieces too.
const LENGTHS: [usize; 11] = [1, 2, 3, 16, 17, 64, 256, 1024, 4096, 16_384, 65_536];

const BATCHES: [usize; 2] = [1, 3];

/// One of the lengths, `limit` at most.
fn piece(limit: usize, rng: &mut Rng) -> usize {
    let count = LENGTHS.iter().filter(|n| **n <= limit).count();
    LENGTHS[rng.below(count.max(1))]
}

/// Pieces that add up to T; the first ones are random, then as few as there can be.
fn pieces(time: usize, rng: &mut Rng) -> Vec<usize> {
    let mut all = vec![];
    let mut left = time;
    while left > 0 {
        let fits = LENGTHS.iter().rev().find(|n| **n <= left).copied();
        let next = if all.len() < 24 {
            piece(left, rng)
        } else {
            fits.unwrap_or(1)
        };
        all.push(next);
        left -= next;
    }
    all
}

/// The longest case in which a state is gone back to.
const REWOUND: usize = 64;

/// The longest case with large inputs, but of files of one length.
const FAR: usize = 17;

/// Runs that only measure rounding.
const CALIBRATIONS: usize = 8;

/// What the two files are held to each other by.
struct Checks {
    whole: Check,
    chunks: Check,
    then: Check,
    rewind: Check,
    rounded: Check,
    large: Check,
    /// Not shown: it says what else there is to know of large inputs.
    large_rounded: Check,
    /// Why large inputs were not compared.
    refused: Option<String>,
}

impl Checks {
    fn new(two: &Two) -> Self {
        let judge = Who::judge();
        let check = |name, held| Check::new(name, &judge, held, two);
        Self {
            whole: check("whole", Held::Meaning),
            chunks: check("in chunks", Held::Meaning),
            then: check("whole, then steps", Held::Meaning),
            rewind: check("back to a state", Held::Meaning),
            rounded: check("whole, rounded at each operation", Held::Rounded),
            large: check(LARGE, Held::Meaning),
            large_rounded: check("whole, inputs 100 times as large, rounded", Held::Rounded),
            refused: None,
        }
    }

    /// What is to be said of inputs far beyond the usual.
    fn beyond(&self) -> Option<String> {
        if let Some(why) = &self.refused {
            return Some(format!(
                "inputs 100 times as large were not compared: {why}"
            ));
        }
        let parted = !self.large_rounded.holds() && self.large.holds();
        let what = "with inputs 100 times as large the two mean the same, but rounded at each operation they part: one of them \
                    loses its digits there, or leaves the range of its type";
        parted.then(|| what.to_owned())
    }

    /// What it means that files differ in one reading and not in the other.
    fn lost(&self) -> Option<&'static str> {
        (!self.rounded.holds() && self.whole.holds()).then_some(
            "in float64 the two agree: they mean the same, but one of them computes it in a way that loses its digits",
        )
    }

    fn rows(self) -> Vec<Row> {
        let all = [
            self.whole,
            self.chunks,
            self.then,
            self.rewind,
            self.rounded,
            self.large,
        ];
        all.into_iter().flat_map(Check::rows).collect()
    }
}

/// What rounding costs where nothing can be told.
fn costs(check: &str) -> &'static str {
    match check == LARGE {
        true => "one of them there is as much as they differ, or more",
        false => "both files is as large as half of the values, or larger",
    }
}

/// The check with large inputs.
const LARGE: &str = "whole, inputs 100 times as large";

/// Of which tensors it cannot be told whether they agree.
fn untold(rows: &[Row]) -> Vec<String> {
    let rows = rows.iter().filter(|r| r.is_untold());
    rows.map(|r| {
        format!(
            "{}, `{}`: of {} of {} values it cannot be told whether the files agree: what rounding costs {} (tolerance {})",
            r.check, r.tensor, r.untold, r.values, costs(&r.check), number(r.tolerance)
        )
    })
    .collect()
}
