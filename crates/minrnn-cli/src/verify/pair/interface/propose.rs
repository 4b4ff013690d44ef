//! States that nobody named: found by recurrences, names and shapes, and proposed, never taken.

use std::collections::BTreeSet;

use super::flow::Flow;
use super::{Dim, Port};

/// What an input of a step file may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proposal {
    /// A state, and the output that gives its next value.
    State(String),
    /// Perhaps a state: more than one output has its shape.
    OneOf(Vec<String>),
    /// Nothing gives it back.
    Input,
}

/// Whether an output may be what becomes of an input.
type Fits<'a> = &'a dyn Fn(&Port, &Port) -> bool;

/// What each of `inputs` may be, given the outputs that are not spoken for.
pub(super) fn propose(inputs: &[Port], outputs: &[Port], flow: &Flow) -> Vec<Proposal> {
    let mut found: Vec<Option<Proposal>> = vec![None; inputs.len()];
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let by_flow = |i: &Port, o: &Port| flow.next.get(&i.name).is_some_and(|n| n.contains(&o.name));
    let by_stem = |i: &Port, o: &Port| stem(&i.name).is_some_and(|s| Some(s) == stem(&o.name));
    let by_end = |i: &Port, o: &Port| ends(&i.name, &o.name);
    // In this order: a sure one takes its output away from a less sure one.
    let named: [Fits; 4] = [
        &|i, o| by_flow(i, o) && (by_stem(i, o) || by_end(i, o)),
        &by_flow,
        &by_stem,
        &by_end,
    ];
    for fits in named {
        for (i, input) in inputs
            .iter()
            .enumerate()
            .filter(|(i, _)| found[*i].is_none())
            .collect::<Vec<_>>()
        {
            let free = |o: &&Port| !taken.contains(&o.name) && alike(input, o) && fits(input, o);
            let all: Vec<&Port> = outputs.iter().filter(free).collect();
            if let [one] = all.as_slice() {
                taken.insert(one.name.clone());
                found[i] = Some(Proposal::State(one.name.clone()));
            }
        }
    }
    let mut rest = vec![];
    for (i, input) in inputs.iter().enumerate() {
        let proposal = found[i].clone().unwrap_or_else(|| {
            let free = |o: &&Port| !taken.contains(&o.name) && alike(input, o);
            let all: Vec<String> = outputs
                .iter()
                .filter(free)
                .map(|o| o.name.clone())
                .collect();
            if all.is_empty() {
                Proposal::Input
            } else {
                Proposal::OneOf(all)
            }
        });
        rest.push(proposal);
    }
    rest
}

/// Whether one can be the other of the next step.
fn alike(i: &Port, o: &Port) -> bool {
    let elems = i.elem.is_none() || o.elem.is_none() || i.elem == o.elem;
    let dims = match (&i.dims, &o.dims) {
        (Some(a), Some(b)) => {
            let fits = |(a, b): (&Dim, &Dim)| match (a, b) {
                (Dim::Fixed(m), Dim::Fixed(n)) => m == n,
                _ => true,
            };
            a.len() == b.len() && a.iter().zip(b).all(fits)
        }
        _ => true,
    };
    elems && dims
}

/// Words that tell what goes in from what comes out.
const SIDES: &[&str] = &[
    "in", "out", "input", "output", "past", "present", "prev", "previous", "next", "new", "old",
    "last", "cur", "current", "init", "initial", "final", "updated", "i", "o", "n", "to", "from",
];

/// A name without what tells in from out; `None` if nothing is left.
fn stem(name: &str) -> Option<Vec<String>> {
    let name = name
        .replace("past_key_values", "past")
        .replace("past_key_value", "past");
    let mut words: Vec<String> = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let humped = before.is_lowercase() && c.is_uppercase();
        if !c.is_alphanumeric() || humped {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|w| !w.is_empty() && !SIDES.contains(&w.as_str()));
    (!words.is_empty()).then_some(words)
}

/// `h0` and `hn`, `c_0` and `c_n`, `cache` and `cache1`: the same but for how they end.
fn ends(input: &str, output: &str) -> bool {
    let bare = |name: &str, ends: &[&str]| {
        let name = name.to_lowercase();
        let cut = ends
            .iter()
            .find_map(|e| name.strip_suffix(e).filter(|n| !n.is_empty()));
        cut.unwrap_or(&name).trim_end_matches(['_', '.']).to_owned()
    };
    bare(input, &["0"]) == bare(output, &["n", "1"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, dims: &[usize]) -> Port {
        Port {
            name: name.into(),
            elem: None,
            dims: Some(dims.iter().map(|n| Dim::Fixed(*n)).collect()),
        }
    }

    #[test]
    fn states_are_found_by_the_ways_in_which_they_are_called() {
        let pairs = [
            ("h0", "hn"),
            ("c_0", "c_n"),
            ("X", "X_out"),
            ("X_in", "X_out"),
            ("past_key_values.0.key", "present.0.key"),
            ("cached_conv_0", "new_cached_conv_0"),
            ("state", "stateN"),
            ("state.0.h", "next_state.0.h"),
            ("cache", "cache_1"),
            ("prevHidden", "nextHidden"),
            ("memory", "memory_next"),
        ];
        for (input, output) in pairs {
            let outputs = [port("logits", &[3]), port(output, &[3])];
            let got = propose(&[port(input, &[3])], &outputs, &Flow::default());
            assert_eq!(got, [Proposal::State(output.into())], "{input}");
        }
    }

    #[test]
    fn what_has_no_name_and_one_shape_of_many_is_not_chosen() {
        let outputs = [port("a", &[3]), port("b", &[3]), port("c", &[4])];
        let got = propose(
            &[port("x", &[3]), port("y", &[5])],
            &outputs,
            &Flow::default(),
        );
        assert_eq!(
            got,
            [
                Proposal::OneOf(vec!["a".into(), "b".into()]),
                Proposal::Input
            ]
        );
    }
}
