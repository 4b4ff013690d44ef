//! candle on a GPU against the oracle and against candle on the CPU: values, states, gradients; with fused kernels and without. They
//! need a GPU; without one they say so and pass.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use candle_core::{DType, Device, Tensor};
use minrnn_model::compare::Comparison;
use minrnn_model::testing::test_each;

use super::tests::{Case, compare, floats, named};
use super::{Dropout, Outcome, Run, Weights, run};

/// A GPU, or a message.
#[allow(clippy::print_stderr, reason = "a test that could not run says so")]
fn device() -> Option<Device> {
    match minrnn_kernels::cuda::apart(|| Device::new_cuda(0)) {
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

#[test]
fn candle_on_a_gpu_equals_the_oracle() {
    let Some(device) = device() else { return };
    test_each(named(), |name, (model, params)| {
        let graph = model.graph();
        let weights = Weights::new(graph, &params, DType::F32, &device).unwrap();
        for (seed, (batch, time)) in [(1, 1), (2, 1), (1, 2), (3, 9), (2, 33)]
            .into_iter()
            .enumerate()
        {
            for extras in [false, true] {
                let case = Case::new(graph, batch, time, seed as u64, extras);
                let want = case.oracle(graph, &params.to_f64());
                for fused in [false, true] {
                    let got = case.candle(graph, &weights, DType::F32, fused);
                    let what = format!("{name} B={batch} T={time} fused={fused}");
                    compare(&what, &got, &want, 2e-4);
                }
            }
        }
    });
}

/// A scalar that depends on the output and on every state.
fn scalar(out: &Outcome, dtype: DType) -> Tensor {
    let parts: Vec<Tensor> = std::iter::once(&out.output)
        .chain(&out.states)
        .map(|t| {
            let n = t.elem_count();
            let weights: Vec<f32> = (0..n).map(|i| (i * 37 % 11) as f32 / 5.0 - 1.0).collect();
            let weights = Tensor::from_vec(weights, t.shape(), t.device()).unwrap();
            let product = t * weights.to_dtype(dtype).unwrap();
            product.unwrap().sum_all().unwrap()
        })
        .collect();
    Tensor::stack(&parts, 0).unwrap().sum_all().unwrap()
}

/// Gradients of all parameters.
fn gradients(
    case: &Case,
    (graph, params): (&minrnn_model::graph::Graph, &minrnn_model::params::Params),
    device: &Device,
    dtype: DType,
    fused: bool,
) -> Vec<Vec<f64>> {
    let weights = Weights::new(graph, params, dtype, device).unwrap();
    let outcome = case.candle(graph, &weights, dtype, fused);
    let grads = scalar(&outcome, dtype).backward().unwrap();
    let values = |var: &candle_core::Var| {
        let grad = grads.get(var);
        grad.map_or(vec![0.0; var.elem_count()], |g| {
            floats(&g.to_device(&Device::Cpu).unwrap())
        })
    };
    weights.vars().map(|(_, var)| values(var)).collect()
}

#[test]
fn gradients_on_a_gpu_equal_those_of_the_cpu_in_float64() {
    let Some(device) = device() else { return };
    test_each(named(), |name, (model, params)| {
        let graph = model.graph();
        for (seed, extras) in [(0, false), (2, true), (3, true)] {
            let case = Case::new(graph, 2, 21, seed, extras);
            let of = (graph, &params);
            let want = gradients(&case, of, &Device::Cpu, DType::F64, false);
            for fused in [false, true] {
                let got = gradients(&case, of, &device, DType::F32, fused);
                let scale = |w: &[f64]| w.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
                for ((got, want), (i, _)) in
                    got.iter().zip(&want).zip(graph.params().iter().enumerate())
                {
                    let mut c = Comparison::default();
                    let most = 1e-3 * scale(want);
                    got.iter().zip(want).for_each(|(g, w)| c.push(*g, *w, most));
                    assert!(c.holds(), "{name}, gradient {i}, fused={fused}: {c:?}");
                }
            }
        }
    });
}

#[test]
fn dropout_on_a_gpu_is_that_of_the_cpu() {
    let Some(device) = device() else { return };
    test_each(named(), |name, (model, params)| {
        let graph = model.graph();
        let case = Case::new(graph, 2, 9, 0, false);
        let out = |device: &Device| {
            let weights = Weights::new(graph, &params, DType::F32, device).unwrap();
            let input = case.input(graph, device);
            let r = Run {
                dropout: Some(Dropout { seed: 7, step: 3 }),
                ..Run::new(&input)
            };
            let y = run(graph, &weights, &r).unwrap().output;
            floats(&y.to_device(&Device::Cpu).unwrap())
        };
        let (got, want) = (out(&device), out(&Device::Cpu));
        let mut c = Comparison::default();
        let each = got.iter().zip(&want);
        each.for_each(|(g, w)| c.push(*g, *w, 2e-4 * (1.0 + w.abs())));
        assert!(c.holds(), "{name}: {c:?}");
    });
}
