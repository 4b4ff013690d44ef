//! LinearAttention and CausalConvWithState, of the standard and of `com.microsoft`.

use super::activation::sigmoid;
use super::{Array, Call, Done, Fault, Kind, Op, microsoft, op};

pub(super) const OPS: &[Op] = &[
    op("LinearAttention", 27, Kind::Inner, |c| linear(c, false)),
    microsoft("LinearAttention", Kind::Inner, |c| {
        only(c, "state_window", 0)?;
        linear(c, true)
    }),
    op("CausalConvWithState", 27, Kind::Smooth, |c| convolve(c, 1)),
    microsoft("CausalConvWithState", Kind::Smooth, |c| {
        for (name, value) in [
            ("ndim", 1),
            ("state_window", 0),
            ("channels_last", 0),
            ("state_channels_last", -1),
            ("state_update_capacity", 0),
            ("state_length", 0),
            ("input_channel_offset", 0),
            ("input_channels", 0),
        ] {
            only(c, name, value)?;
        }
        match c.opt_size("dilation")?.unwrap_or(1) {
            0 => Err(Fault::attribute("dilation", "is 0")),
            n => convolve(c, n),
        }
    }),
];

fn only(call: &Call, name: &str, value: i64) -> Result<(), Fault> {
    match call.int(name, value)? {
        n if n == value => Ok(()),
        n => Err(Fault::attribute(
            name,
            format!("{n} is not evaluated, only {value}"),
        )),
    }
}

/// An input `[B, T, heads * width]`.
struct Rows<'a> {
    v: &'a [f64],
    wide: usize,
}

impl<'a> Rows<'a> {
    fn new(call: &'a Call, i: usize, batch: usize, time: usize) -> Result<Self, Fault> {
        match *call.x(i)?.dims() {
            [b, t, wide] if (b, t) == (batch, time) => Ok(Self {
                v: call.floats(i)?,
                wide,
            }),
            _ => Err(Fault::input(
                i,
                format!("{:?}, wanted [{batch}, {time}, ..]", call.x(i)?.dims()),
            )),
        }
    }

    fn at(&self, row: usize, i: usize) -> f64 {
        self.v[row * self.wide + i]
    }
}

/// Step by step: `S = exp(g) S + k (x) d`, `o = scale q S`, where d is v, or what v adds to what k recalls.
fn linear(call: &Call, shared: bool) -> Done {
    let needed = |name: &str| -> Result<usize, Fault> {
        let n = call.opt_size(name)?.filter(|n| *n > 0);
        n.ok_or_else(|| Fault::attribute(name, "wanted a number above 0"))
    };
    let (heads, kv) = (needed("q_num_heads")?, needed("kv_num_heads")?);
    let rule = call.word("update_rule", "gated_delta")?;
    let (gated, delta) = match rule {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        word => return Err(super::wrong_word("update_rule", word)),
    };
    // How many steps an engine takes at once.
    call.int("chunk_size", 64)?;
    let x = call.x(0)?;
    let [batch, time, _] = *x.dims() else {
        return Err(Fault::input(0, format!("{:?}, wanted 3 axes", x.dims())));
    };
    let [q, k, v] = [0, 1, 2].map(|i| Rows::new(call, i, batch, time));
    let (q, k, v) = (q?, k?, v?);
    let (dk, dv) = (q.wide / heads, v.wide / kv);
    // Microsoft's lets several heads of the state share a key, and a query.
    let keys = if shared && dk > 0 { k.wide / dk } else { kv };
    let whole = q.wide == heads * dk && v.wide == kv * dv && k.wide == keys * dk;
    let divides = keys > 0
        && kv.is_multiple_of(keys)
        && (heads.is_multiple_of(kv) || shared && kv.is_multiple_of(heads));
    if !whole || !divides {
        return Err(Fault::Shape(format!(
            "{heads} queries, {keys} keys and {kv} states of {} / {} / {}",
            q.wide, k.wide, v.wide
        )));
    }
    let dims = [batch, kv, dk, dv];
    let total = call.room(&dims)?;
    let scale = match call.float("scale", 0.0)? {
        0.0 => 1.0 / (dk as f64).sqrt(),
        given => given,
    };
    if gated != call.opt(4).is_some() || delta != call.opt(5).is_some() {
        let what = format!("`{rule}` takes decay and beta as its name says, no other");
        return Err(Fault::attribute("update_rule", what));
    }
    let decay = gated.then(|| Rows::new(call, 4, batch, time)).transpose()?;
    let beta = delta.then(|| Rows::new(call, 5, batch, time)).transpose()?;
    let per_key = decay.as_ref().is_some_and(|g| g.wide == kv * dk && dk > 1);
    if decay.as_ref().is_some_and(|g| g.wide != kv && !per_key)
        || beta.as_ref().is_some_and(|b| b.wide != kv && b.wide != 1)
    {
        return Err(Fault::Shape(format!(
            "decay or beta is not one for each of {kv} states"
        )));
    }
    let (mut state, state_type) = match call.opt(3) {
        Some(p) if p.dims() == dims => (call.floats(3)?.to_vec(), p.dtype()),
        Some(p) => return Err(Fault::input(3, format!("{:?}, wanted {dims:?}", p.dims()))),
        None => (vec![0.0; total], x.dtype()),
    };
    call.spend(&[batch, time, kv, 1 + dk, 1 + dv])?;
    let outs = heads.max(kv);
    let mut out = vec![0.0; call.room(&[batch, time, outs, dv])?];
    for b in 0..batch {
        for row in b * time..(b + 1) * time {
            for h in 0..kv {
                let s = &mut state[(b * kv + h) * dk * dv..][..dk * dv];
                let key = |i: usize| k.at(row, h * keys / kv * dk + i);
                if let Some(g) = &decay {
                    for i in 0..dk {
                        let by = g.at(row, if per_key { h * dk + i } else { h }).exp();
                        s[i * dv..(i + 1) * dv].iter_mut().for_each(|x| *x *= by);
                    }
                }
                for j in 0..dv {
                    let mut add = v.at(row, h * dv + j);
                    if let Some(beta) = &beta {
                        let recalled: f64 = (0..dk).map(|i| s[i * dv + j] * key(i)).sum();
                        add = (add - recalled) * beta.at(row, if beta.wide == 1 { 0 } else { h });
                    }
                    (0..dk).for_each(|i| {
                        s[i * dv + j] = call.settle(state_type, s[i * dv + j] + key(i) * add)
                    });
                }
                for o in h * outs / kv..(h + 1) * outs / kv {
                    let query = o * heads / outs;
                    for j in 0..dv {
                        let dot: f64 = (0..dk)
                            .map(|i| q.at(row, query * dk + i) * s[i * dv + j])
                            .sum();
                        out[(row * outs + o) * dv + j] = scale * dot;
                    }
                }
            }
        }
    }
    Ok(vec![
        Array::of_floats(x.dtype(), vec![batch, time, outs * dv], out),
        Array::of_floats(state_type, dims.to_vec(), state),
    ])
}

fn convolve(call: &Call, dilation: usize) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let [batch, channels, time] = *x.dims() else {
        return Err(Fault::input(
            0,
            format!("{:?}, wanted [batch, channels, length]", x.dims()),
        ));
    };
    let silu = match call.word("activation", "none")? {
        "none" => false,
        "silu" | "swish" => true,
        word => return Err(super::wrong_word("activation", word)),
    };
    let w = call.floats(1)?;
    let [c, 1, taps] = *call.x(1)?.dims() else {
        return Err(Fault::input(
            1,
            format!("{:?}, wanted [channels, 1, k]", call.x(1)?.dims()),
        ));
    };
    if c != channels || taps == 0 {
        return Err(Fault::input(
            1,
            format!("{c} channels of {taps} taps for {channels}"),
        ));
    }
    let bias = call.opt(2).map(|_| call.floats(2)).transpose()?;
    if bias.is_some_and(|b| b.len() != channels) {
        return Err(Fault::input(
            2,
            format!("wanted one for each of {channels} channels"),
        ));
    }
    let held = (taps - 1)
        .checked_mul(dilation)
        .ok_or_else(|| Fault::Shape("too long a window".into()))?;
    let state_dims = [batch, channels, held];
    call.room(&state_dims)?;
    let past = match call.opt(3) {
        Some(p) if p.dims() == state_dims => Some(call.floats(3)?),
        Some(p) => {
            return Err(Fault::input(
                3,
                format!("{:?}, wanted {state_dims:?}", p.dims()),
            ));
        }
        None => None,
    };
    call.spend(&[v.len(), taps])?;
    let (mut out, mut state) = (vec![], vec![]);
    for row in 0..batch * channels {
        let channel = row % channels;
        let mut line = past.map_or(vec![0.0; held], |p| {
            p[row * held..(row + 1) * held].to_vec()
        });
        line.extend_from_slice(&v[row * time..(row + 1) * time]);
        for t in 0..time {
            let sum: f64 = (0..taps)
                .map(|j| w[channel * taps + j] * line[t + j * dilation])
                .sum();
            let y = sum + bias.map_or(0.0, |b| b[channel]);
            out.push(if silu { y * sigmoid(y) } else { y });
        }
        state.extend_from_slice(&line[line.len() - held..]);
    }
    Ok(vec![
        x.with(out),
        Array::of_floats(x.dtype(), state_dims.to_vec(), state),
    ])
}
