//! What is to be said beside the rows.

use super::case::Two;
use super::checks::{Checks, LARGE};
use super::file::GraphFile;
use super::report::{JUDGE, Row};
use super::show::number;
use super::spec::{Request, Role};
use super::{interface, port};

impl Two {
    /// What hung on rounding.
    pub(super) fn on_edges(&self, rows: &[Row]) -> Vec<String> {
        let counted = rows.iter().filter(|r| r.on_edge > 0 && r.by == JUDGE);
        let mut notes: Vec<String> = counted
            .map(|r| {
                format!(
                    "{}, `{}`: {} of {} values hang on a decision that rounding can tip; of them one quantum is allowed",
                    r.check, r.tensor, r.on_edge, r.values
                )
            })
            .collect();
        let parted = rows.iter().filter(|r| r.holds && r.open && r.tipped > 0);
        notes.extend(parted.filter(|r| r.by == JUDGE).map(|r| {
            format!(
                "{}, `{}`: {} of {} values are apart by a whole quantum, which is more than chance tips: a decision that falls on the bound for many inputs \
                 (`>` beside `>=`) differs, or lies within rounding of it; it cannot be told which",
                r.check, r.tensor, r.tipped, r.values
            )
        }));
        for file in &self.files {
            let places = file.undecided();
            if let Some(place) = places.first() {
                notes.push(format!(
                    "{}: {place}; {} such places in all, where one way was gone only",
                    file.name(),
                    places.len()
                ));
            }
        }
        notes
    }

    /// Inputs and outputs that were taken for the same because nothing else was left.
    pub(super) fn other_names(&self, request: &Request) -> Vec<String> {
        let [first, second] = self.files.each_ref().map(GraphFile::name);
        let links = self.face.links.iter().map(|l| ("input", &l.names));
        let outputs = self.face.outputs.iter().map(|names| ("output", names));
        let said = |[a, b]: &[String; 2]| request.names.iter().any(|(x, y)| x == a && y == b);
        let other = links
            .chain(outputs)
            .filter(|(_, n)| n[0] != n[1] && !said(n));
        other
            .map(|(kind, [a, b])| {
                format!(
                    "{kind} `{a}` of {first} was taken for `{b}` of {second}: the names differ, and no other was left; --map {a}={b} says that it is so"
                )
            })
            .collect()
    }

    /// Outputs that are of another type in the other file.
    fn other_types(&self) -> Vec<String> {
        let [first, second] = self.files.each_ref().map(GraphFile::name);
        let of = |side: usize, name: &String| {
            let mut ports = self.files[side].outputs().iter();
            ports.find(|p| p.name == *name)?.elem
        };
        let one = |names: &[String; 2]| {
            let (a, b) = (of(0, &names[0])?, of(1, &names[1])?);
            (a != b).then(|| {
                format!(
                    "output `{}` is of type {a} in {first} and {b} in {second}: the values are compared, as exactly as the shorter type has them",
                    names[0]
                )
            })
        };
        self.face.outputs.iter().filter_map(one).collect()
    }

    pub(super) fn notes(&self, limit: usize, request: &Request) -> Vec<String> {
        let mut notes = self.face.notes.clone();
        notes.extend(self.other_names(request));
        notes.extend(self.other_types());
        notes.extend(self.other_beginnings());
        notes.extend(self.short_masks(request));
        for state in &self.face.states {
            if state.first.0.is_none() {
                notes.push(format!(
                    "state `{}`: {} has no such input; begun with the initial value only",
                    state.second.0,
                    self.files[0].name()
                ));
            }
        }
        if let Some(given) = request.tolerance {
            notes.push(format!(
                "tolerance {given}, as given; integers are compared exactly"
            ));
        }
        notes.extend(self.fixed_rows());
        if self.face.length.is_some() && self.timed() {
            notes.push(if self.said_by_dim(request) {
                format!("T = {limit} only, as --dim says")
            } else {
                format!("the files take T = {limit} only")
            });
        }
        notes
    }

    /// What is to be said where one file alone has its number of rows fixed.
    fn fixed_rows(&self) -> Option<String> {
        let rows = self.face.batch?;
        let fixed = |side: usize| {
            let of = |link: &interface::Link| {
                let axis = link.roles.iter().position(|r| *r == Role::Batch)?;
                let skipped = link.lacks[side] && link.time().is_some_and(|t| t < axis);
                let mut ports = self.files[side].inputs().iter();
                let port = ports.find(|p| p.name == link.names[side])?;
                let dim = port.dims.as_ref()?.get(axis - usize::from(skipped))?;
                Some(matches!(dim, port::Dim::Fixed(_)))
            };
            self.face.links.iter().filter_map(of).any(|fixed| fixed)
        };
        let one = match [fixed(0), fixed(1)] {
            [true, false] => 0,
            [false, true] => 1,
            _ => return None,
        };
        Some(format!(
            "{} takes B = {rows} only, and so many rows were compared: of others nothing is shown",
            self.files[one].name()
        ))
    }

    pub(super) fn timed(&self) -> bool {
        self.face.links.iter().any(|l| l.time().is_some())
    }

    /// Whether the length is one that was given for a named dimension, not one of the files.
    pub(super) fn said_by_dim(&self, request: &Request) -> bool {
        let of = |side: usize, link: &interface::Link| {
            let mut ports = self.files[side].inputs().iter();
            let dims = ports.find(|p| p.name == link.names[side])?.dims.as_ref()?;
            match dims.get(link.time()?)? {
                port::Dim::Symbol(name) => request.dims.get(name).copied(),
                _ => None,
            }
        };
        let mut links = self.face.links.iter();
        links.any(|link| (0..2).any(|side| of(side, link).is_some()))
    }

    /// The option by which rows of no steps are left out, where the files part at these alone.
    pub(super) fn empty_rows_alone(&self, checks: &Checks, limit: usize) -> Option<String> {
        let filled = self.face.filled.iter().find(|f| f.ends_rows())?;
        let name = &filled.name;
        checks.part_at_empty_rows().then(|| {
            format!(
                "the files part only in cases in which a row has 0 steps: --input {name}=:int=1..{limit} says that there are none"
            )
        })
    }

    /// The ranges that may be said for floats, where files have no number for what was drawn.
    fn say_ranges(&self) -> String {
        let free = self.face.links.iter().filter(|l| l.is_free());
        let all: Vec<String> = free
            .map(|l| format!("--input {}=:float=LOW..HIGH", l.names[0]))
            .collect();
        match all.is_empty() {
            true => String::new(),
            false => format!(
                "; where an input is meant to lie in a range (above 0 before a logarithm or a root), say it: {}",
                all.join(" ")
            ),
        }
    }

    /// Values of which no file has a number.
    pub(super) fn without_numbers(&self, rows: &[Row]) -> Vec<String> {
        let one = |r: &Row| {
            let place = r.nowhere.as_deref().unwrap_or("somewhere");
            let mend = match self.takes_states() && place.contains("random states") {
                true => format!("; {}", self.say_what_counts()),
                false => self.say_ranges(),
            };
            format!(
                "{}, `{}`: of {} of {} values neither file has a number, the first at {place}: there is nothing to hold to each other{mend}",
                r.check, r.tensor, r.no_number, r.values
            )
        };
        let both = |r: &Row| {
            let place = r.outside.as_deref().unwrap_or("somewhere");
            format!(
                "{}, `{}`: {} of {} values are infinite in both files, in float64 they are other numbers, the first at {place}: they are beyond the range of \
                 their type, so that nothing is shown",
                r.check, r.tensor, r.beyond, r.values
            )
        };
        let grown = |r: &Row| {
            let place = r.nowhere.as_deref().or(r.outside.as_deref());
            format!(
                "{}, `{}`: all values were compared up to T = {}; they grow with T, and beyond it {} of {} are past the range of their type in both \
                 files, the first at {}: there is nothing to hold to each other there",
                r.check,
                r.tensor,
                r.grows.unwrap_or_default(),
                r.no_number + r.beyond,
                r.values,
                place.unwrap_or("somewhere")
            )
        };
        let without = rows.iter().filter(|r| r.is_without_numbers()).map(one);
        let beyond = rows.iter().filter(|r| r.by == JUDGE && r.is_beyond());
        let outgrown = rows.iter().filter(|r| r.is_outgrown()).map(grown);
        without.chain(beyond.map(both)).chain(outgrown).collect()
    }

    /// Inputs that are said to be as long as the new steps alone, where a past grows that they may go over too.
    pub(super) fn short_masks(&self, request: &Request) -> Option<String> {
        let spec = |link: &&interface::Link| {
            let said = request.inputs.get(&link.names[0]);
            let said = said.is_some_and(|s| s.dims.is_some());
            let plain = |r: &Role| matches!(r, Role::Batch | Role::Time);
            said && link.time().is_some() && link.roles.iter().all(plain)
        };
        let mut links = self.face.links.iter().filter(|_| self.face.grows());
        let link = links.find(spec)?;
        let one = |r: &Role| if *r == Role::Time { "P+T" } else { "B" };
        let dims: Vec<&str> = link.roles.iter().map(one).collect();
        let name = &link.names[0];
        Some(format!(
            "`{name}` is as long as the new steps, as --input says; if it goes over the past too, that is --input {name}={}",
            dims.join(",")
        ))
    }

    /// The lengths that ran, for a note.
    pub(super) fn span(&self, limit: usize) -> String {
        match self.lengths(limit).first() {
            _ if !self.timed() => String::new(),
            Some(first) if *first < limit => format!(", T = {first} to {limit}"),
            _ => format!(", T = {limit}"),
        }
    }
}

/// What rounding costs where nothing can be told.
fn costs(check: &str) -> &'static str {
    match check == LARGE {
        true => "one of them there is as much as they differ, or more",
        false => {
            "both files is as large as half of the values, or a hundredth of them and hides what float64 tells apart"
        }
    }
}

/// Of which tensors it cannot be told whether they agree.
pub(super) fn untold(rows: &[Row]) -> Vec<String> {
    let rows = rows.iter().filter(|r| r.is_untold() && r.said.is_none());
    rows.map(|r| {
        format!(
            "{}, `{}`: of {} of {} values it cannot be told whether the files agree: what rounding costs {} (tolerance {})",
            r.check, r.tensor, r.untold, r.values, costs(&r.check), number(r.tolerance)
        )
    })
    .collect()
}
