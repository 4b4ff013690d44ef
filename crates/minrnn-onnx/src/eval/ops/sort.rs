//! Operators that order: TopK, Unique.

use std::cmp::Ordering;

use super::{Array, Call, Done, Fault, Groups, Kind, Op, axis, op};

pub(super) const OPS: &[Op] = &[
    op("TopK", 7, Kind::Chooses, top_k),
    op("Unique", 11, Kind::Chooses, unique),
];

/// Elements at two positions; what is no number is larger than every number.
fn order(x: &Array, a: usize, b: usize) -> Ordering {
    match (x.floats(), x.ints()) {
        (Some(v), _) => floats(v[a], v[b]),
        (_, Some(v)) => v[a].cmp(&v[b]),
        _ => Ordering::Equal,
    }
}

fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn top_k(call: &Call) -> Done {
    let x = call.x(0)?;
    let at = call.axis(-1, x.dims().len())?;
    let k = match call.opset < 10 {
        true => call
            .opt_size("k")?
            .ok_or_else(|| Fault::attribute("k", "is missing"))?,
        false => usize::try_from(call.one_i64(1)?).map_err(|_| Fault::input(1, "is negative"))?,
    };
    let (mut largest, mut sorted) = (true, true);
    if call.opset >= 11 {
        largest = call.flag("largest", true)?;
        sorted = call.flag("sorted", true)?;
    }
    // Unsorted, any order is right; this one is too.
    let _ = sorted;
    let size = x.dims()[at];
    if k > size {
        return Err(Fault::input(1, format!("{k} of {size}")));
    }
    let g = Groups::new(call, x.dims(), &[at])?;
    let mut dims = x.dims().to_vec();
    dims[at] = k;
    let to = Groups::new(call, &dims, &[at])?;
    let total = dims.iter().product();
    let (mut places, mut indices) = (vec![0; total], vec![0; total]);
    for (b, out) in g.begins.iter().zip(&to.begins) {
        let line: Vec<usize> = g.of(*b).collect();
        let mut ranks: Vec<usize> = (0..line.len()).collect();
        // The sort is stable: of equal ones the first comes first.
        ranks.sort_by(|i, j| match largest {
            true => order(x, line[*j], line[*i]),
            false => order(x, line[*i], line[*j]),
        });
        for (rank, o) in ranks.iter().zip(to.of(*out)) {
            places[o] = line[*rank];
            indices[o] = *rank as i64;
        }
    }
    let values = x.pick(dims.clone(), places.into_iter());
    Ok(vec![values, Array::of_i64s(dims, indices.into_iter())])
}

fn unique(call: &Call) -> Done {
    let given = call.x(0)?;
    let (x, at) = match call.opt_int("axis")? {
        Some(a) => (given.clone(), axis(a, given.dims().len())?),
        None => (given.shaped(vec![given.len()]), 0),
    };
    let sorted = call.flag("sorted", true)?;
    // One group for each entry along the axis: its elements in order.
    let others: Vec<usize> = (0..x.dims().len()).filter(|a| *a != at).collect();
    let g = Groups::new(call, x.dims(), &others)?;
    let compare = |i: &usize, j: &usize| {
        let mut each = g.of(g.begins[*i]).zip(g.of(g.begins[*j]));
        each.find_map(|(a, b)| Some(order(&x, a, b)).filter(|o| o.is_ne()))
            .unwrap_or(Ordering::Equal)
    };
    let mut all: Vec<usize> = (0..g.begins.len()).collect();
    all.sort_by(compare);
    let mut classes: Vec<Vec<usize>> = vec![];
    for i in all {
        match classes.last_mut() {
            Some(c) if compare(&c[0], &i).is_eq() => c.push(i),
            _ => classes.push(vec![i]),
        }
    }
    if !sorted {
        classes.sort_by_key(|c| c[0]);
    }
    let mut inverse = vec![0; g.begins.len()];
    for (n, class) in classes.iter().enumerate() {
        class.iter().for_each(|i| inverse[*i] = n as i64);
    }
    let mut dims = x.dims().to_vec();
    dims[at] = classes.len();
    let to = Groups::new(call, &dims, &others)?;
    let mut places = vec![0; dims.iter().product()];
    for (class, out) in classes.iter().zip(&to.begins) {
        g.of(g.begins[class[0]])
            .zip(to.of(*out))
            .for_each(|(from, to)| places[to] = from);
    }
    let list = |v: Vec<i64>| Array::of_i64s(vec![v.len()], v.into_iter());
    Ok(vec![
        x.pick(dims, places.into_iter()),
        list(classes.iter().map(|c| c[0] as i64).collect()),
        list(inverse),
        list(classes.iter().map(|c| c.len() as i64).collect()),
    ])
}
