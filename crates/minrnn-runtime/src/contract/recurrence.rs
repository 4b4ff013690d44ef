//! Holds the recurrences of the metadata against the graph. The engine puts an operation of its own in the place of each,
//! so a wrong name would make another model of the file, or a cycle.

use std::collections::BTreeSet;

use crate::proto::GraphProto;

use crate::error::Breach;
use crate::info::Recurrence;
use crate::metadata::{Metadata, short};
use crate::names::ByName;

pub(super) const PLACE: &str = "metadata `minrnn.recurrences`";

/// Of up to 64 recurrences, those that a tensor depends on: on their `a`, their `b`, their `h0`, their `h`.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    a: u64,
    b: u64,
    h0: u64,
    h: u64,
    /// On an input of the graph by a path around their `a`, `b` and `h0`.
    around: u64,
    /// Whether it depends on a state input.
    state: bool,
}

impl Reach {
    /// Of a tensor's own marks: the recurrences that it is a part of.
    fn parts(&self) -> u64 {
        self.a | self.b | self.h0
    }

    fn add(&mut self, other: Self) {
        self.a |= other.a;
        self.b |= other.b;
        self.h0 |= other.h0;
        self.h |= other.h;
        self.around |= other.around;
        self.state |= other.state;
    }
}

/// # Errors
/// A name that the graph does not have; an `h` that another recurrence has too, that does not depend on `a`, `b` and `h0`,
/// that depends on an input in another way as well, or that one of them depends on; an `h_last` that comes from elsewhere; an `h0` that no state reaches.
pub(super) fn check(graph: &GraphProto, meta: &Metadata) -> Result<(), Breach> {
    names(graph, &meta.recurrences)?;
    for (from, some) in meta.recurrences.chunks(64).enumerate() {
        dependencies(graph, meta, from * 64, some)?;
    }
    Ok(())
}

fn breach(at: usize, what: String) -> Breach {
    Breach::new(PLACE, format!("{at}.{what}"))
}

fn names(graph: &GraphProto, all: &[Recurrence]) -> Result<(), Breach> {
    let mut names: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    names.extend(graph.input.iter().map(|i| i.name.as_str()));
    let outputs = graph.node.iter().flat_map(|n| n.output.iter());
    names.extend(outputs.map(String::as_str));
    let mut made = ByName::default();
    for (at, r) in all.iter().enumerate() {
        let made_of = r.parts();
        for (key, name) in made_of.chain([("h", &r.h), ("h_last", &r.h_last)]) {
            if name.is_empty() || !names.contains(name.as_str()) {
                let what = format!("{key} is `{}`, no tensor of the graph", short(name));
                return Err(breach(at, what));
            }
        }
        // In a step both are one tensor.
        for (key, name) in [("h", &r.h), ("h_last", &r.h_last)] {
            if let Some(other) = made.insert(name.as_str(), at).filter(|o| *o != at) {
                let what = format!("{key} `{}` is a result of {other} as well", short(name));
                return Err(breach(at, what));
            }
        }
    }
    Ok(())
}

/// `some` are at most 64, the first of which is number `from`.
fn dependencies(
    graph: &GraphProto,
    meta: &Metadata,
    from: usize,
    some: &[Recurrence],
) -> Result<(), Breach> {
    let reach = reaches(graph, meta, some);
    let of = |name: &str| reach.get(name).copied().unwrap_or_default();
    for (i, r) in some.iter().enumerate() {
        let (at, bit) = (from + i, 1u64 << i);
        let h = of(&r.h);
        for (key, name) in r.parts() {
            let found = match key {
                "a" => h.a,
                "b" => h.b,
                _ => h.h0,
            };
            if name == &r.h || of(name).h & bit != 0 {
                let what = format!("{key} `{}` depends on h `{}`", short(name), short(&r.h));
                return Err(breach(at, format!("{what}: a cycle")));
            }
            if found & bit == 0 {
                let what = format!(
                    "h `{}` does not depend on {key} `{}`",
                    short(&r.h),
                    short(name)
                );
                return Err(breach(at, what));
            }
        }
        if !of(&r.h0).state {
            let what = format!("h0 `{}` depends on no state input", short(&r.h0));
            return Err(breach(at, what));
        }
        if of(&r.h_last).h & bit == 0 && !siblings(graph, &r.h, &r.h_last) {
            let what = format!(
                "h_last `{}` comes neither from h `{}` nor with it",
                short(&r.h_last),
                short(&r.h)
            );
            return Err(breach(at, what));
        }
        if h.around & bit != 0 {
            let what = format!("h `{}` depends on more than a, b and h0", short(&r.h));
            return Err(breach(at, what));
        }
    }
    Ok(())
}

/// Whether one node makes both, as a Scan does.
fn siblings(graph: &GraphProto, a: &str, b: &str) -> bool {
    let has = |outputs: &[String], name: &str| outputs.iter().any(|o| o == name);
    graph
        .node
        .iter()
        .any(|n| has(&n.output, a) && has(&n.output, b))
}

/// One pass: the nodes of a checked graph stand in an order in which each comes after what it reads.
fn reaches<'a>(
    graph: &'a GraphProto,
    meta: &'a Metadata,
    some: &'a [Recurrence],
) -> ByName<&'a str, Reach> {
    let mut marks: ByName<&str, Reach> = ByName::default();
    for (i, r) in some.iter().enumerate() {
        if let Some(a) = &r.a {
            marks.entry(a).or_default().a |= 1 << i;
        }
        marks.entry(&r.b).or_default().b |= 1 << i;
        marks.entry(&r.h0).or_default().h0 |= 1 << i;
        marks.entry(&r.h).or_default().h |= 1 << i;
    }
    for state in &meta.states {
        marks.entry(&state.input).or_default().state = true;
    }
    let all = u64::MAX >> (64 - some.len().clamp(1, 64));
    for input in &graph.input {
        marks.entry(&input.name).or_default().around = all;
    }
    let mut reach = marks.clone();
    reach.values_mut().for_each(|r| r.around &= !r.parts());
    for node in &graph.node {
        let mut all = Reach::default();
        for input in &node.input {
            all.add(reach.get(input.as_str()).copied().unwrap_or_default());
        }
        if node.op_type == "Shape" {
            all.around = 0;
        }
        for output in &node.output {
            let mut own = marks.get(output.as_str()).copied().unwrap_or_default();
            let here = own.parts();
            own.add(all);
            own.around &= !here;
            reach.insert(output, own);
        }
    }
    reach
}
