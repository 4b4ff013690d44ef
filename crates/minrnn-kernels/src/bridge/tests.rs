//! Every operation on candle's tensors of a GPU against itself on the CPU in f64: values, the gradient of each input through
//! strided views, twice with the same bits. They need a GPU; without one they say so and pass.

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::dropout::Draw;
use crate::testing::{Input, Rng, close, values};
use crate::{
    bias_add, causal_conv, cross_entropy, diagonal_scan, dropout, embedding, gelu_erf, gelu_tanh,
    layer_norm, linear_scan, rms_norm, selective_scan, sigmoid, silu, softplus,
};

/// A GPU, or a message.
#[allow(clippy::print_stderr, reason = "a test that could not run says so")]
fn device() -> Option<Device> {
    match crate::cuda::apart(|| Device::new_cuda(0)) {
        Ok(device) => {
            // Its end would wait for the whole GPU, and break what other tests capture.
            std::mem::forget(device.clone());
            Some(device)
        }
        Err(error) => {
            eprintln!("not run: {error}");
            None
        }
    }
}

type Op<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Output and gradients on a device; the inputs are transposed views of variables.
fn run(op: Op, inputs: &[Input], device: &Device, dtype: DType) -> Vec<Vec<f64>> {
    let on = |x: &Tensor| x.to_device(device).unwrap().to_dtype(dtype).unwrap();
    let vars: Vec<Var> = inputs
        .iter()
        .map(|x| {
            let x = x.tensor(DType::F64);
            let turned = if x.rank() > 1 {
                x.transpose(0, 1).unwrap()
            } else {
                x
            };
            Var::from_tensor(&on(&turned).contiguous().unwrap()).unwrap()
        })
        .collect();
    let given: Vec<Tensor> = vars
        .iter()
        .map(|v| match v.rank() {
            1 => (v.as_tensor() * 1.0).unwrap(),
            _ => v.transpose(0, 1).unwrap(),
        })
        .collect();
    let y = op(&given).unwrap();
    let weight = Rng(99).input(y.dims(), -1.0, 1.0).tensor(DType::F64);
    let loss = (&y * on(&weight)).unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let back = |x: &Tensor| values(&x.to_device(&Device::Cpu).unwrap());
    let grads = vars.iter().map(|v| back(grads.get(v).unwrap()));
    std::iter::once(back(&y)).chain(grads).collect()
}

fn check(name: &str, op: Op, inputs: &[Input], tolerance: f64) {
    let Some(device) = device() else { return };
    let want = run(op, inputs, &Device::Cpu, DType::F64);
    let got = run(op, inputs, &device, DType::F32);
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        close(&format!("{name}, result {i}"), got, want, tolerance);
    }
    assert!(
        run(op, inputs, &device, DType::F32) == got,
        "{name}: other bits"
    );
}

#[test]
fn activations_on_a_gpu() {
    let rng = &mut Rng(1);
    for n in [1, 7, 1024] {
        let x = [rng.input(&[3, n], -4.0, 4.0)];
        check("gelu_erf", &|x| gelu_erf(&x[0]), &x, 1e-5);
        check("gelu_tanh", &|x| gelu_tanh(&x[0]), &x, 1e-5);
        check("silu", &|x| silu(&x[0]), &x, 1e-5);
        check("sigmoid", &|x| sigmoid(&x[0]), &x, 1e-5);
        check("softplus", &|x| softplus(&x[0]), &x, 1e-5);
    }
}

#[test]
fn norms_and_biases_on_a_gpu() {
    let rng = &mut Rng(2);
    for (rows, width) in [(1, 1), (5, 3), (33, 64), (200, 384), (3, 5000)] {
        let x = rng.input(&[rows, width], -2.0, 3.0);
        let [w, b] = [(); 2].map(|()| rng.input(&[width], -1.0, 1.0));
        let three = [x.clone(), w.clone(), b.clone()];
        let two = [x.clone(), w.clone()];
        check("bias_add", &|x| bias_add(&x[0], &x[1]), &two, 1e-5);
        // The norm of a row of one value is its sign: what is left of its gradient is rounding.
        if width > 1 {
            check("rms_norm", &|x| rms_norm(&x[0], &x[1], 1e-5), &two, 2e-5);
            let norm = |x: &[Tensor]| layer_norm(&x[0], &x[1], &x[2], 1e-5);
            check("layer_norm", &norm, &three, 5e-5);
        }
    }
}

#[test]
fn convolutions_on_a_gpu() {
    let rng = &mut Rng(3);
    for (b, t, m, k) in [(1, 1, 1, 2), (2, 3, 5, 4), (3, 70, 64, 4), (2, 40, 8, 11)] {
        let x = rng.input(&[b, t, m], -1.0, 1.0);
        let state = rng.input(&[b, k - 1, m], -1.0, 1.0);
        let weight = rng.input(&[k, m], -1.0, 1.0);
        let bias = rng.input(&[m], -1.0, 1.0);
        let with = |x: &[Tensor]| causal_conv(&x[0], &x[1], &x[2], Some(&x[3]));
        let all = [x, state, weight, bias];
        check("causal_conv with a bias", &with, &all, 1e-5);
        let without = |x: &[Tensor]| causal_conv(&x[0], &x[1], &x[2], None);
        check("causal_conv", &without, &all[..3], 1e-5);
    }
}

#[test]
fn recurrences_on_a_gpu_take_strided_views() {
    let rng = &mut Rng(4);
    let (b, t, d) = (3, 100, 12);
    let inputs = [
        rng.input(&[b, t, d], 0.1, 1.0),
        rng.input(&[b, t, d], -1.0, 1.0),
        rng.input(&[b, d], -1.0, 1.0),
    ];
    let op = |x: &[Tensor]| linear_scan(&x[0], &x[1], &x[2]);
    check("linear_scan", &op, &inputs, 1e-5);
}

#[test]
fn selective_scans_on_a_gpu_take_strided_views() {
    let rng = &mut Rng(8);
    // B, T, channels of a head, heads of a group, groups, states; whether heads share their rate.
    for ([b, t, p, heads, g, n], shared) in [
        ([2, 3, 1, 5, 1, 4], false),
        ([3, 150, 1, 40, 1, 16], false),
        ([2, 70, 4, 2, 2, 20], true),
    ] {
        let (h, d) = (heads * g, heads * g * p);
        let rates = if shared { h } else { d * n };
        let inputs = [
            rng.input(&[b, t, h], 0.0, 0.6),
            rng.input(&[b, t, d], -1.0, 2.0),
            rng.input(&[b, t, g * n], -1.0, 1.5),
            rng.input(&[b, t, g * n], -1.5, 1.0),
            rng.input(&[rates], -2.0, 2.0),
            rng.input(&[h], -1.0, 1.0),
            rng.input(&[b, d * n], -1.0, 1.0),
        ];
        let lens: Vec<u32> = (0..b).map(|i| (t - i) as u32).collect();
        for lens in [None, Some(&lens[..])] {
            let op = |x: &[Tensor]| {
                let inputs = selective_scan::Inputs {
                    step: &x[0],
                    x: &x[1],
                    b: &x[2],
                    c: &x[3],
                    log_rates: &x[4],
                    skip: &x[5],
                    h0: &x[6],
                };
                let (y, last) = selective_scan(&inputs, n, lens)?;
                Tensor::cat(&[&y.flatten_from(1)?, &last], 1)
            };
            check("selective_scan", &op, &inputs, 3e-5);
        }
    }
}

#[test]
fn diagonal_scans_on_a_gpu() {
    let rng = &mut Rng(14);
    for (b, t, d, n) in [
        (1, 1, 1, 2),
        (3, 70, 33, 16),
        (2, 130, 5, 64),
        (1, 20, 3, 256),
    ] {
        let inputs = [
            rng.input(&[b, t, d], -1.0, 2.0),
            rng.input(&[d], -3.0, 0.0),
            rng.input(&[d * n / 2], -2.0, 1.0),
            rng.input(&[d * n / 2], -4.0, 9.0),
            rng.input(&[d * n], -1.0, 1.0),
            rng.input(&[d], -1.0, 1.0),
            rng.input(&[b, d * n], -1.0, 1.0),
        ];
        let lens: Vec<u32> = (0..b).map(|i| (t - i.min(t - 1)) as u32).collect();
        for lens in [None, Some(&lens[..])] {
            let op = |x: &[Tensor]| {
                let inputs = diagonal_scan::Inputs {
                    x: &x[0],
                    log_step: &x[1],
                    log_rates: &x[2],
                    frequencies: &x[3],
                    readout: &x[4],
                    skip: &x[5],
                    h0: &x[6],
                };
                let (y, last) = diagonal_scan(&inputs, n, lens)?;
                Tensor::cat(&[&y.flatten_from(1)?, &last], 1)
            };
            check("diagonal_scan", &op, &inputs, 3e-5);
        }
    }
}

#[test]
fn embeddings_on_a_gpu() {
    let rng = &mut Rng(5);
    for (v, m, n) in [(1, 1, 1), (7, 3, 50), (65, 64, 900)] {
        let ids: Vec<u32> = (0..n).map(|_| rng.below(v) as u32).collect();
        let table = [rng.input(&[v, m], -1.0, 1.0)];
        let op = |x: &[Tensor]| embedding(&x[0], &Tensor::from_slice(&ids, n, x[0].device())?);
        check("embedding", &op, &table, 1e-5);
    }
    let Some(device) = device() else { return };
    let table = Tensor::ones((2, 3), DType::F32, &device).unwrap();
    let beyond = Tensor::from_slice(&[2u32], 1, &device).unwrap();
    let y = values(&embedding(&table, &beyond).unwrap());
    assert!(y.iter().all(|v| v.is_nan()), "{y:?}");
}

#[test]
fn cross_entropy_on_a_gpu() {
    let rng = &mut Rng(6);
    for (n, v) in [(1, 2), (9, 5), (300, 65), (20, 3000)] {
        let targets: Vec<u32> = (0..n).map(|_| rng.below(v) as u32).collect();
        let weights: Vec<f32> = (0..n).map(|i| [1.0, 0.0, 0.5][i % 3]).collect();
        let logits = [rng.input(&[n, v], -5.0, 5.0)];
        for weighted in [false, true] {
            let op = |x: &[Tensor]| {
                let device = x[0].device();
                let weights = Tensor::from_slice(&weights, n, device)?.to_dtype(x[0].dtype())?;
                let targets = Tensor::from_slice(&targets, n, device)?;
                cross_entropy(&x[0], &targets, weighted.then_some(&weights))
            };
            check("cross_entropy", &op, &logits, 2e-5);
        }
    }
    let Some(device) = device() else { return };
    let logits = Tensor::ones((2, 3), DType::F32, &device).unwrap();
    let targets = Tensor::zeros(2, DType::U32, &device).unwrap();
    let weights = Var::from_tensor(&Tensor::ones(2, DType::F32, &device).unwrap()).unwrap();
    let loss = cross_entropy(&logits, &targets, Some(&weights)).unwrap();
    let refused = loss.backward().unwrap_err().to_string();
    assert!(refused.contains("have no gradient on a GPU"), "{refused}");
}

#[test]
fn dropout_on_a_gpu_has_the_masks_of_the_cpu() {
    let rng = &mut Rng(7);
    for n in [1, 5, 4096, 10_001] {
        let draw = Draw {
            seed: 0x0123_4567_89ab_cdef,
            step: 5_000_000_000,
            site: n % 7,
        };
        let x = [rng.input(&[n], 0.5, 1.0)];
        check("dropout", &|x| dropout(&x[0], 0.3, draw), &x, 1e-6);
    }
}

#[test]
fn float64_on_a_gpu_is_refused_by_name() {
    let Some(device) = device() else { return };
    let x = Tensor::ones((2, 3), DType::F64, &device).unwrap();
    for refused in [silu(&x), bias_add(&x, &x), rms_norm(&x, &x, 1e-5)] {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("F32 on a GPU"), "{message}");
    }
}
