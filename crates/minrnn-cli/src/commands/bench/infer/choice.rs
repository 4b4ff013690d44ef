//! What is measured: which models, in which sizes, by which engines.

use std::path::Path;

use anyhow::{Result, bail};

use super::case::{Case, Sizes};
use super::subject::{self, Subject};
use crate::args::BenchInfer;
use crate::commands::engines::refuse_unused;
use crate::given::Given;
use crate::ui::Ui;
use crate::verify::contender::{Choice, Contender, Ours, Roster};

/// The engine that always takes part: the others are held to it.
pub(super) const MINRNN: &str = "minrnn";
/// What others are compared with, where it takes part.
const USUAL: &str = "onnxruntime";

/// The engines beside ours.
pub(super) fn roster(args: &BenchInfer, given: &Given) -> Result<Roster> {
    let engines = &args.engine;
    refuse_unused(given, engines)?;
    let beside: Vec<Choice> = engines
        .iter()
        .filter(|c| **c != Choice::Named(MINRNN))
        .cloned()
        .collect();
    match beside.is_empty() {
        true => Ok(Roster::empty()),
        false => Ok(args.programs.open(&beside)?.without(MINRNN)),
    }
}

/// Every engine with its version, ours first.
pub(super) fn who(roster: &Roster) -> Vec<(String, String)> {
    let ours = (MINRNN.to_owned(), Ours.version().to_owned());
    std::iter::once(ours).chain(roster.who()).collect()
}

/// The engine that ratios are to.
pub(super) fn baseline(args: &BenchInfer, roster: &Roster) -> Result<String> {
    let names: Vec<String> = who(roster).into_iter().map(|(name, _)| name).collect();
    match &args.baseline {
        Some(name) if names.contains(name) => Ok(name.clone()),
        Some(name) => bail!(
            "--baseline {name} is not measured; there are {}; --engine {name} adds it",
            names.join(", ")
        ),
        None if names.iter().any(|n| n == USUAL) => Ok(USUAL.into()),
        None => Ok(MINRNN.into()),
    }
}

/// Models, and cases each with the index of its model.
type Chosen = (Vec<Subject>, Vec<(usize, Case)>);

/// What is measured: the models of the folders, or those made here, less what `--only` leaves out.
pub(super) fn subjects(args: &BenchInfer, given: &Given, folder: &Path, ui: &Ui) -> Result<Chosen> {
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|w| name.contains(w));
    let sizes = Sizes {
        quick: args.quick,
        threads: args.threads,
        lengths: &args.seq_len,
    };
    let (mut subjects, mut cases, mut names) = (vec![], vec![], vec![]);
    let mut choose = |model: &str, dtype: &str, all: Vec<Case>| {
        names.extend(all.iter().map(|c| c.name(model, dtype)));
        let chosen = all.into_iter().filter(|c| wanted(&c.name(model, dtype)));
        chosen.collect::<Vec<Case>>()
    };
    for dir in &args.dirs {
        let subject = subject::open(dir)?;
        let all = subject.cases(sizes)?;
        let chosen = choose(&subject.name, &subject.dtype, all);
        cases.extend(chosen.into_iter().map(|c| (subjects.len(), c)));
        subjects.push(subject);
    }
    let made = match args.dirs.is_empty() {
        true => subject::specs(sizes),
        false => vec![],
    };
    let mut specs = vec![];
    for mut spec in made {
        spec.cases = choose(spec.name, spec.dtype, spec.cases);
        specs.extend((!spec.cases.is_empty()).then_some(spec));
    }
    let all = || {
        let own = cases.iter().map(|(_, c)| *c);
        own.chain(specs.iter().flat_map(|spec| spec.cases.iter().copied()))
    };
    let is_of_none = |word: &&String| !names.iter().any(|name| name.contains(*word));
    if let Some(word) = args.only.iter().find(is_of_none) {
        bail!(
            "--only {word:?} is in the name of no row; there are: {}",
            names.join("; ")
        );
    }
    if given.has("threads") && args.threads > 1 && !all().any(|c| c.threads > 1) {
        bail!(
            "--threads would change nothing: each row that is measured is one of a single thread; leave it out, or choose others by --only"
        );
    }
    if given.has("seq_len") && all().all(|c| c.step) {
        bail!(
            "--seq-len would change nothing: each row that is measured is one of steps; leave it out, or choose others by --only"
        );
    }
    for spec in specs {
        ui.note(&format!(
            "exporting {} with weights of {}",
            spec.name, spec.dtype
        ));
        cases.extend(spec.cases.iter().map(|c| (subjects.len(), *c)));
        subjects.push(subject::export(&spec, folder, !args.engine.is_empty())?);
    }
    Ok((subjects, cases))
}
