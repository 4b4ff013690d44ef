use candle_core::{DType, Device, Result, Tensor};
use proptest::prelude::*;

use super::{Inputs, Size, selective_scan, slow};
use crate::testing::{Case, Rng, refusal, same_bits};

const KINDS: [(usize, usize, usize, bool); 5] = [
    // Heads of so many channels, groups of so many heads, groups, whether heads share their rate.
    (1, 5, 1, false),
    (1, 40, 1, false),
    (3, 2, 2, true),
    (1, 3, 1, true),
    (40, 2, 1, true),
];

fn size(kind: usize, batch: usize, time: usize, states: usize) -> Size {
    let (head, heads, groups, shared) = KINDS[kind];
    Size {
        batch,
        time,
        channels: head * heads * groups,
        states,
        heads: heads * groups,
        groups,
        shared,
    }
}

/// y and the last states in one row a sequence.
fn joined(x: &[Tensor], states: usize, lens: Option<&[u32]>) -> Result<Tensor> {
    let (y, last) = selective_scan(&inputs(x), states, lens)?;
    Tensor::cat(&[&y.flatten_from(1)?, &last], 1)
}

fn inputs(x: &[Tensor]) -> Inputs<'_> {
    Inputs {
        step: &x[0],
        x: &x[1],
        b: &x[2],
        c: &x[3],
        log_rates: &x[4],
        skip: &x[5],
        h0: &x[6],
    }
}

/// Inputs in the order of [`inputs`].
pub(super) fn data(rng: &mut Rng, size: Size) -> Vec<crate::testing::Input> {
    let Size { batch, time, .. } = size;
    vec![
        rng.input(&[batch, time, size.heads], 0.0, 0.6),
        rng.input(&[batch, time, size.channels], -1.0, 2.0),
        rng.input(&[batch, time, size.read()], -1.0, 1.5),
        rng.input(&[batch, time, size.read()], -1.5, 1.0),
        rng.input(&[size.rates()], -2.0, 2.0),
        rng.input(&[size.heads], -1.0, 1.0),
        rng.input(&[batch, size.wide()], -1.0, 1.0),
    ]
}

/// The output of [`joined`] and the gradients of all inputs by the slow twin.
fn twin(x: &[Vec<f64>], d: &[f64], lens: &[u32], size: Size) -> (Vec<f64>, Vec<Vec<f64>>) {
    let i = slow::Inputs {
        step: &x[0],
        x: &x[1],
        b: &x[2],
        c: &x[3],
        log_rates: &x[4],
        skip: &x[5],
        h0: &x[6],
    };
    let (y, all) = slow::selective_scan(&i, size);
    let (wide, row) = (size.wide(), size.time * size.channels);
    let (mut output, mut dy) = (vec![], vec![]);
    let mut dh = vec![0.0; all.len()];
    for (sequence, len) in lens.iter().enumerate() {
        let end = (sequence * size.time + *len as usize - 1) * wide;
        output.extend(&y[sequence * row..][..row]);
        output.extend(&all[end..][..wide]);
        let d = &d[sequence * (row + wide)..][..row + wide];
        dy.extend(&d[..row]);
        dh[end..][..wide].copy_from_slice(&d[row..]);
    }
    let g = slow::selective_scan_grad(&i, &all, &dy, Some(&dh), size);
    let grads = vec![g.step, g.x, g.b, g.c, g.log_rates, g.skip, g.h0];
    (output, grads)
}

fn with_case(seed: u64, size: Size, f: impl FnOnce(Case<'_>, &mut Rng, &[u32])) {
    let rng = &mut Rng(seed);
    let lens: Vec<u32> = (0..size.batch)
        .map(|_| 1 + rng.below(size.time) as u32)
        .collect();
    let row = size.time * size.channels + size.wide();
    let op = |x: &[Tensor]| joined(x, size.states, Some(&lens));
    let case = Case {
        op: &op,
        inputs: data(rng, size),
        cotangent: rng.input(&[size.batch, row], -1.0, 2.0),
        tolerance: [2e-5, 1e-12],
    };
    f(case, rng, &lens);
}

fn against_twin(seed: u64, size: Size) {
    with_case(seed, size, |case, _, lens| {
        let x: Vec<Vec<f64>> = case.inputs.iter().map(|x| x.data.clone()).collect();
        let (output, grads) = twin(&x, &case.cotangent.data, lens, size);
        case.check(&output, &grads);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn equals_its_twin(kind in 0..KINDS.len(), batch in 1usize..4, time in 1usize..20, states in 1usize..20, seed: u64) {
        against_twin(seed, size(kind, batch, time, states));
    }

    #[test]
    fn chunks_give_the_same_bits(kind in 0..KINDS.len(), cut in 1usize..90, states in 1usize..20, seed: u64) {
        let size = size(kind, 2, 90, states);
        let x: Vec<Tensor> = data(&mut Rng(seed), size).iter().map(|x| x.tensor(DType::F32)).collect();
        let (y, last) = selective_scan(&inputs(&x), states, None).unwrap();
        let part = |from: usize, len: usize, h0: &Tensor| {
            let mut part = x.clone();
            part.iter_mut().take(4).for_each(|x| *x = x.narrow(1, from, len).unwrap());
            part[6] = h0.clone();
            selective_scan(&inputs(&part), states, None).unwrap()
        };
        let (first, state) = part(0, cut, &x[6]);
        let (second, end) = part(cut, 90 - cut, &state);
        same_bits("y", &Tensor::cat(&[first, second], 1).unwrap(), &y);
        same_bits("last", &end, &last);
    }
}

/// Several stretches of steps, the last one whole, of one step, and between.
#[test]
fn equals_its_twin_over_states_that_are_computed_again() {
    for kind in 0..3 {
        let every = size(kind, 1, 1, 4).every();
        let time = [2 * every, 2 * every + 1, 3 * every - 5][kind];
        against_twin(7, size(kind, 2, time, 4));
        against_twin(8, size(kind + 2, 1, time, 3));
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for kind in 0..KINDS.len() {
        with_case(3, size(kind, 2, 5, 3), |case, rng, _| {
            case.check_differences(rng);
        });
    }
}

/// A step size below 0 leaves the range of the fast exponential.
#[test]
fn growing_states_and_no_numbers_stay_what_they_are() {
    let size = size(0, 1, 2, 3);
    let mut x = data(&mut Rng(5), size);
    x[0].data.fill(-1.5);
    let run = |x: &[crate::testing::Input]| {
        let x: Vec<Tensor> = x.iter().map(|x| x.tensor(DType::F32)).collect();
        let (y, _) = selective_scan(&inputs(&x), size.states, None).unwrap();
        crate::testing::values(&y)
    };
    let all: Vec<Vec<f64>> = x.iter().map(|x| x.data.clone()).collect();
    let d = vec![0.0; size.rows() * size.channels + size.wide()];
    let (want, _) = twin(&all, &d, &[2], size);
    crate::testing::close("y", &run(&x), &want[..size.rows() * size.channels], 1e-5);
    x[0].data[0] = f64::NAN;
    let y = run(&x);
    assert!(y[0].is_nan() && y[size.channels].is_nan(), "{y:?}");
    assert!(!y[1].is_nan(), "of another channel: {y:?}");
}

#[test]
fn refuses_what_does_not_fit() {
    let size = size(2, 2, 3, 4);
    let good: Vec<Tensor> = data(&mut Rng(1), size)
        .iter()
        .map(|x| x.tensor(DType::F32))
        .collect();
    let refused = |at: usize, dims: &[usize], states: usize, lens: Option<&[u32]>| {
        let mut x = good.clone();
        if !dims.is_empty() {
            x[at] = Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        }
        refusal(joined(&x, states, lens))
    };
    assert!(refused(0, &[2, 3, 5], 4, None).contains("`step`"));
    assert!(refused(1, &[2, 0, 12], 4, None).contains("at least 1"));
    assert!(refused(2, &[2, 3, 8], 3, None).contains("N = 3"));
    assert!(refused(2, &[2, 3, 8], 0, None).contains("N = 0"));
    assert!(refused(3, &[2, 3, 4], 4, None).contains("`c`"));
    assert!(refused(4, &[7], 4, None).contains("[D N] = [48] or [H] = [4]"));
    assert!(refused(5, &[12], 4, None).contains("`skip`"));
    assert!(refused(6, &[2, 12], 4, None).contains("`h0`"));
    assert!(refused(0, &[], 4, Some(&[3])).contains("`lens`"));
    assert!(refused(0, &[], 4, Some(&[3, 4])).contains("from 1 to T = 3"));
    let mut x = good.clone();
    x[3] = x[3].to_dtype(DType::F64).unwrap();
    assert!(refusal(joined(&x, 4, None)).contains("F64"));
}
