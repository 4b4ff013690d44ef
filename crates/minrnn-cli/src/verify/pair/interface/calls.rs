//! How many steps a file takes in one call, and which input says how long rows are.

use anyhow::{Result, bail};

use super::propose::{Proposal, propose};
use super::{Fill, Finder, Interface, Kind, Link, Port, Role, State};

impl Interface {
    /// Steps of whole calls of both files.
    pub(crate) fn call(&self) -> usize {
        let [a, b] = self.frames.map(|n| n.unwrap_or(1).max(1));
        multiple(a, b)
    }

    /// Lengths are multiples of this.
    pub(crate) fn unit(&self) -> usize {
        multiple(self.call(), self.grain)
    }

    /// The shortest sequence.
    pub(crate) fn shortest(&self) -> usize {
        let unit = self.unit();
        self.least.max(1).div_ceil(unit) * unit
    }

    /// The length nearest to `time` that both files take, no shorter than the shortest.
    pub(crate) fn steps(&self, time: usize) -> usize {
        let unit = self.unit();
        (time / unit * unit).max(self.shortest())
    }
}

/// The least common multiple.
fn multiple(a: usize, b: usize) -> usize {
    let mut all = a;
    while !all.is_multiple_of(b.max(1)) {
        all += a;
    }
    all
}

impl Finder<'_> {
    /// Steps in one call of each file, `None` for any number; and the only length, where there is one.
    pub(super) fn frames(&self, states: &[State]) -> Result<([Option<usize>; 2], Option<usize>)> {
        let both = |s: &State| s.first.0.is_some() && s.first.1.is_some();
        // Whether a file can go on where its last call ended.
        let goes_on = [
            !states.is_empty() && states.iter().all(both),
            !states.is_empty() || self.kind == Kind::Step,
        ];
        let (mut frames, mut length) = ([None; 2], None);
        for side in 0..2 {
            match self.steps[side] {
                Some(n) if goes_on[side] => frames[side] = Some(n),
                Some(n) => match length {
                    Some(m) if m != n => bail!(
                        "{} takes {m} steps and {} takes {n}; with states (--state IN=OUT) they could be called again and again",
                        self.files[0].name(),
                        self.files[1].name()
                    ),
                    _ => length = Some(n),
                },
                None => {}
            }
        }
        if let Some(length) = length
            && let Some(n) = frames
                .iter()
                .flatten()
                .find(|n| !length.is_multiple_of(**n))
        {
            bail!(
                "one file takes {length} steps and no more, the other {n} steps a call: {length} is no multiple of {n}"
            );
        }
        Ok((frames, length))
    }

    /// Remembers how many steps a file takes in one call.
    pub(super) fn takes(&mut self, side: usize, steps: usize, name: &str) -> Result<()> {
        match self.steps[side] {
            Some(n) if n != steps => bail!(
                "{}: `{name}` has {steps} steps, another input {n}; say which is time by --input {name}=..",
                self.files[side].name()
            ),
            _ => self.steps[side] = Some(steps),
        }
        Ok(())
    }

    /// Inputs of two step files have no axis of time: each call gets its own values.
    pub(super) fn by_steps(&mut self, links: &mut [Link], states: &[State]) {
        let both = |s: &State| s.first.0.is_some() && s.first.1.is_some();
        let fed = !states.is_empty() && states.iter().all(both);
        if self.kind != Kind::Same || !fed || links.iter().any(|l| l.time().is_some()) {
            return;
        }
        for link in links.iter_mut() {
            let at = link
                .roles
                .iter()
                .position(|r| *r == Role::Batch)
                .map_or(0, |i| i + 1);
            link.roles.insert(at, Role::Time);
            link.lacks = [true, true];
        }
        self.steps = [Some(1), Some(1)];
        self.notes
            .push("no input has an axis of time: both files are called step by step".into());
    }

    /// Takes the input that says how long each row is out of the ports: an operator reads it as that, or it is called so.
    pub(super) fn lengths(
        &mut self,
        side: usize,
        ports: &mut Vec<Port>,
    ) -> Option<(usize, Port, Fill)> {
        let at = ports.iter().position(|p| self.is_lengths(side, p))?;
        let port = ports.remove(at);
        self.notes.push(format!(
            "`{}` of {}: rows of unequal length; what stands behind the end of a row is not compared",
            port.name,
            self.files[side].name()
        ));
        Some((side, port, Fill::Lengths))
    }

    fn is_lengths(&self, side: usize, port: &Port) -> bool {
        let integer = port
            .elem
            .is_some_and(|e| !e.is_float() && e != super::Elem::Bool);
        let row = port.dims.as_ref().is_some_and(|d| d.len() == 1);
        if !integer || !row || self.request.inputs.contains_key(&port.name) {
            return false;
        }
        let name = port.name.to_lowercase();
        let called = ["lengths", "lens", "length", "len"].iter().any(|end| {
            name == *end || name.ends_with(&format!("_{end}")) || name.ends_with(&format!(".{end}"))
        });
        // What an output gives back is a count that goes on, no length.
        let file = self.files[side];
        let back = propose(
            std::slice::from_ref(port),
            file.outputs(),
            &self.flows[side],
        );
        self.flows[side].lengths.contains(&port.name)
            || called && !matches!(back.as_slice(), [Proposal::State(_)])
    }
}
