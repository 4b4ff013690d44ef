//! `minrnn bench infer`: minrnn-runtime, and other engines in turn with it, on the same files and inputs.

mod call;
mod case;
mod choice;
mod entry;
mod judge;
mod load;
pub(super) mod machine;
mod overhead;
mod report;
mod rounds;
mod subject;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};

use crate::Outcome;
use crate::args::BenchInfer;
use crate::given::Given;
use crate::interrupt::Watch;
use crate::outputs::Outputs;
use crate::progress::Progress;
use crate::ui::Ui;
use crate::verify::contender::{Contender, Io, Ours, Roster};
use call::Call;
use case::{Case, ONE};
use choice::{MINRNN, subjects};
use entry::{Entry, Held, Label, Truth, difference};
use machine::Memory;
use report::{Report, Row};
use rounds::{Pace, Stopped, measure};
use subject::{File, Subject};

/// How far results of two engines may be apart, as a part of a tensor's largest magnitude: against engines that compute
/// something else, not a proof. `minrnn verify` proves.
const TOLERANCE: f64 = 1e-3;
/// The same for narrow weights, where one rounding more or less of an activation moves a result.
const NARROW_TOLERANCE: f64 = 5e-2;

/// Our engine, to which the others are held, is off: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("minrnn and the judge do not agree, so nothing is timed: {0}")]
struct Disagreement(String);

pub(super) fn run(args: &BenchInfer, given: &Given, ui: &Ui) -> Result<Outcome> {
    let folders = args.dirs.iter().fold(Outputs::new(), |all, dir| {
        all.reads_folder("EXPORT_DIR", Some(dir))
    });
    folders.writes("--json", args.json.as_deref()).check()?;
    let tell = Progress::hidden().teller();
    let _watch = Watch::new(move |signal| {
        tell(&format!(
            "{signal}: stops when this turn is done; once more ends at once"
        ));
    });
    match bench(args, given, ui) {
        Ok(report) => {
            // The table first: a file that cannot be written loses no figures.
            ui.print(&report.text())?;
            if let Some(path) = &args.json {
                let text = serde_json::to_string_pretty(&report.json())? + "\n";
                crate::files::write(path, text.as_bytes())?;
            }
            if report.is_wrong() {
                return Ok(Outcome::Fails);
            }
            match report.silent().first() {
                Some(name) => bail!("{name} was asked for and timed nothing; the remarks say why"),
                None => Ok(Outcome::Holds),
            }
        }
        Err(error) if error.is::<Stopped>() => Ok(Outcome::Interrupted),
        Err(error) if error.is::<Disagreement>() => {
            ui.error(&crate::errors::text(&error));
            Ok(Outcome::Fails)
        }
        Err(error) => Err(error),
    }
}

/// What is the same for all cases.
struct Bench {
    roster: Roster,
    baseline: String,
    pace: Pace,
    notes: Vec<String>,
}

fn bench(args: &BenchInfer, given: &Given, ui: &Ui) -> Result<Report> {
    if cfg!(debug_assertions) {
        ui.note("this is a build with debug assertions: figures of a release build are better");
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let roster = choice::roster(args, given)?;
    let baseline = choice::baseline(args, &roster)?;
    let (subjects, cases) = subjects(args, given, folder.path(), ui)?;
    let (rounds, turn) = if args.quick { (5, 0.01) } else { (9, 0.15) };
    let mut bench = Bench {
        notes: roster.absent().iter().map(|(_, why)| why.clone()).collect(),
        roster,
        baseline,
        pace: Pace {
            rounds: args.rounds.unwrap_or(rounds),
            turn,
        },
    };
    let mut memory = Memory::new(args.quick);
    let (mut rows, mut loads) = (vec![], vec![]);
    let mut progress = ui.progress("bench infer", (cases.len() * bench.pace.rounds) as u64);
    for (at, (subject, case)) in cases.into_iter().enumerate() {
        let subject = &subjects[subject];
        memory.read();
        rows.extend(bench.case(subject, case, at, &mut progress)?);
        if case == ONE {
            loads.extend(load::loads(
                &bench.roster,
                subject,
                case,
                bench.pace.rounds,
            )?);
        }
    }
    memory.read();
    drop(progress);
    Ok(Report {
        memory,
        overheads: overhead::measure(&bench.roster, folder.path())?,
        engines: choice::who(&bench.roster),
        asked: bench.roster.asked(),
        baseline: bench.baseline,
        rounds: bench.pace.rounds,
        quick: args.quick,
        models: subjects
            .into_iter()
            .map(|s| (s.name, s.dtype, s.parameters))
            .collect(),
        rows,
        loads,
        notes: bench.notes,
    })
}

impl Bench {
    /// Opens the files in all engines, and times them; results of all that is timed are held to our engine's, which is held to
    /// the judge's.
    fn case(
        &mut self,
        subject: &Subject,
        case: Case,
        at: usize,
        progress: &mut Progress,
    ) -> Result<Vec<Row>> {
        let name = case.name(&subject.name, &subject.dtype);
        let rounds = self.pace.rounds;
        let mut observe = |round| progress.set((at * rounds + round) as u64, || name.clone());
        observe(0);
        let (mut entries, bytes) = self.entries(subject, case, &name)?;
        let times = measure(&mut entries, self.pace, observe).with_context(|| name.clone())?;
        let labels = entries.into_iter().map(|e| e.label);
        let timed = labels.zip(bytes).zip(times);
        let timed = timed.map(|((label, bytes), times)| (label, bytes, times));
        let rows = report::rows(subject, case, &self.baseline, timed.collect());
        self.notes.extend(rows.iter().filter_map(Row::note));
        Ok(rows)
    }

    /// What takes part in a case, each with the bytes of its file.
    fn entries(
        &mut self,
        subject: &Subject,
        case: Case,
        name: &str,
    ) -> Result<(Vec<Entry>, Vec<u64>)> {
        let files = subject.fitting(case);
        let own = files.iter().find(|f| f.own);
        let own = own.with_context(|| format!("{name}: no file takes it"))?;
        let tolerance = match subject.dtype.as_str() {
            "f32" => TOLERANCE,
            _ => NARROW_TOLERANCE,
        };
        let call = Rc::new(Call::new(&own.info, case)?);
        let ours = held(&mut Ours, own, case).map_err(|why| anyhow!("{name}: {why}"))?;
        let judged = self.hold((own, case), &call, &ours, tolerance);
        judged.with_context(|| name.to_owned())?;
        let truth = Rc::new(Truth::new(ours.clone(), call, Io::Bound, tolerance));
        let (mut entries, mut bytes) = (vec![], vec![]);
        for (engine, file, opened) in self.opened((own, ours), &files, (case, name)) {
            let call = Rc::new(Call::new(&file.info, case)?);
            for io in ways(case, &opened) {
                bytes.push(file.bytes);
                entries.push(Entry {
                    label: Label {
                        engine: engine.clone(),
                        form: file.form.clone(),
                        io,
                    },
                    opened: opened.clone(),
                    call: call.clone(),
                    truth: truth.clone(),
                });
            }
        }
        Ok((entries, bytes))
    }

    /// Every file in every engine; ours has its own file alone. What an engine does not take is a note.
    fn opened<'f>(
        &mut self,
        (own, ours): (&'f File, Held),
        files: &[&'f File],
        (case, name): (Case, &str),
    ) -> Vec<(String, &'f File, Held)> {
        let mut all = vec![(MINRNN.to_owned(), own, ours)];
        let notes = &mut self.notes;
        self.roster.every(|engine, _| {
            for file in files {
                let who = engine.name().to_owned();
                match held(engine, file, case) {
                    Ok(opened) if opened.borrow().ways().is_empty() => {
                        notes.push(format!("{name}: {who} does not time its calls"));
                    }
                    Ok(opened) => all.push((who, *file, opened)),
                    Err(why) => {
                        notes.push(format!("{name}: {who} does not take {}: {why}", file.form));
                    }
                }
            }
        });
        all
    }

    /// Our engine to the judge, in the calls that the judge has time for.
    fn hold(
        &mut self,
        (file, case): (&File, Case),
        call: &Call,
        opened: &Held,
        tolerance: f64,
    ) -> Result<()> {
        let calls = if case.step { STEPS } else { 1 };
        let Some(want) = judge::judged(&file.path, call, calls)? else {
            self.notes.push(format!(
                "T = {}, B = {}: too much for the judge; the others are held to minrnn, and minrnn to the judge in smaller rows alone",
                case.seq_len, case.batch
            ));
            return Ok(());
        };
        let got = entry::lap(opened, call, Io::Bound, calls)?.last;
        match difference(&call.wanted, &got, &want, tolerance) {
            None => Ok(()),
            Some(what) => Err(Disagreement(what).into()),
        }
    }
}

/// Steps in which our engine is held to the judge.
const STEPS: usize = 4;

/// A file in an engine, or why it does not take it.
fn held(engine: &mut dyn Contender, file: &File, case: Case) -> Result<Held, String> {
    let bytes = read(&file.path).map_err(|e| format!("{e:#}"))?;
    let opened = engine.open(&file.path, &bytes, case.threads);
    Ok(Rc::new(RefCell::new(opened.map_err(|e| e.why)?)))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// All ways to call a step; of a sequence, in which the call counts for little, the one with the fewest copies.
fn ways(case: Case, opened: &Held) -> Vec<Io> {
    let ways = opened.borrow().ways();
    match case.step {
        true => ways,
        false => ways.into_iter().max().into_iter().collect(),
    }
}
