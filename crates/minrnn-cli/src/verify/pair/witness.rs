//! Engines beside the judge: each file in each engine, held to what the judge says of the same file.

use std::cell::RefCell;

use anyhow::Error;

use super::case::{Case, Ran, Two};
use super::check::Check;
use super::file::By;
use super::interface::Kind;
use super::report::Row;
use super::rounding::{Held, Rounding};
use super::tensor::{Reading, Tensor};
use crate::verify::bisect::label;
use crate::verify::contender::{Asked, Contender, Failure, Opened};
use crate::verify::who::Who;

/// An engine that files were given to.
pub(super) struct Witness {
    who: Who,
    asked: Asked,
    sides: Vec<Side>,
}

/// One of the files in an engine.
struct Side {
    /// 0 for the first file, 1 for the second.
    side: usize,
    opened: Option<RefCell<Box<dyn Opened>>>,
    check: Check,
    /// The same in pieces, states given back.
    carried: Check,
    /// Why it does not take the file, or some case of it.
    refused: Option<String>,
    /// Why it is not asked any more.
    fault: Option<String>,
    notes: Vec<String>,
    /// The first case in which it was wrong.
    wrong: Option<Case>,
}

/// What an engine came to.
pub(crate) struct Heard {
    pub(crate) who: Who,
    pub(crate) asked: Asked,
    pub(crate) rows: Vec<Row>,
    /// What it does not run of the files, and why.
    pub(crate) refused: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Files of a pair, by the name of their rows.
pub(super) const BOTH: [(usize, &str); 2] = [(0, "first file"), (1, "second file")];

impl Witness {
    /// Gives it the files of these sides; rows are called so.
    pub(super) fn open(
        contender: &mut dyn Contender,
        two: &Two,
        asked: Asked,
        sides: &[(usize, &str)],
    ) -> Self {
        let who = Who {
            name: contender.name().to_owned(),
            version: contender.version().to_owned(),
        };
        let sides = sides.iter().map(|(side, check)| {
            let file = &two.files[*side];
            let (mut notes, mut refused) = (vec![], None);
            let opened = match contender.open(&file.path, &file.bytes, 1) {
                Ok(opened) => {
                    let changed = opened.notes().iter();
                    notes.extend(changed.map(|n| format!("{} in {}: {n}", file.name(), who.name)));
                    Some(RefCell::new(opened))
                }
                // It is for files of another kind, and nobody asked for it.
                Err(_) if asked == Asked::No && !contender.is_for(&file.model) => None,
                Err(refusal) => {
                    refused = Some(refusal.why);
                    None
                }
            };
            let held = Held::Engine(*side);
            Side {
                side: *side,
                opened,
                check: Check::new(check, &who, held, two),
                carried: Check::new(&format!("{check}, in pieces"), &who, held, two),
                refused,
                fault: None,
                notes,
                wrong: None,
            }
        });
        let sides = sides.collect();
        Self { who, asked, sides }
    }

    /// Runs a case on the files; `judged` is what the judge says of the first and the second one.
    ///
    /// `back`: where the second file goes back to an earlier state and on again.
    pub(super) fn add(
        &mut self,
        two: &Two,
        case: &Case,
        back: Option<usize>,
        judged: [&Ran; 2],
        costs: &Rounding,
    ) {
        for at in &mut self.sides {
            let (Some(opened), None) = (&at.opened, &at.fault) else {
                continue;
            };
            let judged = judged[at.side];
            let (file, known) = ((two, at.side), (costs, at.wrong.is_some()));
            match two.whole(at.side, By::Engine(opened), case) {
                Ok(ran) => {
                    if !held(&mut at.check, file, case, (&ran, judged), known) {
                        at.wrong.get_or_insert_with(|| case.clone());
                    } else if let (1, Some(step)) = (at.side, back)
                        && let Ok(again) = two.rewound(By::Engine(opened), case, step)
                        && !held(&mut at.check, file, case, (&again, judged), known)
                    {
                        at.notes.push(format!(
                            "{} gives other values of {} after it was set back to the state of step {step} ({}): it keeps something from call to call",
                            self.who.name,
                            two.files[at.side].name(),
                            case.name()
                        ));
                    }
                }
                Err(error) => at.failed(&error, case),
            }
        }
    }

    /// Runs a case in pieces, of a file that is both files.
    pub(super) fn add_pieces(
        &mut self,
        two: &Two,
        case: &Case,
        pieces: &[usize],
        judged: &Ran,
        costs: &Rounding,
    ) {
        for at in &mut self.sides {
            let (Some(opened), None, None) = (&at.opened, &at.fault, &at.refused) else {
                continue;
            };
            match two.pieces(By::Engine(opened), case, pieces) {
                Ok(ran) => {
                    let known = (costs, !at.carried.holds());
                    held(&mut at.carried, (two, at.side), case, (&ran, judged), known);
                }
                Err(error) => at.failed(&error, case),
            }
        }
    }

    /// What came of it.
    pub(super) fn finish(self, two: &Two) -> Heard {
        let mut heard = Heard {
            who: self.who,
            asked: self.asked,
            rows: vec![],
            refused: vec![],
            notes: vec![],
        };
        for at in self.sides {
            at.finish(two, &mut heard);
        }
        heard
    }
}

/// Holds a run of a file to the judge's. Where it is off, by what moves with last places too: asked as long as nothing is known to be wrong.
fn held(
    check: &mut Check,
    (two, side): (&Two, usize),
    case: &Case,
    runs: (&Ran, &Ran),
    (costs, wrong): (&Rounding, bool),
) -> bool {
    let mut plain = check.clone();
    let holds = plain.add_within(case, runs, costs, None);
    if holds || wrong {
        *check = plain;
        return holds;
    }
    let noise = two.noise(side, case).ok();
    check.add_within(case, runs, costs, noise.as_ref())
}

impl Side {
    /// The judge ran the same before, so whatever it is, it is the engine's.
    fn failed(&mut self, error: &Error, case: &Case) {
        let what = match error.downcast_ref::<Failure>() {
            // One of its refusals stands for all.
            Some(Failure::Refused(why)) => {
                let why = || format!("{why} ({})", case.name());
                self.refused.get_or_insert_with(why);
                return;
            }
            Some(failure) => failure.to_string(),
            None => format!(
                "what it gives is no run of the file: {}",
                error.root_cause()
            ),
        };
        self.fault = Some(format!("{what} ({})", case.name()));
    }

    fn finish(self, two: &Two, heard: &mut Heard) {
        let name = two.files[self.side].name();
        let engine = heard.who.name.clone();
        heard.notes.extend(self.notes);
        if let Some(why) = &self.refused {
            let note = format!("{engine} does not run {name}: {why}");
            heard.notes.push(note);
            heard.refused.push(why.clone());
        }
        if let (Some(case), Some(opened), None) = (&self.wrong, &self.opened, &self.fault) {
            let node = first_wrong(two, self.side, case, opened);
            heard.notes.push(match node {
                Some(place) => format!("{engine} computes {name} wrongly, from {place} on"),
                None => format!(
                    "{engine} computes {name} wrongly; which node it gets wrong does not show"
                ),
            });
        }
        for (tensor, count) in self.check.noisy().chain(self.carried.noisy()) {
            heard.notes.push(format!(
                "{engine}, {name}, `{tensor}`: {count} values are of the order of what rounding leaves of them: they were held to how far they \
                 move where last places before them do"
            ));
        }
        for (tensor, [count, all], place) in self.check.outside().chain(self.carried.outside()) {
            heard.notes.push(format!(
                "{engine}, {name}, `{tensor}`: of {count} of {all} values it cannot be told whether they are right, the first at {place}: the file has numbers \
                 there in float64, and leaves the range of its type where every operation is rounded, as {engine} does"
            ));
        }
        let check = self.check.name().to_owned();
        let mut rows = self.check.rows();
        rows.extend(self.carried.rows());
        let fault = self.fault;
        rows.extend(fault.map(|said| Row::without_values(&check, &heard.who, said)));
        let decides = heard.asked == Asked::ByName;
        heard
            .rows
            .extend(rows.into_iter().map(|row| Row { decides, ..row }));
    }
}

/// Steps of a step file that are searched.
const STEPS: usize = 8;

/// The first node, in the order of the file, whose value an engine gets wrong.
fn first_wrong(
    two: &Two,
    side: usize,
    case: &Case,
    opened: &RefCell<Box<dyn Opened>>,
) -> Option<String> {
    let shown;
    let shows = opened.borrow().shows_inner();
    let opened = match shows {
        true => opened,
        false => {
            shown = RefCell::new(opened.borrow_mut().inner()?);
            &shown
        }
    };
    let graph = &two.files[side].model.graph;
    let made = graph.nodes.iter().filter(|n| n.op_type != "Constant");
    let list: Vec<_> = made
        .flat_map(|n| n.outputs.iter().map(move |o| (n, o.as_str())))
        .filter(|(_, o)| !o.is_empty())
        .collect();
    let names: Vec<&str> = list.iter().map(|(_, o)| *o).collect();
    let engine = By::Engine(opened);
    let first = |judged: &[Tensor], got: &[Tensor]| {
        let far = |i: &usize| wrong(&judged[*i], &got[*i]);
        (0..names.len()).find(far).map(|i| {
            let node = list[i].0;
            format!("node `{}` ({})", label(node), node.op_type)
        })
    };
    if side == 0 || two.kind == Kind::Same {
        let judged = two.tensors(side, By::Judge, case, &names).ok()?;
        let got = two.tensors(side, engine, case, &names).ok()?;
        return first(&judged, &got);
    }
    let mut states = two.start(case).ok()?;
    let last = two.wanted(1);
    let outputs = two.face.outputs.len();
    for t in 0..case.time.min(STEPS) {
        let judged = two.step(By::Judge, case, t, &states, &names).ok()?;
        let got = two.step(engine, case, t, &states, &names).ok()?;
        if let Some(found) = first(&judged, &got) {
            return Some(found);
        }
        let next = two.step(By::Judge, case, t, &states, &last).ok()?;
        states = next[outputs..].iter().map(Tensor::settled).collect();
    }
    None
}

/// Off by more than half of f32's digits, or not comparable. Integers: not the same, where they do not hang on an edge.
fn wrong(judged: &Tensor, got: &Tensor) -> bool {
    if judged.shape() != got.shape() {
        return true;
    }
    let allowed = match judged.value.dtype().is_float() {
        true => f64::from(f32::EPSILON).sqrt() * judged.largest(),
        false => 0.0,
    };
    Tensor::apart((judged, Reading::Rounded), (got, Reading::Exact)).max_abs > allowed
}
