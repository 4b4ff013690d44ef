//! How many steps a sequence may have: the rows of the tables that a file reads by what it counts. A call that fails is held against them, so that
//! a sequence which is too long is an error of its caller's with a name, whoever ran it.

mod counts;

use std::collections::BTreeMap;

use crate::error::Error;
use crate::info::Info;
use crate::input::{Extras, Input};
use crate::proto::{GraphProto, NodeProto};

/// A table that is read by the number of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    name: String,
    /// Steps that it has rows for.
    steps: usize,
    /// Whether its rows are ones, and it is there to refuse what it has no row for.
    limit: bool,
}

/// The tables of a file, and the states that count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    tables: Vec<Table>,
    /// Their places among the states.
    counters: Vec<usize>,
}

/// What goes in: the states before, row by row, and the call.
pub(crate) struct Call<'a> {
    pub(crate) info: &'a Info,
    pub(crate) input: &'a Input<'a>,
    pub(crate) extras: &'a Extras<'a>,
}

impl Limits {
    /// Of a checked graph.
    pub(crate) fn of(graph: &GraphProto, info: &Info) -> Self {
        let states = info.states.iter().enumerate();
        let counters: Vec<usize> = states
            .filter(|(_, spec)| spec.counts)
            .map(|(at, _)| at)
            .collect();
        if counters.is_empty() {
            return Self::default();
        }
        let makers = graph.node.iter();
        let makers: BTreeMap<&str, &NodeProto> = makers
            .flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n)))
            .collect();
        let counts = |name: &str| {
            let inputs = counters.iter().map(|at| info.states[*at].input.as_str());
            reaches(&makers, name, &inputs.collect::<Vec<_>>())
        };
        let read = graph.node.iter().filter(|n| n.op_type == "Gather");
        let read = read.filter(|n| n.input.get(1).is_some_and(|at| counts(at)));
        let mut tables: Vec<Table> = read
            .filter_map(|n| table(graph, n.input.first()?))
            .collect();
        tables.sort_by(|a, b| (a.steps, &a.name).cmp(&(b.steps, &b.name)));
        tables.dedup();
        Self { tables, counters }
    }

    /// What is wrong with a call that failed, if it is too long; `value(state, row)` is what the state was before it.
    pub(crate) fn broken(
        &self,
        call: &Call<'_>,
        value: impl Fn(usize, usize) -> f32,
    ) -> Option<Error> {
        let shortest = self.tables.first()?;
        for row in 0..call.input.batch() {
            // All of them count the same steps, but for those of a state that somebody made up.
            let each = self.counters.iter().map(|at| (value(*at, row), *at));
            let (before, at) = each.min_by(|a, b| a.0.total_cmp(&b.0))?;
            if let Some(step) = call.first_beyond(row, before, shortest.steps) {
                return Some(shortest.error(&call.info.states[at].input, row, step));
            }
        }
        None
    }
}

impl Call<'_> {
    /// The number, from 0 on, of the first step of a row that is none of the first `steps`; `before`: steps that have been.
    fn first_beyond(&self, row: usize, before: f32, steps: usize) -> Option<usize> {
        let time = self.input.time();
        let end = self.extras.lengths.map_or(time, |all| all[row] as usize);
        let begins = |t: usize| self.extras.reset.is_some_and(|all| all[row * time + t]);
        // What is no count is no number of steps: the file itself refuses it.
        let mut number = (before >= 0.0).then_some(before as usize)?;
        for t in 0..end {
            if begins(t) {
                number = 0;
            }
            if number >= steps {
                return Some(number);
            }
            number += 1;
        }
        None
    }
}

impl Table {
    fn error(&self, state: &str, row: usize, step: usize) -> Error {
        let what = format!(
            "row {row} comes to step {step} of its sequence, counted from 0, and {}",
            self.words()
        );
        Error::input(
            state,
            what,
            "begin anew before it, or use a model of longer sequences",
        )
    }
}

/// Whether a value is made of one of `inputs`, through any nodes.
fn reaches(makers: &BTreeMap<&str, &NodeProto>, name: &str, inputs: &[&str]) -> bool {
    let (mut seen, mut open) = (std::collections::BTreeSet::new(), vec![name]);
    while let Some(name) = open.pop() {
        if inputs.contains(&name) {
            return true;
        }
        if let Some(maker) = makers.get(name)
            && seen.insert(maker.output.first())
        {
            open.extend(maker.input.iter().map(String::as_str));
        }
    }
    false
}

/// A table among the weights.
fn table(graph: &GraphProto, name: &str) -> Option<Table> {
    let tensor = graph.initializer.iter().find(|t| t.name == *name)?;
    let [rows, width] = tensor.dims[..] else {
        return None;
    };
    let rows = usize::try_from(rows).ok().filter(|rows| *rows > 0)?;
    let ones = || crate::engine::floats(tensor).is_some_and(|all| all.iter().all(|v| *v == 1.0));
    // Its rows are the numbers of steps, 0 too.
    let limit = width == 1 && ones();
    Some(Table {
        name: tensor.name.clone(),
        steps: rows - usize::from(limit),
        limit,
    })
}
