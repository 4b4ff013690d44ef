//! Outputs that have no counterpart: left out where that is said, or where nothing could be their counterpart; else asked for.

use anyhow::{Result, bail};

use super::axes::quoted;
use super::{Dim, Elem, Finder, Kind, Port};

impl Finder<'_> {
    /// Takes out what is said to be left out.
    pub(super) fn ignore(&mut self, side: usize, ports: &mut Vec<Port>) {
        let file = self.files[side].name();
        let request = self.request;
        ports.retain(|p| {
            let ignored = request.ignored.contains(&p.name);
            if ignored {
                let note = format!(
                    "output `{}` of {file} is not compared, as --ignore-output says",
                    p.name
                );
                self.notes.push(note);
            }
            !ignored
        });
    }

    /// What is said of outputs that are left in each file.
    ///
    /// # Errors
    /// Where both files have one, or the first output of a file is among them: with the options to be pasted.
    pub(super) fn left(&mut self, [a, b]: [&[Port]; 2]) -> Result<()> {
        let floats = |ports: &[Port]| ports.iter().any(|p| p.elem.is_none_or(Elem::is_float));
        let main = |side: usize, ports: &[Port]| {
            let first = self.files[side].outputs().first();
            first.is_some_and(|main| ports.iter().any(|p| p.name == main.name))
        };
        if floats(a) && floats(b) || main(0, a) || main(1, b) {
            bail!("{}", self.asked([a, b]));
        }
        for (side, ports) in [a, b].into_iter().enumerate() {
            for port in ports {
                self.notes.push(format!(
                    "output `{}` of {} has no counterpart and is not compared",
                    port.name,
                    self.files[side].name()
                ));
            }
        }
        Ok(())
    }

    /// Which outputs are left, and what says what becomes of them.
    fn asked(&self, [a, b]: [&[Port]; 2]) -> String {
        let names = |ports: &[Port]| {
            let all: Vec<String> = ports.iter().map(|p| format!("`{}`", p.name)).collect();
            match all.as_slice() {
                [] => "none".to_owned(),
                all => all.join(", "),
            }
        };
        let mut rest: Vec<&Port> = b.iter().collect();
        let mut maps = vec![];
        for x in a {
            if let Some(at) = rest.iter().position(|y| self.may_be(x, y)) {
                let y = rest.remove(at);
                maps.push(format!(
                    "--map {}",
                    quoted(&format!("{}={}", x.name, y.name))
                ));
            }
        }
        let ignored = a
            .iter()
            .chain(b)
            .map(|p| format!("--ignore-output {}", quoted(&p.name)));
        let ignored: Vec<String> = ignored.collect();
        let say = match maps.is_empty() {
            true => String::new(),
            false => format!("say which belong together, as {}; ", maps.join(" ")),
        };
        format!(
            "outputs have no counterpart in the other file, and would not be compared: {} of {}, {} of {}; {say}what is to be left out is {}",
            names(a),
            self.files[0].name(),
            names(b),
            self.files[1].name(),
            ignored.join(" ")
        )
    }

    /// Whether their shapes let two outputs be the same.
    fn may_be(&self, x: &Port, y: &Port) -> bool {
        let kind = |p: &Port| p.elem.is_none_or(Elem::is_float);
        let (Some(a), Some(b)) = (&x.dims, &y.dims) else {
            return kind(x) == kind(y);
        };
        let alike = |(a, b): (&Dim, &Dim)| match (a, b) {
            (Dim::Fixed(m), Dim::Fixed(n)) => m == n,
            _ => true,
        };
        let shapes = match self.kind {
            Kind::Same => a.len() == b.len() && a.iter().zip(b).all(alike),
            Kind::Step => a.len() == b.len() || a.len() == b.len() + 1,
        };
        kind(x) == kind(y) && shapes
    }
}
