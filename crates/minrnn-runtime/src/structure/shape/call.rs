//! A node with what it gets: which rule makes its shapes, and what rules ask of it.

use super::fact::Fact;
use super::{Found, cell, element, layout, make, part, product};
use crate::operator::Rule;
use crate::proto::{DataType, NodeProto};

/// What a value costs that is more than a multiplication.
const FUNCTION: u64 = 4;

/// A node and what it gets.
pub(super) struct Call<'a> {
    pub(super) node: &'a NodeProto,
    pub(super) inputs: Vec<Option<&'a Fact>>,
    pub(super) opset: i64,
}

impl<'a> Call<'a> {
    pub(super) fn infer(&self, rule: Rule) -> Found {
        match rule {
            Rule::Unary => element::unary(self),
            Rule::Same => element::same(self),
            Rule::Arithmetic => element::arithmetic(self),
            Rule::Compare => element::compare(self),
            Rule::Logic => element::logic(self),
            Rule::Where => element::choose(self),
            Rule::Clip => element::clip(self),
            Rule::Cast => element::cast(self),
            Rule::Softmax => product::softmax(self),
            Rule::LayerNorm => product::layer_norm(self),
            Rule::Reduce => product::reduce(self),
            Rule::CumSum => product::sums(self),
            Rule::Shape => make::shape(self),
            Rule::Constant => make::constant(self),
            Rule::Fill => make::fill(self),
            Rule::Expand => make::expand(self),
            Rule::Tile => make::tile(self),
            Rule::Reshape => layout::reshape(self),
            Rule::Squeeze => layout::squeeze(self),
            Rule::Unsqueeze => layout::unsqueeze(self),
            Rule::Transpose => layout::transpose(self),
            Rule::Pad => layout::pad(self),
            Rule::Concat => part::concat(self),
            Rule::Slice => part::slice(self),
            Rule::Split => part::split(self),
            Rule::Gather => part::gather(self),
            Rule::GatherElements => part::gather_elements(self),
            Rule::MatMul => product::matmul(self),
            Rule::MatMulInteger => product::matmul_integer(self),
            Rule::Gemm => product::gemm(self),
            Rule::Conv => product::conv(self),
            Rule::Cell => cell::cell(self),
            Rule::Scan => Err("is no single operation".into()),
        }
    }

    /// Multiplications of a product; one for each value elsewhere.
    pub(super) fn work(&self, rule: Rule, found: &[Fact]) -> u64 {
        let values = found.iter().fold(0u64, |n, f| n.saturating_add(f.volume()));
        let inner = match (rule, self.inputs.first()) {
            (Rule::MatMul | Rule::MatMulInteger, Some(Some(x))) => x.dims.last().copied(),
            (Rule::Conv, _) => self.inputs.get(1).copied().flatten().map(|w| {
                let each = w.dims.iter().skip(1).copied();
                each.fold(1usize, usize::saturating_mul)
            }),
            (Rule::Cell, _) => Some(cell::products(&self.inputs)),
            (Rule::Gemm, Some(Some(x))) => x.dims.iter().max().copied(),
            _ => None,
        };
        let read = self.inputs.iter().flatten().map(|f| f.volume());
        let read = read.fold(0u64, u64::saturating_add);
        let each = match rule {
            Rule::Unary | Rule::Softmax => FUNCTION,
            _ => inner.unwrap_or(1) as u64,
        };
        values.saturating_mul(each).saturating_add(read)
    }

    pub(super) fn get(&self, at: usize) -> Result<&'a Fact, String> {
        let found = self.inputs.get(at).copied().flatten();
        found.ok_or_else(|| format!("input {at} is missing"))
    }

    /// The input at `at`, if it is there.
    pub(super) fn option(&self, at: usize) -> Option<&'a Fact> {
        self.inputs.get(at).copied().flatten()
    }

    /// The numbers of the vector at `at`.
    pub(super) fn ints(&self, at: usize) -> Result<&'a [i64], String> {
        let fact = self.get(at)?;
        if fact.dims.len() != 1 || !fact.is_index() {
            return Err(format!("input {at} is no vector of integers"));
        }
        let what = || format!("input {at} depends on values, which no shape may");
        fact.ints.as_deref().ok_or_else(what)
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        let mut all = self.node.attribute.iter();
        all.find(|a| a.name == name).map(|a| a.i)
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        match self.int(name).unwrap_or(i64::from(default)) {
            0 => Ok(false),
            1 => Ok(true),
            n => Err(format!("{name} is {n}, not 0 or 1")),
        }
    }

    pub(super) fn list(&self, name: &str) -> Option<&'a [i64]> {
        let mut all = self.node.attribute.iter();
        all.find(|a| a.name == name).map(|a| a.ints.as_slice())
    }

    pub(super) fn axis(&self, default: i64, rank: usize) -> Result<usize, String> {
        axis(self.int("axis").unwrap_or(default), rank)
    }

    pub(super) fn one(&self, elem: DataType, dims: Vec<usize>) -> Found {
        Ok(vec![Fact::new(elem, dims)])
    }
}

/// An axis of a tensor of that rank; negative ones count from the end.
pub(crate) fn axis(at: i64, rank: usize) -> Result<usize, String> {
    let found = if at < 0 {
        at.checked_add(rank as i64)
    } else {
        Some(at)
    };
    let found = found
        .and_then(|a| usize::try_from(a).ok())
        .filter(|a| *a < rank);
    found.ok_or_else(|| format!("there is no axis {at} in {rank} dimensions"))
}

/// Some axes, each once.
pub(super) fn axes(at: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    if at.len() > rank {
        return Err(format!("{} axes of {rank} dimensions", at.len()));
    }
    let mut found: Vec<usize> = at
        .iter()
        .map(|a| axis(*a, rank))
        .collect::<Result<_, _>>()?;
    found.sort_unstable();
    if found.windows(2).any(|w| w[0] == w[1]) {
        return Err(format!("axes {at:?} name one twice"));
    }
    Ok(found)
}

/// The shape that both are repeated to.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| match (i + dims.len()).checked_sub(rank) {
        Some(i) => dims[i],
        None => 1,
    };
    let dims = (0..rank).map(|i| match (at(a, i), at(b, i)) {
        (x, y) if x == y => Ok(x),
        (1, y) => Ok(y),
        (x, 1) => Ok(x),
        _ => Err(format!("shapes {a:?} and {b:?} do not fit")),
    });
    dims.collect()
}
