//! Arithmetic on the entries of short integer vectors: what shapes are computed from.

use super::MAX_CONTENT;
use crate::check::Expr;

/// `apply` on entries, where a single one is repeated.
pub(super) fn zip(
    a: &[Expr],
    b: &[Expr],
    apply: impl Fn(&Expr, &Expr) -> Option<Expr>,
) -> Option<Vec<Expr>> {
    match (a.len(), b.len()) {
        (n, m) if n == m => a.iter().zip(b).map(|(a, b)| apply(a, b)).collect(),
        (_, 1) => a.iter().map(|a| apply(a, &b[0])).collect(),
        (1, _) => b.iter().map(|b| apply(&a[0], b)).collect(),
        _ => None,
    }
}

pub(super) fn arithmetic(op: &str, a: &[Expr], b: &[Expr]) -> Option<Vec<Expr>> {
    zip(a, b, |a, b| match op {
        "Add" => a.add(b),
        "Sub" => a.sub(b),
        "Mul" => a.mul(b),
        "Div" => a.div(b),
        "Min" if a.at_most(b) => Some(a.clone()),
        "Min" if b.at_most(a) => Some(b.clone()),
        "Max" if a.at_most(b) => Some(b.clone()),
        "Max" if b.at_most(a) => Some(a.clone()),
        _ => None,
    })
}

/// Whether `a < b`, if it is so, or is not so, whatever the named dimensions are.
fn less(a: &Expr, b: &Expr) -> Option<bool> {
    if b.at_most(a) {
        return Some(false);
    }
    let next = a.add(&Expr::number(1))?;
    next.at_most(b).then_some(true)
}

/// Comparisons and logic; truth is 1.
pub(super) fn compare(op: &str, a: &[Expr], b: &[Expr]) -> Option<Vec<Expr>> {
    let truth = |e: &Expr| e.as_number().map(|n| n != 0);
    let one = |a: &Expr, b: &Expr| match op {
        "Less" => less(a, b),
        "Greater" => less(b, a),
        "LessOrEqual" => less(b, a).map(|t| !t),
        "GreaterOrEqual" => less(a, b).map(|t| !t),
        "Equal" if a == b => Some(true),
        "Equal" if less(a, b) == Some(true) || less(b, a) == Some(true) => Some(false),
        "And" => Some(truth(a)? && truth(b)?),
        "Or" => Some(truth(a)? || truth(b)?),
        "Xor" => Some(truth(a)? != truth(b)?),
        _ => None,
    };
    zip(a, b, |a, b| one(a, b).map(|t| Expr::number(i64::from(t))))
}

/// `if ? then : other`, entry by entry.
pub(super) fn choose(condition: &[Expr], then: &[Expr], other: &[Expr]) -> Option<Vec<Expr>> {
    let count = condition.len().max(then.len()).max(other.len());
    let at = |e: &[Expr], i: usize| match e.len() {
        1 => Some(e[0].clone()),
        n if n == count => Some(e[i].clone()),
        _ => None,
    };
    let one = |i| match at(condition, i)?.as_number()? {
        0 => at(other, i),
        _ => at(then, i),
    };
    (0..count.min(MAX_CONTENT + 1)).map(one).collect()
}
