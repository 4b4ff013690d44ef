//! Values from attributes and shapes, Cast, and LinearAttention.

use super::{Array, Call, Data, Done};
use crate::ir::{Attr, DType};

pub(super) fn apply(call: &Call) -> Option<Done> {
    let one = match call.node.op_type.as_str() {
        "Constant" => match &call.node.attributes.first()?.1 {
            Attr::Tensor(t) => Array::constant(t),
            Attr::Int(n) => Array::i64(&[], vec![*n]),
            Attr::Ints(v) => Array::i64(&[v.len()], v.clone()),
            Attr::Float(v) => Array::f32(&[], vec![*v]),
            Attr::Floats(v) => Array::f32(&[v.len()], v.clone()),
            other => panic!("{} is not evaluated", other.kind()),
        },
        "ConstantOfShape" => {
            let dims: Vec<usize> = call.x(0).ints().iter().map(|d| *d as usize).collect();
            let value = match call.node.attr("value") {
                Some(Attr::Tensor(t)) => Array::constant(t),
                _ => Array::f32(&[1], vec![0.0]),
            };
            let count = dims.iter().product();
            value.pick(dims, std::iter::repeat_n(0, count))
        }
        "Range" => range(call),
        "Cast" => cast(call),
        "LinearAttention" => return Some(Ok(attention(call))),
        _ => return None,
    };
    Some(Ok(vec![one]))
}

fn range(call: &Call) -> Array {
    let [start, limit, delta] = [0, 1, 2].map(|i| call.x(i));
    let count = |from: f64, to: f64, step: f64| ((to - from) / step).ceil().max(0.0) as usize;
    match (&start.data, &limit.data, &delta.data) {
        (Data::Floats(a), Data::Floats(b), Data::Floats(s)) => {
            let n = count(f64::from(a[0]), f64::from(b[0]), f64::from(s[0]));
            let all = (0..n).map(|i| a[0] + i as f32 * s[0]).collect();
            Array::floats_of(start.dtype, &[n], all)
        }
        _ => {
            let (a, b, s) = (start.ints()[0], limit.ints()[0], delta.ints()[0]);
            let n = count(a as f64, b as f64, s as f64);
            Array::ints_of(
                start.dtype,
                &[n],
                (0..n).map(|i| a + i as i64 * s).collect(),
            )
        }
    }
}

/// Floats lose their fraction; what is not zero is true.
fn cast(call: &Call) -> Array {
    let x = call.x(0);
    let to = i32::try_from(call.int("to", 0))
        .ok()
        .and_then(DType::from_code)
        .unwrap();
    let float = to.is_float();
    let data = match &x.data {
        Data::Floats(v) if float => Data::Floats(v.clone()),
        Data::Floats(v) if to == DType::Bool => {
            Data::Ints(v.iter().map(|v| i64::from(*v != 0.0)).collect())
        }
        Data::Floats(v) => Data::Ints(v.iter().map(|v| *v as i64).collect()),
        Data::Ints(v) if float => Data::Floats(v.iter().map(|v| *v as f32).collect()),
        Data::Ints(v) => Data::Ints(v.clone()),
    };
    Array::of(to, &x.dims, data)
}

/// Step by step, in f32: S = exp(g) S + k (x) d, o = scale q S, where d is v, or what v adds to what k recalls.
fn attention(call: &Call) -> Vec<Array> {
    let (q, k, v) = (call.x(0), call.x(1), call.x(2));
    let (heads, kv) = (
        call.int("q_num_heads", 1) as usize,
        call.int("kv_num_heads", 1) as usize,
    );
    let (batch, time) = (q.dims[0], q.dims[1]);
    let (dk, dv) = (k.dims[2] / kv, v.dims[2] / kv);
    let rule = call.word("update_rule", "gated_delta");
    let scale = match call.float("scale", 0.0) {
        0.0 => 1.0 / (dk as f32).sqrt(),
        given => given,
    };
    let past = call.opt(3);
    let mut state = past.map_or(vec![0.0; batch * kv * dk * dv], |p| p.floats().to_vec());
    let mut out = vec![0.0; batch * time * heads * dv];
    // The entry of head `h` of `width` entries a step in all; one for all is shared.
    let at = |a: &Array, row: usize, i: usize| {
        a.floats()[row * a.dims[2] + if a.dims[2] == 1 { 0 } else { i }]
    };
    for b in 0..batch {
        for t in 0..time {
            let row = b * time + t;
            for h in 0..kv {
                let s = &mut state[(b * kv + h) * dk * dv..][..dk * dv];
                if let Some(g) = call.opt(4).filter(|_| rule.contains("gated")) {
                    let each = g.dims[2] == kv * dk;
                    for i in 0..dk {
                        let decay = at(g, row, if each { h * dk + i } else { h }).exp();
                        s[i * dv..(i + 1) * dv].iter_mut().for_each(|x| *x *= decay);
                    }
                }
                for j in 0..dv {
                    let mut add = at(v, row, h * dv + j);
                    if let Some(beta) = call.opt(5).filter(|_| rule.contains("delta")) {
                        let recalled: f32 = (0..dk)
                            .map(|i| s[i * dv + j] * at(k, row, h * dk + i))
                            .sum();
                        add = (add - recalled) * at(beta, row, h);
                    }
                    (0..dk).for_each(|i| s[i * dv + j] += at(k, row, h * dk + i) * add);
                }
                for query in h * heads / kv..(h + 1) * heads / kv {
                    for j in 0..dv {
                        let dot: f32 = (0..dk)
                            .map(|i| at(q, row, query * dk + i) * s[i * dv + j])
                            .sum();
                        out[(row * heads + query) * dv + j] = scale * dot;
                    }
                }
            }
        }
    }
    let state_type = past.map_or(q.dtype, |p| p.dtype);
    vec![
        Array::floats_of(q.dtype, &[batch, time, heads * dv], out),
        Array::floats_of(state_type, &[batch, kv, dk, dv], state),
    ]
}
