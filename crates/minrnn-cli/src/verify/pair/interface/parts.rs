//! States that one file holds apart and the other in one tensor.

use anyhow::{Context, Result, bail};

use super::super::spec::{Init, StateSpec};
use super::{Dim, Finder, Part, Port, Role, State};

impl Finder<'_> {
    /// The states that a caller's line names: one, or all that are in a tensor that holds several.
    pub(super) fn state_of(&self, spec: &StateSpec) -> Result<Vec<State>> {
        let [first, second] = self.files;
        let ours = names(&spec.input, second.inputs());
        let outs = names(&spec.output, second.outputs());
        let (theirs, their_outs) = match &spec.first {
            Some((i, o)) => (names(i, first.inputs()), names(o, first.outputs())),
            None => (vec![], vec![]),
        };
        let of = |list: &[String], ports: &[Port], side: usize, what: &str| -> Result<Vec<Port>> {
            list.iter()
                .map(|n| self.port(n, ports, side, what))
                .collect()
        };
        let second_in = of(&ours, second.inputs(), 1, "input")?;
        let second_out = of(&outs, second.outputs(), 1, "output")?;
        let first_in = of(&theirs, first.inputs(), 0, "input")?;
        let first_out = of(&their_outs, first.outputs(), 0, "output")?;
        if second_in.len() != second_out.len() || first_in.len() != first_out.len() {
            bail!(
                "state `{}`: as many inputs as outputs belong together, one to one",
                spec.input
            );
        }
        let count = second_in.len().max(first_in.len()).max(1);
        let fits = |n: usize| n == count || n == 1 || n == 0;
        if !fits(second_in.len()) || !fits(first_in.len()) {
            bail!(
                "state `{}`: {} tensors in one file are none of {} in the other; name each pair by a --state of its own",
                spec.input,
                second_in.len(),
                first_in.len()
            );
        }
        if count > 1
            && matches!(spec.init, Init::Values(_))
            && (second_in.len() == 1 || first_in.len() == 1)
        {
            bail!(
                "state `{}`: init of a tensor that holds several states is zero or a number",
                spec.input
            );
        }
        let parts = self.parts(&first_in, &second_in, spec.axis)?;
        let one = |i: usize| {
            let at = |list: &[Port]| {
                list.get(if list.len() == 1 { 0 } else { i })
                    .map(|p| p.name.clone())
            };
            let second = (at(&second_in), at(&second_out));
            let (Some(input), Some(output)) = second else {
                bail!("state `{}` has no name", spec.input);
            };
            let first = match spec.first {
                Some(_) => (at(&first_in), at(&first_out)),
                None => (
                    self.first_name(&input, first.inputs()),
                    self.first_name(&output, first.outputs()),
                ),
            };
            let mut state = State {
                first,
                second: (input, output),
                parts: [0, 1].map(|side: usize| parts[side].get(i).cloned()),
                shape: vec![],
                init: spec.init.clone(),
                any_value: spec.any_value,
                counts: spec.counts,
            };
            if spec.first.is_none() {
                self.same_rank(&mut state)?;
            }
            Ok(state)
        };
        (0..count).map(one).collect()
    }

    fn port(&self, name: &str, ports: &[Port], side: usize, what: &str) -> Result<Port> {
        let found = ports.iter().find(|p| p.name == name).cloned();
        found.with_context(|| {
            let names: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
            format!(
                "{} has no {what} `{name}`; it has {}",
                self.files[side].name(),
                names.join(", ")
            )
        })
    }

    /// By file, which parts of its tensors states are; nothing, where they are all of them.
    ///
    /// `axis`: along which they lie in the one that holds several, where somebody said it.
    pub(super) fn parts(
        &self,
        first: &[Port],
        second: &[Port],
        axis: Option<usize>,
    ) -> Result<[Vec<Part>; 2]> {
        match (first, second) {
            ([one], many) if many.len() > 1 => self.cut(one, many, axis),
            (many, [one]) if many.len() > 1 => {
                let [whole, each] = self.cut(one, many, axis)?;
                Ok([each, whole])
            }
            _ => {
                if let (Some(axis), Some(port)) = (axis, second.first()) {
                    bail!(
                        "axis={axis} of state `{}` would change nothing: no tensor holds several states; leave it out",
                        port.name
                    );
                }
                let parts = [self.alone(first, second)?, self.alone(second, first)?];
                if parts.iter().all(Vec::is_empty) {
                    self.refuse_unlike(first, second)?;
                }
                Ok(parts)
            }
        }
    }

    /// One tensor of each file: both have the same axes.
    fn refuse_unlike(&self, first: &[Port], second: &[Port]) -> Result<()> {
        for (a, b) in first.iter().zip(second) {
            let (Some(x), Some(y)) = (&a.dims, &b.dims) else {
                continue;
            };
            if x.len() != y.len() || !x.iter().zip(y).all(|(x, y)| self.like(x, y)) {
                bail!(
                    "state `{}` [{}] is `{}` [{}] in {}: another shape, and nothing says how its values lie in it; give files that hold it alike",
                    b.name,
                    super::axes::shown(y),
                    a.name,
                    super::axes::shown(x),
                    self.files[0].name()
                );
            }
        }
        Ok(())
    }

    /// Where the many are in the one, and what they are of their own tensors.
    fn cut(&self, one: &Port, many: &[Port], said: Option<usize>) -> Result<[Vec<Part>; 2]> {
        let shapes: Option<Vec<&Vec<Dim>>> = many.iter().map(|p| p.dims.as_ref()).collect();
        let (Some(whole), Some(shapes)) = (&one.dims, shapes) else {
            bail!(
                "state `{}`: its shape, or that of its parts, is not declared",
                one.name
            );
        };
        let mut found = self.within(whole, &shapes);
        if found.is_empty() {
            found = self.within_units(whole, &shapes);
        }
        let along = |parts: &[Vec<Part>; 2]| parts[0].first().map(|p| p.axis);
        let axes: Vec<String> = found
            .iter()
            .filter_map(along)
            .map(|a| a.to_string())
            .collect();
        if let (Some(axis), false) = (said, axes.is_empty()) {
            found.retain(|parts| along(parts) == Some(axis));
            if found.is_empty() {
                bail!(
                    "state `{}` [{}]: its parts do not lie along axis {axis}, but along axis {}",
                    one.name,
                    super::axes::shown(whole),
                    axes.join(" or ")
                );
            }
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => bail!(
                "state `{}` [{}]: {} are not together what it holds, along any axis",
                one.name,
                super::axes::shown(whole),
                many.iter()
                    .map(|p| format!("`{}`", p.name))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            _ => bail!(
                "state `{}` [{}]: its parts may lie along axis {}; say which by axis={} behind its --state",
                one.name,
                super::axes::shown(whole),
                axes.join(" or "),
                axes.first().map_or("", String::as_str)
            ),
        }
    }

    /// Whether one tensor of a file holds what several of the other do: along one axis, or along one that has to be said.
    pub(super) fn holds(&self, one: &[Port], many: &[Port]) -> bool {
        let ([whole], true) = (one, many.len() > 1) else {
            return false;
        };
        let axes = 0..whole.dims.as_ref().map_or(0, Vec::len);
        let said = std::iter::once(None).chain(axes.map(Some));
        said.into_iter()
            .any(|axis| self.cut(whole, many, axis).is_ok())
    }

    /// One to one, but with an axis of one entry more: `[1, B, D]` for `[B, D]`.
    fn alone(&self, one: &[Port], other: &[Port]) -> Result<Vec<Part>> {
        let mut parts = vec![];
        for (a, b) in one.iter().zip(other) {
            let (Some(long), Some(short)) = (&a.dims, &b.dims) else {
                return Ok(vec![]);
            };
            if long.len() != short.len() + 1 {
                return Ok(vec![]);
            }
            let fits = |axis: &usize| {
                let rest = [&long[..*axis], &long[axis + 1..]].concat();
                long[*axis] == Dim::Fixed(1) && rest.iter().zip(short).all(|(a, b)| self.like(a, b))
            };
            let Some(axis) = (0..long.len()).find(fits) else {
                return Ok(vec![]);
            };
            parts.push(unit(axis));
        }
        Ok(parts)
    }

    /// A state that both files have under one name, in one of them with an axis of one entry more.
    fn same_rank(&self, state: &mut State) -> Result<()> {
        let Some(name) = &state.first.0 else {
            // An output of all steps under the name of one of the last step is no last state.
            let rank = |side: usize, name: &str| {
                let mut ports = self.files[side].outputs().iter();
                ports.find(|p| p.name == name)?.dims.as_ref().map(Vec::len)
            };
            let ours = rank(1, &state.second.1);
            let theirs = state.first.1.as_ref().and_then(|n| rank(0, n));
            if ours.zip(theirs).is_some_and(|(a, b)| a != b) {
                state.first.1 = None;
            }
            return Ok(());
        };
        let a = [self.port(name, self.files[0].inputs(), 0, "input")?];
        let b = [self.port(&state.second.0, self.files[1].inputs(), 1, "input")?];
        state.parts = [self.alone(&a, &b)?.pop(), self.alone(&b, &a)?.pop()];
        Ok(())
    }

    fn like(&self, a: &Dim, b: &Dim) -> bool {
        match (self.fixed(a), self.fixed(b)) {
            (Some(m), Some(n)) => m == n,
            _ => true,
        }
    }

    /// Every way in which the many lie in the one.
    fn within(&self, whole: &[Dim], shapes: &[&Vec<Dim>]) -> Vec<[Vec<Part>; 2]> {
        let mut found = vec![];
        for axis in 0..whole.len() {
            let Some(size) = self.fixed(&whole[axis]) else {
                continue;
            };
            found.extend(self.side_by_side(whole, shapes, axis, size));
            found.extend(self.stacked(whole, shapes, axis, size));
        }
        found.into_iter().map(|parts| [parts, vec![]]).collect()
    }

    /// The same where the many, or the one, have an axis of one entry more: `h` and `c` of `[1, B, 4]` in `[B, 8]`.
    fn within_units(&self, whole: &[Dim], shapes: &[&Vec<Dim>]) -> Vec<[Vec<Part>; 2]> {
        let without = |dims: &[Dim], axis: usize| [&dims[..axis], &dims[axis + 1..]].concat();
        let is_unit = |dims: &[Dim], axis: usize| dims.get(axis) == Some(&Dim::Fixed(1));
        let mut found: Vec<[Vec<Part>; 2]> = vec![];
        let rank = shapes.iter().map(|dims| dims.len()).max().unwrap_or(0);
        for axis in (0..rank).filter(|a| shapes.iter().all(|dims| is_unit(dims, *a))) {
            let bare: Vec<Vec<Dim>> = shapes.iter().map(|dims| without(dims, axis)).collect();
            let ways = self.within(whole, &bare.iter().collect::<Vec<_>>());
            let each = || shapes.iter().map(|_| unit(axis)).collect();
            found.extend(ways.into_iter().map(|[parts, _]| [parts, each()]));
        }
        for axis in (0..whole.len()).filter(|a| is_unit(whole, *a)) {
            for [mut parts, _] in self.within(&without(whole, axis), shapes) {
                for part in &mut parts {
                    // Of the whole again, and of what is left when the part's own axis is gone.
                    part.unit = Some(axis - usize::from(part.alone && part.axis < axis));
                    part.axis += usize::from(part.axis >= axis);
                }
                found.push([parts, vec![]]);
            }
        }
        // Several axes of one entry: the values lie in one order, whichever is left out.
        found.dedup_by(|a, b| a[0].len() == b[0].len() && same_order(&a[0], &b[0]));
        found
    }

    fn side_by_side(
        &self,
        whole: &[Dim],
        shapes: &[&Vec<Dim>],
        axis: usize,
        size: usize,
    ) -> Option<Vec<Part>> {
        let mut parts = vec![];
        let mut from = 0;
        for dims in shapes {
            let same = |(i, d): (usize, &Dim)| i == axis || self.like(d, &whole[i]);
            if dims.len() != whole.len() || !dims.iter().enumerate().all(same) {
                return None;
            }
            let to = from + self.fixed(&dims[axis])?;
            parts.push(Part {
                axis,
                from,
                to,
                alone: false,
                unit: None,
            });
            from = to;
        }
        (from == size).then_some(parts)
    }

    fn stacked(
        &self,
        whole: &[Dim],
        shapes: &[&Vec<Dim>],
        axis: usize,
        size: usize,
    ) -> Option<Vec<Part>> {
        let rest = [&whole[..axis], &whole[axis + 1..]].concat();
        let same = |dims: &&Vec<Dim>| {
            dims.len() == rest.len() && dims.iter().zip(&rest).all(|(a, b)| self.like(a, b))
        };
        if size != shapes.len() || !shapes.iter().all(same) {
            return None;
        }
        let part = |i: usize| Part {
            axis,
            from: i,
            to: i + 1,
            alone: true,
            unit: None,
        };
        Some((0..size).map(part).collect())
    }

    /// The axes of a state, of those of the tensor of the second file that holds it.
    pub(super) fn shape_of(state: &State, mut roles: Vec<Role>) -> Vec<Role> {
        if let Some(part) = &state.parts[1] {
            if part.alone {
                roles.remove(part.axis);
            } else {
                roles[part.axis] = Role::Fixed(part.to - part.from);
            }
            if let Some(axis) = part.unit {
                roles.remove(axis);
            }
        }
        roles
    }
}

/// All of a tensor, but for an axis of one entry.
fn unit(axis: usize) -> Part {
    Part {
        axis,
        from: 0,
        to: 1,
        alone: true,
        unit: None,
    }
}

/// Whether two ways differ in nothing but which axis of one entry they leave out.
fn same_order(a: &[Part], b: &[Part]) -> bool {
    let size = |p: &Part| (p.from, p.to, p.alone);
    a.iter().map(size).eq(b.iter().map(size))
}

/// `h+c`: both; a port that is called so stands for itself.
fn names(text: &str, ports: &[Port]) -> Vec<String> {
    if ports.iter().any(|p| p.name == text) {
        return vec![text.into()];
    }
    text.split('+').map(str::to_owned).collect()
}
