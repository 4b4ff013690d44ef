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
    propose_beside(inputs, outputs, flow, &BTreeSet::new())
}

/// As `propose`, where it is known which outputs are results: these are states only if nothing else can be.
pub(super) fn propose_beside(
    inputs: &[Port],
    outputs: &[Port],
    flow: &Flow,
    results: &BTreeSet<String>,
) -> Vec<Proposal> {
    let mut found: Vec<Option<Proposal>> = vec![None; inputs.len()];
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let by_flow = |i: &Port, o: &Port| flow.next.get(&i.name).is_some_and(|n| n.contains(&o.name));
    let by_stem = |i: &Port, o: &Port| {
        !numbered(&i.name) && stem(&i.name).is_some_and(|s| Some(s) == stem(&o.name))
    };
    let by_end = |i: &Port, o: &Port| ends(&i.name, &o.name);
    // In this order: a sure one takes its output away from a less sure one.
    let by_more = |i: &Port, o: &Port| extends(&i.name, &o.name);
    let by_side = |i: &Port, o: &Port| sides(&i.name, &o.name);
    let by_name =
        |i: &Port, o: &Port| by_more(i, o) || by_stem(i, o) || by_end(i, o) || by_side(i, o);
    let named: [Fits; 6] = [
        &|i, o| by_flow(i, o) && by_name(i, o),
        &by_flow,
        &by_more,
        &by_stem,
        &by_end,
        &by_side,
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
            let is_no_result = |n: &&String| !results.contains(*n);
            let better: Vec<String> = all.iter().filter(is_no_result).cloned().collect();
            match (better.is_empty(), all.is_empty()) {
                (false, _) => Proposal::OneOf(better),
                (true, false) => Proposal::OneOf(all),
                (true, true) => Proposal::Input,
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

/// Of those, what a state is called before a step, and after it.
const BEFORE: &[&str] = &[
    "in", "input", "past", "prev", "previous", "old", "last", "init", "initial", "from", "i",
];
const AFTER: &[&str] = &[
    "out", "output", "present", "next", "new", "cur", "current", "final", "updated", "to", "o", "n",
];

/// `last` and `last_out`, `prev` and `new_prev`: the same with a word for what comes out.
fn extends(input: &str, output: &str) -> bool {
    let (input, mut output) = (words(input), words(output));
    let more = output.len();
    while let Some(last) = output.last().filter(|_| output.len() > input.len()) {
        if !AFTER.contains(&last.as_str()) {
            break;
        }
        output.pop();
    }
    while output.len() > input.len() && AFTER.contains(&output[0].as_str()) {
        output.remove(0);
    }
    !input.is_empty() && more > input.len() && input == output
}

/// `prev` and `cur`: nothing but words for what goes in and what comes out.
fn sides(input: &str, output: &str) -> bool {
    let all = |name: &str, list: &[&str]| {
        let words = words(name);
        !words.is_empty() && words.iter().all(|w| list.contains(&w.as_str()))
    };
    all(input, BEFORE) && all(output, AFTER)
}

/// `input_1`: the first input by its place among all, which says nothing of what gives it back.
fn numbered(name: &str) -> bool {
    let words = words(name);
    let number = |w: &String| w.chars().all(|c| c.is_ascii_digit());
    let plain = |w: &String| ["in", "input", "inputs"].contains(&w.as_str());
    words.iter().any(number) && words.iter().all(|w| number(w) || plain(w))
}

/// A name without what tells in from out; `None` if nothing is left.
fn stem(name: &str) -> Option<Vec<String>> {
    let mut words = words(name);
    words.retain(|w| !SIDES.contains(&w.as_str()));
    (!words.is_empty()).then_some(words)
}

/// The words of a name.
fn words(name: &str) -> Vec<String> {
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
    words.retain(|w| !w.is_empty());
    words
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
            ("last", "last_out"),
            ("prev", "cur"),
            ("prev", "new_prev"),
            ("past", "next_past"),
        ];
        for (input, output) in pairs {
            let outputs = [port("logits", &[3]), port(output, &[3])];
            let got = propose(&[port(input, &[3])], &outputs, &Flow::default());
            assert_eq!(got, [Proposal::State(output.into())], "{input}");
        }
    }

    /// A result has the shape of a state, too: it is proposed only where nothing else can be meant.
    #[test]
    fn a_result_is_no_state_beside_what_may_be_one() {
        let results = BTreeSet::from(["y".to_owned()]);
        let propose = |outputs: &[Port]| {
            propose_beside(&[port("s", &[3])], outputs, &Flow::default(), &results)
        };
        let (y, a, b) = (port("y", &[3]), port("a", &[3]), port("b", &[3]));
        let one_of =
            |names: &[&str]| [Proposal::OneOf(names.iter().map(|n| (*n).into()).collect())];
        assert_eq!(propose(&[y.clone(), a.clone()]), one_of(&["a"]));
        assert_eq!(propose(&[y.clone(), a, b]), one_of(&["a", "b"]));
        assert_eq!(propose(&[y]), one_of(&["y"]));
    }

    /// What exporters call inputs and outputs by their places says nothing of which are one state.
    #[test]
    fn places_are_no_names() {
        let outputs = ["output_0", "output_1", "output_2"].map(|n| port(n, &[3]));
        let got = propose(&[port("input_1", &[3])], &outputs, &Flow::default());
        assert!(
            matches!(&got[..], [Proposal::OneOf(all)] if all.len() == 3),
            "{got:?}"
        );
        let past = propose(
            &[port("past.0", &[3])],
            &[port("present.0", &[3])],
            &Flow::default(),
        );
        assert_eq!(past, [Proposal::State("present.0".into())]);
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
