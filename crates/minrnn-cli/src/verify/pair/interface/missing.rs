//! States that nobody named, as the options that name them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::axes::quoted;
use super::clues::Time;
use super::lengths::Own;
use super::propose::{Proposal, propose, propose_beside};
use super::{Dim, Finder, Link, Port, State};

impl Finder<'_> {
    /// States of the step file that nobody named: an input that every step would get the same of, and an output that gives it
    /// back.
    pub(super) fn missing_states(
        &self,
        pairs: &[(Port, Port)],
        rest: [&[Port]; 2],
        states: &[&State],
    ) -> Result<()> {
        let said = |y: &Port| self.request.names.iter().any(|(_, b)| *b == y.name);
        let long = self.has_time(pairs);
        // One entry that the step file lacks: of an input beside others that have time, or of one that is given back.
        let lone = |(x, y): &(Port, Port)| {
            let at = self.guessed(x, y);
            at.filter(|axis| long || self.entries(x, *axis) == Some(1))
        };
        let same = |pair: &&(Port, Port)| {
            let (x, y) = pair;
            let nowhere = matches!(self.time_axis(x, y, false), Ok(Time::Nowhere));
            !said(y) && (nowhere || lone(pair).is_some())
        };
        let perhaps = |y: &Port| {
            pairs
                .iter()
                .any(|p| p.1.name == y.name && lone(p).is_some())
        };
        let still = pairs.iter().filter(same).map(|(_, y)| y);
        let suspects: Vec<Port> = still.chain(rest[1]).cloned().collect();
        let given: BTreeSet<&str> = states.iter().map(|s| s.second.1.as_str()).collect();
        let outputs = self.files[1].outputs().iter();
        let outputs: Vec<Port> = outputs
            .filter(|o| !given.contains(o.name.as_str()))
            .cloned()
            .collect();
        let results = self.results();
        let proposals = propose_beside(&suspects, &outputs, &self.flows[1], &results);
        let proposals = suspects.iter().zip(proposals);
        let proposals = proposals.map(|(port, p)| self.of_length(port, p, &outputs));
        let proposals: Vec<Proposal> = proposals.collect();
        let by_result = |p: &Proposal| matches!(p, Proposal::OneOf(all) if all.iter().all(|o| results.contains(o)));
        let others = !states.is_empty()
            || proposals
                .iter()
                .any(|p| *p != Proposal::Input && !by_result(p));
        let mut choices = vec![];
        let mut constants = vec![];
        let mut one_output: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut found: Vec<(Port, String)> = vec![];
        let mut lines = vec![];
        let mut words = vec![];
        let mut inputs = vec![];
        for (port, proposal) in suspects.iter().zip(proposals) {
            let name = &port.name;
            let twin = pairs.iter().find(|(_, y)| y.name == *name);
            let map = twin.map(|(x, _)| format!("--map {}", quoted(&format!("{}={name}", x.name))));
            // The sequence file has it too, and beside states only what it gives for every step could give it back.
            if let (Some(map), true, true) = (&map, others, by_result(&proposal)) {
                constants.push((name.clone(), map.clone()));
                continue;
            }
            match proposal {
                Proposal::Input => continue,
                Proposal::OneOf(_) if !long && perhaps(port) => continue,
                Proposal::State(output) => {
                    words.push(format!("`{name}`, which `{output}` gives back"));
                    found.push((port.clone(), output));
                }
                Proposal::OneOf(outputs) => {
                    let list = outputs.join("` or `");
                    words.push(format!("`{name}`, which `{list}` may give back"));
                    let line = |o: &String| format!("--state {}", quoted(&format!("{name}={o}")));
                    match outputs.as_slice() {
                        [one] => one_output.entry(one.clone()).or_default().push(line(one)),
                        _ => {
                            let all: Vec<String> = outputs.iter().map(line).collect();
                            choices.push(format!("one of {}", all.join(" or ")));
                        }
                    }
                }
            }
            inputs.extend(map);
        }
        // One output is the next value of one input alone.
        for all in one_output.into_values() {
            match all.as_slice() {
                [_] => lines.extend(all),
                _ => choices.push(format!("one of {}", all.join(" or "))),
            }
        }
        lines.splice(0..0, self.state_lines(pairs, rest[0], &found));
        lines.extend(suspects.iter().filter_map(|port| {
            let (_, output) = found.iter().find(|(p, _)| p.name == port.name)?;
            self.growing(port, output)
        }));
        let mut same_at_every_step = String::new();
        for (name, map) in constants {
            words.push(format!("`{name}`, which nothing but a result gives back"));
            same_at_every_step.push_str(&format!(
                "; {map} says that `{name}` is the same at every step"
            ));
            lines.push(map);
        }
        if lines.is_empty() && choices.is_empty() {
            return Ok(());
        }
        let mut say = lines.join(" ");
        for choice in choices {
            let and = if say.is_empty() { "" } else { ", and " };
            say = format!("{say}{and}{choice}");
        }
        let no_state = if inputs.is_empty() {
            String::new()
        } else {
            format!(
                "; what is no state but the same at every step is named by {}",
                inputs.join(" ")
            )
        };
        bail!(
            "{} has what looks like states, and none of them was named: {}\nadd {say}{no_state}{same_at_every_step}",
            self.files[1].name(),
            words.join(", "),
        )
    }

    /// What has a length of its own is given back by nothing of a fixed size, and nothing that is as long as the sequence.
    fn of_length(&self, port: &Port, proposal: Proposal, outputs: &[Port]) -> Proposal {
        let fits = |name: &String| {
            let output = outputs.iter().find(|o| o.name == *name);
            let dims = output.and_then(|o| o.dims.as_ref()).into_iter().flatten();
            !dims.enumerate().any(|(axis, dim)| {
                let time = |d: &Dim| matches!(d, Dim::Symbol(s) if self.time_names[1].contains(s));
                matches!(self.own_at(1, port, axis), Some(Own::Length(_)))
                    && (self.fixed(dim).is_some() || time(dim))
            })
        };
        match proposal {
            Proposal::State(output) if fits(&output) => Proposal::State(output),
            Proposal::OneOf(all) => match all.into_iter().filter(fits).collect::<Vec<_>>() {
                none if none.is_empty() => Proposal::Input,
                some => Proposal::OneOf(some),
            },
            _ => Proposal::Input,
        }
    }

    /// Outputs of the step file that the sequence file gives for every step: results before they are states.
    fn results(&self) -> BTreeSet<String> {
        let whole = self.files[0].outputs();
        let is = |o: &&Port| {
            let name = self.first_name(&o.name, whole);
            let twin = whole.iter().find(|p| Some(&p.name) == name.as_ref());
            let dims = twin.and_then(|p| p.dims.as_ref()).zip(o.dims.as_ref());
            // Along time the step has one entry, or lacks the axis.
            let differs = |(a, b): (&Dim, &Dim)| match (self.fixed(a), self.fixed(b)) {
                (Some(m), Some(n)) => m != n,
                (None, Some(_)) => true,
                _ => false,
            };
            dims.is_some_and(|(a, b)| a.len() != b.len() || a.iter().zip(b).any(differs))
        };
        let found = self.files[1].outputs().iter().filter(is);
        found.map(|o| o.name.clone()).collect()
    }

    /// The option for a state that grows by what each step adds: it is empty before the first one.
    fn growing(&self, port: &Port, output: &str) -> Option<String> {
        let dims = port.dims.as_ref()?;
        let mut outputs = self.files[1].outputs().iter();
        let after = outputs.find(|o| o.name == output)?.dims.as_ref()?;
        let rows = self.likely_rows(port, dims)?;
        let free = |i: &usize| *i != rows && self.fixed(&dims[*i]).is_none();
        let free: Vec<usize> = (0..dims.len()).filter(free).collect();
        let grows = |i: &usize| {
            let (a, b) = (&dims[*i], after.get(*i));
            *a == Dim::Unknown || b.is_some_and(|b| a != b)
        };
        if free.is_empty() || !free.iter().all(grows) {
            return None;
        }
        Some(self.empty_line(port, dims, rows))
    }

    /// `--input` of a state that has no entries along its free axes.
    pub(super) fn empty_line(&self, port: &Port, dims: &[Dim], rows: usize) -> String {
        let one = |(i, dim): (usize, &Dim)| match self.fixed(dim) {
            _ if i == rows => "B".into(),
            size => size.unwrap_or(0).to_string(),
        };
        let list: Vec<String> = dims.iter().enumerate().map(one).collect();
        let text = format!("{}={}", port.name, list.join(","));
        format!("--input {}", quoted(&text))
    }

    /// Files of one length that might be called again and again, if their states were named: what to say.
    pub(super) fn states_note(&mut self, links: &[Link]) {
        let file = self.files[1];
        let still = |p: &&Port| {
            let mut of = links.iter().filter(|l| l.names[1] == p.name);
            of.all(|l| l.time().is_none()) && !self.request.values.contains_key(&p.name)
        };
        let suspects: Vec<Port> = file.inputs().iter().filter(still).cloned().collect();
        let proposals = propose(&suspects, file.outputs(), &self.flows[1]);
        let found: Vec<(Port, String)> = suspects
            .into_iter()
            .zip(proposals)
            .filter_map(|(port, p)| match p {
                Proposal::State(output) => Some((port, output)),
                _ => None,
            })
            .collect();
        if found.is_empty() {
            return;
        }
        let lines = self.state_lines(&[], &[], &found);
        self.notes.push(format!(
            "one call of each file; if it is followed by others, with what came out as states, say so: {}",
            lines.join(" ")
        ));
    }

    /// An integer that a table does not choose may be a state.
    pub(super) fn or_state(&self, port: &Port, error: anyhow::Error) -> anyhow::Error {
        let one = std::slice::from_ref(port);
        match propose(one, self.files[1].outputs(), &self.flows[1]).pop() {
            Some(Proposal::State(output)) => {
                let lines = self.state_lines(&[], &[], &[(port.clone(), output)]);
                anyhow::anyhow!("{error}, or {} if it is a state", lines.join(" "))
            }
            _ => error,
        }
    }

    /// The options that name states which were found, with their names in the first file where those are others.
    fn state_lines(
        &self,
        pairs: &[(Port, Port)],
        rest: &[Port],
        found: &[(Port, String)],
    ) -> Vec<String> {
        let line = |input: &str, output: &str, more: Vec<String>| {
            let more = if more.is_empty() {
                String::new()
            } else {
                format!(":{}", more.join(","))
            };
            format!("--state {}", quoted(&format!("{input}={output}{more}")))
        };
        let batch = |port: &Port| {
            let axis = port.dims.as_ref().and_then(|d| self.likely_rows(port, d));
            axis.map(|axis| format!("batch={axis}"))
        };
        // States of the first file under names of its own.
        let is = |y: &Port| found.iter().any(|(p, _)| p.name == y.name);
        let paired = pairs.iter().filter(|(x, y)| x.name != y.name && is(y));
        let there: Vec<Port> = paired.map(|(x, _)| x).chain(rest).cloned().collect();
        let proposals = propose(&there, self.files[0].outputs(), &self.flows[0]);
        let theirs: Vec<(Port, String)> = there
            .iter()
            .zip(proposals)
            .filter_map(|(port, p)| match p {
                Proposal::State(output) => Some((port.clone(), output)),
                _ => None,
            })
            .collect();
        let inputs = self.files[0].inputs();
        let (known, new): (Vec<_>, Vec<_>) = found
            .iter()
            .cloned()
            .partition(|(p, _)| inputs.iter().any(|i| i.name == p.name));
        let mut lines: Vec<String> = known
            .iter()
            .map(|(p, o)| line(&p.name, o, batch(p).into_iter().collect()))
            .collect();
        let ports = |all: &[(Port, String)]| all.iter().map(|(p, _)| p.clone()).collect::<Vec<_>>();
        let holds = |one: &[(Port, String)], many: &[(Port, String)]| {
            one.len() == 1 && many.len() > 1 && self.holds(&ports(one), &ports(many))
        };
        if holds(&new, &theirs) || holds(&theirs, &new) {
            let ((input, output), (i, o)) = (together(&new), together(&theirs));
            let rows = new
                .first()
                .filter(|_| new.len() == 1)
                .and_then(|(p, _)| batch(p));
            let more = rows.into_iter().chain([format!("first={i}={o}")]).collect();
            lines.push(line(&input, &output, more));
            return lines;
        }
        for (at, (port, output)) in new.iter().enumerate() {
            let first = theirs.get(at).filter(|_| theirs.len() == new.len());
            let first = first.map(|(p, o)| format!("first={}={o}", p.name));
            let more = batch(port).into_iter().chain(first).collect();
            lines.push(line(&port.name, output, more));
        }
        lines
    }
}

/// Names of inputs, and of outputs, as an option names several.
fn together(all: &[(Port, String)]) -> (String, String) {
    let inputs: Vec<&str> = all.iter().map(|(p, _)| p.name.as_str()).collect();
    let outputs: Vec<&str> = all.iter().map(|(_, o)| o.as_str()).collect();
    (inputs.join("+"), outputs.join("+"))
}
