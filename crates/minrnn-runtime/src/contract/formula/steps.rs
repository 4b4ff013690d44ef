//! The recurrence in closed form. Whatever lowering it is, only right ones come out as `h`; how long the sequence is costs nothing.

use crate::proto::{NodeProto, TensorProto};

use super::closed::{Closed, What};
use super::join::join;
use super::moves::Move;
use super::place::Place;
use super::scan::{Scan, elementwise};
use super::term::{Kind, Term};
use super::{Algebra, floats};
use crate::kernels::Binary;
use crate::names::ByName;
use crate::structure::broadcast;

/// The rules.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// Steps in all.
    pub(super) end: i64,
    /// Constants: each is read once, whatever recurrences it pads.
    constants: ByName<String, Closed>,
}

impl Algebra for Steps {
    type Value = Closed;

    fn weight(&mut self, data: &TensorProto) -> Result<Closed, String> {
        let dims = data.dims.iter().map(|d| usize::try_from(*d).unwrap_or(0));
        let values = floats(data).ok_or("reads numbers of another type")?;
        let first = values.first().copied();
        let what = match first.filter(|v| values.iter().all(|w| w == v)) {
            Some(v) => What::Uniform(v),
            None => What::Other,
        };
        Ok(Closed {
            dims: dims.collect(),
            what,
        })
    }

    fn named(&mut self, name: &str, data: &TensorProto) -> Result<Closed, String> {
        if let Some(found) = self.constants.get(name) {
            return Ok(found.clone());
        }
        let found = self.weight(data)?;
        self.constants.insert(name.into(), found.clone());
        Ok(found)
    }

    fn apply(&mut self, step: &Move, inputs: &[Closed]) -> Result<Vec<Closed>, String> {
        let first = || inputs.first().ok_or("reads nothing".to_owned());
        match step {
            Move::Same => Ok(vec![first()?.clone()]),
            Move::Reshape(dims) => {
                let x = first()?;
                let moved = x.moved(dims.clone(), |p| p.reshaped(&x.dims, dims))?;
                Ok(vec![moved])
            }
            Move::Cut(cuts) => cuts.iter().map(|pieces| first()?.cut(pieces)).collect(),
            Move::Order(order) => {
                let x = first()?;
                let dims = order.iter().map(|a| x.dims.get(*a).copied());
                let dims: Option<Vec<usize>> = dims.collect();
                let dims = dims.ok_or("axes of another rank")?;
                Ok(vec![x.moved(dims, |p| p.ordered(order))?])
            }
            Move::Spread(dims) => Ok(vec![first()?.spread(dims)?]),
            Move::Join(axis) => Ok(vec![join(inputs, *axis, self.end)?]),
            Move::Pad(sides, value) => Ok(vec![self.pad(first()?, sides, *value)?]),
            Move::Binary(op) => match inputs {
                [a, b] => Ok(vec![binary(*op, a, b)?]),
                _ => Err("takes more than two tensors".into()),
            },
            Move::Unary(op) => Err(format!("{op:?} is no part of a recurrence")),
            Move::Fill(dims, value) => Ok(vec![Closed {
                dims: dims.clone(),
                what: What::Uniform(*value),
            }]),
        }
    }

    /// By induction over its steps: with `h` before step j, the body gives `h` after it, for all j at once.
    fn scan(&mut self, node: &NodeProto, inputs: &[Closed]) -> Result<Vec<Closed>, String> {
        let scan = Scan::of(node)?;
        let ([state], scanned) = scan.parts(inputs)? else {
            return Err("Scan of other than one state".into());
        };
        let mut parts = vec![];
        let (mut count, mut each) = (1, None);
        for (x, axis) in scanned.iter().zip(&scan.inputs) {
            let order = to_front(*axis, x.dims.len()).ok_or("an axis that is not there")?;
            let x = self.apply(&Move::Order(order), std::slice::from_ref(x))?;
            let x = x.into_iter().next().ok_or("reads nothing")?;
            count = x.dims.first().copied().unwrap_or(1);
            if let What::Term(term) = &x.what {
                each = each.or(term.from.until(&term.to));
            }
            parts.push(x);
        }
        let (What::Term(before), Some(each)) = (&state.what, each) else {
            return Err(format!("Scan from {}", state.words()));
        };
        let begin = before.to.clone();
        let later = |by: i64| begin.later(by);
        let wide: Vec<usize> = std::iter::once(count)
            .chain(state.dims.iter().copied())
            .collect();
        let hypothesis = |by: i64| -> Option<Closed> {
            let lift = |p: &Place| p.lifted(wide.len());
            let to = lift(&later(by)?)?.with_step(0, each)?;
            let term = Term::state(&lift(&before.row)?, &lift(&before.channel)?, &to);
            Closed::term(wide.clone(), &term)
        };
        if before.kind != Kind::State {
            return Err(format!("Scan from {}", state.words()));
        }
        let far = || "steps out of reach".to_owned();
        parts.insert(0, hypothesis(0).ok_or_else(far)?);
        let mut results = elementwise(self, scan.body, parts)?;
        let next = results.first().ok_or("a body without results")?;
        if *next != hypothesis(each).ok_or_else(far)? {
            return Err(format!("the body of the Scan makes {} of h", next.words()));
        }
        let whole = i64::try_from(count).ok().and_then(|n| each.checked_mul(n));
        let last = later(whole.ok_or_else(far)?).ok_or_else(far)?;
        let last = Term::state(&before.row, &before.channel, &last);
        let last = Closed::term(state.dims.clone(), &last).ok_or_else(far)?;
        for (y, axis) in results.iter_mut().skip(1).zip(&scan.outputs) {
            if y.dims.first() != Some(&count) {
                return Err("the body of the Scan gives what is no step".into());
            }
            let order = from_front(*axis, y.dims.len()).ok_or("an axis that is not there")?;
            let moved = self.apply(&Move::Order(order), std::slice::from_ref(&*y))?;
            *y = moved.into_iter().next().ok_or("reads nothing")?;
        }
        results[0] = last;
        Ok(results)
    }
}

impl Steps {
    /// Values before the first entry or after the last.
    fn pad(&self, x: &Closed, sides: &[(usize, usize)], value: f32) -> Result<Closed, String> {
        let mut found = x.clone();
        for (axis, (before, after)) in sides.iter().enumerate() {
            let block = |len: usize| {
                let mut dims = found.dims.clone();
                if let Some(dim) = dims.get_mut(axis) {
                    *dim = len;
                }
                Closed {
                    dims,
                    what: What::Uniform(value),
                }
            };
            if (*before, *after) != (0, 0) {
                let all = [block(*before), found.clone(), block(*after)];
                found = join(&all, axis, self.end)?;
            }
        }
        Ok(found)
    }
}

fn binary(op: Binary, a: &Closed, b: &Closed) -> Result<Closed, String> {
    let dims = broadcast(&a.dims, &b.dims)?;
    let (x, y) = (a.spread(&dims)?, b.spread(&dims)?);
    if dims.contains(&0) {
        let what = What::Other;
        return Ok(Closed { dims, what });
    }
    let term = match (op, &x.what, &y.what) {
        (Binary::Mul, What::Uniform(one), What::Term(t)) if *one == 1.0 => Some(t.as_ref().clone()),
        (Binary::Mul, What::Term(t), What::Uniform(one)) if *one == 1.0 => Some(t.as_ref().clone()),
        (Binary::Mul, What::Term(s), What::Term(t)) => s.times(t),
        (Binary::Add, What::Uniform(zero), What::Term(t)) if *zero == 0.0 => {
            Some(t.as_ref().clone())
        }
        (Binary::Add, What::Term(t), What::Uniform(zero)) if *zero == 0.0 => {
            Some(t.as_ref().clone())
        }
        (Binary::Add, What::Term(s), What::Term(t)) => s.plus(t),
        _ => None,
    };
    let found = term.and_then(|t| Closed::term(dims, &t));
    found.ok_or_else(|| {
        format!(
            "{op:?} of {} and {} is no part of a recurrence",
            a.words(),
            b.words()
        )
    })
}

/// The order in which `axis` comes first.
fn to_front(axis: usize, rank: usize) -> Option<Vec<usize>> {
    let others = (0..rank).filter(|a| *a != axis);
    (axis < rank).then(|| std::iter::once(axis).chain(others).collect())
}

/// The order in which the first axis comes at `axis`.
fn from_front(axis: usize, rank: usize) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (1..rank).collect();
    (axis < rank).then(|| order.insert(axis, 0))?;
    Some(order)
}
