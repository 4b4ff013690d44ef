//! Attention.

use super::softmax::softmax;
use super::{Array, Call, Done, Fault, Op, broadcast, smooth, sources};
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[smooth("Attention", 23, attention)];

/// `[B, heads, T, width]`, from 4 axes or from 3 with the heads side by side.
struct Heads {
    batch: usize,
    heads: usize,
    time: usize,
    width: usize,
    data: Vec<f64>,
}

impl Heads {
    fn new(call: &Call, i: usize, heads: Option<usize>) -> Result<Self, Fault> {
        let x = call.x(i)?;
        let (split, v) = match *x.dims() {
            [_, _, _, _] => (x.clone(), call.floats(i)?.to_vec()),
            [batch, time, wide] => {
                let heads = heads.filter(|h| *h > 0 && wide.is_multiple_of(*h));
                let heads = heads.ok_or_else(|| {
                    let what = format!("{:?} without a fitting number of heads", x.dims());
                    Fault::input(i, what)
                })?;
                call.floats(i)?;
                let split = super::layout::shaped(x, vec![batch, time, heads, wide / heads])?;
                let turned = super::layout::turned(&split, &[0, 2, 1, 3]);
                let v = turned.as_floats();
                (turned, v)
            }
            _ => {
                let what = format!("{:?}, wanted 3 or 4 axes", x.dims());
                return Err(Fault::input(i, what));
            }
        };
        let [batch, heads, time, width] = *split.dims() else {
            return Err(Fault::input(i, "wanted 3 or 4 axes"));
        };
        Ok(Self {
            batch,
            heads,
            time,
            width,
            data: v,
        })
    }

    /// What came before, then this.
    fn after(self, call: &Call, past: usize) -> Result<Self, Fault> {
        let Some(p) = call.opt(past) else {
            return Ok(self);
        };
        let v = call.floats(past)?;
        let [b, h, t, w] = *p.dims() else {
            return Err(Fault::input(past, format!("{:?}, wanted 4 axes", p.dims())));
        };
        if (b, h, w) != (self.batch, self.heads, self.width) {
            return Err(Fault::input(past, format!("{:?} does not fit", p.dims())));
        }
        let mut data = vec![];
        for i in 0..b * h {
            data.extend_from_slice(&v[i * t * w..(i + 1) * t * w]);
            data.extend_from_slice(&self.data[i * self.time * w..(i + 1) * self.time * w]);
        }
        Ok(Self {
            time: t + self.time,
            data,
            ..self
        })
    }

    fn row(&self, b: usize, h: usize, t: usize) -> &[f64] {
        let at = ((b * self.heads + h) * self.time + t) * self.width;
        &self.data[at..at + self.width]
    }

    fn array(&self, dtype: DType) -> Array {
        let dims = vec![self.batch, self.heads, self.time, self.width];
        Array::of_floats(dtype, dims, self.data.clone())
    }
}

/// What is added to each score, `[B, heads, T, S]`: `-inf` where a key is not seen.
fn mask(call: &Call, dims: [usize; 4]) -> Result<Vec<f64>, Fault> {
    let total = call.room(&dims)?;
    let Some(m) = call.opt(3) else {
        return Ok(vec![0.0; total]);
    };
    let added: Vec<f64> = match (m.floats(), m.ints(), m.dtype()) {
        (Some(v), ..) => v.to_vec(),
        (_, Some(v), DType::Bool) => v
            .iter()
            .map(|n| if *n != 0 { 0.0 } else { f64::NEG_INFINITY })
            .collect(),
        _ => return Err(Fault::input(3, "is neither boolean nor float")),
    };
    let m = Array::of_floats(DType::F64, m.dims().to_vec(), added);
    // A mask over fewer keys hides the others, from opset 24 on; before, it must broadcast.
    let last = m
        .dims()
        .len()
        .checked_sub(1)
        .ok_or_else(|| Fault::input(3, "is one number"))?;
    let m = match m.dims()[last] {
        n if n < dims[3] && call.opset >= 24 => {
            let mut wide = m.dims().to_vec();
            wide[last] = dims[3];
            let hidden = Array::of_floats(DType::F64, vec![], vec![f64::NEG_INFINITY]);
            let from = super::pad::moved(m.dims(), &wide, |_, p| Some(p));
            m.pick_or(Some(&hidden), wide, from.into_iter())
        }
        _ => m,
    };
    if broadcast(&[m.dims(), &dims])? != dims {
        return Err(Fault::input(
            3,
            format!("{:?} for scores {dims:?}", m.dims()),
        ));
    }
    let v = m.as_floats();
    Ok(sources(m.dims(), &dims).into_iter().map(|i| v[i]).collect())
}

/// Which keys each query sees, besides the mask.
struct Sight {
    causal: bool,
    left: i64,
    right: i64,
    /// Keys before the first query, for each row of the batch.
    offset: Vec<i64>,
    /// Keys that are no padding, for each row.
    keys: Vec<i64>,
}

impl Sight {
    fn new(call: &Call, q: &Heads, k: &Heads) -> Result<Self, Fault> {
        let causal = call.flag("is_causal", false)?;
        let window = |name| match call.opset >= 25 {
            true => call.int(name, -1),
            false => Ok(-1),
        };
        let (left, right) = (window("left_window_size")?, window("right_window_size")?);
        if left < -1 || right < -1 {
            return Err(Fault::attribute(
                "left_window_size",
                "a window is -1 or at least 0",
            ));
        }
        let past = call
            .opt(4)
            .map(|p| p.dims().get(2).copied().unwrap_or(0) as i64);
        let lens = if call.opset >= 24 {
            call.opt_i64s(6)?
        } else {
            None
        };
        if lens.is_some() && past.is_some() {
            return Err(Fault::input(6, "stands beside a past"));
        }
        if lens.as_ref().is_some_and(|l| l.len() != q.batch) {
            return Err(Fault::input(6, "is not one length for each row"));
        }
        let offset = match (&lens, past) {
            (_, Some(p)) => vec![p; q.batch],
            (Some(l), _) => l.iter().map(|n| n - q.time as i64).collect(),
            _ => vec![0; q.batch],
        };
        let keys = lens.unwrap_or_else(|| vec![k.time as i64; q.batch]);
        Ok(Self {
            causal,
            left,
            right,
            offset,
            keys,
        })
    }

    fn sees(&self, b: usize, query: usize, key: usize) -> bool {
        let (at, key) = (self.offset[b].saturating_add(query as i64), key as i64);
        key < self.keys[b]
            && !(self.causal && key > at)
            && !(self.left >= 0 && at.saturating_sub(key) > self.left)
            && !(self.right >= 0 && key.saturating_sub(at) > self.right)
    }
}

fn attention(call: &Call) -> Done {
    let (q_heads, kv_heads) = (
        call.opt_size("q_num_heads")?,
        call.opt_size("kv_num_heads")?,
    );
    let three = call.x(0)?.dims().len() == 3;
    let q = Heads::new(call, 0, q_heads)?;
    let (k_new, v_new) = (
        Heads::new(call, 1, kv_heads)?,
        Heads::new(call, 2, kv_heads)?,
    );
    let dtypes = [call.x(0)?.dtype(), call.x(1)?.dtype(), call.x(2)?.dtype()];
    if call.opt(4).is_some() != call.opt(5).is_some() {
        return Err(Fault::input(4, "past keys and past values come together"));
    }
    let (k, v) = (k_new.after(call, 4)?, v_new.after(call, 5)?);
    let fits = q.batch == k.batch
        && k.batch == v.batch
        && k.heads == v.heads
        && k.time == v.time
        && q.width == k.width;
    if !fits || k.heads == 0 || !q.heads.is_multiple_of(k.heads) {
        return Err(Fault::Shape("queries, keys and values do not fit".into()));
    }
    if q_heads.is_some_and(|h| h != q.heads) || kv_heads.is_some_and(|h| h != k.heads) {
        return Err(Fault::attribute(
            "q_num_heads",
            "is not the number of heads",
        ));
    }
    let scale = call
        .opt_float("scale")?
        .unwrap_or(1.0 / (q.width as f64).sqrt());
    let cap = call.float("softcap", 0.0)?;
    let shown = call.int("qk_matmul_output_mode", 0)?;
    // The precision of the softmax is a matter of rounding: here it is float64.
    call.dtype("softmax_precision")?;
    let sight = Sight::new(call, &q, &k)?;
    let dims = [q.batch, q.heads, q.time, k.time];
    let mask = mask(call, dims)?;
    call.room(&[q.batch, q.heads, q.time, v.width])?;
    for x in [&k, &v] {
        call.room(&[x.batch, x.heads, x.time, x.width])?;
    }
    call.spend(&[dims.iter().product(), q.width + v.width])?;
    let group = q.heads / k.heads;
    let mut scores = vec![];
    let mut out = Heads {
        batch: q.batch,
        heads: q.heads,
        time: q.time,
        width: v.width,
        data: vec![],
    };
    for b in 0..q.batch {
        for h in 0..q.heads {
            for t in 0..q.time {
                let at = ((b * q.heads + h) * q.time + t) * k.time;
                let raw: Vec<f64> = (0..k.time)
                    .map(|s| scale * dot(q.row(b, h, t), k.row(b, h / group, s)))
                    .collect();
                let capped: Vec<f64> = raw
                    .iter()
                    .map(|x| {
                        if cap > 0.0 {
                            cap * (x / cap).tanh()
                        } else {
                            *x
                        }
                    })
                    .collect();
                let hidden = |s: usize| {
                    if sight.sees(b, t, s) {
                        mask[at + s]
                    } else {
                        f64::NEG_INFINITY
                    }
                };
                let biased: Vec<f64> = capped
                    .iter()
                    .enumerate()
                    .map(|(s, x)| x + hidden(s))
                    .collect();
                // A query that sees no key gets nothing.
                let blind = biased.iter().all(|x| *x == f64::NEG_INFINITY);
                let weights = if blind {
                    vec![0.0; k.time]
                } else {
                    softmax(&biased)
                };
                let sum = |j: usize| {
                    (0..k.time)
                        .filter(|s| weights[*s] != 0.0)
                        .map(|s| weights[s] * v.row(b, h / group, s)[j])
                        .sum::<f64>()
                };
                out.data.extend((0..v.width).map(sum));
                scores.extend(match shown {
                    0 => raw,
                    1 => capped,
                    2 => biased,
                    3 => weights,
                    n => {
                        return Err(Fault::attribute(
                            "qk_matmul_output_mode",
                            format!("{n} is not one of 0 to 3"),
                        ));
                    }
                });
            }
        }
    }
    let y = out.array(dtypes[0]);
    let y = match three {
        true => {
            let side = super::layout::turned(&y, &[0, 2, 1, 3]);
            super::layout::shaped(&side, vec![q.batch, q.time, q.heads * v.width])?
        }
        false => y,
    };
    let scores = Array::of_floats(dtypes[0], dims.to_vec(), scores);
    Ok(vec![y, k.array(dtypes[1]), v.array(dtypes[2]), scores])
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
