use candle_core::{DType, Device, Result, Tensor};
use proptest::prelude::*;

use super::{EVERY, Inputs, Size, diagonal_scan, slow};
use crate::testing::{Case, Rng, refusal, same_bits};

/// y and the last states in one row a sequence.
fn joined(x: &[Tensor], states: usize, lens: Option<&[u32]>) -> Result<Tensor> {
    let (y, last) = diagonal_scan(&inputs(x), states, lens)?;
    Tensor::cat(&[&y.flatten_from(1)?, &last], 1)
}

fn inputs(x: &[Tensor]) -> Inputs<'_> {
    Inputs {
        x: &x[0],
        log_step: &x[1],
        log_rates: &x[2],
        frequencies: &x[3],
        readout: &x[4],
        skip: &x[5],
        h0: &x[6],
    }
}

/// Inputs in the order of [`inputs`].
pub(super) fn data(rng: &mut Rng, size: Size) -> Vec<crate::testing::Input> {
    let [step, rates, frequencies, readout, skip] = size.parameters();
    vec![
        rng.input(&[size.batch, size.time, size.channels], -1.0, 2.0),
        rng.input(&[step], -3.0, 0.0),
        rng.input(&[rates], -2.0, 1.0),
        rng.input(&[frequencies], -4.0, 9.0),
        rng.input(&[readout], -1.0, 1.0),
        rng.input(&[skip], -1.0, 1.0),
        rng.input(&[size.batch, size.state()], -1.0, 1.0),
    ]
}

/// What the slow twin reads.
pub(super) fn slow_inputs(x: &[Vec<f64>]) -> slow::Inputs<'_> {
    slow::Inputs {
        x: &x[0],
        log_step: &x[1],
        log_rates: &x[2],
        frequencies: &x[3],
        readout: &x[4],
        skip: &x[5],
        h0: &x[6],
    }
}

/// The output of [`joined`] and the gradients of all inputs by the slow twin.
fn twin(x: &[Vec<f64>], d: &[f64], lens: &[u32], size: Size) -> (Vec<f64>, Vec<Vec<f64>>) {
    let i = slow_inputs(x);
    let (y, all) = slow::diagonal_scan(&i, size);
    let (state, row) = (size.state(), size.time * size.channels);
    let (mut output, mut dy) = (vec![], vec![]);
    let mut dh = vec![0.0; all.len()];
    for (sequence, len) in lens.iter().enumerate() {
        let end = (sequence * size.time + *len as usize - 1) * state;
        output.extend(&y[sequence * row..][..row]);
        output.extend(&all[end..][..state]);
        let d = &d[sequence * (row + state)..][..row + state];
        dy.extend(&d[..row]);
        dh[end..][..state].copy_from_slice(&d[row..]);
    }
    let g = slow::diagonal_scan_grad(&i, &all, &dy, Some(&dh), size);
    let grads = vec![
        g.x,
        g.log_step,
        g.log_rates,
        g.frequencies,
        g.readout,
        g.skip,
        g.h0,
    ];
    (output, grads)
}

fn with_case(seed: u64, size: Size, f: impl FnOnce(Case<'_>, &mut Rng, &[u32])) {
    let rng = &mut Rng(seed);
    let lens: Vec<u32> = (0..size.batch)
        .map(|_| 1 + rng.below(size.time) as u32)
        .collect();
    let row = size.time * size.channels + size.state();
    let op = |x: &[Tensor]| joined(x, 2 * size.pairs, Some(&lens));
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

fn size(batch: usize, time: usize, channels: usize, pairs: usize) -> Size {
    Size {
        batch,
        time,
        channels,
        pairs,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn equals_its_twin(batch in 1usize..4, time in 1usize..20, channels in 1usize..40, pairs in 1usize..20, seed: u64) {
        against_twin(seed, size(batch, time, channels, pairs));
    }

    #[test]
    fn chunks_give_the_same_bits(cut in 1usize..90, channels in 1usize..20, pairs in 1usize..20, seed: u64) {
        let size = size(2, 90, channels, pairs);
        let x: Vec<Tensor> = data(&mut Rng(seed), size).iter().map(|x| x.tensor(DType::F32)).collect();
        let (y, last) = diagonal_scan(&inputs(&x), 2 * pairs, None).unwrap();
        let part = |from: usize, len: usize, h0: &Tensor| {
            let mut part = x.clone();
            part[0] = x[0].narrow(1, from, len).unwrap();
            part[6] = h0.clone();
            diagonal_scan(&inputs(&part), 2 * pairs, None).unwrap()
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
    for (i, time) in [2 * EVERY, 2 * EVERY + 1, 3 * EVERY - 5]
        .into_iter()
        .enumerate()
    {
        against_twin(7, size(2, time, 17 + i, 4));
        against_twin(8, size(1, time, 3, 20 - i));
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for size in [size(2, 5, 3, 2), size(1, 1, 1, 1), size(2, 70, 2, 3)] {
        with_case(3, size, |case, rng, _| case.check_differences(rng));
    }
}

/// Step sizes of 0.001 and smaller, A near 0: `(exp(s A) - 1) / A` is s, and costs no digits.
#[test]
fn small_steps_cost_no_digits() {
    let size = size(1, 8, 2, 2);
    let mut x = data(&mut Rng(5), size);
    x[1].data = vec![-7.0, -25.0];
    x[2].data = vec![-0.7, -60.0, -9.0, -0.7];
    x[3].data = vec![0.0, 0.0, 1e-12, 3.0];
    let all: Vec<Vec<f64>> = x.iter().map(|x| x.data.clone()).collect();
    let d = vec![1.0; size.rows() * size.channels + size.state()];
    let (want, _) = twin(&all, &d, &[8], size);
    let tensors: Vec<Tensor> = x.iter().map(|x| x.tensor(DType::F32)).collect();
    let got = joined(&tensors, 4, None).unwrap();
    let got = crate::testing::values(&got);
    assert!(want.iter().all(|v| v.is_finite()));
    crate::testing::close("y", &got, &want, 1e-6);
}

#[test]
fn what_is_no_number_stays_in_its_channel() {
    let size = size(1, 3, 2, 3);
    let mut x = data(&mut Rng(5), size);
    x[0].data[0] = f64::NAN;
    let x: Vec<Tensor> = x.iter().map(|x| x.tensor(DType::F32)).collect();
    let (y, _) = diagonal_scan(&inputs(&x), 6, None).unwrap();
    let y = crate::testing::values(&y);
    for (i, y) in y.iter().enumerate() {
        assert_eq!(y.is_nan(), i % 2 == 0, "{i}");
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let size = size(2, 3, 4, 2);
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
    joined(&good, 4, None).unwrap();
    assert!(refused(0, &[2, 0, 4], 4, None).contains("at least 1"));
    assert!(refused(1, &[5], 4, None).contains("`log_step`"));
    assert!(refused(2, &[16], 4, None).contains("[D N/2], D = 4, N = 4"));
    assert!(refused(3, &[7], 4, None).contains("`frequencies`"));
    assert!(refused(4, &[8], 4, None).contains("`readout`"));
    assert!(refused(5, &[3], 4, None).contains("`skip`"));
    assert!(refused(6, &[2, 8], 4, None).contains("`h0`"));
    assert!(refused(0, &[], 3, None).contains("pairs"));
    assert!(refused(0, &[], 0, None).contains("are 0"));
    assert!(refused(0, &[], 4, Some(&[3])).contains("`lens`"));
    assert!(refused(0, &[], 4, Some(&[3, 4])).contains("from 1 to T = 3"));
    let mut x = good.clone();
    x[3] = x[3].to_dtype(DType::F64).unwrap();
    assert!(refusal(joined(&x, 4, None)).contains("F64"));
}
