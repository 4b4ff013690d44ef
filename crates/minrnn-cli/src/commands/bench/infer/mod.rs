//! `minrnn bench infer`: minrnn-runtime, and ONNX Runtime in turn with it, on the same files and inputs.

mod case;
mod contender;
mod data;
mod machine;
mod ours;
mod overhead;
mod peer;
mod report;
mod rounds;
mod subject;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use crate::Outcome;
use crate::args::BenchInfer;
use crate::given::Given;
use crate::interrupt::Watch;
use crate::outputs::Outputs;
use crate::progress::Progress;
use crate::ui::Ui;
use case::{Case, ONE};
use contender::{Contender, MINRNN, ORT, difference};
use data::Data;
use machine::Memory;
use ours::Ours;
use peer::{Peer, PeerFile, WAYS};
use report::{Load, Report, Row};
use rounds::{Pace, Stopped, measure, pause, turns};
use subject::Subject;

/// How far outputs of two engines may be apart before anything is timed, as a part of a tensor's largest magnitude: against
/// mistakes of this program, not a proof. `minrnn verify` proves.
const TOLERANCE: f32 = 1e-3;
/// The same for narrow weights, where one rounding more or less of an activation moves a result.
const NARROW_TOLERANCE: f32 = 5e-2;

/// Outputs of two engines that differ: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{case}: minrnn-runtime and {other} do not agree, so nothing is timed: {what}")]
struct Disagreement {
    case: String,
    other: String,
    what: String,
}

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
            Ok(Outcome::Holds)
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
struct Bench<'a> {
    folder: &'a Path,
    peer: Option<Rc<RefCell<Peer>>>,
    pace: Pace,
    notes: Vec<String>,
}

fn bench(args: &BenchInfer, given: &Given, ui: &Ui) -> Result<Report> {
    if cfg!(debug_assertions) {
        ui.note("this is a build with debug assertions: figures of a release build are better");
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let peer = match &args.python {
        Some(python) => Some(Peer::start(python, folder.path())?),
        None => None,
    };
    let (subjects, cases) = subjects(args, given, folder.path(), ui)?;
    let (rounds, turn) = if args.quick { (5, 0.01) } else { (9, 0.15) };
    let mut bench = Bench {
        folder: folder.path(),
        peer: peer.map(|peer| Rc::new(RefCell::new(peer))),
        pace: Pace {
            rounds: args.rounds.unwrap_or(rounds),
            turn,
        },
        notes: vec![],
    };
    let mut memory = Memory::new(args.quick);
    let (mut rows, mut loads) = (vec![], vec![]);
    let mut progress = ui.progress("bench infer", (cases.len() * bench.pace.rounds) as u64);
    for (at, (subject, case)) in cases.into_iter().enumerate() {
        let subject = &subjects[subject];
        memory.read();
        rows.extend(bench.case(subject, case, at, &mut progress)?);
        if case == ONE {
            loads.extend(bench.loads(subject, case)?);
        }
    }
    memory.read();
    drop(progress);
    let overhead = match &bench.peer {
        Some(peer) => Some(
            peer.borrow_mut()
                .overhead(&overhead::write(bench.folder)?)?,
        ),
        None => None,
    };
    Ok(Report {
        memory,
        peer: bench.peer.as_ref().map(|p| p.borrow().versions.clone()),
        overhead,
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

/// Models, and cases each with the index of its model.
type Chosen = (Vec<Subject>, Vec<(usize, Case)>);

/// What is measured: the models of the folders, or those made here, less what `--only` leaves out.
fn subjects(args: &BenchInfer, given: &Given, folder: &Path, ui: &Ui) -> Result<Chosen> {
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|w| name.contains(w));
    let (mut subjects, mut cases, mut names) = (vec![], vec![], vec![]);
    let mut choose = |model: &str, dtype: &str, all: Vec<Case>| {
        names.extend(all.iter().map(|c| c.name(model, dtype)));
        let chosen = all.into_iter().filter(|c| wanted(&c.name(model, dtype)));
        chosen.collect::<Vec<Case>>()
    };
    for dir in &args.dirs {
        let subject = subject::open(dir)?;
        let all = subject.cases(args.quick, args.threads);
        let chosen = choose(&subject.name, &subject.dtype, all);
        cases.extend(chosen.into_iter().map(|c| (subjects.len(), c)));
        subjects.push(subject);
    }
    let made = match args.dirs.is_empty() {
        true => subject::specs(args.quick, args.threads),
        false => vec![],
    };
    let mut specs = vec![];
    for mut spec in made {
        spec.cases = choose(spec.name, spec.dtype, spec.cases);
        specs.extend((!spec.cases.is_empty()).then_some(spec));
    }
    let is_of_none = |word: &&String| !names.iter().any(|name| name.contains(*word));
    if let Some(word) = args.only.iter().find(is_of_none) {
        bail!(
            "--only {word:?} is in the name of no row; there are: {}",
            names.join("; ")
        );
    }
    let mut chosen = cases.iter().map(|(_, c)| c);
    let several = |case: &Case| case.threads > 1;
    if given.has("threads")
        && args.threads > 1
        && !chosen.any(several)
        && !specs.iter().any(|spec| spec.cases.iter().any(several))
    {
        bail!(
            "--threads would change nothing: each row that is measured is one of a single thread; leave it out, or choose others by --only"
        );
    }
    for spec in specs {
        ui.note(&format!(
            "exporting {} with weights of {}",
            spec.name, spec.dtype
        ));
        cases.extend(spec.cases.iter().map(|c| (subjects.len(), *c)));
        subjects.push(subject::export(&spec, folder, args.python.is_some())?);
    }
    Ok((subjects, cases))
}

impl Bench<'_> {
    /// Opens the files in all engines, holds their outputs against each other, and times them.
    fn case(
        &mut self,
        subject: &Subject,
        case: Case,
        at: usize,
        progress: &mut Progress,
    ) -> Result<Vec<Row>> {
        let name = case.name(&subject.name, &subject.dtype);
        let done = |round| (at * self.pace.rounds + round) as u64;
        progress.set(done(0), || name.clone());
        let files = case.files(subject);
        let own = files.iter().find(|f| f.own);
        let own = own.with_context(|| format!("{name}: no file takes it"))?;
        let data = Rc::new(Data::new(&own.info, case));
        let mut contenders: Vec<Box<dyn Contender>> = vec![];
        let ours = Ours::new(own, case, data.clone());
        contenders.push(Box::new(ours.with_context(|| name.clone())?));
        let mut bytes = vec![own.bytes];
        if let Some(peer) = &self.peer {
            let path = data.write(self.folder)?;
            let ways = if case.step { &WAYS[..] } else { &WAYS[..1] };
            for (file, way) in files.iter().flat_map(|f| ways.iter().map(move |w| (f, w))) {
                match PeerFile::open(peer, file, case, (&data, &path), way) {
                    Ok(file_there) => {
                        contenders.push(Box::new(file_there));
                        bytes.push(file.bytes);
                    }
                    Err(error) => self.notes.push(format!(
                        "{name}: ONNX Runtime does not take {} ({way}): {error:#}",
                        file.form
                    )),
                }
            }
        }
        agree(&mut contenders, &name, &subject.dtype)?;
        let times = measure(&mut contenders, self.pace, |round| {
            progress.set(done(round), || name.clone());
        })?;
        let labels = contenders.iter().map(|c| c.label());
        let timed = labels.zip(bytes).zip(times);
        let timed = timed.map(|((label, bytes), times)| (label, bytes, times));
        let rows = report::rows(subject, case, timed.collect());
        drop(contenders);
        if let Some(peer) = &self.peer {
            peer.borrow_mut().close()?;
        }
        Ok(rows)
    }

    /// From the step file to its first output, in turns.
    fn loads(&self, subject: &Subject, case: Case) -> Result<Vec<Load>> {
        let Some(file) = case.files(subject).into_iter().find(|f| f.own) else {
            return Ok(vec![]);
        };
        let data = Data::new(&file.info, case);
        let path = data.write(self.folder)?;
        let mut engines = vec![MINRNN];
        engines.extend(self.peer.as_ref().map(|_| ORT));
        let mut seconds = vec![vec![]; engines.len()];
        for round in 0..self.pace.rounds {
            for at in turns(engines.len(), round) {
                pause()?;
                seconds[at].push(match &self.peer {
                    Some(peer) if engines[at] == ORT => {
                        peer.borrow_mut().load(file, case, (&data, &path))?
                    }
                    _ => ours::load(&file.path, case.threads, &data)?,
                });
            }
        }
        let load = |(engine, seconds)| Load {
            model: subject.name.clone(),
            dtype: subject.dtype.clone(),
            engine,
            bytes: file.bytes,
            seconds,
        };
        Ok(engines.into_iter().zip(seconds).map(load).collect())
    }
}

/// Every contender's outputs and states against those of the first.
fn agree(contenders: &mut [Box<dyn Contender>], case: &str, dtype: &str) -> Result<()> {
    let tolerance = match dtype {
        "f32" => TOLERANCE,
        _ => NARROW_TOLERANCE,
    };
    let Some((first, rest)) = contenders.split_first_mut() else {
        return Ok(());
    };
    let wanted = first.outcome().with_context(|| case.to_owned())?;
    for other in rest {
        let words = other.label().words();
        let found = other
            .outcome()
            .with_context(|| format!("{case}: {words}"))?;
        if let Some(what) = difference(&wanted, &found, tolerance) {
            return Err(Disagreement {
                case: case.to_owned(),
                other: words,
                what,
            }
            .into());
        }
    }
    Ok(())
}
