//! What an operator sees of its node: inputs, attributes, limits. What it does not read is refused afterwards.

use std::cell::Cell;

use super::EvalErrorKind as Fault;
use super::array::{Array, count};
use super::budget::Meter;
use super::number::{round, unit};
use crate::ir::{Attr, DType, Node, Tensor};

/// Results of an operator, one for each output that it has.
pub(super) type Done = Result<Vec<Array>, Fault>;

/// One evaluation of a node.
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    /// Version of the operator's set.
    pub(super) opset: i64,
    inputs: &'a [Option<&'a Array>],
    /// Whether every result is rounded to its type, as an engine does.
    stepwise: bool,
    meter: &'a Meter,
    inputs_read: Cell<u64>,
    attributes_read: Cell<u64>,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        node: &'a Node,
        opset: i64,
        inputs: &'a [Option<&'a Array>],
        stepwise: bool,
        meter: &'a Meter,
    ) -> Self {
        Self {
            node,
            opset,
            inputs,
            stepwise,
            meter,
            inputs_read: Cell::new(0),
            attributes_read: Cell::new(0),
        }
    }

    /// Every input and attribute that is there must have been read.
    pub(super) fn all_read(&self) -> Result<(), Fault> {
        let unread = |mask: u64, i: usize| i < 64 && mask & (1 << i) == 0;
        for (i, input) in self.inputs.iter().enumerate() {
            if input.is_some() && unread(self.inputs_read.get(), i) {
                return Err(Fault::UnknownInput(i));
            }
        }
        for (i, (name, _)) in self.node.attributes.iter().enumerate() {
            if i >= 64 || unread(self.attributes_read.get(), i) {
                return Err(Fault::UnknownAttribute(name.clone()));
            }
        }
        Ok(())
    }

    /// How many inputs are written, left-out ones among them.
    pub(super) fn arity(&self) -> usize {
        self.inputs.len()
    }

    pub(super) fn opt(&self, i: usize) -> Option<&'a Array> {
        let bit = if i < 64 { 1 << i } else { 0 };
        self.inputs_read.set(self.inputs_read.get() | bit);
        self.inputs.get(i).copied().flatten()
    }

    pub(super) fn x(&self, i: usize) -> Result<&'a Array, Fault> {
        self.opt(i).ok_or_else(|| Fault::input(i, "is missing"))
    }

    /// All inputs, none left out, one at least.
    pub(super) fn all(&self) -> Result<Vec<&'a Array>, Fault> {
        self.x(0)?;
        (0..self.arity()).map(|i| self.x(i)).collect()
    }

    pub(super) fn floats(&self, i: usize) -> Result<&'a [f64], Fault> {
        let x = self.x(i)?;
        x.floats()
            .ok_or_else(|| Fault::input(i, format!("is of type {}, wanted a float", x.dtype())))
    }

    pub(super) fn ints(&self, i: usize) -> Result<&'a [i128], Fault> {
        let x = self.x(i)?;
        x.ints()
            .ok_or_else(|| Fault::input(i, format!("is of type {}, wanted an integer", x.dtype())))
    }

    /// Integers that count, index or name axes: of up to 64 bits.
    pub(super) fn i64s(&self, i: usize) -> Result<Vec<i64>, Fault> {
        let narrow = |n: &i128| i64::try_from(*n).ok();
        let all: Option<_> = self.ints(i)?.iter().map(narrow).collect();
        all.ok_or_else(|| Fault::input(i, "has a number beyond 64 bits"))
    }

    pub(super) fn opt_i64s(&self, i: usize) -> Result<Option<Vec<i64>>, Fault> {
        self.opt(i).map(|_| self.i64s(i)).transpose()
    }

    /// Dimensions that are not negative.
    pub(super) fn sizes(&self, i: usize) -> Result<Vec<usize>, Fault> {
        let all: Option<_> = self
            .i64s(i)?
            .iter()
            .map(|n| usize::try_from(*n).ok())
            .collect();
        all.ok_or_else(|| Fault::input(i, "has a negative size"))
    }

    /// The one integer of an input.
    pub(super) fn one_i64(&self, i: usize) -> Result<i64, Fault> {
        match self.i64s(i)?[..] {
            [one] => Ok(one),
            _ => Err(Fault::input(i, "wanted one number")),
        }
    }

    /// The one float of an input.
    pub(super) fn one_float(&self, i: usize) -> Result<f64, Fault> {
        match self.x(i)?.as_floats()[..] {
            [one] => Ok(one),
            _ => Err(Fault::input(i, "wanted one number")),
        }
    }

    fn attr(&self, name: &str) -> Option<&'a Attr> {
        let i = self.node.attributes.iter().position(|(n, _)| n == name)?;
        let bit = if i < 64 { 1 << i } else { 0 };
        self.attributes_read.set(self.attributes_read.get() | bit);
        Some(&self.node.attributes[i].1)
    }

    fn kind<T>(&self, name: &str, get: impl Fn(&'a Attr) -> Option<T>) -> Result<Option<T>, Fault> {
        let Some(attr) = self.attr(name) else {
            return Ok(None);
        };
        let wrong = || Fault::attribute(name, format!("is of another type: {}", attr.kind()));
        get(attr).map(Some).ok_or_else(wrong)
    }

    pub(super) fn opt_int(&self, name: &str) -> Result<Option<i64>, Fault> {
        self.kind(name, |a| match a {
            Attr::Int(n) => Some(*n),
            _ => None,
        })
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, Fault> {
        Ok(self.opt_int(name)?.unwrap_or(default))
    }

    /// 0 or 1.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Fault> {
        match self.int(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            n => Err(Fault::attribute(name, format!("is {n}, wanted 0 or 1"))),
        }
    }

    /// A number that is not negative.
    pub(super) fn opt_size(&self, name: &str) -> Result<Option<usize>, Fault> {
        let size = |n: i64| {
            usize::try_from(n).map_err(|_| Fault::attribute(name, format!("is {n}, below 0")))
        };
        self.opt_int(name)?.map(size).transpose()
    }

    pub(super) fn opt_float(&self, name: &str) -> Result<Option<f64>, Fault> {
        self.kind(name, |a| match a {
            Attr::Float(v) => Some(f64::from(*v)),
            _ => None,
        })
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f64, Fault> {
        Ok(self.opt_float(name)?.unwrap_or(f64::from(default)))
    }

    pub(super) fn word(&self, name: &str, default: &'a str) -> Result<&'a str, Fault> {
        let word = self.kind(name, |a| match a {
            Attr::Str(v) => std::str::from_utf8(v).ok(),
            _ => None,
        })?;
        Ok(word.unwrap_or(default))
    }

    pub(super) fn opt_ints(&self, name: &str) -> Result<Option<&'a [i64]>, Fault> {
        self.kind(name, |a| match a {
            Attr::Ints(v) => Some(&v[..]),
            _ => None,
        })
    }

    pub(super) fn opt_floats(&self, name: &str) -> Result<Option<Vec<f64>>, Fault> {
        self.kind(name, |a| match a {
            Attr::Floats(v) => Some(v.iter().map(|x| f64::from(*x)).collect()),
            _ => None,
        })
    }

    pub(super) fn words(&self, name: &str) -> Result<Option<Vec<&'a str>>, Fault> {
        self.kind(name, |a| match a {
            Attr::Strs(v) => v.iter().map(|s| std::str::from_utf8(s).ok()).collect(),
            _ => None,
        })
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'a Tensor>, Fault> {
        self.kind(name, |a| match a {
            Attr::Tensor(t) => Some(t),
            _ => None,
        })
    }

    /// An element type by its code, in an attribute; 0 and a missing one are `None`.
    pub(super) fn dtype(&self, name: &str) -> Result<Option<DType>, Fault> {
        match self.int(name, 0)? {
            0 => Ok(None),
            code => {
                let known = i32::try_from(code).ok().and_then(DType::from_code);
                let wrong = || Fault::attribute(name, format!("{code} is no element type"));
                known.map(Some).ok_or_else(wrong)
            }
        }
    }

    /// The attribute `axis` of a tensor of that rank.
    pub(super) fn axis(&self, default: i64, rank: usize) -> Result<usize, Fault> {
        axis(self.int("axis", default)?, rank)
    }

    /// How many elements a shape has, if there is memory for them.
    pub(super) fn room(&self, dims: &[usize]) -> Result<usize, Fault> {
        let total = count(dims).ok_or_else(|| Fault::Shape(format!("{dims:?} is not possible")))?;
        self.meter.room(total)?;
        Ok(total)
    }

    /// Takes operations from the budget, before they are done.
    pub(super) fn spend(&self, factors: &[usize]) -> Result<(), Fault> {
        self.meter.spend(factors)
    }

    /// Whether f16 and bf16 are held in float64 here.
    pub(super) fn unrounded(&self) -> bool {
        self.meter.unrounded && !self.stepwise
    }

    /// Whether an operator is rounded inside as engines fuse it.
    pub(super) fn is_fused(&self) -> bool {
        self.stepwise && self.meter.fused
    }

    /// By how many times its size a sum of `terms` numbers within an operator is off, up or down by chance, in a run whose results are
    /// moved; 0 in any other.
    pub(super) fn slip(&self, dtype: DType, terms: usize) -> f64 {
        let number = match self.stepwise && terms > 1 {
            true => self.meter.moves(),
            false => None,
        };
        let chance = |n: u64| 2.0 * (n as f64 / u64::MAX as f64) - 1.0;
        number.map_or(0.0, |n| unit(dtype) * (terms as f64).sqrt() * chance(n))
    }

    /// What a step within an operator leaves: rounded where engines round.
    pub(super) fn settle(&self, dtype: DType, x: f64) -> f64 {
        match self.stepwise {
            true => round(dtype, x),
            false => x,
        }
    }
}

/// An axis that may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Fault> {
    let size = i64::try_from(rank).unwrap_or(i64::MAX);
    let counted = if axis < 0 {
        axis.checked_add(size)
    } else {
        Some(axis)
    };
    counted
        .and_then(|a| usize::try_from(a).ok())
        .filter(|a| *a < rank)
        .ok_or_else(|| Fault::Shape(format!("axis {axis} of {rank} axes")))
}

/// Several axes, each once.
pub(super) fn axes(all: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    let mut found = vec![];
    for a in all {
        let a = axis(*a, rank)?;
        if found.contains(&a) {
            return Err(Fault::Shape(format!("axis {a} is given twice")));
        }
        found.push(a);
    }
    Ok(found)
}
