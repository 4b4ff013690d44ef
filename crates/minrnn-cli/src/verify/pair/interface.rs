//! What belongs to what in two files: inputs, outputs, states, and the axis of time.

mod axes;
mod calls;
mod clues;
mod flow;
mod guesses;
mod inputs;
mod left;
mod lengths;
mod missing;
mod parts;
mod propose;
mod roles;
mod rows;
mod sum;
mod sums;
#[cfg(test)]
mod tests;
mod totals;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::file::GraphFile;
use super::port::{Dim, Elem, Port};
use super::spec::{Fill, Init, Request, Role, StateSpec};
use super::tables::Aside;
use super::tensor::{Reading, Tensor};
use flow::{Flow, Meaning, flow};
pub(crate) use lengths::Length;
use lengths::Own;
pub(crate) use sum::{Sum, is_past, less};
use sums::{Growth, Unread};

/// An input that both files have.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Names in the first and the second file.
    pub(crate) names: [String; 2],
    pub(crate) elem: Elem,
    /// In the first file, time included where both lack it.
    pub(crate) roles: Vec<Role>,
    /// By file: whether it has no axis of time, but one step a call.
    pub(crate) lacks: [bool; 2],
    /// Integers are drawn from this range.
    pub(crate) range: (i64, i64),
    /// Of floats: whether whole numbers of that range are drawn.
    pub(crate) whole: bool,
    /// Of floats: the range that was said for them.
    pub(crate) floats: Option<(f64, f64)>,
    /// Integers beside those that tables have rows for, where a file may have something for them and nobody said a range.
    pub(crate) aside: Vec<Aside>,
}

impl Link {
    /// The axis of time in the first file.
    pub(crate) fn time(&self) -> Option<usize> {
        self.roles.iter().position(|r| *r == Role::Time)
    }

    /// Whether its floats are any numbers, of which other sizes may be tried.
    pub(crate) fn is_free(&self) -> bool {
        self.elem.is_float() && !self.whole && self.floats.is_none()
    }

    /// A tensor of integers, in the type of the input.
    pub(crate) fn integers(&self, shape: &[usize], values: &[i128]) -> Result<Tensor> {
        if !self.elem.is_float() {
            return Tensor::ints(self.elem, shape, values);
        }
        let values: Vec<f64> = values.iter().map(|n| *n as f64).collect();
        Tensor::floats(self.elem, shape, &values)
    }

    /// What lies within the ranges that were said for it.
    pub(crate) fn keep_meant(&self, values: &mut Vec<f64>) {
        let (low, high) = self.range;
        if self.whole || !self.elem.is_float() {
            values.iter_mut().for_each(|v| *v = v.round());
            values.retain(|v| (low as f64..=high as f64).contains(v));
        }
        if let Some((low, high)) = self.floats {
            values.retain(|v| (low..=high).contains(v));
        }
    }
}

/// A state, by its names in the first file (where it has them) and in the second.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) first: (Option<String>, Option<String>),
    pub(crate) second: (String, String),
    /// By file: which part of those tensors it is; `None`: all.
    pub(crate) parts: [Option<Part>; 2],
    pub(crate) shape: Vec<Role>,
    pub(crate) init: Init,
    pub(crate) any_value: bool,
    pub(crate) counts: bool,
}

/// A part of a tensor that holds several states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) axis: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Of one entry, and without that axis where it stands alone.
    pub(crate) alone: bool,
    /// Another axis of one entry that it has there and not where it stands alone; counted without `axis`, where that is left out.
    pub(crate) unit: Option<usize>,
}

/// An input that one value fills.
#[derive(Debug, Clone)]
pub(crate) struct Filled {
    /// 0 for the first file, 1 for the second.
    pub(crate) side: usize,
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) fill: Fill,
    /// Of lengths of rows, which length they are within.
    pub(crate) of: Ends,
}

/// What lengths of rows are within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    Time,
    /// A length that is not T.
    Length(usize),
    Fixed(usize),
    /// Nothing tells.
    Unknown,
}

impl Filled {
    /// Whether it says how many of the steps each row has.
    pub(crate) fn ends_rows(&self) -> bool {
        self.fill == Fill::Lengths && matches!(self.of, Ends::Time | Ends::Unknown)
    }
}

/// Two files side by side.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) links: Vec<Link>,
    pub(crate) states: Vec<State>,
    pub(crate) filled: Vec<Filled>,
    /// Names in the first and the second file.
    pub(crate) outputs: Vec<[String; 2]>,
    /// By file: the steps that one call takes, where it can be called again with its states; `None`: any number.
    pub(crate) frames: [Option<usize>; 2],
    /// The only batch and the only length that the files take, where there is only one.
    pub(crate) batch: Option<usize>,
    pub(crate) length: Option<usize>,
    /// The files take no fewer steps than `least`, and multiples of `grain`.
    pub(crate) least: usize,
    pub(crate) grain: usize,
    /// Lengths that are not T, by [`Role::Length`].
    pub(crate) lengths: Vec<Length>,
    /// Numbers of rows to run, where there is a choice.
    pub(crate) batches: Vec<usize>,
    pub(crate) notes: Vec<String>,
}

/// What the second file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One step of the first.
    Step,
    /// The same as the first.
    Same,
}

/// Finds what belongs together.
///
/// # Errors
/// Whatever cannot be found without guessing, with the option that says it.
pub(crate) fn interface(
    first: &GraphFile,
    second: &GraphFile,
    kind: Kind,
    request: &Request,
) -> Result<Interface> {
    let mut finder = Finder {
        files: [first, second],
        flows: [flow(&first.model), flow(&second.model)],
        known: [BTreeMap::new(), BTreeMap::new()],
        lengths: vec![],
        time_names: [BTreeSet::new(), BTreeSet::new()],
        own: [BTreeMap::new(), BTreeMap::new()],
        own_names: [BTreeMap::new(), BTreeMap::new()],
        said_names: BTreeMap::new(),
        growing: BTreeMap::new(),
        unread: vec![],
        kind,
        request,
        batch: None,
        steps: [None, None],
        fed: false,
        notes: vec![],
    };
    let specs = finder.specs()?;
    let mut states = finder.states(&specs)?;
    finder.fed = !states.is_empty();
    let (mut links, filled) = finder.inputs(&states)?;
    finder.shape_states(&mut states)?;
    let states: Vec<State> = states.into_iter().map(|(state, _)| state).collect();
    finder.by_steps(&mut links, &states);
    let outputs = finder.outputs(&states)?;
    if let (true, Some(name)) = (links.is_empty(), request.values.keys().next()) {
        bail!(
            "--value fills every input, so that nothing is left to draw: leave --value {name} out, or say a range for it by --input {name}=:float=LOW..HIGH"
        );
    }
    if links.is_empty() {
        bail!(
            "{} and {} have no input in common; name a pair with --map A=B",
            first.name(),
            second.name()
        );
    }
    if !links.iter().any(|l| l.time().is_some()) {
        if kind == Kind::Step {
            bail!(
                "no input of {} was found to have an axis of time; say which by --input NAME=B,T,..",
                first.name()
            );
        }
        finder
            .notes
            .push("no input has an axis of time: compared as they are".into());
        finder.steps = [Some(1), Some(1)];
    }
    if !links.iter().any(|l| l.roles.contains(&Role::Batch)) {
        finder
            .only_batch(1, "input")
            .context("no input has an axis of rows")?;
    }
    let batches = finder.batches(&links);
    let (frames, length) = finder.frames(&states)?;
    if kind == Kind::Same && states.is_empty() && length.is_some() {
        finder.states_note(&links);
    }
    for (side, file) in [first, second].into_iter().enumerate() {
        if let Some(n) = frames[side].filter(|n| *n > 1) {
            finder
                .notes
                .push(format!("{} takes {n} steps a call", file.name()));
        }
    }
    Ok(Interface {
        links,
        states,
        filled,
        outputs,
        frames,
        batch: finder.batch,
        length,
        least: 1,
        grain: 1,
        lengths: finder.lengths,
        batches,
        notes: finder.notes,
    })
}

struct Finder<'a> {
    files: [&'a GraphFile; 2],
    flows: [Flow; 2],
    /// What names of dimensions stand for in each file, and of which input that is known.
    known: [BTreeMap<String, (Meaning, String)>; 2],
    /// Lengths that are not T.
    lengths: Vec<Length>,
    /// What dimensions of time are called in each file.
    time_names: [BTreeSet<String>; 2],
    /// Axes that have a length which is not T: by file, of an input, by name in that file, and by name in an option.
    own: [BTreeMap<(String, usize), Own>; 2],
    own_names: [BTreeMap<String, Own>; 2],
    said_names: BTreeMap<String, Own>,
    /// By input of the second file, the states that grow; sums of lengths that are not read yet.
    growing: BTreeMap<String, Growth>,
    unread: Vec<Unread>,
    kind: Kind,
    request: &'a Request,
    batch: Option<usize>,
    /// By file: how many steps its inputs have, where that is fixed.
    steps: [Option<usize>; 2],
    /// Whether there are states, so that files can be called again and again.
    fed: bool,
    notes: Vec<String>,
}

impl Finder<'_> {
    /// The states of the second file: as given, else as a file of ours lists them.
    fn specs(&mut self) -> Result<Vec<StateSpec>> {
        if !self.request.states.is_empty() {
            return Ok(self.request.states.clone());
        }
        super::states::listed(self.files[1])
    }

    /// The name in the first file of what the second calls `name`.
    fn first_name(&self, name: &str, ports: &[Port]) -> Option<String> {
        let mapped = self
            .request
            .names
            .iter()
            .find(|(_, b)| b == name)
            .map(|(a, _)| a.as_str());
        let wanted = mapped.unwrap_or(name);
        ports
            .iter()
            .any(|p| p.name == wanted)
            .then(|| wanted.to_owned())
    }

    /// The states, each with the axis of the rows that was said for it.
    fn states(&self, specs: &[StateSpec]) -> Result<Vec<(State, Option<usize>)>> {
        let mut states = vec![];
        for spec in specs {
            let of = self.state_of(spec)?;
            states.extend(of.into_iter().map(|state| (state, spec.batch)));
        }
        Ok(states)
    }

    /// The axes of states, once those of the inputs are known.
    fn shape_states(&mut self, states: &mut [(State, Option<usize>)]) -> Result<()> {
        for (state, batch) in states.iter_mut() {
            let ports = self.files[1].inputs();
            if let Some(port) = ports.iter().find(|p| p.name == state.second.0) {
                let mut roles = self.state_axes(&port.clone(), *batch)?;
                if let Some(growth) = self.growing.get(&state.second.0)
                    && let Some(role) = roles.get_mut(growth.axis)
                {
                    *role = Role::Length(growth.length);
                }
                state.shape = Self::shape_of(state, roles);
            }
        }
        for (state, _) in states.iter() {
            self.check_initial(state)?;
            if let Init::Values(values) = &state.init {
                let row: usize = state
                    .shape
                    .iter()
                    .map(|r| match r {
                        Role::Fixed(n) => *n,
                        Role::Length(k) => self.lengths[*k].begins.unwrap_or(1),
                        _ => 1,
                    })
                    .product();
                if values.len() != row {
                    bail!(
                        "state `{}` has {} values a row, {} initial ones are given",
                        state.second.0,
                        row,
                        values.len()
                    );
                }
            }
        }
        Ok(())
    }

    /// A state begins with numbers that its type has: no half of an integer, no truth of 2, nothing beyond its largest number, and nothing
    /// that is no number.
    fn check_initial(&self, state: &State) -> Result<()> {
        let name = &state.second.0;
        let ports = self.files[1].inputs();
        let elem = ports.iter().find(|p| p.name == *name).and_then(|p| p.elem);
        let values = match &state.init {
            Init::Fill(value) => std::slice::from_ref(value),
            Init::Values(values) => values,
        };
        let takes = |v: f64| match elem {
            // The beginning of a largest value so far.
            Some(elem) if elem.is_float() && v.is_infinite() => true,
            Some(elem) if elem.is_float() => {
                let held = Tensor::floats(elem, &[1], &[v]);
                held.is_ok_and(|t| t.values(Reading::Exact)[0].is_finite())
            }
            Some(elem) => {
                v.is_finite() && v == v.trunc() && Tensor::ints(elem, &[1], &[v as i128]).is_ok()
            }
            None => !v.is_nan(),
        };
        match values.iter().find(|v| v.is_nan() || !takes(**v)) {
            Some(value) => bail!(
                "state `{name}` cannot begin with {value}{}: give another init",
                elem.map_or(String::new(), |e| format!(", it is of type {e}"))
            ),
            None => Ok(()),
        }
    }

    fn fixed(&self, dim: &Dim) -> Option<usize> {
        match dim {
            Dim::Fixed(n) => Some(*n),
            Dim::Symbol(name) => self.request.dims.get(name).copied(),
            Dim::Unknown => None,
        }
    }
}
