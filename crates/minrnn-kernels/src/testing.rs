//! How operations are tested: against a slow twin and finite differences, behind another
//! operation, strided, on every level of vector instructions and with several numbers of threads.

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::dispatch::Level;

/// A small generator (splitmix64); its numbers are exact in f32, so both types see the same inputs.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Uniform in `[lo, hi)`, and never nearer to 0 than 1e-3 (where `g` has its kink).
    pub(crate) fn real(&mut self, lo: f64, hi: f64) -> f64 {
        let x = lo + (hi - lo) * (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        let x = if x.abs() < 1e-3 { x + 2e-3 } else { x };
        f64::from(x as f32)
    }

    pub(crate) fn input(&mut self, dims: &[usize], lo: f64, hi: f64) -> Input {
        let n = dims.iter().product();
        Input {
            data: (0..n).map(|_| self.real(lo, hi)).collect(),
            dims: dims.to_vec(),
        }
    }
}

/// A float input of an operation.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) data: Vec<f64>,
    pub(crate) dims: Vec<usize>,
}

impl Input {
    pub(crate) fn tensor(&self, dtype: DType) -> Tensor {
        let tensor = Tensor::from_vec(self.data.clone(), &self.dims[..], &Device::Cpu).unwrap();
        tensor.to_dtype(dtype).unwrap()
    }
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Equal, or both finite and apart by at most `tolerance` times the largest value wanted.
#[track_caller]
pub(crate) fn close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}: lengths");
    assert!(
        want.iter().all(|x| x.is_finite()),
        "{what}: the reference is not finite"
    );
    let scale = want.iter().fold(1e-30, |m: f64, x| m.max(x.abs()));
    let near = |i: usize| (got[i] - want[i]).abs() <= tolerance * scale;
    let bad = |&i: &usize| got[i] != want[i] && !near(i);
    let wrong: Vec<usize> = (0..got.len()).filter(bad).collect();
    let error = |i: usize| (got[i] - want[i]).abs() / scale;
    if let Some(&first) = wrong.first() {
        let worst = wrong.iter().copied().fold(first, |w, i| {
            if error(i) > error(w) || error(i).is_nan() {
                i
            } else {
                w
            }
        });
        panic!(
            "{what}: {} of {} differ; worst at {worst}: got {}, want {} (off by {:e} of the largest {scale:e}, allowed {tolerance:e})",
            wrong.len(),
            got.len(),
            got[worst],
            want[worst],
            error(worst),
        );
    }
}

type Op<'a> = &'a (dyn Fn(&[Tensor]) -> Result<Tensor> + Sync);

/// An operation, its float inputs and the gradient that comes back to its output.
pub(crate) struct Case<'a> {
    pub(crate) op: Op<'a>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) cotangent: Input,
    /// What is allowed against the twin, of the largest value: f32, f64.
    pub(crate) tolerance: [f64; 2],
}

/// The output and the gradient of each input.
struct Outcome {
    output: Vec<f64>,
    grads: Vec<Vec<f64>>,
}

impl Outcome {
    fn bits(&self) -> Vec<Vec<u64>> {
        let all = std::iter::once(&self.output).chain(&self.grads);
        all.map(|x| bits(x)).collect()
    }
}

impl Case<'_> {
    /// Runs the operation on `2 * u` for variables `u = input / 2`: the gradients reach the
    /// operation's inputs only if they flow on to what lies behind. `strided`: the inputs are
    /// transposed views.
    fn run(&self, dtype: DType, strided: bool) -> Outcome {
        let mut vars = vec![];
        let mut inputs = vec![];
        for input in &self.inputs {
            let half = (input.tensor(dtype) * 0.5).unwrap();
            let turn = strided && half.rank() >= 2;
            let turned = |x: Tensor| if turn { x.transpose(0, 1).unwrap() } else { x };
            let var = Var::from_tensor(&turned(half).contiguous().unwrap()).unwrap();
            inputs.push(turned((var.as_tensor() * 2.0).unwrap()));
            vars.push((var, turn));
        }
        let output = (self.op)(&inputs).unwrap();
        assert_eq!(output.dtype(), dtype);
        assert_eq!(output.dims(), self.cotangent.dims);
        let cotangent = self.cotangent.tensor(dtype);
        let loss = (&output * cotangent).unwrap().sum_all().unwrap();
        let store = loss.backward().unwrap();
        let grad = |(var, turn): &(Var, bool)| {
            let grad = store.get(var).expect("a gradient for every input");
            let grad = (grad * 0.5).unwrap();
            values(&if *turn {
                grad.transpose(0, 1).unwrap()
            } else {
                grad
            })
        };
        Outcome {
            output: values(&output),
            grads: vars.iter().map(grad).collect(),
        }
    }

    /// All checks: `output` and `grads` are what the slow twin says.
    #[track_caller]
    pub(crate) fn check(&self, output: &[f64], grads: &[Vec<f64>]) {
        for (dtype, tolerance) in [DType::F32, DType::F64].into_iter().zip(self.tolerance) {
            let got = self.run(dtype, false);
            close(&format!("{dtype:?} output"), &got.output, output, tolerance);
            assert_eq!(got.grads.len(), grads.len());
            for (i, (got, want)) in got.grads.iter().zip(grads).enumerate() {
                close(&format!("{dtype:?} gradient {i}"), got, want, tolerance);
            }
            let want = got.bits();
            assert!(
                self.run(dtype, true).bits() == want,
                "{dtype:?}: strided inputs"
            );
            for level in Level::all() {
                let same = level.forced(|| self.run(dtype, false)).bits() == want;
                assert!(same, "{dtype:?}: other bits with {level:?}");
            }
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let same = pool.unwrap().install(|| self.run(dtype, false)).bits() == want;
                assert!(same, "{dtype:?}: other bits with {threads} threads");
            }
        }
    }

    /// Gradients against central differences in f64, at up to 12 places of each input.
    #[track_caller]
    pub(crate) fn check_differences(&self, rng: &mut Rng) {
        let got = self.run(DType::F64, false);
        let objective = |inputs: &[Input]| -> f64 {
            let tensors: Vec<_> = inputs.iter().map(|x| x.tensor(DType::F64)).collect();
            let output = values(&(self.op)(&tensors).unwrap());
            output
                .iter()
                .zip(&self.cotangent.data)
                .map(|(y, c)| y * c)
                .sum()
        };
        let step = 1e-5;
        for i in 0..self.inputs.len() {
            let n = self.inputs[i].data.len();
            let places: Vec<_> = (0..n.min(12)).map(|_| rng.below(n)).collect();
            let slope = |place: usize| {
                let mut inputs = self.inputs.clone();
                inputs[i].data[place] += step;
                let up = objective(&inputs);
                inputs[i].data[place] -= 2.0 * step;
                (up - objective(&inputs)) / (2.0 * step)
            };
            let want: Vec<_> = places.iter().map(|&p| slope(p)).collect();
            let scale = want.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
            let seen: Vec<_> = places.iter().map(|&p| got.grads[i][p]).collect();
            let (want, seen) = (scaled(&want, scale), scaled(&seen, scale));
            close(&format!("differences of input {i}"), &seen, &want, 2e-8);
        }
    }
}

/// Divided by `scale`, with a 1 at the end: differences are then allowed relative to `scale`.
fn scaled(x: &[f64], scale: f64) -> Vec<f64> {
    x.iter().map(|x| x / scale).chain([1.0]).collect()
}

/// The named error inside a refusal, as text.
#[track_caller]
pub(crate) fn refusal(result: Result<Tensor>) -> String {
    result.expect_err("must be refused").to_string()
}

/// Bit for bit.
#[track_caller]
pub(crate) fn same_bits(what: &str, a: &Tensor, b: &Tensor) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    assert!(bits(&values(a)) == bits(&values(b)), "{what}: other bits");
}

/// The split law: `run(from, steps, state)` over all of T gives the bits of the same over chunks,
/// the last row carried over as the state `[B,D]`.
#[track_caller]
pub(crate) fn check_chunks(
    t: usize,
    h0: &Tensor,
    chunks: &[usize],
    run: impl Fn(usize, usize, &Tensor) -> Result<Tensor>,
) {
    let whole = run(0, t, h0).unwrap();
    let (mut from, mut state, mut parts) = (0, h0.clone(), vec![]);
    for &steps in chunks.iter().chain(std::iter::repeat(&1)) {
        let steps = steps.min(t - from);
        if steps == 0 {
            break;
        }
        let part = run(from, steps, &state).unwrap();
        state = part.narrow(1, steps - 1, 1).unwrap().squeeze(1).unwrap();
        from += steps;
        parts.push(part);
    }
    same_bits("chunks", &Tensor::cat(&parts, 1).unwrap(), &whole);
}

mod tests {
    use super::close;

    #[test]
    fn close_takes_what_is_near() {
        close("near", &[1.0, -2.0], &[1.0, -2.000_001], 1e-6);
    }

    #[test]
    #[should_panic(expected = "1 of 2 differ")]
    fn close_refuses_nan() {
        close("nan", &[1.0, f64::NAN], &[1.0, 1.0], 1e9);
    }

    #[test]
    #[should_panic(expected = "differ")]
    fn close_refuses_infinity() {
        close("inf", &[f64::INFINITY], &[1.0], 1e9);
    }
}
