//! LinearAttention and CausalConvWithState: recurrences as operators of the standard.

use super::{Call, Found};
use crate::check::types::{Extent, Fault, Info, extent_text, fault, same};
use crate::check::{Expr, Rule};

/// `dim` must be one of `wanted`.
pub(super) fn one_of(what: &str, dim: &Extent, wanted: &[Extent]) -> Result<(), Fault> {
    if wanted.iter().any(|w| same(dim, w).is_some()) {
        return Ok(());
    }
    let words: Vec<String> = wanted.iter().map(extent_text).collect();
    fault(
        Rule::Shape,
        format!(
            "{what} is {}, wanted {}",
            extent_text(dim),
            words.join(" or ")
        ),
    )
}

/// What is known of equal dimensions together.
pub(super) fn merge<'a>(
    what: &str,
    dims: impl IntoIterator<Item = &'a Extent>,
) -> Result<Extent, Fault> {
    dims.into_iter().try_fold(None, |known, dim| {
        one_of(what, dim, std::slice::from_ref(&known))?;
        Ok(same(&known, dim).flatten())
    })
}

/// The axis that heads share, for one head.
fn per_head(what: &str, dim: &Extent, heads: i64) -> Result<Extent, Fault> {
    let each = dim.as_ref().and_then(|e| e.exact_div(heads));
    match dim.as_ref().and_then(Expr::as_number) {
        Some(n) if each.is_none() => fault(
            Rule::Shape,
            format!("{what} has {n} entries for {heads} heads"),
        ),
        _ => Ok(each),
    }
}

fn times(extent: &Extent, n: i64) -> Extent {
    extent.as_ref().and_then(|e| e.mul(&Expr::number(n)))
}

/// Heads of queries, and of states. `shared`: several of the states may have one query.
fn heads(call: &Call, shared: bool) -> Result<(i64, i64), Fault> {
    let (q, kv) = (call.int("q_num_heads", 0), call.int("kv_num_heads", 0));
    if q <= 0 || kv <= 0 || q % kv != 0 && !(shared && kv % q == 0) {
        let or = if shared { ", or divide it" } else { "" };
        return fault(
            Rule::Attribute,
            format!("q_num_heads {q} must be a positive multiple of kv_num_heads {kv}{or}"),
        );
    }
    Ok((q, kv))
}

/// The width of a key, where several of `kv` states may share one: keys of that width must be as many as divide the states.
fn shared_keys(dim: &Extent, d_k: &Extent, kv: i64) -> Result<(), Fault> {
    let number = |e: &Extent| e.as_ref().and_then(Expr::as_number);
    let (Some(wide), Some(one)) = (number(dim), number(d_k)) else {
        return Ok(());
    };
    if one > 0 && wide % one == 0 && wide > 0 && kv % (wide / one) == 0 {
        return Ok(());
    }
    let what = format!(
        "key has {wide} entries, which is no number of keys of {one} that divides {kv} states"
    );
    fault(Rule::Shape, what)
}

/// The inputs that the update rule needs.
fn needs(call: &Call) -> Result<(), Fault> {
    let rules = ["gated_delta", "linear", "gated", "delta"];
    let rule = call.word("update_rule", &rules)?;
    for (i, name) in [(4, "gated"), (5, "delta")] {
        if rule.contains(name) && !call.given(i) {
            let what = if i == 4 { "decay" } else { "beta" };
            return fault(
                Rule::Arity,
                format!("update_rule {rule} needs {what} (input {i})"),
            );
        }
    }
    Ok(())
}

pub(in crate::check) fn linear_attention(call: &Call) -> Found {
    attention(call, false)
}

/// That of `com.microsoft`: several states may share a key, and a query.
pub(in crate::check) fn shared_attention(call: &Call) -> Found {
    attention(call, true)
}

fn attention(call: &Call, shared: bool) -> Found {
    let (q_heads, kv_heads) = heads(call, shared)?;
    needs(call)?;
    [(0, 3), (1, 3), (2, 3), (3, 4), (4, 3), (5, 3)]
        .into_iter()
        .try_for_each(|(i, rank)| call.rank(i, rank))?;
    let at = |i: usize, k: usize| call.dims(i).map_or(&None, |d| &d[k]);
    let packed = [0, 1, 2, 4, 5];
    let batch = merge("the batch", packed.iter().chain(&[3]).map(|i| at(*i, 0)))?;
    let time = merge("the time", packed.iter().map(|i| at(*i, 1)))?;
    let mut d_k = vec![per_head("query", at(0, 2), q_heads)?, at(3, 2).clone()];
    if !shared {
        d_k.push(per_head("key", at(1, 2), kv_heads)?);
    }
    let d_k = merge("the width of a key", &d_k)?;
    if shared {
        shared_keys(at(1, 2), &d_k, kv_heads)?;
    }
    let d_v = [per_head("value", at(2, 2), kv_heads)?, at(3, 3).clone()];
    let d_v = merge("the width of a value", &d_v)?;
    let heads = Some(Expr::number(kv_heads));
    one_of(
        "the heads of the state",
        at(3, 1),
        std::slice::from_ref(&heads),
    )?;
    one_of("decay", at(4, 2), &[times(&d_k, kv_heads), heads.clone()])?;
    one_of("beta", at(5, 2), &[heads.clone(), Some(Expr::number(1))])?;
    let output = vec![batch.clone(), time, times(&d_v, q_heads.max(kv_heads))];
    let state = vec![batch, heads, d_k, d_v];
    let state_type = match call.given(3) {
        true => call.dtype(3),
        false => call.dtype(0),
    };
    Ok(vec![
        Info::new(call.out[0], Some(output)),
        Info::new(state_type, Some(state)),
    ])
}

/// Input `[batch, channels, time]`, weight `[channels, 1, k]`, bias `[channels]`, state `[batch, channels, k - 1]`.
pub(in crate::check) fn causal_conv(call: &Call) -> Found {
    call.word("activation", &["none", "silu", "swish"])?;
    [(0, 3), (1, 3), (2, 1), (3, 3)]
        .into_iter()
        .try_for_each(|(i, rank)| call.rank(i, rank))?;
    let at = |i: usize, k: usize| call.dims(i).map_or(&None, |d| &d[k]);
    let batch = merge("the batch", [at(0, 0), at(3, 0)])?;
    let channels = [at(0, 1), at(1, 0), at(2, 0), at(3, 1)];
    let channels = merge("the channels", channels)?;
    one_of(
        "the weight's middle axis",
        at(1, 1),
        &[Some(Expr::number(1))],
    )?;
    let before = at(1, 2).as_ref().and_then(|k| k.sub(&Expr::number(1)));
    let before = merge("the state's length", [&before, at(3, 2)])?;
    let output = vec![batch.clone(), channels.clone(), at(0, 2).clone()];
    Ok(vec![
        Info::new(call.out[0], Some(output)),
        Info::new(call.out[1], Some(vec![batch, channels, before])),
    ])
}
