use candle_core::{DType, Device, Tensor, Var};

use super::{cuda, min_gru, slow};
use crate::cuda::View;
use crate::cuda::testing::small;
use crate::recurrence::cuda::Cell;
use crate::recurrence::cuda_tests::{self as shared, Recurrence};
use crate::testing::{Rng, close, values};
use crate::{Candidate, Size};

const KINDS: [Candidate; 2] = [Candidate::G, Candidate::Linear];

impl Recurrence for Candidate {
    fn cell<'a>(&self, x: &[View<'a>], size: Size) -> Cell<'a> {
        cuda::cell("min_gru", x[0], size, *self)
    }
    fn parts(&self) -> (usize, bool) {
        (2, false)
    }
    fn range(&self, extreme: bool) -> (f64, f64) {
        if extreme {
            (-200.0, 190.0)
        } else {
            (-5.0, 4.0)
        }
    }
    fn slow(&self, x: &[Vec<f64>], h0: &[f64], dims: [usize; 3]) -> Vec<f64> {
        slow::min_gru(&x[0], h0, *self, dims)
    }
    fn slow_grad(
        &self,
        x: &[Vec<f64>],
        h0: &[f64],
        dh: &[f64],
        dims: [usize; 3],
    ) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (dkv, dh0) = slow::min_gru_grad(&x[0], h0, *self, dh, dims);
        (vec![dkv], dh0)
    }
}

#[test]
fn equals_its_twin_on_a_gpu() {
    for kind in KINDS.into_iter().take(if small() { 1 } else { 2 }) {
        shared::check("min_gru", &kind);
    }
}

#[test]
fn nan_stays_in_its_channel_on_a_gpu() {
    shared::nan_stays_in_its_channel("min_gru", &Candidate::G);
}

#[test]
fn a_captured_launch_replays() {
    shared::replays("min_gru", &Candidate::G);
}

#[test]
#[ignore = "a measurement"]
fn tiles_by_time() {
    crate::recurrence::sweep::sweep("min_gru", &Candidate::G);
}

#[test]
fn refuses_what_does_not_fit_on_a_gpu() {
    shared::refuses("min_gru", &Candidate::G);
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that could not run says so")]
fn candle_tensors_on_a_gpu_have_the_gradients_of_the_cpu() {
    let device = match crate::cuda::apart(|| Device::new_cuda(0)) {
        Ok(device) => device,
        Err(error) => return eprintln!("min_gru on candle's device: not run: {error}"),
    };
    // Its end would wait for the whole GPU, and break what other tests capture.
    std::mem::forget(device.clone());
    let rng = &mut Rng(8);
    let (b, t, d) = (2, 300, 12);
    let inputs = [
        rng.input(&[b, t, 2 * d], -3.0, 2.0).tensor(DType::F32),
        rng.input(&[b, d], -1.0, 1.0).tensor(DType::F32),
        rng.input(&[b, t, d], -1.0, 2.0).tensor(DType::F32),
    ];
    let run = |device: &Device, dtype: DType| {
        let on = |x: &Tensor| x.to_device(device).unwrap().to_dtype(dtype).unwrap();
        let vars = [0, 1].map(|i| Var::from_tensor(&on(&inputs[i])).unwrap());
        let h = min_gru(&vars[0], &vars[1], Candidate::G).unwrap();
        assert_eq!((h.dtype(), h.dims()), (dtype, &[b, t, d][..]));
        let loss = (&h * on(&inputs[2])).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        let back = |x: &Tensor| values(&x.to_device(&Device::Cpu).unwrap());
        let grads = vars.each_ref().map(|v| back(grads.get(v).unwrap()));
        (back(&h), grads)
    };
    let (want, dwant) = run(&Device::Cpu, DType::F32);
    for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::BF16, 0.05), (DType::F16, 0.01)] {
        let (got, dgot) = run(&device, dtype);
        close("h", &got, &want, tolerance);
        for (got, want) in dgot.iter().zip(&dwant) {
            close("gradient", got, want, tolerance);
        }
    }
    let narrow = Tensor::zeros((1, 2, 4), DType::F64, &device).unwrap();
    let refused = min_gru(&narrow, &narrow, Candidate::G);
    assert!(refused.unwrap_err().to_string().contains("BF16"));
}
