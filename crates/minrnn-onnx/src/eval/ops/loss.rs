//! Losses of classes.

use super::{Array, Call, Done, Fault, Groups, Op, rank, smooth};

pub(super) const OPS: &[Op] = &[
    smooth("NegativeLogLikelihoodLoss", 12, |c| {
        Ok(vec![negative(c, c.floats(0)?)?])
    }),
    smooth("SoftmaxCrossEntropyLoss", 12, cross_entropy),
];

/// `-x[class] * weight[class]`, reduced; classes are axis 1.
fn negative(call: &Call, log: &[f64]) -> Result<Array, Fault> {
    let x = call.x(0)?;
    rank(x, 2)?;
    let classes = x.dims()[1];
    let places = [&x.dims()[..1], &x.dims()[2..]].concat();
    let targets = call.i64s(1)?;
    if call.x(1)?.dims() != places {
        return Err(Fault::input(
            1,
            format!("{:?}, wanted {places:?}", call.x(1)?.dims()),
        ));
    }
    let weights = call.opt(2).map(|_| call.floats(2)).transpose()?;
    if weights.is_some_and(|w| w.len() != classes) {
        return Err(Fault::input(
            2,
            format!("wanted one for each of {classes} classes"),
        ));
    }
    let ignored = call.opt_int("ignore_index")?;
    let inner: usize = x.dims()[2..].iter().product();
    let (mut losses, mut total) = (vec![], 0.0);
    for (i, target) in targets.iter().enumerate() {
        if Some(*target) == ignored {
            losses.push(0.0);
            continue;
        }
        let class = usize::try_from(*target).ok().filter(|c| *c < classes);
        let class = class.ok_or_else(|| Fault::Value(format!("class {target} of {classes}")))?;
        let weight = weights.map_or(1.0, |w| w[class]);
        losses.push(-log[(i / inner * classes + class) * inner + i % inner] * weight);
        total += weight;
    }
    let sum = losses.iter().sum::<f64>();
    let one = |v: f64| Array::of_floats(x.dtype(), vec![], vec![v]);
    Ok(match call.word("reduction", "mean")? {
        "none" => Array::of_floats(x.dtype(), places, losses),
        "sum" => one(sum),
        "mean" => one(sum / total),
        word => return Err(super::wrong_word("reduction", word)),
    })
}

fn cross_entropy(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    rank(x, 2)?;
    let g = Groups::new(call, x.dims(), &[1])?;
    let mut log = vec![0.0; v.len()];
    for b in &g.begins {
        let line: Vec<f64> = g.of(*b).map(|i| v[i]).collect();
        let made = super::softmax::log_softmax(&line);
        g.of(*b).zip(made).for_each(|(i, y)| log[i] = y);
    }
    let loss = negative(call, &log)?;
    Ok(vec![loss, x.with(log)])
}
