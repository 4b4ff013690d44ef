//! What the axes of an input are: rows, time, or of a fixed size.

use anyhow::{Result, bail};
use minrnn_runtime::{Dim, Elem, Port};

use super::{Finder, Kind, Role};

impl Finder<'_> {
    pub(super) fn given(&self, port: &Port) -> Option<&Vec<Role>> {
        self.request.inputs.get(&port.name)?.dims.as_ref()
    }

    /// The axis of time of the first file's input.
    pub(super) fn time_axis(&self, x: &Port, y: &Port) -> Result<Option<usize>> {
        if let Some(roles) = self.given(x) {
            return Ok(roles.iter().position(|r| *r == Role::Time));
        }
        let Some(dims) = &x.dims else {
            bail!(
                "input `{}`: its shape is not declared; give it as --input {}=B,T,..",
                x.name,
                x.name
            );
        };
        if self.kind == Kind::Same {
            return Ok(self.named_time(dims));
        }
        let Some(step) = &y.dims else {
            bail!(
                "input `{}` of {}: its shape is not declared; give --input {}=B,T,..",
                y.name,
                self.files[1].name(),
                x.name
            );
        };
        let fits = |a: &Dim, b: &Dim| !matches!((a, b), (Dim::Fixed(m), Dim::Fixed(n)) if m != n);
        let equal = |a: &Dim, b: &Dim| a == b && *a != Dim::Unknown;
        // How well the other dimensions fit, if this one is the time.
        let score = |axis: usize| -> Option<usize> {
            let others = dims
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != axis)
                .map(|(_, d)| d);
            let rest: Vec<&Dim> = if dims.len() == step.len() {
                let one = step[axis] == Dim::Fixed(1) && dims[axis] != Dim::Fixed(1);
                one.then(|| {
                    step.iter()
                        .enumerate()
                        .filter(|(i, _)| *i != axis)
                        .map(|(_, d)| d)
                        .collect()
                })?
            } else if dims.len() == step.len() + 1 {
                step.iter().collect()
            } else {
                return None;
            };
            let pairs: Vec<_> = others.zip(rest).collect();
            pairs
                .iter()
                .all(|(a, b)| fits(a, b))
                .then(|| pairs.iter().filter(|(a, b)| equal(a, b)).count())
        };
        let scores: Vec<(usize, usize)> = (0..dims.len())
            .filter_map(|i| Some((score(i)?, i)))
            .collect();
        let Some((best, _)) = scores.iter().max() else {
            if dims.len() == step.len() {
                return Ok(None);
            }
            bail!(
                "input `{}` has shapes [{}] and [{}], of which none is the other without time",
                x.name,
                shown(dims),
                shown(step)
            );
        };
        let axes: Vec<usize> = scores
            .iter()
            .filter(|(s, _)| s == best)
            .map(|(_, i)| *i)
            .collect();
        match axes.as_slice() {
            [axis] => Ok(Some(*axis)),
            _ => bail!(
                "input `{}` has shapes [{}] and [{}]: time may be any of the axes {axes:?}; say which by --input {}=B,T,..",
                x.name,
                shown(dims),
                shown(step),
                x.name
            ),
        }
    }

    /// Where no step file tells: a dimension that is called so, else the second free one, else the only free one.
    pub(super) fn named_time(&self, dims: &[Dim]) -> Option<usize> {
        const NAMES: &[&str] = &[
            "t",
            "time",
            "seq",
            "seq_len",
            "sequence",
            "sequence_length",
            "length",
            "steps",
        ];
        const BATCH: &[&str] = &["b", "n", "batch", "batch_size"];
        let is = |d: &Dim, names: &[&str]| matches!(d, Dim::Symbol(s) if names.contains(&s.to_lowercase().as_str()));
        if let Some(axis) = dims.iter().position(|d| is(d, NAMES)) {
            return Some(axis);
        }
        let free: Vec<usize> = (0..dims.len())
            .filter(|i| self.fixed(&dims[*i]).is_none())
            .collect();
        match free.as_slice() {
            [one] if !is(&dims[*one], BATCH) => Some(*one),
            [_, second, ..] => Some(*second),
            _ => None,
        }
    }

    pub(super) fn roles(&mut self, port: &Port, time: Option<usize>) -> Result<Vec<Role>> {
        if let Some(roles) = self.given(port) {
            return Ok(roles.clone());
        }
        let Some(dims) = port.dims.clone() else {
            bail!(
                "input `{}`: its shape is not declared; give it as --input {}=B,T,..",
                port.name,
                port.name
            );
        };
        let mut roles = vec![];
        let mut batch: Option<&Dim> = None;
        for (i, dim) in dims.iter().enumerate() {
            let fixed = self.fixed(dim);
            if Some(i) == time {
                self.length = fixed.or(self.length);
                roles.push(Role::Time);
                continue;
            }
            roles.push(match fixed {
                Some(n) => Role::Fixed(n),
                None if batch.is_none_or(|b| b == dim && *b != Dim::Unknown) => {
                    batch = Some(dim);
                    Role::Batch
                }
                None => bail!("input `{}` has the free dimensions [{}]; give --dim NAME=N or --input {}=B,T,..", port.name, shown(&dims), port.name),
            });
        }
        Ok(roles)
    }

    pub(super) fn range(&self, x: &Port, y: &Port, elem: Elem) -> Result<(i64, i64)> {
        let given = [x, y]
            .iter()
            .find_map(|p| self.request.inputs.get(&p.name)?.range);
        if elem.is_float() || elem == Elem::Bool {
            return Ok((0, 1));
        }
        if let Some(range) = given {
            return Ok(range);
        }
        let rows = [
            self.files[0].vocabulary(&x.name),
            self.files[1].vocabulary(&y.name),
        ];
        match rows.into_iter().flatten().min() {
            Some(rows) if rows > 0 => Ok((0, rows as i64 - 1)),
            _ => bail!(
                "input `{}` takes integers, and no table tells which; give --input {}=..:int=LOW..HIGH",
                x.name,
                x.name
            ),
        }
    }
}

fn shown(dims: &[Dim]) -> String {
    dims.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
