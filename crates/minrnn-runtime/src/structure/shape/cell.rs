//! GRU and LSTM, as the exporter writes them: one direction, the time first, no lengths and no peepholes.

use super::{Call, Fact, Found};
use crate::proto::DataType;

/// Input `[T, B, M]`, weights `[1, P D, M]`, `[1, P D, D]`, biases `[1, 2 P D]`, states `[1, B, D]`: all steps `[T, 1, B, D]`, then the
/// last states.
pub(super) fn cell(call: &Call) -> Found {
    let parts = if call.node.op_type == "GRU" { 3 } else { 4 };
    let (x, w, r) = (call.get(0)?, call.get(1)?, call.get(2)?);
    let ([time, batch, width], [1, wide, from], [1, own, hidden]) =
        (x.dims.as_slice(), w.dims.as_slice(), r.dims.as_slice())
    else {
        return Err("takes three axes, and one direction".into());
    };
    let wrong = || format!("{:?}, {:?} and {:?} do not fit", x.dims, w.dims, r.dims);
    let gates = hidden.checked_mul(parts).ok_or_else(wrong)?;
    if [*wide, *own] != [gates; 2] || width != from {
        return Err(wrong());
    }
    if call.int("hidden_size").is_some_and(|n| n != *hidden as i64) {
        return Err("has another hidden_size than its weights".into());
    }
    call.flag("linear_before_reset", false)?;
    if call.option(4).is_some() {
        return Err("has lengths of its own".into());
    }
    let state = [1, *batch, *hidden];
    let both = gates.checked_mul(2).ok_or_else(wrong)?;
    let wanted = [(3, vec![1, both]), (5, state.to_vec()), (6, state.to_vec())];
    for (at, dims) in wanted {
        if call.option(at).is_some_and(|fact| fact.dims != dims) {
            return Err(format!("input {at} is not {dims:?}"));
        }
    }
    if call
        .inputs
        .iter()
        .flatten()
        .any(|f| f.elem != DataType::Float)
    {
        return Err("takes f32".into());
    }
    let all = Fact::new(DataType::Float, vec![*time, 1, *batch, *hidden]);
    let last = Fact::new(DataType::Float, state.to_vec());
    let count = call.node.output.len();
    Ok([vec![all], vec![last; count.saturating_sub(1)]].concat())
}

/// Multiplications for each value of the state.
pub(super) fn products(inputs: &[Option<&Fact>]) -> usize {
    let each = inputs.get(1..3).into_iter().flatten().flatten();
    // Gates of D channels: P products of that depth.
    let depth = each.map(|w| w.dims.last().copied().unwrap_or(0));
    4usize.saturating_mul(depth.fold(0, usize::saturating_add))
}
