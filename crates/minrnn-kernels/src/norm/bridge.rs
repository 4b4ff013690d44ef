//! Normalisation of candle's tensors on a GPU: x and the parameters (weight, and for mean and deviation bias), f32.

use candle_core::{CudaStorage, DType, Layout, Result, Shape, Tensor};

use super::{Kind, cuda};
use crate::bridge;
use crate::cuda::{Gpu, View};

/// With a bias it is by mean and deviation.
fn kind(inputs: usize) -> Kind {
    match inputs {
        2 => Kind::Rms,
        _ => Kind::Layer,
    }
}

fn apply(
    gpu: &Gpu,
    inputs: &[View<'_>],
    y: View<'_>,
    stats: View<'_>,
    eps: f64,
) -> crate::cuda::Result<()> {
    let width = inputs[1].len();
    let forward = cuda::Forward {
        kind: kind(inputs.len()),
        x: inputs[0],
        branch: None,
        weight: inputs[1],
        bias: inputs.get(2).copied(),
        eps,
        y,
        stats,
        rows: y.len() / width,
        width,
    };
    cuda::forward(gpu, &forward)
}

/// y, `[..,M]`, of x `[..,M]` and the parameters, each `[M]`.
pub(crate) fn forward<const N: usize>(
    op: &'static str,
    inputs: [(&CudaStorage, &Layout); N],
    eps: f64,
) -> Result<(CudaStorage, Shape)> {
    let shape = inputs[0].1.shape().clone();
    let rows = shape.elem_count() / inputs[1].1.shape().elem_count();
    let outputs = [
        (shape.clone(), DType::F32),
        (Shape::from((rows, 2)), DType::F32),
    ];
    let run = |gpu: &Gpu, inputs: [View<'_>; N], [y, stats]: [View<'_>; 2], _: View<'_>| {
        apply(gpu, &inputs, y, stats, eps)
    };
    let [y, _] = bridge::forward(op, inputs, outputs, |_| 0, run)?;
    Ok((y, shape))
}

/// The gradients of x and of the parameters; mean and root of each row are computed again.
pub(crate) fn backward<const N: usize>(
    op: &'static str,
    inputs: [&Tensor; N],
    dy: &Tensor,
    eps: f64,
) -> Result<[Tensor; N]> {
    let (x, width) = (inputs[0], inputs[1].elem_count());
    let rows = x.elem_count() / width;
    let stats = Shape::from((rows, 2));
    let made = bridge::backward(
        op,
        inputs,
        [(x.shape(), DType::F32), (&stats, DType::F32)],
        |_| 0,
        |gpu, inputs, [y, stats], _| apply(gpu, &inputs, y, stats, eps),
    )?;
    let outputs = inputs.map(|input| (input.shape(), DType::F32));
    bridge::backward(
        op,
        [x, inputs[1], &made[1], dy],
        outputs,
        |gpu| cuda::scratch_len(gpu, rows, width),
        |gpu, [x, weight, stats, dy], to: [View<'_>; N], scratch| {
            let backward = cuda::Backward {
                kind: kind(N),
                s: x,
                weight,
                stats,
                dy,
                dsum: None,
                ds: to[0],
                branch: None,
                dweight: to[1],
                dbias: to.get(2).copied(),
                scratch,
                rows,
                width,
            };
            cuda::backward(gpu, &backward)
        },
    )
}
