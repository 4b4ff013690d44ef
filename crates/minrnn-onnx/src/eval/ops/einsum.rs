//! Einsum: sums of products by the letters of axes.

use std::collections::BTreeMap;

use super::{Array, Call, Done, Fault, Op, offsets, smooth, strides};

pub(super) const OPS: &[Op] = &[smooth("Einsum", 12, einsum)];

/// An axis: a letter, or one of those that `...` stands for, counted from the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Axis {
    Rest(usize),
    Letter(char),
}

fn wrong(equation: &str, what: impl std::fmt::Display) -> Fault {
    Fault::attribute("equation", format!("`{equation}`: {what}"))
}

/// The axes of one term; `rest` is how many `...` stands for.
fn term(text: &str, rest: usize, equation: &str) -> Result<Vec<Axis>, Fault> {
    let mut all = vec![];
    let mut text = text;
    let mut seen = false;
    while let Some(c) = text.chars().next() {
        if let Some(after) = text.strip_prefix("...") {
            if seen {
                return Err(wrong(equation, "`...` twice in one term"));
            }
            seen = true;
            all.extend((0..rest).rev().map(Axis::Rest));
            text = after;
            continue;
        }
        if !c.is_ascii_alphabetic() {
            return Err(wrong(equation, format!("`{c}` is no letter")));
        }
        all.push(Axis::Letter(c));
        text = &text[1..];
    }
    Ok(all)
}

fn einsum(call: &Call) -> Done {
    let all = call.all()?;
    let given = call.word("equation", "")?;
    let equation: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match equation.split_once("->") {
        Some((l, r)) => (l, Some(r)),
        None => (&equation[..], None),
    };
    let texts: Vec<&str> = left.split(',').collect();
    if texts.len() != all.len() {
        return Err(wrong(
            given,
            format!("{} terms for {} inputs", texts.len(), all.len()),
        ));
    }
    let mut terms = vec![];
    let mut sizes: BTreeMap<Axis, usize> = BTreeMap::new();
    let mut most = 0;
    for (text, x) in texts.iter().zip(&all) {
        super::alike(all[0], x)?;
        let letters = text.chars().filter(char::is_ascii_alphabetic).count();
        let rank = x.dims().len();
        let rest = match text.contains("...") {
            true => rank.checked_sub(letters),
            false => Some(0),
        };
        let axes = term(text, rest.unwrap_or(0), given)?;
        if axes.len() != rank {
            return Err(wrong(given, format!("`{text}` for {:?}", x.dims())));
        }
        most = most.max(rest.unwrap_or(0));
        for (a, d) in axes.iter().zip(x.dims()) {
            let size = sizes.entry(*a).or_insert(*d);
            match (*size, *d) {
                (s, d) if s == d || d == 1 => {}
                (1, d) => *size = d,
                (s, d) => return Err(Fault::Shape(format!("an axis of `{given}` is {s} and {d}"))),
            }
        }
        terms.push(axes);
    }
    let output = match right {
        Some(text) => term(text, most, given)?,
        // Those that stand once, in alphabetical order, after `...`.
        None => {
            let once = |a: &Axis| terms.iter().flatten().filter(|b| *b == a).count() == 1;
            let rest = (0..most).rev().map(Axis::Rest);
            let letters = sizes
                .keys()
                .filter(|a| matches!(a, Axis::Letter(_)) && once(a));
            rest.chain(letters.copied()).collect()
        }
    };
    if let Some(a) = output.iter().find(|a| !sizes.contains_key(a)) {
        return Err(wrong(given, format!("{a:?} stands in no input")));
    }
    if (1..output.len()).any(|i| output[..i].contains(&output[i])) {
        return Err(wrong(given, "a letter twice in the output"));
    }
    let summed: Vec<Axis> = sizes
        .keys()
        .filter(|a| !output.contains(a))
        .copied()
        .collect();
    let of = |axes: &[Axis]| axes.iter().map(|a| sizes[a]).collect::<Vec<_>>();
    let (dims, inner) = (of(&output), of(&summed));
    let total = call.room(&dims)?;
    let each: usize = inner
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d))
        .unwrap_or(usize::MAX);
    call.spend(&[total, each, all.len()])?;
    call.room(&inner)?;
    // Where each operand's element is: from that of the output and that of the sum.
    let places = terms.iter().zip(&all).map(|(axes, x)| {
        let own = strides(x.dims());
        let step = |a: &Axis| {
            let hits = axes
                .iter()
                .enumerate()
                .filter(|(i, b)| *b == a && x.dims()[*i] > 1);
            hits.map(|(i, _)| own[i]).sum::<isize>()
        };
        let side =
            |axes: &[Axis]| offsets(0, &of(axes), &axes.iter().map(step).collect::<Vec<_>>());
        (side(&output), side(&summed))
    });
    let places: Vec<(Vec<usize>, Vec<usize>)> = places.collect();
    let floats: Option<Vec<&[f64]>> = all.iter().map(|x| x.floats()).collect();
    let ints: Option<Vec<&[i128]>> = all.iter().map(|x| x.ints()).collect();
    let dtype = all[0].dtype();
    Ok(vec![match (floats, ints) {
        (Some(v), _) => {
            let one = |o: usize| -> f64 {
                let sum = |s: usize| {
                    places
                        .iter()
                        .zip(&v)
                        .map(|((a, b), v)| v[a[o] + b[s]])
                        .product::<f64>()
                };
                (0..each).map(sum).sum()
            };
            Array::of_floats(dtype, dims, (0..total).map(one).collect())
        }
        (_, Some(v)) => {
            let one = |o: usize| -> i128 {
                let sum = |s: usize| {
                    let factors = places.iter().zip(&v).map(|((a, b), v)| v[a[o] + b[s]]);
                    factors.fold(1i128, i128::wrapping_mul)
                };
                (0..each).map(sum).fold(0, i128::wrapping_add)
            };
            Array::of_ints(dtype, dims, (0..total).map(one).collect())
        }
        _ => return Err(Fault::Type("floats beside integers".into())),
    }])
}
