//! Engines beside the judge: each file in each engine, held to what the judge says of the same file.

use std::cell::RefCell;

use super::case::{Case, Ran, Two};
use super::check::Check;
use super::file::By;
use super::interface::Kind;
use super::report::{Row, Who};
use super::rounding::{Held, Rounding};
use super::tensor::{Reading, Tensor};
use crate::verify::contender::{Contender, Failure, Opened};

/// An engine that both files were given to.
pub(super) struct Witness {
    who: Who,
    asked: bool,
    sides: [Side; 2],
}

/// One of the files in an engine.
struct Side {
    opened: Option<RefCell<Box<dyn Opened>>>,
    check: Check,
    notes: Vec<String>,
    /// The first case in which it was wrong.
    wrong: Option<Case>,
}

const SIDES: [&str; 2] = ["first file", "second file"];

impl Witness {
    /// Gives it both files. `asked`: somebody named this engine, so that what it does counts.
    pub(super) fn open(contender: &mut dyn Contender, two: &Two, asked: bool) -> Self {
        let who = Who {
            name: contender.name().to_owned(),
            version: contender.version().to_owned(),
        };
        let sides = [0, 1].map(|side| {
            let file = &two.files[side];
            let mut notes = vec![];
            let opened = match contender.open(&file.path, &file.bytes) {
                Ok(opened) => {
                    let changed = opened.notes().iter();
                    notes.extend(changed.map(|n| format!("{} in {}: {n}", file.name(), who.name)));
                    Some(RefCell::new(opened))
                }
                // It is for files of another kind, and nobody asked for it.
                Err(_) if !asked && !contender.is_for(&file.model) => None,
                Err(refusal) => {
                    notes.push(format!(
                        "{} does not run {}: {refusal}",
                        who.name,
                        file.name()
                    ));
                    None
                }
            };
            Side {
                opened,
                check: Check::new(SIDES[side], &who.name, Held::Engine(side), two),
                notes,
                wrong: None,
            }
        });
        Self { who, asked, sides }
    }

    /// Runs a case on both files; `judged` is what the judge says of them.
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
        for (side, (at, judged)) in self.sides.iter_mut().zip(judged).enumerate() {
            let Some(opened) = &at.opened else {
                continue;
            };
            let ran = match side {
                0 => two.whole(0, By::Engine(opened), case),
                _ => two.second(By::Engine(opened), case),
            };
            match ran {
                Ok(ran) => {
                    if !at.check.add(case, &ran, judged, costs) {
                        at.wrong.get_or_insert_with(|| case.clone());
                    } else if let (1, Some(step)) = (side, back)
                        && let Ok(again) = two.rewound(By::Engine(opened), case, step)
                        && !at.check.add(case, &again, judged, costs)
                    {
                        at.notes.push(format!(
                            "{} gives other values of {} after it was set back to the state of step {step} ({}): it keeps something from call to call",
                            self.who.name,
                            two.files[side].name(),
                            case.name()
                        ));
                    }
                }
                Err(error) => {
                    // The judge ran the same before, so whatever it is, it is the engine's.
                    let failure = error.downcast_ref::<Failure>();
                    let failure =
                        failure.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
                    let name = two.files[side].name();
                    let words = "does not run";
                    let note = format!(
                        "{} {words} {name}: {failure} ({})",
                        self.who.name,
                        case.name()
                    );
                    // One of its refusals stands for all.
                    if !at.notes.iter().any(|n| n.contains(words)) {
                        at.notes.push(note);
                    }
                }
            }
        }
    }

    /// Its rows, its notes, itself.
    pub(super) fn finish(self, two: &Two) -> (Vec<Row>, Vec<String>, Who) {
        let (mut rows, mut notes) = (vec![], vec![]);
        for (side, at) in self.sides.into_iter().enumerate() {
            let name = two.files[side].name();
            notes.extend(at.notes);
            if let (Some(case), Some(opened)) = (&at.wrong, &at.opened) {
                notes.push(match first_wrong(two, side, case, opened) {
                    Some(place) => {
                        format!("{} computes {name} wrongly, from {place} on", self.who.name)
                    }
                    None => format!(
                        "{} computes {name} wrongly; which node it gets wrong does not show",
                        self.who.name
                    ),
                });
            }
            let all = at.check.rows().into_iter().map(|row| Row {
                decides: self.asked,
                ..row
            });
            rows.extend(all);
        }
        (rows, notes, self.who)
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
    if !opened.borrow().shows_inner() {
        return None;
    }
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
            format!("node `{}` ({})", node.name, node.op_type)
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
    let edges: Vec<usize> = judged.value.edges().iter().map(|e| e.position).collect();
    let allowed = match judged.value.dtype().is_float() {
        true => f64::from(f32::EPSILON).sqrt() * judged.largest(),
        false => 0.0,
    };
    let (a, b) = (judged.values(Reading::Rounded), got.values(Reading::Exact));
    let same = |x: f64, y: f64| x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= allowed;
    let mut pairs = a.iter().zip(&b).enumerate();
    pairs.any(|(i, (x, y))| !same(*x, *y) && !edges.contains(&i))
}
