//! Lengths that are sums: a past that grows by what each step adds, and what is as long as the past and the new steps together.
//!
//! A name says it (`past + seq`, or what the grown state of the output is called), or `--input NAME=B,P+T`.

use anyhow::{Result, bail};

use super::clues::named;
use super::flow::Meaning;
use super::lengths::Own;
use super::sum::{Sum, is_past, is_total, less};
use super::{Dim, Finder, Kind, Port, Role, State};

/// A sum by its words, which are known when all lengths are.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    length: usize,
    /// The file that calls it so; `None`: an option does.
    side: Option<usize>,
    text: String,
    /// The option that does.
    flag: &'static str,
}

/// Which axis of a state grows, and which length that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) axis: usize,
    pub(super) length: usize,
}

impl Finder<'_> {
    /// Remembers which states grow.
    pub(super) fn find_past(&mut self, states: &[&State]) {
        for state in states {
            self.find_growth(state);
        }
    }

    /// Remembers what lengths are called that are sums, once it is known which states grow.
    pub(super) fn find_sums(&mut self, states: &[&State], pairs: &[(Port, Port)]) {
        for side in 0..2 {
            let names: Vec<&String> = states
                .iter()
                .filter_map(|s| match side {
                    0 => s.first.0.as_ref(),
                    _ => Some(&s.second.0),
                })
                .collect();
            let inputs = self.files[side].inputs().to_vec();
            let is = |p: &&Port| !names.contains(&&p.name);
            for port in inputs.iter().filter(is) {
                self.name_sums(side, port, &inputs);
            }
        }
        for (x, y) in pairs {
            self.spread(x, y);
        }
    }

    /// The axis along which a state has so many entries before the first step, and more after each.
    fn grows(&self, port: &Port, output: &Port) -> Option<(usize, usize)> {
        let (dims, after) = (port.dims.as_ref()?, output.dims.as_ref()?);
        let given = self.given(port);
        let one = |axis: usize| {
            let dim = &dims[axis];
            let begins = match (given, dim) {
                (Some(roles), _) => match roles.get(axis)? {
                    Role::Fixed(n) => *n,
                    _ => return None,
                },
                (None, Dim::Fixed(n)) => *n,
                (None, Dim::Symbol(name)) => *self.request.dims.get(name)?,
                (None, Dim::Unknown) => return None,
            };
            let moves = match (dim, &after[axis]) {
                (Dim::Symbol(a), Dim::Symbol(b)) => a != b,
                (Dim::Symbol(_), Dim::Unknown) => true,
                (_, Dim::Fixed(n)) => *n != begins,
                _ => begins == 0,
            };
            let free = !matches!(dim, Dim::Fixed(n) if *n > 0);
            (free && moves).then_some((axis, begins))
        };
        (dims.len() == after.len())
            .then(|| (0..dims.len()).find_map(one))
            .flatten()
    }

    fn find_growth(&mut self, state: &State) {
        let port = |ports: &[Port], name: &str| ports.iter().find(|p| p.name == name).cloned();
        let second = self.files[1];
        let input = port(second.inputs(), &state.second.0);
        let Some((input, output)) = input.zip(port(second.outputs(), &state.second.1)) else {
            return;
        };
        let Some((axis, begins)) = self.grows(&input, &output) else {
            return;
        };
        let symbol = |p: &Port| match p.dims.as_ref()?.get(axis)? {
            Dim::Symbol(name) => Some(name.clone()),
            _ => None,
        };
        let name = symbol(&input).unwrap_or_else(|| "the past".into());
        let alike = |l: &super::Length| l.begins == Some(begins) && l.name == name;
        let length = match self.lengths.iter().position(alike) {
            Some(known) => known,
            None => {
                let k = self.new_length(name, false);
                self.lengths[k].begins = Some(begins);
                self.lengths[k].usual = begins;
                self.lengths[k].sizes = vec![begins];
                k
            }
        };
        let growth = Growth { axis, length };
        self.growing.insert(input.name.clone(), growth);
        self.name_growth(1, [symbol(&input), symbol(&output)], length);
        let first = self.files[0];
        let there = state.first.0.as_ref().zip(state.first.1.as_ref());
        if let Some((i, o)) = there
            && let Some(i) = port(first.inputs(), i)
            && let Some(o) = port(first.outputs(), o)
            && [&i, &o].map(|p| p.dims.as_ref().map(Vec::len))
                == [&input, &output].map(|p| p.dims.as_ref().map(Vec::len))
        {
            self.name_growth(0, [symbol(&i), symbol(&o)], length);
        }
    }

    /// What a file calls a past, and what it calls the past with the new steps.
    fn name_growth(&mut self, side: usize, [before, after]: [Option<String>; 2], length: usize) {
        // A file may call everything of any length the same.
        let elsewhere = |name: &String| {
            let mut ports = self.files[side].inputs().iter();
            let states = &self.growing;
            ports.any(|p| {
                let dims = p.dims.iter().flatten();
                !states.contains_key(&p.name)
                    && dims.into_iter().any(|d| *d == Dim::Symbol(name.clone()))
            })
        };
        let of_time =
            |name: &String| named(name) == Some(Meaning::Time) && !is_past(name) && elsewhere(name);
        // A size that an option gives to other inputs too.
        let sized = |name: &String| self.request.dims.get(name).is_some_and(|n| *n > 0);
        let before = before.filter(|name| !(of_time(name) || sized(name) && elsewhere(name)));
        let after = after.filter(|name| Some(name) != before.as_ref() && !name.contains('+'));
        if let Some(name) = before {
            self.own_names[side].insert(name, Own::Length(length));
        }
        if let Some(name) = after
            && !self.own_names[side].contains_key(&name)
            && !self.request.dims.contains_key(&name)
        {
            // The name of T itself, where the past has none.
            let inputs = self.files[side].inputs().iter();
            let mut inputs = inputs.filter(|p| !self.growing.contains_key(&p.name));
            let symbol = Dim::Symbol(name.clone());
            let everywhere = inputs.all(|p| p.dims.iter().flatten().any(|d| *d == symbol));
            if named(&name) == Some(Meaning::Time) && !is_total(&name) && everywhere {
                return;
            }
            let sum = self.new_length(name.clone(), false);
            self.lengths[sum].sum = Some(Sum {
                time: 1,
                lengths: vec![length],
                plus: 0,
                minus: 0,
            });
            self.own_names[side].insert(name, Own::Length(sum));
        }
    }

    /// Dimensions that are called by a sum of what other dimensions are called.
    fn name_sums(&mut self, side: usize, port: &Port, inputs: &[Port]) {
        for dim in port.dims.iter().flatten() {
            let Dim::Symbol(text) = dim else {
                continue;
            };
            let known = |part: &str| {
                let dim = Dim::Symbol(part.to_owned());
                let mut all = inputs.iter().filter(|p| p.name != port.name);
                self.own_names[side].contains_key(part)
                    || all.any(|p| p.dims.iter().flatten().any(|d| *d == dim))
            };
            let parts: Vec<&str> = text.split('+').map(str::trim).collect();
            let fixed = self.request.dims.contains_key(text);
            if parts.len() < 2
                || fixed
                || self.own_names[side].contains_key(text)
                || parts.iter().any(|p| p.is_empty())
                || !parts.iter().any(|p| known(p))
            {
                continue;
            }
            let length = self.new_length(text.clone(), false);
            self.own_names[side].insert(text.clone(), Own::Length(length));
            self.unread.push(Unread {
                length,
                side: Some(side),
                text: text.clone(),
                flag: "",
            });
        }
    }

    /// What one file calls a sum is one in the other file too, where the axes are known to be the same.
    fn spread(&mut self, x: &Port, y: &Port) {
        let (Some(a), Some(b)) = (&x.dims, &y.dims) else {
            return;
        };
        // A step file may lack time, which stands before what it reads.
        let behind = a.len().checked_sub(b.len()).filter(|n| *n < 2);
        let Some(behind) = behind else {
            return;
        };
        for (j, dim) in b.iter().enumerate() {
            let i = j + behind;
            let sum = |own: Option<Own>| {
                own.filter(|own| matches!(own, Own::Length(k) if self.is_sum(*k)))
            };
            let theirs = sum(self.own_at(0, x, i));
            let ours = sum(self.own_at(1, y, j));
            let Some(own) = theirs.or(ours) else {
                continue;
            };
            if self.fixed(&a[i]).is_none() {
                self.own[0].insert((x.name.clone(), i), own);
            }
            if self.fixed(dim).is_none() {
                self.own[1].insert((y.name.clone(), j), own);
            }
        }
    }

    pub(super) fn is_sum(&self, length: usize) -> bool {
        self.lengths[length].sum.is_some() || self.unread.iter().any(|u| u.length == length)
    }

    /// Whether an axis has a length that is a sum.
    pub(super) fn is_summed(&self, role: &Role) -> bool {
        matches!(role, Role::Length(k) if self.is_sum(*k))
    }

    /// A length that an option calls by a sum.
    pub(super) fn said_sum(&mut self, length: usize, text: &str) {
        let known = self.unread.iter().any(|u| u.length == length);
        if text.contains('+') && !known {
            self.unread.push(Unread {
                length,
                side: None,
                text: text.to_owned(),
                flag: "--input",
            });
        }
    }

    /// What sums are of, once it is known what all names stand for.
    ///
    /// # Errors
    /// A word of an option that stands for nothing.
    pub(super) fn read_sums(&mut self) -> Result<()> {
        for unread in std::mem::take(&mut self.unread) {
            match self.sum_of(&unread) {
                Ok(sum) => {
                    let length = &mut self.lengths[unread.length];
                    length.sum = Some(sum);
                    length.as_time = false;
                }
                Err(word) if unread.side.is_none() => bail!(
                    "{} says `{}`, and `{word}` is neither T, a number, nor the name of a length of the files{}",
                    unread.flag,
                    unread.text,
                    self.past_words()
                ),
                // A name that is no sum: a length like any other.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// What options may call the one past that there is; empty: there are none, or several.
    fn past_words(&self) -> String {
        let mut pasts = self.lengths.iter().filter(|l| l.begins.is_some());
        match (pasts.next(), pasts.next()) {
            (Some(past), None) => format!("; the past's length is `{}`, or P", past.name),
            _ => String::new(),
        }
    }

    fn sum_of(&self, unread: &Unread) -> std::result::Result<Sum, String> {
        let mut sum = Sum::default();
        let (mut numbers, mut strange) = (vec![], vec![]);
        let sides = unread.side.map_or(vec![0, 1], |side| vec![side]);
        for part in unread.text.split('+').map(str::trim) {
            let mut part = part;
            // A name may have a dash in it.
            while !sides.iter().any(|s| self.own_names[*s].contains_key(part))
                && let (rest, n @ 1..) = less(part)
            {
                sum.minus = sum.minus.saturating_add(n);
                part = rest;
            }
            let mut names = sides.iter().filter_map(|s| self.own_names[*s].get(part));
            let own = names.next().or_else(|| self.said_names.get(part));
            let is_time = |s: &usize| {
                let known = self.known[*s].get(part);
                self.time_names[*s].contains(part)
                    || known.is_some_and(|(m, _)| *m == Meaning::Time)
            };
            match (own, part.parse::<usize>()) {
                (Some(Own::Length(k)), _) if *k != unread.length => sum.lengths.push(*k),
                (Some(Own::Fixed(n)), _) => sum.plus = sum.plus.saturating_add(*n),
                (_, Ok(n)) => numbers.push(n),
                _ if unread.side.is_none() && part == "T" => sum.time += 1,
                _ if sides.iter().any(is_time) => sum.time += 1,
                _ => match self.request.dims.get(part) {
                    Some(n) => sum.plus = sum.plus.saturating_add(*n),
                    None => strange.push(part.to_owned()),
                },
            }
        }
        let mut pasts = self
            .lengths
            .iter()
            .enumerate()
            .filter(|(_, l)| l.begins.is_some());
        // The one past that there is, by the word for a past.
        if unread.side.is_none()
            && strange.len() == 1
            && (strange[0] == "P" || is_past(&strange[0]))
            && sum.lengths.is_empty()
            && let (Some((past, _)), None) = (pasts.next(), pasts.next())
        {
            sum.lengths.push(past);
            strange.clear();
        }
        let grows = sum
            .lengths
            .iter()
            .any(|k| self.lengths[*k].begins.is_some());
        match strange.len() {
            0 => {}
            // What comes after the past is the new steps.
            1 if grows && sum.time == 0 && unread.side.is_some() => sum.time += 1,
            _ => return Err(strange.remove(0)),
        }
        for n in numbers {
            // A step file counts its own step, which is one; any other number is that many, and is held as it stands.
            let steps = n == 1 && (self.fed || self.kind == Kind::Step);
            match steps && grows && sum.time == 0 {
                true => sum.time += 1,
                false => sum.plus = sum.plus.saturating_add(n),
            }
        }
        Ok(sum)
    }

    /// A length that `--value` says.
    pub(super) fn valued(&mut self, text: &str) -> usize {
        let length = self.new_length(text.to_owned(), false);
        self.unread.push(Unread {
            length,
            side: None,
            text: text.to_owned(),
            flag: "--value",
        });
        length
    }
}
