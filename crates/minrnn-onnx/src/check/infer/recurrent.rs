//! GRU and LSTM.

use super::attention::{merge, one_of};
use super::{Call, Found, Info};
use crate::check::Expr;
use crate::check::types::Extent;

/// Input `[T, B, M]`, weights `[directions, P D, M]` and `[directions, P D, D]`, biases `[directions, 2 P D]`, lengths `[B]`, states
/// `[directions, B, D]`, peepholes `[directions, 3 D]`: all steps `[T, directions, B, D]`, then the last states. With the layout 1 nothing
/// is followed.
pub(in crate::check) fn recurrent(call: &Call) -> Found {
    let parts = if call.node.op_type == "GRU" { 3 } else { 4 };
    let ranks = [3, 3, 3, 2, 1, 3, 3, 2];
    (0..ranks.len()).try_for_each(|i| call.rank(i, ranks[i]))?;
    if call.flag("layout", false)? {
        return call.unknown();
    }
    call.flag("linear_before_reset", false)?;
    call.flag("input_forget", false)?;
    let ways = match call.word("direction", &["forward", "reverse", "bidirectional"])? {
        "bidirectional" => 2,
        _ => 1,
    };
    let at = |i: usize, k: usize| call.dims(i).map_or(&None, |d| &d[k]);
    let number = |n: i64| Some(Expr::number(n));
    let times = |extent: &Extent, n: i64| extent.as_ref().and_then(|e| e.mul(&Expr::number(n)));
    let said = match call.node.int("hidden_size") {
        None => None,
        Some(n) => number(n),
    };
    let hidden = merge("the hidden size", [&said, at(2, 2), at(5, 2), at(6, 2)])?;
    let batch = merge("the batch", [at(0, 1), at(4, 0), at(5, 1), at(6, 1)])?;
    merge("the input's width", [at(0, 2), at(1, 2)])?;
    for (i, wide) in [(1, parts), (2, parts), (3, 2 * parts), (7, 3)] {
        one_of("the directions", at(i, 0), &[number(ways)])?;
        one_of("the width of the gates", at(i, 1), &[times(&hidden, wide)])?;
    }
    for i in [5, 6] {
        one_of("the directions", at(i, 0), &[number(ways)])?;
    }
    let all = vec![
        at(0, 0).clone(),
        number(ways),
        batch.clone(),
        hidden.clone(),
    ];
    let last = vec![number(ways), batch, hidden];
    let found = call.out.iter().enumerate().map(|(i, dtype)| {
        let dims = if i == 0 { &all } else { &last };
        Info::new(*dtype, Some(dims.clone()))
    });
    Ok(found.collect())
}
