//! Operators over and along axes: sums in order, in f32 or i64.

use super::elementwise::repeat;
use super::{Array, Call, Data, Done, at, position, strides};

pub(super) fn apply(call: &Call) -> Option<Done> {
    let x = call.opt(0)?;
    let op = call.node.op_type.as_str();
    Some(Ok(match op {
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" => vec![reduce(call)],
        "CumSum" | "CumProd" => vec![cumulate(call)],
        "Softmax" => vec![softmax(x, call.axis(-1))],
        "LayerNormalization" => layer(call),
        "RMSNormalization" => vec![rms(call)],
        _ => return None,
    }))
}

/// Elements by the position that stays when `gone` goes, in order; with the dimensions, `gone` being 1.
fn groups(x: &Array, gone: &[usize]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut dims = x.dims.clone();
    gone.iter().for_each(|a| dims[*a] = 1);
    let steps = strides(&dims);
    let mut all = vec![vec![]; dims.iter().product()];
    for flat in 0..x.len() {
        let place = position(flat, &x.dims);
        let to: usize = (0..dims.len())
            .filter(|a| !gone.contains(a))
            .map(|a| place[a] * steps[a])
            .sum();
        all[to].push(flat);
    }
    (dims, all)
}

fn fold_floats(op: &str, v: impl Iterator<Item = f32> + Clone) -> f32 {
    let count = v.clone().count() as f32;
    match op {
        "ReduceMean" => v.sum::<f32>() / count,
        "ReduceSum" => v.sum(),
        "ReduceProd" => v.product(),
        "ReduceMax" => v.fold(f32::NEG_INFINITY, f32::max),
        _ => v.fold(f32::INFINITY, f32::min),
    }
}

fn fold_ints(op: &str, v: impl Iterator<Item = i64> + Clone) -> i64 {
    let count = v.clone().count() as i64;
    match op {
        "ReduceMean" => v.sum::<i64>() / count,
        "ReduceSum" => v.sum(),
        "ReduceProd" => v.product(),
        "ReduceMax" => v.fold(i64::MIN, i64::max),
        _ => v.fold(i64::MAX, i64::min),
    }
}

fn reduce(call: &Call) -> Array {
    let (x, op) = (call.x(0), call.node.op_type.as_str());
    let given = call.node.ints("axes").or(call.opt(1).map(Array::ints));
    let rank = x.dims.len();
    let gone: Vec<usize> = match given {
        Some(axes) if !axes.is_empty() => axes.iter().map(|a| at(*a, rank)).collect(),
        _ if call.int("noop_with_empty_axes", 0) == 1 => return x.clone(),
        _ => (0..rank).collect(),
    };
    let (dims, all) = groups(x, &gone);
    let data = match &x.data {
        Data::Floats(v) => Data::Floats(
            all.iter()
                .map(|g| fold_floats(op, g.iter().map(|i| v[*i])))
                .collect(),
        ),
        Data::Ints(v) => Data::Ints(
            all.iter()
                .map(|g| fold_ints(op, g.iter().map(|i| v[*i])))
                .collect(),
        ),
    };
    let result = Array::of(x.dtype, &dims, data);
    if call.int("keepdims", 1) == 1 {
        return result;
    }
    let kept = (0..rank).filter(|i| !gone.contains(i)).map(|i| dims[i]);
    result.shaped(kept.collect())
}

fn cumulate(call: &Call) -> Array {
    let x = call.x(0);
    let axis = at(call.x(1).ints()[0], x.dims.len());
    let product = call.node.op_type == "CumProd";
    let exclusive = call.int("exclusive", 0) == 1;
    let mut data = x.data.clone();
    for mut line in groups(x, &[axis]).1 {
        if call.int("reverse", 0) == 1 {
            line.reverse();
        }
        match &mut data {
            Data::Floats(v) => {
                let one = |a: f32, b: f32| if product { a * b } else { a + b };
                let mut sum = f32::from(u8::from(product));
                for i in line {
                    let next = one(sum, v[i]);
                    v[i] = if exclusive { sum } else { next };
                    sum = next;
                }
            }
            Data::Ints(v) => {
                let one = |a: i64, b: i64| {
                    if product {
                        a.wrapping_mul(b)
                    } else {
                        a.wrapping_add(b)
                    }
                };
                let mut sum = i64::from(product);
                for i in line {
                    let next = one(sum, v[i]);
                    v[i] = if exclusive { sum } else { next };
                    sum = next;
                }
            }
        }
    }
    Array::of(x.dtype, &x.dims, data)
}

fn softmax(x: &Array, axis: usize) -> Array {
    let v = x.floats();
    let mut out = vec![0.0; v.len()];
    for line in groups(x, &[axis]).1 {
        let top = line.iter().fold(f32::NEG_INFINITY, |m, i| m.max(v[*i]));
        let sum: f32 = line.iter().map(|i| (v[*i] - top).exp()).sum();
        line.iter()
            .for_each(|i| out[*i] = (v[*i] - top).exp() / sum);
    }
    Array::floats_of(x.dtype, &x.dims, out)
}

/// The mean over the last axes from `axis`, and one over the root of the variance, in f32.
fn layer(call: &Call) -> Vec<Array> {
    let (x, epsilon) = (call.x(0), call.float("epsilon", 1e-5));
    let v = x.floats();
    let axes: Vec<usize> = (call.axis(-1)..x.dims.len()).collect();
    let (dims, all) = groups(x, &axes);
    let (mut out, mut means, mut roots) = (vec![0.0; v.len()], vec![], vec![]);
    for line in all {
        let mean = fold_floats("ReduceMean", line.iter().map(|i| v[*i]));
        let variance = fold_floats(
            "ReduceMean",
            line.iter().map(|i| (v[*i] - mean) * (v[*i] - mean)),
        );
        let root = 1.0 / (variance + epsilon).sqrt();
        line.iter().for_each(|i| out[*i] = (v[*i] - mean) * root);
        means.push(mean);
        roots.push(root);
    }
    let mut normal = Array::floats_of(x.dtype, &x.dims, out);
    scale(&mut normal, call.x(1), |a, b| a * b);
    if let Some(bias) = call.opt(2) {
        scale(&mut normal, bias, |a, b| a + b);
    }
    vec![normal, Array::f32(&dims, means), Array::f32(&dims, roots)]
}

fn rms(call: &Call) -> Array {
    let (x, epsilon) = (call.x(0), call.float("epsilon", 1e-5));
    let v = x.floats();
    let axes: Vec<usize> = (call.axis(-1)..x.dims.len()).collect();
    let mut out = vec![0.0; v.len()];
    for line in groups(x, &axes).1 {
        let square = fold_floats("ReduceMean", line.iter().map(|i| v[*i] * v[*i]));
        line.iter()
            .for_each(|i| out[*i] = v[*i] / (square + epsilon).sqrt());
    }
    let mut normal = Array::floats_of(x.dtype, &x.dims, out);
    scale(&mut normal, call.x(1), |a, b| a * b);
    normal
}

fn scale(x: &mut Array, by: &Array, f: impl Fn(f32, f32) -> f32) {
    let by = repeat(by, &x.dims);
    let each = x.floats().iter().zip(by.floats());
    let values = each.map(|(a, b)| f(*a, *b)).collect();
    *x = Array::floats_of(x.dtype, &x.dims, values);
}
