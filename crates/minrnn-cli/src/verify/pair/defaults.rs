//! Inputs with a default: an initializer of the same name, which a caller may override.
//!
//! Such an input is one like the others where something is said of it (it is a state, a value fills it, its counterpart has another
//! name) or the other file has an input of that name. If both files have a default, cases run with what each has, and once more
//! with values around the first file's: weights that an exporter lists as inputs stay near weights. Any other keeps its default,
//! with a note, as do integers that both files have: they are shapes and axes.

use std::collections::BTreeSet;

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two, shape};
use super::file::GraphFile;
use super::port::Port;
use super::spec::{Init, Request};
use super::tensor::Tensor;

/// Makes inputs of the defaults that are to be drawn. What is said of them, and of those that are left.
pub(super) fn adopt(files: &mut [GraphFile; 2], request: &Request) -> Vec<String> {
    let mut notes = vec![];
    let mut both: Vec<BTreeSet<String>> = vec![];
    for side in 0..2 {
        let said = said(side, request);
        let (here, other) = (&files[side], &files[1 - side]);
        let has = |port: &&Port| {
            let twin = other.inputs().iter().chain(other.defaults());
            let name = counterpart(side, &port.name, request);
            said.contains(port.name.as_str())
                || twin.into_iter().any(|p| {
                    let kind = |p: &Port| p.elem.map(|e| e.is_float());
                    let known = other.has_default(&p.name);
                    p.name == name && kind(p) == kind(port) && (kind(p) == Some(true) || !known)
                })
        };
        let taken = here.defaults().iter().filter(has);
        both.push(taken.map(|p| p.name.clone()).collect());
    }
    for (file, taken) in files.iter_mut().zip(both) {
        let names = |taken: bool, all: &BTreeSet<String>, file: &GraphFile| {
            let of = file.defaults().iter().map(|p| &p.name);
            let of: Vec<String> = of
                .filter(|n| all.contains(*n) == taken)
                .map(|n| format!("`{n}`"))
                .collect();
            match of.len() {
                0 => None,
                1..=4 => Some(of.join(", ")),
                n => Some(format!("{} and {} more", of[..3].join(", "), n - 3)),
            }
        };
        if let Some(list) = names(true, &taken, file) {
            let what = "inputs with a default, which are given values as others are";
            notes.push(format!("{}: {list}: {what}", file.name()));
        }
        if let Some(list) = names(false, &taken, file) {
            let what =
                "inputs that keep their default; --state, --value or --map takes one as an input";
            notes.push(format!("{}: {list}: {what}", file.name()));
        }
        file.adopt(&taken);
    }
    notes
}

/// Inputs of a file that the caller speaks of.
fn said(side: usize, request: &Request) -> BTreeSet<&str> {
    let mut all: BTreeSet<&str> = BTreeSet::new();
    all.extend(request.inputs.keys().map(String::as_str));
    all.extend(request.values.keys().map(String::as_str));
    for (a, b) in &request.names {
        all.insert([a, b][side]);
    }
    for state in &request.states {
        let names = match (&state.first, side) {
            (Some((input, _)), 0) => input,
            _ => &state.input,
        };
        all.extend(names.split('+').chain([names.as_str()]));
    }
    all
}

/// The name that an input of a file has in the other one.
fn counterpart<'a>(side: usize, name: &'a str, request: &'a Request) -> &'a str {
    let pair = request.names.iter().find(|(a, b)| [a, b][side] == name);
    pair.map_or(name, |(a, b)| [b, a][side])
}

impl Two {
    /// Whether both files have a default for an input.
    pub(super) fn keeps(&self, link: usize) -> bool {
        let names = &self.face.links[link].names;
        let has = |(file, name): (&GraphFile, &String)| file.has_default(name);
        self.files.iter().zip(names).all(has)
    }

    /// The same case with other values for inputs of which both files have a default; `None`: there are none.
    pub(super) fn overridden(&self, case: &Case, rng: &mut Rng) -> Result<Option<Case>> {
        let mut case = Case {
            own: false,
            ..case.clone()
        };
        let mut any = false;
        for (i, link) in self.face.links.iter().enumerate() {
            if !self.keeps(i) {
                continue;
            }
            any = true;
            let dims = shape(&link.roles, case.batch, case.time, &case.others);
            if let Some(values) = self.files[0].default_of(&link.names[0], &dims) {
                let values: Vec<f64> = values.iter().map(|v| around(*v, rng)).collect();
                case.data[i] = Tensor::floats(link.elem, &dims, &values)?;
            }
        }
        Ok(any.then_some(case))
    }
}

impl Two {
    /// States of which a file has a default that is not what they began with.
    pub(super) fn other_beginnings(&self) -> Vec<String> {
        let mut notes = vec![];
        for state in &self.face.states {
            let names = [state.first.0.as_ref(), Some(&state.second.0)];
            for (file, name) in self.files.iter().zip(names) {
                let values = name.and_then(|n| file.default_values(n));
                let other = |v: &f32| match &state.init {
                    Init::Fill(begin) => *v != *begin as f32,
                    Init::Values(row) => !row.iter().any(|begin| *v == *begin as f32),
                };
                if let (Some(name), Some(true)) = (name, values.map(|v| v.iter().any(other))) {
                    notes.push(format!(
                        "state `{name}`: {} has a default for it, which is not the initial value that was compared; --state ..:init=FILE.npy gives another",
                        file.name()
                    ));
                }
            }
        }
        notes
    }
}

/// A value near another one, of its sign.
fn around(value: f32, rng: &mut Rng) -> f64 {
    let far = 0.5 * rng.normal().clamp(-1.5, 1.5);
    let moved = match value == 0.0 {
        true => far,
        false => f64::from(value) * (1.0 + far),
    };
    f64::from(moved as f32)
}

#[cfg(test)]
mod tests {
    use minrnn_onnx::ir::{Graph, Tensor as Constant};

    use super::super::tests::graphs::{Folder, floats, node, recurrent, request, same};
    use super::super::{Kind, compare};
    use super::*;

    /// `y = x k` with the constant or the overridable input `k`; `w` is such an input as well.
    fn scaled(factor: &str, w: f32) -> Graph {
        Graph {
            inputs: vec![floats("x", "B,T,3"), floats("w", "3")],
            outputs: vec![floats("y", "B,T,3")],
            nodes: vec![node("Mul", &["x", factor], &["y"], &[])],
            initializers: vec![
                Constant::f32("w", vec![3], &[w; 3]),
                Constant::f32("k", vec![3], &[1.0; 3]),
            ],
            ..Graph::default()
        }
    }

    /// A file that uses an input, and one that ignores it: they differ where it is given.
    #[test]
    fn inputs_with_a_default_are_given_other_values_too() {
        let folder = Folder::new();
        let uses = folder.write("uses.onnx", scaled("w", 1.0));
        let ignores = folder.write("ignores.onnx", scaled("k", 1.0));
        let other = folder.write("other.onnx", scaled("w", 1.5));
        let pair = same(&uses, &uses, &request());
        assert!(pair.holds, "{:#?}", pair.rows);
        let notes = pair.notes.join("\n");
        assert!(notes.contains("`w`: inputs with a default"), "{notes}");
        let pair = same(&uses, &ignores, &request());
        assert!(!pair.holds, "{:#?}", pair.rows);
        let worst = pair.rows[0].worst.as_ref().unwrap();
        assert!(
            worst.case.contains("other values than the defaults"),
            "{worst:?}"
        );
        // Defaults that differ are another file.
        assert!(!same(&uses, &other, &request()).holds);
    }

    /// A state that begins with a default is a state.
    #[test]
    fn a_state_may_have_a_default() {
        let folder = Folder::new();
        let mut whole = recurrent("GRU", &[]);
        whole.inputs = vec![floats("x", "T,1,3")];
        whole.outputs = vec![floats("Y", "T,1,1,4")];
        let mut step = recurrent("GRU", &[]);
        step.inputs = vec![floats("x", "1,1,3"), floats("h0", "1,1,4")];
        step.outputs = vec![floats("Y", "1,1,1,4"), floats("h", "1,1,4")];
        step.nodes[0].inputs.extend(["".into(), "h0".into()]);
        step.initializers
            .push(Constant::f32("h0", vec![1, 1, 4], &[0.0; 4]));
        let whole = folder.write("whole.onnx", whole);
        let step = folder.write("step.onnx", step);
        let run =
            |request: &Request| compare(&whole, &step, Kind::Step, request, &mut |_, _, _| ());
        let named = Request {
            states: vec!["h0=h".parse().unwrap()],
            ..request()
        };
        let pair = run(&named).unwrap();
        assert!(pair.holds, "{:#?}", pair.rows);
        let begins =
            |pair: &super::super::Pair| pair.notes.join("\n").contains("has a default for it");
        assert!(!begins(&pair));
        let other = Request {
            states: vec!["h0=h:init=0.5".parse().unwrap()],
            ..request()
        };
        assert!(begins(&run(&other).unwrap()));
        let pair = run(&request()).unwrap();
        let notes = pair.notes.join("\n");
        assert!(
            !pair.holds && notes.contains("`h0`: inputs that keep their default"),
            "{notes}"
        );
    }

    /// Weights that an exporter lists as inputs are the same file as without that list.
    #[test]
    fn weights_may_be_listed_as_inputs() {
        let folder = Folder::new();
        let plain = folder.write("plain.onnx", recurrent("GRU", &[]));
        let mut listed = recurrent("GRU", &[]);
        listed.inputs.extend([
            floats("W", "1,12,3"),
            floats("R", "1,12,4"),
            floats("B", "1,24"),
        ]);
        let listed = folder.write("listed.onnx", listed);
        for (a, b) in [(&plain, &listed), (&listed, &plain), (&listed, &listed)] {
            let pair = same(a, b, &request());
            assert!(pair.holds, "{:#?} {:?}", pair.rows, pair.notes);
        }
    }
}
