//! Single integers that say how long the past and the new steps are together.

use anyhow::{Result, bail};

use super::lengths::Own;
use super::sum::{is_past, is_total, words};
use super::{Dim, Elem, Fill, Finder, Port, Sum};

impl Finder<'_> {
    /// Takes such inputs out of the pairs, and out of those that the other file has not.
    pub(super) fn totals(
        &self,
        pairs: &mut Vec<(Port, Port)>,
        rest: [&mut Vec<Port>; 2],
    ) -> Vec<(usize, Port, Fill)> {
        let mut found = vec![];
        pairs.retain(|(x, y)| {
            let is = self.is_total_value(0, x) || self.is_total_value(1, y);
            if is {
                found.push((0, x.clone(), Fill::Total));
                found.push((1, y.clone(), Fill::Total));
            }
            !is
        });
        for (side, ports) in rest.into_iter().enumerate() {
            ports.retain(|p| {
                let is = self.is_total_value(side, p);
                if is {
                    found.push((side, p.clone(), Fill::Total));
                }
                !is
            });
        }
        found
    }

    /// One integer, called as the axis of the grown state is, or by words for all steps, in a file that has a past.
    pub(super) fn is_total_value(&self, side: usize, port: &Port) -> bool {
        if !is_integer(port) || self.request.inputs.contains_key(&port.name) {
            return false;
        }
        let by_axis = self.total_named(side, port).is_some();
        let of_steps = |w: &String| {
            ["len", "length", "seq", "sequence", "tokens", "steps"].contains(&w.as_str())
        };
        by_axis || is_total(&port.name) && words(&port.name).iter().any(of_steps) && self.has_past()
    }

    fn total_named(&self, side: usize, port: &Port) -> Option<usize> {
        match self.own_names[side].get(&port.name) {
            Some(Own::Length(k)) if self.is_sum(*k) => Some(*k),
            _ => None,
        }
    }

    fn has_past(&self) -> bool {
        let dims = self.files.iter().flat_map(|f| f.inputs());
        let mut dims = dims.filter_map(|p| p.dims.as_ref()).flatten();
        !self.growing.is_empty()
            || dims.any(|d| matches!(d, Dim::Symbol(name) if is_past(name) || name == "P"))
    }

    /// The length that such an input says.
    ///
    /// # Errors
    /// Where there is not one past alone.
    pub(super) fn total_of(&mut self, side: usize, port: &Port) -> Result<usize> {
        if let Some(known) = self.total_named(side, port) {
            return Ok(known);
        }
        let all = || self.lengths.iter().enumerate();
        let mut pasts: Vec<usize> = all()
            .filter(|(_, l)| l.begins.is_some())
            .map(|(k, _)| k)
            .collect();
        if pasts.is_empty() {
            let past = |l: &super::Length| is_past(&l.name) || l.name == "P";
            pasts = all().filter(|(_, l)| past(l)).map(|(k, _)| k).collect();
        }
        let [past] = pasts[..] else {
            bail!(
                "{}: `{}` is called as if it counted the past and the new steps, and there {}; say what it is, --value {}=P+T with the \
                 name of the past's length for P, or a number",
                self.files[side].name(),
                port.name,
                match pasts.len() {
                    0 => "is no past".to_owned(),
                    n => format!("are {n} lengths of a past"),
                },
                port.name
            );
        };
        let length = self.new_length(port.name.clone(), false);
        let sum = Sum {
            time: 1,
            lengths: vec![past],
            plus: 0,
            minus: 0,
        };
        self.notes.push(format!(
            "`{}` of {} is {} together",
            port.name,
            self.files[side].name(),
            self.sum_words(&sum)
        ));
        self.lengths[length].sum = Some(sum);
        Ok(length)
    }

    /// What else a single integer may be, where there is a past; empty: nothing.
    pub(super) fn or_total(&self, port: &Port) -> String {
        match (is_integer(port) || is_row(port)) && self.has_past() {
            true => format!(
                "; where it counts the past and the new steps, as --value {0}=P+T, or --value {0}=P+T-1 where it is the last one's number",
                port.name
            ),
            false => String::new(),
        }
    }
}

fn is_integer(port: &Port) -> bool {
    let integer = |e: Elem| !e.is_float() && ![Elem::Bool, Elem::Str].contains(&e);
    let one = |dims: &Vec<Dim>| dims.len() < 2 && dims.iter().all(|d| *d == Dim::Fixed(1));
    port.elem.is_some_and(integer) && port.dims.as_ref().is_some_and(one)
}

/// Integers, one for each row.
fn is_row(port: &Port) -> bool {
    let integer = |e: Elem| !e.is_float() && ![Elem::Bool, Elem::Str].contains(&e);
    port.elem.is_some_and(integer) && port.dims.as_ref().is_some_and(|d| d.len() == 1)
}
