use super::cuda::{Backward, backward, forward, scratch_len};
use super::{Size, slow};
use crate::Elem;
use crate::cuda::testing::{Bench, TYPES, rounded};
use crate::testing::Rng;

fn check(bench: &Bench, size: Size, elem: Elem, with: bool) {
    let Size { b, t, m: w, k } = size;
    let (n, states, rng, gpu) = (b * t * w, b * (k - 1) * w, &mut Rng(k as u64), &bench.gpu);
    let x = rounded(elem, &rng.input(&[n], -1.0, 2.0).data);
    let dy = rounded(elem, &rng.input(&[n], -1.0, 2.0).data);
    let weight = rng.input(&[k * w], -2.0, 1.0).data;
    let bias = rng.input(&[w], -1.0, 1.0).data;
    let state = if with {
        rng.input(&[states], -2.0, 1.5).data
    } else {
        vec![0.0; states]
    };
    let want = slow::causal_conv(&x, &state, &weight, with.then_some(&bias[..]), [b, t, w]);
    let grads = slow::causal_conv_grad(&x, &state, &weight, &dy, [b, t, w]);
    let f32 = Elem::F32;
    bench.same_twice(|| {
        let (x_in, weight, bias) = (
            bench.put(elem, &x),
            bench.put(f32, &weight),
            bench.put(f32, &bias),
        );
        let (state, dy, y) = (
            bench.put(f32, &state),
            bench.put(elem, &dy),
            bench.empty(elem, n),
        );
        let (state, bias) = (with.then(|| state.view()), with.then(|| bias.view()));
        forward(gpu, x_in.view(), state, weight.view(), bias, y.view(), size).unwrap();
        y.close("y", &want, 1e-6);
        let (dx, dweight) = (bench.empty(elem, n), bench.empty(f32, k * w));
        let (dbias, dstate) = (bench.empty(f32, w), bench.empty(f32, states));
        let scratch = bench.scratch(scratch_len(gpu, b, t, w, k));
        backward(
            gpu,
            &Backward {
                x: x_in.view(),
                state,
                weight: weight.view(),
                dy: dy.view(),
                dx: dx.view(),
                dweight: dweight.view(),
                dbias: with.then(|| dbias.view()),
                dstate: with.then(|| dstate.view()),
                scratch: scratch.view(),
                size,
            },
        )
        .unwrap();
        dx.close("dx", &grads.x, 1e-6);
        dweight.close("dweight", &grads.weight, 3e-6);
        if with {
            dbias.close("dbias", &grads.bias, 3e-6);
            if k > 1 {
                dstate.close("dstate", &grads.state, 1e-6);
            }
        }
        vec![y, dx, dweight]
    });
}

fn both(bench: &Bench, (b, t, w, k): (usize, usize, usize, usize), elem: Elem) {
    for with in [false, true] {
        check(bench, Size { b, t, m: w, k }, elem, with);
    }
}

#[test]
fn equals_its_twin_with_any_number_of_taps() {
    let Some(bench) = Bench::new("causal_conv") else {
        return;
    };
    for k in 1..=10 {
        for elem in TYPES {
            both(&bench, (2, 37, 16, k), elem);
        }
        both(&bench, (3, 10, 5, k), Elem::F32);
    }
}

#[test]
fn equals_its_twin_at_other_sizes() {
    let Some(bench) = Bench::new("causal_conv") else {
        return;
    };
    // Shorter than the taps; one row; wide; long enough for several segments in a thread.
    for size in [
        (2, 2, 8, 4),
        (1, 1, 3, 8),
        (1, 3, 1032, 4),
        (1, 700, 8, 3),
        (300, 40, 1, 2),
        (1, 5, 2, 30),
    ] {
        both(&bench, size, Elem::Bf16);
        both(&bench, size, Elem::F32);
    }
    // A usual size.
    both(&bench, (16, 256, 384, 4), Elem::Bf16);
    both(&bench.shifted(1), (2, 19, 24, 4), Elem::F16);
}

#[test]
fn equals_the_cpu_bit_for_bit_in_f32() {
    let Some(bench) = Bench::new("causal_conv") else {
        return;
    };
    let size = Size {
        b: 2,
        t: 50,
        m: 12,
        k: 4,
    };
    let rng = &mut Rng(1);
    let inputs = [vec![2, 50, 12], vec![2, 3, 12], vec![4, 12], vec![12]]
        .map(|dims| rng.input(&dims, -1.0, 2.0));
    let [x, state, weight, bias] = [0, 1, 2, 3].map(|i| inputs[i].tensor(candle_core::DType::F32));
    let on_cpu = super::causal_conv(&x, &state, &weight, Some(&bias)).unwrap();
    let want = on_cpu.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let [x, state, weight, bias] =
        [0, 1, 2, 3].map(|i: usize| bench.put(Elem::F32, &inputs[i].data));
    let y = bench.empty(Elem::F32, 1200);
    forward(
        &bench.gpu,
        x.view(),
        Some(state.view()),
        weight.view(),
        Some(bias.view()),
        y.view(),
        size,
    )
    .unwrap();
    let want: Vec<u32> = want.iter().map(|x| x.to_bits()).collect();
    assert!(y.bits() == want);
}
